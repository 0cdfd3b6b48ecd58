"""The words of the first screen, and the thresholds behind them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from augmentor.evaluation.score import Score, Verdict

# Smallest normalised headline score for a word; the footer of the report prints this table.
THRESHOLDS = {"like real": 0.9, "close": 0.7, "distinguishable": 0.3}
POOR = "poor"
# A share of rows nearer to training than to held-out rows, beyond chance, that counts as a leak.
LEAK_EXCESS = 0.05
# A share of rows that are training rows.
VERBATIM = 0.01
# Flags that say "better than real is possible only by cheating or by removing noise".
SUSPECT = ("memorisation?", "sharpened?", "leak_or_copy", "under_dispersed", "over_dispersed", "attenuated")

# What a word says in words, per axis.
AXES = {
    "fidelity": {
        "like real": "Synthetic rows look like held-out rows",
        "close": "Synthetic rows are close to held-out rows",
        "distinguishable": "Synthetic rows can be told from held-out rows",
        POOR: "Synthetic rows do not look like held-out rows",
    },
    "biology": {
        "like real": "Differences between labels have their real size",
        "close": "Differences between labels are close to their real size",
        "distinguishable": "Differences between labels are off",
        POOR: "Differences between labels are lost",
    },
    "utility": {
        "like real": "A classifier trained on synthetic rows does as well on real ones",
        "close": "A classifier trained on synthetic rows does nearly as well on real ones",
        "distinguishable": "A classifier trained on synthetic rows does worse on real ones",
        POOR: "A classifier trained on synthetic rows fails on real ones",
    },
}


def verdicts(scores: Mapping[str, Score], *, holdout: bool, red_line: str = "") -> dict[str, Verdict]:
    """Return a word and a reason for every axis, from its headline scores only.

    Args:
        scores: finished scores by name.
        holdout: whether there were held-out rows; without them nothing is certain.
        red_line: a reason that alone makes fidelity poor (a label that is missing).
    """
    if not holdout:
        reason = "There are no held-out rows: copies of the training rows would look perfect."
        axes = [*AXES, "privacy"]
        return {axis: Verdict(verdict="not available", sentence=reason) for axis in axes}
    out = {axis: _axis(axis, scores, red_line if axis == "fidelity" else "") for axis in AXES}
    return out | {"privacy": _privacy(scores)}


def _axis(axis: str, scores: Mapping[str, Score], red_line: str) -> Verdict:
    headlines = [score for score in scores.values() if score.spec.axis == axis and score.spec.headline]
    rated = {score.name: graded(score) for score in headlines if score.normalised is not None}
    if red_line:
        return Verdict(verdict=POOR, sentence=red_line)
    if not rated:
        missing = [score for score in headlines if score.skipped]
        reason = f" ({missing[0].name}: {missing[0].skipped})" if missing else ""
        return Verdict(verdict="not tested", sentence=f"No headline score of this axis could be rated{reason}.")
    worst = min(rated, key=lambda name: rated[name])
    u = rated[worst]
    flags = sorted({flag for score in headlines for flag in score.flags if flag in SUSPECT})
    word = next((word for word, least in THRESHOLDS.items() if u >= least), POOR)
    if word == "like real" and flags:
        word = "close"
    score = scores[worst]
    ceiling = "" if score.ceiling is None else f", real rows {score.ceiling.mean:.3g}"
    label = "" if score.worst is None else f"; worst label {score.worst[0]} at {score.worst[1]:.3g}"
    flagged = f" Flagged: {', '.join(flags)}." if flags else ""
    sentence = f"{AXES[axis][word]}: weakest headline is {worst} at {score.value:.3g}{ceiling}{label}.{flagged}"
    return Verdict(verdict=word, sentence=sentence)


def graded(score: Score) -> float:
    """Return the normalised value, at least that of "close" where the interval holds what real rows score."""
    u = score.normalised if score.normalised is not None else 0.0
    if score.interval is None or score.ceiling is None:
        return u
    covers = score.interval.low <= score.ceiling.mean <= score.interval.high
    return max(u, THRESHOLDS["close"]) if covers else u


def _privacy(scores: Mapping[str, Score]) -> Verdict:
    score = scores.get("nearest_train.excess")
    if score is None or score.value is None or score.interval is None:
        reason = f" ({score.skipped})" if score is not None and score.skipped else ""
        return Verdict(verdict="not tested", sentence=f"Copying was not tested{reason}.")
    copied = scores.get("duplicates.exact")
    verbatim = copied is not None and copied.value is not None and copied.value > VERBATIM
    caution = "Not a differential-privacy guarantee; stronger attacks exist."
    if score.ceiling is None and not verbatim:
        return Verdict(verdict="not tested", sentence="Too few held-out rows to say how near fresh rows would be.")
    # fresh real rows in the place of the synthetic ones, and how well their score is known
    reference, sd = (score.ceiling.mean, score.ceiling.sd) if score.ceiling else (0.0, 0.0)
    margin = float(np.hypot(score.value - score.interval.low, 1.96 * sd))
    found = (
        f"excess of rows nearest to a training row {score.value:.2f} [{score.interval.low:.2f}, {score.interval.high:.2f}], "
        f"fresh real rows {reference:.2f}"
    )
    if verbatim or score.value - margin > max(reference, 0.0) + LEAK_EXCESS:
        sentence = f"Synthetic rows lie nearer to training rows than fresh rows do ({found}). {caution}"
        return Verdict(verdict="leak found", sentence=sentence)
    sentence = f"Synthetic rows lie no nearer to training rows than this data can tell ({found}). {caution}"
    return Verdict(verdict="no leak found by these attacks", sentence=sentence)
