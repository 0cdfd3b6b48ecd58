"""Missing values of a mixed table: how often a column lacks one, and which columns lack theirs together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core.space import Space
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.score import ScoreSpec

RATE = ScoreSpec(
    name="missingness.rate",
    axis="fidelity",
    title="missing values per column",
    meaning="Mean absolute difference of the share of missing values of a column.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 1.0),
    floor="means",
    formula="mean over columns with gaps of |missing share_S - missing share_H|, per label, unweighted mean",
    catches="gaps that were filled in, gaps that were invented",
    misses="which values are missing together, and why",
    interval="subsample",
)
PATTERN = ScoreSpec(
    name="missingness.pattern",
    axis="fidelity",
    title="values missing together",
    meaning="Mean difference of the correlations between 'is missing' of two columns.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 2.0),
    floor="means",
    formula="mean over pairs of columns with gaps in H of |corr_S - corr_H| of the missing indicators, 0 where S has no gaps",
    catches="gaps scattered at random where real ones come together",
    misses="the share of gaps",
    interval="subsample",
)


class Metric:
    """Shares and correlations of missing values."""

    scores = (RATE, PATTERN)
    setup = Setup(spaces=(Space.MIXED,))

    def measure(self, pair: Pair) -> Measures:
        """Compare the gaps of the columns that have some in any of the sets."""
        table = pair.real.sample.table
        assert table is not None
        columns = np.flatnonzero(table.columns.gaps)
        if not len(columns):
            return {spec.name: Measured.none("no value is missing") for spec in self.scores}
        ours, theirs = _gaps(pair.synthetic, columns), _gaps(pair.real, columns)
        gap = np.abs(ours.mean(axis=0) - theirs.mean(axis=0))
        labels = {label: None if part is None else _rate(part, columns) for label, part in pair.each_label()}
        shares = {table.columns.names[j]: float(d) for j, d in zip(columns, gap, strict=True)}
        pattern, pairs = _pattern(ours, theirs)
        return {
            RATE.name: Measured.over_labels(
                float(gap.mean()), labels, fallback=all(v is None for v in labels.values()), detail={"columns": shares}
            ),
            PATTERN.name: Measured(
                pattern,
                detail={"pairs": pairs},
                reason="fewer than two columns have gaps in the real rows" if pattern is None else None,
            ),
        }


def _gaps(side: Side, columns: NDArray[np.intp]) -> NDArray[np.float64]:
    assert side.sample.table is not None
    return (~np.isfinite(side.sample.table.values[:, columns])).astype(np.float64)


def _rate(pair: Pair, columns: NDArray[np.intp]) -> float:
    return float(np.abs(_gaps(pair.synthetic, columns).mean(axis=0) - _gaps(pair.real, columns).mean(axis=0)).mean())


def _pattern(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float | None, int]:
    """Return the mean error of the correlations, and over how many pairs of columns that vary in the real rows."""
    varies = theirs.std(axis=0) > 0
    upper = np.triu_indices(int(varies.sum()), 1)
    if not len(upper[0]):
        return None, 0
    error = np.abs(_correlation(ours[:, varies]) - _correlation(theirs[:, varies]))
    return float(error[upper].mean()), len(upper[0])


def _correlation(x: NDArray[np.float64]) -> NDArray[np.float64]:
    z = x - x.mean(axis=0)
    z /= np.where(z.any(axis=0), np.sqrt(np.square(z).sum(axis=0)), 1.0)
    return z.T @ z
