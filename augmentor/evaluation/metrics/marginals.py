"""Distributions of single genes: Kolmogorov-Smirnov and Wasserstein distances, per label.

Two perfect samples of 100 rows are about 0.12 apart in Kolmogorov-Smirnov distance: read the ceiling, not the ideal. Values
*below* the ceiling mean copied marginals.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from augmentor.evaluation.columns import Vector, ks_and_w1
from augmentor.evaluation.contract import EXPRESSION, Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec

GENES = 500
WORST = 10

KS = ScoreSpec(
    name="marginals.ks",
    axis="fidelity",
    title="gene distributions (KS)",
    meaning="Largest gap between the cumulative distributions of a gene, averaged over genes and labels.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 1.0),
    floor="means",
    formula="mean over the 500 most variable genes of sup |F_S - F_H| in LOG space, per label, unweighted mean",
    catches="wrong shapes, missing second modes",
    misses="dependence between genes, by construction",
    interval="subsample",
)
W1 = ScoreSpec(
    name="marginals.w1",
    axis="fidelity",
    title="gene distributions (Wasserstein)",
    meaning="Mean shift of a gene's values, in standard deviations of the real values.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, None),
    floor="means",
    formula="mean over the 500 most variable genes of integral |F_S - F_H| / sd_H in LOG space, per label, unweighted mean",
    catches="shifted or stretched genes",
    misses="dependence between genes, by construction",
    interval="subsample",
)


class Metric:
    """One-gene distances."""

    scores = (KS, W1)
    setup = Setup(spaces=EXPRESSION, order=0)

    def measure(self, pair: Pair) -> Measures:
        """Return the mean distances over genes, and the worst genes by name."""
        pooled = _distances(pair)
        labels = {label: None if part is None else _distances(part) for label, part in pair.each_label()}
        out = {}
        for spec, which in ((KS, 0), (W1, 1)):
            per_label = {label: None if item is None else _mean(item[which]) for label, item in labels.items()}
            values = pooled[which]
            detail: dict[str, Any] = {"genes": int(np.isfinite(values).sum())}
            if np.isfinite(values).any():
                detail["ninetieth"] = float(np.nanquantile(values, 0.9))
                order = np.argsort(-np.nan_to_num(values, nan=-1.0), kind="stable")[:WORST]
                detail["worst"] = {pair.selected[i]: float(values[i]) for i in order if np.isfinite(values[i])}
            out[spec.name] = Measured.over_labels(
                _mean(values),
                per_label,
                fallback=not any(labels.values()),
                detail=detail,
                reason="every gene is constant in the real rows",
            )
        return out


def _distances(pair: Pair) -> tuple[Vector, Vector]:
    """Return both distances per gene; NaN where the real values do not vary (only KS then is defined)."""
    a, b = pair.synthetic.log[:, :GENES], pair.real.log[:, :GENES]
    ks, w1 = ks_and_w1(a, b)
    spread = b.std(axis=0, dtype=np.float64)
    return ks, np.divide(w1, spread, out=np.full(len(w1), np.nan), where=spread > 1e-6)


def _mean(values: Vector) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
