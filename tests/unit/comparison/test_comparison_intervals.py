"""The corrected interval, the verdicts that rest on it, and the learning curve."""

from __future__ import annotations

import numpy as np
import pytest

from augmentor.comparison import curve as learning
from augmentor.comparison import verdict
from augmentor.comparison.intervals import corrected
from augmentor.comparison.result import Gain
from augmentor.evaluation import curves


def test_interval_against_a_computation_by_hand() -> None:
    # mean 0.02; deviations -0.01, 0, 0.01: s² = 0.0002 / 2 = 0.0001; (1/3 + 1/4)·s² = 5.8333e-5, root 0.00763763;
    # t(0.975, 2 degrees) = 4.30265: half width 0.0328620
    found = corrected(np.array([0.01, 0.02, 0.03]), 0.25)
    assert found.mean == pytest.approx(0.02)
    assert found.low == pytest.approx(0.02 - 0.0328620, abs=1e-6)
    assert found.high == pytest.approx(0.02 + 0.0328620, abs=1e-6)


def test_the_correction_is_what_makes_the_interval_wide() -> None:
    d = np.random.default_rng(0).normal(0.0, 0.05, 25)
    plain, wide = corrected(d, 0.0), corrected(d, 0.25)
    assert (wide.high - wide.low) / (plain.high - plain.low) == pytest.approx(np.sqrt((1 / 25 + 0.25) * 25))


def test_interval_of_one_or_of_equal_differences() -> None:
    assert corrected(np.array([0.1]), 0.25).low == -np.inf
    same = corrected(np.full(10, 0.3), 0.25)
    assert (same.low, same.high) == (same.mean, same.mean)


def changes(primary: np.ndarray, auroc: float = 0.0, brier: float = 0.0) -> dict[str, np.ndarray]:
    return {"balanced_accuracy": primary, "auroc": np.full(25, auroc), "brier": np.full(25, brier)}


STEADY = 0.002 * np.random.default_rng(1).normal(size=25)


@pytest.mark.parametrize(
    ("differences", "word"),
    [
        (changes(0.05 + STEADY), "augment"),
        (changes(0.05 + STEADY, auroc=-0.02), "do not augment"),
        (changes(0.05 + STEADY, brier=0.02), "do not augment"),
        (changes(STEADY), "do not augment"),
        (changes(np.zeros(25)), "do not augment"),
        (changes(-0.05 + STEADY), "do not augment"),
        (changes(0.02 + 30 * STEADY), "not enough evidence"),
        (changes(0.009 + STEADY), "not enough evidence"),  # above 0, but of no use, and a use is not excluded
    ],
)
def test_words(differences: dict[str, np.ndarray], word: str) -> None:
    assert verdict.word(differences, 0.25, enough=True) == word
    assert verdict.word(differences, 0.25, enough=False) == "not enough evidence"


def whole(arms: dict[str, np.ndarray], leaking: tuple[str, ...] = (), lacking: tuple[str, ...] = ()) -> verdict.Verdict:
    return verdict.overall(
        "lr",
        {arm: changes(values) for arm, values in arms.items()},
        0.25,
        base=0.8,
        policy="real_only",
        ratios=dict.fromkeys(arms, 2.0),
        leaking=leaking,
        lacking=lacking,
        rests_on="60 rows",
    )


def test_answer_names_the_arm_its_ratio_and_simple_arms_that_do_as_well() -> None:
    found = whole({"smote": 0.05 + STEADY[::-1], "copula": 0.05 + STEADY, "gaussian": STEADY})
    assert (found.verdict, found.ratio) == ("augment", 2.0)
    assert found.arm in ("smote", "copula")
    assert "smote" in (found.as_well if found.arm == "copula" else ("smote",)) and "gaussian" not in found.as_well
    assert "2 synthetic rows per real row" in found.sentence and "60 rows" in found.sentence


def test_repeating_rows_is_never_recommended() -> None:
    found = whole({"duplicate": 0.05 + STEADY, "copula": STEADY})
    assert (found.verdict, found.arm) == ("do not augment", "copula")
    found = whole({"duplicate": 0.05 + STEADY, "copula": 0.05 + STEADY[::-1]})
    assert (found.verdict, found.as_well) == ("augment", ("duplicate",))


def test_one_open_arm_leaves_the_answer_open_and_few_rows_do_too() -> None:
    found = whole({"gaussian": 0.008 + 0 * STEADY, "smote": STEADY, "copula": 30 * STEADY})
    assert (found.verdict, found.arm) == ("not enough evidence", "copula")
    assert "For gaussian, smote the answer is: do not augment." in found.sentence
    found = whole({"smote": 0.05 + STEADY}, lacking=("fewer than 5 test rows of a label (B 4)",))
    assert found.verdict == "not enough evidence" and "fewer than 5 test rows" in found.sentence


def test_an_arm_that_knows_test_rows_takes_no_part() -> None:
    found = whole({"smote": STEADY, "copula": 0.3 + STEADY}, leaking=("copula",))
    assert (found.verdict, found.arm) == ("do not augment", "smote")
    assert "copula takes no part" in found.sentence


def test_many_arms_need_a_wider_interval_to_win() -> None:
    """Significant at 95 % alone, not among eight arms: t(24) at .975 is 2.06, at .9969 it is 3.0."""
    raw = np.random.default_rng(3).normal(size=25)
    d = (raw - raw.mean()) / raw.std(ddof=1)
    d = 0.02 + d * 0.02 / np.sqrt(1 / 25 + 0.25) / 2.5  # a mean of 2.5 standard errors
    assert verdict.word(changes(d), 0.25, enough=True) == "augment"
    assert whole({"a": d}).verdict == "augment"
    found = whole({"a": d, **{f"b{i}": STEADY for i in range(7)}})
    assert (found.verdict, found.arm) == ("not enough evidence", "a") and "among the 8 arms tried" in found.sentence


def test_curve_recovers_its_law_and_reads_rows_back() -> None:
    n = curves.sizes(5, 200, 6)
    law = [0.95 - 0.8 * size**-0.7 for size in n]
    curve = curves.fitted(n, law, 10)
    assert curve.limit == pytest.approx(0.95, abs=0.01)
    for size in (10, 50, 150):
        assert curve.rows(0.95 - 0.8 * size**-0.7) == pytest.approx(size, rel=0.05)
    assert curve.worth(20, curve.at(50) - curve.at(20)) == pytest.approx(30, rel=1e-6)
    assert curve.worth(20, curve.at(10) - curve.at(20)) == pytest.approx(-10, rel=1e-6)


def test_curve_says_nothing_beyond_its_rows_or_where_it_is_flat() -> None:
    n = curves.sizes(5, 200, 6)
    curve = curves.fitted(n, [0.95 - 0.8 * size**-0.7 for size in n], 10)
    assert curve.rows(0.99) is None and curve.rows(0.1) is None
    flat = curves.fitted(n, [0.9] * len(n), 10)
    assert flat.flat and flat.rows(0.9) is None
    falling = curves.fitted(n, list(np.linspace(0.9, 0.8, len(n))), 10)
    assert falling.height == 0.0 and falling.flat


def test_curve_never_promises_more_than_everything_right() -> None:
    n = curves.sizes(5, 200, 6)
    curve = curves.fitted(n, [1.02 - 0.9 * size**-0.5 for size in n], 10)
    assert curve.limit <= 1.0 and curve.at(1e9) <= 1.0


def sentence(rows: float, mean: float, low: float, high: float) -> str:
    n = curves.sizes(5, 200, 6)
    measured = [[(float(size), 0.95 - 0.8 * size**-0.7 + shift) for size in n] for shift in (-0.01, 0.01)]
    gain = Gain(mean=mean, low=low, high=high, wins=0, ties=0, losses=0)
    found = learning.read("lr", measured, rows, "copula", gain)
    assert found is not None
    return found.sentence


def test_a_gain_is_read_in_rows_or_said_to_be_beyond_the_data() -> None:
    law = 0.8 * (20**-0.7 - 30**-0.7)
    # the exponent is one of a grid: 9.9 for 10
    assert "worth +9.9 real rows per label [+0.3, " in sentence(20, law, 0.001, 2 * law)
    assert "more than the data can show" in sentence(20, 0.5, 0.4, 0.6)
    assert "cannot be told from 0 rows" in sentence(200, 0.001, -0.01, 0.01)
    assert "worth 0 more real rows" in sentence(20, 0.0, 0.0, 0.0)
