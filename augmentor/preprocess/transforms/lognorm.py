"""Library-size log-normalisation: log1p(x / size × target); counts to log space and back.

The target is the median row total of the training rows. The inverse needs the library size of every row, which is
drawn from p(size | label), and ends with an explicit rounding to whole counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core import contract
from augmentor.core.contract import State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space


class LogNormalise:
    """y = log1p(x / size × target);  x = round(expm1(y) × size / target)."""

    name = "lognorm"
    accepts = Space.COUNTS
    gives = Space.LOG

    class Config(contract.Config):
        """No settings."""

    def __init__(self, target: float) -> None:
        self.target = target

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64], config: Config) -> LogNormalise:
        """Take the median library size of the training rows as target."""
        return cls(float(np.median(size)))

    def forward(self, x: Matrix, size: NDArray[np.float64]) -> Matrix:
        """Counts ``(rows, genes)`` to log space; zeros stay zeros, sparse stays sparse."""
        factor = (self.target / size).astype(np.float32)
        if sparse.issparse(x):
            y = x.copy()
            y.data = np.log1p(x.data * np.repeat(factor, np.diff(x.indptr)))
            return y
        return np.log1p(x * factor[:, None])

    def inverse(self, x: Matrix, size: NDArray[np.float64], rng: Stream | None = None) -> Matrix:
        """Log space to whole counts of the given library sizes; negative values count as zero."""
        factor = (size / self.target).astype(np.float32)
        if sparse.issparse(x):
            y = x.copy()
            y.data = np.rint(np.expm1(np.maximum(x.data, 0)) * np.repeat(factor, np.diff(x.indptr)))
            y.eliminate_zeros()
            return y
        return np.rint(np.expm1(np.maximum(x, 0)) * factor[:, None])

    def state(self) -> State:
        """The target."""
        return {"target": np.array(self.target)}

    @classmethod
    def from_state(cls, state: State, config: Config) -> LogNormalise:
        """Rebuild from `state`."""
        return cls(float(state["target"]))


Step = LogNormalise
