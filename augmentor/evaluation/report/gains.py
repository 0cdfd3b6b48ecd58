"""Pictures of usefulness: a gain with its interval for every arm and learner, and the learning curve it is read back on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from augmentor.evaluation.report import words
from augmentor.evaluation.report.marks import numbers
from augmentor.evaluation.report.style import FAINT, FLOOR, INK, PAPER, REAL, SYNTHETIC, new_figure, shown
from augmentor.evaluation.score import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEARNERS = {"lr": "logistic regression", "rf": "random forest", "gb": "gradient boosting"}


def gains(report: Report) -> dict[str, Any] | None:
    """Return what adding rows changed for every learner: compared over splits, or on one, as ``augmentation_gain`` measured it.

    Keys, lists of one length: ``arm``, ``learner``, ``gain``, ``low``, ``high``.
    """
    if "augmentation" in report.figures:
        return report.figures["augmentation"]
    score = report.scores.get("augmentation_gain")
    if score is None or not words.usable(score.value) or score.interval is None:
        return None
    rows = [("lr", score.value, score.interval.low, score.interval.high)]
    other = score.detail.get("rf")
    if isinstance(other, Mapping) and words.usable(other.get("gain")) and words.usable(other.get("sd")):
        gain, half = float(other["gain"]), 1.96 * float(other["sd"])
        rows.append(("rf", gain, gain - half, gain + half))
    keys = ("learner", "gain", "low", "high")
    columns = {key: [row[i] for row in rows] for i, key in enumerate(keys)}
    return {"arm": ["synthetic rows added"] * len(rows), **columns}


def curve(report: Report) -> dict[str, Any] | None:
    """Return the learning curve on real rows and the gain read on it, as the score ``learning_curve.worth`` measured them.

    Keys: ``n``, ``score``, ``low``, ``high`` (95 %, over draws) and ``fitted``, lists of one length; ``augmented``, the score of the
    largest n with synthetic rows added, ``augmented_low``, ``augmented_high``; ``worth``, ``worth_low``, ``worth_high``, real rows;
    ``reason``, why the gain is worth no number of rows.
    """
    score = report.scores.get("learning_curve.worth")
    if score is None or not {"rows", "balanced_accuracy", "fit", "gain"} <= set(score.detail):
        return None
    detail = score.detail
    n, mean = numbers(detail["rows"]), numbers(detail["balanced_accuracy"])
    half = 1.96 * np.nan_to_num(numbers(detail["sd"])) / np.sqrt(detail["draws"])
    fit = detail["fit"]
    fitted = 1 - fit["a"] - fit["b"] * n ** -fit["c"]
    made, spread = float(mean[-1]) + float(detail["gain"]), 1.96 * float(detail["gain_sd"])
    return {
        "n": n.tolist(),
        "score": mean.tolist(),
        "low": (mean - half).tolist(),
        "high": (mean + half).tolist(),
        "fitted": fitted.tolist(),
        "augmented": made,
        "augmented_low": made - spread,
        "augmented_high": made + spread,
        "worth": score.value,
        "worth_low": detail.get("low"),
        "worth_high": detail.get("high"),
        "reason": score.skipped,
    }


def forest(data: Mapping[str, Any]) -> Figure:
    """Draw a row per arm and in it a mark per learner: the gain, its 95 % interval as a bar, no gain as a vertical line.

    Args:
        data: as from `gains`; with ``delta``, half the width of the band within which a gain counts as none, that band is shaded.
    """
    middle, low, high = (numbers(data[key]) for key in ("gain", "low", "high"))
    arms = list(dict.fromkeys(str(arm) for arm in data["arm"]))
    learners = _learners(data)
    apart = 0.5 / max(len(learners), 1)
    place = np.asarray([arms.index(str(arm)) for arm in data["arm"]], dtype=float)
    place += [apart * (learners.index(str(item)) - (len(learners) - 1) / 2) for item in data["learner"]]
    tall = 0.24 + 0.1 * len(learners)
    figure, (axis,) = new_figure(1, width=5.2, height=tall * len(arms) + 1.2)
    if data.get("delta") is not None:
        axis.axvspan(-data["delta"], data["delta"], color=FLOOR, alpha=0.18, linewidth=0, label="counts as no gain")
    axis.axvline(0, color=INK, linewidth=1.0)
    for learner, marker, colour in zip(learners, "^os", (SYNTHETIC, REAL, FLOOR), strict=False):
        own = np.asarray([item == learner for item in data["learner"]])
        axis.hlines(place[own], low[own], high[own], color=colour, linewidth=1.8)
        axis.scatter(
            middle[own],
            place[own],
            s=40,
            marker=marker,
            facecolors=PAPER,
            edgecolors=colour,
            linewidths=1.5,
            zorder=3,
            label=LEARNERS.get(learner, learner),
        )
    axis.set_yticks(np.arange(len(arms)), [shown(arm.replace("_", " "), 30) for arm in arms])
    axis.set_ylim(len(arms) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
    axis.set(xlabel="change of balanced accuracy on held-out real rows", title="Gain of augmentation")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return figure


def learning_curve(data: Mapping[str, Any]) -> Figure:
    """Draw the score on real rows alone against their number, and the augmented score beside it.

    Args:
        data: as from `curve`; ``at`` is the number of rows that synthetic ones were added to, where it is not the largest, ``unit``
            what is counted, ``added`` what was added. Without ``augmented`` there is nothing beside the curve.
    """
    n, score = numbers(data["n"]), numbers(data["score"])
    figure, (axis,) = new_figure(1, width=4.6)
    axis.fill_between(n, numbers(data["low"]), numbers(data["high"]), color=REAL, alpha=0.18, linewidth=0)
    axis.plot(n, numbers(data["fitted"]), color=REAL, linewidth=1.4, label="fitted curve")
    axis.scatter(n, score, s=26, color=REAL, label="real rows alone", zorder=3)
    if data.get("augmented") is not None:
        at, made = float(data.get("at", n[-1])), float(data["augmented"])
        axis.axhline(made, color=FAINT, linewidth=0.8, zorder=0)
        if data.get("augmented_low") is not None and data.get("augmented_high") is not None:
            axis.vlines([at], [data["augmented_low"]], [data["augmented_high"]], color=SYNTHETIC, linewidth=1.6)
        marks: dict[str, Any] = {"facecolors": PAPER, "edgecolors": SYNTHETIC, "linewidths": 1.5, "marker": "^"}
        axis.scatter([at], [made], s=48, zorder=4, label=str(data.get("added", "with synthetic rows")), **marks)
    xlabel = str(data.get("unit", "real training rows"))
    axis.set(xscale="log", xlabel=xlabel, ylabel="balanced accuracy", title="Learning curve")
    axis.minorticks_off()
    axis.set_xticks(n, [f"{round(item):,}" for item in n], rotation=45, fontsize=7.5)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _learners(data: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(str(item) for item in data["learner"]))
