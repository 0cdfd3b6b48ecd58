"""Gene selection: the features that vary most for their mean, chosen on training rows only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Dataset, Matrix, Source, column_moments, row_sums
from augmentor.core.space import Space

BINS = 50
BIN_GENES = 20  # fewest genes per bin: the median of one or two would be their own variance
BLOCK = 4096


def select(dataset: Dataset, count: int) -> list[int]:
    """Return the positions (ascending) of the ``count`` most variable features of the training rows.

    Counts and log data: variance of the log-normalised values above the trend of variance on mean (the biological
    component of Lun et al. 2016, doi:10.12688/f1000research.9501.2). The excess is absolute, not relative to the mean:
    ranking rare genes by a ratio selects the accidents of the training rows, and makes even real training rows
    distinguishable from held-out ones. Other data: variance.
    """
    if count >= dataset.features:
        return list(range(dataset.features))
    score = variability(dataset.x, dataset.schema.space)
    best = np.argsort(-score, kind="stable")[:count]
    return sorted(int(i) for i in best)


def select_streaming(source: Source, count: int) -> list[int]:
    """Choose features of data that stays on disk: the score of `select`, from moments summed over blocks."""
    from augmentor.preprocess.transforms.lognorm import LogNormalise

    columns, rows = len(source.schema.features), 0
    total, squares = np.zeros(columns), np.zeros(columns)
    if count >= columns:
        return list(range(columns))
    target = 0.0
    for block in source.blocks(BLOCK):
        x: Matrix = block.x
        if source.schema.space is Space.COUNTS:
            size = row_sums(x)
            # the target only scales the log: the first block's median serves all
            target = target or float(np.median(size))
            x = LogNormalise(target).forward(x, size)
        mean, variance = column_moments(x)
        total += len(block) * mean
        squares += len(block) * (variance + mean**2)
        rows += len(block)
    mean = total / rows
    score = _score(mean, np.maximum(squares / rows - mean**2, 0), source.schema.space)
    return sorted(int(i) for i in np.argsort(-score, kind="stable")[:count])


def variability(x: Matrix, space: Space) -> NDArray[np.float64]:
    """Score of every feature ``(features,)``: the larger, the more it varies for its mean."""
    if space is Space.COUNTS:
        from augmentor.preprocess.transforms.lognorm import LogNormalise

        size = row_sums(x)
        x = LogNormalise(float(np.median(size))).forward(x, size)
    return _score(*column_moments(x), space)


def _score(mean: NDArray[np.float64], variance: NDArray[np.float64], space: Space) -> NDArray[np.float64]:
    if space not in (Space.COUNTS, Space.LOG):
        return variance
    order = np.argsort(mean, kind="stable")
    trend = np.empty_like(variance)
    for members in np.array_split(order, int(np.clip(len(order) // BIN_GENES, 1, BINS))):
        trend[members] = np.median(variance[members])
    return variance - trend
