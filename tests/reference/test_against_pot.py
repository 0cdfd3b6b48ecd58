"""Wasserstein distances against POT; skipped where it is not installed."""

from __future__ import annotations

import numpy as np
import pytest

from augmentor.evaluation.metrics import wasserstein
from augmentor.evaluation.pair import distances

ot = pytest.importorskip("ot", reason="POT is not installed (pip install POT)")

EXACT = 1e-6


def rows(n: int, seed: int, dims: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dims)) * np.arange(1, dims + 1) + seed


def test_exact_distance_is_the_earth_movers() -> None:
    a, b = rows(90, 0), rows(90, 1)
    cost = ot.dist(a, b, metric="euclidean")
    np.testing.assert_allclose(cost, distances(a, b), atol=1e-9)
    assert wasserstein.assigned(a, b) == pytest.approx(ot.emd2([], [], cost), abs=EXACT)


@pytest.mark.parametrize("n", [60, 47, 1])
def test_sliced_distance_along_the_same_directions(n: int) -> None:
    """Also of sets of different sizes, whose quantile functions step at different places."""
    a, b = rows(60, 0), rows(n, 2)
    directions = wasserstein._directions(7)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1.0)
    expected = ot.sliced_wasserstein_distance(a, b, projections=directions.T, p=2)
    assert wasserstein.sliced(a, b) == pytest.approx(expected, abs=EXACT)


def test_sliced_distance_of_other_directions_is_near() -> None:
    """500 directions: the mean of squares over directions has a relative error of a few per cent."""
    a, b = rows(80, 0), rows(80, 3)
    expected = ot.sliced_wasserstein_distance(a, b, n_projections=5000, p=2, seed=0)
    assert wasserstein.sliced(a, b) == pytest.approx(expected, rel=0.1)
