"""A report as a table: one row per score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augmentor.evaluation.report import words
from augmentor.evaluation.score import Report

if TYPE_CHECKING:
    import pandas as pd


def to_frame(report: Report) -> pd.DataFrame:
    """Return one row per score, indexed by its name, in catalogue order.

    Columns: axis, title, goal, ideal, value, low, high, ceiling, ceiling_sd, floor, floor_name, normalised,
    worst_label, worst_value, n_used, space, headline, flags, skipped. What is missing is NaN, or None for texts.
    """
    import pandas as pd

    rows = []
    for score in report.scores.values():
        label, value = score.worst or (None, None)
        rows.append(
            {
                "score": score.name,
                "axis": score.spec.axis,
                "title": score.spec.title,
                "goal": score.spec.goal,
                "ideal": score.spec.ideal,
                "value": score.value,
                "low": None if score.interval is None else score.interval.low,
                "high": None if score.interval is None else score.interval.high,
                "ceiling": None if score.ceiling is None else score.ceiling.mean,
                "ceiling_sd": None if score.ceiling is None else score.ceiling.sd,
                "floor": score.floor,
                "floor_name": score.spec.floor,
                "normalised": score.normalised,
                "worst_label": label,
                "worst_value": value,
                "n_used": score.n_used,
                "space": score.space,
                "headline": score.spec.headline,
                "flags": ", ".join(score.flags),
                "skipped": score.skipped,
            }
        )
    numbers = ["ideal", "value", "low", "high", "ceiling", "ceiling_sd", "floor", "normalised", "worst_value"]
    frame = pd.DataFrame(rows, columns=list(rows[0]) if rows else ["score", "axis", *numbers]).set_index("score")
    return frame.astype(dict.fromkeys(numbers, float))


def to_markdown(report: Report) -> str:
    """Return verdicts, warnings and all scores as Markdown, for a README, an issue or a pipeline's log."""
    lines = [f"## {_escaped(words.subject(report))}", ""]
    missing = words.no_holdout(report)
    if missing is not None:
        lines += [f"**{_escaped(missing)}**", ""]
    for axis, item in words.verdicts(report).items():
        symbol = words.SYMBOLS[words.level(item)]
        lines.append(f"- {symbol} **{_escaped(axis)}: {_escaped(item.verdict)}**. {_escaped(item.sentence)}")
    lines += [f"- ! {_escaped(item.text)}" for item in report.warnings if item.code != "no_holdout"]
    lines += ["", "| score | goal | value | 95 % interval | real | floor | normalised | worst label | flags |"]
    lines.append("|---|:--:|--:|:--|--:|--:|--:|:--|:--|")
    for score in report.scores.values():
        worst = "–" if score.worst is None else f"{score.worst[0]} {words.number(score.worst[1])}"
        ceiling = None if score.ceiling is None else score.ceiling.mean
        cells = [
            score.name,
            words.goal(score),
            words.number(score.value) if score.skipped is None else f"skipped: {score.skipped}",
            words.interval(score),
            words.number(ceiling),
            words.number(score.floor),
            words.number(score.normalised),
            worst,
            ", ".join(score.flags),
        ]
        lines.append("| " + " | ".join(_escaped(cell) for cell in cells) + " |")
    lines += [f"\n{_escaped(item.metric)} failed: {_escaped(item.error)}" for item in report.failed]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Return the text so that Markdown and the HTML inside it show it as it is."""
    text = words.one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    for char in "\\`*_[]|":
        text = text.replace(char, f"\\{char}")
    return text
