"""Whole-number data on a continuous scale (microarray average differences, ages in a table): returned as whole numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

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
        """Which features are whole numbers."""

        columns: tuple[int, ...] | None = Field(None, description="positions of the whole features; None for all")

    def __init__(self, config: Config) -> None:
        self.config = config

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Config) -> Whole:
        """Nothing is estimated."""
        return cls(config)

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """``(rows, features)``, unchanged."""
        return x

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Round to the nearest whole number."""
        if self.config.columns is None:
            return np.rint(x)
        out, columns = np.array(x), list(self.config.columns)
        out[:, columns] = np.rint(out[:, columns])
        return out

    def state(self) -> State:
        """Nothing is estimated."""
        return {}

    @classmethod
    def from_state(cls, state: State, config: Config) -> Whole:
        """Rebuild from the settings."""
        return cls(config)


Step = Whole
