"""Zeros: their share per gene and per row, and whether the share in a row alone betrays it as synthetic.

Denoised rows have almost none: a one-feature test on the share of zeros then has an AUC of 1.00 while the correlation of gene
means is 0.999.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from augmentor.evaluation.columns import Vector, auc, densities, ks_and_w1, zero_fractions
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import EXPRESSION, Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.score import ScoreSpec

FEWEST_ZEROS = 0.01

GENES = ScoreSpec(
    name="zeros.fraction",
    axis="fidelity",
    title="zeros per gene",
    meaning="Mean absolute difference of the share of zeros of a gene.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 1.0),
    floor="means",
    formula="mean over genes of |zero share_S - zero share_H|, values as given, per label, unweighted mean",
    catches="missing dropout, denoising",
    misses="the values that are not zero",
    interval="bootstrap",
)
ROWS = ScoreSpec(
    name="zeros.row_ks",
    axis="fidelity",
    title="zeros per row (KS)",
    meaning="Largest gap between the distributions of the share of zeros in a row.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 1.0),
    floor="means",
    formula="Kolmogorov-Smirnov distance of the rows' zero shares, per label, unweighted mean",
    catches="rows that are all equally deep",
    misses="which genes are zero",
    interval="bootstrap",
)
AUC = ScoreSpec(
    name="zeros.row_auc",
    axis="fidelity",
    title="zeros per row (AUC)",
    meaning="Whether the share of zeros alone tells synthetic rows from held-out ones; 0.5 means that it does not.",
    goal="target",
    ideal=0.5,
    bounds=(0.0, 1.0),
    floor="means",
    formula="AUC of the rows' zero share as the only feature, per label, unweighted mean",
    catches="denoised rows",
    misses="which genes are zero",
    interval="bootstrap",
)


class Metric:
    """Zero fractions."""

    scores = (GENES, ROWS, AUC)
    setup = Setup(spaces=EXPRESSION, order=0)

    def measure(self, pair: Pair) -> Measures:
        """Compare shares of zeros per gene and per row."""
        pooled = _compare(pair)
        if pooled is None:
            return {spec.name: Measured.none("fewer than 1 % of the real values are zero") for spec in self.scores}
        labels = {label: None if part is None else _compare(part) for label, part in pair.each_label()}
        out = {}
        for i, spec in enumerate(self.scores):
            per_label = {label: item[i] if item else None for label, item in labels.items()}
            out[spec.name] = Measured.over_labels(pooled[i], per_label, fallback=not any(labels.values()))
        return out

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return the distributions of the share of zeros in a row."""
        if measured["synthetic"][0][GENES.name].value is None:
            return {}
        pair = frame.pair("matched", "synthetic", 0)
        return {"zeros": densities({"real": rows(pair.real), "synthetic": rows(pair.synthetic)})}


def rows(side: Side) -> Vector:
    """Return the share of zeros of every row."""
    return zero_fractions(side.x)[0]


def _compare(pair: Pair) -> tuple[float, float, float] | None:
    by_row_a, by_gene_a = zero_fractions(pair.synthetic.x)
    by_row_b, by_gene_b = zero_fractions(pair.real.x)
    if by_row_b.mean() < FEWEST_ZEROS:
        return None
    ks = float(ks_and_w1(by_row_a[:, None], by_row_b[:, None])[0][0])
    return float(np.abs(by_gene_a - by_gene_b).mean()), ks, auc(by_row_a, by_row_b)
