"""Logit for fractions (methylation beta, allele frequencies, PSI): whatever is drawn comes back inside [0, 1]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from augmentor.core import contract
from augmentor.core.contract import State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space


class Logit:
    """y = log(p / (1 − p)) with p = ε + (1 − 2ε)·x;  x = (sigmoid(y) − ε) / (1 − 2ε), clipped to [0, 1]."""

    name = "logit"
    accepts = Space.CONTINUOUS
    gives = Space.CONTINUOUS

    class Config(contract.Config):
        """Settings of the logit."""

        margin: float = Field(1e-3, gt=0, lt=0.1, description="ε: how far exact 0 and 1 are moved inwards")

    def __init__(self, margin: float) -> None:
        self.margin = margin

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Config) -> Logit:
        """Nothing is estimated."""
        return cls(config.margin)

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """Fractions ``(rows, features)`` to the logit scale."""
        p = self.margin + (1 - 2 * self.margin) * x.astype(np.float64)
        return (np.log(p) - np.log1p(-p)).astype(np.float32)

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Back to fractions in [0, 1]."""
        p = 0.5 * (1 + np.tanh(0.5 * x.astype(np.float64)))
        return np.clip((p - self.margin) / (1 - 2 * self.margin), 0, 1).astype(np.float32)

    def state(self) -> State:
        """Nothing is estimated."""
        return {}

    @classmethod
    def from_state(cls, state: State, config: Config) -> Logit:
        """Rebuild from the config."""
        return cls(config.margin)


Step = Logit
