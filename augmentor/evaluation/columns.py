"""Vectorised statistics over columns (genes), and a correlation that admits that it is undefined."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Matrix

Vector = NDArray[np.float64]


def pearson(a: Vector, b: Vector) -> float | None:
    """Return Pearson's r of two vectors, or None where one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-12 * (len(a) or 1) else None


def spearman(a: Vector, b: Vector) -> float | None:
    """Return Spearman's rank correlation, or None where one vector is constant."""
    from scipy.stats import rankdata

    return pearson(rankdata(a), rankdata(b))


def average(values: Iterable[float | None]) -> float | None:
    """Return the unweighted mean of the values there are, or None."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def variances(x: Matrix) -> tuple[Vector, Vector]:
    """Return mean and unbiased variance of every column, without densifying."""
    n = x.shape[0]
    if sparse.issparse(x):
        values, ones = x.data.astype(np.float64), np.ones(n)
        mean, squares = (ones @ sparse.csr_matrix((v, x.indices, x.indptr), x.shape) / n for v in (values, values**2))
        variance = squares - mean**2
    else:
        mean, variance = x.mean(axis=0, dtype=np.float64), x.var(axis=0, dtype=np.float64)
    # the sparse route subtracts squares: what is left of a constant column is rounding, not variance
    variance = np.where(variance > 1e-9 * mean**2, variance, 0.0)
    return mean, variance * (n / (n - 1) if n > 1 else 1.0)


def zero_fractions(x: Matrix) -> tuple[Vector, Vector]:
    """Return the share of zeros of every row and of every column."""
    rows, columns = x.shape
    if sparse.issparse(x):
        by_row, by_column = np.diff(x.indptr), np.bincount(x.indices, minlength=columns)
    else:
        by_row, by_column = np.count_nonzero(x, axis=1), np.count_nonzero(x, axis=0)
    return 1.0 - by_row / columns, 1.0 - by_column / rows


def auc(a: Vector, b: Vector) -> float:
    """Return the probability that a value of ``a`` exceeds one of ``b``, ties half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([a, b]))
    return float((ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b)))


def ks_and_w1(a: NDArray[np.floating], b: NDArray[np.floating]) -> tuple[Vector, Vector]:
    """Return per column the Kolmogorov-Smirnov distance and the 1-Wasserstein distance.

    Args:
        a: ``(rows of a, columns)``.
        b: ``(rows of b, columns)``.

    Returns:
        ``sup |F_a - F_b|`` and ``integral |F_a - F_b|``, each ``(columns,)``.
    """
    both = np.concatenate([a, b])
    order = np.argsort(both, axis=0, kind="stable")
    values = np.take_along_axis(both, order, axis=0).astype(np.float64)
    step = np.where(order < len(a), 1.0 / len(a), -1.0 / len(b))
    gap = np.abs(np.cumsum(step, axis=0))
    width = np.diff(values, axis=0)
    w1 = (gap[:-1] * width).sum(axis=0)
    # within a run of ties the cumulative difference is not a value of F_a - F_b; only its last entry counts
    gap[:-1][width == 0] = 0.0
    return gap.max(axis=0), w1


def densities(samples: dict[str, Vector], bins: int = 40) -> dict[str, list[float]]:
    """Return histograms of several samples over shared edges, as densities of plain numbers."""
    values = np.concatenate(list(samples.values()))
    low, high = np.quantile(values, [0.001, 0.999])
    if high <= low:
        low, high = float(values.min()) - 0.5, float(values.max()) + 0.5
    edges = np.linspace(low, high, bins + 1)
    out = {"edges": rounded(edges)}
    for name, sample in samples.items():
        counts = np.histogram(np.clip(sample, low, high), edges)[0]
        out[name] = rounded(counts / max(1, len(sample)) / np.diff(edges))
    return out


def rounded(values: Iterable[float] | NDArray[np.floating], digits: int = 5) -> list[float]:
    """Return plain floats with about five significant digits, for figures."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=np.float64).ravel()]
