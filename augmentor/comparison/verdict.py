"""From paired differences to words.

For an arm and a learner, with the comparator chosen by the inner folds and δ = 0.01:

    augment               lower limit > 0, mean ≥ δ, AUROC's lower limit > −δ, Brier's upper limit < +δ
    do not augment        upper limit < δ (a useful gain is excluded), or AUROC or Brier clearly worse by δ
    not enough evidence   otherwise, or fewer than 10 splits, or a label with fewer than 5 test rows

For the whole: *augment* if an arm gains with an interval widened for the number of arms tried (Bonferroni), *do not augment*
if that is the answer for every arm, else *not enough evidence*. Repeating rows (`duplicate`) is a control and never
recommended. The learner is the one that does best on real rows in the inner folds; no test row has a say in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from augmentor.comparison.arms import SIMPLE
from augmentor.comparison.intervals import Difference, corrected
from augmentor.comparison.learners import NAMES
from augmentor.comparison.result import Gain, Verdict, Word
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


def gain(differences: NDArray[np.float64], ratio: float) -> Gain:
    """Return a mean difference with its corrected interval, and how often it is beyond the band."""
    found = corrected(differences, ratio)
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
) -> Verdict:
    """Return the answer for one learner.

    Args:
        learner: lr, rf or gb.
        arms: differences of every arm that makes rows.
        ratio: n_test / n_train of the splits.
        base: balanced accuracy of the comparator.
        policy: what the comparator mostly is.
        ratios: typical ratio of every arm.
        leaking: arms that know test rows; they take no part.
        lacking: why there is not enough for any verdict; empty if there is.
        rests_on: rows, labels, splits and seeds, for the end of the sentence.
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
    for arm in leaking:
        tail += f" {arm} takes no part: its rows lie nearer to test rows than chance allows, so it knows them."
    if best is None:
        sentence = "Not enough evidence: no arm could be judged." + tail
        return Verdict(
            verdict="not enough evidence", sentence=sentence, learner=learner, arm=None, ratio=0, gain=None, delta=DELTA
        )
    size = f"{_with_interval(means[best])} on {base:.3f}"
    as_well: tuple[str, ...] = ()
    answer: Word
    if winners:
        answer = "augment"
        as_well = _as_well(best, arms, leaking, ratio)
        sentence = (
            f"Augment with {best}, about {ratios[best]:g} synthetic rows per real row: {of} changes by {size}, against the "
            f"best that real rows alone can do (mostly {policy})."
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
        sentence = f"Do not augment: {why}; the best, {best}, changes it by {size} (mostly {policy})."
    else:
        answer = "not enough evidence"
        why = "; ".join(lacking) or f"neither a gain of {DELTA:g} nor its absence is shown"
        if words[best] == "augment":
            why = f"that is a gain by itself, but not among the {len(tried)} arms tried"
        sentence = f"Not enough evidence: {best} changes {of} by {size} (mostly {policy}); {why}."
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
    )


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


def _with_interval(found: Difference) -> str:
    mean, low, high = signed(found.mean, found.low, found.high)
    return f"{mean} [{low}, {high}]"


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
