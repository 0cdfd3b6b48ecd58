"""Dendrograms: is the hierarchy of gene modules that of held-out rows?

``D = 1 - C`` of the gene-gene correlations, ``T`` the heights at which a complete-linkage tree of D joins two genes (cophenetic
distances), ``Gamma`` Pearson's r over gene pairs. S_dist = Gamma(D_H, D_S), S_dend = Gamma(T_H, T_S), and S_sdcc compares how well
each tree fits its own distances. Correlations are within labels, as in `correlation.within`; the paper's are pooled over labels.
Complete linkage is unstable: S_dend of real rows against real rows is only 0.2 to 0.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.columns import pearson
from augmentor.evaluation.contract import EXPRESSION, Measured, Measures, Setup
from augmentor.evaluation.metrics.correlation import both, residual, usable
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import Goal, ScoreSpec

CITATION = "Viñas et al. 2022"


def _spec(part: str, title: str, meaning: str, goal: Goal, formula: str, misses: str) -> ScoreSpec:
    return ScoreSpec(
        name=f"dendrogram.{part}",
        axis="fidelity",
        title=title,
        meaning=meaning,
        goal=goal,
        ideal=None,
        bounds=(0.0, 4.0) if goal == "minimize" else (-1.0, 1.0),
        floor="independent",
        formula=f"{formula}; label means removed, complete linkage, up to 1,000 genes",
        catches="lost modules of genes",
        misses=misses,
        citation=CITATION,
        interval="subsample",
        full=True,
    )


SPECS = {
    "s_dist": _spec(
        "s_dist",
        "gene distances (S_dist)",
        "How well distances between genes repeat those of held-out rows; the same as the correlation score, as papers name it.",
        "maximize",
        "r over gene pairs of 1 - C_H and 1 - C_S",
        "marginals, anything beyond pairs of genes",
    ),
    "s_dend": _spec(
        "s_dend",
        "gene dendrograms (S_dend)",
        "How well the tree of genes repeats that of held-out rows; low even between real rows, so compare with the ceiling.",
        "maximize",
        "r over gene pairs of the cophenetic distances T_H and T_S",
        "marginals; trees are unstable",
    ),
    "s_sdcc": _spec(
        "s_sdcc",
        "fit of dendrograms (S_sdcc)",
        "Whether genes are as hierarchical as in held-out rows: difference of how well each tree fits its own distances.",
        "minimize",
        "(r(1 - C_H, T_H) - r(1 - C_S, T_S))^2",
        "which genes are joined",
    ),
}

Table = NDArray[np.float64]


class Metric:
    """Hierarchical clustering of genes."""

    scores = tuple(SPECS.values())
    setup = Setup(spaces=EXPRESSION, alternate=True, floors="named", order=2)

    def measure(self, pair: Pair) -> Measures:
        """Compare distances and trees of at most 1,000 genes."""
        rows = usable(pair)
        joint = None if rows is None else both(residual(rows.synthetic), residual(rows.real))
        if joint is None:
            reason = "too few rows within labels, or fewer than 3 genes that vary"
            return {spec.name: Measured.none(reason) for spec in self.scores}
        found, detail = compared(joint[1], joint[0]), {"genes": len(joint[2])}
        return {
            spec.name: Measured(
                found[part],
                detail=detail,
                reason=None if found[part] is not None else "distances do not vary",
            )
            for part, spec in SPECS.items()
        }


def compared(real: Table, synthetic: Table) -> dict[str, float | None]:
    """Return the three coefficients of two correlation matrices ``(genes, genes)``."""
    from scipy.cluster.hierarchy import cophenet, linkage
    from scipy.spatial.distance import squareform

    gaps = []
    for matrix in (real, synthetic):
        square = np.clip(1.0 - (matrix + matrix.T) / 2, 0.0, 2.0)
        np.fill_diagonal(square, 0.0)
        gaps.append(squareform(square, checks=False))
    trees = [cophenet(linkage(gap, method="complete")) for gap in gaps]
    fits = [pearson(gap, tree) for gap, tree in zip(gaps, trees, strict=True)]
    return {
        "s_dist": pearson(gaps[0], gaps[1]),
        "s_dend": pearson(trees[0], trees[1]),
        "s_sdcc": None if fits[0] is None or fits[1] is None else (fits[0] - fits[1]) ** 2,
    }
