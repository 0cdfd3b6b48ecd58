"""A sentence beside every picture: what it shows on this data, said with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from augmentor.evaluation.report import words
from augmentor.evaluation.report.contours import MOST_LABELS, outlined, overlaps
from augmentor.evaluation.report.gains import LEARNERS, curve, gains
from augmentor.evaluation.score import Report

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """Words around a picture.

    Attributes:
        title: heading.
        sentence: how to read it, with its numbers.
        alt: what a person who cannot see it should know is drawn.
    """

    title: str
    sentence: str
    alt: str


def read(report: Report, name: str) -> Reading:
    """Return the words for a picture of a report."""
    if name == "per_label":
        return _per_label(report)
    if name == "contours":
        return _contours(report)
    if name == "augmentation":
        return _augmentation(gains(report) or {})
    if name == "learning_curve":
        return _learning_curve(curve(report) or {})
    if name == "roc":
        return _roc(report.figures[name], report)
    return _READINGS[name](report.figures[name])


def _umap(data: Data) -> Reading:
    made = sum(str(item) == "synthetic" for item in data["origin"])
    real, labels = len(data["origin"]) - made, len(set(data["label"]))
    return Reading(
        "Joint map",
        f"{real:,} held-out real rows and {made:,} synthetic rows of {labels} labels, placed by one map fitted on "
        "other real rows. The same islands should appear in both panels, evenly mixed in the third; a map distorts "
        "distances, so it illustrates and never decides.",
        "Three scatter plots on the same axes: real rows as filled circles and synthetic rows as open triangles, "
        "both coloured by label, and both overlaid, coloured by origin.",
    )


def _contours(report: Report) -> Reading:
    names, known = outlined(report.figures["umap"]), overlaps(report)
    values = {name: value for name, value in known.items() if words.usable(value)}
    worst = min(values, key=lambda name: values[name]) if values else None
    said = (
        "" if worst is None else f" The smallest overlap is {words.number(values[worst])}, of '{words.label(worst)}'."
    )
    more = f" The {MOST_LABELS} most frequent labels are shown." if len(names) == MOST_LABELS else ""
    return Reading(
        "Label by label on the map",
        "Outlines hold the densest half and nine tenths of the rows of a label: filled for real rows, dashed for synthetic "
        f"rows; they should lie on each other. The number is the overlap of both densities.{said}{more}",
        "One small map per label: the outline of its real rows filled, that of its synthetic rows dashed, rows of other "
        "labels as faint dots.",
    )


def _learning_curve(data: Data) -> Reading:
    said = f"What that is worth in real rows cannot be read on the curve ({data['reason']})."
    if words.usable(data["worth"]):
        ends = words.span(data["worth_low"], data["worth_high"])
        said = f"The synthetic rows are worth {words.signed(data['worth'])} real rows {ends}".rstrip() + "."
    return Reading(
        "Learning curve",
        f"A classifier trained on {data['n'][0]:,.0f} to {data['n'][-1]:,.0f} real rows reaches a balanced accuracy of "
        f"{words.number(data['score'][0])} to {words.number(data['score'][-1])} on held-out rows; with synthetic rows added it "
        f"reaches {words.number(data['augmented'])} {words.interval_of(data['augmented_low'], data['augmented_high'])}. {said}",
        "Score on held-out rows against the number of real training rows on a log scale, as filled circles with a fitted "
        "curve; an open triangle for real and synthetic rows together.",
    )


def _augmentation(data: Data) -> Reading:
    parts = [
        f"{words.one_line(str(arm)).replace('_', ' ')}, {LEARNERS.get(learner, learner)}: {words.signed(gain)} "
        f"{words.span(low, high)}".rstrip()
        for arm, learner, gain, low, high in zip(
            data["arm"], data["learner"], data["gain"], data["low"], data["high"], strict=True
        )
    ]
    return Reading(
        "What adding rows changes",
        f"Balanced accuracy on held-out real rows, with minus without: {'; '.join(parts)}. An interval that holds "
        "zero shows no gain.",
        "A horizontal interval per arm and learner with a mark at the gain, beside a vertical line at no gain.",
    )


def _moments(data: Data) -> Reading:
    mean, sd = (_agreement(data[f"{part}_real"], data[f"{part}_synthetic"]) for part in ("mean", "sd"))
    ratio = _median_ratio(data["sd_synthetic"], data["sd_real"])
    return Reading(
        "Gene means and standard deviations",
        f"One mark per gene ({len(data['mean_real']):,}); on the line, synthetic equals real. Means correlate with "
        f"r = {words.number(mean)}, standard deviations with r = {words.number(sd)}, and the median gene has "
        f"{words.number(ratio)} times its real standard deviation. Means alone say little: they are easy to match.",
        "Two scatter plots of genes, synthetic against held-out real rows, with the identity line; other real rows "
        "stand behind in grey.",
    )


def _correlation(data: Data) -> Reading:
    real, made = np.asarray(data["real"], dtype=float), np.asarray(data["synthetic"], dtype=float)
    upper = np.triu_indices(len(real), k=1)
    gamma = _agreement(real[upper], made[upper])
    apart = np.abs(made - real)[upper]
    error = float(np.mean(apart[np.isfinite(apart)])) if np.isfinite(apart).any() else None
    return Reading(
        "Gene–gene correlation",
        f"Correlations among {len(real)} genes in one order and on one scale. The two patterns agree with "
        f"r = {words.number(gamma)}; the mean absolute difference is {words.number(error)}. A paler synthetic panel "
        "means lost co-expression, a stronger one means denoised rows.",
        "Three heat maps of gene by gene correlation: real rows, synthetic rows and their difference; blue is "
        "negative, orange positive, no colour is zero.",
    )


def _fold_change(data: Data) -> Reading:
    slope, ceiling = data.get("slope"), data.get("ceiling_slope")
    return Reading(
        "Log fold changes",
        f"Differences between a label and the others, gene by gene. The slope is {words.number(slope)} for "
        f"synthetic rows and {words.number(ceiling)} for real rows in their place: below it, effects are attenuated; "
        "above it, exaggerated.",
        "Scatter plot of log fold changes in synthetic rows against those in real rows, with a solid line for the "
        "synthetic slope and a dashed one for real rows.",
    )


def _roc(data: Data, report: Report) -> Reading:
    auc, ceiling = words.number(data.get("auc")), words.number(data.get("ceiling_auc"))
    score = report.scores.get(str(data.get("score")))
    whole = ""
    if score is not None and score.value is not None:
        whole = f" The score {score.name} averages several such curves: {words.number(score.value)}."
    band = "" if data.get("ceiling_low") is None else f" (the band holds {data['ceiling_draws']} draws of them)"
    return Reading(
        "Can a classifier tell?",
        f"This curve tells synthetic from held-out rows with an area of {auc}; with real rows in their place the area is "
        f"{ceiling}{band}. On the diagonal (0.5) the classifier cannot tell; 1 is certain.{whole}",
        "Receiver operating characteristic of the detector: a solid curve for synthetic rows, a dashed one in a shaded band for "
        "real rows, a dotted diagonal for chance.",
    )


def _library_size(data: Data) -> Reading:
    return Reading(
        "Library size",
        _shift(data, "log total") + " The outlines should lie on each other, in width as well as in place.",
        "Two densities of the log total per row: real rows filled, synthetic rows as a line.",
    )


def _zeros(data: Data) -> Reading:
    return Reading(
        "Zeros",
        _shift(data, "zero fraction") + " Denoised rows have too few zeros, which a mean never shows.",
        "Two densities of the zero fraction per row: real rows filled, synthetic rows as a line.",
    )


def _nearest(data: Data) -> Reading:
    train, holdout = (_mean(data, name) for name in ("synthetic_train", "synthetic_holdout"))
    return Reading(
        "Distance to the nearest row",
        f"Synthetic rows are {words.number(train)} from their nearest training row and {words.number(holdout)} from "
        "their nearest held-out row on average. A pile near zero in the first, and not in the second, would be copies; "
        "larger is not better.",
        "Densities of nearest-neighbour distances: synthetic to training, synthetic to held-out, and held-out to "
        "training rows.",
    )


def _prdc(data: Data) -> Reading:
    values = ", ".join(
        f"{name} {words.number(value)} (real {words.number(ceiling)})"
        for name, value, ceiling in zip(
            data["names"], data["synthetic"], data.get("ceiling") or [None] * len(data["names"]), strict=False
        )
    )
    return Reading(
        "Precision, recall, density, coverage",
        f"Neighbourhoods of real and synthetic rows: {values}. Recall and coverage fall when variety is lost; precision "
        "and density alone reward copies and shrunken rows.",
        "Bars for synthetic rows with a solid tick where real rows stand and a dotted one at the floor.",
    )


def _per_label(report: Report) -> Reading:
    worst: dict[str, int] = {}
    scores = [score for score in words.headlines(report) if score.worst is not None]
    for score in scores:
        if score.worst is not None:
            worst[score.worst[0]] = worst.get(score.worst[0], 0) + 1
    label, times = max(worst.items(), key=lambda item: item[1])
    return Reading(
        "Label by label",
        f"Headline scores for the rows of each label; the dashed line is what real rows score. '{words.label(label)}' "
        f"is the worst label in {times} of {len(scores)} scores.",
        "One panel per headline score with a triangle for each label, a dashed line for real rows, and the worst label "
        "marked; the numbers are in the tables per label.",
    )


_READINGS: Final[dict[str, Callable[[Data], Reading]]] = {
    "umap": _umap,
    "moments": _moments,
    "correlation": _correlation,
    "fold_change": _fold_change,
    "library_size": _library_size,
    "zeros": _zeros,
    "nearest": _nearest,
    "prdc": _prdc,
}


def _agreement(first: Any, second: Any) -> float | None:
    """Return Pearson's r over the pairs that are finite, or None where one side does not vary."""
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _median_ratio(above: Any, below: Any) -> float | None:
    x, y = np.asarray(above, dtype=float), np.asarray(below, dtype=float)
    both = np.isfinite(x) & (np.nan_to_num(y) > 0)
    return float(np.median(x[both] / y[both])) if both.any() else None


def _mean(data: Data, name: str) -> float | None:
    """Return the mean of a histogram."""
    if data.get(name) is None:
        return None
    edges = np.asarray(data["edges"], dtype=float)
    weight = np.nan_to_num(np.asarray(data[name], dtype=float)) * np.diff(edges)
    return float(weight @ (edges[1:] + edges[:-1]) / 2 / weight.sum()) if weight.sum() > 0 else None


def _shift(data: Data, what: str) -> str:
    return (
        f"The mean {what} per row is {words.number(_mean(data, 'synthetic'))} in synthetic rows and "
        f"{words.number(_mean(data, 'real'))} in real ones."
    )
