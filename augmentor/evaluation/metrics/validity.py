"""Impossible values: rows that break a rule which all real values keep.

For a matrix, the rules are those that every real value keeps: never negative, never above 1, whole numbers. For a mixed table they
are those of each column: a number where real rows have numbers, a category that real rows have, whole where they are
whole, and not far outside their range. A new row may well exceed the largest of a few hundred, so the range is widened by a
quarter, but not below zero where no real value is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Matrix
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.tables import Table

WIDER = 0.25

VALIDITY = ScoreSpec(
    name="validity",
    axis="fidelity",
    title="rows with impossible values",
    meaning="Share of synthetic rows with a value that cannot be: negative, fractional or of unknown category where no real one is.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 1.0),
    formula=(
        "share of rows of S breaking a rule that all values of T and H keep; in tables by column: type, category, whole, and "
        "the range widened by a quarter"
    ),
    catches="negative intensities, fractional counts, fractions outside 0 to 1; 2.7 children, unheard-of categories",
    misses="values that are possible but never occur, impossible combinations",
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
        judged, train, real = (side.sample.table for side in (pair.synthetic, pair.train, pair.real))
        if judged is not None and train is not None and real is not None:
            return _table(judged, train.joined(real))
        matrices = [pair.real.x, pair.train.x]
        rules = {name: rule for name, rule in RULES.items() if all(rule(_values(x)).all() for x in matrices)}
        broken = {name: ~_rows(pair.synthetic.x, rule(_values(pair.synthetic.x))) for name, rule in rules.items()}
        anywhere = np.any(list(broken.values()), axis=0)
        detail = {"rules": {name: int(rows.sum()) for name, rows in broken.items()}}
        return {VALIDITY.name: Measured(float(anywhere.mean()), detail=detail)}


def _table(judged: Table, real: Table) -> Measures:
    invalid = np.zeros(len(judged), dtype=bool)
    rules = {"type": 0, "category": 0, "whole": 0, "range": 0}
    columns: dict[str, int] = {}
    outside = 0
    for j, (name, level) in enumerate(zip(judged.columns.names, judged.columns.levels, strict=True)):
        values, known = judged.values[:, j], real.values[:, j]
        known = known[~np.isnan(known)]
        if level is None and known.size:
            outside += int(((values < known.min()) | (values > known.max())).sum())
        bad = np.zeros(len(judged), dtype=bool)
        for rule, rows in _broken(values, known, category=level is not None):
            rules[rule] += int(rows.sum())
            bad |= rows
        if bad.any():
            columns[name] = int(bad.sum())
        invalid |= bad
    detail = {"rules": rules, "columns": columns, "values_outside_real_range": outside}
    return {VALIDITY.name: Measured(float(invalid.mean()), detail=detail)}


def _broken(
    values: NDArray[np.float32], known: NDArray[np.float32], *, category: bool
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield the rules of a column that real values keep, with the rows that break them; a missing value breaks none."""
    if category:
        yield "category", ~np.isnan(values) & ~np.isin(values, known)
        return
    # infinity is a text where a number belongs
    if not np.isfinite(known).all():
        return
    yield "type", np.isinf(values)
    values = np.where(np.isfinite(values), values, np.nan)
    if not known.size:
        return
    if (known == np.rint(known)).all():
        yield "whole", ~np.isnan(values) & (values != np.rint(values))
    low, high = float(known.min()), float(known.max())
    room = WIDER * (high - low)
    yield "range", (values < (max(low - room, 0.0) if low >= 0 else low - room)) | (values > high + room)


def _values(x: Matrix) -> NDArray[np.float32]:
    return x.data if sparse.issparse(x) else x


def _rows(x: Matrix, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows are good in all their (stored) values."""
    if not sparse.issparse(x):
        return np.asarray(good.all(axis=1))
    bad = np.concatenate([[0], np.cumsum(~good)])
    return bad[x.indptr[1:]] == bad[x.indptr[:-1]]
