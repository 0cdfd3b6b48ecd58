"""Library sizes (row totals of counts): are they spread like real ones, per label?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from augmentor.core.space import Space
from augmentor.evaluation.columns import Vector, densities, ks_and_w1
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.score import ScoreSpec

KS = ScoreSpec(
    name="library_size.shape",
    axis="fidelity",
    title="library sizes (KS)",
    meaning="Largest gap between the distributions of row totals.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 1.0),
    floor="means",
    formula="Kolmogorov-Smirnov distance of log totals, per label, unweighted mean",
    catches="constant totals, totals that lost their spread",
    misses="composition of the rows",
    interval="bootstrap",
)
W1 = ScoreSpec(
    name="library_size.shift",
    axis="fidelity",
    title="library sizes (Wasserstein)",
    meaning="Mean shift of log row totals: 0.1 is about 10 %.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, None),
    floor="means",
    formula="1-Wasserstein distance of natural-log totals, per label, unweighted mean",
    catches="wrong depth",
    misses="composition of the rows",
    interval="bootstrap",
)
SPREAD = ScoreSpec(
    name="library_size.spread",
    axis="fidelity",
    title="library sizes (spread)",
    meaning="Standard deviation of log totals as a multiple of the real one.",
    goal="target",
    ideal=1.0,
    bounds=(0.0, None),
    floor="means",
    formula="sd of log totals of S / that of H, per label, unweighted mean",
    catches="constant totals; independent genes, whose totals average out",
    misses="composition of the rows",
    interval="bootstrap",
)


class Metric:
    """Row totals."""

    scores = (KS, W1, SPREAD)
    setup = Setup(order=0)

    def measure(self, pair: Pair) -> Measures:
        """Compare log totals; totals are never rescaled first."""
        if pair.space is not Space.COUNTS:
            return {spec.name: Measured.none("row totals mean something for counts only") for spec in self.scores}
        pooled = _compare(pair)
        labels = {label: None if part is None else _compare(part) for label, part in pair.each_label()}
        out = {}
        for i, spec in enumerate(self.scores):
            per_label = {label: item[i] if item else None for label, item in labels.items()}
            out[spec.name] = Measured.over_labels(
                pooled[i], per_label, fallback=not any(labels.values()), reason="real totals do not vary"
            )
        return out

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return the distributions of log10 totals."""
        if measured["synthetic"][0][KS.name].value is None:
            return {}
        pair = frame.pair("matched", "synthetic", 0)
        ten = np.log(10.0)
        return {"library_size": densities({"real": _logs(pair.real) / ten, "synthetic": _logs(pair.synthetic) / ten})}


def _logs(side: Side) -> Vector:
    return np.log(np.maximum(side.sample.totals, 1.0))


def _compare(pair: Pair) -> tuple[float, float, float | None]:
    a, b = _logs(pair.synthetic), _logs(pair.real)
    ks, w1 = ks_and_w1(a[:, None], b[:, None])
    spread = float(b.std())
    return float(ks[0]), float(w1[0]), float(a.std()) / spread if spread > 1e-9 else None
