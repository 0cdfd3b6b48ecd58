"""What was measured of the models, on which data: `augmentor/models/measured.json`, written by `benchmarks/suites/quality.py`.

    {"environment": {...}, "sets": {SET: {"rows": n, "features": p, "train": n, "holdout": n,
                                          "models": {MODEL: {"fit_seconds": s, "scores": {SCORE: [value, ceiling, floor]}}}}}}

Ceiling: real training rows in the place of synthetic ones. Floor: the one that the score is normalised by, or null.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Measurement:
    """A model on a data set, its default settings, one split.

    Attributes:
        data: name of the data set.
        rows: rows it has.
        features: features it has.
        train: rows that were learned from.
        fit_seconds: time of the fit, on the machine of the benchmarks.
        scores: value, ceiling and floor of every score; None where there is none.
    """

    data: str
    rows: int
    features: int
    train: int
    fit_seconds: float
    scores: dict[str, tuple[float | None, float | None, float | None]]


def measurements(model: str) -> list[Measurement]:
    """Return what was measured of a model, data set by data set; nothing for one that the benchmarks do not know."""
    document = json.loads((resources.files("augmentor.models") / "measured.json").read_text(encoding="utf-8"))
    return [
        Measurement(
            data=name,
            rows=found["rows"],
            features=found["features"],
            train=found["train"],
            fit_seconds=found["models"][model]["fit_seconds"],
            scores={score: tuple(values) for score, values in found["models"][model]["scores"].items()},
        )
        for name, found in document["sets"].items()
        if model in found["models"]
    ]
