"""Standardisation: every feature to mean 0 and variance 1 over the training rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core import contract
from augmentor.core.contract import State
from augmentor.core.dataset import Matrix, column_moments
from augmentor.core.random import Stream
from augmentor.core.space import Space


class Standardise:
    """y = (x − mean) / sd;  x = y·sd + mean. A constant feature stays constant."""

    name = "standardise"
    accepts = Space.CONTINUOUS
    gives = Space.CONTINUOUS

    class Config(contract.Config):
        """No settings."""

    def __init__(self, mean: NDArray[np.float32], sd: NDArray[np.float32]) -> None:
        self.mean, self.sd = mean, sd

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Config) -> Standardise:
        """Estimate mean and standard deviation per feature."""
        mean, variance = column_moments(x)
        sd = np.sqrt(variance)
        # below float32 resolution the spread is rounding, not data
        constant = sd <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
        return cls(mean.astype(np.float32), np.where(constant, 0, sd).astype(np.float32))

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """``(rows, features)`` to standard units."""
        return (x - self.mean) / np.where(self.sd > 0, self.sd, 1)

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Back to the original units."""
        return x * self.sd + self.mean

    def state(self) -> State:
        """Mean and standard deviation, ``(features,)``."""
        return {"mean": self.mean, "sd": self.sd}

    @classmethod
    def from_state(cls, state: State, config: Config) -> Standardise:
        """Rebuild from `state`."""
        return cls(state["mean"], state["sd"])


Step = Standardise
