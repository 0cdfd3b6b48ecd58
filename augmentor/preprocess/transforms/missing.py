"""Missing values of a mixed table as one more value: an atom below the smallest value of the column.

So a model of the margins also models how often a value is missing, and with what that goes together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core import contract
from augmentor.core.contract import State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space


class Missing:
    """y = x, or low − 1 where x is NaN;  x = y, or NaN where y < low."""

    name = "missing"
    accepts = Space.MIXED
    gives = Space.MIXED

    class Config(contract.Config):
        """No settings."""

    def __init__(self, low: NDArray[np.float32]) -> None:
        self.low = low

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Config) -> Missing:
        """Take the minimum of every column; 0 for a column that is missing throughout."""
        low = np.where(np.isnan(x), np.inf, x).min(axis=0)
        return cls(np.where(np.isfinite(low), low, 0).astype(np.float32))

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """``(rows, columns)`` without NaN."""
        return np.where(np.isnan(x), self.low - 1, x)

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Values below the column's minimum are missing again."""
        return np.where(x < self.low, np.float32(np.nan), x)

    def state(self) -> State:
        """Column minima."""
        return {"low": self.low}

    @classmethod
    def from_state(cls, state: State, config: Config) -> Missing:
        """Rebuild from `state`."""
        return cls(state["low"])


Step = Missing
