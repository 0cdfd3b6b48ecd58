"""How a report says things: numbers, signs and words shared by the console, the page and the tables.

Symbols accompany words and never replace them, so that nothing depends on colour or on knowing the symbol.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Final, TypeGuard

from augmentor.evaluation.score import Report, Score, Verdict
from augmentor.evaluation.verdicts import ATTACKS, POOR, THRESHOLDS

AXES: Final = ("fidelity", "biology", "utility", "privacy")

QUESTIONS: Final = {
    "fidelity": "How close are the rows?",
    "biology": "Is the biology there?",
    "utility": "How useful are they?",
    "privacy": "How private are they?",
    "augmentation": "Does augmentation help?",
}

AXIS_MEANING: Final = {
    "fidelity": "Do synthetic rows look like real rows that the generator never saw?",
    "biology": "Are the differences between labels present, and at their real size?",
    "utility": "Can a classifier learn from synthetic rows and be right about real ones?",
    "privacy": "Can one tell which real rows the generator was fitted on?",
}

PRIVACY_NOTE: Final = (
    "Not a differential-privacy guarantee. These are attacks that failed or succeeded on this data; "
    "stronger attacks exist."
)

TESTING_NOTE: Final = (
    "Test real rows only: synthetic rows are not observations; adding them to a test makes every p-value smaller and none "
    "truer."
)

NO_AUGMENTATION: Final = Verdict(
    verdict="not tested",
    sentence="One synthetic set cannot tell: the gain is measured with the generator refitted inside every split.",
)

#: Verdict word -> how good it is; a word that is not listed counts as unknown.
LEVELS: Final = {
    "like real": "good",
    "close": "near",
    "distinguishable": "caution",
    "poor": "bad",
    "no leak found by these attacks": "good",
    "leak found": "bad",
    "augment": "good",
    "do not augment": "bad",
}

SYMBOLS: Final = {"good": "✓", "near": "≈", "caution": "!", "bad": "✗", "unknown": "?"}

FLAGS: Final = {
    "memorisation?": "Better than fresh real rows can be: the synthetic rows may carry training rows.",
    "sharpened?": "Better than real rows are: the synthetic rows carry less noise than real ones (denoised or shrunk).",
    "beyond_real": "Better than real rows, which is no merit here: rows that make fewer calls or links, or vary more, score so.",
    "uninformative_here": "Real rows and the floor score alike on this data; the normalised value is withheld.",
    "no_holdout": "No held-out rows: copies of the training rows would look perfect.",
    "under_dispersed": "Less variation within labels than real rows have.",
    "over_dispersed": "More variation within labels than real rows have.",
    "attenuated": "Differences between labels are smaller than in real rows.",
    "exaggerated": "Differences between labels are larger than in real rows.",
    "leak_or_copy": "Detected below chance: the rows were compared with rows they were copied from.",
}


def number(value: float | None) -> str:
    """Return about three significant digits: ``0.712``, ``12.3``, ``1,297``, ``2.0e-04``, and a dash for no value."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size < 1e-12:  # rounding of floating-point sums
        return "0"
    if size < 0.001:
        return f"{value:.1e}"
    if size < 1:
        return f"{value:.3f}"
    if size < 10:
        return f"{value:.2f}"
    if size < 100:
        return f"{value:.1f}"
    return f"{value:,.0f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign."""
    text = number(value)
    return text if text in ("–", "0") or text.startswith("-") else f"+{text}"


def span(low: float | None, high: float | None) -> str:
    """Return ``[low, high]`` with signs, or nothing where an end is unknown."""
    return f"[{signed(low)}, {signed(high)}]" if usable(low) and usable(high) else ""


def told(verdict: Verdict) -> tuple[str, str]:
    """Return the reason of a verdict as what it means, one sentence in plain words, and the numbers behind it."""
    found = re.match(r"([^(]*?)(?:: |\. |\.$)(.*)", verdict.sentence, re.DOTALL)
    if found is None:
        return verdict.sentence, ""
    rest = found[2]
    # the name of a score is written as it is, to be found and replaced by its title
    named = re.match(r"\w+\.\w+", rest) is not None
    return f"{found[1]}.", rest if named else rest[:1].upper() + rest[1:]


def interval(score: Score) -> str:
    """Return ``[low, high]``, or a dash."""
    return "–" if score.interval is None else interval_of(score.interval.low, score.interval.high)


def interval_of(low: float | None, high: float | None) -> str:
    """Return ``[low, high]``."""
    return f"[{number(low)}, {number(high)}]"


def goal(score: Score) -> str:
    """Return the direction of a score: an arrow, with the target where there is one."""
    if score.spec.goal == "target" and score.spec.ideal is not None:
        return f"→ {score.spec.ideal:g}"
    return {"maximize": "↑", "minimize": "↓"}.get(score.spec.goal, "→ real")


def goal_words(score: Score) -> str:
    """Return the direction of a score in words."""
    if score.spec.goal == "target":
        return f"best at {score.spec.ideal:g}" if score.spec.ideal is not None else "best at the value of real rows"
    return {"maximize": "higher is better", "minimize": "lower is better"}[score.spec.goal]


def level(verdict: Verdict) -> str:
    """Return good, near, caution, bad or unknown for a verdict."""
    return LEVELS.get(verdict.verdict.lower(), "unknown")


def verdicts(report: Report) -> dict[str, Verdict]:
    """Return the verdicts in reading order; that on augmentation always, and first where it is a clear no."""
    found = {"augmentation": NO_AUGMENTATION, **report.verdicts}
    order = list(dict.fromkeys([*AXES, "augmentation", *report.verdicts]))
    if level(found["augmentation"]) == "bad":
        order.sort(key=lambda name: name != "augmentation")
    return {name: found[name] for name in order if name in found}


def thresholds() -> str:
    """Return what the verdict words mean, from the one table that decides them."""
    words = [f"{word} from {least:g}" for word, least in THRESHOLDS.items()]
    slack = ", ".join(f"{name} {least:g}" for name, (_, least) in ATTACKS.items())
    return (
        f"smallest normalised headline score: {', '.join(words)}, {POOR} below; like real also needs an axis without "
        f"flags; a leak is an attack whose interval lies above fresh real rows by more than its slack ({slack})"
    )


def one_line(text: str) -> str:
    """Return a text without control characters, so that a label can neither move the cursor nor break a line."""
    return "".join(" " if unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"} else char for char in str(text))


def label(text: str) -> str:
    """Return a label to be shown: on one line, and visible where it is empty."""
    return one_line(text).strip() or "(empty)"


def title(text: str) -> str:
    """Return a title on one line that begins with a capital."""
    text = one_line(text)
    return text[:1].upper() + text[1:]


def labels(report: Report) -> list[str]:
    """Return all labels of the compared sets, those with most real rows first."""
    counts: dict[str, int] = {}
    for name in ("holdout", "train", "synthetic"):
        for text, n in (report.data[name].labels if name in report.data else {}).items():
            counts[text] = counts.get(text, 0) + n
    return sorted(counts, key=lambda name: (-counts[name], name))


def usable(value: float | None) -> TypeGuard[float]:
    """Whether a value is there and finite."""
    return value is not None and math.isfinite(value)


def headlines(report: Report) -> list[Score]:
    """Return the scores of the first screen."""
    return [score for score in report.scores.values() if score.spec.headline]


def suspicious(score: Score) -> bool:
    """Whether a flag says that a score is wrong, not only that it says little on this data."""
    return bool(set(score.flags) - {"uninformative_here", "no_holdout"})


def no_holdout(report: Report) -> str | None:
    """Return the sentence that must stand first where no rows were held out."""
    for warning in report.warnings:
        if warning.code == "no_holdout":
            return warning.text
    return None


def subject(report: Report, *, named: bool = True) -> str:
    """Return one line that says what was compared: rows, labels, space and seed, after the file's name if `named`."""
    synthetic = report.data.get("synthetic")
    reference = report.data.get("holdout") or report.data.get("train")
    parts = []
    if synthetic is not None:
        text = f"{synthetic.rows:,} synthetic"
        if reference is not None:
            text += f" vs {reference.rows:,} {'held-out' if 'holdout' in report.data else 'training'} rows"
            text += f" of {reference.name}" * bool(reference.name)
        parts += [synthetic.name if named else "", text, f"{synthetic.genes:,} {features(report)}"]
    if reference is not None:
        parts.append(f"{len(reference.labels)} labels")
    parts += [space_words(report), f"seed {report.seed}"]
    return one_line(" · ".join(part for part in parts if part))


def features(report: Report) -> str:
    """Return what the columns of the data are called."""
    return "columns" if report.space.get("kind") == "mixed" else "genes"


def heading(report: Report) -> str:
    """Return what the judged rows are called."""
    synthetic = report.data.get("synthetic")
    return (synthetic.name if synthetic is not None else "") or "Synthetic rows"


def space_words(report: Report) -> str:
    """Return the space of the comparison: its policy and number of components."""
    policy, pcs = report.space.get("policy"), report.space.get("pcs")
    return ", ".join([f"space: {policy}"] * bool(policy) + [f"{pcs} PCs"] * bool(pcs))
