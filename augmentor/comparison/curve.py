"""The learning curve on real rows over the splits of a comparison, and how many real rows a gain is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from augmentor.comparison import learners, splits
from augmentor.comparison.features import Features
from augmentor.comparison.result import Curve, CurvePoint, Gain
from augmentor.core.dataset import Dataset
from augmentor.core.random import Stream
from augmentor.evaluation import curves

Codes = NDArray[np.intp]
POINTS, FEWEST = 6, 3
# what a curve says instead of an arm where it reads the gain of unlabelled rows
OTHERS = "What the rows without a label bring"
# a difference smaller than this is no rows at all
NONE = 1e-9


def caps(y: Codes) -> list[int]:
    """Return largest numbers of rows per label at which to measure, up to all rows of the largest label."""
    counts = np.bincount(y)
    return curves.sizes(min(FEWEST, int(counts.max())), int(counts.max()), POINTS)


def points(
    kind: str,
    train: tuple[Dataset, Codes],
    test: tuple[Dataset, Codes],
    sizes: Sequence[int],
    stream: Stream,
    *,
    genes: int | None,
    labels: int,
    penalty: float,
) -> list[tuple[float, float]]:
    """Return rows per label and balanced accuracy of one split, for every size.

    Everything is fitted on the rows of the size; labels weigh the same, the penalty is that of the comparison.
    """
    out = []
    for size in sizes:
        rows = splits.at_most(train[1], size, stream.child("size", size))
        data, y = train[0].take(rows), train[1][rows]
        features = Features.fitted(data, genes)
        seen, judged = features.of(features.select(data), y), features.of(features.select(test[0]), test[1])
        fit = learners.train(kind, seen, labels, stream.child("fit"), real=len(y), penalty=penalty, weighted=True)
        p = fit.probabilities(judged)
        out.append((len(y) / len(np.unique(y)), learners.accuracy(test[1], learners.called(p, fit.prior, 0.0))))
    return out


def read(
    kind: str, measured: Sequence[Sequence[tuple[float, float]]], rows: float, arm: str | None, gain: Gain | None
) -> Curve | None:
    """Fit the curve to the means over splits, and read a gain on it.

    Args:
        kind: the learner.
        measured: per split, rows per label and score of every size.
        rows: mean training rows per label of the comparison.
        arm: the arm whose gain is read.
        gain: its gain in balanced accuracy.
    """
    if len(measured) < 2 or len(measured[0]) < 2:
        return None
    table = np.array(measured)
    n, score, sd = table[:, :, 0].mean(axis=0), table[:, :, 1].mean(axis=0), table[:, :, 1].std(axis=0, ddof=1)
    fitted = curves.fitted(n.tolist(), score.tolist(), len(measured))
    worth, low, high = (
        None if gain is None or value is None else fitted.worth(rows, value)
        for value in ((gain.mean, gain.low, gain.high) if gain is not None else (None, None, None))
    )
    return Curve(
        learner=kind,
        points=tuple(
            CurvePoint(rows=float(a), score=float(b), sd=float(c), splits=len(measured))
            for a, b, c in zip(n, score, sd, strict=True)
        ),
        limit=fitted.limit,
        height=fitted.height,
        exponent=fitted.exponent,
        rows=rows,
        arm=arm,
        worth=worth,
        low=low,
        high=high,
        sentence=_sentence(fitted, rows, arm, gain, worth, low, high),
    )


def _sentence(
    fitted: curves.Curve,
    rows: float,
    arm: str | None,
    gain: Gain | None,
    worth: float | None,
    low: float | None,
    high: float | None,
) -> str:
    if arm is None or gain is None or gain.mean is None:
        return "There is no gain to read on the learning curve."
    what = f"{arm} at {rows:.0f} {'labelled' if arm == OTHERS else 'real'} rows per label"
    if abs(gain.mean) < NONE and low == high:
        why = "no arm that uses them is better" if arm == OTHERS else "the inner folds never chose its rows"
        return f"{what} is worth 0 more real rows per label: {why}, or they changed nothing."
    if fitted.flat:
        return f"{what}: more real rows hardly help here, so a gain cannot be expressed in rows."
    if worth is None and gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high:
        return f"{what}: the gain cannot be told from 0 rows, and the curve ends at {fitted.n[-1]:.0f} rows per label."
    ends = f"[{_end(low, 'fewer')}, {_end(high, 'more')}]"
    if worth is None:
        side = "more" if gain.mean > 0 else "fewer"
        return f"{what}: {side} than the data can show (the curve ends at {fitted.n[-1]:.0f} rows per label) {ends}."
    return f"{what} is worth {worth:+.1f} real rows per label {ends}."


def _end(value: float | None, beyond: str) -> str:
    return f"{beyond} than the data can show" if value is None else f"{value:+.1f}"
