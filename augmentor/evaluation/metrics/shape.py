"""Distributions of single columns of a mixed table: numbers by Kolmogorov-Smirnov, categories by total variation.

Both are similarities: 1 is equal. Two perfect samples of 100 rows have about 0.9 for a number, so read the ceiling; a model of
independent columns has about the same as real rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from augmentor.core.space import Space
from augmentor.evaluation.columns import Vector, average
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.tables import starts

SHAPE = ScoreSpec(
    name="shape.columns",
    axis="fidelity",
    title="column distributions",
    meaning="How alike the distributions of single columns are, averaged over columns and labels; 1 is equal.",
    goal="maximize",
    ideal=1.0,
    bounds=(0.0, 1.0),
    floor="means",
    formula=(
        "mean over columns of 1 - sup|F_S - F_H| (numbers) or 1 - sum|p_S - p_H| / 2 (categories) over values that are not "
        "missing, per label, unweighted mean"
    ),
    catches="shifted or narrowed numbers, wrong shares of categories, lost and invented categories",
    misses="dependence between columns: columns drawn independently score as high as real rows; missing values",
    citation="KSComplement and TVComplement of SDMetrics",
    interval="subsample",
)


class Metric:
    """One-column similarities."""

    scores = (SHAPE,)
    setup = Setup(order=0, spaces=(Space.MIXED,))

    def measure(self, pair: Pair) -> Measures:
        """Return the mean similarity of columns; every column and its lost or invented categories in detail."""
        pooled = similarities(pair)
        labels = {
            label: None if part is None else average(similarities(part).values()) for label, part in pair.each_label()
        }
        unseen, missing = _categories(pair)
        detail = {"columns": pooled, "unseen_categories": unseen, "missing_categories": missing}
        alone = all(value is None for value in labels.values())
        return {SHAPE.name: Measured.over_labels(average(pooled.values()), labels, fallback=alone, detail=detail)}


def similarities(pair: Pair) -> dict[str, float]:
    """Return the similarity of every column that has values in the real rows; 0 where the judged rows have none."""
    ours, theirs = pair.synthetic.sample.table, pair.real.sample.table
    assert ours is not None and theirs is not None
    size = theirs.columns.sizes
    kinds = np.array([level is None for level in theirs.columns.levels])
    there = [np.isfinite(side.values).any(axis=0) for side in (ours, theirs)]
    distance = np.ones(len(kinds))
    numbers = np.flatnonzero(kinds & there[0] & there[1])
    if numbers.size:
        distance[numbers] = _ks(ours.values[:, numbers], theirs.values[:, numbers])
    categories = np.flatnonzero(~kinds & there[0] & there[1])
    if categories.size:
        p, q = (_shares(side.values[:, categories], size[categories]) for side in (ours, theirs))
        distance[categories] = np.add.reduceat(np.abs(p - q), starts(size[categories])) / 2
    return {theirs.columns.names[j]: float(1 - distance[j]) for j in np.flatnonzero(there[1])}


def _ks(a: NDArray[np.float32], b: NDArray[np.float32]) -> Vector:
    """Return the Kolmogorov-Smirnov distance of every column over its finite values."""
    both = np.ascontiguousarray(np.concatenate([a, b]).T)
    good = np.isfinite(both)
    both[~good] = np.inf
    order = np.argsort(both, axis=1)
    values = np.take_along_axis(both, order, axis=1)
    ours, theirs = (1 / part.sum(axis=1, keepdims=True) for part in (good[:, : len(a)], good[:, len(a) :]))
    step = np.where(np.isfinite(values), np.where(order < len(a), ours, -theirs), 0.0)
    gap = np.abs(np.cumsum(step, axis=1))
    # within a run of ties the cumulative difference is not a value of F_a - F_b; only its last entry counts
    gap[:, :-1][values[:, 1:] == values[:, :-1]] = 0.0
    largest: Vector = gap.max(axis=1)
    return largest


def _shares(codes: NDArray[np.float32], size: NDArray[np.intp]) -> Vector:
    """Return the shares of the categories of all columns, one after the other, among the values that are not missing."""
    good = np.isfinite(codes)
    places = (np.nan_to_num(codes).astype(np.intp) + starts(size))[good]
    counts = np.bincount(places, minlength=int(size.sum()))
    return counts / np.repeat(good.sum(axis=0), size)


def _categories(pair: Pair) -> tuple[Mapping[str, list[str]], Mapping[str, list[str]]]:
    """Return by column the categories that only the judged rows have, and those that only the real rows have."""
    ours, theirs = pair.synthetic.sample.table, pair.real.sample.table
    assert ours is not None and theirs is not None
    unseen, missing = {}, {}
    for j, (name, level) in enumerate(zip(theirs.columns.names, theirs.columns.levels, strict=True)):
        if level is not None:
            a, b = (set(values[np.isfinite(values)].astype(int)) for values in (ours.values[:, j], theirs.values[:, j]))
            unseen[name], missing[name] = ([level[i] for i in sorted(some)] for some in (a - b, b - a))
    return {name: some for name, some in unseen.items() if some}, {n: some for n, some in missing.items() if some}
