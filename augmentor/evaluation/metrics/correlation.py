"""Gene-gene correlation structure: gamma, within labels and pooled, and the error of strong links.

``Gamma = r(u(C_S), u(C_H))`` with C the gene-gene Pearson correlations and u their strict upper triangle. Pooled over
labels, gamma is mostly a statement on class means (independent genes within each label reach 0.91 where real rows reach
0.93), so the headline is computed on values from which the label means are removed (Vinas et al. 2022 report pooled values).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.columns import rounded
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import EXPRESSION, Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.spaces import Basis

MOST_GENES = 1000
SHOWN_GENES = 100
STRONG = 0.5
# Rows of a label, and of all such labels, without which there are no correlations within labels.
LEAST_LABEL, LEAST_ROWS = 4, 10

WITHIN = ScoreSpec(
    name="correlation.within",
    axis="fidelity",
    title="gene-gene correlation within labels",
    meaning="How well gene-gene correlations within labels repeat those of held-out rows; compare with the ceiling.",
    goal="maximize",
    ideal=None,
    bounds=(-1.0, 1.0),
    floor="independent",
    formula="r over gene pairs of C_S and C_H, C = Pearson correlations of LOG values minus label means; up to 1,000 genes",
    catches="lost co-expression",
    misses="marginals, anything beyond pairs of genes",
    interval="subsample",
    headline=True,
)
POOLED = ScoreSpec(
    name="correlation.pooled",
    axis="fidelity",
    title="gene-gene correlation, pooled",
    meaning="The same with label means left in, for comparison with papers; class means alone score high.",
    goal="maximize",
    ideal=None,
    bounds=(-1.0, 1.0),
    floor="independent",
    formula="r over gene pairs of C_S and C_H, C = Pearson correlations of LOG values; up to 1,000 genes",
    catches="missing labels",
    misses="co-expression within labels",
    citation="Viñas et al. 2022; Bong & Oh 2023",
    interval="subsample",
)
ERROR = ScoreSpec(
    name="correlation.error",
    axis="fidelity",
    title="error of strong correlations",
    meaning="Mean absolute error of the gene-gene correlations that are strong in real rows.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 2.0),
    floor="independent",
    formula="mean |C_S - C_H| over pairs with |r| > 0.5 on the fitting rows (top 1 % of pairs if those are fewer)",
    catches="weakened links",
    misses="invented links between unrelated genes (see correlation.all_pairs)",
    interval="subsample",
)
ALL_PAIRS = ScoreSpec(
    name="correlation.all_pairs",
    axis="fidelity",
    title="error of all correlations",
    meaning="Mean absolute error of all gene-gene correlations; most pairs are empty and dilute it.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 2.0),
    floor="independent",
    formula="mean |C_S - C_H| over all pairs of genes, label means removed; up to 1,000 genes",
    catches="invented links",
    misses="weakened links, diluted by the many pairs without any",
    interval="subsample",
)


class Metric:
    """Correlation structure."""

    scores = (WITHIN, POOLED, ERROR, ALL_PAIRS)
    setup = Setup(spaces=EXPRESSION, order=0)

    def __init__(self) -> None:
        # strong pairs by the basis they are chosen on and the genes that vary; all arms share them
        self._strong: dict[tuple[int, bytes], tuple[Basis, NDArray[np.bool_]]] = {}

    def measure(self, pair: Pair) -> Measures:
        """Compare correlation matrices of at most 1,000 genes."""
        rows = usable(pair)
        if rows is None:
            reason = f"fewer than {LEAST_ROWS} rows in labels of at least {LEAST_LABEL}"
            return {spec.name: Measured.none(reason) for spec in self.scores}
        within = both(residual(rows.synthetic), residual(rows.real))
        pooled = both(values(pair.synthetic), values(pair.real))
        per_label = {label: None if part is None else _gamma(part) for label, part in pair.each_label()}
        if within is None or pooled is None:
            reason = "fewer than 3 genes vary on both sides"
            return {spec.name: Measured.none(reason) for spec in self.scores}
        synthetic, real, genes = within
        disjoint = pair.policy == "disjoint"
        strong = self._chosen(pair, genes) if disjoint else _strong(real)
        difference = np.abs(synthetic - real)
        off = len(genes) * (len(genes) - 1)
        detail = {"genes": len(genes)}
        error = {"pairs": int(strong.sum()) // 2, "pairs_chosen_on": "fitting rows" if disjoint else "real rows"}
        gamma = {WITHIN.name: _upper_r(synthetic, real), POOLED.name: _upper_r(pooled[0], pooled[1])}
        out = {
            name: Measured(value, detail=detail, reason=None if value is not None else "correlations do not vary")
            for name, value in gamma.items()
        }
        out[WITHIN.name] = Measured(gamma[WITHIN.name], per_label, detail=detail, reason=out[WITHIN.name].reason)
        out[ERROR.name] = Measured(float(difference[strong].mean()), detail=detail | error)
        every = float((difference.sum() - np.trace(difference)) / off)
        out[ALL_PAIRS.name] = Measured(every, detail=detail)
        return out

    def _chosen(self, pair: Pair, genes: NDArray[np.intp]) -> NDArray[np.bool_]:
        key = id(pair.basis), genes.tobytes()
        if key not in self._strong:
            self._strong[key] = pair.basis, _strong(_correlations(residual(pair.fit)[:, genes]))
        return self._strong[key][1]

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return two heat maps over the same genes, in the order of a clustering of real rows."""
        from scipy.cluster.hierarchy import leaves_list, linkage
        from scipy.spatial.distance import squareform

        pair = frame.pair("matched", "synthetic", 0)
        joint = both(residual(pair.synthetic)[:, :SHOWN_GENES], residual(pair.real)[:, :SHOWN_GENES])
        if joint is None:
            return {}
        synthetic, real, genes = joint
        basis = _correlations(residual(pair.fit)[:, genes]) if pair.policy == "disjoint" else real
        gaps = np.clip(1.0 - (basis + basis.T) / 2, 0.0, 2.0)
        np.fill_diagonal(gaps, 0.0)
        order = leaves_list(linkage(squareform(gaps, checks=False), method="average"))
        shown = np.ix_(order, order)
        names = [pair.selected[genes[i]] for i in order]
        return {
            "correlation": {
                "genes": names,
                "real": [rounded(row, 3) for row in real[shown]],
                "synthetic": [rounded(row, 3) for row in synthetic[shown]],
            }
        }


Table = NDArray[np.float64]


def usable(pair: Pair) -> Pair | None:
    """Return the rows whose label mean can be removed: of a label with few rows, little else would be left."""
    codes = [i for i, n in enumerate(pair.counts.values()) if n >= LEAST_LABEL]
    synthetic, real = (np.flatnonzero(np.isin(side.y, codes)) for side in (pair.synthetic, pair.real))
    return pair.part(synthetic, real) if min(len(synthetic), len(real)) >= LEAST_ROWS else None


def values(side: Side) -> Table:
    """LOG values ``(rows, genes)`` of at most 1,000 genes."""
    return side.log[:, :MOST_GENES].astype(np.float64)


def residual(side: Side) -> Table:
    """LOG values minus the mean of their label."""
    out = values(side)
    for code in np.unique(side.y):
        rows = side.y == code
        out[rows] -= out[rows].mean(axis=0)
    return out


def _correlations(x: Table) -> Table:
    """Pearson correlations of columns; a constant column correlates with nothing."""
    z = x - x.mean(axis=0)
    length = np.sqrt(np.square(z).sum(axis=0))
    z /= np.where(length > 1e-6, length, np.inf)
    return z.T @ z


def both(a: Table, b: Table) -> tuple[Table, Table, NDArray[np.intp]] | None:
    """Return the correlation matrices over the columns that vary on both sides, and those columns."""
    genes = np.flatnonzero((a.std(axis=0) > 1e-6) & (b.std(axis=0) > 1e-6))
    if len(genes) < a.shape[1]:
        a, b = a[:, genes], b[:, genes]
    return (_correlations(a), _correlations(b), genes) if len(genes) > 2 else None


def _gamma(part: Pair) -> float | None:
    joint = both(values(part.synthetic), values(part.real))
    return None if joint is None else _upper_r(joint[0], joint[1])


def _upper_r(a: Table, b: Table) -> float | None:
    """Pearson's r over the strict upper triangles, from sums over the symmetric matrices without their diagonals."""
    n = len(a) * (len(a) - 1)
    diagonal_a, diagonal_b = np.diag(a), np.diag(b)
    mean_a, mean_b = (a.sum() - diagonal_a.sum()) / n, (b.sum() - diagonal_b.sum()) / n
    cross = (np.vdot(a, b) - diagonal_a @ diagonal_b) / n - mean_a * mean_b
    square_a = (np.vdot(a, a) - diagonal_a @ diagonal_a) / n - mean_a**2
    square_b = (np.vdot(b, b) - diagonal_b @ diagonal_b) / n - mean_b**2
    return float(cross / np.sqrt(square_a * square_b)) if min(square_a, square_b) > 1e-15 else None


def _strong(real: Table) -> NDArray[np.bool_]:
    off = np.abs(real)
    np.fill_diagonal(off, 0.0)
    strong = off > STRONG
    least = max(2, off.size // 100)
    if strong.sum() < least:
        strong = (off >= np.partition(off.ravel(), -least)[-least]) & (off > 0)
    return strong if strong.any() else off >= 0
