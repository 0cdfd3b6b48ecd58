"""Marks on one panel: rows as points, genes as dots, labels in words, lines to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augmentor.core.random import Stream
from augmentor.evaluation.report import words
from augmentor.evaluation.report.style import FAINT, INK, PAPER, REAL, SYNTHETIC, shown
from augmentor.evaluation.score import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def label_dots(axis: Axes, score: Score, labels: list[str]) -> None:
    """Draw one score: a triangle per label, the ceiling as a line, a stem from the score of all rows; the worst is named."""
    values = np.array([_one_number(score.per_label[label].value) for label in labels])
    rows = np.arange(len(labels))
    worst = score.worst
    if score.ceiling is not None:
        axis.axvline(score.ceiling.mean, color=REAL, linestyle="--", linewidth=1.2)
    centre = score.value if words.usable(score.value) else None
    if centre is not None:
        axis.hlines(rows, centre, values, color=FAINT, linewidth=1.4, zorder=1)
    axis.scatter(values, rows, s=34, marker="^", facecolors=PAPER, edgecolors=SYNTHETIC, linewidths=1.4, zorder=2)
    names = [shown(label, 24) for label in labels]
    if worst is not None:
        names[labels.index(worst[0])] += "  (worst)"
    for row in rows[~np.isfinite(values)]:
        axis.text(0.02, row, "too few rows", transform=axis.get_yaxis_transform(), fontsize=7.5, va="center")
    axis.set_yticks(rows, names)
    axis.margins(x=0.08)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.grid(axis="y")
    axis.tick_params(axis="y", length=0)
    axis.set_title(f"{words.title(score.spec.title)} ({words.goal_words(score)})", fontsize=9, loc="right")


def by_label(axis: Axes, place: NDArray[Any], label: NDArray[Any], *, synthetic: bool, colours: dict[str, str]) -> None:
    """Scatter the rows of one origin in one shuffled order, and write each label where its rows are."""
    order = _shuffled(len(place))
    paint = [colours[item] for item in label[order]]
    _points(axis, place[order], paint, synthetic=synthetic)
    anchors = {name: np.nanmedian(place[label == name], axis=0) for name in colours if (label == name).any()}
    if anchors:
        _write_labels(axis, anchors, np.nanmin(place, axis=0), np.ptp(place, axis=0))


def _write_labels(axis: Axes, anchors: dict[str, NDArray[Any]], low: NDArray[Any], span: NDArray[Any]) -> None:
    """Write labels at their anchors, pushed apart in height where two would lie on each other."""
    near, step = 0.35 * span[0], 0.055 * span[1]
    for _ in range(20):
        for first in anchors:
            for second in anchors:
                gap = anchors[second] - anchors[first]
                if first < second and abs(gap[0]) < near and abs(gap[1]) < step:
                    push = (step - abs(gap[1])) / 2 * (1 if gap[1] >= 0 else -1)
                    anchors[first] = anchors[first] - [0, push]
                    anchors[second] = anchors[second] + [0, push]
    box = {"boxstyle": "round,pad=0.18", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.78}
    for name, (x, y) in anchors.items():
        side = "left" if x < low[0] + 0.2 * span[0] else "right" if x > low[0] + 0.8 * span[0] else "center"
        axis.text(x, y, shown(name, 22), fontsize=8, ha=side, va="center", bbox=box, clip_on=True)


def interleaved(axis: Axes, place: NDArray[Any], made: NDArray[np.bool_]) -> None:
    """Scatter both origins in alternating slices of one shuffled order, so that neither hides the other."""
    for part in np.array_split(_shuffled(len(place)), 24):
        for synthetic, colour in ((False, REAL), (True, SYNTHETIC)):
            rows = part[made[part] == synthetic]
            _points(axis, place[rows], [colour] * len(rows), synthetic=synthetic)
    for synthetic, colour, text in ((False, REAL, "real"), (True, SYNTHETIC, "synthetic")):
        style = _marker(synthetic)
        edge: dict[str, Any] = {"facecolors": "none", "edgecolors": colour} if synthetic else {"color": colour}
        axis.scatter([], [], s=22, label=text, **style, **edge)
    axis.legend(loc="upper left", fontsize=8, handletextpad=0.2)


def _points(axis: Axes, place: NDArray[Any], colours: list[str], *, synthetic: bool) -> None:
    paint: dict[str, Any] = {"facecolors": "none", "edgecolors": colours} if synthetic else {"c": colours}
    axis.scatter(place[:, 0], place[:, 1], s=8, alpha=0.7, rasterized=True, **_marker(synthetic), **paint)


def _marker(synthetic: bool) -> dict[str, Any]:
    return {"marker": "^", "linewidths": 0.7} if synthetic else {"marker": "o", "linewidths": 0}


def dots(axis: Axes, x: NDArray[Any], y: NDArray[Any], colour: str, marker: str, label: str) -> None:
    """Scatter genes with one marker and colour, as one image in a vector file."""
    if marker == "^":
        paint: dict[str, Any] = {"facecolors": "none", "edgecolors": colour, "linewidths": 0.8}
    else:
        paint = {"color": colour, "linewidths": 0}
    axis.scatter(x, y, s=11, marker=marker, alpha=0.75, label=label, rasterized=True, **paint)


def identity(axis: Axes, x: NDArray[Any], y: NDArray[Any]) -> None:
    """Draw the line on which both sides are equal, on square axes that hold all points."""
    top = float(np.nanmax(np.concatenate([x, y]), initial=1e-9)) * 1.04
    low = min(float(np.nanmin(np.concatenate([x, y]), initial=0.0)) * 1.04, -0.02 * top)
    axis.plot([low, top], [low, top], color=INK, linewidth=0.9, zorder=3)
    axis.set(xlim=(low, top), ylim=(low, top))
    axis.set_aspect("equal")


def line(axis: Axes, span: NDArray[Any], slope: float | None, style: Any, text: str) -> None:
    """Draw a line through the origin with its slope in the legend; nothing where there is no slope."""
    if words.usable(slope):
        label = f"{text} {words.number(slope)}"
        axis.plot(span, _one_number(slope) * span, color=INK, linestyle=style, linewidth=1.3, label=label)


def _shuffled(n: int) -> NDArray[np.intp]:
    return Stream(0).child("report", "drawing order").numpy().permutation(n)


def numbers(values: Any) -> NDArray[np.float64]:
    """Return values as floats; what JSON holds as null is NaN."""
    return np.asarray(values, dtype=np.float64)


def _one_number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
