"""The corrected interval of paired differences over repeated cross-validation.

    Δ̄ ± t_{1−α/2, J−1} · √( (1/J + n_test / n_train) · s²_Δ )

The training sets of the splits overlap, so that the J differences are not independent: without the second term in the bracket
intervals are several times too short.

Paper: Nadeau & Bengio, Inference for the generalization error, Machine Learning 52 (2003), doi:10.1023/A:1024068626366.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# differences that are equal but for rounding have no spread
ROUNDING = 1e-12


@dataclass(frozen=True)
class Difference:
    """A mean difference and its interval."""

    mean: float
    low: float
    high: float


def corrected(differences: NDArray[np.float64], ratio: float, *, level: float = 0.95) -> Difference:
    """Return the mean of paired differences with its corrected interval.

    Args:
        differences: ``(splits,)`` one difference per split.
        ratio: n_test / n_train, of the rows that a split divides.
        level: probability that the interval covers the mean.
    """
    j = len(differences)
    mean = float(np.mean(differences))
    if j < 2:
        return Difference(mean, -np.inf, np.inf)
    spread = float(np.std(differences, ddof=1))
    if spread < ROUNDING:
        return Difference(mean, mean, mean)
    half = half_width(spread, j, ratio, level=level)
    return Difference(mean, mean - half, mean + half)


def half_width(spread: float, j: int, ratio: float, *, level: float = 0.95) -> float:
    """Return half the width of the corrected interval of a mean over splits.

    Args:
        spread: standard deviation over splits.
        j: number of splits, at least two.
        ratio: n_test / n_train, of the rows that a split divides.
        level: probability that the interval covers the mean.
    """
    return float(stats.t.ppf(0.5 + level / 2, j - 1)) * float(np.sqrt(1 / j + ratio)) * spread
