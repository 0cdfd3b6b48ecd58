"""A report as one HTML page that needs nothing else: no network, no installation, and no JavaScript to be read.

Everything that comes from the data is escaped by Jinja2; the numbers for the interactive map travel as JSON in which no
character can end the element that holds it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from augmentor.core.atomic import atomic_file
from augmentor.evaluation.report import figures, readings, words
from augmentor.evaluation.report.style import colour_of, colours_for, inline_svg
from augmentor.evaluation.score import Report, Score

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

_LOWEST, _HIGHEST = -0.25, 1.25  # the drawn range of normalised values


def to_html(report: Report, path: str | os.PathLike[str] | None = None) -> str:
    """Return the report as a self-contained page, and write it to ``path`` where one is given.

    Args:
        report: a finished evaluation.
        path: where to write it, for example ``report.html``.
    """
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            policy=Markup(POLICY),
            words=words,
            sets=[name for name in ("synthetic", "train", "holdout") if name in report.data],
            labels=words.labels(report),
            attention=_attention(report),
            worst_labels=_worst_labels(report),
            pictures=_pictures(report),
            map_data=_map_data(report),
            facts=_facts(report),
        )
    )
    if path is not None:
        with atomic_file(path) as file:
            file.write(page.encode())
    return page


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=_minus(words.number),
        interval=_minus(words.interval),
        goal=words.goal,
        clean=words.one_line,
        label=words.label,
        title=words.title,
        bar=_bar,
    )
    return environment


def _minus(function: Any) -> Any:
    """Return the function with a typographic minus sign, except in exponents."""
    return lambda value: function(value).replace("e-", "e\0").replace("-", "−").replace("e\0", "e-")


def _bar(score: Score) -> Markup:
    """Return a normalised value as a drawn scale: a tick at the floor, a tick at real rows, a mark in between."""
    if score.normalised is None or not words.usable(score.normalised):
        return Markup("")
    value = float(np.clip(score.normalised, _LOWEST, _HIGHEST))
    zero, one, at = ((mark - _LOWEST) / (_HIGHEST - _LOWEST) * 120 for mark in (0.0, 1.0, value))
    left, length = min(zero, at), abs(at - zero)
    return Markup(
        '<svg class="bar" viewBox="0 0 120 18" aria-hidden="true">'
        '<line class="track" x1="0" x2="120" y1="9" y2="9"/>'
        '<rect class="fill" x="{:.1f}" y="6" width="{:.1f}" height="6" rx="1"/>'
        '<line class="tick" x1="{:.1f}" x2="{:.1f}" y1="2" y2="16"/><line class="real" x1="{:.1f}" x2="{:.1f}" y1="1" y2="17"/>'
        '<circle class="mark" cx="{:.1f}" cy="9" r="4"/></svg>'
    ).format(left, length, zero, zero, one, one, at)


def _attention(report: Report) -> list[tuple[str, str, str]]:
    """Return (kind, where, text) for every warning and every flag."""
    found = [("Warning", ", ".join(item.affects), item.text) for item in report.warnings if item.code != "no_holdout"]
    for score in report.scores.values():
        found += [
            ("Flag", score.name, f"{flag.replace('_', ' ')}. {words.FLAGS.get(flag, '')}".strip())
            for flag in score.flags
            if flag != "no_holdout"  # one sentence at the top says it for all scores
        ]
    return found


def _worst_labels(report: Report) -> list[tuple[str, list[tuple[Score, float]]]]:
    """Return labels that are the worst of a headline score, with those scores; the most frequent first."""
    found: dict[str, list[tuple[Score, float]]] = {}
    for score in words.headlines(report):
        if score.worst is not None:
            label, value = score.worst
            found.setdefault(label, []).append((score, value))
    return sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))


def _pictures(report: Report) -> list[dict[str, Any]]:
    """Return the pictures with their words; each panel is an `<svg>` of its own, so that a narrow page stacks them."""
    pictures = []
    for name in figures.available(report):
        reading = readings.read(report, name)
        if name == "per_label":
            drawn = [figures.draw_label(report, score.name) for score in figures.rated_per_label(report)]
        else:
            drawn = [figures.draw(report, name, [panel]) for panel in figures.PANELS.get(name, ("",))]
        if len(drawn) == 1:
            drawn[0].axes[0].set_title("", loc="left")  # the heading above says it
        panels = [
            Markup(inline_svg(figure, f"{name}-{index}", title=reading.title, description=reading.alt))
            for index, figure in enumerate(drawn)
        ]
        pictures.append({"name": name, "reading": reading, "panels": panels})
    return pictures


def _map_data(report: Report) -> dict[str, Any] | None:
    """Return the joint map for the interactive scatter, labels as positions in one list."""
    data = report.figures.get("umap")
    if data is None:
        return None
    colours = colours_for([str(item) for item in data["label"]], colour_of(words.labels(report)))
    labels = list(colours)
    place = {label: index for index, label in enumerate(labels)}
    return {
        "x": _rounded(data["x"]),
        "y": _rounded(data["y"]),
        "label": [place[str(item)] for item in data["label"]],
        "synthetic": [int(str(item) == "synthetic") for item in data["origin"]],
        "labels": [words.label(label) for label in labels],
        "colours": list(colours.values()),
    }


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    return [round(float(value), 3) if words.usable(value) else None for value in values]


def _facts(report: Report) -> list[tuple[str, str]]:
    """Return what a reader needs to repeat the evaluation, as (name, text)."""
    facts = [
        ("written by", f"augmentor {report.augmentor}, {report.created}"),
        ("command", report.command),
        ("label column", report.label),
        ("seed", str(report.seed)),
        ("arms", ", ".join(report.arms)),
    ]
    facts += [(f"space {name}", text) for name, text in _flat(report.space)]
    facts += [
        (name, f"{rows.rows:,} rows, {rows.genes:,} genes, digest {rows.digest[:16]}")
        for name, rows in report.data.items()
    ]
    facts += _flat(report.environment)
    return [(name.replace("_", " "), text) for name, text in facts if text]


def _flat(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a mapping as (name, text), an inner mapping on one line."""
    return [
        (
            str(name),
            ", ".join(f"{key} {_short(part)}" for key, part in item.items())
            if isinstance(item, Mapping)
            else _short(item),
        )
        for name, item in value.items()
        if item is not None
    ]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return words.number(value)
    if isinstance(value, list | tuple):
        return ", ".join(_short(item) for item in value[:12]) + (
            f" and {len(value) - 12} more" if len(value) > 12 else ""
        )
    return str(value)
