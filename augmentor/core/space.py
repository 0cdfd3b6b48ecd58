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


@dataclass(frozen=True)
class Summary:
    """What of a matrix decides its space; the summaries of blocks of rows add up to that of all rows.

    Attributes:
        rows: number of rows.
        columns: number of columns.
        low: smallest finite stored value; infinity when there is none.
        high: largest finite stored value; minus infinity when there is none.
        whole: whether every finite value is a whole number.
        nonzero: number of values that are not 0.
        stored: number of stored values (all of them in a dense matrix).
        infinite: number of NaN and infinite values.
    """

    rows: int = 0
    columns: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    whole: bool = True
    nonzero: int = 0
    stored: int = 0
    infinite: int = 0

    def __add__(self, other: Summary) -> Summary:
        return Summary(
            rows=self.rows + other.rows,
            columns=max(self.columns, other.columns),
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            whole=self.whole and other.whole,
            nonzero=self.nonzero + other.nonzero,
            stored=self.stored + other.stored,
            infinite=self.infinite + other.infinite,
        )


def summarise(x: Any) -> Summary:
    """Return the summary of ``(rows, features)``, dense or CSR, finite or not."""
    values: NDArray[np.floating] = x.data if sparse.issparse(x) else np.asarray(x).ravel()
    good = np.isfinite(values)
    finite = values if good.all() else values[good]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (float("inf"), float("-inf"))
    return Summary(
        rows=x.shape[0],
        columns=x.shape[1],
        low=low,
        high=high,
        whole=bool(np.all(finite == np.rint(finite))),
        nonzero=int(np.count_nonzero(values)),
        stored=int(values.size),
        infinite=int(values.size - finite.size),
    )


def detect(x: Any, *, categorical: int = 0) -> Detection:
    """Say in which space a matrix is, and why.

    Args:
        x: ``(rows, features)``, finite or with NaN; dense or CSR; or its `Summary`.
        categorical: number of columns that hold text or categories.

    Returns:
        The space with a reason that can be shown to the user.
    """
    known = x if isinstance(x, Summary) else summarise(x)
    if categorical:
        return Detection(Space.MIXED, f"{categorical} of {known.columns} columns hold categories")
    if known.stored == 0:
        return Detection(Space.COUNTS, "every value is 0")
    if known.stored == known.infinite:
        return Detection(Space.CONTINUOUS, "no value is finite")
    high, whole = known.high, known.whole
    zeros = 1.0 - known.nonzero / (known.rows * known.columns)
    # a sparse matrix does not store its zeros
    low = min(known.low, 0.0) if zeros > 0 else known.low
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
