"""Strength of association of all pairs of columns of a mixed table, against that in real rows.

Numbers with numbers by |r|, numbers with categories by the correlation ratio eta, categories with categories by Cramér's V
without its bias; each over the rows that have both values. The label is one of the columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from augmentor.core.space import Space
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.rows import Sample
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.spaces import Basis
from augmentor.evaluation.tables import MOST_LEVELS, cramers_v, few, hot, places, starts

Square = NDArray[np.float64]
WORST = 10

ASSOCIATION = ScoreSpec(
    name="association",
    axis="fidelity",
    title="associations of columns",
    meaning="By how much the strength of association of two columns is off, averaged over pairs that are associated.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 1.0),
    floor="independent",
    formula=(
        "sum of w |A_S - A_H| / sum of w over pairs of columns (label included), A = |r|, eta or bias-corrected Cramér's V, "
        "w = A in H_fit; per label without the label column"
    ),
    catches="lost, attenuated and exaggerated associations",
    misses="the sign of a correlation and the form of a dependence (see contingency)",
    citation="Cramér's V without bias: Bergsma 2013, doi:10.1016/j.jkss.2012.10.002",
    interval="subsample",
    headline=True,
)


@dataclass(frozen=True, eq=False)
class Plan:
    """Which columns are compared, and how much each pair counts; fitted on the rows of the basis.

    Attributes:
        columns: positions of the compared columns: all, unless the table is very wide.
        at: per compared column, the place of every category; None for numbers.
        weights: ``(compared columns + 1, same)`` association in the fitting rows, the label last.
    """

    columns: NDArray[np.intp]
    at: list[NDArray[np.intp] | None]
    weights: Square

    @staticmethod
    def fitted(sample: Sample) -> Plan:
        """Fit to rows of a mixed table."""
        assert sample.table is not None
        known, values = sample.table.columns, sample.table.values
        columns = few(np.clip(known.sizes, 1, MOST_LEVELS))
        at = [None if known.levels[j] is None else places(values[:, j], known.sizes[j]) for j in columns]
        plan = Plan(columns, at, np.zeros((0, 0)))
        return replace(plan, weights=np.nan_to_num(associations(sample, plan)))


class Metric:
    """Error of the associations."""

    scores = (ASSOCIATION,)
    setup = Setup(order=0, spaces=(Space.MIXED,))

    def __init__(self) -> None:
        self._plans: WeakKeyDictionary[Basis, Plan] = WeakKeyDictionary()

    def measure(self, pair: Pair) -> Measures:
        """Return the weighted mean difference, and the pairs of columns that differ most."""
        if pair.basis not in self._plans:
            self._plans[pair.basis] = Plan.fitted(pair.basis.fit)
        plan = self._plans[pair.basis]
        gap = _gaps(pair, plan)
        value = _weighted(gap, plan.weights)
        if value is None:
            return {ASSOCIATION.name: Measured.none("no two columns are associated in the real rows")}
        labels: dict[str, float | None] = {}
        # values per label do not enter the score and are shown for the judged rows only
        if pair.arm == "synthetic" and pair.principal:
            labels = {
                label: None if part is None else _weighted(_gaps(part, plan)[:-1, :-1], plan.weights)
                for label, part in pair.each_label()
            }
        assert pair.real.sample.table is not None
        names = [*(pair.real.sample.table.columns.names[j] for j in plan.columns), "label"]
        i, j = np.nonzero(np.triu(np.isfinite(gap), 1))
        order = np.argsort(-(gap * plan.weights)[i, j], kind="stable")[:WORST]
        worst = {f"{names[a]} | {names[b]}": float(gap[a, b]) for a, b in zip(i[order], j[order], strict=True)}
        return {ASSOCIATION.name: Measured(value, labels, detail={"pairs": len(i), "worst": worst})}


def _gaps(pair: Pair, plan: Plan) -> Square:
    """Return |A_S - A_H|: a column that does not vary in the judged rows has no association; NaN where H has none."""
    ours, theirs = (associations(side.sample, plan) for side in (pair.synthetic, pair.real))
    gap: Square = np.abs(np.nan_to_num(ours) - theirs)
    return gap


def _weighted(gap: Square, weights: Square) -> float | None:
    upper = np.triu(np.isfinite(gap), 1)
    w = weights[: len(gap), : len(gap)][upper]
    return float(gap[upper] @ w / w.sum()) if w.sum() > 1e-9 else None


def associations(sample: Sample, plan: Plan) -> Square:
    """Return A ``(compared columns + 1, same)`` of rows of a mixed table, the label last; NaN where not defined."""
    assert sample.table is not None
    values = sample.table.values[:, plan.columns]
    kinds = np.array([at is None for at in plan.at] + [False])
    numbers, categories = np.flatnonzero(kinds), np.flatnonzero(~kinds)
    z, sizes = _categories(values, sample.y, plan.at)
    x, there = _standardised(values[:, numbers].astype(np.float64))
    out = np.full((len(kinds), len(kinds)), np.nan)
    out[np.ix_(numbers, numbers)] = _correlations(x, there)
    out[np.ix_(numbers, categories)] = _ratios(x, there, z, sizes)
    out[np.ix_(categories, numbers)] = out[np.ix_(numbers, categories)].T
    # sums of zeros and ones are exact in float32
    out[np.ix_(categories, categories)] = cramers_v((z.T @ z).astype(np.float64), sizes)
    return out


def _categories(
    values: NDArray[np.float32], y: NDArray[np.intp], at: list[NDArray[np.intp] | None]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return the one-hot categories of rows, the label last, and the number of places of each column."""
    codes, sizes = [], []
    for column, its in zip(values.T, at, strict=True):
        if its is not None:
            # a column without categories counts as one of a single category, which no row has
            lookup = np.array([*its, -1], dtype=np.intp)
            codes.append(lookup[np.nan_to_num(column, nan=-1).astype(np.intp)])
            sizes.append(int(its.max(initial=0)) + 1)
    all_sizes = np.array([*sizes, int(y.max(initial=0)) + 1], dtype=np.intp)
    return hot(np.column_stack([*codes, y]), all_sizes), all_sizes


def _standardised(x: Square) -> tuple[Square, Square]:
    """Return numbers in standard units, 0 where missing or constant, and where they are not missing."""
    there = np.isfinite(x)
    n = np.maximum(there.sum(axis=0), 1)
    x = np.where(there, x, 0.0)
    mean = x.sum(axis=0) / n
    x = np.where(there, x - mean, 0.0)
    sd = np.sqrt(np.square(x).sum(axis=0) / n)
    # what is left of a constant column is rounding
    return x / np.where(sd > 1e-6 * np.abs(mean), sd, np.inf), there.astype(np.float64)


def _correlations(x: Square, there: Square) -> Square:
    """|r| of numbers (0 where missing) over the rows that have both."""
    n, total, squares = there.T @ there, x.T @ there, (x**2).T @ there
    n = np.maximum(n, 1)
    spread = squares - total**2 / n
    product = x.T @ x - total * total.T / n
    varies = spread > 1e-9 * n
    scale = np.sqrt(np.abs(spread * spread.T))
    r = np.divide(product, scale, out=np.full_like(product, np.nan), where=varies & varies.T)
    return np.minimum(np.abs(r), 1.0)


def _ratios(x: Square, there: Square, z: NDArray[np.float32], sizes: NDArray[np.intp]) -> Square:
    """eta = sqrt(sum of squares between categories / total) of numbers and one-hot categories ``z``."""
    at = starts(sizes)
    count, total = there.T @ z, x.T @ z
    n, mean = np.maximum(np.add.reduceat(count, at, axis=1), 1), np.add.reduceat(total, at, axis=1)
    between = np.add.reduceat(np.divide(total**2, count, out=np.zeros_like(total), where=count > 0), at, axis=1)
    between -= mean**2 / n
    spread = (x**2).T @ np.add.reduceat(z, at, axis=1) - mean**2 / n
    several = np.add.reduceat((count > 0).astype(np.float64), at, axis=1) > 1
    share = np.divide(between, spread, out=np.full_like(spread, np.nan), where=(spread > 1e-9 * n) & several)
    return np.sqrt(np.clip(share, 0, 1))
