"""Fréchet distance: means and covariances of synthetic and held-out rows in PC space, as two Gaussians.

``|mu_H - mu_S|^2 + tr(Sigma_H + Sigma_S - 2 (Sigma_H Sigma_S)^(1/2))``. A covariance of d components needs rows: with fewer than
10 d there is no value. Two samples of one law are about ``d^2 / n`` variances apart; read the ceiling.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec

ROWS_PER_DIMENSION = 10

FRECHET = ScoreSpec(
    name="frechet",
    axis="fidelity",
    title="Fréchet distance",
    meaning="Distance of means and covariances to those of held-out rows; compare with the ceiling.",
    goal="minimize",
    ideal=None,
    bounds=(0.0, None),
    floor="independent",
    formula="|mu_H - mu_S|^2 + tr(C_H + C_S - 2 (C_H C_S)^(1/2)), 30 PCs; at least 10 rows per component",
    catches="wrong means, variances and covariances",
    misses="everything beyond the first two moments",
    citation="Dowson & Landau 1982; Heusel et al. 2017",
    interval="bootstrap",
    full=True,
)

Table = NDArray[np.float64]


class Metric:
    """Two moments in PC space."""

    scores = (FRECHET,)
    setup = Setup()

    def measure(self, pair: Pair) -> Measures:
        """Return the distance, also of every label with enough rows."""
        dims = pair.real.pcs.shape[1]
        n, least = min(len(pair.synthetic), len(pair.real)), ROWS_PER_DIMENSION * dims
        if n < least:
            return {FRECHET.name: Measured.none(f"{n} rows a side; {dims} components need {least}")}
        per_label = {
            label: None if part is None else frechet(part.synthetic.pcs, part.real.pcs)
            for label, part in pair.each_label(least)
        }
        value = frechet(pair.synthetic.pcs, pair.real.pcs)
        return {FRECHET.name: Measured(value, per_label, detail={"components": dims})}


def frechet(a: Table, b: Table) -> float:
    """Return the squared Fréchet distance of the Gaussians of ``(rows of a, dims)`` and ``(rows of b, dims)``."""
    first, second = (np.atleast_2d(np.cov(side, rowvar=False)) for side in (a, b))
    values, vectors = np.linalg.eigh(second)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    # tr((AB)^(1/2)) = tr((B^(1/2) A B^(1/2))^(1/2)), and the latter is symmetric
    middle = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ first @ root), 0.0)).sum()
    shift = a.mean(axis=0) - b.mean(axis=0)
    return float(max(shift @ shift + np.trace(first) + np.trace(second) - 2.0 * middle, 0.0))
