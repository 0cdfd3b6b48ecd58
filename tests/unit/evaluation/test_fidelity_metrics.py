"""Fidelity metrics against scipy, numpy, closed forms and double loops, and what each of them must notice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg, optimize, spatial, stats
from scipy.cluster import hierarchy
from small_rows import pair, sample

from augmentor.evaluation.contract import Measured
from augmentor.evaluation.metrics import (
    correlation,
    dendrogram,
    discriminator,
    divergence,
    embedding_overlap,
    frechet,
    hubness,
    mixing,
    moments,
    neighbors_adversarial,
    wasserstein,
)
from augmentor.evaluation.pair import Asked, Pair, Side, distances

FULL = Asked(full=True)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def dependent(rng: np.random.Generator, rows: int, columns: int = 12) -> np.ndarray:
    """Rows of two factors and a little noise: most of what can be known of them is dependence."""
    loadings = np.random.default_rng(5).normal(size=(2, columns))
    return rng.normal(size=(rows, 2)) @ loadings + 0.3 * rng.normal(size=(rows, columns))


def shuffled(x: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """The rows with a share of their columns shuffled: the same marginals, less dependence."""
    out = x.copy()
    columns = slice(0, round(share * x.shape[1]))
    out[:, columns] = rng.permuted(out[:, columns], axis=0)
    return out


def value(measured: Measured) -> float:
    assert measured.value is not None, measured.reason
    return measured.value


# --- Wasserstein -----------------------------------------------------------------------------------------------------


def test_sliced_wasserstein_of_a_shift_is_its_length_along_the_directions(rng: np.random.Generator) -> None:
    a, shift = rng.normal(size=(50, 6)), np.array([3.0, 0, 0, 4.0, 0, 0])
    assert wasserstein.sliced(a, a) == 0.0
    # the mean of (u v)^2 over unit directions is |v|^2 / d; 500 of them know it to about 5 %
    assert wasserstein.sliced(a + shift, a) == pytest.approx(5 / np.sqrt(6), rel=0.15)


def test_sliced_wasserstein_of_unequal_sizes_is_that_of_repeated_rows(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(6, 3)), rng.normal(size=(10, 3))
    same = wasserstein.sliced(np.repeat(a, 5, axis=0), np.repeat(b, 3, axis=0))
    assert wasserstein.sliced(a, b) == pytest.approx(same, abs=1e-12)
    directions = wasserstein._directions(3)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)
    loop = [np.mean((np.sort(a @ u) - np.sort(b[:6] @ u)) ** 2) for u in directions]
    assert wasserstein.sliced(a, b[:6]) == pytest.approx(np.sqrt(np.mean(loop)), abs=1e-12)


def test_assignment_against_scipy(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(20, 3)), rng.normal(size=(20, 3)) + 0.5
    assert wasserstein.assigned(a, b) == pytest.approx(stats.wasserstein_distance_nd(a, b), abs=1e-6)
    one = wasserstein.assigned(a[:, :1], b[:, :1])
    assert one == pytest.approx(stats.wasserstein_distance(a[:, 0], b[:, 0]), abs=1e-9)


def test_wasserstein_rewards_shrinkage_and_says_so(rng: np.random.Generator) -> None:
    y = np.arange(200) % 2
    a, b = (rng.normal(size=(200, 20)) + 4 * y[:, None] for _ in range(2))
    means = np.stack([a[y == code].mean(axis=0) for code in (0, 1)])[y]
    fresh = wasserstein.Metric().measure(pair(a, b, y))
    shrunk = wasserstein.Metric().measure(pair(means + 0.7 * (a - means), b, y))
    name = "wasserstein.w1_exact"
    assert value(shrunk[name]) < value(fresh[name])
    assert fresh[name].detail["dispersion_ratio"] == pytest.approx(1.0, abs=0.15)
    assert shrunk[name].detail["dispersion_ratio"] == pytest.approx(
        0.49 * fresh[name].detail["dispersion_ratio"], rel=1e-3
    )
    assert set(fresh[name].per_label) == {"c0", "c1"} and fresh[name].detail["rows"] == 200


def test_assignment_takes_as_many_rows_of_every_label(rng: np.random.Generator) -> None:
    y = np.repeat([0, 1], [1500, 300])
    made = pair(rng.normal(size=(1800, 3)), rng.normal(size=(1800, 3)), y)
    a, b = wasserstein._equal_rows(made)
    assert len(a) == len(b) <= wasserstein.ASSIGNED_ROWS
    np.testing.assert_array_equal(np.bincount(y[a]), np.bincount(y[b]))
    assert not np.array_equal(a, np.arange(len(a)))


# --- Fréchet ---------------------------------------------------------------------------------------------------------


def test_frechet_against_sqrtm_and_the_closed_form(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + 1, rng.normal(size=(60, 4))
    first, second = np.cov(a.T), np.cov(b.T)
    root = np.real(linalg.sqrtm(second @ first))
    expected = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + np.trace(first + second - 2 * root)
    assert frechet.frechet(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet.frechet(b, b) == pytest.approx(0.0, abs=1e-9)
    one = frechet.frechet(a[:, :1], b[:, :1])
    sd = [x[:, 0].std(ddof=1) for x in (a, b)]
    assert one == pytest.approx((a[:, 0].mean() - b[:, 0].mean()) ** 2 + (sd[0] - sd[1]) ** 2)


def test_frechet_needs_ten_rows_a_component(rng: np.random.Generator) -> None:
    few = frechet.Metric().measure(pair(rng.normal(size=(90, 10)), rng.normal(size=(90, 10))))["frechet"]
    assert few.value is None and few.reason == "90 rows a side; 10 components need 100"
    enough = frechet.Metric().measure(pair(rng.normal(size=(100, 10)), rng.normal(size=(100, 10))))["frechet"]
    assert value(enough) > 0


# --- mixing ----------------------------------------------------------------------------------------------------------


def test_mixing_against_the_double_loop(rng: np.random.Generator) -> None:
    made = pair(rng.normal(size=(30, 3)) * 0.8, rng.normal(size=(30, 3)))
    s, x = made.synthetic.pcs, made.real.pcs
    union, kind = np.concatenate([s, x]), np.repeat([0, 1], 30)
    expected = []
    for mine in (0, 1):
        shares = []
        for i in np.flatnonzero(kind == mine):
            order = [j for j in np.argsort(np.linalg.norm(union - union[i], axis=1)) if j != i][:6]
            shares.append(np.mean(kind[order] != mine) / (30 / 59))
        expected.append(np.mean(shares))
    found = mixing.mixing(made)
    assert found is not None and found[2] == 6
    assert found[:2] == pytest.approx(expected, abs=1e-12)


def test_mixing_of_equal_sets_has_the_twin_and_seven_of_fourteen(rng: np.random.Generator) -> None:
    b = rng.normal(size=(100, 4))
    found = mixing.mixing(pair(b, b))
    assert found is not None
    assert found[:2] == pytest.approx([8 / 15 * 199 / 100] * 2)


def test_mixing_does_not_depend_on_the_order_of_rows_at_one_distance() -> None:
    # 10 neighbours of either kind at the same distance: half of any 15
    within, between = np.ones((11, 11)) - np.eye(11), np.ones((11, 10))
    assert mixing.other_share(within, between, 15) == pytest.approx(0.5 * 20 / 10)


def test_mixing_shows_shrinkage_on_one_side_and_a_lost_group_on_the_other(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(200, 10)), rng.normal(size=(200, 10))
    fresh = mixing.Metric().measure(pair(a, b))
    shrunk = mixing.Metric().measure(pair(0.4 * a, b))
    assert value(fresh["mixing.synthetic"]) == pytest.approx(1.0, abs=0.1)
    assert value(shrunk["mixing.synthetic"]) < 0.3 and value(shrunk["mixing.real"]) > 1.1
    wide = mixing.Metric().measure(pair(2.5 * a, b))
    assert value(wide["mixing.synthetic"]) > 1.1 and value(wide["mixing.real"]) < 0.3
    # one of two groups lost: a third of the rows around any synthetic row are real, and none around half of the real ones
    lost = mixing.Metric().measure(pair(a + 8, b + np.where(np.arange(200)[:, None] % 2, 8.0, -8.0)))
    assert value(lost["mixing.synthetic"]) == pytest.approx(2 / 3, abs=0.1)
    assert value(lost["mixing.real"]) == pytest.approx(2 / 3, abs=0.1)
    assert set(fresh) == {"mixing.synthetic", "mixing.real"}


def test_lisi_weights_and_index_against_a_root_finder(rng: np.random.Generator) -> None:
    gaps = np.sort(rng.gamma(3.0, 2.0, (4, 89)), axis=1)
    weights = mixing.perplexed(gaps, 30)

    def soft(beta: float, row: np.ndarray) -> np.ndarray:
        p = np.exp(-beta * (row - row.min()))
        return p / p.sum()

    for row, found in zip(gaps, weights, strict=True):
        beta = optimize.brentq(lambda b, r=row: stats.entropy(soft(b, r)) - np.log(30), 1e-6, 1e3)
        np.testing.assert_allclose(found, soft(beta, row), atol=1e-8)
    kinds = rng.integers(0, 3, (4, 89))
    expected = [1 / sum(w[k == c].sum() ** 2 for c in range(3)) for w, k in zip(weights, kinds, strict=True)]
    np.testing.assert_allclose(mixing.inverse_simpson(weights, kinds), expected)
    np.testing.assert_allclose(mixing.perplexed(np.ones((1, 89)), 30), 1 / 89)


def test_lisi_runs_from_apart_to_mixed_and_counts_labels(rng: np.random.Generator) -> None:
    y = np.arange(120) % 3
    place = 10.0 * np.eye(6)[y]
    a, b = rng.normal(size=(120, 6)) + place, rng.normal(size=(120, 6)) + place

    def told(a: np.ndarray, labels: np.ndarray = y) -> dict[str, Measured]:
        return dict(mixing.Metric().measure(replace(pair(a, b, labels), asked=FULL)))

    mixed, apart = told(a), told(a + 50)
    assert value(mixed["mixing.lisi"]) > 1.85 and value(apart["mixing.lisi"]) == pytest.approx(1.0, abs=1e-6)
    assert mixed["mixing.lisi"].detail["ilisi"] == pytest.approx(value(mixed["mixing.lisi"]) - 1)
    assert value(mixed["mixing.label_lisi"]) < 1.2
    none = told(rng.normal(size=(120, 6)))["mixing.label_lisi"]
    assert none.detail["scale"] == "1 to 3" and value(none) > value(mixed["mixing.label_lisi"]) + 0.3
    assert set(mixed["mixing.lisi"].per_label) == {"c0", "c1", "c2"}
    few = mixing.Metric().measure(replace(pair(a[:40], b[:40]), asked=FULL))
    assert few["mixing.lisi"].value is None and "90 neighbours" in str(few["mixing.lisi"].reason)


# --- hubness ---------------------------------------------------------------------------------------------------------


def test_hubness_against_the_loop_and_scipy_skew(rng: np.random.Generator) -> None:
    made = pair(rng.normal(size=(60, 5)), rng.normal(size=(60, 5)))
    gaps = spatial.distance.cdist(made.synthetic.pcs, made.real.pcs)
    counts = np.zeros(60)
    for column in gaps.T:
        counts[np.argsort(column)[:10]] += 1
    found = hubness.hubness(made)
    assert found is not None
    assert found == pytest.approx((stats.skew(counts), np.mean(counts == 0)), abs=1e-9)


def test_junk_rows_are_orphans_and_scattered_rows_leave_hubs(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(200, 10)), rng.normal(size=(200, 10))
    fresh = hubness.Metric().measure(pair(a, b))
    junk = a.copy()
    junk[:60] += 40
    assert value(hubness.Metric().measure(pair(junk, b))["hubness.orphans"]) == pytest.approx(0.3, abs=0.03)
    wide = hubness.Metric().measure(pair(3 * a, b))
    assert value(wide["hubness.skewness"]) > value(fresh["hubness.skewness"]) + 0.5
    # all rows at one place serve alike: there is no skewness to tell
    flat = hubness.Metric().measure(pair(np.zeros((40, 3)), rng.normal(size=(40, 3))))
    assert flat["hubness.skewness"].value is None and flat["hubness.orphans"].value == 0.0


# --- adversarial accuracy --------------------------------------------------------------------------------------------


def copies_pair(synthetic: np.ndarray, real: np.ndarray, train: np.ndarray) -> Pair:
    made = pair(synthetic, real)
    return replace(made, train=Side(sample(train), made.basis))


def test_adversarial_accuracy_against_the_loop(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    between, own = spatial.distance.cdist(a, b), spatial.distance.cdist(a, a)
    expected = np.mean([between[i].min() > min(own[i, j] for j in range(20) if j != i) for i in range(20)])
    assert neighbors_adversarial.accuracy(a, b)[0] == expected
    assert neighbors_adversarial.accuracy(b, a) == neighbors_adversarial.accuracy(a, b)[::-1]
    # a row that is there itself is nearer than any other: the stated value of equal sets is 0
    assert neighbors_adversarial.accuracy(b, b) == (0.0, 0.0)


def test_adversarial_accuracy_of_fresh_shrunk_and_copied_rows(rng: np.random.Generator) -> None:
    fresh, real, train = (rng.normal(size=(300, 8)) for _ in range(3))
    metric = neighbors_adversarial.Metric()
    real_name, made_name = (spec.name for spec in metric.scores)
    told = metric.measure(copies_pair(fresh, real, train))
    # a share of 300 dependent comparisons has a standard deviation of about 0.03
    assert value(told[real_name]) == pytest.approx(0.5, abs=0.12)
    assert value(told[made_name]) == pytest.approx(0.5, abs=0.12)
    assert told[real_name].detail["privacy_loss"] == pytest.approx(0.0, abs=0.12)
    shrunk = metric.measure(copies_pair(0.5 * fresh, real, train))
    assert value(shrunk[made_name]) > 0.8 > 0.7 > value(shrunk[real_name])
    copied = metric.measure(copies_pair(train, real, train))
    assert value(copied[real_name]) == pytest.approx(0.5, abs=0.12)
    assert copied[real_name].detail["privacy_loss"] > 0.35
    few = metric.measure(copies_pair(np.ones((300, 8)), real, train))
    assert few[real_name].value is None and "1 distinct rows" in str(few[real_name].reason)


# --- trees of genes --------------------------------------------------------------------------------------------------


def test_dendrogram_against_scipy(rng: np.random.Generator) -> None:
    a, b = (dependent(rng, 40) for _ in range(2))
    made = pair(a, b)
    found = dendrogram.Metric().measure(made)
    gaps = [
        spatial.distance.squareform(1 - np.corrcoef(side.log.astype(float).T), checks=False)
        for side in (made.synthetic, made.real)
    ]
    trees = [hierarchy.cophenet(hierarchy.linkage(gap, "complete")) for gap in gaps]
    fits = [np.corrcoef(gap, tree)[0, 1] for gap, tree in zip(gaps, trees, strict=True)]
    assert found["dendrogram.s_dist"].value == pytest.approx(np.corrcoef(gaps)[0, 1], abs=1e-6)
    assert found["dendrogram.s_dend"].value == pytest.approx(np.corrcoef(trees)[0, 1], abs=1e-6)
    assert found["dendrogram.s_sdcc"].value == pytest.approx((fits[0] - fits[1]) ** 2, abs=1e-6)


def test_dendrogram_of_equal_and_of_independent_genes(rng: np.random.Generator) -> None:
    b = dependent(rng, 120)
    same = dendrogram.Metric().measure(pair(b, b))
    assert value(same["dendrogram.s_dist"]) == pytest.approx(1.0)
    assert value(same["dendrogram.s_dend"]) == pytest.approx(1.0)
    assert value(same["dendrogram.s_sdcc"]) == pytest.approx(0.0, abs=1e-12)
    broken = dendrogram.Metric().measure(pair(shuffled(b, 1.0, rng), b))
    assert abs(value(broken["dendrogram.s_dist"])) < 0.4 and value(broken["dendrogram.s_dend"]) < 0.6
    none = dendrogram.Metric().measure(pair(np.ones((40, 6)), rng.normal(size=(40, 6))))
    assert all(item.value is None and item.reason for item in none.values())


# --- moments ---------------------------------------------------------------------------------------------------------


def test_trend_of_halved_deviations_is_the_logarithm_of_a_quarter(rng: np.random.Generator) -> None:
    b = rng.normal(size=(150, 60)) * np.linspace(0.5, 2, 60) + 10 + np.linspace(0, 20, 60)
    mean = b.mean(axis=0)

    def trend(a: np.ndarray) -> Measured:
        return moments.Metric().measure(replace(pair(a, b), asked=FULL))["moments.trend"]

    assert value(trend(b)) == 0.0
    assert value(trend(mean + 0.5 * (b - mean))) == pytest.approx(np.log(4), abs=1e-3)
    # one variance for all genes: the curve is flat where the real one rises
    assert value(trend(mean + (b - mean) / b.std(axis=0))) > 0.5
    assert value(trend(np.tile(mean, (150, 1)))) > 5
    assert "moments.trend" not in moments.Metric().measure(pair(b, b))


def test_dispersion_detail_is_that_of_variances_within_labels(rng: np.random.Generator) -> None:
    y = np.arange(120) % 2
    b = rng.normal(size=(120, 20)) + 10 + 8 * y[:, None]
    mean = np.stack([b[y == code].mean(axis=0) for code in (0, 1)])[y]
    found = moments.Metric().measure(pair(mean + 0.5 * (b - mean), b, y))["moments.variance"]
    assert found.detail["quartiles"] == pytest.approx([0.25, 0.25], rel=1e-3)
    assert found.detail["log_variance_r"] == pytest.approx(1.0, abs=1e-6)


# --- divergences -----------------------------------------------------------------------------------------------------


def test_neighbour_divergence_against_the_loop(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(18, 2)) + 0.3, rng.normal(size=(20, 2))
    total = 0.0
    for i in range(20):
        own = sorted(np.linalg.norm(b[i] - b[j]) for j in range(20) if j != i)[4]
        other = sorted(np.linalg.norm(b[i] - x) for x in a)[4]
        total += np.log(other / own)
    expected = 2 / 20 * total + np.log(18 / 19)
    assert divergence.neighbour_kl(a, b, 5) == pytest.approx(expected, abs=1e-12)
    assert divergence.neighbour_kl(np.zeros((18, 2)), np.zeros((20, 2)), 5) is None


def test_divergences_of_gaussians_in_closed_form(rng: np.random.Generator) -> None:
    """KL of N(0, I) from N(mu, s^2 I): d ln s + (d + |mu|^2) / (2 s^2) - d / 2."""
    scale, shift, dims = 1.5, 0.4, 3
    expected = dims * np.log(scale) + (dims + dims * shift**2) / (2 * scale**2) - dims / 2
    a, b = scale * rng.normal(size=(4000, dims)) + shift, rng.normal(size=(4000, dims))
    assert divergence.gaussian_kl(a, b) == pytest.approx(expected, abs=0.03)
    assert divergence.neighbour_kl(a, b, 5) == pytest.approx(expected, abs=0.1)
    assert divergence.gaussian_kl(b, b) == pytest.approx(0.0, abs=1e-9)
    assert divergence.gaussian_kl(np.zeros((50, 2)), rng.normal(size=(50, 2))) > 100  # type: ignore[operator]
    assert divergence.gaussian_kl(a, np.ones((50, dims))) is None


def test_joint_divergences_need_a_hundred_rows_of_a_label(rng: np.random.Generator) -> None:
    y = np.repeat([0, 1], [150, 60])
    metric = divergence.Metric()
    made = pair(rng.normal(size=(210, 12)), rng.normal(size=(210, 12)), y)
    for name in ("divergence.latent", "divergence.gaussian"):
        told = metric.measure(made)[name]
        assert told.per_label["c0"] == told.value and told.per_label["c1"] is None
        half = metric.measure(made.half(0))[name]
        assert half.per_label["c0"] == half.value and half.per_label["c1"] is None
    small = metric.measure(pair(rng.normal(size=(60, 12)), rng.normal(size=(60, 12))))
    assert small["divergence.latent"].value is None
    assert small["divergence.latent"].reason == "fewer than 100 rows a side"
    assert small["divergence.jsd"].value is not None


# --- correlations, detectors, the map --------------------------------------------------------------------------------


def test_error_of_all_correlations_against_numpy(rng: np.random.Generator) -> None:
    a, b = dependent(rng, 50), dependent(rng, 50)
    made = pair(a, b)
    upper = np.triu_indices(12, 1)
    c = [np.corrcoef(side.log.astype(float).T)[upper] for side in (made.synthetic, made.real)]
    found = correlation.Metric().measure(made)
    assert found["correlation.all_pairs"].value == pytest.approx(np.abs(c[0] - c[1]).mean(), abs=1e-6)
    strong = np.abs(c[1]) > 0.5
    assert found["correlation.error"].value == pytest.approx(np.abs(c[0] - c[1])[strong].mean(), abs=1e-6)
    assert found["correlation.error"].detail["pairs"] == strong.sum()


def test_detectors_name_the_genes_that_betray_the_rows(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discriminator, "TREES", 20)
    a, b = rng.normal(size=(120, 15)), rng.normal(size=(120, 15))
    a[:, 3] *= 3.0
    made = replace(pair(a, b), asked=FULL)
    found = discriminator.Metric().measure(made)
    for name in ("hgb_genes", "hgb_pcs", "rf_genes"):
        assert value(found[f"discriminator.{name}"]) > 0.65
    # a difference of spread has no direction
    assert value(found["discriminator.lr_genes"]) < 0.65
    telling = found["discriminator.rf_genes"].detail["most_telling"]
    assert max(telling, key=telling.get) == "g3" and 0 < sum(telling.values()) <= 1 and len(telling) == 10
    quiet = discriminator.Metric().measure(replace(made, arm="ceiling", asked=Asked()))
    assert "most_telling" not in quiet["discriminator.rf_genes"].detail
    assert not any("hgb" in name for name in quiet)


def test_boosted_trees_are_blind_to_real_rows(rng: np.random.Generator) -> None:
    aucs = []
    for _ in range(3):
        task = discriminator._Task(pair(rng.normal(size=(120, 8)), rng.normal(size=(120, 8))))
        aucs.append(value(task.run("hgb", task.pcs)))
    # an AUC over 240 rows has a standard deviation of about 0.04, the mean of three of 0.023: four of them
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.09)


def test_map_tells_mixing_and_the_worst_label(rng: np.random.Generator) -> None:
    y = np.arange(120) % 2
    place = np.where(y[:, None] == 1, 6.0, -6.0)
    a, b = rng.normal(size=(120, 5)) + place, rng.normal(size=(120, 5)) + place
    a[y == 1] += 8
    # fewer fitting rows than a map of neighbourhoods needs: the first two components stand for it
    made = pair(a, b, y, fit=b[:40])
    found = embedding_overlap.Metric().measure(made)["embedding_overlap"]
    assert found.detail["map"] == "PC 1 and 2" and found.detail["worst_label"] == "c1"
    assert found.detail["mixing_synthetic"] < 0.8 and found.detail["mixing_real"] < 0.8
    half = embedding_overlap.Metric().measure(made.half(0))["embedding_overlap"]
    assert "mixing_real" not in half.detail


# --- axioms ----------------------------------------------------------------------------------------------------------

# score -> whether it grows (1) or falls (-1) with the dependence that is lost
GRADED = {
    "wasserstein.sliced": 1,
    "wasserstein.w1_exact": 1,
    "frechet": 1,
    "divergence.latent": 1,
    "divergence.gaussian": 1,
    "mixing.real": -1,
    "mixing.lisi": -1,
    "hubness.skewness": 1,
    "hubness.orphans": 1,
    "dendrogram.s_dist": -1,
    "correlation.all_pairs": 1,
}
METRICS = (wasserstein, frechet, divergence, mixing, hubness, dendrogram, correlation)


def test_scores_grow_worse_with_the_dependence_that_is_lost(rng: np.random.Generator) -> None:
    a, b = dependent(rng, 240), dependent(rng, 240)
    told: dict[str, list[float]] = {name: [] for name in GRADED}
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        made = replace(pair(shuffled(a, share, rng), b), asked=FULL)
        measured = {name: item for module in METRICS for name, item in module.Metric().measure(made).items()}
        for name in GRADED:
            told[name].append(value(measured[name]))
    for name, direction in GRADED.items():
        assert stats.spearmanr(range(5), told[name]).statistic * direction > 0.89, (name, told[name])


def test_distances_of_equal_sets_are_nothing(rng: np.random.Generator) -> None:
    b = dependent(rng, 150)
    made = replace(pair(b, b), asked=FULL)
    assert (np.diag(distances(made.synthetic.pcs, made.real.pcs)) == 0).all()
    for module, names in (
        (wasserstein, ("wasserstein.sliced", "wasserstein.w1_exact")),
        (frechet, ("frechet",)),
        (divergence, ("divergence.gaussian",)),
        (correlation, ("correlation.all_pairs",)),
        (moments, ("moments.trend",)),
    ):
        found = module.Metric().measure(made)
        assert all(value(found[name]) == pytest.approx(0.0, abs=1e-8) for name in names)


@pytest.mark.parametrize("module", METRICS)
def test_order_of_rows_does_not_matter(module: object, rng: np.random.Generator) -> None:
    # rows of one label in another order; subsamples would be others, but 60 rows are never subsampled
    a, b = dependent(rng, 60), dependent(rng, 60)
    order = rng.permutation(60)
    metric = module.Metric()  # type: ignore[attr-defined]
    before, after = (metric.measure(replace(pair(x, b), asked=FULL)) for x in (a, a[order]))
    for name, item in before.items():
        if item.value is not None:
            assert after[name].value == pytest.approx(item.value, rel=1e-9), name
