"""Finished reports side by side: one table, the same arms, differences with intervals, and no overall score.

Reports are comparable when they judge against the same held-out rows in the same space. Differences are taken to the first
report: ``b - a`` for scores that are maximised or minimised, ``|b - ideal| - |a - ideal|`` for scores with a target. Where
both evaluations resampled the same rows (same seed, same sizes), the interval is that of the differences draw by draw
(within folds, t quantile); otherwise the half-widths of both intervals are added in quadrature, which is too wide rather than
too narrow when the held-out rows are shared.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from augmentor.core.atomic import atomic_file
from augmentor.core.errors import ConfigError, SchemaMismatch
from augmentor.evaluation.report import words
from augmentor.evaluation.report.console import cell
from augmentor.evaluation.score import Report, Score, ScoreSpec

# Of the space, what two evaluations must share for their numbers to mean the same.
_SPACE = ("policy", "kind", "genes", "pcs", "folds", "digest")

MARKS = {"better": "▲", "worse": "▼", "no difference": "=", "beyond real": "!", "": " "}


@dataclass(frozen=True)
class Difference:
    """A score minus that of the first report.

    Attributes:
        value: the difference, on the scale of the score (distances from the ideal, where there is a target).
        low: lower end of its 95 % interval; None where one of the two has no interval.
        high: upper end.
        method: ``paired, N draws``, or ``unpaired``, or nothing.
        word: better, worse, no difference (the interval holds 0), or beyond real (they differ, and the one that looks
            better scores better than real rows, which is a warning); empty where nothing can be said.
    """

    value: float
    low: float | None = None
    high: float | None = None
    method: str = ""
    word: str = ""


@dataclass(frozen=True)
class Line:
    """One score in every report.

    Attributes:
        spec: what the score means.
        scores: the score of each report; None where a report lacks it.
        differences: to the first report; None for the first, and where one of the two has no value.
    """

    spec: ScoreSpec
    scores: tuple[Score | None, ...]
    differences: tuple[Difference | None, ...]


@dataclass(frozen=True)
class Beside:
    """Reports that may be compared, line by line.

    Attributes:
        names: what the reports are called; differences are to the first.
        reports: the reports.
        lines: one per score that any report has, headline scores first.
        notes: what weakens the comparison.
    """

    names: tuple[str, ...]
    reports: tuple[Report, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def tested(self) -> int:
        """How many differences have an interval."""
        return sum(item is not None and item.low is not None for line in self.lines for item in line.differences)

    def document(self) -> dict[str, Any]:
        """Return the comparison as plain data."""
        return {
            "format": 1,
            "reports": dict(zip(self.names, (_summary(report) for report in self.reports), strict=True)),
            "first": self.names[0],
            "notes": list(self.notes),
            "scores": {
                line.spec.name: {
                    "axis": line.spec.axis,
                    "goal": line.spec.goal,
                    "ideal": line.spec.ideal,
                    "headline": line.spec.headline,
                    "reports": {
                        name: _entry(score, difference)
                        for name, score, difference in zip(self.names, line.scores, line.differences, strict=True)
                    },
                }
                for line in self.lines
            },
        }

    def to_text(self, width: int = 100) -> str:
        """Return verdicts, headline scores and the scores that differ, as text."""
        held = _reference(self.reports[0])
        lines = [
            f"{len(self.reports)} reports · {self.reports[0].data[held].rows:,} "
            f"{'held-out' if held == 'holdout' else 'training'} rows · {words.space_words(self.reports[0])}",
            "",
            *_tabulated(
                [["", *self.names]]
                + [
                    [axis.upper(), *(_verdict(report, axis) for report in self.reports)]
                    for axis in words.AXES
                    if any(axis in report.verdicts for report in self.reports)
                ],
                "<" * (len(self.names) + 1),
                width,
            ),
            "",
        ]
        shown = [line for line in self.lines if line.spec.headline or _changed(line)]
        lines += self._table(shown, width)
        rest = len(self.lines) - len(shown)
        if rest:
            lines.append(f"… and {rest} more without a difference, in --html and --json")
        for text in (*(f"! {note}" for note in self.notes), *self.legend()):
            lines += ["", *textwrap.wrap(words.one_line(text), width)]
        return "\n".join(lines)

    def legend(self) -> list[str]:
        """Return how to read the marks, one sentence a line."""
        return [
            f"▲ better, ▼ worse than {self.names[0]}, = no difference that a 95 % interval shows, ! different, and the one that "
            "looks better is beyond real rows: a warning. Scores with a target (→) are compared by their distance from it.",
            f"Of {self.tested} such intervals about {max(1, round(self.tested / 20))} would exclude zero by chance alone. "
            "There is no overall score: fidelity, biology, utility and privacy do not trade against each other.",
        ]

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the comparison as one self-contained page, and write it to ``path`` where one is given."""
        from augmentor.evaluation.report.html import render

        page = render(
            "beside.html.j2", beside=self, marks=MARKS, first=self.reports[0], reference=_reference(self.reports[0])
        )
        if path is not None:
            with atomic_file(path) as file:
                file.write(page.encode())
        return page

    def _table(self, lines: Sequence[Line], width: int) -> list[str]:
        """Values with marks for every report; differences with intervals where the width allows."""
        head = ["score", "goal", "real", *self.names]
        rows = [[line.spec.name, *_goal_and_real(line), *map(_marked, line.scores, line.differences)] for line in lines]
        wide = [f"{name} − {self.names[0]} [95 %]" for name in self.names[1:]]
        more = [[*row, *map(_interval, line.differences[1:])] for row, line in zip(rows, lines, strict=True)]
        aligns = "<<>" + ">" * len(self.names)
        full = _tabulated([[*head, *wide], *more], aligns + "<" * len(wide), None)
        if max(map(len, full)) <= width:
            return full
        return [*_tabulated([head, *rows], aligns, width), "intervals of the differences: --html or --json"]


def beside(reports: Mapping[str, Report]) -> Beside:
    """Put reports side by side.

    Args:
        reports: finished evaluations by name, the first is what the others are compared with.

    Raises:
        ConfigError: fewer than two reports.
        SchemaMismatch: they judge against other rows, in another space or with another schema.
    """
    if len(reports) < 2:
        raise ConfigError("comparing needs at least two reports; name a second one.")
    names, items = tuple(reports), tuple(reports.values())
    for name, report in list(reports.items())[1:]:
        _refuse(names[0], items[0], name, report)
    order = dict.fromkeys(name for report in items for name in report.scores)
    lines = [_line(name, items) for name in order]
    ranked = sorted(lines, key=lambda line: (not line.spec.headline, words.AXES.index(line.spec.axis)))
    return Beside(names, items, tuple(ranked), tuple(_notes(names, items)))


def _refuse(first: str, a: Report, second: str, b: Report) -> None:
    """Raise where two reports do not answer the same question."""
    held, other = _reference(a), _reference(b)
    rows = a.data.get(held), b.data.get(other)
    differing = ""
    if held != other:
        with_, without = (first, second) if held == "holdout" else (second, first)
        differing = f"{with_} has held-out rows and {without} has none"
    elif a.label != b.label or rows[0] is None or rows[1] is None:
        differing = f"the label columns are '{a.label}' and '{b.label}'"
    elif rows[0].genes != rows[1].genes:
        differing = f"their schemas have {rows[0].genes:,} and {rows[1].genes:,} {words.features(a)}"
    elif rows[0].digest != rows[1].digest:
        differing = f"their {'held-out' if held == 'holdout' else 'real'} rows are not the same"
    elif a.arms != b.arms:
        differing = f"their arms are {', '.join(a.arms)} and {', '.join(b.arms)}"
    else:
        unlike = [key for key in _SPACE if a.space.get(key) != b.space.get(key)]
        if unlike:
            seeds = f" (seeds {a.seed} and {b.seed})" if a.seed != b.seed else ""
            differing = f"their spaces differ in {', '.join(unlike)}{seeds}"
    if differing:
        raise SchemaMismatch(
            f"{first} and {second} cannot stand side by side: {differing}. Evaluate both against the same held-out rows, "
            "with the same --genes, --label and --seed."
        )


def _reference(report: Report) -> str:
    return "holdout" if "holdout" in report.data else "train"


def _notes(names: Sequence[str], reports: Sequence[Report]) -> list[str]:
    first, notes = reports[0], []
    for name, report in zip(names[1:], reports[1:], strict=True):
        rows = first.space.get("rows_compared"), report.space.get("rows_compared")
        if rows[0] != rows[1]:
            notes.append(
                f"{names[0]} and {name} were compared on {rows[0]} and {rows[1]} rows: differences are unpaired."
            )
        elif first.seed != report.seed:
            notes.append(f"{names[0]} and {name} have seeds {first.seed} and {report.seed}: differences are unpaired.")
        digests = [item.data["train"].digest for item in (first, report) if "train" in item.data]
        if len(set(digests)) > 1:
            notes.append(f"the generators of {names[0]} and {name} were fitted on different training rows.")
    return notes


def _line(name: str, reports: Sequence[Report]) -> Line:
    scores = tuple(report.scores.get(name) for report in reports)
    spec = next(score.spec for score in scores if score is not None)
    shared = [_sizes(report) == _sizes(reports[0]) for report in reports]
    first = scores[0]
    differences = [None] + [
        None if first is None or score is None else difference(first, score, same_rows=same)
        for score, same in zip(scores[1:], shared[1:], strict=True)
    ]
    return Line(spec, scores, tuple(differences))


def _sizes(report: Report) -> tuple[Any, ...]:
    """What decides which rows an evaluation resamples."""
    return report.seed, report.space.get("rows_compared"), report.space.get("per_label")


def difference(a: Score, b: Score, *, same_rows: bool) -> Difference | None:
    """Return ``b`` minus ``a`` with its interval, or None where one has no value.

    Args:
        a: score of the first report.
        b: the same score of another.
        same_rows: whether both evaluations resampled the same real rows.
    """
    if not words.usable(a.value) or not words.usable(b.value):
        return None
    value = _placed(b.spec, b.value) - _placed(a.spec, a.value)
    half, method = None, ""
    draws = _paired(a, b) if same_rows and a.n_used == b.n_used else []
    freedom = sum(len(fold) - 1 for fold in draws)
    if freedom >= 2:
        squares = sum(float(np.square(np.subtract(fold, np.mean(fold))).sum()) for fold in draws)
        # folds compare disjoint held-out rows; their average varies less than one of them
        sd = math.sqrt(squares / freedom / len(draws))
        half, method = float(stats.t.ppf(0.975, freedom)) * sd, f"paired, {sum(map(len, draws))} draws"
    elif a.interval is not None and b.interval is not None:
        half = math.hypot(*((item.high - item.low) / 2 for item in (a.interval, b.interval)))
        half, method = (half, "unpaired") if math.isfinite(half) else (None, "")
    if half is None:
        return Difference(value)
    word = _word(a.spec, value, half)
    if word in ("better", "worse") and _beyond_real(b if word == "better" else a):
        word = "beyond real"
    return Difference(value, value - half, value + half, method, word)


def _placed(spec: ScoreSpec, value: float) -> float:
    """Return the value, or its distance from the ideal where that is what counts."""
    return abs(value - spec.ideal) if spec.goal == "target" and spec.ideal is not None else value


def _paired(a: Score, b: Score) -> list[list[float]]:
    """Return the differences of two scores' resampled values, fold by fold; nothing where they do not pair."""
    first, second = a.detail.get("resampled"), b.detail.get("resampled")
    if not first or not second or [len(fold) for fold in first] != [len(fold) for fold in second]:
        return []
    found = [
        [
            _placed(b.spec, y) - _placed(a.spec, x)
            for x, y in zip(*folds, strict=True)
            if words.usable(x) and words.usable(y)
        ]
        for folds in zip(first, second, strict=True)
    ]
    return [fold for fold in found if len(fold) > 1]


def _word(spec: ScoreSpec, value: float, half: float) -> str:
    if spec.goal == "target" and spec.ideal is None:
        return ""
    if abs(value) <= half:
        return "no difference"
    return "better" if (value > 0) == (spec.goal == "maximize") else "worse"


def _beyond_real(score: Score) -> bool:
    """Whether a score is better than that of real rows by more than both uncertainties: copies, or rows without noise."""
    if score.ceiling is None or score.value is None or score.spec.goal == "target":
        return False
    half = 0.0 if score.interval is None else (score.interval.high - score.interval.low) / 2
    gap = score.value - score.ceiling.mean if score.spec.goal == "maximize" else score.ceiling.mean - score.value
    return gap > math.hypot(half, 2 * score.ceiling.sd)


def _changed(line: Line) -> bool:
    return any(item is not None and item.word not in ("", "no difference") for item in line.differences)


def _verdict(report: Report, axis: str) -> str:
    item = report.verdicts.get(axis)
    return "–" if item is None else f"{words.SYMBOLS[words.level(item)]} {words.one_line(item.verdict)}"


def _goal_and_real(line: Line) -> tuple[str, str]:
    score = next(score for score in line.scores if score is not None)
    return words.goal(score), words.number(None if score.ceiling is None else score.ceiling.mean)


def _marked(score: Score | None, change: Difference | None) -> str:
    text = "–" if score is None else words.number(score.value)
    return f"{text} {MARKS[change.word if change else '']}".rstrip() if change else f"{text}  "


def _interval(change: Difference | None) -> str:
    if change is None:
        return "–"
    if change.low is None:
        return f"{words.signed(change.value)}"
    return f"{words.signed(change.value)} [{words.signed(change.low)}, {words.signed(change.high)}]"


def _tabulated(rows: Sequence[Sequence[str]], aligns: str, width: int | None) -> list[str]:
    """Return rows of cells as lines; the widest columns after the first give way where there is a width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    while width is not None and sum(widths) + 2 * (len(widths) - 1) > width and max(widths[1:]) > 8:
        widest = max(range(1, len(widths)), key=lambda i: widths[i])
        widths[widest] -= 1
    return ["  ".join(cell(*item) for item in zip(row, widths, aligns, strict=True)).rstrip() for row in rows]


def _summary(report: Report) -> dict[str, Any]:
    return {
        "synthetic": {"name": report.data["synthetic"].name, "rows": report.data["synthetic"].rows}
        if "synthetic" in report.data
        else None,
        "seed": report.seed,
        "verdicts": {axis: item.verdict for axis, item in report.verdicts.items()},
    }


def _entry(score: Score | None, change: Difference | None) -> dict[str, Any]:
    if score is None:
        return {"value": None, "skipped": "not in this report", "difference": None}
    return {
        "value": score.value if words.usable(score.value) else None,
        "interval": None if score.interval is None else score.interval.model_dump(),
        "ceiling": None if score.ceiling is None else score.ceiling.mean,
        "floor": score.floor,
        "normalised": score.normalised,
        "skipped": score.skipped,
        "difference": None if change is None else asdict(change),
    }
