"""What each model promises beyond the contract: the mathematics in its docstring, on data where the answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import sparse, stats

from augmentor.core.contract import Encoded, Given, Layout, Synthesizer
from augmentor.core.dataset import as_dense
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.training.loop import Run, train


def encoded(x: Any, condition: NDArray[np.intp] | None = None, space: Space = Space.CONTINUOUS) -> Encoded:
    """Rows of labels 0, 1, ..., the last eighth of them for validation."""
    n = x.shape[0]
    condition = np.zeros(n, dtype=np.intp) if condition is None else condition
    labels = int(condition.max()) + 1
    size = np.asarray(x.sum(axis=1), dtype=np.float64).ravel() if space is Space.COUNTS else None
    given = Given(condition, condition[:, None].astype(np.int32), np.zeros((n, 0)), size)
    layout = Layout(
        space=space,
        features=x.shape[1],
        categories=(labels,),
        combinations=tuple((c,) for c in range(labels)),
        rows=n,
    )
    matrix = x.astype(np.float32)
    return Encoded(matrix, given, np.arange(n) % 8 == 0, layout)


def fitted(name: str, data: Encoded, **settings: Any) -> Synthesizer:
    kind = MODELS.get(name)
    model = kind.build(data.layout, kind.Config(**settings))
    if kind.spec.trained:
        train(model, data, Stream(0), Run(device="cpu"))
    else:
        model.estimate(data, Stream(0))
    return model


def drawn(model: Synthesizer, data: Encoded, n: int, condition: int = 0, seed: int = 1) -> NDArray[np.float32]:
    """Rows of one label, on sizes of training rows of that label."""
    members = np.flatnonzero(data.given.condition == condition)
    rows = members[np.arange(n) % members.size]
    return as_dense(model.draw(data.given.take(rows), Stream(seed)))


GENERATOR = np.random.Generator(np.random.SFC64(12))
CORRELATED = GENERATOR.normal(size=(400, 2)) @ np.array([[1, 0.8, 0, 0], [0, 0.6, 1, 0.5]]) + 0.3 * GENERATOR.normal(
    size=(400, 4)
)
COUNTS = GENERATOR.poisson(np.exp(GENERATOR.normal(1, 0.6, (300, 1))) * np.array([0.1, 1, 3, 10])) + np.array(
    [0, 0, 0, 1]
)


def test_bootstrap_rows_are_training_rows_of_their_label() -> None:
    data = encoded(CORRELATED, np.repeat([0, 1], [300, 100]))
    model = fitted("bootstrap", data)
    for c, rows in ((0, CORRELATED[:300]), (1, CORRELATED[300:])):
        known = {tuple(row) for row in rows.astype(np.float32)}
        assert all(tuple(row) in known for row in drawn(model, data, 50, c))


def test_bootstrap_draws_every_row_alike() -> None:
    data = encoded(np.arange(10, dtype=float)[:, None])
    counts = np.bincount(drawn(fitted("bootstrap", data), data, 5000)[:, 0].astype(int), minlength=10)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_smote_lies_between_a_row_and_one_of_its_neighbours() -> None:
    data = encoded(CORRELATED)
    made = drawn(fitted("smote", data, neighbours=3), data, 40)
    x = CORRELATED.astype(np.float32)
    gaps = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    near = np.argsort(gaps, axis=1)[:, 1:4]
    for row in made:
        ends = np.array([(x[i], x[j]) for i in range(len(x)) for j in near[i]])
        step = ends[:, 1] - ends[:, 0]
        u = np.clip(((row - ends[:, 0]) * step).sum(axis=1) / np.maximum((step**2).sum(axis=1), 1e-12), 0, 1)
        assert np.abs(ends[:, 0] + u[:, None] * step - row).max(axis=1).min() < 1e-4


def test_gaussian_has_the_moments_of_the_training_rows() -> None:
    """5,000 draws: means within five standard errors, correlations shrunk by less than a tenth."""
    x = (CORRELATED - CORRELATED.mean(axis=0)) / CORRELATED.std(axis=0)
    data = encoded(x)
    made = drawn(fitted("gaussian", data), data, 5000)
    assert_allclose(made.mean(axis=0), 0, atol=5 / np.sqrt(5000))
    assert_allclose(made.var(axis=0), 1, rtol=0.1)
    assert_allclose(np.corrcoef(made.T), np.corrcoef(x.T), atol=0.1)


def test_gaussian_of_more_features_than_rows_is_not_singular() -> None:
    x = GENERATOR.normal(size=(12, 300))
    data = encoded((x - x.mean(axis=0)) / x.std(axis=0))
    made = drawn(fitted("gaussian", data), data, 400)
    assert np.linalg.matrix_rank(made[:300].astype(np.float64)) == 300
    assert_allclose(made.var(axis=0).mean(), 1, rtol=0.15)


def test_ledoit_wolf_is_that_of_scikit_learn() -> None:
    from sklearn.covariance import ledoit_wolf_shrinkage

    from augmentor.models import gaussian

    for x in (CORRELATED, GENERATOR.normal(size=(20, 50)), COUNTS.astype(float)):
        centred = x - x.mean(axis=0)
        assert_allclose(gaussian.ledoit_wolf(centred), ledoit_wolf_shrinkage(centred, assume_centered=True), rtol=1e-3)


def test_copula_keeps_margins_and_rank_correlation() -> None:
    data = encoded(sparse.csr_matrix(COUNTS), space=Space.COUNTS)
    made = drawn(fitted("copula", data, cluster_rows=300), data, 3000)
    for j in range(4):
        assert set(made[:, j]) <= set(COUNTS[:, j].astype(np.float32)), "counts are counts the label has shown"
        assert stats.ks_2samp(made[:, j], COUNTS[:, j]).statistic < 0.08
    ours, real = (stats.spearmanr(x).statistic for x in (made, COUNTS))
    assert np.abs(ours - real).max() < 0.15
    assert ours[2, 3] > 0.5


def test_copula_without_dependence_when_it_is_shrunk_away() -> None:
    data = encoded(CORRELATED)
    made = drawn(fitted("copula", data, shrinkage=1.0), data, 3000)
    within = np.corrcoef(drawn(fitted("copula", data, shrinkage=1.0, cluster_rows=400), data, 3000).T)
    assert np.abs(within - np.eye(4)).max() < 0.1
    assert made.shape == (3000, 4)


@pytest.mark.parametrize("name", ["cvae", "cgan"])
def test_counts_are_drawn_from_the_likelihood_not_its_mean(name: str) -> None:
    """A decoder's mean is a fraction, and has a fraction of the variance."""
    data = encoded(sparse.csr_matrix(COUNTS), space=Space.COUNTS)
    made = drawn(fitted(name, data, epochs=20), data, 1500)
    assert_array_equal(made, np.rint(made))
    assert_allclose(made.mean(axis=0), COUNTS.mean(axis=0), rtol=0.35, atol=0.1)
    ratio = np.log1p(made).var(axis=0).sum() / np.log1p(COUNTS).var(axis=0).sum()
    assert 0.5 < ratio < 2


def test_cvae_prior_can_be_the_standard_normal() -> None:
    data = encoded(CORRELATED)
    model = fitted("cvae", data, epochs=3, prior="standard")
    assert not [name for name in model.state() if name.startswith("density.")]
    assert np.isfinite(drawn(model, data, 20)).all()


def test_cvae_encodes_rows_of_different_states_apart() -> None:
    x = np.repeat([-2.0, 2.0], 150)[:, None] * np.ones(6) + GENERATOR.normal(size=(300, 6))
    data = encoded(x)
    model: Any = fitted("cvae", data, epochs=30, latent=2)
    mean, variance = model.net.vectors(data)
    assert mean.shape == variance.shape == (300, 2)
    assert (variance > 0).all()
    direction = mean[150:].mean(axis=0) - mean[:150].mean(axis=0)
    scores = mean @ direction
    assert stats.mannwhitneyu(scores[150:], scores[:150]).statistic / 150**2 > 0.95
