"""From paired differences to words.

For an arm and a learner, with the comparator chosen by the inner folds and δ = 0.01:

    augment               lower limit > 0, mean ≥ δ, AUROC's lower limit > −δ, Brier's upper limit < +δ
    do not augment        upper limit < δ (a useful gain is excluded), or AUROC or Brier clearly worse by δ
    not enough evidence   otherwise, or fewer than 10 splits, or a label with fewer than 5 test rows

Where there are rows without a label, synthetic rows have to add to what a classifier gets from those without any synthesis: the
comparator is the best of the arms that use them and make none, the best on the test rows. What those rows bring themselves is
said beside the answer, with an interval widened for the number of these arms.

For the whole: *augment* if an arm gains with an interval widened for the number of arms tried (Bonferroni), *do not augment*
if that is the answer for every arm, else *not enough evidence*. Repeating rows (`duplicate`) is a control and never
recommended. The learner is the one that does best on real rows in the inner folds; no test row has a say in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from augmentor.comparison.arms import SIMPLE
from augmentor.comparison.design import PLAIN
from augmentor.comparison.intervals import Difference, corrected
from augmentor.comparison.learners import NAMES
from augmentor.comparison.result import Gain, Help, Verdict, Word
from augmentor.core.errors import listed

DELTA = 0.01
FEWEST_SPLITS = 10
FEWEST_TESTED = 5
# excess of synthetic rows that are nearer to test rows than to their own training rows, above which they know them
LEAK = 0.1
# share of synthetic rows that are copies of test rows, above which they know them
COPIES = 0.02
PRIMARY = "balanced_accuracy"

Differences = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Beside:
    """What is known of rows without a label.

    Attributes:
        differences: ``(splits,)`` of every metric, what synthetic rows have to beat minus the best without unlabelled rows.
        base: balanced accuracy of the latter.
        taught: arms whose generator learns from them.
        arms: how many arms use them and make none.
        holds: whether test rows are among them; then they say nothing.
    """

    differences: Differences
    base: float
    taught: tuple[str, ...]
    arms: int
    holds: bool = False


def gain(differences: NDArray[np.float64], ratio: float, *, level: float = 0.95) -> Gain:
    """Return a mean difference with its corrected interval, and how often it is beyond the band."""
    found = corrected(differences, ratio, level=level)
    return Gain(
        mean=_finite(found.mean),
        low=_finite(found.low),
        high=_finite(found.high),
        wins=int((differences > DELTA).sum()),
        ties=int((np.abs(differences) <= DELTA).sum()),
        losses=int((differences < -DELTA).sum()),
    )


def word(differences: Differences, ratio: float, *, enough: bool, level: float = 0.95) -> Word:
    """Return the verdict for one arm.

    Args:
        differences: ``(splits,)`` of every metric, arm minus comparator.
        ratio: n_test / n_train of the splits.
        enough: whether there are splits and test rows enough for any verdict.
        level: probability that an interval covers.
    """
    if not enough:
        return "not enough evidence"
    main, auroc, brier = (corrected(differences[name], ratio, level=level) for name in (PRIMARY, "auroc", "brier"))
    if main.low > 0 and main.mean >= DELTA and not auroc.low <= -DELTA and not brier.high >= DELTA:
        return "augment"
    if main.high < DELTA or auroc.high < -DELTA or brier.low > DELTA:
        return "do not augment"
    return "not enough evidence"


def leaks(nearer: Sequence[float], copies: Sequence[float], ratio: float) -> bool:
    """Whether synthetic rows know the test rows: nearer to them than chance allows, or copies of them, over the splits."""
    for shares, most in ((nearer, LEAK), (copies, COPIES)):
        if len(shares):
            found = corrected(np.asarray(shares), ratio)
            if found.mean > most and (found.low > 0 or len(shares) < 2):
                return True
    return False


def overall(
    learner: str,
    arms: Mapping[str, Differences],
    ratio: float,
    *,
    base: float,
    policy: str,
    ratios: Mapping[str, float],
    leaking: Sequence[str],
    lacking: Sequence[str],
    rests_on: str,
    beside: Beside | None = None,
) -> Verdict:
    """Return the answer for one learner.

    Args:
        learner: lr, rf or gb.
        arms: differences of every arm that makes rows.
        ratio: n_test / n_train of the splits.
        base: balanced accuracy of the comparator.
        policy: what the comparator mostly is; with unlabelled rows, what it is.
        ratios: typical ratio of every arm.
        leaking: arms that know test rows; they take no part.
        lacking: why there is not enough for any verdict; empty if there is.
        rests_on: rows, labels, splits and seeds, for the end of the sentence.
        beside: rows without a label, where there are any.
    """
    tried = {arm: found for arm, found in arms.items() if arm != "duplicate" and arm not in leaking}
    level = 1 - 0.05 / max(len(tried), 1)
    means = {arm: corrected(found[PRIMARY], ratio) for arm, found in tried.items()}
    words = {arm: word(found, ratio, enough=not lacking) for arm, found in tried.items()}
    strict = {arm: word(found, ratio, enough=not lacking, level=level) for arm, found in tried.items()}
    winners = [arm for arm in tried if strict[arm] == "augment"]
    # an open question is reported of an arm that leaves it open; of equals a model goes before a simple arm
    unsettled = [arm for arm in tried if words[arm] != "do not augment"]
    best = max(
        winners or unsettled or tried,
        key=lambda arm: (round(means[arm].low if winners else means[arm].mean, 9), arm not in SIMPLE),
        default=None,
    )
    of = f"the balanced accuracy of a {NAMES[learner]}"
    tail = f" Rests on {rests_on}; changes within ±{DELTA:g} count as none."
    held = () if beside is None or not beside.holds else beside.taught
    for arm in leaking:
        if arm not in held:
            tail += f" {arm} takes no part: its rows lie nearer to test rows than chance allows, so it knows them."
    helped = None
    if beside is not None and beside.holds:
        tail += " No arm that uses rows without a label takes part: test rows are among them."
    elif beside is not None:
        helped = _help(beside, tried, policy, ratio)
        tail = f" {_of_help(helped, beside)}{tail}"
    if best is None:
        sentence = "Not enough evidence: no arm could be judged." + tail
        return Verdict(
            verdict="not enough evidence",
            sentence=sentence,
            learner=learner,
            arm=None,
            ratio=0,
            gain=None,
            delta=DELTA,
            help=helped,
        )
    size = f"{_with_interval(means[best])} on {base:.3f}"
    which = f"mostly {policy}" if beside is None else policy
    as_well: tuple[str, ...] = ()
    answer: Word
    if winners:
        answer = "augment"
        as_well = _as_well(best, arms, leaking, ratio)
        sentence = (
            f"Augment with {best}, about {ratios[best]:g} synthetic rows per real row: {of} changes by {size}, against the "
            f"best that real rows alone can do{'' if helped is None else ', with and without a label'} ({which})."
        )
        if as_well:
            sentence += f" {listed(as_well)} {'do' if len(as_well) > 1 else 'does'} as well."
    elif not unsettled:
        answer = "do not augment"
        excluded = all(found.high < DELTA for found in means.values())
        why = (
            f"no arm adds {DELTA:g} or more to {of}"
            if excluded
            else f"what an arm adds to {of} costs ranking or calibration"
        )
        sentence = f"Do not augment: {why}; the best, {best}, changes it by {size} ({which})."
    else:
        answer = "not enough evidence"
        why = "; ".join(lacking) or f"neither a gain of {DELTA:g} nor its absence is shown"
        if words[best] == "augment":
            why = f"that is a gain by itself, but not among the {len(tried)} arms tried"
        sentence = f"Not enough evidence: {best} changes {of} by {size} ({which}); {why}."
        settled = [arm for arm in tried if arm not in unsettled]
        if settled:
            sentence += f" For {listed(settled)} the answer is: do not augment."
    return Verdict(
        verdict=answer,
        sentence=sentence + tail,
        learner=learner,
        arm=best,
        ratio=ratios[best],
        gain=gain(tried[best][PRIMARY], ratio),
        delta=DELTA,
        as_well=as_well,
        help=helped,
    )


def _help(beside: Beside, tried: Mapping[str, Differences], policy: str, ratio: float) -> Help:
    """Return what rows without a label bring, and what the best generator that learns from them adds."""
    level = 1 - 0.05 / max(beside.arms, 1)
    found = corrected(beside.differences[PRIMARY], ratio, level=level)
    word: Literal["yes", "no", "unknown"] = "unknown"
    if found.low > 0 and found.mean >= DELTA:
        word = "yes"
    elif found.high < DELTA:
        word = "no"
    makers = [arm for arm in beside.taught if arm in tried]
    best = max(makers, key=lambda arm: round(float(np.mean(tried[arm][PRIMARY])), 9), default=None)
    return Help(
        word=word,
        gain=gain(beside.differences[PRIMARY], ratio, level=level),
        arm=policy,
        maker=best,
        beyond=None if best is None else gain(tried[best][PRIMARY], ratio),
    )


def _of_help(found: Help, beside: Beside) -> str:
    size = f"{shown(found.gain)} on {beside.base:.3f} without them"
    if found.arm in PLAIN:
        return f"The rows without a label are not seen to help: no arm that uses them is better{_added(found, 'labelled rows alone')}."
    said = {
        "yes": f"The rows without a label help: {size} ({found.arm})",
        "no": f"The rows without a label do not help: {size} ({found.arm})",
        "unknown": f"Whether the rows without a label help is not shown: {size} ({found.arm})",
    }[found.word]
    return f"{said}{_added(found, 'them')}."


def _added(found: Help, what: str) -> str:
    if found.maker is None or found.beyond is None:
        return ""
    return f"; synthesis ({found.maker}) adds {shown(found.beyond)} beyond {what}"


def _as_well(best: str, arms: Mapping[str, Differences], leaking: Sequence[str], ratio: float) -> tuple[str, ...]:
    """Return the simple arms whose paired difference from the best has an interval that contains 0."""
    out = []
    for arm in SIMPLE:
        if arm in arms and arm != best and arm not in leaking:
            found = corrected(arms[best][PRIMARY] - arms[arm][PRIMARY], ratio)
            if found.low <= 0 <= found.high:
                out.append(arm)
    return tuple(out)


def signed(*numbers: float) -> list[str]:
    """Return numbers with their sign and three digits; what rounds to zero has no minus."""
    return [f"{round(number, 3) + 0.0:+.3f}" for number in numbers]


def shown(found: Gain) -> str:
    """Return a gain with its interval; without one where it is not bounded."""
    if found.mean is None:
        return "-"
    if found.low is None or found.high is None:
        return signed(found.mean)[0]
    mean, low, high = signed(found.mean, found.low, found.high)
    return f"{mean} [{low}, {high}]"


def _with_interval(found: Difference) -> str:
    mean, low, high = signed(found.mean, found.low, found.high)
    return f"{mean} [{low}, {high}]"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
