"""p(library size | label): the row totals of counts as a variable of the model, never copied from other rows.

log size = mean of the label + sd of the label × a standardised shape + slope · covariates; the shape is the label's own quantile
function where it has enough rows, else that of all labels together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augmentor.core.contract import State
from augmentor.core.random import Stream
from augmentor.core.slopes import within_slope
from augmentor.core.state import Shape, check_state

GRID = np.linspace(0.005, 0.995, 100)
OWN_SHAPE = 50  # rows of a label from which its own quantiles are steadier than the pooled ones


@dataclass(frozen=True, eq=False)
class SizeModel:
    """Quantiles of log library size per condition.

    Attributes:
        quantiles: ``(conditions, 100)`` log sizes at `GRID`.
        slope: ``(covariates,)`` change of log size with a covariate in standard units.
    """

    quantiles: NDArray[np.float64]
    slope: NDArray[np.float64]

    @classmethod
    def fit(
        cls, size: NDArray[np.float64], condition: NDArray[np.intp], conditions: int, covariates: NDArray[np.float64]
    ) -> SizeModel:
        """Estimate from the training rows' totals ``(rows,)``, conditions ``(rows,)`` and covariates ``(rows, covariates)``."""
        slope = within_slope(np.log(size)[:, None], covariates, condition)[:, 0]
        logs = np.log(size) - covariates @ slope
        centres = np.array([logs[condition == c].mean() for c in range(conditions)])
        pooled_sd = float((logs - centres[condition]).std())
        spreads = np.array([_spread(logs[condition == c], pooled_sd) for c in range(conditions)])
        standard = (logs - centres[condition]) / np.where(spreads[condition] > 0, spreads[condition], 1)
        pooled = np.quantile(standard, GRID)
        quantiles = np.empty((conditions, GRID.size))
        for c in range(conditions):
            own = standard[condition == c]
            shape = np.quantile(own, GRID) if own.size >= OWN_SHAPE else pooled
            quantiles[c] = centres[c] + spreads[c] * shape
        return cls(quantiles, slope)

    def draw(self, condition: NDArray[np.intp], covariates: NDArray[np.float64], rng: Stream) -> NDArray[np.float64]:
        """Return library sizes ``(rows,)``, at least 1."""
        u = rng.numpy().random(len(condition)) * (GRID.size - 1)
        low = np.minimum(u.astype(np.intp), GRID.size - 2)
        share = u - low
        logs = self.quantiles[condition, low] * (1 - share) + self.quantiles[condition, low + 1] * share
        return np.maximum(np.exp(logs + covariates @ self.slope), 1.0)

    def state(self) -> State:
        """The quantile table, and the slopes where there are covariates."""
        return {"quantiles": self.quantiles} | ({"slope": self.slope} if self.slope.size else {})

    @classmethod
    def from_state(cls, state: State, conditions: int, covariates: int) -> SizeModel:
        """Take over a state of so many conditions and covariates.

        Raises:
            ArtifactError: names or shapes are wrong.
        """
        shapes: dict[str, Shape] = {"quantiles": ((conditions, GRID.size), np.float64)}
        if covariates:
            shapes["slope"] = ((covariates,), np.float64)
        check_state(shapes, state, "the library size")
        return cls(state["quantiles"], state.get("slope", np.zeros(0)))


def _spread(logs: NDArray[np.float64], pooled: float) -> float:
    """Standard deviation of a label, shrunk towards the pooled one by five pseudo-rows."""
    return float(np.sqrt((((logs - logs.mean()) ** 2).sum() + 5 * pooled**2) / (logs.size + 4)))
