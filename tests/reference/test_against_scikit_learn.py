"""Neighbourhoods, silhouettes, rank statistics and maps against scikit-learn, SciPy and umap-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import linalg, spatial, stats
from scipy.stats.contingency import association as scipy_association
from sklearn.metrics import roc_auc_score, silhouette_samples
from sklearn.neighbors import NearestNeighbors

from augmentor.evaluation.columns import auc
from augmentor.evaluation.metrics import embedding_overlap, frechet, hubness, mixing, separation, shape, wasserstein
from augmentor.evaluation.pair import distances
from augmentor.evaluation.tables import cramers_v, hot

EXACT = 1e-6


def rows(n: int, seed: int, dims: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dims)) + 0.4 * seed


def test_auc_with_ties() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 60).astype(float), rng.integers(1, 6, 80).astype(float)
    expected = roc_auc_score(np.repeat([1, 0], [60, 80]), np.concatenate([a, b]))
    assert auc(a, b) == pytest.approx(expected, abs=EXACT)


def test_shares_of_neighbours_of_the_other_kind() -> None:
    a, b, k = rows(70, 0), rows(90, 1), 15
    union = np.concatenate([a, b])
    near = NearestNeighbors(n_neighbors=k + 1).fit(union).kneighbors(a, return_distance=False)
    assert (near[:, 0] == np.arange(70)).all()
    expected = (near[:, 1:] >= 70).mean() / (90 / (70 + 90 - 1))
    assert mixing.other_share(distances(a, a), distances(a, b), k) == pytest.approx(expected, abs=EXACT)


def test_occurrences_among_neighbours() -> None:
    made, real = rows(50, 0), rows(80, 1)
    near = NearestNeighbors(n_neighbors=10).fit(made).kneighbors(real, return_distance=False)
    counts = np.bincount(near.ravel(), minlength=50)
    found = hubness.occurrences(distances(made, real), 10)
    np.testing.assert_array_equal(found, counts)
    assert stats.skew(found) == pytest.approx(((counts - counts.mean()) ** 3).mean() / counts.std() ** 3, abs=EXACT)


def test_silhouettes() -> None:
    x = np.concatenate([rows(30, 0), rows(20, 2), rows(1, 4)])
    labels = np.repeat([0, 1, 2], [30, 20, 1])
    found = separation.silhouettes(distances(x, x), labels)
    np.testing.assert_allclose(found, silhouette_samples(x, labels), atol=EXACT)


def test_frechet_distance_with_a_matrix_root() -> None:
    a, b = rows(200, 0), rows(220, 1) @ np.diag([1, 2, 1, 3, 1, 1])
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(linalg.sqrtm(first @ second))
    expected = np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.trace(first + second - 2 * root)
    assert frechet.frechet(a, b) == pytest.approx(expected, abs=EXACT)


def test_exact_wasserstein_distance_in_one_dimension() -> None:
    a, b = rows(100, 0, 1), rows(100, 2, 1)
    assert wasserstein.assigned(a, b) == pytest.approx(stats.wasserstein_distance(a[:, 0], b[:, 0]), abs=EXACT)
    np.testing.assert_allclose(distances(a, b), spatial.distance.cdist(a, b), atol=1e-9)


def test_kolmogorov_smirnov_with_ties_and_gaps() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.poisson(2.0, (60, 8)).astype(np.float32), rng.poisson(2.6, (75, 8)).astype(np.float32)
    a[rng.random(a.shape) < 0.2], b[rng.random(b.shape) < 0.1] = np.nan, np.nan
    expected = [stats.ks_2samp(p[np.isfinite(p)], q[np.isfinite(q)]).statistic for p, q in zip(a.T, b.T, strict=True)]
    np.testing.assert_allclose(shape._ks(a, b), expected, atol=EXACT)


def test_cramers_v_of_many_rows_is_the_uncorrected_one() -> None:
    """The correction is of order (r - 1)(k - 1) / n."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 200_000)
    b = np.where(rng.random(len(a)) < 0.5, a, rng.integers(0, 4, len(a)))
    z = hot(np.column_stack([a, b]), np.array([3, 4])).astype(np.float64)
    counts = z.T @ z
    expected = scipy_association(counts[:3, 3:].astype(int), method="cramer")
    assert cramers_v(counts, np.array([3, 4]))[0, 1] == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_the_reference_map_is_that_of_umap_learn() -> None:
    """The same settings and seed, and rows that the map has not seen are transformed, never fitted jointly."""
    pcs, new = rows(150, 0), rows(40, 1)
    reducer = embedding_overlap._reference(pcs, seed=7)
    with warnings.catch_warnings():
        # umap warns on import of what needs tensorflow, and of threads that a seed forbids
        warnings.simplefilter("ignore")
        from umap import UMAP

        expected = UMAP(n_neighbors=15, min_dist=0.3, n_epochs=200, metric="euclidean", random_state=7, n_jobs=1).fit(
            pcs
        )
        np.testing.assert_allclose(reducer.embedding_, expected.embedding_, atol=EXACT)
        # neighbours are found by the same distances, rounded elsewhere; a last bit can send a row along another path
        apart = np.linalg.norm(reducer.transform(new) - expected.transform(new), axis=1)
        assert np.mean(apart < EXACT) > 0.5
