"""What every model promises that embeds, scores or interpolates: found by its methods, tested by being there.

``pytest tests/contract/test_latent_models.py -k toy`` runs it for the model ``toy``.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import small_data
from model_checks import check_table, same_rows, unchanged_globals
from numpy.testing import assert_allclose, assert_array_equal

from augmentor import between, latent
from augmentor.core.contract import Embeds, Interpolates, Scores
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.fitted import Fitted
from augmentor.fitting import fit
from augmentor.preparing import Options, prepare

DATA = ("counts", "continuous", "mixed")
# models that describe few features themselves are given a latent space here; what they do without one: test_latent.py
LATENT = {"most_features": 0}


@lru_cache
def fitted(model: str, data: str) -> Fitted:
    """A model fitted to four fifths of a small data set."""
    settings = small_data.settings(model, small_data.FASTEST)
    settings |= {name: value for name, value in LATENT.items() if name in MODELS.get(model).Config.model_fields}
    options = Options(model=model, settings=settings, device="cpu", rare="keep")
    return fit(prepare(small_data.small(data), options), options)


def cases(protocol: type) -> pytest.MarkDecorator:
    names = [f"{model}-{data}" for model in latent.able(protocol) for data in DATA]
    return pytest.mark.parametrize("model, data", [name.split("-") for name in names], ids=names)


def part(dataset: Dataset) -> Dataset:
    return dataset.take(np.arange(7, 47))


@pytest.mark.parametrize("model", MODELS.names())
def test_capabilities_come_together(model: str) -> None:
    """A latent space without a likelihood would leave rows without a label nowhere."""
    kind = MODELS.get(model)
    assert not hasattr(kind, "embed") or (hasattr(kind, "denoise") and hasattr(kind, "surprise"))
    assert hasattr(kind, "between") == hasattr(kind, "draw_latents")


@cases(Embeds)
def test_embeds(model: str, data: str) -> None:
    rows, own = small_data.small(data), fitted(model, data)
    assert isinstance(own.model, Embeds)
    with unchanged_globals():
        z, known = latent.embed(own, rows)
    assert known.all() and z.dtype == np.float32 and z.shape[0] == len(rows) and 1 <= z.shape[1] <= 512
    assert np.isfinite(z).all() and (z.std(axis=0) > 0).any()
    assert_array_equal(latent.embed(own, rows)[0], z)
    if data != "mixed":  # a gap of a mixed table is filled by the place of its row
        assert_allclose(latent.embed(own, part(rows))[0], z[7:47], rtol=1e-3, atol=1e-4)


@cases(Embeds)
def test_denoises_in_the_users_units(model: str, data: str) -> None:
    rows = small_data.small(data)
    means = latent.denoise(fitted(model, data), rows)
    assert means.x.shape == rows.x.shape and means.x.dtype == np.float32
    if data == "mixed":
        check_table(means, rows)
        return
    x, real = as_dense(means.x), as_dense(rows.x)
    assert np.isfinite(x).all()
    # a mean varies less than what it is the mean of
    assert x.var(axis=0).sum() < real.var(axis=0).sum()
    if rows.schema.space is Space.COUNTS:
        assert (x >= 0).all()
        assert_allclose(x.sum(axis=1), row_sums(rows.x), rtol=1e-3)


@cases(Scores)
def test_scores(model: str, data: str, tmp_path: Path) -> None:
    rows, own = small_data.small(data), fitted(model, data)
    assert isinstance(own.model, Scores)
    found = latent.score(own, rows, 0.9)
    assert found.quantile is not None and found.outlier is not None
    assert np.isfinite(found.score).all() and found.quantile.min() >= 0 and found.quantile.max() <= 1
    # rows of a mixed table may have their gaps filled otherwise than when they were learned from
    assert found.outlier[found.seen].mean() <= (0.1 if data != "mixed" else 0.15)
    # among rows of one reference a higher score is a higher quantile
    order = np.argsort(found.score[found.seen])
    assert (np.diff(found.quantile[found.seen][order]) >= 0).all()
    if data != "mixed":
        some = latent.score(own, part(rows), 0.9).score
        assert_allclose(some, found.score[7:47], rtol=1e-3, atol=1e-4)
    own.save(tmp_path / "model.augment")
    again = latent.score(Fitted.load(tmp_path / "model.augment"), rows, 0.9)
    assert_array_equal(again.score, found.score)
    assert_array_equal(again.quantile, found.quantile)
    assert_array_equal(again.outlier, found.outlier)


@cases(Scores)
def test_rows_of_noise_are_odd(model: str, data: str) -> None:
    """Features exchanged within rows: odder than the rows themselves, in the median, after two passes over the data."""
    rows, own = small_data.small(data), fitted(model, data)
    x = as_dense(rows.x).copy()
    for row in x if data != "mixed" else x.T:
        np.random.Generator(np.random.SFC64(0)).shuffle(row)
    if data == "mixed":
        x = np.where(np.isnan(rows.x), np.nan, x)
    noise = small_data.changed(rows, x) if data != "mixed" else Dataset.checked(x, rows.schema, rows.codes)
    assert np.median(latent.score(own, noise, 0.9).score) > np.median(latent.score(own, rows, 0.9).score)


@cases(Interpolates)
def test_rows_between(model: str, data: str) -> None:
    real, own = small_data.small(data), fitted(model, data)
    assert isinstance(own.model, Interpolates)
    start, end = own.conditions[0], own.conditions[-1]
    with unchanged_globals():
        rows = between.interpolate(own, start, end, steps=3, n=6, seed=2)
    same_rows(rows, between.interpolate(own, start, end, steps=3, n=6, seed=2))
    assert rows.schema == real.schema and rows.x.shape == (18, real.features)
    ends = np.array(own.layout.combinations)[[0, -1]]
    assert_array_equal(rows.codes, np.repeat([ends[0], [-1] * ends.shape[1], ends[1]], 6, axis=0))
    x = as_dense(rows.x)
    if data == "mixed":
        check_table(rows, real)
    else:
        assert np.isfinite(x).all()
    if data == "counts":
        assert (x >= 0).all() and (x == np.rint(x)).all() and (x.sum(axis=1) > 0).all()
