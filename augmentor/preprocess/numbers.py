"""A mixed table as numbers, for classifiers and distances: there is no way back, nothing is modelled in them.

number     (x − median) / standard deviation, the median where it is missing
category   one place per category, 1/√2 where it is: two rows of different categories are 1 apart
missing    one more such place, of numbers that are missing in some of the fitting rows; a missing category has no place
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Matrix, as_dense


@dataclass(frozen=True, eq=False)
class Numbers:
    """How the columns of a mixed table become numbers.

    Attributes:
        levels: categories of every column, None for numbers.
        middle: ``(columns,)`` median of the fitting rows, which stands in for missing numbers.
        width: ``(columns,)`` their standard deviation.
        gaps: ``(columns,)`` whether a value was missing in the fitting rows.
    """

    levels: tuple[tuple[str, ...] | None, ...]
    middle: NDArray[np.float64]
    width: NDArray[np.float64]
    gaps: NDArray[np.bool_]

    @classmethod
    def fit(cls, x: Matrix, levels: tuple[tuple[str, ...] | None, ...] | None) -> Numbers:
        """Fit to rows ``(rows, columns)`` in MIXED space; ``levels`` are those of their schema."""
        x = as_dense(x).astype(np.float64)
        levels = levels or (None,) * x.shape[1]
        known = [column[np.isfinite(column)] for column in x.T]
        middle = np.array([np.median(some) if some.size else 0.0 for some in known])
        width = np.array([some.std() if some.size else 0.0 for some in known])
        return cls(levels, middle, np.where(width > 0, width, 1.0), np.asarray(np.isnan(x).any(axis=0)))

    def of(self, x: Matrix) -> NDArray[np.float32]:
        """Rows ``(rows, columns)`` of the same columns as ``(rows, places)``."""
        x = as_dense(x).astype(np.float64)
        parts = []
        for j, levels in enumerate(self.levels):
            column = x[:, j]
            if levels is not None:
                parts.append((column[:, None] == np.arange(len(levels))) / np.sqrt(2))
                continue
            missing = np.isnan(column)
            parts.append(((np.where(missing, self.middle[j], column) - self.middle[j]) / self.width[j])[:, None])
            if self.gaps[j]:
                parts.append(missing[:, None] / np.sqrt(2))
        return np.hstack(parts).astype(np.float32)
