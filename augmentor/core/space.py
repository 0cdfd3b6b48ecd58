"""The space a matrix lives in: what its numbers mean, and which values are valid there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


class Space(StrEnum):
    """What the numbers of a matrix are.

    ============  ==========================================================================
    COUNTS        non-negative integers: molecules or reads; a row total is a library size
    LOG           non-negative reals with exact zeros: log1p-normalised expression
    CONTINUOUS    any finite reals: log ratios, intensities, z-scores, fractions
    MIXED         a table of numeric and categorical columns, possibly with missing values
    ============  ==========================================================================
    """

    COUNTS = "counts"
    LOG = "log"
    CONTINUOUS = "continuous"
    MIXED = "mixed"


@dataclass(frozen=True)
class Detection:
    """A space and, in words, the reason for it."""

    space: Space
    reason: str


# A log1p-normalised value above this would be a normalised count of about 3 million.
LOG_MAX = 15.0


def detect(x: Any, *, categorical: int = 0) -> Detection:
    """Say in which space a matrix is, and why.

    Args:
        x: ``(rows, features)``, finite or with NaN; dense or CSR.
        categorical: number of columns that hold text or categories.

    Returns:
        The space with a reason that can be shown to the user.
    """
    values: NDArray[np.floating] = x.data if sparse.issparse(x) else np.asarray(x).ravel()
    if categorical:
        return Detection(Space.MIXED, f"{categorical} of {x.shape[1]} columns hold categories")
    if values.size == 0:
        return Detection(Space.COUNTS, "every value is 0")
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return Detection(Space.CONTINUOUS, "no value is finite")
    low, high = float(finite.min()), float(finite.max())
    whole = bool(np.all(finite == np.rint(finite)))
    zeros = 1.0 - np.count_nonzero(values) / (x.shape[0] * x.shape[1])
    if low < 0:
        kind = "whole numbers with negatives are intensities, not counts" if whole else "values go below 0"
        return Detection(Space.CONTINUOUS, f"{kind} (minimum {low:.6g}, maximum {high:.6g})")
    if whole:
        return Detection(Space.COUNTS, f"all values are non-negative integers (maximum {high:.0f}, {zeros:.0%} zeros)")
    if high <= 1.0:
        return Detection(Space.CONTINUOUS, f"all values are fractions in [0, 1] ({low:.3g} to {high:.3g})")
    if high <= LOG_MAX and zeros >= 0.05:
        return Detection(
            Space.LOG, f"non-negative fractional values up to {high:.3g} with {zeros:.0%} exact zeros, as after log1p"
        )
    return Detection(Space.CONTINUOUS, f"fractional values from {low:.6g} to {high:.6g} with {zeros:.0%} zeros")
