"""Mixed tables as models see them: complete rows of categories, numbers and indicators of what is missing.

    category   y = position among the values seen in training; missing is one more category
    number     y = x, or its normal score Φ⁻¹(F(x));  where values are missing, an indicator column of categories 0, 1 is appended

A whole-number column of few values (flags, grades) can be treated as a category whose names are numbers. Equal numbers are spread
evenly over their step of F, so that scores are normal whatever the ties, and F⁻¹ gives each its exact share back. The value behind
an indicator does not matter; it is one that occurs, so that it distorts no margin. On the way back numbers have the decimals of the
training rows and stay within their range, only what occurred occurs, and only where values were missing can they be missing.
In rows that come later (to be embedded or scored) a value that is missing where none was is taken for the usual one: the most
frequent category, the median number.

Papers: van der Waerden 1952 (normal scores); Theis et al. 2016, arXiv:1511.01844 (uniform noise on discrete values).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import ndtr, ndtri

from augmentor.core import contract
from augmentor.core.contract import State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space

KNOTS = 1000  # values kept of each number column at most
DECIMALS = 6  # float32 has no more


class Tabular:
    """Columns in their place, then the indicators; ``levels`` says what each column of the result is."""

    name = "tabular"
    accepts = Space.MIXED
    gives = Space.MIXED

    class Config(contract.Config):
        """What the columns are."""

        categories: tuple[int, ...] = Field((), description="positions of the columns that are categories")
        scores: bool = Field(False, description="numbers as normal scores instead of as they are")

    def __init__(self, config: Config, state: State) -> None:
        self.config, self._state = config, state
        self.gaps, self.usual = state["gaps"].astype(bool), state["usual"]
        self.seen = np.split(state["seen"], np.cumsum(state["seen_counts"])[:-1])
        columns = np.arange(self.gaps.size)
        self.categories = np.isin(columns, config.categories)
        self.numbers = np.flatnonzero(~self.categories)
        self.indicated = np.flatnonzero(~self.categories & self.gaps)
        self.kept = self.numbers if config.scores else self.indicated

    @property
    def levels(self) -> tuple[int | None, ...]:
        """Number of categories of every column of the result; None for a number."""
        own = [len(s) + int(g) if c else None for s, g, c in zip(self.seen, self.gaps, self.categories, strict=True)]
        return (*own, *(2 for _ in self.indicated))

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Config) -> Tabular:
        """Note what occurs in every column: categories, or range, decimals and order statistics of numbers."""
        rows, columns = x.shape
        gaps = np.isnan(x)
        number = ~np.isin(np.arange(columns), config.categories)
        seen, decimals, bounds, knots = [], np.full(columns, -1, np.int8), np.zeros((2, columns), np.float32), []
        usual = np.zeros(columns, np.float32)
        steps = min(rows, KNOTS)
        for j in range(columns):
            present = np.sort(x[~gaps[:, j], j])
            values, times = np.unique(present, return_counts=True)
            seen.append(np.zeros(0, np.float32) if number[j] else values)
            if not number[j]:
                usual[j] = values[times.argmax()] if values.size else 0
                continue
            present = present if present.size else np.zeros(1, np.float32)
            decimals[j], bounds[:, j], usual[j] = _decimals(present), present[[0, -1]], present[present.size // 2]
            if config.scores or gaps[:, j].any():
                knots.append(present[((np.arange(steps) + 0.5) / steps * present.size).astype(np.intp)])
        state = {
            "gaps": gaps.any(axis=0).astype(np.uint8),
            "seen": np.concatenate(seen).astype(np.float32),
            "seen_counts": np.array([len(values) for values in seen], dtype=np.int64),
            "decimals": decimals,
            "bounds": bounds,
            "usual": usual,
            "knots": np.array(knots, dtype=np.float32).reshape(len(knots), steps).T.copy(),
        }
        return cls(config, state)

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """``(rows, columns)`` with NaN to ``(rows, columns + indicators)`` without."""
        x = np.where(np.isnan(x) & ~self.gaps, self.usual, x)
        missing = np.isnan(x)
        out = np.concatenate([x, missing[:, self.indicated]], axis=1, dtype=np.float32)
        for j in np.flatnonzero(self.categories):
            code = np.searchsorted(self.seen[j], x[:, j])
            out[:, j] = np.where(missing[:, j], len(self.seen[j]), np.minimum(code, max(len(self.seen[j]) - 1, 0)))
        for knots, j in zip(self._state["knots"].T, self.kept, strict=True):
            # a stream of the column's own, one number a row: what a row becomes does not depend on the rows behind it
            u = Stream(0).child("tabular", int(j)).numpy().random(len(x))
            filled = np.where(missing[:, j], knots[(u * len(knots)).astype(np.intp)], x[:, j])
            out[:, j] = _scores(filled, knots, u) if self.config.scores else filled
        return out

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Back to ``(rows, columns)``: categories as they were, numbers valid, NaN where missing."""
        out = np.array(x[:, : self.gaps.size], dtype=np.float32)
        for j in np.flatnonzero(self.categories):
            names = np.append(self.seen[j], np.float32(np.nan))
            most = len(names) - 1 if self.gaps[j] or len(names) == 1 else len(names) - 2
            out[:, j] = names[np.clip(np.rint(x[:, j]), 0, most).astype(np.intp)]
        if self.config.scores:
            for knots, j in zip(self._state["knots"].T, self.kept, strict=True):
                place = ndtr(x[:, j].astype(np.float64)) * len(knots) - 0.5
                out[:, j] = np.interp(place, np.arange(len(knots)), knots)
        for j in self.numbers:
            places = int(self._state["decimals"][j])
            if places >= 0:
                out[:, j] = np.round(out[:, j].astype(np.float64), places)
            out[:, j] = np.clip(out[:, j], *self._state["bounds"][:, j])
        gone = x[:, self.gaps.size :] > 0.5
        out[:, self.indicated] = np.where(gone, np.float32(np.nan), out[:, self.indicated])
        return out

    def state(self) -> State:
        """Which columns have gaps, the categories seen, decimals, bounds, usual values, and order statistics of numbers."""
        return self._state

    @classmethod
    def from_state(cls, state: State, config: Config) -> Tabular:
        """Rebuild from `state`."""
        return cls(config, state)


def _decimals(values: NDArray[np.float32]) -> int:
    """Fewest decimals that write every value; -1 if they are many."""
    exact = values.astype(np.float64)
    return next((d for d in range(DECIMALS) if np.array_equal(np.round(exact, d).astype(np.float32), values)), -1)


def _scores(x: NDArray[np.float32], knots: NDArray[np.float32], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Φ⁻¹(F(x)): the middle of the step of a value, equal values at random (``u``) between the middles of their steps."""
    left, right = np.searchsorted(knots, x, "left"), np.searchsorted(knots, x, "right")
    place = left + 0.5 + np.where(right - left > 1, u, 0.5) * (right - left - 1)
    return ndtri(np.clip(place, 0.5, len(knots) - 0.5) / len(knots))


Step = Tabular
