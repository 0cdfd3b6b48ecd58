"""Where the rows of each label lie on the joint map: outlines of real and synthetic rows, one panel per label.

The density of the rows of a label is a Gaussian kernel estimate on a grid, with the bandwidth of the real rows (Scott's rule, on the
smaller of standard deviation and scaled interquartile range) for both origins; an outline encloses the densest half, or nine
tenths, of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.report import words
from augmentor.evaluation.report.marks import numbers
from augmentor.evaluation.report.style import FAINT, FLOOR, REAL, SYNTHETIC, in_order, new_figure, shown
from augmentor.evaluation.score import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = NDArray[np.float64]

GRID: Final = 72
LEAST_ROWS: Final = 12
MOST_LABELS: Final = 12
MASSES: Final = (0.9, 0.5)


def outlined(data: Mapping[str, Any]) -> list[str]:
    """Return the labels with enough rows of both origins for an outline, most frequent first, at most `MOST_LABELS`."""
    label = np.asarray([str(item) for item in data["label"]], dtype=object)
    made = np.asarray([str(item) == "synthetic" for item in data["origin"]])
    sized = [
        name
        for name in in_order(label.tolist())
        if min(((label == name) & made).sum(), ((label == name) & ~made).sum()) >= LEAST_ROWS
    ]
    return sized[:MOST_LABELS]


def contours(
    data: Mapping[str, Any], overlaps: Mapping[str, float | None], names: Sequence[str] | None = None
) -> Figure:
    """Draw a panel per label: real rows as a filled outline, synthetic rows as dashed lines, other rows as dots.

    Args:
        data: the joint map, as in ``report.figures["umap"]``.
        overlaps: overlap of the two densities by label, to be written into the title.
        names: labels to draw; all that have rows enough by default.
    """
    place = np.column_stack([numbers(data["x"]), numbers(data["y"])])
    there = np.isfinite(place).all(axis=1)
    label = np.asarray([str(item) for item in data["label"]], dtype=object)
    made = np.asarray([str(item) == "synthetic" for item in data["origin"]])
    names = outlined(data) if names is None else list(names)
    columns = min(len(names), 4)
    figure, axes = new_figure(columns, rows=-(-len(names) // columns), width=2.4, height=2.3)
    for axis, name in zip(axes, names, strict=False):
        own = there & (label == name)
        others = place[there & ~own]
        axis.scatter(others[:, 0], others[:, 1], s=2, color=FLOOR, alpha=0.25, linewidths=0, rasterized=True)
        real, synthetic = place[own & ~made], place[own & made]
        _outline(axis, real, synthetic)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(visible=True, color=FAINT)
        value = overlaps.get(name)
        axis.set_title(f"{shown(name, 20)}" + (f"  {words.number(value)}" if words.usable(value) else ""), fontsize=8.5)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    return figure


def overlaps(report: Report) -> dict[str, float | None]:
    """Return the overlap of densities by label, where it was measured."""
    score = report.scores.get("embedding_overlap")
    return {} if score is None else {label: item.value for label, item in score.per_label.items()}


def _outline(axis: Axes, real: Points, synthetic: Points) -> None:
    both = np.concatenate([real, synthetic])
    # a row that lies on another island must not shrink the picture of all others
    low, high = np.quantile(both, (0.03, 0.97), axis=0)
    margin = 0.5 * np.maximum(high - low, 1e-9)
    edges = [np.linspace(low[i] - margin[i], high[i] + margin[i], GRID + 1) for i in range(2)]
    cell = np.array([edge[1] - edge[0] for edge in edges])
    quarters = np.subtract(*np.quantile(real, (0.75, 0.25), axis=0)) / 1.349
    spread = np.minimum(real.std(axis=0, ddof=1), np.where(quarters > 0, quarters, np.inf))
    width = np.maximum(spread * len(real) ** (-1 / 6), 1e-9) / cell
    middle = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    dense = [_density(points, edges, width).T for points in (real, synthetic)]
    filled, lines = (_levels(item) for item in dense)
    axis.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
    if len(filled):
        axis.contourf(*middle, dense[0], levels=[*filled, dense[0].max()], colors=[REAL], alpha=0.3)
        axis.contour(*middle, dense[0], levels=filled, colors=[REAL], linewidths=0.9)
    if len(lines):
        axis.contour(*middle, dense[1], levels=lines, colors=[SYNTHETIC], linewidths=1.4, linestyles="dashed")


def _density(points: Points, edges: Sequence[Points], width: Points) -> Points:
    from scipy.ndimage import gaussian_filter

    counts = np.histogram2d(points[:, 0], points[:, 1], bins=list(edges))[0] / len(points)
    return np.asarray(gaussian_filter(counts, sigma=width, mode="constant"))


def _levels(density: Points) -> list[float]:
    """Return the heights above which the densest shares of the rows lie, increasing."""
    ranked = np.sort(density.ravel())[::-1]
    held = np.cumsum(ranked)
    found = {float(ranked[min(int(np.searchsorted(held, mass * held[-1])), len(ranked) - 1)]) for mass in MASSES}
    return sorted(level for level in found if 0 < level < ranked[0])
