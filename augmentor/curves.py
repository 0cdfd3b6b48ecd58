"""What training did, from the history of an artifact: curves to look at and a table to read.

One row of panels per stage: the terms of the loss, the validation loss, gradient norms before clipping (mean and largest), learning rates
where they move, and what the stage watched; a quantity with one value per dimension is a heat strip. Terms share a panel where they share
a scale. Training rows are solid lines, validation rows dashed, the epoch that was kept is a dotted line.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augmentor.artifact import read_history, read_manifest
from augmentor.core.atomic import atomic_file
from augmentor.core.errors import ConfigError, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

FORMATS = ("png", "svg", "pdf")
COLUMNS = (3, 4, 5)  # panels side by side: what gives the fewest rows
WIDTH, HEIGHT = 3.0, 2.25  # of a panel, in inches
STEEP = 2.5  # times the range after the first tenth of the epochs, beyond which that tenth is cut off
ALIKE = 0.2  # share of a panel's range that a term must span to share it


@dataclass(frozen=True)
class Line:
    """One quantity over the epochs of a stage.

    Attributes:
        name: as in the history.
        kind: ``term``, ``validation``, ``gradient``, ``gradient_largest``, ``rate``, ``watch`` or ``watch_validation``.
        epochs: where it was measured.
        values: numbers; NaN where one was not finite.
        parts: for a quantity per dimension, the dimensions at each of these epochs.
    """

    name: str
    kind: str
    epochs: tuple[int, ...]
    values: tuple[float, ...] = ()
    parts: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Course:
    """A stage of training: how it ended, and its lines.

    Attributes:
        name: of the stage.
        outcome: its entry in the manifest's training summary.
        lines: all quantities, terms first.
    """

    name: str
    outcome: Mapping[str, Any]
    lines: tuple[Line, ...]

    @property
    def title(self) -> str:
        """Name, epochs and why it stopped."""
        kept = "" if self.best is None else f"; epoch {self.best} was kept"
        return f"stage {self.name}: {self.outcome.get('epochs', 0)} epochs ({self.outcome.get('stopped', 'unknown')}){kept}"

    @property
    def best(self) -> int | None:
        """The epoch whose weights were kept by the validation loss, if any."""
        best = self.outcome.get("best_epoch")
        return best if isinstance(best, int) and best > 0 else None

    def of(self, *kinds: str) -> list[Line]:
        """The lines of these kinds that are numbers."""
        return [line for line in self.lines if line.kind in kinds and line.values]


def courses(path: str | os.PathLike[str]) -> list[Course]:
    """Return the stages of an artifact.

    Raises:
        ConfigError: its model was not trained by steps.
    """
    manifest, history = read_manifest(Path(path)), read_history(Path(path))
    outcomes: Any = manifest.training.get("stages", [])
    if not history:
        raise ConfigError(f"{path} has no curves: {manifest.model} is fitted in one go, without training steps.")
    names = list(dict.fromkeys(str(entry.get("stage", "")) for entry in history))
    ends = {str(outcome.get("stage")): outcome for outcome in outcomes}
    return [Course(name, ends.get(name, {}), tuple(_lines(history, name))) for name in names]


def _lines(history: Sequence[Mapping[str, Any]], stage: str) -> Iterator[Line]:
    own = [entry for entry in history if entry.get("stage") == stage]
    keys = sorted(
        {key for entry in own for key in entry} - {"stage", "epoch"}, key=lambda key: (_kind(key) != "term", key)
    )
    for key in keys:
        seen = [entry for entry in own if key in entry]
        epochs = tuple(int(entry["epoch"]) for entry in seen)
        name = key.partition(".")[2] if _kind(key) not in ("term", "validation") else key
        if any(isinstance(entry[key], list) for entry in seen):
            parts = tuple(tuple(map(_number, entry[key])) for entry in seen if isinstance(entry[key], list))
            yield Line(name, _kind(key), epochs, parts=parts)
        else:
            yield Line(name, _kind(key), epochs, tuple(_number(entry[key]) for entry in seen))


def _kind(key: str) -> str:
    prefix, dot, _ = key.partition(".")
    if dot and prefix in ("gradient", "gradient_largest", "rate", "watch", "watch_validation"):
        return prefix
    return "validation" if key == "validation" else "term"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def text(stages: Sequence[Course]) -> str:
    """Return a table per stage: first, lowest and last value of every term, first and last of what was watched."""
    blocks = []
    for course in stages:
        rows = [("", "first", "lowest", "epoch", "last")]
        for line in [*course.of("term"), *course.of("validation")]:
            finite = [(value, epoch) for value, epoch in zip(line.values, line.epochs, strict=True) if value == value]
            best, epoch = min(finite, default=(math.nan, 0))
            rows.append((line.name, _short(line.values[0]), _short(best), str(epoch), _short(line.values[-1])))
        for line in course.of("gradient", "watch", "watch_validation"):
            name = {"gradient": f"gradient of {line.name}", "watch_validation": f"{line.name}, validation"}.get(
                line.kind, line.name
            )
            rows.append((name, _short(line.values[0]), "", "", _short(line.values[-1])))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        body = [
            "  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, 5))]).rstrip()
            for row in rows
        ]
        blocks.append("\n".join([course.title, *(f"  {line}" for line in body)]))
    return "\n\n".join(blocks)


def _short(value: float) -> str:
    return f"{value:.4g}" if value == value else "none"


def save(stages: Sequence[Course], path: str | os.PathLike[str], *, title: str = "") -> None:
    """Draw all stages into a file; its ending says the format.

    Raises:
        ConfigError: another ending than .png, .svg or .pdf.
        DataError: a place that cannot be written.
    """
    form = Path(path).suffix.lstrip(".").lower()
    if form not in FORMATS:
        raise ConfigError(
            f"curves are drawn as {listed(f'.{name}' for name in FORMATS)}, not as '{path}'; give it one of these endings."
        )
    from augmentor.evaluation.report import style

    figure = draw(stages, title=title)
    with atomic_file(path) as file:
        style.save(figure, file, form)


def draw(stages: Sequence[Course], *, title: str = "") -> Figure:
    """Return the figure of all stages."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from augmentor.evaluation.report import style

    plans = [_panels(course) for course in stages]
    columns = min(COLUMNS, key=lambda n: (sum(math.ceil(len(plan) / n) for plan in plans), n))
    rows = [math.ceil(len(plan) / columns) for plan in plans]
    heights = [HEIGHT * n + 0.45 for n in rows]  # inches, with the title of the stage
    with style.settings():
        figure = Figure(figsize=(WIDTH * columns, sum(heights) + 0.3), layout="constrained")
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(style.shown(title, 100), x=0.01, ha="left", fontsize=12, fontweight="bold")
        parts: Any = figure.subfigures(len(stages), 1, height_ratios=heights, squeeze=False)
        for part, course, plan, n in zip(parts.ravel(), stages, plans, rows, strict=True):
            part.suptitle(course.title, x=0.01, ha="left", fontsize=10)
            _fill(part, part.subplots(n, columns, squeeze=False).ravel(), course, plan)
    return figure


def _panels(course: Course) -> list[tuple[str, list[Line]]]:
    """Panels of a stage, in order: title and lines."""
    plan: list[tuple[str, list[Line]]] = [
        ("loss: " + ", ".join(line.name for line in group), group) for group in _alike(course.of("term"))
    ]
    plan += [("validation loss", [line]) for line in course.of("validation")]
    if gradients := course.of("gradient", "gradient_largest"):
        plan.append(("gradient norm", gradients))
    if rates := [line for line in course.of("rate") if len(set(line.values)) > 1]:
        plan.append(("learning rate", rates))
    watched = course.of("watch", "watch_validation")
    for name in dict.fromkeys(line.name for line in watched):
        plan.append((name, [line for line in watched if line.name == name]))
    plan += [(line.name, [line]) for line in course.lines if line.parts and line.kind == "watch"]
    return plan


def _alike(terms: Sequence[Line]) -> list[list[Line]]:
    """Put terms into one panel while each spans a fair part of the panel's range."""
    groups: list[list[Line]] = []
    for line in sorted(terms, key=_span, reverse=True):
        for group in groups:
            values = [value for member in (*group, line) for value in _settled(member)]
            if values and _span(line) >= ALIKE * (max(values) - min(values)) > 0:
                group.append(line)
                break
        else:
            groups.append([line])
    return groups


def _settled(line: Line) -> list[float]:
    """Finite values after the first tenth of the epochs, which may be of another order of magnitude."""
    late = [value for value in line.values[len(line.values) // 10 :] if value == value]
    return late or [value for value in line.values if value == value]


def _span(line: Line) -> float:
    values = _settled(line)
    return max(values) - min(values) if values else 0.0


def _fill(part: SubFigure, axes: Any, course: Course, plan: Sequence[tuple[str, list[Line]]]) -> None:
    """Draw the panels of a stage; the axes that are left over are hidden."""
    last = max((line.epochs[-1] for line in course.lines if line.epochs), default=1)
    for axis, (title, lines) in zip(axes, plan, strict=False):
        axis.set_title(title, fontsize=9)
        if lines[0].parts:
            _heat(axis, part, lines[0])
        else:
            _curves(axis, lines)
            if course.best is not None:
                axis.axvline(course.best, color="#7F7F7F", linewidth=1, linestyle=":")
        axis.set_xlim(*((1, last) if last > 1 else (0.5, 1.5)))
        axis.set_xlabel("epoch")
    for axis in axes[len(plan) :]:
        axis.set_visible(False)


def _curves(axis: Axes, lines: Sequence[Line]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    from augmentor.evaluation.report import style

    names = sorted(dict.fromkeys(line.name for line in lines))
    kinds = {line.kind for line in lines}
    for line in lines:
        colour = style.PALETTE[names.index(line.name) % len(style.PALETTE)]
        faint = line.kind == "gradient_largest"
        axis.plot(
            line.epochs,
            line.values,
            color=colour,
            linestyle="--" if line.kind == "watch_validation" else ":" if faint else "-",
            linewidth=0.9 if faint else 1.5,
            marker="o" if len(line.values) == 1 else None,
            markersize=3,
            label=_legend(line, kinds, alone=len(names) == 1),
        )
    if "gradient" in kinds and all(value > 0 for line in lines for value in line.values):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
    else:
        values = [value for line in lines for value in line.values if value == value]
        late = [value for line in lines for value in _settled(line)]
        low, high = min(late, default=0.0), max(late, default=0.0)
        # a first epoch of another order of magnitude would flatten all others
        if values and 0 < STEEP * (high - low) < max(values) - min(values):
            axis.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    axis.grid(axis="y")
    if len(lines) > 1:
        axis.legend(fontsize=7, handlelength=1.8)


def _legend(line: Line, kinds: set[str], *, alone: bool) -> str:
    word = {
        "watch": "training",
        "watch_validation": "validation",
        "gradient": "mean",
        "gradient_largest": "largest",
    }.get(line.kind, "")
    if "watch" in kinds:
        return word
    return word if alone and word else f"{line.name}, {word}" if word else line.name


def _heat(axis: Axes, part: SubFigure, line: Line) -> None:
    """Dimensions from the one that ends highest to the one that ends lowest, epochs from left to right."""
    import numpy as np

    width = max(map(len, line.parts))
    table = np.array([[*values, *[math.nan] * (width - len(values))] for values in line.parts]).T
    table = table[np.argsort(-np.nan_to_num(table[:, -1]), kind="stable")]
    edges = np.array(
        [
            line.epochs[0] - 0.5,
            *((a + b) / 2 for a, b in pairwise(line.epochs)),
            line.epochs[-1] + 0.5,
        ]
    )
    settled = table[:, table.shape[1] // 10 :]
    top = float(np.nanmax(settled, initial=0)) or 1.0
    mesh = axis.pcolormesh(edges, np.arange(width + 1) + 0.5, table, cmap="cividis", vmin=0, vmax=top, rasterized=True)
    axis.invert_yaxis()
    axis.set_ylabel("rank")
    extend = "max" if np.nanmax(table, initial=0) > top else "neither"
    part.colorbar(mesh, ax=axis, pad=0.02, aspect=15, extend=extend)
