"""Which rows are held out, which judge, which train: stratified by label, whole groups on one side, keyed by the seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core.errors import LabelError
from augmentor.core.random import Stream

KEEP = 2  # rows of a label that always stay on the training side


def part(
    condition: NDArray[np.intp], fraction: float, rng: Stream, groups: NDArray[np.object_] | None = None
) -> NDArray[np.bool_]:
    """Choose about ``fraction`` of the rows of every label.

    Args:
        condition: ``(rows,)`` label combination of each row.
        fraction: share to choose, in [0, 1).
        rng: randomness.
        groups: ``(rows,)`` group of each row; then whole groups are chosen, in random order, until the share is reached.

    Returns:
        ``(rows,)`` mask. At least `KEEP` rows of every label are left out of it (not with groups).

    Raises:
        LabelError: fewer than two groups.
    """
    chosen = np.zeros(len(condition), dtype=bool)
    if fraction <= 0:
        return chosen
    generator = rng.numpy()
    if groups is not None:
        names, inverse, sizes = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
        if names.size < 2:
            raise LabelError(
                f"the group column has 1 value ('{names[0]}'); at least 2 groups are needed to hold one out."
            )
        order = generator.permutation(names.size)
        total = np.cumsum(sizes[order])
        # the group that comes closest to the share ends the list; never all of them
        last = int(np.argmin(np.abs(total[:-1] - fraction * len(condition))))
        return np.isin(inverse, order[: last + 1])
    for c in np.unique(condition):
        rows = np.flatnonzero(condition == c)
        n = min(round(fraction * rows.size), rows.size - KEEP)
        if n > 0:
            chosen[generator.permutation(rows)[:n]] = True
    return chosen


def several(groups: NDArray[np.object_] | None) -> NDArray[np.object_] | None:
    """Return the groups if there are at least two, else None: rows of one patient can only be divided one by one."""
    return None if groups is None or len(set(groups.tolist())) < 2 else groups
