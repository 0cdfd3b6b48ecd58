"""Mixing: are the neighbours of a row as often of the other kind as in a well-stirred union of synthetic and held-out rows?

The share of the other kind among the 15 nearest neighbours in the union, over the share expected, for synthetic and for real
queries apart: denoised rows have 0.10 and 1.33, and the one average of both would hide it. LISI is the same on the scale of papers:
the inverse Simpson index of kinds (or labels) in a neighbourhood of perplexity 30. Its weights fall with the distance, not with
its square, and the row is counted among its 90 neighbours with weight 0, as in the published implementations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import ENOUGH, Pair
from augmentor.evaluation.score import ScoreSpec

NEIGHBOURS = 15
LISI_NEIGHBOURS, PERPLEXITY = 90, 30


def _side(kind: str, other: str, catches: str, misses: str) -> ScoreSpec:
    return ScoreSpec(
        name=f"mixing.{kind}",
        axis="fidelity",
        title=f"mixing around {kind} rows",
        meaning=f"How often the neighbours of {kind} rows are {other}, over chance; 1 means well mixed.",
        goal="target",
        ideal=1.0,
        bounds=(0.0, None),
        floor="independent",
        formula=f"mean over {kind} rows of the share of {other} rows among the 15 nearest in the union, over n/(2n - 1); 30 PCs",
        catches=catches,
        misses=misses,
        citation="Schilling 1986; this project",
        interval="subsample",
    )


SYNTHETIC = _side("synthetic", "real", "pockets of synthetic rows, too little variation", "copies; lost groups of rows")
REAL = _side(
    "real", "synthetic", "lost groups of rows; above 1, synthetic rows that crowd every neighbourhood", "copies"
)
LISI = ScoreSpec(
    name="mixing.lisi",
    axis="fidelity",
    title="LISI of origin",
    meaning="Effective number of kinds (real, synthetic) around a row, from 1 (apart) to 2 (mixed); iLISI is this minus 1.",
    goal="maximize",
    ideal=None,
    bounds=(1.0, 2.0),
    floor="independent",
    formula="median over rows of 1 / sum_kinds share^2, shares weighted to perplexity 30 among 90 neighbours, 30 PCs; scale 1 to 2",
    catches="pockets of one kind",
    misses="one-sided mixing (see mixing.synthetic and mixing.real), copies",
    citation="Korsunsky et al. 2019",
    interval="subsample",
    full=True,
)
LABELS = ScoreSpec(
    name="mixing.label_lisi",
    axis="fidelity",
    title="LISI of labels",
    meaning="Effective number of labels around a row: above the ceiling labels run into each other, below it they lie too far apart.",
    goal="minimize",
    ideal=None,
    bounds=(1.0, None),
    floor="permuted",
    formula="median over rows of 1 / sum_labels share^2, weights as for mixing.lisi; scale 1 to the number of labels",
    catches="rows in the wrong label's place",
    misses="anything within a label",
    citation="Korsunsky et al. 2019",
    interval="subsample",
    full=True,
)

Table = NDArray[np.float64]
Positions = NDArray[np.intp]


class Metric:
    """Neighbours in the union of both sides."""

    scores = (SYNTHETIC, REAL, LISI, LABELS)
    setup = Setup(rows="distinct", alternate=True, floors="named")

    def measure(self, pair: Pair) -> Measures:
        """Return both shares over what is expected and, in a full evaluation, the inverse Simpson indices."""
        found = mixing(pair)
        parts = {label: None if part is None else mixing(part) for label, part in pair.each_label()}
        out = {}
        for i, spec in enumerate((SYNTHETIC, REAL)):
            per_label = {label: None if item is None else item[i] for label, item in parts.items()}
            reason = None if found else "too few rows for a neighbourhood"
            detail = {"neighbours": found[2]} if found else {}
            out[spec.name] = Measured(found[i] if found else None, per_label, detail=detail, reason=reason)
        return out | _indices(pair) if pair.asked.full else out


def mixing(pair: Pair) -> tuple[float, float, int] | None:
    """Return the mixing around synthetic and around real rows, and the number of neighbours; None with too few rows."""
    k = min(NEIGHBOURS, min(len(pair.synthetic), len(pair.real)) // 5)
    if k < 1:
        return None
    between = pair.distances
    return other_share(pair.synthetic.distances, between, k), other_share(pair.real.distances, between.T, k), k


def other_share(within: Table, between: Table, k: int) -> float:
    """Return the mean share of the other kind among the k nearest rows, over the share expected.

    Args:
        within: ``(rows, rows)`` distances among the queries, each row itself included.
        between: ``(rows, others)`` distances to rows of the other kind.
        k: number of neighbours.
    """
    n, m = between.shape
    # position 0 of the sorted distances to the own kind is the row itself
    own = np.sort(np.partition(within, min(k, n - 1), axis=1)[:, : k + 1], axis=1)[:, 1:]
    other = np.partition(np.ascontiguousarray(between), min(k, m) - 1, axis=1)[:, :k]
    both = np.concatenate([own, other], axis=1)
    radius = np.partition(both, k - 1, axis=1)[:, k - 1 : k]
    # rows at the very radius share the places that nearer rows leave, whatever their order
    inside, edge = (both < radius).sum(axis=1), (both == radius).sum(axis=1)
    count = (other < radius).sum(axis=1) + (k - inside) * (other == radius).sum(axis=1) / edge
    return float(count.mean() / k * (n + m - 1) / m)


def _indices(pair: Pair) -> dict[str, Measured]:
    kind = np.repeat([0, 1], [len(pair.synthetic), len(pair.real)])
    label = np.concatenate([pair.synthetic.y, pair.real.y])
    if len(kind) < LISI_NEIGHBOURS:
        reason = f"{len(kind)} rows in all; {LISI_NEIGHBOURS} neighbours are needed"
        return {spec.name: Measured.none(reason) for spec in (LISI, LABELS)}
    near, weights = _neighbourhoods(pair)
    origin, among = inverse_simpson(weights, kind[near]), inverse_simpson(weights, label[near])
    present = len(np.unique(label))
    return {
        LISI.name: _median(pair, origin, label, {"scale": "1 to 2", "ilisi": float(np.median(origin)) - 1.0}),
        LABELS.name: _median(pair, among, label, {"scale": f"1 to {present}"})
        if present > 1
        else Measured.none("needs at least two labels"),
    }


def _median(pair: Pair, values: Table, label: Positions, detail: dict[str, Any]) -> Measured:
    per_label = {}
    if len(pair.labels) > 1:
        for code, (name, n) in enumerate(pair.counts.items()):
            if (pair.real.y == code).any():
                per_label[name] = float(np.median(values[label == code])) if n >= ENOUGH else None
    return Measured(float(np.median(values)), per_label, detail=detail)


def _neighbourhoods(pair: Pair) -> tuple[Positions, Table]:
    """Return positions in the union (synthetic rows first) of the other 89 nearest rows, and their weights."""
    found, gaps = [], []
    between = pair.distances
    blocks = ((pair.synthetic.distances, between), (between.T, pair.real.distances))
    start = 0
    for block in blocks:
        joint = np.concatenate(block, axis=1)
        rows = np.arange(len(joint))
        joint[rows, start + rows] = np.inf
        start += len(joint)
        near = np.argpartition(joint, LISI_NEIGHBOURS - 2, axis=1)[:, : LISI_NEIGHBOURS - 1]
        found.append(near)
        gaps.append(np.take_along_axis(joint, near, axis=1))
    return np.concatenate(found), perplexed(np.concatenate(gaps), PERPLEXITY)


def perplexed(gaps: Table, perplexity: float) -> Table:
    """Return weights ``exp(-beta d)``, summing to 1, with beta such that each row's entropy is ``ln(perplexity)``.

    Args:
        gaps: ``(rows, neighbours)`` distances.
        perplexity: effective number of neighbours.
    """
    gaps = gaps - gaps.min(axis=1, keepdims=True)
    gaps /= np.maximum(gaps.mean(axis=1, keepdims=True), 1e-300)
    low, high = np.full((len(gaps), 1), -20.0), np.full((len(gaps), 1), 20.0)
    for _ in range(45):
        middle = (low + high) / 2
        beta = np.exp(middle)
        weights = np.exp(-beta * gaps)
        total = weights.sum(axis=1, keepdims=True)
        entropy = np.log(total) + beta * (gaps * weights).sum(axis=1, keepdims=True) / total
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return weights / total


def inverse_simpson(weights: Table, kinds: Positions) -> Table:
    """Return ``1 / sum over kinds of (summed weight)^2`` of every row, from the kinds of its neighbours."""
    total = np.zeros(len(weights))
    for kind in np.unique(kinds):
        total += np.square((weights * (kinds == kind)).sum(axis=1))
    return 1.0 / total
