"""One report from the reports of K refits, each judged by the rows that it never saw.

Value, ceiling and floors are means over the refits; the interval is Nadeau and Bengio's (2003), which allows for training sets
that overlap: half its width is t · √((1/K + 1/(K − 1)) · s²).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from augmentor.evaluation.columns import average
from augmentor.evaluation.score import Ceiling, Interval, LabelValue, Report, Rows, Score
from augmentor.evaluation.verdicts import verdicts


def joined(reports: Sequence[Report], *, keeps_rows: bool | None = None) -> Report:
    """Return the report of a recipe.

    Args:
        reports: one per refit, of the same metrics.
        keeps_rows: whether the model stores training rows.
    """
    first = reports[0]
    scores = {name: _joined([report.scores[name] for report in reports]) for name in first.scores}
    warnings = {item.text: item for report in reports for item in report.warnings}
    words = verdicts(
        scores,
        holdout=all("holdout" in report.data for report in reports),
        shifted=any(item.code == "shift" for item in warnings.values()),
        keeps_rows=keeps_rows,
    )
    return first.model_copy(
        update={
            "scores": scores,
            "verdicts": words,
            "warnings": tuple(warnings.values()),
            "failed": tuple(dict.fromkeys(item for report in reports for item in report.failed)),
            "data": {name: _rows([report.data[name] for report in reports]) for name in first.data},
            "space": first.space | {"refits": len(reports)},
            "environment": first.environment
            | {"seconds": round(sum(float(report.environment["seconds"]) for report in reports), 2)},
        }
    )


def _joined(scores: Sequence[Score]) -> Score:
    first = scores[0]
    values = [score.value for score in scores if score.value is not None]
    if not values:
        return first
    count = len(values)
    interval = None
    if count > 1:
        spread = float(np.std(values, ddof=1)) * np.sqrt(1 / count + 1 / max(len(scores) - 1, 1))
        half, mean = float(stats.t.ppf(0.975, count - 1)) * spread, float(np.mean(values))
        interval = Interval(low=mean - half, high=mean + half, method=f"{count} refits, corrected for shared rows")
    ceilings = [score.ceiling for score in scores if score.ceiling is not None]
    update: dict[str, Any] = {
        "value": float(np.mean(values)),
        "interval": interval,
        "ceiling": Ceiling(
            mean=float(np.mean([item.mean for item in ceilings])),
            # refits share most training rows: their ceilings are as uncertain as one of them
            sd=float(np.mean([item.sd for item in ceilings])),
            draws=sum(item.draws for item in ceilings),
        )
        if ceilings
        else None,
        "floors": {arm: average(score.floors.get(arm) for score in scores) for arm in first.floors},
        "normalised": average(score.normalised for score in scores),
        "per_label": {label: _label([score.per_label.get(label) for score in scores]) for label in first.per_label},
        # a flag of most refits is one of the recipe
        "flags": tuple(flag for flag in _flags(scores) if sum(flag in score.flags for score in scores) > count / 2),
        "n_used": sum(score.n_used for score in scores),
        "seconds": round(sum(score.seconds for score in scores), 3),
        "detail": {"refits": [score.value for score in scores]},
    }
    return first.model_copy(update=update)


def _flags(scores: Sequence[Score]) -> list[str]:
    return sorted({flag for score in scores for flag in score.flags})


def _label(values: Sequence[LabelValue | None]) -> LabelValue:
    found = [item for item in values if item is not None]
    value, rows = average(item.value for item in found), sum(item.n for item in found)
    return LabelValue(value=value, n=rows, reason=None if value is not None else f"too few rows ({rows} in all refits)")


def _rows(parts: Sequence[Rows]) -> Rows:
    """Rows of all refits together."""
    labels = {label: sum(part.labels.get(label, 0) for part in parts) for part in parts for label in part.labels}
    return parts[0].model_copy(update={"rows": sum(part.rows for part in parts), "labels": labels})
