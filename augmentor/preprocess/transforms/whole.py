"""Whole-number data on a continuous scale (microarray average differences): returned as whole numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core import contract
from augmentor.core.contract import State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space


class Whole:
    """y = x;  x = round(y)."""

    name = "whole"
    accepts = Space.CONTINUOUS
    gives = Space.CONTINUOUS

    class Config(contract.Config):
        """No settings."""

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Config) -> Whole:
        """Nothing is estimated."""
        return cls()

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """``(rows, features)``, unchanged."""
        return x

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Round to the nearest whole number."""
        return np.rint(x)

    def state(self) -> State:
        """Nothing is estimated."""
        return {}

    @classmethod
    def from_state(cls, state: State, config: Config) -> Whole:
        """Rebuild: nothing to restore."""
        return cls()


Step = Whole
