"""Membership attacks against their definitions, what the privacy verdict makes of them, and distances in the tail."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from augmentor.core.dataset import Dataset
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation.metrics import membership, nearest_train
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Ceiling, Interval, Report, Score
from augmentor.evaluation.verdicts import CAUTION, STORES, verdicts

ATTACKS = ("gan_leaks", "calibrated", "monte_carlo", "domias")
PRIVACY = ("membership", "nearest_train", "duplicates")


def _rows(seed: int, n: int = 240, p: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Correlated positive values of two labels."""
    law = np.random.default_rng(3)
    loadings, effect = law.normal(size=(4, p)), law.normal(size=(2, p))
    rng = np.random.default_rng([seed, 5])
    y = np.arange(n) % 2
    x = 5 + effect[y] + rng.normal(size=(n, 4)) @ loadings + rng.normal(size=(n, p))
    return np.maximum(x, 0).astype(np.float32), y


def _dataset(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> Dataset:
    label = LabelColumn(name="type", categories=("A", "B"))
    schema = Schema(space=Space.LOG, features=tuple(f"g{i}" for i in range(x.shape[1])), labels=(label,))
    return Dataset.checked(x, schema, y[:, None].astype(np.int32), groups=groups)


def _report(made: tuple[np.ndarray, np.ndarray], n: int = 240, **more: object) -> Report:
    train, holdout = _rows(1, n), _rows(2, n)
    return evaluate(*(_dataset(*rows) for rows in (made, train, holdout)), metrics=PRIVACY, **more)  # type: ignore[arg-type]


# --- definitions --------------------------------------------------------------------------------------------------------


def test_auc_is_that_of_sklearn_and_its_sd_that_of_delong() -> None:
    rng = np.random.default_rng(0)
    a, b = np.round(rng.normal(0.5, 1, 60), 1), np.round(rng.normal(0, 1, 40), 1)
    value, sd = membership.auc_and_sd(a, b)
    assert value == pytest.approx(roc_auc_score(np.repeat([1, 0], [60, 40]), np.concatenate([a, b])), abs=1e-12)
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    expected = np.var(wins.mean(axis=1), ddof=1) / 60 + np.var(wins.mean(axis=0), ddof=1) / 40
    assert sd == pytest.approx(np.sqrt(expected), abs=1e-12)


def test_rows_of_one_group_count_once() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.5, 1, 60), rng.normal(0, 1, 40)
    thrice = np.repeat(a, 3), np.repeat(b, 3)
    groups = np.repeat(np.arange(60), 3), np.repeat(np.arange(40), 3)
    value, sd = membership.auc_and_sd(*thrice, groups)
    assert (value, sd) == pytest.approx(membership.auc_and_sd(a, b))
    assert membership.auc_and_sd(*thrice)[1] < 0.62 * sd


def test_true_positive_rate_is_read_below_the_level() -> None:
    rng = np.random.default_rng(1)
    members, few = rng.normal(1, 1, 200), rng.normal(0, 1, 50)
    # 50 non-members: none may be above the threshold, and the first point above 1 % must not be taken
    assert membership.tpr_at(members, few) == np.mean(members > few.max())
    many = np.round(rng.normal(0, 1, 730), 1)
    members = np.round(members, 1)
    fpr, tpr, _ = roc_curve(np.repeat([1, 0], [200, 730]), np.concatenate([members, many]), drop_intermediate=False)
    assert membership.tpr_at(members, many) == pytest.approx(tpr[fpr <= 0.01].max())


def test_members_are_matched_label_by_label() -> None:
    rng = np.random.default_rng(0)
    train, real = np.repeat([0, 1, 2], [100, 10, 5]), np.repeat([0, 1], [20, 30])
    members, others = membership.matched(train, real, rng)
    assert np.bincount(train[members]).tolist() == [20, 10] and np.bincount(real[others]).tolist() == [20, 10]


# --- attacks ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copies() -> Report:
    return _report(_rows(1), full=True)


def test_copies_are_found_by_every_attack(copies: Report) -> None:
    for attack in ATTACKS:
        score = copies[attack]
        assert score.value is not None and score.value > 0.9, attack
        assert score.interval is not None and score.interval.low > 0.9
        assert set(score.per_label) == {"A", "B"}
    assert copies["gan_leaks_tpr"].value == 1.0


def test_fresh_rows_are_not_told_apart_and_neither_is_the_ceiling() -> None:
    # two-sided, 4 standard deviations, 5 scores x 2 arms: a false alarm in about one of 1,500 seeds; the seed is fixed
    report = _report(_rows(3), full=True)
    for name in (*ATTACKS, "gan_leaks_tpr"):
        score = report[name]
        assert score.value is not None and score.interval is not None and score.ceiling is not None
        ideal = 0.01 if name == "gan_leaks_tpr" else 0.5
        sd = max((score.interval.high - score.value) / 1.96, 0.01)
        assert abs(score.value - ideal) < 4 * sd, name
        assert abs(score.ceiling.mean - ideal) < 4 * max(score.ceiling.sd, 0.01), name
    assert report.verdicts["privacy"].verdict == "no leak found by these attacks"


def test_noisy_copies_of_a_tenth_are_named_at_one_percent_false_alarms() -> None:
    (x, y), (fresh, labels) = _rows(1, 400), _rows(3, 400)
    rng = np.random.default_rng(0)
    fresh[:40] = np.maximum(x[:40] + rng.normal(0, 0.01, (40, x.shape[1])), 0)
    report = evaluate(_dataset(fresh, labels), _dataset(x, y), _dataset(*_rows(2, 400)), metrics=PRIVACY)
    assert report["gan_leaks"].value < 0.6, "an average over all rows hides a few of them"
    assert report["gan_leaks_tpr"].value > 0.07
    assert report["duplicates.exact"].value == 0.0 and report["near"].value > 0.07


def test_far_rows_do_not_underflow_to_ties() -> None:
    train, holdout = (_rows(seed) for seed in (1, 2))
    noisy = train[0] + np.random.default_rng(0).normal(0, 0.5, train[0].shape).astype(np.float32)
    sets = ((np.maximum(noisy, 0), train[1]), train, holdout)
    report = evaluate(*(_dataset(x * np.float32(1000), y) for x, y in sets), metrics=["membership"])
    # nearest rows are hundreds apart, where exp(-d^2) is 0 for everybody and the AUC would be 0.5
    assert report["gan_leaks"].value > 0.9


def test_few_non_members_are_a_reason_that_says_what_one_is_worth() -> None:
    report = _report(_rows(3, 60), n=60)
    assert report["gan_leaks"].value is not None
    assert report["gan_leaks_tpr"].skipped == (
        "only 30 held-out rows, one held-out row is worth 0.033 of the false-positive rate; 100 are needed"
    )
    report = _report(_rows(3, 8), n=8)
    assert "10 are needed" in str(report["gan_leaks"].skipped)


def test_the_interval_says_what_a_row_is_worth(copies: Report) -> None:
    score = copies["gan_leaks_tpr"]
    assert score.interval is not None and "one held-out row is worth 0.0083" in score.interval.method
    assert score.detail["false_positives_allowed"] == 1


def test_full_attacks_are_left_out_of_the_default() -> None:
    assert "membership.domias" not in _report(_rows(3)).scores


# --- nearest rows and repeats -------------------------------------------------------------------------------------------


def test_tail_of_distances_is_in_the_detail(copies: Report) -> None:
    detail = copies["nearest_train.ratio"].detail
    for name in ("distance_to_train", "neighbour_distance_ratio"):
        assert detail[name]["percentiles"] == [1, 5, 25, 50, 75]
        assert detail[name]["synthetic"] == [0.0] * 5
        assert detail[name]["holdout"] == sorted(detail[name]["holdout"]) and detail[name]["holdout"][0] > 0
    assert copies["nearest_train.ratio"].value == 0.0


def test_a_repeated_training_row_singles_out_nobody() -> None:
    gaps = nearest_train._gap(np.array([[0.0, 0.0], [0.0, 2.0], [1.0, 2.0]]))
    assert gaps.tolist() == [1.0, 0.0, 0.5]


def test_verbatim_rows_have_an_interval_and_a_share_by_label() -> None:
    (x, y), (fresh, labels) = _rows(1), _rows(3)
    fresh[:60:2] = x[:60:2]
    report = evaluate(_dataset(fresh, labels), _dataset(x, y), _dataset(*_rows(2)), metrics=["duplicates"])
    score = report["duplicates.exact"]
    assert score.value == pytest.approx(30 / 240)
    assert score.per_label["A"].value == pytest.approx(30 / 120) and score.per_label["B"].value == 0.0
    assert score.interval is not None and 0.05 < score.interval.low < score.value < score.interval.high < 0.2


# --- verdict ------------------------------------------------------------------------------------------------------------


def _score(name: str, value: float, half: float, ceiling: float) -> Score:
    file, _, part = name.partition(".")
    module = {"membership": membership, "nearest_train": nearest_train}[file]
    spec = next(spec for spec in module.Metric.scores if spec.name == f"{file}.{part}")
    interval = Interval(low=value - half, high=value + half, method="")
    return Score(spec=spec, value=value, interval=interval, ceiling=Ceiling(mean=ceiling, sd=half / 2, draws=2))


HARMLESS = {"nearest_train.excess": (0.0, 0.1, 0.01), "membership.gan_leaks": (0.51, 0.04, 0.5)}


def _privacy(**changed: tuple[float, float, float]) -> dict[str, Score]:
    told = HARMLESS | {name.replace("__", "."): numbers for name, numbers in changed.items()}
    return {name: _score(name, *numbers) for name, numbers in told.items()}


def test_one_successful_attack_is_a_leak() -> None:
    assert verdicts(_privacy(), holdout=True)["privacy"].verdict == "no leak found by these attacks"
    for changed in (
        {"membership__gan_leaks": (0.7, 0.05, 0.5)},
        {"membership__domias": (0.7, 0.05, 0.5)},
        {"membership__gan_leaks_tpr": (0.12, 0.03, 0.01)},
        {"nearest_train__excess": (0.5, 0.1, 0.01)},
    ):
        verdict = verdicts(_privacy(**changed), holdout=True)["privacy"]
        assert verdict.verdict == "leak found"
        assert next(iter(changed)).replace("__", ".") in verdict.sentence


def test_what_real_rows_score_too_is_no_leak() -> None:
    for changed in (
        {"membership__gan_leaks": (0.6, 0.06, 0.5)},
        {"membership__gan_leaks": (0.7, 0.02, 0.68)},
        {"membership__gan_leaks_tpr": (0.05, 0.03, 0.02)},
    ):
        assert verdicts(_privacy(**changed), holdout=True)["privacy"].verdict == "no leak found by these attacks"


def test_sets_that_differ_by_themselves_decide_nothing() -> None:
    leak = _privacy(membership__gan_leaks=(0.9, 0.02, 0.5))
    assert verdicts(leak, holdout=True, shifted=True)["privacy"].verdict == "not tested"


@pytest.mark.parametrize("keeps_rows", [True, False, None])
def test_the_caution_is_always_said_and_that_rows_are_stored_where_they_are(keeps_rows: bool | None) -> None:
    leak = _privacy(membership__gan_leaks=(0.9, 0.02, 0.5))
    for scores, holdout in ((leak, True), (_privacy(), True), ({}, True), ({}, False)):
        sentence = verdicts(scores, holdout=holdout, keeps_rows=keeps_rows)["privacy"].sentence
        assert CAUTION in sentence and (STORES in sentence) == bool(keeps_rows)
    assert "Not a differential-privacy guarantee" in CAUTION and "stores training rows" in STORES


def test_copies_are_a_leak_in_a_whole_report_and_the_model_is_named(copies: Report) -> None:
    assert copies.verdicts["privacy"].verdict == "leak found"
    report = _report(_rows(3), keeps_rows=True)
    assert STORES in report.verdicts["privacy"].sentence
