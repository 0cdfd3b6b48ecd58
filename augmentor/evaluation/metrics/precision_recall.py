"""Precision, recall, density and coverage from nearest neighbours in PC space.

With r_k the distance of a row to its k-th neighbour among its own kind: precision = share of synthetic rows inside the ball of
some real row; recall = share of real rows inside the ball of some synthetic row; density = mean number of real balls around a
synthetic row, over k; coverage = share of real rows whose ball holds a synthetic row. Precision and density reward shrunk and
copied rows: never read one without recall or coverage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from augmentor.evaluation.columns import rounded
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec

NEIGHBOURS = 5


def _spec(
    part: str, meaning: str, bounds: tuple[float, float | None], catches: str, misses: str, cite: str
) -> ScoreSpec:
    return ScoreSpec(
        name=f"precision_recall.{part}",
        axis="fidelity",
        title=part,
        meaning=meaning,
        goal="maximize",
        ideal=None,
        bounds=bounds,
        floor="independent",
        formula=f"{NEIGHBOURS} nearest neighbours in 30 PCs, rows that differ, as many of every label on both sides",
        catches=catches,
        misses=misses,
        citation=cite,
        interval="subsample",
        headline=part == "recall",
        sharpens=part != "recall",  # rows that vary too much reach every held-out row
    )


SHRUNK = "rewards rows with too little variation, and copies"
PARTS = {
    "precision": _spec(
        "precision",
        "Share of synthetic rows that lie where held-out rows lie.",
        (0.0, 1.0),
        "junk rows",
        SHRUNK,
        "Kynkäänniemi et al. 2019",
    ),
    "recall": _spec(
        "recall",
        "Share of held-out rows that lie where synthetic rows lie.",
        (0.0, 1.0),
        "lost groups of rows, too little variation",
        "junk rows",
        "Kynkäänniemi et al. 2019",
    ),
    "density": _spec(
        "density",
        "How crowded with held-out rows the places of synthetic rows are; above the ceiling means too little variation.",
        (0.0, None),
        "junk rows",
        SHRUNK,
        "Naeem et al. 2020",
    ),
    "coverage": _spec(
        "coverage",
        "Share of held-out rows with a synthetic row in their neighbourhood.",
        (0.0, 1.0),
        "lost groups of rows",
        "junk rows",
        "Naeem et al. 2020",
    ),
}


class Metric:
    """Neighbourhoods of both sides."""

    scores = tuple(PARTS.values())
    setup = Setup(rows="distinct", order=0)

    def measure(self, pair: Pair) -> Measures:
        """Return the four shares, pooled and per label."""
        pooled = neighbourhoods(pair)
        if pooled is None:
            return {spec.name: Measured.none("too few rows for a neighbourhood") for spec in self.scores}
        labels = {label: None if part is None else neighbourhoods(part) for label, part in pair.each_label()}
        out = {}
        for part, spec in PARTS.items():
            per_label = {label: None if item is None else item[part] for label, item in labels.items()}
            out[spec.name] = Measured(pooled[part], per_label, detail={"neighbours": int(pooled["k"])})
        return out

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return the four numbers of the synthetic rows, of real rows and of independent genes."""
        figure: dict[str, Any] = {"names": list(PARTS)}
        for name, arm in (("synthetic", "synthetic"), ("ceiling", "ceiling"), ("floor", "independent")):
            values = [measured[arm][0][spec.name].value for spec in self.scores] if arm in measured else []
            if not values or any(value is None for value in values):
                return {}
            figure[name] = rounded([value for value in values if value is not None])
        return {"prdc": figure}


def neighbourhoods(pair: Pair) -> dict[str, float] | None:
    """Return precision, recall, density, coverage and the k they were computed with; None with too few rows."""
    n = min(len(pair.synthetic), len(pair.real))
    k = min(NEIGHBOURS, n // 5)
    if k < 1:
        return None
    # position 0 of a sorted row is the row itself
    synthetic = np.partition(pair.synthetic.distances, k, axis=1)[:, k]
    real = np.partition(pair.real.distances, k, axis=1)[:, k]
    gaps = pair.distances
    in_real = gaps <= real[None, :]
    return {
        "precision": float(in_real.any(axis=1).mean()),
        "recall": float((gaps <= synthetic[:, None]).any(axis=0).mean()),
        "density": float(in_real.sum(axis=1).mean() / k),
        "coverage": float(in_real.any(axis=0).mean()),
        "k": float(k),
    }
