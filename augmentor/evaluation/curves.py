"""The learning curve of a classifier on real rows, and reading back how many real rows a gain is worth.

    score(n) = A − b·n^(−c),   A ≤ 1, b ≥ 0, c in [0.1, 2]

A power law rises towards its limit and never falls, so that every score between its ends belongs to one number of rows. It is
read between the smallest and the largest number of rows that were measured, and nowhere else: what lies beyond is more than
the data can show.

Papers: Cortes et al., Learning curves: asymptotic values and rate of convergence, NIPS 6 (1993); Figueroa et al., BMC Med.
Inform. Decis. Mak. 12 (2012), doi:10.1186/1472-6947-12-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXPONENTS = np.geomspace(0.1, 2.0, 60)
# a curve that rises by less than this over all its rows says nothing of how many rows a gain is worth
FLAT = 0.005


@dataclass(frozen=True)
class Curve:
    """A fitted learning curve.

    Attributes:
        n: rows at which scores were measured, increasing.
        score: mean score at each.
        draws: how many draws of rows each mean is of.
        limit: A, the score of endless rows.
        height: b.
        exponent: c.
    """

    n: tuple[float, ...]
    score: tuple[float, ...]
    draws: int
    limit: float
    height: float
    exponent: float

    def at(self, n: float) -> float:
        """Return the fitted score of n rows."""
        return self.limit - self.height * float(n) ** -self.exponent

    @property
    def flat(self) -> bool:
        """Whether the score hardly depends on the number of rows."""
        return self.at(self.n[-1]) - self.at(self.n[0]) < FLAT

    def rows(self, score: float) -> float | None:
        """Return the number of real rows that score this much; None outside the measured rows, or on a flat curve."""
        if self.flat or not self.at(self.n[0]) <= score <= self.at(self.n[-1]):
            return None
        return float(((self.limit - score) / self.height) ** (-1.0 / self.exponent))

    def worth(self, n: float, gain: float) -> float | None:
        """Return how many more real rows bring the same gain to n rows (negative: fewer); None where it cannot be read."""
        rows = self.rows(self.at(n) + gain)
        return None if rows is None else rows - n


def fitted(n: Sequence[float], score: Sequence[float], draws: int) -> Curve:
    """Fit the power law by least squares: for every exponent of a grid the best limit and height, then the best exponent.

    Args:
        n: ``(points,)`` numbers of rows, increasing; at least two.
        score: ``(points,)`` mean scores.
        draws: how many draws each mean is of.
    """
    x, y = np.asarray(n, dtype=np.float64), np.asarray(score, dtype=np.float64)
    best: tuple[float, float, float, float] | None = None
    for exponent in EXPONENTS:
        limit, height = _line(x**-exponent, y)
        error = float(np.square(y - limit + height * x**-exponent).sum())
        # a smaller exponent must be clearly better: where all fit alike, the steepest curve promises least
        if best is None or error < best[0] - 1e-12:
            best = error, limit, height, float(exponent)
    assert best is not None
    return Curve(tuple(map(float, x)), tuple(map(float, y)), draws, *best[1:])


def sizes(least: int, most: int, points: int) -> list[int]:
    """Return about ``points`` numbers of rows from least to most, evenly spaced on a log scale, without repeats."""
    if most <= least:
        return [most]
    return sorted({round(value) for value in np.geomspace(least, most, points)})


def _line(power: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Least squares of y = A − b·power under A ≤ 1 and b ≥ 0."""
    centred = power - power.mean()
    height = -float(centred @ y) / max(float(centred @ centred), 1e-300)
    if height <= 0:
        return float(min(y.mean(), 1.0)), 0.0
    limit = float(y.mean() + height * power.mean())
    if limit > 1.0:
        return 1.0, max(float(power @ (1.0 - y)) / float(power @ power), 0.0)
    return limit, height
