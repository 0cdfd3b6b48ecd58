"""What rows are conditioned on beyond one label: several labels, combinations never seen, continuous covariates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import people
import pytest
from numpy.testing import assert_array_equal

from augmentor import Augmentor
from augmentor.core.dataset import as_dense
from augmentor.core.errors import ConfigError, LabelError

TRAINED = {"cvae": {"epochs": 40, "latent": 2, "hidden": 16}, "gaussian": {}}


def aged(rows: int = 300) -> anndata.AnnData:
    """Cells whose first ten genes double over the range of age, within every type."""
    data = people.counts(rows)
    rng = np.random.default_rng(0)
    age = rng.uniform(20, 80, rows)
    x = data.X.toarray()
    x[:, 1:11] = rng.poisson(10 * 2 ** ((age - 50) / 30)[:, None], (rows, 10))
    data.X = type(data.X)(x.astype(np.int32))
    data.obs["age"] = age
    return data


@pytest.fixture(scope="module", params=list(TRAINED))
def with_age(request: Any) -> Augmentor:
    return Augmentor(request.param, **TRAINED[request.param]).fit(aged(), label="celltype", covariate="age", holdout=0)


def test_rows_follow_the_covariate(with_age: Augmentor, tmp_path: Path) -> None:
    young, old = (with_age.sample(400, covariates={"age": age}) for age in (25, 75))
    assert set(old.obs["age"]) == {75.0}
    mean = [np.asarray(rows.X[:, 1:11].mean(axis=1)).ravel() for rows in (young, old)]
    # truth is 2^(50/30) = 3.2; the Gaussian of log values says it more weakly
    assert 1.8 < mean[1].mean() / mean[0].mean() < 5
    others = [np.asarray(rows.X[:, 11:].mean(axis=1)).ravel().mean() for rows in (young, old)]
    assert 0.7 < others[1] / others[0] < 1.4
    with_age.save(tmp_path / "m.augment")
    again = Augmentor.load(tmp_path / "m.augment").sample(400, covariates={"age": 75})
    assert_array_equal(again.X.toarray(), old.X.toarray())
    assert again.uns["augmentor"]["covariates"] == {"age": 75}


def test_without_a_value_covariates_are_those_of_the_labels(with_age: Augmentor) -> None:
    rows = with_age.sample(300)
    assert rows.obs["age"].between(20, 80).all() and rows.obs["age"].nunique() > 50


def test_a_model_without_covariates_names_those_that_have_them() -> None:
    with pytest.raises(ConfigError, match=r"copula knows no covariates \(age\); choose a model that does .*cvae"):
        Augmentor("copula").fit(aged(), label="celltype", covariate="age")


def test_margins_are_not_calibrated_beside_covariates(with_age: Augmentor) -> None:
    assert with_age.fitted.calibration is None
    with pytest.raises(ConfigError, match="margins cannot be calibrated beside covariates"):
        Augmentor("gaussian").fit(aged(), label="celltype", covariate="age", calibrate=True)


def test_a_value_without_covariates_is_refused() -> None:
    plain = Augmentor("gaussian").fit(people.counts(), label="celltype")
    with pytest.raises(ConfigError, match="this model has no covariates, but 'age' was asked for"):
        plain.sample(5, covariates={"age": 50})


# --- combinations never seen ---------------------------------------------------------------------------------------------


def without_stimulated_nk() -> anndata.AnnData:
    data = people.counts(400)
    x = data.X.toarray()
    stimulated = (data.obs["batch"] == "stim").to_numpy()
    x[stimulated, 5] += np.random.default_rng(1).poisson(30, stimulated.sum()).astype(np.int32)
    data.X = type(data.X)(x)
    return data[~((data.obs["celltype"] == "NK") & stimulated).to_numpy()].copy()


@pytest.fixture(scope="module", params=["bootstrap", "cvae"])
def two_labels(request: Any) -> Augmentor:
    chosen = TRAINED.get(request.param, {})
    return Augmentor(request.param, **chosen).fit(without_stimulated_nk(), label=["celltype", "batch"], holdout=0)


def test_a_combination_never_seen_is_composed_exactly_as_often_as_asked(two_labels: Augmentor, tmp_path: Path) -> None:
    assert "NK|stim" not in two_labels.labels
    rows = two_labels.sample({"NK|stim": 60, "NK|ctrl": 40})
    stimulated = (rows.obs["batch"] == "stim").to_numpy()
    assert stimulated.sum() == 60 and set(rows.obs["celltype"]) == {"NK"}
    x = as_dense(rows.X)
    assert x[stimulated, 5].mean() > x[~stimulated, 5].mean() + 15
    assert (x >= 0).all() and (x == x.round()).all()
    two_labels.save(tmp_path / "m.augment")
    again = Augmentor.load(tmp_path / "m.augment").sample({"NK|stim": 60, "NK|ctrl": 40})
    assert_array_equal(as_dense(again.X), x)
    assert rows.uns["augmentor"]["plan"]["NK|stim"] == 60


def test_any_chunking_gives_the_same_rows(two_labels: Augmentor) -> None:
    wanted = {"NK|stim": 30, "B|ctrl": 30}
    whole = as_dense(two_labels.sample(wanted).X)
    parts = [as_dense(part.X) for part in two_labels.stream(wanted, block=7)]
    assert_array_equal(np.concatenate(parts), whole)


def test_unknown_parts_are_refused_as_before(two_labels: Augmentor) -> None:
    for name in ("NK", "NK|sitm", "Monocyte|stim", "NK|stim|x"):
        with pytest.raises(LabelError, match="is not a label of this model"):
            two_labels.sample({name: 3})


def test_nothing_is_kept_where_every_combination_was_seen() -> None:
    whole = Augmentor("bootstrap").fit(people.counts(400), label=["celltype", "batch"])
    assert whole.fitted.composition is None
