"""A report as one HTML page that needs nothing else: no network, no installation, and no JavaScript to be read.

Everything that comes from the data is escaped by Jinja2; the numbers for the interactive map travel as JSON in which no
character can end the element that holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

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
    page = render(
        "report.html.j2",
        report=report,
        told=_teller(report),
        sets=[name for name in ("synthetic", "train", "holdout") if name in report.data],
        labels=words.labels(report),
        notices=_notices(report),
        flagged=_flagged(report),
        worst_labels=_worst_labels(report),
        pictures=_pictures(report),
        map_data=_map_data(report),
        facts=_facts(report),
    )
    if path is not None:
        with atomic_file(path) as file:
            file.write(page.encode())
    return page


def render(template: str, **values: Any) -> str:
    """Return a page from a template of this folder."""
    return _environment().get_template(template).render(policy=Markup(POLICY), words=words, zip=zip, **values)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["suspicious"] = words.suspicious
    environment.filters.update(
        number=_minus(words.number),
        interval=_minus(words.interval),
        goal=words.goal,
        clean=words.one_line,
        label=words.label,
        title=words.title,
        bar=_bar,
        signed=_minus(words.signed),
    )
    return environment


def _minus(function: Any) -> Any:
    """Return the function with a typographic minus sign, except in exponents."""
    return lambda value: function(value).replace("e-", "e\0").replace("-", "−").replace("e\0", "e-")


def _bar(score: Score) -> Markup:
    """Return a normalised value as a drawn scale: ticks at the floor and at real rows, a triangle with its interval."""
    if score.normalised is None or not words.usable(score.normalised):
        return Markup("")
    zero, one, at = (_along(mark) for mark in (0.0, 1.0, score.normalised))
    low, high = (_along(end) for end in _normalised_interval(score) or (score.normalised, score.normalised))
    return Markup(
        '<svg class="bar" viewBox="0 0 120 18" aria-hidden="true">'
        '<line class="track" x1="0" x2="120" y1="9" y2="9"/>'
        '<rect class="fill" x="{:.1f}" y="6" width="{:.1f}" height="6" rx="1"/>'
        '<line class="tick" x1="{:.1f}" x2="{:.1f}" y1="2" y2="16"/><line class="real" x1="{:.1f}" x2="{:.1f}" y1="1" y2="17"/>'
        '<line class="span" x1="{:.1f}" x2="{:.1f}" y1="9" y2="9"/>'
        '<path class="mark" d="M{:.1f} 4l5 9h-10z"/></svg>'
    ).format(min(zero, at), abs(at - zero), zero, zero, one, one, low, high, at)


def _along(normalised: float) -> float:
    """Return where on the scale of `_bar` a normalised value stands."""
    return (float(np.clip(normalised, _LOWEST, _HIGHEST)) - _LOWEST) / (_HIGHEST - _LOWEST) * 120


def _normalised_interval(score: Score) -> tuple[float, float] | None:
    """Return the ends of the interval on the scale on which the floor is 0 and real rows are 1."""
    if score.interval is None or score.ceiling is None or not words.usable(score.floor):
        return None
    ideal = score.spec.ideal if score.spec.goal == "target" else None

    def place(value: float) -> float:
        return value if ideal is None else abs(value - ideal)

    floor, real = place(score.floor), place(score.ceiling.mean)
    ends = [score.interval.low, score.interval.high]
    if ideal is not None and ends[0] < ideal < ends[1]:
        ends.append(ideal)  # the best that the interval holds
    found = [(place(end) - floor) / (real - floor) for end in ends if real != floor and words.usable(end)]
    return (min(found), max(found)) if found else None


def _teller(report: Report) -> Any:
    """Return a function that writes a sentence with titles, linked to their definitions, for names of scores."""
    # a name of one word could be meant as a word
    names = sorted((name for name in report.scores if "." in name or "_" in name), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, names))})(?![\w]|\.\w)" if names else r"(?!)")

    def link(found: re.Match[str]) -> str:
        title = report.scores[found[1]].spec.title
        return str(Markup('<a href="#def-{}">{}</a>').format(found[1], words.one_line(title)))

    def told(text: str) -> Markup:
        # names of scores hold no character that escaping changes
        return Markup(pattern.sub(link, str(escape(words.one_line(text)))))

    return told


def _notices(report: Report) -> list[tuple[str, str]]:
    """Return (text, what it affects) for every warning."""
    return [(item.text, ", ".join(item.affects)) for item in report.warnings if item.code != "no_holdout"]


def _flagged(report: Report) -> list[tuple[str, str, list[Score]]]:
    """Return (flag, what it means, scores that carry it): one entry per flag, however many scores there are."""
    found: dict[str, list[Score]] = {}
    for score in report.scores.values():
        for flag in score.flags:
            if flag != "no_holdout":  # one sentence at the top says it for all scores
                found.setdefault(flag, []).append(score)
    # what withholds a number weighs less than what says that one is wrong
    order = sorted(found.items(), key=lambda item: (item[0] == "uninformative_here", item[0]))
    return [(flag.replace("_", " "), words.FLAGS.get(flag, ""), scores) for flag, scores in order]


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
        drawn = figures.draw_panels(report, name)
        if len(drawn) == 1 and name != "contours":
            drawn[0].axes[0].set_title("", loc="left")  # the heading above says it
        panels = [
            Markup(inline_svg(figure, f"{name}-{index}", title=reading.title, description=reading.alt))
            for index, figure in enumerate(drawn)
        ]
        pictures.append({"name": name, "axis": figures.AXIS.get(name), "reading": reading, "panels": panels})
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
        (name, f"{rows.rows:,} rows, {rows.genes:,} {words.features(report)}, digest {rows.digest[:16]}")
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
