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
# An AUC of a membership attack above that of guessing, and a share of training rows it names at 1 % false alarms.
LEAK_AUC, LEAK_TPR = 0.05, 0.05
# What counts as a leak: the score, what it is without one, and how far beyond that (and real rows) its interval must lie.
ATTACKS = {
    "nearest_train.excess": (0.0, LEAK_EXCESS),
    "membership.gan_leaks": (0.5, LEAK_AUC),
    "membership.gan_leaks_tpr": (0.01, LEAK_TPR),
    "membership.calibrated": (0.5, LEAK_AUC),
    "membership.monte_carlo": (0.5, LEAK_AUC),
    "membership.domias": (0.5, LEAK_AUC),
}
STORES = "The model stores training rows."
CAUTION = "Not a differential-privacy guarantee; stronger attacks exist."
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


def verdicts(
    scores: Mapping[str, Score],
    *,
    holdout: bool,
    red_line: str = "",
    shifted: bool = False,
    keeps_rows: bool | None = None,
) -> dict[str, Verdict]:
    """Return a word and a reason for every axis, from its headline scores only.

    Args:
        scores: finished scores by name.
        holdout: whether there were held-out rows; without them nothing is certain.
        red_line: a reason that alone makes fidelity poor (a label that is missing).
        shifted: whether training and held-out rows can be told apart by themselves.
        keeps_rows: whether the model stores training rows; None if it is not known.
    """
    if not holdout:
        reason = "There are no held-out rows: copies of the training rows would look perfect."
        out = {axis: Verdict(verdict="not available", sentence=reason) for axis in AXES}
        return out | {"privacy": _cautious("not available", reason, keeps_rows)}
    out = {axis: _axis(axis, scores, red_line if axis == "fidelity" else "") for axis in AXES}
    return out | {"privacy": _privacy(scores, shifted, keeps_rows)}


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


def _privacy(scores: Mapping[str, Score], shifted: bool, keeps_rows: bool | None) -> Verdict:
    tried = {name: scores[name] for name in ATTACKS if name in scores}
    usable = {name: score for name, score in tried.items() if score.value is not None and score.interval is not None}
    copied = scores.get("duplicates.exact")
    certain = copied is not None and (copied.interval is None or copied.interval.low > 0)
    if certain and copied is not None and copied.value is not None and copied.value > VERBATIM:
        share = f"{copied.value:.0%} of synthetic rows are training rows, beyond natural repeats."
        return _cautious("leak found", share, keeps_rows, _numbers(usable))
    if not usable:
        reason = next((f" ({score.skipped})" for score in tried.values() if score.skipped), "")
        return _cautious("not tested", f"Copying was not tested{reason}.", keeps_rows)
    if all(score.ceiling is None for score in usable.values()):
        return _cautious("not tested", "Too few held-out rows to say how near fresh rows would be.", keeps_rows)
    if shifted:
        reason = "Training and held-out rows differ by themselves, so nearness to either says nothing about copying."
        return _cautious("not tested", reason, keeps_rows, _numbers(usable))
    found = {name: score for name, score in usable.items() if leaks(score)}
    if found:
        worst = max(found, key=lambda name: _beyond(found[name]) / ATTACKS[name][1])
        rest = {name: score for name, score in found.items() if name != worst}
        lead = f"Training rows can be recognised: {_number(found[worst])}."
        return _cautious("leak found", lead, keeps_rows, f"Also: {_numbers(rest)}" if rest else "")
    lead = "No attack tells training rows from rows never seen."
    return _cautious("no leak found by these attacks", lead, keeps_rows, _numbers(usable))


def _cautious(verdict: str, sentence: str, keeps_rows: bool | None, numbers: str = "") -> Verdict:
    """What is true whatever the numbers stands before them, where a narrow screen still shows it."""
    parts = [sentence, STORES if keeps_rows else "", CAUTION, numbers]
    return Verdict(verdict=verdict, sentence=" ".join(part for part in parts if part))


def _expected(score: Score) -> tuple[float, float]:
    """Return what rows that copy nothing score, with its standard deviation.

    That is known (chance), and real rows are there to show that it holds here; only where they score otherwise does their
    own uncertain value take its place.
    """
    harmless, ceiling = ATTACKS[score.name][0], score.ceiling
    if ceiling is None or ceiling.mean - harmless <= 2 * ceiling.sd:
        return harmless, 0.0
    return ceiling.mean, ceiling.sd


def _beyond(score: Score) -> float:
    """Return how far a score lies beyond that of rows that copy nothing."""
    assert score.value is not None
    return score.value - _expected(score)[0]


def leaks(score: Score) -> bool:
    """Whether a score lies beyond that of rows that copy nothing, by more than its slack and both uncertainties."""
    if score.value is None or score.interval is None or score.ceiling is None:
        return False
    margin = float(np.hypot(score.value - score.interval.low, 1.96 * _expected(score)[1]))
    return _beyond(score) - margin > ATTACKS[score.name][1]


def _number(score: Score) -> str:
    fresh = "" if score.ceiling is None else f", fresh real rows {score.ceiling.mean:.2f}"
    return f"{score.name} {score.value:.2f}{fresh}"


def _numbers(scores: Mapping[str, Score]) -> str:
    return "; ".join(_number(score) for score in scores.values()) + "." if scores else ""
