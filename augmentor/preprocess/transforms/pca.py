"""Principal components, with what they leave out put back as independent noise when rows are drawn.

A model of 50 components decoded by the loadings alone would return rows without their residual variance; the residual
of every feature is therefore kept as a variance (probabilistic PCA; Tipping & Bishop 1999, doi:10.1111/1467-9868.00196,
with one variance per feature) and drawn again in the inverse. Declared lost: the correlation of the residuals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.utils.extmath import randomized_svd

from augmentor.core import contract
from augmentor.core.contract import State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space


class PCA:
    """y = (x − mean)·V / s;  x = (y·s)·Vᵀ + mean + sd_residual·ε."""

    name = "pca"
    accepts = Space.CONTINUOUS
    gives = Space.CONTINUOUS

    class Config(contract.Config):
        """Settings of the projection."""

        components: int = Field(50, ge=1, description="number of components; at most rows − 1 and features")

    def __init__(self, state: State) -> None:
        self._state = state

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Config) -> PCA:
        """Fit mean, loadings, score scales and residual spread to ``(rows, features)``."""
        mean = x.mean(axis=0)
        components = max(1, min(config.components, x.shape[0] - 1, x.shape[1]))
        centred = x - mean
        _, _, loadings = randomized_svd(centred, components, random_state=0)
        scores = centred @ loadings.T
        scale = scores.std(axis=0)
        residual = (centred - scores @ loadings).std(axis=0)
        state = {"mean": mean, "loadings": loadings, "scale": np.where(scale > 0, scale, 1), "residual": residual}
        return cls({name: np.ascontiguousarray(array, dtype=np.float32) for name, array in state.items()})

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """``(rows, features)`` to standardised scores ``(rows, components)``."""
        s = self._state
        return (x - s["mean"]) @ s["loadings"].T / s["scale"]

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Scores to features; residual noise is drawn if a stream is given."""
        s = self._state
        y = (x * s["scale"]) @ s["loadings"] + s["mean"]
        if rng is not None:
            y += s["residual"] * rng.child("residual").numpy().standard_normal(y.shape, dtype=np.float32)
        return y

    def state(self) -> State:
        """Mean, loadings ``(components, features)``, score scales, residual standard deviations."""
        return self._state

    @classmethod
    def from_state(cls, state: State, config: Config) -> PCA:
        """Rebuild from `state`."""
        return cls(state)


Step = PCA
