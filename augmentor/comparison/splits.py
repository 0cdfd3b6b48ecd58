"""Which rows train and which test: repeated stratified folds, whole groups on one side, keyed by the seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Dataset
from augmentor.core.errors import LabelError
from augmentor.core.random import Stream
from augmentor.evaluation.folds import balanced_folds

Codes = NDArray[np.intp]


def folded(y: Codes, groups: NDArray[np.object_] | None, folds: int, stream: Stream) -> Codes:
    """Return a fold for every row: every label spread evenly, every group in one fold."""
    names = np.arange(len(y)) if groups is None else np.unique(groups.astype(str), return_inverse=True)[1]
    return balanced_folds(y, np.zeros(len(y), dtype=np.intp), names, stream.numpy(), folds=folds)


def outer(
    y: Codes, groups: NDArray[np.object_] | None, folds: int, repeats: int, stream: Stream
) -> Iterator[tuple[Codes, Codes]]:
    """Yield the training and test rows of every split, ``folds`` x ``repeats`` of them.

    Raises:
        LabelError: there are fewer groups than folds.
    """
    if groups is not None and len(set(groups.tolist())) < folds:
        raise LabelError(
            f"the group column has {len(set(groups.tolist()))} values, but {folds} folds need at least {folds}: a group is "
            "never divided."
        )
    for repeat in range(repeats):
        fold = folded(y, groups, folds, stream.child("repeat", repeat))
        for i in range(folds):
            yield np.flatnonzero(fold != i), np.flatnonzero(fold == i)


def at_most(y: Codes, most: int, stream: Stream) -> Codes:
    """Return the positions, ascending, of at most ``most`` random rows of every label."""
    order = stream.numpy().permutation(len(y))
    kept = [order[y[order] == code][:most] for code in np.unique(y)]
    return np.sort(np.concatenate(kept))


def share(y: Codes, most: int, stream: Stream) -> Codes:
    """Return the positions, ascending, of at most ``most`` random rows with the label frequencies of all.

    Labels keep at least ten rows, or all they have.
    """
    if len(y) <= most:
        return np.arange(len(y))
    counts = np.bincount(y)
    sizes = np.minimum(counts, np.maximum(np.round(counts * most / len(y)).astype(int), 10))
    order = stream.numpy().permutation(len(y))
    return np.sort(np.concatenate([order[y[order] == code][:size] for code, size in enumerate(sizes)]))


def apart(pool: Dataset, test: Dataset) -> Dataset:
    """Return the rows of a pool that are of no group of the test rows; all where rows have no groups."""
    if pool.groups is None or test.groups is None:
        return pool
    return pool.take(~np.isin(pool.groups.astype(str), test.groups.astype(str)))
