"""From a user's rows to latent features and anomaly scores: features by name, labels where they are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import people
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from augmentor import io, latent
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.errors import ArtifactError, ConfigError, SchemaMismatch
from augmentor.fitted import Fitted
from augmentor.fitting import fit
from augmentor.preparing import Options, prepare


def cells(rows: int = 300, seed: int = 0) -> Dataset:
    """Rows of one law: the profiles of the types do not depend on the number of rows."""
    return io.from_anndata(people.counts(rows, seed=seed), label="celltype")


def made(model: str, data: Dataset | None = None, **settings: object) -> Fitted:
    options = Options(model=model, settings=settings, device="cpu", seed=1)
    return fit(prepare(data or cells(), options), options)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    return made("cvae", epochs=30, latent=4, hidden=32)


def without_labels(data: Dataset) -> Dataset:
    return replace(data, schema=data.schema.model_copy(update={"labels": ()}), codes=data.codes[:, :0])


def test_features_are_found_by_name(fitted: Fitted) -> None:
    data = cells()
    order = np.random.Generator(np.random.SFC64(3)).permutation(data.features).tolist()
    assert_array_equal(latent.embed(fitted, data.select(order))[0], latent.embed(fitted, data)[0])
    with pytest.raises(SchemaMismatch, match="the data lacks 2 of the 30 features"):
        latent.embed(fitted, data.select(list(range(28))))
    logged = replace(data, schema=data.schema.model_copy(update={"space": "log"}))
    with pytest.raises(SchemaMismatch, match="space="):
        latent.embed(fitted, logged)


def test_labels_are_known_by_name_whatever_their_order(fitted: Fitted) -> None:
    data = cells()
    column = data.schema.labels[0]
    turned = column.model_copy(update={"name": "kind", "categories": (*column.categories[::-1], "Mast")})
    schema = data.schema.model_copy(update={"labels": (turned,)})
    codes = 2 - data.codes
    codes[:3] = [[3], [-1], [0]]
    found = latent.own_conditions(fitted, replace(data, schema=schema, codes=codes))
    assert found[:3].tolist() == [-1, -1, 2]
    assert_array_equal(found[3:], data.codes[3:, 0])
    two = data.schema.model_copy(update={"labels": (column, turned)})
    with pytest.raises(SchemaMismatch, match="1 label columns"):
        latent.own_conditions(fitted, replace(data, schema=two, codes=np.repeat(data.codes, 2, axis=1)))


def test_rows_without_a_label_are_taken_under_their_most_likely_one(fitted: Fitted) -> None:
    data = cells()
    own, free = latent.score(fitted, data, 0.99), latent.score(fitted, without_labels(data), 0.99)
    assert own.known.all() and not free.known.any()
    assert (free.label == own.label).mean() > 0.95  # the types of these cells hardly overlap
    same = free.label == own.label
    assert_allclose(free.score[same], own.score[same], rtol=1e-4, atol=1e-6)


def test_denoised_counts_have_the_depth_of_their_row_and_less_noise(fitted: Fitted) -> None:
    data = cells()
    means = latent.denoise(fitted, data)
    assert_allclose(means.x.sum(axis=1), row_sums(data.x), rtol=1e-4)
    assert means.schema.features == data.schema.features and not means.schema.sparse
    profile = people.counts(300).X.toarray()[data.codes[:, 0] == 0]
    spread = as_dense(data.x)[data.codes[:, 0] == 0].var(axis=0)
    assert means.x[data.codes[:, 0] == 0].var(axis=0).mean() < spread.mean()
    assert_allclose(means.x[data.codes[:, 0] == 0].mean(axis=0), profile.mean(axis=0), rtol=0.25, atol=0.5)


def test_what_is_planted_is_found(fitted: Fitted) -> None:
    new = cells(seed=0)
    x = as_dense(new.x).copy()
    rng = np.random.Generator(np.random.SFC64(5))
    for row in x:
        rng.shuffle(row)
    found = latent.score(fitted, io_with(new, x), 0.99)
    assert not found.seen.any()
    assert found.outlier is not None and found.outlier.mean() > 0.8


def io_with(data: Dataset, x: np.ndarray) -> Dataset:
    from scipy import sparse

    return replace(data, x=sparse.csr_matrix(x))


def test_rows_learned_from_are_known_again(fitted: Fitted) -> None:
    data = cells()
    held = fitted.tensors["holdout"].astype(bool)
    found = latent.score(fitted, data, 0.99)
    assert_array_equal(found.seen, ~held)
    assert found.quantile is not None and found.outlier is not None
    assert found.quantile.min() == 0 and found.quantile.max() < 1
    assert found.outlier[~held].mean() <= 0.01


def test_without_held_out_rows_new_ones_have_a_score_and_no_threshold() -> None:
    options = Options(model="autoencoder", settings={"epochs": 1}, holdout=0.0, device="cpu")
    whole = fit(prepare(cells(), options), options)
    new = cells(seed=9)
    found = latent.score(whole, new, 0.99)
    assert np.isfinite(found.score).all() and found.quantile is None and found.outlier is None
    assert latent.score(whole, cells(), 0.99).outlier is not None


def test_refusals(fitted: Fitted) -> None:
    copula = made("copula")
    with pytest.raises(ConfigError, match=r"copula has no latent space; these models can: autoencoder, .*vqvae"):
        latent.embed(copula, cells())
    with pytest.raises(ConfigError, match="copula cannot score rows; these models can: "):
        latent.score(copula, cells(), 0.99)
    with pytest.raises(ConfigError, match=r"between 0 and 1, not 1\.5"):
        latent.score(fitted, cells(), 1.5)
    with pytest.raises(ArtifactError, match="fit it again"):
        latent.score(replace(fitted, reference=None), cells(), 0.99)


def test_a_flow_of_few_features_scores_exactly_and_has_no_latent_space() -> None:
    data = io.from_frame(people.table(), label="state")
    flow = made("flow", data, epochs=2)
    encoded, _ = latent.encode(flow, data)
    assert_allclose(flow.model.surprise(encoded), -flow.model.log_prob(encoded) / 6, rtol=1e-6)  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="has no latent space; fit it with --set most_features=0"):
        latent.embed(flow, data)
