"""The metrics of the biology axis against scipy, scikit-learn, brute force, and rows whose effects and networks are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse, stats
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score, silhouette_samples
from small_rows import sample

from augmentor.core.dataset import Dataset
from augmentor.core.random import Stream
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation import ranks
from augmentor.evaluation.contract import Measured
from augmentor.evaluation.metrics import (
    coexpression,
    differential,
    fold_change,
    gene_sets,
    markers,
    modules,
    separation,
)
from augmentor.evaluation.pair import Asked, Pair, Side, distances
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Score
from augmentor.evaluation.spaces import Basis

LABELS = ("A", "B", "C")


def pair(
    synthetic: np.ndarray, real: np.ndarray, y: np.ndarray, fit: np.ndarray, *, y_synthetic: np.ndarray | None = None
) -> Pair:
    """Continuous rows against others, in a space fitted on third ones; ``y`` are the labels of all three."""
    basis = Basis.fitted(sample(fit, y[: len(fit)]), Space.CONTINUOUS, 1.0)
    sides = Side(sample(synthetic, y if y_synthetic is None else y_synthetic), basis), Side(sample(real, y), basis)
    genes = tuple(f"g{i:03d}" for i in range(real.shape[1]))
    return Pair("synthetic", *sides, LABELS[: int(y.max()) + 1], genes, Stream(0))


def values(metric: object, made: Pair) -> dict[str, float | None]:
    found: dict[str, Measured] = metric.Metric().measure(made)  # type: ignore[attr-defined]
    for item in found.values():
        assert (item.value is None) == (item.reason is not None)
    return {name.rpartition(".")[2]: item.value for name, item in found.items()}


GENES, ROWS = 300, 180
Y = np.arange(ROWS) % 3


def effects(size: float = 1.0) -> np.ndarray:
    """``(3, genes)``: 20 genes up and 20 down per label, by 1 to 2 standard deviations."""
    out = np.zeros((3, GENES))
    strength = np.linspace(1.0, 2.0, 20) * size
    for label in range(3):
        out[label, 40 * label : 40 * label + 20] = strength
        out[label, 40 * label + 20 : 40 * label + 40] = -strength
    return out


def rows(seed: int, size: float = 1.0, sd: float = 1.0) -> np.ndarray:
    return effects(size)[Y] + sd * np.random.default_rng(seed).normal(size=(ROWS, GENES))


# --- ranks -----------------------------------------------------------------------------------------------------------


def counts(rng: np.random.Generator) -> np.ndarray:
    x = rng.poisson(0.7, (90, 40)).astype(np.float32)
    x[:, 0], x[:, 1] = 0.0, 3.0
    return x


@pytest.mark.parametrize("kind", ["ties", "negative", "continuous"])
@pytest.mark.parametrize("cells", [100, 4_000_000])
def test_tests_against_scipy(kind: str, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "CELLS", cells)
    rng = np.random.default_rng(0)
    x = {"ties": counts(rng), "negative": counts(rng) - 1, "continuous": rng.normal(size=(90, 40)).astype(np.float32)}
    y = rng.integers(0, 3, 90)
    stored = sparse.csr_matrix(x[kind])
    stored.data[1] = 0.0  # a stored zero is a zero
    x[kind][0, stored.indices[1]] = 0.0
    for form in (x[kind], stored):
        found = ranks.mann_whitney(form, y, 3)
        for c in range(3):
            a, b = (x[kind][rows].astype(np.float64) for rows in (y == c, y != c))
            varies = np.ptp(x[kind], axis=0) > 0
            expected = stats.mannwhitneyu(a[:, varies], b[:, varies], axis=0, method="asymptotic")
            np.testing.assert_allclose(found.auc[c, varies] * len(a) * len(b), expected.statistic, rtol=1e-12)
            np.testing.assert_allclose(found.p[c, varies], expected.pvalue, rtol=1e-9)
            assert (found.p[c, ~varies] == 1.0).all() and (found.auc[c, ~varies] == 0.5).all()


def test_calls_against_scipy_and_up_is_not_down() -> None:
    x = rows(1)
    found = differential.calls(ranks.mann_whitney(x, Y, 3))
    for c in range(3):
        p = stats.mannwhitneyu(x[c == Y], x[c != Y], axis=0, method="asymptotic").pvalue
        called = stats.false_discovery_control(p) < 0.05
        higher = np.median(x[c == Y], axis=0) > np.median(x[c != Y], axis=0)
        np.testing.assert_array_equal(found[c] != 0, called)
        np.testing.assert_array_equal(found[c][called] > 0, higher[called])


def test_null_labels_are_rarely_called() -> None:
    """With no effect at all, Benjamini-Hochberg calls anything in at most 5 % of runs.

    One contrast per run (that of two labels is one). 24 of 200 or more would happen to a test of 5 % once in 13,000 times.
    """
    rng = np.random.default_rng(3)
    y = np.arange(60) % 2
    runs = 0
    for i in range(200):
        x = rng.normal(size=(60, 80)) if i % 2 else rng.poisson(1.0, (60, 80))
        runs += bool(differential.calls(ranks.mann_whitney(x.astype(np.float32), y, 2)).any())
    assert runs < 24
    assert stats.binom.sf(23, 200, 0.05) < 1 / 13_000


def test_both_sides_are_tested_with_as_many_rows_of_each_label() -> None:
    few = np.concatenate([np.flatnonzero(Y == 0)[:12], np.flatnonzero(Y == 1)[:30], np.flatnonzero(Y == 2)[:4]])
    found = ranks.contrasts(pair(rows(1)[few], rows(2), Y, rows(3), y_synthetic=Y[few]))
    assert isinstance(found, ranks.Contrasts)
    # a label with fewer than five rows on one side is left out on both
    assert found.labels == ("A", "B") and found.rows == {"A": 12, "B": 30}
    np.testing.assert_array_equal(found.synthetic.pairs, [360.0, 360.0])
    np.testing.assert_array_equal(found.real.pairs, [360.0, 360.0])


# --- differential, markers -------------------------------------------------------------------------------------------


def test_known_effects_are_found_again_and_the_same_rows_agree_exactly() -> None:
    real, fit = rows(2), rows(3)
    fresh = values(differential, pair(rows(1), real, Y, fit))
    # a shift of one standard deviation between 60 and 120 rows is called with a probability above 0.99
    assert fresh["tpr"] > 0.9 and fresh["ppv"] > 0.9 and fresh["jaccard"] > 0.8  # type: ignore[operator]
    assert fresh["fpr"] < 0.1 and fresh["calls"] == pytest.approx(1.0, abs=0.1)  # type: ignore[operator]
    same = values(differential, pair(real, real, Y, fit))
    assert same == {"tpr": 1.0, "fpr": 0.0, "ppv": 1.0, "jaccard": 1.0, "calls": 1.0}


def test_lost_permuted_reversed_and_sharpened_effects() -> None:
    real, fit = rows(2), rows(3)
    fresh = values(differential, pair(rows(1), real, Y, fit))
    third = values(differential, pair(rows(1, size=0.3), real, Y, fit))
    assert third["tpr"] < 0.6 * fresh["tpr"] and third["calls"] < 0.6  # type: ignore[operator]
    permuted = values(differential, pair(rows(1)[np.random.default_rng(0).permutation(ROWS)], real, Y, fit))
    assert permuted["tpr"] < 0.05 and permuted["jaccard"] < 0.05  # type: ignore[operator]
    # the same genes in the other direction are no agreement, and no genes that real rows do not call
    reversed_ = values(differential, pair(rows(1, size=-1.0), real, Y, fit))
    assert reversed_["tpr"] < 0.02 and reversed_["ppv"] < 0.02  # type: ignore[operator]
    assert reversed_["fpr"] == pytest.approx(fresh["fpr"], abs=0.06)  # type: ignore[arg-type]
    # effects of a third are mostly missed in rows as noisy as real ones, and all called in rows that hardly vary
    weak = [values(differential, pair(rows(1, size=0.3, sd=sd), rows(2, size=0.3), Y, fit)) for sd in (1.0, 0.1)]
    assert weak[0]["calls"] == pytest.approx(1.0, abs=0.6) and weak[1]["calls"] > 2  # type: ignore[operator]
    assert weak[1]["tpr"] > 0.9 and weak[1]["fpr"] > 4 * weak[0]["fpr"]  # type: ignore[operator]


def test_null_real_labels_have_no_number_but_inventions_count() -> None:
    rng = np.random.default_rng(5)
    null, fit = rng.normal(size=(ROWS, GENES)), rng.normal(size=(ROWS, GENES))
    found = values(differential, pair(rows(1), null, Y, fit))
    assert found["tpr"] is None and found["calls"] is None and found["ppv"] is None
    assert found["fpr"] > 0.1  # type: ignore[operator]


def test_markers_against_sklearn_and_their_chance_level() -> None:
    real, synthetic = rows(2), rows(1)
    found = markers.Metric().measure(pair(synthetic, real, Y, rows(3)))
    for c, label in enumerate(LABELS):
        best = []
        for x in (synthetic, real):
            aucs = [roc_auc_score(c == Y, x[:, j].astype(np.float32)) for j in range(GENES)]
            best.append(set(np.argsort(-np.array(aucs), kind="stable")[:10]))
        assert found["markers.top10"].per_label[label] == len(best[0] & best[1]) / 10
    moved = values(markers, pair(np.roll(synthetic, 150, axis=1), real, Y, rows(3)))
    assert found["markers.top10"].value > 0.5 > 0.2 > moved["top10"]  # type: ignore[operator]
    assert values(markers, pair(real, real, Y, rows(3)))["top50"] == 1.0
    few = values(markers, pair(synthetic[:, :60], real[:, :60], Y, rows(3)[:, :60]))
    assert few["top50"] is None and few["top10"] is not None


def test_markers_that_do_not_exist_are_not_counted() -> None:
    """Genes that no row expresses are tied; shared only for their names, they would look like an agreement of markers."""
    x = np.zeros((ROWS, GENES))
    x[:, :12] = np.abs(rows(1)[:, :12]) * (Y[:, None] == 0)
    found = markers.Metric().measure(pair(x, x, Y, x))
    assert found["markers.top10"].per_label == {"A": 1.0, "B": None, "C": None}
    assert found["markers.top50"].value is None


def test_control_label_replaces_the_rest() -> None:
    made = replace(pair(rows(1), rows(2), Y, rows(3)), asked=Asked(control="B"))
    found = ranks.contrasts(made)
    assert isinstance(found, ranks.Contrasts) and found.labels == ("A", "C")
    x = rows(2).astype(np.float32).astype(np.float64)
    expected = stats.mannwhitneyu(x[Y == 2], x[Y == 1], axis=0, method="asymptotic")
    np.testing.assert_allclose(found.real.p[1], expected.pvalue, rtol=1e-9)
    slope = fold_change.Metric().measure(made)["fold_change.slope"]
    assert set(slope.per_label) == {"A", "C"}
    z, h, s = (x[Y == 2].mean(axis=0) - x[Y == 1].mean(axis=0) for x in (rows(3), rows(2), rows(1)))
    top = np.argsort(-np.abs(z))[:200]
    assert slope.per_label["C"] == pytest.approx(z[top] @ s[top] / (z[top] @ h[top]), rel=1e-5)
    # effects of one third, whichever the contrast
    third = replace(pair(rows(1, size=1 / 3), rows(2), Y, rows(3)), asked=Asked(control="B"))
    assert fold_change.Metric().measure(third)["fold_change.slope"].value == pytest.approx(1 / 3, abs=0.05)


def test_control_label_with_too_few_rows_is_named() -> None:
    few = np.concatenate([np.flatnonzero(Y == 0)[:12], np.flatnonzero(Y == 1)[:3], np.flatnonzero(Y == 2)[:12]])
    made = pair(rows(1)[few], rows(2), Y, rows(3), y_synthetic=Y[few])
    made = replace(made, asked=Asked(control="B"))
    for metric in (differential, markers, fold_change):
        assert all("'B'" in str(item.reason) for item in metric.Metric().measure(made).values())


# --- coexpression, modules -------------------------------------------------------------------------------------------

BLOCKS = np.repeat(np.arange(5), [12, 15, 18, 0, 55])


def network(seed: int, noise: float = 0.6, common: float = 0.0) -> np.ndarray:
    """100 genes: three blocks of a factor each with graded loadings, 55 genes of noise; and label means on top of all."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(ROWS, 5))
    factor[:, 4] = 0.0
    loading = np.random.default_rng(9).uniform(0.5, 1.5, 100)
    x = factor[:, BLOCKS] * loading + noise * rng.normal(size=(ROWS, 100)) + common * rng.normal(size=(ROWS, 1))
    return x + 3.0 * (Y[:, None] == 1)


def shuffled(seed: int) -> np.ndarray:
    """The same marginals per label without dependence."""
    x, rng = network(seed), np.random.default_rng(seed)
    for c in range(3):
        x[c == Y] = rng.permuted(x[c == Y], axis=0)
    return x


def test_agreement_of_networks_against_sklearn() -> None:
    rng = np.random.default_rng(0)
    tables = []
    for _ in range(2):
        r = np.triu(rng.random((30, 30)), 1).astype(np.float32)
        tables.append(r + r.T)
    found = coexpression.agreement(tables[0] > 0.8, tables[1] > 0.8)
    upper = np.triu_indices(30, 1)
    expected = precision_recall_fscore_support(tables[1][upper] > 0.8, tables[0][upper] > 0.8, average="binary")
    assert tuple(found.values()) == pytest.approx(expected[:3], abs=1e-12)
    top, hubs = coexpression.strongest(*tables)
    order = [set(np.argsort(-table[upper])[:43]) for table in tables]  # 10 % of 435 pairs are fewer than 2 x 30
    assert top == len(order[0] & order[1]) / 43
    degrees = [np.bincount(np.concatenate([upper[0][list(o)], upper[1][list(o)]]), minlength=30) for o in order]
    assert hubs == pytest.approx(stats.spearmanr(*degrees).statistic)


def test_correlations_within_labels_against_numpy() -> None:
    made = pair(network(1), network(2), Y, network(3))
    found = coexpression.links(made.real, np.arange(3))
    x = made.real.log.astype(np.float64)
    x = x - np.stack([x[c == Y].mean(axis=0) for c in range(3)])[Y]
    np.testing.assert_allclose(found, np.corrcoef(x.T) - np.eye(100), atol=1e-5)
    some = coexpression.links(made.real, np.array([0, 2]))
    np.testing.assert_allclose(some, np.corrcoef(x[Y != 1].T) - np.eye(100), atol=1e-5)


def test_networks_known_complete_and_lost() -> None:
    real, fit = network(2), network(3)
    fresh = values(coexpression, pair(network(1), real, Y, fit))
    assert all(value is not None and value > 0.85 for value in fresh.values())
    same = values(coexpression, pair(real, real, Y, fit))
    assert all(value == pytest.approx(1.0) for value in same.values())
    # one factor for all genes: everything is linked with everything
    complete = coexpression.Metric().measure(pair(network(1, common=30.0), real, Y, fit))
    assert complete["coexpression.edge_recall"].value == 1.0
    base_rate = complete["coexpression.edge_precision"].detail["base_rate"]
    assert 0.03 < base_rate < 0.1
    assert complete["coexpression.edge_precision"].value == pytest.approx(base_rate)
    lost = values(coexpression, pair(shuffled(1), real, Y, fit))
    # no |r| of 180 independent rows comes near 0.5; the strongest of them are random pairs, 4 % of all
    assert lost["edge_recall"] == 0.0 and lost["edge_precision"] is None
    assert lost["top_edges"] < 0.12 and abs(lost["hubs"]) < 0.3  # type: ignore[operator,arg-type]
    weak = values(coexpression, pair(network(1, noise=1.2), real, Y, fit))
    assert weak["edge_recall"] < 0.8 and weak["edge_precision"] > 0.9  # type: ignore[operator]


def test_modules_are_the_planted_ones_and_shuffling_loses_them() -> None:
    fit = network(3)
    made = pair(network(1), network(2), Y, fit)
    found = modules.modules(np.abs(coexpression.links(made.fit, np.arange(3))), ROWS)
    blocks = [set(np.flatnonzero(BLOCKS[made.basis.genes] == block)) for block in range(3)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, blocks))
    fresh = values(modules, made)
    assert fresh["kme"] > 0.8 and fresh["z_density"] > 10  # type: ignore[operator]
    lost = values(modules, pair(shuffled(1), network(2), Y, fit))
    # Z of a lost module is about standard normal; the median of three of them exceeds 3 once in 180,000 times
    assert abs(lost["z_density"]) < 3 and lost["kme"] < 0.7  # type: ignore[operator,arg-type]
    noise = np.random.default_rng(0).normal(size=(ROWS, 100))
    none = modules.Metric().measure(pair(network(1), network(2), Y, noise))
    assert all("vary together" in str(item.reason) for item in none.values())


def test_kme_against_the_singular_vectors() -> None:
    x = network(4)[:, :12]
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    first = np.linalg.svd(z, full_matrices=False)[0][:, 0]
    expected = np.array([np.corrcoef(first, z[:, j])[0, 1] for j in range(12)])
    found = modules.kme(coexpression.correlated(x))
    np.testing.assert_allclose(found * np.sign(found[0]), expected * np.sign(expected[0]), atol=1e-5)


def test_preservation_against_brute_force() -> None:
    made = pair(network(1), network(2), Y, network(3))
    ours, theirs = (np.abs(coexpression.links(side, np.arange(3))) for side in (made.synthetic, made.real))
    group = np.arange(5, 20)
    dealt = np.random.default_rng(0).permuted(np.tile(np.arange(100), (400, 1)), axis=1)[:, :15]

    def statistics(genes: np.ndarray) -> tuple[float, float]:
        block, other = ours[np.ix_(genes, genes)], theirs[np.ix_(genes, genes)]
        return block[np.triu_indices(15, 1)].mean(), float(np.corrcoef(block.sum(axis=0), other.sum(axis=0))[0, 1])

    random = np.array([statistics(genes) for genes in dealt])
    expected = (np.array(statistics(group)) - random.mean(axis=0)) / random.std(axis=0, ddof=1)
    density, connectivity = modules.preservation(ours, theirs, [group], Stream(0))
    # other permutations, 100 of them: the standard deviation below a Z is known to about 7 %
    assert density[0] == pytest.approx(expected[0], rel=0.3)
    assert connectivity[0] == pytest.approx(expected[1], rel=0.3, abs=0.3)


# --- separation ------------------------------------------------------------------------------------------------------


def test_silhouettes_against_sklearn() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(41, 3)), np.append(np.arange(40) % 3, 3)
    expected = silhouette_samples(x, y)
    np.testing.assert_allclose(separation.silhouettes(distances(x, x), y), expected, atol=1e-9)


def test_variance_explained_against_its_definition() -> None:
    x = rows(1).astype(np.float64)
    found = separation.eta_squared(x, Y, np.arange(3))
    means = np.stack([x[c == Y].mean(axis=0) for c in range(3)])[Y]
    expected = np.square(means - x.mean(axis=0)).sum(axis=0) / np.square(x - x.mean(axis=0)).sum(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    f = stats.f_oneway(*(x[c == Y] for c in range(3))).statistic
    np.testing.assert_allclose(found, 2 * f / (2 * f + ROWS - 3), rtol=1e-9)
    x[:, 0] = 1.0
    assert separation.eta_squared(x, Y, np.arange(3))[0] == 0.0


def test_labels_too_close_too_far_and_lost() -> None:
    real, fit = rows(2), rows(3)
    same = values(separation, pair(real, real, Y, fit))
    assert same["silhouette"] == pytest.approx(1.0) and same["pve"] == pytest.approx(1.0)
    fresh = values(separation, pair(rows(1), real, Y, fit))
    assert fresh["silhouette"] == pytest.approx(1.0, abs=0.15) and fresh["pve"] == pytest.approx(1.0, abs=0.1)
    halved = values(separation, pair(rows(1, size=0.5), real, Y, fit))
    assert halved["silhouette"] < 0.7 and halved["pve"] < 0.6  # type: ignore[operator]
    sharp = values(separation, pair(rows(1, sd=0.5), real, Y, fit))
    assert sharp["silhouette"] > 1.2 and sharp["pve"] > 1.2  # type: ignore[operator]
    permuted = values(separation, pair(rows(1)[np.random.default_rng(0).permutation(ROWS)], real, Y, fit))
    assert permuted["silhouette"] < 0.2 and permuted["pve"] < 0.2  # type: ignore[operator]
    null = np.random.default_rng(1).normal(size=(ROWS, GENES))
    assert set(values(separation, pair(rows(1), null, Y, fit)).values()) == {None}


# --- gene sets -------------------------------------------------------------------------------------------------------

SETS = {
    "g000": tuple(f"g{i:03d}" for i in range(12)),
    "block two": tuple(f"g{i:03d}" for i in range(12, 27)),
    "block three": tuple(f"g{i:03d}" for i in range(27, 45)),
    "noise": (*(f"g{i:03d}" for i in range(45, 60)), "absent"),
    "unknown": ("not", "in", "the", "data", "at", "all"),
}


def with_sets(made: Pair, sets: dict[str, tuple[str, ...]] = SETS) -> Pair:
    return replace(made, asked=Asked(full=True, gene_sets=sets))


def test_gene_sets_must_be_given_and_must_match() -> None:
    made = pair(network(1), network(2), Y, network(3))
    none = gene_sets.Metric().measure(made)
    assert {item.reason for item in none.values()} == {"needs gene sets (--gene-sets FILE.gmt)"}
    unknown = gene_sets.Metric().measure(with_sets(made, {"unknown": SETS["unknown"]}))
    assert all("no gene set has 5 genes" in str(item.reason) for item in unknown.values())


@pytest.mark.parametrize("stored", [np.asarray, sparse.csr_matrix])
def test_scores_of_gene_sets_against_their_definition(stored: type) -> None:
    fit = network(3).astype(np.float32)
    made = with_sets(pair(network(1), network(2), Y, fit))
    sets = gene_sets.prepared(made)
    assert sets.names == ["block three", "block two", "g000", "noise"]
    x = made.synthetic.log_all
    z = (x.astype(np.float64) - fit.mean(axis=0)) / fit.astype(np.float64).std(axis=0, ddof=1)
    by_hand = [z[:, 27:45].mean(axis=1), z[:, 12:27].mean(axis=1), z[:, :12].mean(axis=1), z[:, 45:60].mean(axis=1)]
    np.testing.assert_allclose(sets.scores(stored(x)), np.stack(by_hand, axis=1), atol=1e-5)


def test_gene_sets_notice_what_is_lost() -> None:
    real, fit = network(2), network(3)
    same = values(gene_sets, with_sets(pair(real, real, Y, fit)))
    assert same["set_w1"] == 0.0
    assert all(same[part] == pytest.approx(1.0) for part in ("set_correlation", "s_tftg", "s_tgtg"))
    fresh = values(gene_sets, with_sets(pair(network(1), real, Y, fit)))
    lost = values(gene_sets, with_sets(pair(shuffled(1), real, Y, fit)))
    assert fresh["set_w1"] < 0.2 < lost["set_w1"]  # type: ignore[operator]
    assert fresh["s_tftg"] > 0.95 and fresh["s_tgtg"] > 0.95  # type: ignore[operator]
    # cosines of noise with the planted correlations: 11 and 55 numbers of standard deviation 0.07
    assert abs(lost["s_tftg"]) < 0.8 and abs(lost["s_tgtg"]) < 0.5  # type: ignore[arg-type]
    without = {name: genes for name, genes in SETS.items() if name != "g000"}
    found = gene_sets.Metric().measure(with_sets(pair(network(1), real, Y, fit), without))
    assert found["gene_sets.s_tftg"].reason == "no gene set is named after a gene of the data"
    assert found["gene_sets.set_w1"].value is not None


def test_gene_sets_do_not_depend_on_any_order() -> None:
    """The battery evaluates without gene sets; this is its axiom with them."""

    def told(order: np.ndarray, genes: np.ndarray, sets: dict[str, tuple[str, ...]]) -> dict[str, Score]:
        schema = Schema(
            space=Space.CONTINUOUS,
            features=tuple(f"g{i:03d}" for i in genes),
            labels=(LabelColumn(name="type", categories=LABELS),),
        )
        made = [Dataset.checked(network(i)[order][:, genes], schema, Y[order, None]) for i in (1, 2, 3)]
        report = evaluate(*made, metrics="gene_sets", gene_sets=sets)
        assert not report.failed
        return {name: score.model_copy(update={"seconds": 0.0}) for name, score in report.scores.items()}

    rng = np.random.default_rng(0)
    backwards = {name: genes[::-1] for name, genes in reversed(SETS.items())}
    plain = told(np.arange(ROWS), np.arange(100), SETS)
    assert told(rng.permutation(ROWS), rng.permutation(100), backwards) == plain
    for score in plain.values():
        assert score.ceiling is not None and score.interval is not None and score.normalised is not None
        assert score.normalised > 0.7


def test_cosines_of_regulators_against_brute_force() -> None:
    sets = {"g000": SETS["g000"], "g013": tuple(f"g{i:03d}" for i in range(12, 20)), "other": SETS["noise"]}
    made = with_sets(pair(network(1), network(2), Y, network(3)), sets)
    found = values(gene_sets, made)
    tables = []
    for x in (network(1), network(2)):
        x = x - np.stack([x[c == Y].mean(axis=0) for c in range(3)])[Y]
        tables.append(np.corrcoef(x.T))
    direct, mutual = [], []
    for regulator, targets in ((0, np.arange(1, 12)), (13, np.array([12, *range(14, 20)]))):
        a, b = (table[regulator, targets] for table in tables)
        direct.append((len(a), a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
        upper = np.triu_indices(len(targets), 1)
        a, b = (table[np.ix_(targets, targets)][upper] for table in tables)
        mutual.append((len(a), a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    for part, parts in (("s_tftg", direct), ("s_tgtg", mutual)):
        weights, cosines = zip(*parts, strict=True)
        assert found[part] == pytest.approx(np.average(cosines, weights=weights), abs=1e-5)
