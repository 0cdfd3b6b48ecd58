"""Rows between two labels: ends that are samples, a path whose spread does not shrink, labels that are told."""

from __future__ import annotations

import numpy as np
import people
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from augmentor import io
from augmentor.between import _paired, _Path, interpolate
from augmentor.core.dataset import as_dense
from augmentor.core.errors import ConfigError, LabelError
from augmentor.core.random import Stream
from augmentor.fitted import Fitted
from augmentor.fitting import fit
from augmentor.preparing import Options, prepare
from augmentor.sampling import LabelPlan, draw


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    options = Options(model="cvae", settings={"epochs": 30, "latent": 4, "hidden": 32}, device="cpu", calibrate=True)
    return fit(prepare(io.from_anndata(people.counts(400), label="celltype"), options), options)


def test_pairs_are_nearer_than_chance() -> None:
    rng = Stream(0).numpy()
    a, b = rng.standard_normal((200, 3)), 5 + rng.standard_normal((200, 3))
    match = _paired(a, b)
    assert sorted(match) == list(range(200))
    assert np.square(a - (b[match] - 5)).sum() < 0.2 * np.square(a - (b - 5)).sum()


@pytest.mark.parametrize("paired", [True, False])
def test_the_spread_of_a_path_does_not_shrink(paired: bool) -> None:
    """256 vectors: a variance is known to 9 %; without the divisor it would be 0.5 in the middle of unpaired vectors."""
    rng = Stream(1).numpy()
    a, b = rng.standard_normal((256, 12)), 3 + rng.standard_normal((256, 12))
    b = b[_paired(a, b)] if paired else b
    path = _Path.of(a, b)
    for weight in np.linspace(0, 1, 5):
        at = path.at(weight, 256)
        assert 0.9 < at.var(axis=0).mean() < 1.1
        assert_allclose(at.mean(axis=0), (1 - weight) * a.mean(axis=0) + weight * b.mean(axis=0), atol=1e-9)
    assert_allclose(path.at(0, 10), a[:10])
    assert_allclose(path.at(1, 10), b[:10])


def test_what_stands_beside_the_rows(fitted: Fitted) -> None:
    rows = interpolate(fitted, "NK", "T", steps=4, n=3, seed=0)
    assert rows.x.shape == (12, 30)
    assert rows.labels().tolist() == ["NK"] * 3 + [None] * 6 + ["T"] * 3
    assert_allclose(rows.extra["weight"], np.repeat([0, 1 / 3, 2 / 3, 1], 3))
    assert_array_equal(rows.extra["step"], np.repeat(np.arange(4), 3))
    assert_array_equal(rows.extra["path"], np.tile(np.arange(3), 4))
    assert set(rows.extra["from"]) == {"NK"} and set(rows.extra["to"]) == {"T"} and rows.extra["synthetic"].all()
    x = as_dense(rows.x)
    assert (x >= 0).all() and (x == np.rint(x)).all() and (x.sum(axis=1) > 0).all()


def test_same_seed_same_rows(fitted: Fitted) -> None:
    one, two, other = (interpolate(fitted, "NK", "T", steps=3, n=5, seed=seed) for seed in (4, 4, 5))
    assert_array_equal(as_dense(one.x), as_dense(two.x))
    assert not np.array_equal(as_dense(one.x), as_dense(other.x))


def test_ends_are_samples_of_their_labels_and_the_middle_lies_between(fitted: Fitted) -> None:
    """600 rows each: the mean of 30 squared t statistics is 1 +- 0.26 (margins correlate, so 2 is far out)."""
    n = 600
    rows = interpolate(fitted, "T", "B", steps=3, n=n, seed=1)
    x = np.log1p(as_dense(rows.x)).reshape(3, n, -1)
    truth = {}
    for step, label in ((0, "T"), (2, "B")):
        counts = tuple(n if name == label else 0 for name in fitted.conditions)
        drawn = np.log1p(as_dense(draw(fitted, LabelPlan(counts), 7).x))
        t = (x[step].mean(axis=0) - drawn.mean(axis=0)) / np.sqrt((x[step].var(axis=0) + drawn.var(axis=0)) / n + 1e-12)
        assert np.square(t).mean() < 2
        assert 0.8 < x[step].var(axis=0).mean() / drawn.var(axis=0).mean() < 1.25
        truth[label] = drawn.mean(axis=0)
    far = np.abs(truth["T"] - truth["B"]) > 0.7
    share = (x[1].mean(axis=0) - truth["T"])[far] / (truth["B"] - truth["T"])[far]
    assert far.sum() > 5 and 0.25 < np.median(share) < 0.75


def test_many_paths_are_paired_in_pools(fitted: Fitted) -> None:
    rows = interpolate(fitted, "T", "B", steps=2, n=300, seed=1)
    assert len(rows) == 600 and len(np.unique(as_dense(rows.x)[:300], axis=0)) > 290


def test_refusals(fitted: Fitted) -> None:
    with pytest.raises(LabelError, match=r"'t' is not a label of this model\. Did you mean 'T'\?"):
        interpolate(fitted, "t", "B", steps=2, n=1, seed=0)
    with pytest.raises(LabelError, match="both ends are 'T'"):
        interpolate(fitted, "T", "T", steps=2, n=1, seed=0)
    for steps, n, what in ((1, 1, "steps must be at least 2"), (2, 0, "n must be at least 1")):
        with pytest.raises(ConfigError, match=what):
            interpolate(fitted, "T", "B", steps=steps, n=n, seed=0)
    options = Options(model="gaussian", device="cpu")
    gaussian = fit(prepare(io.from_anndata(people.counts(), label="celltype"), options), options)
    with pytest.raises(ConfigError, match="gaussian cannot draw rows between labels; these models can: autoencoder"):
        interpolate(gaussian, "T", "B", steps=2, n=1, seed=0)
