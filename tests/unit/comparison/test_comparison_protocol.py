"""The comparison cannot be fooled: planted leaks are caught, useless rows gain nothing, one seed gives one result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from judged_splits import NAMES, arm, compared, design, ignores_test_rows
from toy_rows import dataset, normal, quick_train

from augmentor.comparison import features, learners, splits, verdict
from augmentor.comparison.arms import Generator, Sampler, duplicate, of_model
from augmentor.comparison.run import run
from augmentor.comparison.summary import Setting, summarised
from augmentor.core.dataset import Dataset
from augmentor.core.random import Stream


def holding(rows: Dataset, y: np.ndarray) -> Generator:
    """A generator with a secret: all rows of the data, also those that test."""

    def generator(train: Dataset, known: np.ndarray, seed: int) -> Sampler:
        def sampler(counts: np.ndarray, seed: int) -> Dataset:
            rng = np.random.default_rng(seed)
            chosen = [rng.choice(np.flatnonzero(y == code), int(n)) for code, n in enumerate(counts)]
            taken = rows.take(np.concatenate(chosen))
            return replace(taken, x=taken.x + rng.normal(0, 0.05, taken.x.shape).astype(np.float32))

        return sampler

    return generator


def permuted(train: Dataset, y: np.ndarray, seed: int) -> Sampler:
    """Training rows under labels that mean nothing."""

    def sampler(counts: np.ndarray, seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        codes = np.repeat(np.arange(len(counts)), counts).astype(np.int32)[:, None]
        return replace(train.take(rng.integers(len(train), size=len(codes))), codes=codes)

    return sampler


def test_a_generator_that_holds_the_test_rows_is_caught() -> None:
    """Its gain is large and false; the labels are noise. The honest models beside it are not accused."""
    data, y = normal((25, 25), 100, 1, effect=0.0)
    makers = {"smote": of_model("smote"), "gaussian": of_model("gaussian"), "secret": holding(data, y)}
    result = compared(data, y, design(makers, ratios=(5.0,)))
    secret = arm(result, "secret")
    assert secret.gains["balanced_accuracy"].mean > 0.1
    assert secret.leak and secret.verdict is None and secret.copies > 5 * verdict.COPIES
    assert not arm(result, "smote").leak and not arm(result, "gaussian").leak
    assert result["verdict"].verdict != "augment" and result["verdict"].arm != "secret"
    assert "secret takes no part" in result["verdict"].sentence


def test_nothing_that_is_learned_depends_on_test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Genes are selected, scaled, projected, generated and chosen without them."""
    data, y = normal((25, 20), 60, 2, effect=0.25)
    makers = {"duplicate": duplicate, "smote": of_model("smote"), "gaussian": of_model("gaussian")}
    plan = design(makers, learners=("lr", "rf"), genes=30)
    assert ignores_test_rows(data, y, plan, monkeypatch)


def test_genes_selected_before_the_split_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above, tested: a selection that remembers the first data set it saw, all its rows, is noticed."""
    data, y = normal((25, 20), 60, 2, effect=0.25)
    honest, everything = features.selection.select, []

    def spying(rows: Dataset, *others: object) -> object:
        everything[:] = [rows]
        return run(rows, *others)

    monkeypatch.setattr("judged_splits.run", spying)
    monkeypatch.setattr(features.selection, "select", lambda rows, count: honest(everything[0], count))
    assert not ignores_test_rows(data, y, design({"duplicate": duplicate}, genes=30), monkeypatch)


def test_labels_that_mean_nothing_stay_meaningless_unless_genes_were_selected_before() -> None:
    """Ten of 1,500 noise genes, chosen by label on all rows, 'tell apart' what cannot be; inside the splits they cannot."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 1500)), np.repeat([0, 1], 30)
    honest = compared(dataset(x, y), y, design({}, genes=500))
    gap = np.abs(x[y == 0].mean(axis=0) - x[y == 1].mean(axis=0))
    leaky = compared(dataset(x[:, np.argsort(-gap)[:10]], y), y, design({}))
    assert arm(leaky, "real_only").scores["balanced_accuracy"] > 0.75
    # 120 calls of noise: sd below 0.06, so 0.7 is more than three of them away
    assert arm(honest, "real_only").scores["balanced_accuracy"] < 0.7


def test_rows_repeated_before_the_split_inflate_and_inside_it_do_not() -> None:
    """Labels are noise. Repeated first, copies of test rows train; repeated inside, nothing is gained."""
    data, y = normal((30, 12), 100, 4, effect=0.0)
    more = np.concatenate([np.arange(len(y)), *[np.flatnonzero(y == 1)] * 2])
    before = compared(data.take(more), y[more], design({}))
    inside = compared(data, y, design({"duplicate": duplicate}))
    assert arm(before, "real_only").scores["balanced_accuracy"] > 0.75
    repeated = arm(inside, "duplicate")
    assert repeated.scores["balanced_accuracy"] < 0.65
    gain = repeated.gains["balanced_accuracy"]
    assert gain.low <= 0 <= gain.high


def test_useless_rows_gain_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows under permuted labels, 100 data sets: the interval of the gain contains 0 in 93 or more, and none says augment.

    The nominal rate is 95 %, the corrected interval is conservative (98 % and more on such data), so fewer than 93 of 100 has
    a probability below 1 in 1,000.
    """
    monkeypatch.setattr(learners, "train", quick_train)
    monkeypatch.setattr(learners, "PENALTIES", (0.1,))
    covered = 0
    for seed in range(100):
        data, y = normal((30, 20), 5, 100 + seed, effect=0.5)
        chosen = Setting(design({"permuted": permuted}), repeats=2, seed=seed)
        judged, _, _ = run(data, y, chosen)
        found = summarised(judged, [], chosen, NAMES[:2], [])
        gain = arm(found, "permuted").gains["balanced_accuracy"]
        covered += gain.low <= 0 <= gain.high
        assert found["verdict"].verdict != "augment"
    assert covered >= 93


def test_more_real_rows_are_recognised_as_a_help() -> None:
    """A generator of the true law (what a perfect one would draw) and the oracle both gain where rows are few."""
    data, y = normal((120, 120), 100, 5, effect=0.3)

    def perfect(train: Dataset, known: np.ndarray, seed: int) -> Sampler:
        def sampler(counts: np.ndarray, seed: int) -> Dataset:
            return normal(tuple(int(n) for n in counts), 100, 10_000 + seed % 2**20, effect=0.3)[0]

        return sampler

    chosen = Setting(design({"perfect": perfect}, ratios=(1.0, 5.0)), per_label=8)
    result = summarised(*run(data, y, chosen)[:2], chosen, NAMES[:2], [])
    assert result["verdict"].verdict == "augment", result["verdict"].sentence
    assert result["verdict"].ratio > 1 and arm(result, "perfect").used >= 20
    assert not arm(result, "perfect").leak  # fresh rows come as near to test rows as real ones
    assert arm(result, "oracle_more_real").gains["balanced_accuracy"].mean > 0.05
    assert arm(result, "oracle_more_real").kind == "oracle"
    curve = result["curve"]
    assert curve.points[0].score < curve.points[-1].score and curve.rows == pytest.approx(8)
    assert curve.worth is None or curve.worth > 5


def test_a_label_with_four_rows_leaves_the_answer_open() -> None:
    data, y = normal((30, 4), 10, 6, effect=2.0)
    result = compared(data, y, design({"smote": of_model("smote")}))
    assert result["verdict"].verdict == "not enough evidence"
    assert "fewer than 5 test rows of a label (b 4)" in result["verdict"].sentence
    assert arm(result, "smote").verdict == "not enough evidence"


def test_fewer_than_ten_splits_leave_the_answer_open() -> None:
    data, y = normal((20, 20), 10, 6, effect=2.0)
    chosen = Setting(design({"smote": of_model("smote")}), repeats=1)
    result = summarised(*run(data, y, chosen)[:2], chosen, NAMES[:2], [])
    assert result["verdict"].verdict == "not enough evidence" and "5 splits" in result["verdict"].sentence


def test_where_everything_is_right_no_generator_is_even_fitted() -> None:
    def never(rows: Dataset, y: np.ndarray, seed: int) -> Sampler:
        raise AssertionError("fitted for nothing")

    data, y = normal((20, 20), 10, 7, effect=9.0)
    result = compared(data, y, design({"never": never}))
    assert result["verdict"].verdict == "do not augment"
    assert (arm(result, "never").used, arm(result, "never").gains["balanced_accuracy"].high) == (0, 0.0)


def test_groups_stay_together_through_the_whole_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    data, y = normal((30, 30), 10, 8, effect=0.4)
    data = replace(data, groups=np.array([f"p{i % 12}" for i in range(60)], dtype=object))
    seen, known = [], splits.folded

    def folded(y: np.ndarray, groups: np.ndarray, folds: int, stream: Stream) -> np.ndarray:
        fold = known(y, groups, folds, stream)
        seen.append(all(len(set(fold[groups == name])) == 1 for name in set(groups)))
        return fold

    monkeypatch.setattr(splits, "folded", folded)
    compared(data, y, design({"duplicate": duplicate}))
    assert len(seen) == 2 + 10 and all(seen)


def test_repeating_all_rows_changes_a_regression_by_nothing() -> None:
    """More rows are not more training: the penalty is per real row."""
    data, y = normal((20, 20), 6, 9, effect=0.5)
    space = features.Features.fitted(data, None)
    rows = space.of(data, y)
    once = learners.train("lr", rows, 2, Stream(0), real=40, penalty=0.01)
    twice = learners.train("lr", rows.joined(rows), 2, Stream(0), real=40, penalty=0.01)
    np.testing.assert_allclose(once.probabilities(rows), twice.probabilities(rows), atol=1e-4)


def test_power_of_the_prior_is_a_threshold() -> None:
    p, prior = np.array([[0.7, 0.3], [0.85, 0.15]]), np.array([0.8, 0.2])
    np.testing.assert_array_equal(learners.called(p, prior, 0.0), [0, 0])
    np.testing.assert_array_equal(learners.called(p, prior, 1.0), [1, 0])


def test_scores_against_scikit_learn() -> None:
    from sklearn.metrics import (
        average_precision_score,
        balanced_accuracy_score,
        brier_score_loss,
        f1_score,
        roc_auc_score,
    )

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 50)
    p = np.round(rng.dirichlet(np.ones(3), 50), 1)  # with ties
    p[:, 0] = 1 - p[:, 1] - p[:, 2]
    calls = p.argmax(axis=1)
    found = learners.scores(truth, p, calls)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, calls))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, calls, average="macro"))
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, p, multi_class="ovr"))
    each = [average_precision_score(truth == c, p[:, c]) for c in range(3)]
    assert found["auprc"] == pytest.approx(np.mean(each))
    two = learners.scores(truth % 2, p[:, :2] / p[:, :2].sum(axis=1, keepdims=True), calls % 2)
    share = p[:, 1] / p[:, :2].sum(axis=1)
    assert two["brier"] == pytest.approx(brier_score_loss(truth % 2, share))
    assert np.isnan(learners.scores(np.zeros(4, dtype=int), p[:4], calls[:4])["auroc"])
