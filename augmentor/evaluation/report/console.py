"""A report as text: at most 40 lines, 100 columns, readable without colour.

`renderable` is for a terminal (Rich writes the colours where there are any), `render` is the same text as a string.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from augmentor.evaluation.report import words
from augmentor.evaluation.score import Report, Score

LINES = 40

STYLES = {"good": "green", "near": "cyan", "caution": "yellow", "bad": "red", "unknown": "dim"}

_HEADINGS = ("score", "goal", "value", "95 % interval", "real", "floor", "norm", "worst label", "flag")
_ALIGN = "<<><>>><<"
_SHRINK = ((7, 12), (8, 13), (0, 16))  # column, smallest width: what gives way first when the table is too wide


@dataclass
class _Page:
    """Lines of text that may be styled, and that never exceed the width."""

    width: int
    lines: list[Text] = field(default_factory=list)

    def add(self, text: str = "", style: str = "") -> None:
        self.lines.append(Text(fit(text, self.width), style=style))

    def wrap(self, text: str, *, most: int, indent: str = "  ", style: str = "") -> None:
        """Add a text on at most ``most`` lines; what does not fit ends in an ellipsis."""
        wrapped = textwrap.wrap(
            words.one_line(text), self.width, subsequent_indent=indent, max_lines=most, placeholder=" …"
        )
        for line in wrapped:
            self.add(line, style)


def render(report: Report, width: int = 100) -> str:
    """Return the report as plain text, lines of at most ``width`` columns, ending without a line break."""
    return renderable(report, width).plain


def renderable(report: Report, width: int = 100) -> Text:
    """Return the report for a Rich console; labels are text, never markup.

    Args:
        report: a finished evaluation.
        width: number of columns, at least 60.
    """
    page = _Page(max(width, 60))
    missing = words.no_holdout(report)
    if missing is not None:
        page.wrap(f"! {missing}", most=2, style="bold yellow")
    page.wrap(words.subject(report), most=2, style="bold")
    if any(item.labels for item in report.data.values()):
        page.wrap(_rows_per_label(report), most=2, style="dim")
    page.add()
    _verdicts(page, report)
    page.add()
    tail = _Page(page.width)
    _warnings(tail, report)
    shown = words.headlines(report)
    room = LINES - len(page.lines) - len(tail.lines) - 2  # 2: the table's heading and its last line
    _table(page, shown[:room])
    more = len(report.scores) - len(shown[:room])
    page.add(f"… and {more} more in report.html" if more else f"All {len(report.scores)} scores shown.", "dim")
    return Text("\n").join([*page.lines, *tail.lines])


def _rows_per_label(report: Report) -> str:
    """Return ``rows per label (synthetic/train/holdout): B 60/120/60, …``, largest labels first."""
    sets = [name for name in ("synthetic", "train", "holdout") if name in report.data]
    counts = [
        f"{words.label(label)} " + "/".join(str(report.data[name].labels.get(label, 0)) for name in sets)
        for label in words.labels(report)
    ]
    return f"rows per label ({'/'.join(sets)}): {', '.join(counts)}"


def _verdicts(page: _Page, report: Report) -> None:
    """One line per axis, and what the evidence says about augmentation; a negative answer comes first."""
    for name, item in words.verdicts(report).items():
        level = words.level(item)
        head = f"{words.SYMBOLS[level]} {name.upper():<13}{words.one_line(item.verdict)}"
        if item.sentence:
            head = f"{head}: {item.sentence}"
        page.wrap(head, most=2, indent=" " * 15, style=STYLES[level])


def _table(page: _Page, scores: list[Score]) -> None:
    """Add one line per score under a heading; columns are as wide as they need to be and give way in `_SHRINK`."""
    rows = [_cells(score) for score in scores]
    whole = [row for row, score in zip(rows, scores, strict=True) if score.skipped is None]
    widths = [max(cell_len(row[i]) for row in [_HEADINGS, *whole]) for i in range(len(_HEADINGS))]
    widths[0] = max([cell_len(row[0]) for row in rows] + [widths[0]])
    for column, least in _SHRINK:
        excess = sum(widths) + len(widths) - 1 - page.width
        widths[column] -= min(max(excess, 0), max(widths[column] - least, 0))
    page.add(_joined(_HEADINGS, widths), "bold")
    for row, score in zip(rows, scores, strict=True):
        if score.skipped is not None:
            page.add(f"{cell(row[0], widths[0], '<')} skipped: {words.one_line(score.skipped)}", STYLES["unknown"])
        else:
            if score.worst is not None:
                row[7] = _labelled(*score.worst, widths[7])
            page.add(_joined(row, widths), STYLES["caution"] if score.flags else "")


def _cells(score: Score) -> list[str]:
    floor = "–" if score.floor is None else f"{words.number(score.floor)} {(score.spec.floor or ' ')[0].upper()}"
    flags = [flag.removesuffix("_here") for flag in score.flags]
    return [
        score.name,
        words.goal(score),
        words.number(score.value),
        words.interval(score),
        words.number(None if score.ceiling is None else score.ceiling.mean),
        floor,
        words.number(score.normalised),
        "–" if score.worst is None else f"{words.label(score.worst[0])} {words.number(score.worst[1])}",
        f"{flags[0]} +{len(flags) - 1}" if len(flags) > 1 else "".join(flags),
    ]


def _joined(cells: Sequence[str], widths: list[int]) -> str:
    return " ".join(cell(*item) for item in zip(cells, widths, _ALIGN, strict=True)).rstrip()


def _labelled(label: str, value: float, width: int) -> str:
    """Return ``label value``, the label shortened so that the value stays readable."""
    text = words.number(value)
    return f"{fit(words.label(label), width - len(text) - 1)} {text}"


def _warnings(page: _Page, report: Report) -> None:
    others = [item for item in report.warnings if item.code != "no_holdout"]
    for item in others[:4]:
        page.wrap(f"! {item.text}", most=2, style=STYLES["caution"])
    if len(others) > 4:
        page.add(f"! … and {len(others) - 4} more warnings in report.html", STYLES["caution"])
    for failed in report.failed[:3]:
        page.wrap(f"✗ {failed.metric} failed: {failed.error}", most=1, style=STYLES["bad"])
    if len(report.failed) > 3:
        page.add(f"✗ … and {len(report.failed) - 3} more failed", STYLES["bad"])


def cell(text: str, width: int, align: str) -> str:
    """Return the text on exactly ``width`` columns; wide characters count two."""
    text = fit(text, width)
    gap = " " * (width - cell_len(text))
    return gap + text if align == ">" else text + gap


def fit(text: str, width: int) -> str:
    """Return the text on at most ``width`` columns, cut with an ellipsis."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"
