"""Log-normalised expression as continuous data; on the way back, what falls below any expression is an exact zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core import contract
from augmentor.core.contract import State
from augmentor.core.dataset import Matrix, as_dense
from augmentor.core.random import Stream
from augmentor.core.space import Space


class NonNegative:
    """y = x;  x = y, or 0 where y is below half the smallest positive value of the training rows."""

    name = "nonnegative"
    accepts = Space.LOG
    gives = Space.CONTINUOUS

    class Config(contract.Config):
        """No settings."""

    def __init__(self, least: float) -> None:
        self.least = least

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Config) -> NonNegative:
        """Take the smallest positive value of the training rows."""
        values = x.data if sparse.issparse(x) else x
        positive = values[values > 0]
        return cls(float(positive.min()) if positive.size else 0.0)

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """``(rows, genes)``, unchanged but dense."""
        return as_dense(x)

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Values below half the smallest positive one become exact zeros."""
        return np.where(x < self.least / 2, np.float32(0), x)

    def state(self) -> State:
        """The smallest positive value."""
        return {"least": np.array(self.least)}

    @classmethod
    def from_state(cls, state: State, config: Config) -> NonNegative:
        """Rebuild from `state`."""
        return cls(float(state["least"]))


Step = NonNegative
