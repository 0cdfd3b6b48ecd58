"""The pictures of a report, each drawn from the plain data in ``report.figures``.

Every function takes one such dictionary (lists, as they come from JSON) and returns a matplotlib `Figure`; the ones
with several panels draw only those that are asked for, so that a page can place panels by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from augmentor.core.atomic import atomic_file
from augmentor.core.errors import ConfigError, DataError, did_you_mean, listed
from augmentor.evaluation.report import words
from augmentor.evaluation.report.contours import contours, outlined, overlaps
from augmentor.evaluation.report.gains import curve, forest, gains, learning_curve
from augmentor.evaluation.report.marks import by_label, dots, identity, interleaved, label_dots, line, numbers
from augmentor.evaluation.report.style import (
    DIVERGING,
    FAINT,
    FLOOR,
    INK,
    REAL,
    SYNTHETIC,
    colour_of,
    colours_for,
    new_figure,
    save,
    settings,
    shown,
)
from augmentor.evaluation.score import Report, Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Data = Mapping[str, Any]

#: Panels of the pictures that have several.
PANELS: Final[dict[str, tuple[str, ...]]] = {
    "umap": ("real", "synthetic", "overlay"),
    "moments": ("mean", "sd"),
    "correlation": ("real", "synthetic", "difference"),
}

#: Axis that a picture belongs to; those that show scores label by label belong to none.
AXIS: Final = {
    "umap": "fidelity",
    "contours": "fidelity",
    "moments": "fidelity",
    "correlation": "fidelity",
    "roc": "fidelity",
    "prdc": "fidelity",
    "library_size": "fidelity",
    "zeros": "fidelity",
    "fold_change": "biology",
    "learning_curve": "utility",
    "augmentation": "utility",
    "nearest": "privacy",
}

_FORMATS = ("png", "svg", "pdf")


def draw(report: Report, name: str, panels: Sequence[str] | None = None) -> Figure:
    """Return the picture ``name`` of a report, or only some of its panels.

    Raises:
        ConfigError: the report holds no data for such a picture.
    """
    if name not in available(report):
        raise ConfigError(
            f"'{name}' is not a picture of this report.{did_you_mean(name, available(report))} "
            f"Pictures: {listed(available(report), most=20)}."
        )
    with settings():
        if name == "per_label":
            return per_label(report)
        if name == "contours":
            return contours(report.figures["umap"], overlaps(report), panels)
        if name == "augmentation":
            return forest(gains(report) or {})
        if name == "learning_curve":
            return learning_curve(curve(report) or {})
        data, parts = report.figures[name], tuple(panels or PANELS.get(name, ()))
        colours = colour_of(words.labels(report))  # a label has one colour in all pictures
        if name == "umap":
            return umap(data, parts, colours=colours)
        if name == "fold_change":
            return fold_change(data, colours=colours)
        return _PANELLED[name](data, parts) if name in PANELS else _SINGLE[name](data)


def draw_panels(report: Report, name: str) -> list[Figure]:
    """Return the panels of a picture as figures of their own, so that a page can place them by itself."""
    if name == "per_label":
        with settings():
            return [per_label(report, [score.name]) for score in rated_per_label(report)]
    panels = outlined(report.figures["umap"]) if name == "contours" else PANELS.get(name, ("",))
    return [draw(report, name, [panel]) for panel in panels]


def available(report: Report) -> list[str]:
    """Return the names of the pictures that can be drawn from a report, in reading order."""
    there = set(report.figures)
    if "umap" in report.figures and outlined(report.figures["umap"]):
        there.add("contours")
    there |= {name for name, data in (("augmentation", gains), ("learning_curve", curve)) if data(report) is not None}
    return [name for name in AXIS if name in there] + ["per_label"] * bool(rated_per_label(report))


def save_figures(
    report: Report, folder: str | os.PathLike[str], formats: Sequence[str] = ("png", "svg", "pdf")
) -> list[Path]:
    """Write every picture of a report into a folder, which is made where it is absent; returns the paths.

    Args:
        report: a finished evaluation.
        folder: where ``umap.png``, ``umap.svg``, ... go.
        formats: any of ``png``, ``svg``, ``pdf``.
    """
    unknown = [form for form in formats if form not in _FORMATS]
    if unknown:
        raise ConfigError(f"Figure format '{unknown[0]}' is not known; choose among {listed(_FORMATS)}.")
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Folder {target} cannot be made ({error.strerror}); name another one.") from error
    paths = []
    for name in available(report):
        figure = draw(report, name)
        for form in formats:
            path = target / f"{name}.{form}"
            with atomic_file(path) as file:
                save(figure, file, form, salt=name)
            paths.append(path)
    return paths


def umap(data: Data, panels: Sequence[str], *, colours: Mapping[str, str] | None = None) -> Figure:
    """Draw the joint map: real and synthetic rows coloured by label, and both overlaid, coloured by origin."""
    place = np.column_stack([numbers(data["x"]), numbers(data["y"])])
    label = np.asarray([str(item) for item in data["label"]], dtype=object)
    made = np.asarray([str(item) == "synthetic" for item in data["origin"]])
    figure, axes = new_figure(len(panels))
    low, high = np.nanmin(place, axis=0), np.nanmax(place, axis=0)
    margin = 0.04 * (high - low) + 1e-9
    for panel, axis in zip(panels, axes, strict=True):
        if panel == "overlay":
            interleaved(axis, place, made)
        else:
            rows = made == (panel == "synthetic")
            by_label(
                axis,
                place[rows],
                label[rows],
                synthetic=panel == "synthetic",
                colours=colours_for(label.tolist(), colours),
            )
        axis.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
        axis.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
        axis.set_title({"real": "Real rows", "synthetic": "Synthetic rows", "overlay": "Both, by origin"}[panel])
    return figure


def moments(data: Data, panels: Sequence[str]) -> Figure:
    """Scatter per-gene means and standard deviations, synthetic against real, the ceiling behind in grey."""
    figure, axes = new_figure(len(panels))
    for panel, axis in zip(panels, axes, strict=True):
        real, made = numbers(data[f"{panel}_real"]), numbers(data[f"{panel}_synthetic"])
        if data.get(f"{panel}_ceiling") is not None:
            dots(axis, real, numbers(data[f"{panel}_ceiling"]), FLOOR, "o", "other real rows")
        dots(axis, real, made, SYNTHETIC, "^", "synthetic rows")
        identity(axis, real, made)
        title = {"mean": "Mean per gene", "sd": "Standard deviation per gene"}[panel]
        axis.set(xlabel="held-out real rows", ylabel="rows under test", title=title)
        axis.legend(loc="upper left", fontsize=8, markerscale=1.6, handletextpad=0.2)
    return figure


def correlation(data: Data, panels: Sequence[str]) -> Figure:
    """Show gene-gene correlations as heat maps in one order and on one scale."""
    real, made = numbers(data["real"]), numbers(data["synthetic"])
    figure, axes = new_figure(len(panels), height=3.6)
    for panel, axis in zip(panels, axes, strict=True):
        values = {"real": real, "synthetic": made, "difference": made - real}[panel]
        image = axis.imshow(values, cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest", aspect="equal")
        title = {"real": "Real rows", "synthetic": "Synthetic rows", "difference": "Synthetic − real"}[panel]
        axis.set(xticks=[], yticks=[], title=title, xlabel=f"{len(real)} genes, same order")
        axis.spines[:].set_visible(True)
        figure.colorbar(image, ax=axis, shrink=0.82, ticks=[-1, 0, 1]).outline.set_linewidth(0.5)
    return figure


def fold_change(data: Data, *, colours: Mapping[str, str] | None = None) -> Figure:
    """Scatter log fold changes, synthetic against real, with their slope and the ceiling's."""
    real, made = numbers(data["real"]), numbers(data["synthetic"])
    label = data.get("label")
    figure, (axis,) = new_figure(1, width=4.6)
    reach = float(np.nanmax(np.abs(np.concatenate([real, made])), initial=1e-9)) * 1.05
    span = np.array([-reach, reach])
    if isinstance(label, list | tuple) and len(label) == len(real) and 1 < len(set(label)) <= 8:
        for name, colour in colours_for(label, colours).items():
            rows = np.asarray([str(item) == name for item in label])
            dots(axis, real[rows], made[rows], colour, "^", shown(name, 18))
    else:
        dots(axis, real, made, SYNTHETIC, "^", "genes")
    axis.axhline(0, color=FAINT, linewidth=0.7, zorder=0)
    axis.axvline(0, color=FAINT, linewidth=0.7, zorder=0)
    line(axis, span, data.get("ceiling_slope"), (0, (4, 2)), "real rows: slope")
    line(axis, span, data.get("slope"), "-", "synthetic: slope")
    axis.set(xlim=span, ylim=span, xlabel="log fold change, real rows", ylabel="log fold change, synthetic rows")
    axis.set_title("Log fold changes")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=7.5)
    figure.set_figheight(4.4)
    return figure


def roc(data: Data) -> Figure:
    """Draw how well a classifier tells synthetic from held-out rows, and behind that the draws of real rows as a band."""
    figure, (axis,) = new_figure(1)
    axis.plot([0, 1], [0, 1], color=FLOOR, linewidth=0.8, linestyle=":", label="cannot tell (0.5)")
    if data.get("ceiling_low") is not None and data.get("ceiling_high") is not None:
        low, high = numbers(data["ceiling_low"]), numbers(data["ceiling_high"])
        text = f"{data['ceiling_draws']} draws of real rows"
        axis.fill_between(numbers(data["ceiling_fpr"]), low, high, color=REAL, alpha=0.22, linewidth=0, label=text)
    if data.get("ceiling_fpr") is not None:
        text = f"real rows ({words.number(data.get('ceiling_auc'))})"
        axis.plot(numbers(data["ceiling_fpr"]), numbers(data["ceiling_tpr"]), REAL, linestyle="--", label=text)
    text = f"synthetic rows ({words.number(data.get('auc'))})"
    axis.plot(numbers(data["fpr"]), numbers(data["tpr"]), SYNTHETIC, linewidth=1.8, label=text)
    axis.set(
        xlim=(0, 1), ylim=(0, 1.01), xlabel="real rows called synthetic", ylabel="rows under test called synthetic"
    )
    axis.set_title("Detector (area under the curve)")
    axis.set_aspect("equal")
    axis.legend(loc="lower right", fontsize=8)
    return figure


def library_size(data: Data) -> Figure:
    """Draw the densities of the rows' log totals."""
    return _densities(data, "Library size", "log10 total per row", {"real": REAL, "synthetic": SYNTHETIC})


def zeros(data: Data) -> Figure:
    """Draw the densities of the rows' zero fractions."""
    return _densities(data, "Zeros", "zero fraction per row", {"real": REAL, "synthetic": SYNTHETIC})


def nearest(data: Data) -> Figure:
    """Draw distances to the nearest row: synthetic to training, synthetic to held-out, held-out to training."""
    colours = {"holdout_train": REAL, "synthetic_holdout": FLOOR, "synthetic_train": SYNTHETIC}
    return _densities(data, "Nearest neighbours", "distance to the nearest row", colours)


def prdc(data: Data) -> Figure:
    """Draw precision, recall, density and coverage as bars, with ticks where real rows and the floor stand."""
    figure, (axis,) = new_figure(1)
    names = [str(name) for name in data["names"]]
    rows = np.arange(len(names))
    axis.barh(rows, numbers(data["synthetic"]), height=0.5, color=SYNTHETIC, alpha=0.85, label="synthetic rows")
    for key, colour, style, text in (("ceiling", INK, "-", "real rows"), ("floor", FLOOR, ":", "floor")):
        if data.get(key) is not None:
            values = numbers(data[key])
            axis.vlines(values, rows - 0.38, rows + 0.38, color=colour, linestyle=style, linewidth=2.2, label=text)
    axis.set_yticks(rows, names)
    axis.invert_yaxis()
    axis.set(xlim=(0, None), title="Neighbourhoods")
    axis.grid(axis="x")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def rated_per_label(report: Report) -> list[Score]:
    """Return the headline scores that have values for at least two labels."""
    scores = words.headlines(report)
    return [
        score
        for score in scores
        if score.skipped is None and sum(words.usable(item.value) for item in score.per_label.values()) > 1
    ]


def per_label(report: Report, names: Sequence[str] | None = None) -> Figure:
    """Draw headline scores label by label: a dot per label, the ceiling as a line, the worst label marked.

    Args:
        report: a finished evaluation.
        names: scores to draw; all headline scores with values per label by default.
    """
    scores = [score for score in rated_per_label(report) if names is None or score.name in names]
    columns = min(len(scores), 3)
    found = [label for score in scores for label in score.per_label]
    labels = list(dict.fromkeys([*(label for label in words.labels(report) if label in found), *found]))
    height = 0.22 * len(labels) + 1.0
    figure, axes = new_figure(columns, rows=-(-len(scores) // columns), width=4.2, height=height)
    for axis, score in zip(axes, scores, strict=False):
        label_dots(axis, score, [label for label in labels if label in score.per_label])
    for axis in axes[len(scores) :]:
        axis.set_visible(False)
    return figure


def _densities(data: Data, title: str, xlabel: str, colours: dict[str, str]) -> Figure:
    """Draw densities over shared edges: the first one filled, the others as lines of their own dash."""
    figure, (axis,) = new_figure(1)
    edges = numbers(data["edges"])
    dashes: Iterator[Any] = iter(("-", (0, (4, 2)), "-"))
    for name, colour in colours.items():
        if data.get(name) is None:
            continue
        heights = np.nan_to_num(numbers(data[name]))
        text = {"real": "real rows", "synthetic": "synthetic rows"}.get(name, name.replace("_", " → "))
        text = text.replace("holdout", "held-out").replace("train", "training")
        first = name == next(iter(colours))
        axis.stairs(heights, edges, color=colour, fill=first, alpha=0.35 if first else 1, linewidth=1.6, label=text)
        if not first:
            axis.patches[-1].set_linestyle(next(dashes))
    axis.set(title=title, xlabel=xlabel, ylabel="share of rows", yticks=[])
    axis.spines["left"].set_visible(False)
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside lower center", ncols=2 if len(colours) == 2 else 1, fontsize=8
    )
    return figure


_PANELLED: Final[dict[str, Callable[[Data, Sequence[str]], Figure]]] = {
    "moments": moments,
    "correlation": correlation,
}

_SINGLE: Final[dict[str, Callable[[Data], Figure]]] = {
    "roc": roc,
    "library_size": library_size,
    "zeros": zeros,
    "prdc": prdc,
    "nearest": nearest,
}
