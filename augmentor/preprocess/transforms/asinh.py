"""Inverse hyperbolic sine: linear near zero, logarithmic far from it, defined for negatives.

For intensities that run over orders of magnitude (microarray average differences, TPM) on which a Gaussian would put
most of its mass where no value is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core import contract
from augmentor.core.contract import State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space


class Asinh:
    """y = asinh(x / s) with s the median absolute non-zero value;  x = s·sinh(y)."""

    name = "asinh"
    accepts = Space.CONTINUOUS
    gives = Space.CONTINUOUS

    class Config(contract.Config):
        """No settings."""

    def __init__(self, scale: float, low: float, high: float) -> None:
        self.scale, self.low, self.high = scale, low, high

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Config) -> Asinh:
        """Take the scale, and the range in which values are returned, from the training rows."""
        nonzero = np.abs(x[x != 0])
        scale = float(np.median(nonzero)) if nonzero.size else 1.0
        # sinh grows exponentially: one bold draw could exceed any instrument, so values stay within twice the range
        low, high = float(x.min()), float(x.max())
        return cls(scale, low if low >= 0 else 2 * low, 2 * high if high > 0 else high)

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """``(rows, features)`` to the asinh scale."""
        return np.arcsinh(x / np.float32(self.scale))

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Back to the user's units, kept between the training minimum and twice the training extremes."""
        with np.errstate(over="ignore"):
            y = np.float32(self.scale) * np.sinh(x)
        return np.clip(y, np.float32(self.low), np.float32(self.high))

    def state(self) -> State:
        """Scale and range."""
        return {"scale": np.array([self.scale, self.low, self.high])}

    @classmethod
    def from_state(cls, state: State, config: Config) -> Asinh:
        """Rebuild from `state`."""
        return cls(*map(float, state["scale"]))


Step = Asinh
