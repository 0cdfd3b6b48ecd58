"""The numbers of the metrics against numpy, scipy, scikit-learn and brute force."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse, spatial, stats
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from small_rows import pair, sample

from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.evaluation.columns import auc, ks_and_w1, pearson, spearman, variances, zero_fractions
from augmentor.evaluation.folds import balanced_folds
from augmentor.evaluation.learners import Votes
from augmentor.evaluation.metrics import (
    correlation,
    divergence,
    embedding_overlap,
    fold_change,
    mmd,
    moments,
    nearest_train,
    precision_recall,
)
from augmentor.evaluation.pair import distances
from augmentor.evaluation.spaces import Basis, logged


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_column_distances_against_scipy_with_ties(rng: np.random.Generator) -> None:
    a, b = rng.poisson(2.0, (40, 6)).astype(np.float32), rng.poisson(3.0, (55, 6)).astype(np.float32)
    ks, w1 = ks_and_w1(a, b)
    for j in range(6):
        assert ks[j] == pytest.approx(stats.ks_2samp(a[:, j], b[:, j]).statistic, abs=1e-12)
        assert w1[j] == pytest.approx(stats.wasserstein_distance(a[:, j], b[:, j]), abs=1e-6)


def test_column_moments_sparse_and_dense(rng: np.random.Generator) -> None:
    x = rng.poisson(0.5, (30, 8)).astype(np.float32)
    x[:, 0], x[:, 1] = 0.0, 1.1
    for form in (x, sparse.csr_matrix(x)):
        mean, variance = variances(form)
        np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(variance, x.var(axis=0, ddof=1, dtype=np.float64), atol=1e-9)
        rows, columns = zero_fractions(form)
        np.testing.assert_allclose(rows, (x == 0).mean(axis=1))
        np.testing.assert_allclose(columns, (x == 0).mean(axis=0))


def test_scalar_statistics(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=50), rng.integers(0, 5, 50).astype(float)
    assert pearson(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)
    assert pearson(a, np.ones(50)) is None
    target = np.repeat([1, 0], 25)
    assert auc(b[:25], b[25:]) == pytest.approx(roc_auc_score(target, b))


def test_distances_are_exact_for_equal_rows(rng: np.random.Generator) -> None:
    a = rng.normal(size=(30, 5)) + 1e4
    b = np.concatenate([a[:5], rng.normal(size=(10, 5)) + 1e4])
    gaps = distances(a, b)
    np.testing.assert_allclose(gaps, spatial.distance.cdist(a, b), rtol=1e-4, atol=1e-6)
    assert (gaps[np.arange(5), np.arange(5)] == 0).all()


def test_mmd_against_the_double_loop(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(20, 3)), rng.normal(size=(20, 3)) + 0.5
    h = 2.0

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean([np.exp(-np.sum((x - y) ** 2) / (s * h)) for s in (0.25, 0.5, 1, 2, 4)]))

    inside_a = np.mean([k(a[i], a[j]) for i in range(20) for j in range(20) if i != j])
    inside_b = np.mean([k(b[i], b[j]) for i in range(20) for j in range(20) if i != j])
    between = np.mean([k(x, y) for x in a for y in b])
    kernels = [mmd.kernel(distances(*xy), h) for xy in ((a, a), (b, b), (a, b))]
    assert mmd.discrepancy(*kernels) == pytest.approx(inside_a + inside_b - 2 * between, abs=1e-12)


def test_mmd_notices_a_shift_and_its_p_value_agrees(rng: np.random.Generator) -> None:
    b = rng.normal(size=(80, 10))
    near = mmd.Metric().measure(pair(rng.normal(size=(80, 10)), b))["mmd"]
    far = mmd.Metric().measure(pair(rng.normal(size=(80, 10)) + 3, b))["mmd"]
    assert abs(near.value or 0.0) < 0.02 < 0.2 < (far.value or 0.0)
    assert near.detail["p_value"] > 0.02 and far.detail["p_value"] < 0.01
    assert 0.2 < near.detail["mean_kernel"] < 0.6


def test_precision_recall_against_brute_force(rng: np.random.Generator) -> None:
    made = pair(rng.normal(size=(40, 4)) * 0.7, rng.normal(size=(40, 4)))
    found = precision_recall.neighbourhoods(made)
    s, x = made.synthetic.pcs, made.real.pcs
    own = [np.sort(spatial.distance.cdist(z, z), axis=1)[:, 5] for z in (s, x)]
    cross = spatial.distance.cdist(s, x)
    assert found is not None
    assert found["precision"] == np.mean([any(cross[i, j] <= own[1][j] for j in range(40)) for i in range(40)])
    assert found["recall"] == np.mean([any(cross[i, j] <= own[0][i] for i in range(40)) for j in range(40)])
    assert found["density"] == pytest.approx(np.mean((cross <= own[1]).sum(axis=1)) / 5)
    assert found["coverage"] == np.mean([(cross[:, j] <= own[1][j]).any() for j in range(40)])


def test_gamma_against_numpy(rng: np.random.Generator) -> None:
    mix = rng.normal(size=(6, 6))
    y = np.arange(60) % 2
    a, b = (rng.normal(size=(60, 6)) @ mix + 5 * y[:, None] for _ in range(2))
    made = pair(a, b, y)
    order = made.basis.genes
    upper = np.triu_indices(6, 1)

    def residual(x: np.ndarray) -> np.ndarray:
        x = x[:, order].astype(np.float32).astype(np.float64)
        return np.concatenate([x[y == c] - x[y == c].mean(axis=0) for c in (0, 1)])

    found = correlation.Metric().measure(made)
    within = np.corrcoef(*(np.corrcoef(residual(x).T)[upper] for x in (a, b)))[0, 1]
    pooled = np.corrcoef(*(np.corrcoef(x[:, order].T)[upper] for x in (a, b)))[0, 1]
    assert found["correlation.within"].value == pytest.approx(within, abs=1e-5)
    assert found["correlation.pooled"].value == pytest.approx(pooled, abs=1e-5)


def test_gamma_of_rows_without_variation_is_not_a_number_but_a_reason(rng: np.random.Generator) -> None:
    found = correlation.Metric().measure(pair(np.ones((40, 6)), rng.normal(size=(40, 6))))
    assert found["correlation.within"].value is None and found["correlation.within"].reason


def test_divergence_against_scipy_and_known_edges(rng: np.random.Generator) -> None:
    a, b = rng.poisson(1.0, 60).astype(np.float32), rng.poisson(1.5, 60).astype(np.float32)
    edges, zero = divergence.bins(b, 8)
    assert zero
    found = divergence.divergences(a, b, edges, zero)
    size = len(edges) + 2

    def share(values: np.ndarray) -> np.ndarray:
        counts = [np.sum(values == 0)]
        bounds = [-np.inf, *edges, np.inf]
        for low, high in pairwise(bounds):
            counts.append(np.sum((values != 0) & (values >= low) & (values < high)))
        return (np.array(counts) + 0.5) / (len(values) + size / 2)

    p, q = share(b), share(a)
    assert found is not None
    assert found[0] == pytest.approx(stats.entropy(p, q))
    assert found[1] == pytest.approx(stats.entropy(q, p))
    assert found[2] == pytest.approx(spatial.distance.jensenshannon(p, q, base=2) ** 2)


def test_divergence_of_constant_genes() -> None:
    one, two = np.ones(10, dtype=np.float32), np.full(10, 2, dtype=np.float32)
    edges, zero = divergence.bins(one, 8)
    assert divergence.divergences(one, one, edges, zero) == (0.0, 0.0, 0.0)
    assert divergence.divergences(two, one, edges, zero) is None


def test_dispersion_ratio_of_scaled_rows(rng: np.random.Generator) -> None:
    b = rng.normal(size=(200, 30)) + 10
    found = moments.Metric().measure(pair((b - 10) * 0.5 + 10, b))
    assert found["moments.variance"].value == pytest.approx(0.25, rel=1e-4)
    assert found["moments.mean"].value == pytest.approx(1.0, abs=1e-6)


def test_slope_recovers_a_known_attenuation(rng: np.random.Generator) -> None:
    truth = rng.normal(size=400)
    z, h, s = (scale * truth + 0.5 * rng.normal(size=400) for scale in (1.0, 1.0, 0.6))
    top = np.argsort(-np.abs(z))[:200]
    assert fold_change.slope(z[top], h[top], s[top]) == pytest.approx(0.6, abs=0.08)
    assert (h[top] @ s[top]) / (h[top] @ h[top]) < 0.57


def test_excess_of_copies_fresh_rows_and_ties() -> None:
    zero, one = np.zeros(100), np.ones(100)
    assert nearest_train.excess(zero, one, 0.8) == pytest.approx(1.0)
    assert nearest_train.excess(one, zero, 0.8) == pytest.approx(-4.0)
    assert nearest_train.excess(one, one, 0.5) == pytest.approx(0.0)


def test_votes_against_sklearn(rng: np.random.Generator) -> None:
    truth, called = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    votes = Votes(truth, called, 4)
    assert votes.accuracy == pytest.approx(balanced_accuracy_score(truth, called))
    assert votes.macro_f1 == pytest.approx(f1_score(truth, called, average="macro"))
    assert np.isnan(votes.recalls[3]) and sum(map(sum, votes.confusion)) == 60


def test_overlap_of_equal_and_distant_clouds(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(4000, 2)), rng.normal(size=(4000, 2))
    assert embedding_overlap.overlap(a, a) == pytest.approx(1.0, abs=0.03)
    assert embedding_overlap.overlap(a + 50, b) < 0.01
    # two unit Gaussians two standard deviations apart overlap by 2 Phi(-1)
    assert embedding_overlap.overlap(a + np.array([2.0, 0.0]), b) == pytest.approx(2 * stats.norm.cdf(-1), abs=0.04)


def test_folds_hold_as_many_of_either_kind_of_every_label(rng: np.random.Generator) -> None:
    label = np.concatenate([np.repeat([0, 1, 2], [3, 7, 40])] * 2)
    target = np.repeat([1, 0], 50)
    fold = balanced_folds(label, target, np.arange(100), rng, folds=5)
    for i in range(5):
        for code in range(3):
            inside = target[(fold == i) & (label == code)]
            assert (inside == 1).sum() == (inside == 0).sum()
    assert np.ptp(np.bincount(fold)) <= 4
    groups = np.arange(100) // 4
    fold = balanced_folds(label, target, groups, rng, folds=5)
    assert all(len(set(fold[groups == g])) == 1 for g in range(25))


def test_components_are_those_of_the_singular_value_decomposition(rng: np.random.Generator) -> None:
    x = rng.normal(size=(50, 30)) @ np.diag(np.linspace(3, 0.2, 30))
    basis = Basis.fitted(sample(x), Space.LOG, 1.0)
    dense = x[:, basis.genes]
    scores = np.linalg.svd(dense - dense.mean(axis=0), full_matrices=False)
    expected = np.abs(scores[0] * scores[1])[:, : basis.components.shape[1]]
    np.testing.assert_allclose(np.abs(basis.project(dense.astype(np.float32))), expected, atol=1e-4)


def test_log_uses_every_rows_own_total(rng: np.random.Generator) -> None:
    counts = rng.poisson(3.0, (10, 6)).astype(np.float32)
    rows = sample(counts)
    expected = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 100)
    np.testing.assert_allclose(logged(rows, Space.COUNTS, 100.0), expected, rtol=1e-5)
    np.testing.assert_allclose(logged(sample(3 * counts), Space.COUNTS, 100.0), expected, rtol=1e-5)
    assert logged(rows, Space.LOG, 100.0) is rows.x


def test_halves_keep_labels_and_share_work(rng: np.random.Generator) -> None:
    y = np.repeat([0, 1], [30, 10])
    made = pair(rng.normal(size=(40, 5)), rng.normal(size=(40, 5)), y)
    half = made.half(0)
    assert abs(half.counts["c0"] - 15) <= 1 and abs(half.counts["c1"] - 5) <= 1
    root, rows = half.synthetic.origin()
    assert root is made.synthetic
    np.testing.assert_array_equal(half.synthetic.pcs, made.synthetic.pcs[rows])
    np.testing.assert_array_equal(half.distances.shape, (len(half.synthetic), len(half.real)))
    assert Stream(0).child("half", 0).key != half.stream.key
