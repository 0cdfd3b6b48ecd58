"""Impossible values: rows that break a rule which all real values keep.

The rules are those of the space (counts are whole, not negative) and those that every real value keeps: never negative,
never above 1, whole numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Matrix
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec

VALIDITY = ScoreSpec(
    name="validity",
    axis="fidelity",
    title="rows with impossible values",
    meaning="Share of synthetic rows with a value that cannot be: negative, fractional or above 1 where no real value is.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 1.0),
    formula="share of rows of S breaking a rule that all values of T and H keep",
    catches="negative intensities, fractional counts, fractions outside 0 to 1",
    misses="values that are possible but never occur",
)

RULES = {
    "finite": lambda v: np.isfinite(v),
    "not negative": lambda v: v >= 0,
    "at most 1": lambda v: v <= 1,
    "whole": lambda v: v == np.rint(v),
}


class Metric:
    """Share of invalid rows."""

    scores = (VALIDITY,)
    setup = Setup(rows="all", order=0)

    def measure(self, pair: Pair) -> Measures:
        """Count rows that break a rule of the real values."""
        assert pair.train is not None
        real = [pair.real.x, pair.train.x]
        rules = {name: rule for name, rule in RULES.items() if all(rule(_values(x)).all() for x in real)}
        broken = {name: ~_rows(pair.synthetic.x, rule(_values(pair.synthetic.x))) for name, rule in rules.items()}
        anywhere = np.any(list(broken.values()), axis=0)
        detail = {"rules": {name: int(rows.sum()) for name, rows in broken.items()}}
        return {VALIDITY.name: Measured(float(anywhere.mean()), detail=detail)}


def _values(x: Matrix) -> NDArray[np.float32]:
    return x.data if sparse.issparse(x) else x


def _rows(x: Matrix, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows are good in all their (stored) values."""
    if not sparse.issparse(x):
        return np.asarray(good.all(axis=1))
    bad = np.concatenate([[0], np.cumsum(~good)])
    return bad[x.indptr[1:]] == bad[x.indptr[:-1]]
