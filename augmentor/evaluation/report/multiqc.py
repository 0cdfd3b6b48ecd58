"""A report as MultiQC custom content: a section with the headline scores, and the verdicts as general statistics.

MultiQC reads one section from a file, so there are two: ``NAME_mqc.json`` holds the table, ``NAME_general_mqc.json`` the columns
for the general statistics. Both are keyed by the name of the synthetic rows; files of several evaluations merge into one table
with a row for each.

Format: MultiQC custom content, ``*_mqc.json`` (docs.seqera.io/multiqc/custom_content); tried with MultiQC 1.35.
"""

from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path
from typing import Any, Final

from augmentor.core.atomic import atomic_file
from augmentor.core.errors import ConfigError
from augmentor.evaluation.report import words
from augmentor.evaluation.score import Report, Score

ENDING: Final = "_mqc.json"

#: Colours of verdicts in tables, by level; the word stands beside the colour.
COLOURS: Final = ("good", "near", "caution", "bad", "unknown")
_PAINT: Final = [
    {"good": "#0b6b4b"},
    {"near": "#14607a"},
    {"caution": "#8a5200"},
    {"bad": "#a3301d"},
    {"unknown": "#535b67"},
]


def to_multiqc(report: Report, path: str | os.PathLike[str]) -> list[Path]:
    """Write the table and the general statistics; returns both paths.

    Args:
        report: a finished evaluation.
        path: where the table goes; its name ends in ``_mqc.json``, or MultiQC would not find it.

    Raises:
        ConfigError: the name ends in something else.
    """
    target = Path(path)
    if not target.name.endswith(ENDING):
        raise ConfigError(f"MultiQC finds files by their ending: name it NAME{ENDING}, not '{target.name}'.")
    second = target.with_name(f"{target.name.removesuffix(ENDING)}_general{ENDING}")
    for file, content in ((target, section(report)), (second, general(report))):
        with atomic_file(file) as stream:
            stream.write((json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode())
    return [target, second]


def section(report: Report) -> dict[str, Any]:
    """Return the table: verdicts, then every headline score with its interval and beside what real rows score."""
    headers = {axis: _verdict_column(axis) for axis in _axes(report)}
    row: dict[str, Any] = {axis: report.verdicts[axis].verdict for axis in headers}
    for score in words.headlines(report):
        for key, column, value in _columns(score):
            headers[key] = column
            if value is not None:
                row[key] = value
    return {
        "id": "augmentor",
        "section_name": "Synthetic rows",
        "section_href": "",
        "description": (
            "Synthetic expression rows judged against held-out real rows by augmentor. Beside every score stands what real "
            f"rows reach in their place. Verdicts: {html.escape(words.thresholds())}. {html.escape(words.PRIVACY_NOTE)}"
        ),
        "plot_type": "table",
        "pconfig": {
            "id": "augmentor_scores",
            "title": "augmentor: headline scores",
            "col1_header": "Synthetic rows",
            "no_violin": True,
        },
        "headers": headers,
        "data": {sample(report): row},
    }


def general(report: Report) -> dict[str, Any]:
    """Return the verdicts, the number of rows and the number of flagged scores as columns of the general statistics."""
    columns: list[dict[str, Any]] = [{axis: _verdict_column(axis)} for axis in _axes(report)]
    row: dict[str, Any] = {axis: report.verdicts[axis].verdict for axis in _axes(report)}
    flagged = sum(map(words.suspicious, report.scores.values()))
    columns.append(
        {
            "flagged": {
                "title": "Flagged",
                "description": "Scores above what real rows reach, or otherwise suspicious.",
                "format": "{:,.0f}",
                "min": 0,
                "scale": "OrRd",
            }
        }
    )
    row["flagged"] = flagged
    if "synthetic" in report.data:
        columns.append(
            {
                "rows": {
                    "title": "Rows",
                    "description": "Synthetic rows.",
                    "format": "{:,.0f}",
                    "scale": False,
                    "hidden": True,
                }
            }
        )
        row["rows"] = report.data["synthetic"].rows
    return {
        "id": "augmentor_general",
        "plot_type": "generalstats",
        "namespace": "augmentor",
        "headers": columns,
        "data": {sample(report): row},
    }


def sample(report: Report) -> str:
    """Return what the rows are called in MultiQC's tables: the name of their file without its ending."""
    return html.escape(words.one_line(Path(words.heading(report)).stem))


def _axes(report: Report) -> list[str]:
    return [axis for axis in (*words.AXES, "augmentation") if axis in report.verdicts]


def _verdict_column(axis: str) -> dict[str, Any]:
    """A column of words, coloured by how good they are."""
    rules: dict[str, list[dict[str, str]]] = {level: [] for level in COLOURS}
    for word, level in words.LEVELS.items():
        rules[level].append({"s_eq": word})
    return {
        "title": axis.capitalize(),
        "description": words.AXIS_MEANING.get(axis, words.QUESTIONS[axis]),
        "scale": False,
        "cond_formatting_rules": {level: found for level, found in rules.items() if found},
        "cond_formatting_colours": _PAINT,
    }


def _columns(score: Score) -> list[tuple[str, dict[str, Any], float | str | None]]:
    """Columns of one score: value, interval, real rows; normalised, floor and worst label are hidden at first."""
    key = re.sub(r"\W", "_", score.name)
    title = html.escape(words.title(score.spec.title))
    meaning = html.escape(f"{score.spec.meaning} ({words.goal_words(score)})")
    numeric: dict[str, Any] = {"scale": False, "format": "{:,.3f}"}
    low, high = score.spec.bounds
    normal = {"min": 0, "max": 1, "scale": "Blues", "format": "{:,.2f}", "hidden": True}
    found = [
        (
            key,
            title,
            meaning,
            {**numeric, **({} if low is None else {"min": low}), **({} if high is None else {"max": high})},
        ),
        (f"{key}_interval", f"{title}: 95 %", "95 % interval", {"scale": False, "hidden": True}),
        (f"{key}_real", f"{title}: real rows", "What real rows score in the place of the synthetic ones.", numeric),
        (
            f"{key}_floor",
            f"{title}: floor",
            f"Rows broken on purpose: {score.spec.floor}.",
            {**numeric, "hidden": True},
        ),
        (f"{key}_normalised", f"{title}: normalised", "1 is as good as real rows, 0 as bad as the floor.", normal),
        (f"{key}_worst", f"{title}: worst label", "The label that scores worst.", {"scale": False, "hidden": True}),
    ]
    worst = (
        None if score.worst is None else html.escape(f"{words.label(score.worst[0])} {words.number(score.worst[1])}")
    )
    values: list[float | str | None] = [
        score.value,
        None if score.interval is None else words.interval(score),
        None if score.ceiling is None else score.ceiling.mean,
        score.floor,
        score.normalised,
        worst,
    ]
    return [
        (
            name,
            {"title": head, "description": text, **how},
            value if isinstance(value, str) or words.usable(value) else None,
        )
        for (name, head, text, how), value in zip(found, values, strict=True)
    ]
