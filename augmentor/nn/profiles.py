"""What a label looks like before any learning: the starting point of the output layers of count and value networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from augmentor.core.contract import Encoded
from augmentor.core.dataset import column_moments, row_sums
from augmentor.core.random import Stream
from augmentor.core.space import Space

SMOOTHING = 50.0  # counts borrowed from all rows, spread over the genes by the pooled profile
BORROWED = 2.0  # rows borrowed from all labels for the share of ones in one


def label_profiles(encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the log-profile (or mean) of every condition ``(conditions, features)`` and a log spread ``(features,)``.

    Counts: log of the label's share of each gene, smoothed by the pooled profile, and the log dispersion of each gene
    by moments within labels. Other spaces: the label's means and the log variance within labels.
    """
    condition, layout = encoded.given.condition, encoded.layout
    if layout.space is not Space.COUNTS:
        x = np.asarray(encoded.x, dtype=np.float64)
        mean = np.stack([x[condition == c].mean(axis=0) for c in range(layout.conditions)])
        variance = ((x - mean[condition]) ** 2).mean(axis=0)
        return mean.astype(np.float32), np.log(np.maximum(variance, 1e-3)).astype(np.float32)
    x = encoded.x
    size = row_sums(x)
    pooled = np.asarray(x.sum(axis=0, dtype=np.float64)).ravel() + 0.1
    pooled /= pooled.sum()
    profiles, excess, squared = [], np.zeros(layout.features), np.zeros(layout.features)
    target = float(np.median(size))
    for c in range(layout.conditions):
        own = x[condition == c]
        total = np.asarray(own.sum(axis=0, dtype=np.float64)).ravel() + SMOOTHING * pooled
        profiles.append(np.log(total / total.sum()))
        scale = target / size[condition == c]
        mean, variance = column_moments(sparse.diags(scale) @ own if sparse.issparse(own) else own * scale[:, None])
        excess += len(scale) * np.maximum(variance - mean * scale.mean(), 0)
        squared += len(scale) * mean**2
    dispersion = np.clip((squared + 1e-3) / (excess + 1e-3), 0.1, 100)
    return np.array(profiles, dtype=np.float32), np.log(dispersion).astype(np.float32)


def label_logits(encoded: Encoded) -> NDArray[np.float32]:
    """Logit of the share of ones in every condition ``(conditions, features)``, with `BORROWED` rows of the pooled share."""
    x, condition, conditions = encoded.x, encoded.given.condition, encoded.layout.conditions
    ones = np.stack([np.asarray(x[condition == c].sum(axis=0, dtype=np.float64)).ravel() for c in range(conditions)])
    pooled = (ones.sum(axis=0) + 0.1) / (x.shape[0] + 0.2)
    rows = np.bincount(condition, minlength=conditions)[:, None]
    share = (ones + BORROWED * pooled) / (rows + BORROWED)
    return np.log(share / (1 - share)).astype(np.float32)


def value_moments(encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and softened standard deviation of every feature ``(features,)``, counts log-normalised first.

    A tenth is added to the deviation, so that a gene seen in three cells does not outweigh all others.
    """
    x = encoded.x
    if encoded.layout.space is Space.COUNTS:
        size = encoded.given.sizes
        scale = (np.exp(np.log(size).mean()) / size).astype(np.float32)
        x = (sparse.diags(scale) @ x).log1p() if sparse.issparse(x) else np.log1p(x * scale[:, None])
    mean, variance = column_moments(x)
    return mean.astype(np.float32), (np.sqrt(variance) + 0.1).astype(np.float32)


def label_factors(encoded: Encoded, rank: int, rng: Stream) -> NDArray[np.float32]:
    """Loadings ``(features, rank)`` of the leading factors of the residuals within labels, in the space of the output.

    Counts: factors of the log-normalised values, divided by the slope of log1p at the gene's mean, so that they act on
    the log rate. Factors at or below the noise level of a matrix of this shape (Marchenko–Pastur) are zero; the others
    are freed of the noise in them.
    """
    x = encoded.x
    slope = np.ones(encoded.layout.features)
    if encoded.layout.space is Space.COUNTS:
        size = encoded.given.sizes
        target = np.exp(np.log(size).mean())
        scale = (target / size).astype(np.float32)
        scaled = sparse.csr_matrix(sparse.diags(scale) @ x) if sparse.issparse(x) else x * scale[:, None]
        mean = np.asarray(scaled.mean(axis=0, dtype=np.float64)).ravel()
        slope = np.maximum(mean / (1 + mean), 0.3)
        x = scaled.log1p().toarray() if sparse.issparse(scaled) else np.log1p(scaled)
    x = np.array(x, dtype=np.float32)
    for c in np.unique(encoded.given.condition):
        members = encoded.given.condition == c
        x[members] -= x[members].mean(axis=0)
    n, p = x.shape
    noise = float(np.median(x.var(axis=0)[x.var(axis=0) > 0])) if x.any() else 1.0
    usable = min(rank, n - 1, p)
    _, values, right = randomized_svd(x, usable, random_state=rng.integer())
    eigen, edge = values**2 / n, noise * (1 + np.sqrt(p / n)) ** 2
    strength = np.sqrt(np.maximum(eigen - edge, 0))
    out = np.zeros((p, rank), dtype=np.float32)
    out[:, :usable] = (right.T * strength) / slope[:, None]
    return out
