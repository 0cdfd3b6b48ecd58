"""What continuous covariates say of rows, alike in all labels: one linear regression within labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def within_slope(y: NDArray[Any], covariates: NDArray[np.float64], condition: NDArray[np.intp]) -> NDArray[np.float64]:
    """Regress ``(rows, features)`` on ``(rows, covariates)`` in standard units, both centred within conditions.

    Returns:
        Slopes ``(covariates, features)``, with the ridge of one row, so that few rows do not make them large.
    """
    y, a = np.array(y, dtype=np.float64), np.array(covariates)
    for c in np.unique(condition):
        members = condition == c
        y[members] -= y[members].mean(axis=0)
        a[members] -= a[members].mean(axis=0)
    return np.asarray(np.linalg.solve(a.T @ a + np.eye(a.shape[1]), a.T @ y))
