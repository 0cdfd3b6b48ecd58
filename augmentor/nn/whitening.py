"""Shrunk Gaussian of every condition: where a density starts, so that it only has to learn what a Gaussian misses.

    μ_c = mean of the rows of c
    Σ_c = D·[α_c R_c + (1 − α_c)·R]·D,   R ← (1 − λ)·R + λ·I,   α_c = n_c / (n_c + κ)

R and R_c are the second moments of the residuals, in units D of their pooled spread, of all rows and of the rows of c; λ is the
Ledoit–Wolf intensity. The rows are few-dimensional: latent vectors, or tables of few features.

Papers: Ledoit & Wolf 2004, doi:10.1016/S0047-259X(03)00096-4; Friedman 1989, doi:10.1080/01621459.1989.10478752 (class
covariances shrunk towards the pooled one).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

SMALLEST = 1e-2  # standard deviation of a constant feature, in standard units: a density of zero width has no logarithm
LEAST = 1e-3  # λ at the least, so that features that repeat each other leave the covariance regular


def class_gaussians(
    x: NDArray[Any], variance: NDArray[Any] | None, condition: NDArray[np.intp], conditions: int, *, pseudo_rows: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimate means ``(conditions, d)`` and covariances ``(conditions, d, d)``.

    Args:
        x: ``(rows, d)``.
        variance: ``(rows, d)`` variance of every value about the one given, or None.
        condition: ``(rows,)``.
        conditions: number of conditions; one without rows gets the pooled mean and covariance.
        pseudo_rows: κ, the rows at which a condition's own covariance weighs one half.
    """
    x = np.asarray(x, dtype=np.float64)
    own = [np.flatnonzero(condition == c) for c in range(conditions)]
    mean = np.stack([x[rows].mean(axis=0) if rows.size else x.mean(axis=0) for rows in own])
    residual = x - mean[condition]
    extra = np.zeros_like(x) if variance is None else np.asarray(variance, dtype=np.float64)
    freedom = max(len(x) - sum(rows.size > 0 for rows in own), 1)
    spread = np.sqrt(np.maximum((residual**2).sum(axis=0) / freedom + extra.mean(axis=0), SMALLEST**2))
    residual, extra = residual / spread, extra / spread**2
    shrinkage = max(float(ledoit_wolf_shrinkage(residual, assume_centered=True)), LEAST)
    pooled = residual.T @ residual / freedom + np.diag(extra.mean(axis=0))
    pooled = (1 - shrinkage) * pooled + shrinkage * np.eye(x.shape[1])
    covariance = np.empty((conditions, x.shape[1], x.shape[1]))
    for c, rows in enumerate(own):
        mine = residual[rows].T @ residual[rows] + np.diag(extra[rows].sum(axis=0))
        covariance[c] = (mine + pseudo_rows * pooled) / (max(rows.size - 1, 0) + pseudo_rows)
    return mean, covariance * spread * spread[:, None]
