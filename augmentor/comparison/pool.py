"""Which rows without a label stand beside the training rows of a split: none that tests, and none of a group that does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from augmentor.comparison import splits
from augmentor.comparison.design import Codes
from augmentor.core.dataset import Dataset
from augmentor.core.fingerprints import fingerprints
from augmentor.core.progress import Listener, Progress
from augmentor.core.random import Stream
from augmentor.unlabelled import matched, stacked


def gathered(labelled: Dataset, own: Dataset | None, more: Dataset | None, listener: Listener) -> Dataset | None:
    """Bring the unlabelled rows of the data and of elsewhere together.

    Rows that repeat a labelled row are left out: on the split that tests it they would be a test row.

    Args:
        labelled: rows that train and test.
        own: rows of the same data without a label.
        more: rows of other data; their labels, if they have any, are not looked at.
        listener: told what is left out.

    Returns:
        The rows, all labels missing; None if there are none.

    Raises:
        SchemaMismatch: features are missing, units differ, or categories are unknown.
    """
    parts = [] if own is None or not len(own) else [_blank(own)]
    if more is not None:
        # of rows of a patient who tests none may be learned from, so that their groups are kept
        rows = replace(matched(more, labelled.schema, "the unlabelled data"), groups=more.groups)
        parts.append(rows)
    if not parts:
        return None
    rows = parts[0] if len(parts) == 1 else stacked(*parts)
    known = np.isin(fingerprints(rows), fingerprints(labelled))
    if known.any():
        note = f"{known.sum():,} of {len(rows):,} rows without a label repeat a labelled row and are left out"
        listener(Progress("compare", note=note))
    return rows.take(~known) if not known.all() else None


def beside(pool: Dataset | None, rows: Dataset, lost: Codes, test: Codes, most: int, rng: Stream) -> Dataset:
    """Return the unlabelled rows of a split.

    Args:
        pool: rows without a label, of all splits.
        rows: labelled rows.
        lost: positions of training rows that lose it.
        test: positions of the rows that test.
        most: rows at most, a random subset beyond.
        rng: randomness of the subset.
    """
    parts = [_blank(rows.take(lost))]
    if pool is not None:
        parts.append(splits.apart(pool, rows.take(test)))
    found = stacked(*parts) if len(parts) == 2 else parts[0]
    if len(found) > most:
        found = found.take(np.sort(rng.numpy().permutation(len(found))[:most]))
    return found


def _blank(rows: Dataset) -> Dataset:
    return replace(rows, codes=np.full_like(rows.codes, -1), extra={})
