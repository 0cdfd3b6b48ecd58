"""From data to a fitted generator: labels, splits, gene selection, settings; fitted on training rows only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import people
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from augmentor import io
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.errors import ConfigError, Interrupted, LabelError
from augmentor.core.progress import Progress
from augmentor.fitted import Fitted
from augmentor.fitting import configure, fit
from augmentor.preparing import Options, Prepared, prepare
from augmentor.preprocess import genes
from augmentor.sampling import draw, plan

CELLS = people.counts()


def cells(label: Any = "celltype", **reading: Any) -> Dataset:
    return io.from_anndata(CELLS, label=label, **reading)


def fitted(data: Dataset, **options: Any) -> Fitted:
    chosen = Options(**{"model": "bootstrap", **options})
    return fit(prepare(data, chosen), chosen)


# --- labels and splits -----------------------------------------------------------------------------------------------


def test_rows_are_divided_and_the_division_recorded() -> None:
    prepared = prepare(cells(), Options(holdout=0.25))
    held = prepared.split["holdout"].astype(bool)
    assert held.sum() == 18 + 9 + 3
    assert_array_equal(as_dense(prepared.train.x), as_dense(cells().x)[~held])
    assert not prepared.split["dropped"].any()
    record = prepared.record["data"]
    assert (record.rows, record.features, record.digest) == (120, 30, cells().digest())
    assert record.labels == {"celltype": {"T": 72, "B": 36, "NK": 12}}


def test_nothing_that_is_fitted_has_seen_a_held_out_row() -> None:
    data = cells()
    prepared = prepare(data, Options(holdout=0.25, genes=10))
    held = prepared.split["holdout"].astype(bool)
    x = as_dense(data.x).copy()
    x[held] = x[held][:, ::-1] * 50 + 1
    spoilt = replace(data, x=sparse.csr_matrix(x))
    for model in ("copula", "gaussian"):
        a, b = (fitted(d, model=model, holdout=0.25, genes=10) for d in (data, spoilt))
        assert a.schema.features == b.schema.features
        for name, array in a.model.state().items():
            assert_array_equal(array, b.model.state()[name])
        assert_array_equal(as_dense(draw(a, plan(a, 30), 0).x), as_dense(draw(b, plan(b, 30), 0).x))
    chosen = [data.schema.features[i] for i in genes.select(data.take(~held), 10)]
    assert prepared.train.schema.features == tuple(chosen)


def test_groups_are_held_out_whole() -> None:
    prepared = prepare(cells(group="donor"), Options(holdout=0.3))
    held = prepared.split["holdout"].astype(bool)
    donors = CELLS.obs["donor"].to_numpy()
    assert set(donors[held]) | set(donors[~held]) == {f"d{i}" for i in range(6)}
    assert not set(donors[held]) & set(donors[~held])


def test_a_label_that_lives_in_one_group_only_is_refused() -> None:
    """Cell type and batch both have only two groups; holding one out leaves labels without a row."""
    adata = CELLS.copy()
    adata.obs["donor"] = np.where(adata.obs["celltype"] == "NK", "d1", "d0")
    with pytest.raises(LabelError, match="holding out whole groups leaves no training row of"):
        prepare(io.from_anndata(adata, label="celltype", group="donor"), Options(holdout=0.3))


def test_combinations_of_several_labels() -> None:
    prepared = prepare(cells(["celltype", "batch"]), Options(holdout=0.0))
    assert prepared.labels == ["T|ctrl", "T|stim", "B|ctrl", "B|stim", "NK|ctrl", "NK|stim"]
    assert np.bincount(prepared.condition).tolist() == [36, 36, 18, 18, 6, 6]


def rare() -> Dataset:
    """One row of NK, two of B."""
    kinds = CELLS.obs["celltype"].to_numpy()
    rows = [*np.flatnonzero(kinds == "T"), *np.flatnonzero(kinds == "B")[:2], np.flatnonzero(kinds == "NK")[0]]
    return io.from_anndata(CELLS[rows].copy(), label="celltype")


def test_a_single_row_is_refused_dropped_or_kept() -> None:
    with pytest.raises(LabelError) as refusal:
        prepare(rare(), Options())
    assert str(refusal.value) == (
        "label 'NK' has 1 row; at least 2 are needed to learn it. Merge it, drop it with --min-label-rows 2, or pass "
        "--rare keep to resample it."
    )
    told: list[Progress] = []
    dropped = prepare(rare(), Options(min_label_rows=2, listener=told.append))
    assert dropped.labels == ["T", "B"]
    assert dropped.split["dropped"].tolist() == [0] * 74 + [1]
    assert "dropped labels with too few rows: NK (1)" in [p.note for p in told]
    assert prepare(rare(), Options(rare="keep")).labels == ["T", "B", "NK"]


def test_dropping_everything_is_refused() -> None:
    with pytest.raises(LabelError, match=r"no label has 1000 rows or more \(largest: 72\)"):
        prepare(rare(), Options(min_label_rows=1000))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"holdout": 1.0}, "holdout is a share of the rows"),
        ({"holdout": -0.1}, "holdout is a share of the rows"),
        ({"genes": 0}, "genes must be at least 1"),
        ({"seed": -1}, "seed must be 0 or more"),
        ({"rare": "maybe"}, "rare must be 'refuse' or 'keep', not 'maybe'"),
    ],
)
def test_options_out_of_bounds(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        prepare(cells(), Options(**options))


def test_two_rows_at_least() -> None:
    with pytest.raises(LabelError, match="1 labelled row is left"):
        prepare(cells(label=None).take(np.array([0])), Options(rare="keep"))


# --- settings --------------------------------------------------------------------------------------------------------


def test_settings_are_checked_by_name_and_bounds() -> None:
    from augmentor.core.registry import MODELS

    kind = MODELS.get("copula")
    assert configure(kind, "copula", {"shrinkage": 0.3}).shrinkage == 0.3
    with pytest.raises(
        ConfigError, match=r"'shrinkag' is not a setting of copula. Did you mean 'shrinkage'\? Settings:"
    ):
        configure(kind, "copula", {"shrinkag": 0.3})
    with pytest.raises(ConfigError, match=r"setting 'shrinkage' of copula: .* but it is 3"):
        configure(kind, "copula", {"shrinkage": 3})


# --- what is fitted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["z-scores", "fractions", "tpm"])
@pytest.mark.parametrize("model", ["smote", "gaussian", "copula"])
def test_continuous_data_stored_sparse(model: str, kind: str) -> None:
    generator = np.random.Generator(np.random.SFC64(0))
    x = generator.normal(size=(60, 8)) * (generator.random((60, 8)) < 0.5)
    x = {"z-scores": x, "fractions": np.abs(np.tanh(x)), "tpm": np.where(x != 0, np.exp(4 * np.abs(x)), 0)}[kind]
    data = io.from_arrays(sparse.csr_matrix(x.astype(np.float32)), np.repeat(["a", "b"], 30))
    model_ = fitted(data, model=model, holdout=0.0)
    rows = draw(model_, plan(model_, 200), 0)
    assert sparse.issparse(rows.x)
    low, high = x.min(), x.max()
    assert as_dense(rows.x).min() >= (0 if low >= 0 else 4 * low)
    assert as_dense(rows.x).max() <= (1 if kind == "fractions" else 4 * high)


def test_library_sizes_are_those_of_the_label() -> None:
    """The Gaussian's counts come back on library sizes drawn per label."""
    data = cells()
    model = fitted(data, model="gaussian", holdout=0.0)
    for label in people.TYPES:
        real = row_sums(data.x)[data.labels() == label]
        made = row_sums(draw(model, plan(model, {label: 500}), 0).x)
        assert 0.8 < np.median(made) / np.median(real) < 1.25


def test_calibration_on_request() -> None:
    assert fitted(cells(), model="gaussian").calibration is None
    assert fitted(cells(), model="gaussian", calibrate=True).calibration is not None
    assert fitted(cells(), model="copula").calibration is not None
    assert fitted(cells(), model="copula", calibrate=False).calibration is None


def test_the_record_says_what_was_done() -> None:
    model = fitted(cells(), model="cvae", settings={"epochs": 2}, seed=3, name="cells", group="donor")
    record = model.record
    assert record["seed"] == 3
    assert record["data"].name == "cells"
    assert record["training"]["stages"][0]["epochs"] == 2
    assert record["split"].holdout_rows == 14 + 7 + 2
    assert record["split"].group == "donor"
    assert record["wall_seconds"] > 0
    assert "numpy" in record["environment"]
    assert [entry["epoch"] for entry in model.history] == [1, 2]


@pytest.mark.parametrize("model", ["copula", "cvae"])
def test_to_disk_and_back(model: str, tmp_path: Path) -> None:
    first = fitted(cells(["celltype", "batch"]), model=model, settings={"epochs": 2} if model == "cvae" else {})
    first.save(tmp_path / "m.augment")
    second = Fitted.load(tmp_path / "m.augment")
    assert second.conditions == first.conditions
    assert second.counts == first.counts
    assert second.history == first.history
    assert_array_equal(second.tensors["holdout"], first.tensors["holdout"])
    a, b = (draw(m, plan(m, 70), 1) for m in (first, second))
    assert_array_equal(as_dense(a.x), as_dense(b.x))
    assert_array_equal(a.codes, b.codes)


def test_an_interrupted_fit_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    calls = [0]

    def stop() -> bool:
        calls[0] += 1
        return calls[0] > 12

    settings = {"epochs": 4}
    whole = fitted(cells(), model="cvae", settings=settings)
    with pytest.raises(Interrupted, match="Run the same command with --resume"):
        fitted(cells(), model="cvae", settings=settings, checkpoint=tmp_path / "c", stop=stop)
    for other in ({"seed": 5}, {"settings": {"epochs": 4, "latent": 3}}, {"holdout": 0.4}, {"genes": 12}):
        changed = {"settings": settings, **other}
        with pytest.raises(ConfigError, match="belongs to other data, settings or seed"):
            fitted(cells(), model="cvae", checkpoint=tmp_path / "c", resume=True, **changed)
    with pytest.raises(ConfigError, match="belongs to other data, settings or seed"):
        data = io.from_anndata(people.counts(seed=8), label="celltype")
        fitted(data, model="cvae", settings=settings, checkpoint=tmp_path / "c", resume=True)
    again = fitted(cells(), model="cvae", settings=settings, checkpoint=tmp_path / "c", resume=True)
    for name, array in whole.model.state().items():
        assert_array_equal(array, again.model.state()[name])
    assert again.history == whole.history
    assert not (tmp_path / "c").exists()


def test_prepared_rows_serve_any_model() -> None:
    options = Options(holdout=0.2)
    prepared = prepare(cells(), options)
    assert isinstance(prepared, Prepared)
    before = prepared.train.digest()
    for model in ("bootstrap", "smote", "gaussian", "copula"):
        fit(prepared, replace(options, model=model))
    assert prepared.train.digest() == before
