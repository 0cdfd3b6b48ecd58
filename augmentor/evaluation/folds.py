"""Folds in which judged and real rows of every label are equally many."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def balanced_folds(
    label: NDArray[np.intp],
    target: NDArray[np.intp],
    groups: NDArray[np.intp],
    rng: np.random.Generator,
    *,
    folds: int,
) -> NDArray[np.intp]:
    """Return a fold for every row such that every fold holds as many judged as real rows of every label.

    Folds that are balanced over all labels only are not enough: leave out one judged row of a label and the rest of that
    label is mostly real, so that a classifier calls the row real; real rows against real rows then score an AUC below 0.4.

    Args:
        label: ``(rows,)`` label positions.
        target: ``(rows,)`` 1 for judged, 0 for real rows.
        groups: ``(rows,)`` rows of one group stay in one fold.
        rng: order of the rows.
        folds: number of folds.
    """
    stratum = label * 2 + target
    members: dict[int, list[int]] = {}
    order = rng.permutation(len(label))
    for row in order[np.argsort(label[order], kind="stable")]:
        members.setdefault(int(groups[row]), []).append(int(row))
    load = np.zeros((folds, int(stratum.max()) + 1))
    # labels begin with different folds, or the first fold would get the odd row of every label
    first = np.concatenate([[0], np.cumsum(np.bincount(label) // 2)])
    fold = np.empty(len(label), dtype=np.intp)
    # large groups first, while there is room for them
    for rows in sorted(members.values(), key=len, reverse=True):
        strata = stratum[rows]
        turn = (np.arange(folds) - first[label[rows[0]]]) % folds
        # many equal rows must not all begin in one fold; single rows are placed by their own stratum alone
        crowd = sum(load[:, kind::2].sum(axis=1) for kind in np.unique(target[rows])) if len(rows) > 1 else 0 * turn
        chosen = int(np.lexsort((turn, crowd, load[:, strata].sum(axis=1)))[0])
        fold[rows] = chosen
        np.add.at(load[chosen], strata, 1)
    return fold
