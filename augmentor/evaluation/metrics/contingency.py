"""Joint tables of all pairs of columns of a mixed table, numbers cut into tenths of the real rows, and missing as a value.

Cuts are shared: were both sets cut by their own range, one outlier would move the score of a perfect sample from 0.9 to 0.4.
The label is one of the columns. All pairs at once are the product of one-hot columns with themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from augmentor.core.space import Space
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.rows import Sample
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.spaces import Basis
from augmentor.evaluation.tables import MOST_LEVELS, blocks, cramers_v, few, hot, places

TENTHS = np.linspace(0, 1, 11)[1:-1]
DEPENDENT = 0.3
WORST = 10

ALL = ScoreSpec(
    name="contingency.tables",
    axis="fidelity",
    title="joint tables of columns",
    meaning="How alike the joint distributions of two columns are, averaged over all pairs; 1 is equal.",
    goal="maximize",
    ideal=1.0,
    bounds=(0.0, 1.0),
    floor="independent",
    formula=(
        "mean over pairs of columns (label included) of 1 - sum|J_S - J_H| / 2; numbers cut at the tenths of H_fit, missing is "
        "a value; per label without the label column"
    ),
    catches="combinations that do not occur in real rows, wrong margins",
    misses="dependence among three columns; diluted by pairs that are independent in real rows",
    citation="ContingencySimilarity of SDMetrics",
    interval="subsample",
)
SOME = ALL.model_copy(
    update={
        "name": "contingency.dependent",
        "title": "joint tables of dependent columns",
        "meaning": "How alike the joint distributions of two columns that depend on each other are; 1 is equal.",
        "formula": "the same over pairs whose bias-corrected Cramér's V in H_fit exceeds 0.3",
        "catches": "lost dependence between columns",
        "misses": "dependence among three columns; pairs that only the judged rows make dependent",
    }
)


Square = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Cuts:
    """How values become codes, fitted on the rows of the basis.

    Attributes:
        columns: positions of the compared columns: all, unless the table is very wide.
        at: per compared column, where numbers are cut, or the code of every category.
        sizes: ``(compared columns + 1,)`` number of codes; the last column is the label.
        dependent: ``(compared columns + 1, same)`` whether two columns depend on each other in the fitting rows.
    """

    columns: NDArray[np.intp]
    at: list[NDArray[Any]]
    sizes: NDArray[np.intp]
    dependent: NDArray[np.bool_]

    @staticmethod
    def fitted(sample: Sample, labels: int) -> Cuts:
        """Fit to rows of a mixed table."""
        assert sample.table is not None
        known, all_values = sample.table.columns, sample.table.values
        most = np.where(
            [level is None for level in known.levels], len(TENTHS) + 1, np.minimum(known.sizes, MOST_LEVELS)
        )
        columns = few(most + known.gaps)
        at: list[NDArray[Any]] = []
        sizes = []
        for j in columns:
            number = known.levels[j] is None
            at.append(_cuts(all_values[:, j]) if number else places(all_values[:, j], known.sizes[j]))
            codes = len(at[-1]) + 1 if number else most[j]
            sizes.append(codes + int(known.gaps[j]))
        cuts = Cuts(columns, at, np.array([*sizes, labels], dtype=np.intp), np.zeros((0, 0), dtype=bool))
        v = cramers_v(cuts.joint(sample).astype(np.float64), cuts.sizes)
        return replace(cuts, dependent=np.nan_to_num(v) > DEPENDENT)

    def codes(self, sample: Sample) -> NDArray[np.intp]:
        """Return the codes ``(rows, compared columns + 1)`` of rows, the label last; a missing value has the last code."""
        assert sample.table is not None
        values = sample.table.values[:, self.columns]
        there = np.isfinite(values)
        out = np.empty((len(sample), len(self.sizes)), dtype=np.intp)
        for k, (j, at) in enumerate(zip(self.columns, self.at, strict=True)):
            known = values[:, k] if there[:, k].all() else np.where(there[:, k], values[:, k], 0)
            number = sample.table.columns.levels[j] is None
            code = np.searchsorted(at, known) if number else at[known.astype(np.intp)] if len(at) else 0
            out[:, k] = np.where(there[:, k], code, self.sizes[k] - 1)
        out[:, -1] = sample.y
        return out

    def joint(self, sample: Sample) -> NDArray[np.float32]:
        """Return how many rows have both of two codes, for all pairs of codes of all columns ``(codes, codes)``."""
        z = hot(self.codes(sample), self.sizes)
        # sums of zeros and ones are exact in float32
        counts: NDArray[np.float32] = z.T @ z
        return counts


class Metric:
    """Two-column similarities."""

    scores = (ALL, SOME)
    setup = Setup(alternate=True, floors="named", spaces=(Space.MIXED,))

    def __init__(self) -> None:
        self._cuts: WeakKeyDictionary[Basis, Cuts] = WeakKeyDictionary()
        # tables of the real rows, which are the same for every arm
        self._real: WeakKeyDictionary[Side, NDArray[np.float32]] = WeakKeyDictionary()

    def measure(self, pair: Pair) -> Measures:
        """Return the mean similarity of all pairs of columns, and of those that depend on each other."""
        if pair.basis not in self._cuts:
            self._cuts[pair.basis] = Cuts.fitted(pair.basis.fit, len(pair.labels))
        cuts = self._cuts[pair.basis]
        pairs = np.triu(np.ones_like(cuts.dependent), 1)
        pairs[:, -1] &= len(pair.labels) > 1
        if not pairs.any():
            return {spec.name: Measured.none("there is only one column") for spec in self.scores}
        if pair.real not in self._real:
            self._real[pair.real] = cuts.joint(pair.real.sample)
        found = _similarity(cuts.joint(pair.synthetic.sample), self._real[pair.real], cuts.sizes)
        labels: dict[str, Square | None] = {}
        # values per label do not enter the score and are shown for the judged rows only
        if pair.arm == "synthetic" and pair.principal and len(cuts.columns) > 1:
            labels = {label: None if part is None else similarities(part, cuts) for label, part in pair.each_label()}
        return {
            spec.name: _measured(found, pairs & cuts.dependent if spec is SOME else pairs, labels, _names(pair, cuts))
            for spec in self.scores
        }


def similarities(pair: Pair, cuts: Cuts) -> Square:
    """Return 1 - total variation of the joint table of every pair of columns, ``(compared columns + 1, same)``."""
    return _similarity(cuts.joint(pair.synthetic.sample), cuts.joint(pair.real.sample), cuts.sizes)


def _similarity(ours: NDArray[np.float32], theirs: NDArray[np.float32], sizes: NDArray[np.intp]) -> Square:
    label = slice(-int(sizes[-1]), None)
    # every row has exactly one label
    rows = [float(np.trace(counts[label, label])) for counts in (ours, theirs)]
    return 1 - blocks(np.abs(ours / np.float64(rows[0]) - theirs / np.float64(rows[1])), sizes) / 2


def _measured(
    found: Square, pairs: NDArray[np.bool_], labels: Mapping[str, Square | None], names: list[str]
) -> Measured:
    i, j = np.nonzero(pairs)
    if not len(i):
        return Measured.none(f"no two columns have a Cramér's V above {DEPENDENT:g} in real rows")
    order = np.argsort(found[i, j], kind="stable")[:WORST]
    worst = {f"{names[a]} | {names[b]}": float(found[a, b]) for a, b in zip(i[order], j[order], strict=True)}
    within = pairs[:-1, :-1]
    per_label = {
        label: float(item[:-1, :-1][within].mean()) if item is not None and within.any() else None
        for label, item in labels.items()
    }
    return Measured(float(found[i, j].mean()), per_label, detail={"pairs": len(i), "worst": worst})


def _names(pair: Pair, cuts: Cuts) -> list[str]:
    assert pair.real.sample.table is not None
    return [*(pair.real.sample.table.columns.names[j] for j in cuts.columns), "label"]


def _cuts(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return cuts halfway between neighbouring values: everywhere between few values, else beside every tenth."""
    values = values[np.isfinite(values)]
    distinct = np.unique(values).astype(np.float64)
    halfway = (distinct[:-1] + distinct[1:]) / 2
    if len(halfway) < 10:
        return halfway
    beside = np.searchsorted(distinct, np.quantile(values, TENTHS, method="lower"))
    return halfway[np.unique(np.minimum(beside, len(halfway) - 1))]
