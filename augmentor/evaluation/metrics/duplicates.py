"""Verbatim and near copies of training rows, and repeats among the synthetic rows themselves.

Natural repeats are subtracted: what held-out rows share with training rows by chance is no copying.
"""

from __future__ import annotations

import numpy as np

from augmentor.core.space import Space
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec

NEAR = 0.01
# Distances this much smaller than the usual one are rounding: the row is the same.
SAME = 1e-4


def _spec(part: str, title: str, meaning: str, formula: str, catches: str, misses: str) -> ScoreSpec:
    return ScoreSpec(
        name=f"duplicates.{part}",
        axis="privacy",
        title=title,
        meaning=meaning,
        goal="target",
        ideal=0.0,
        bounds=(-1.0, 1.0),
        formula=formula,
        catches=catches,
        misses=misses,
        needs_holdout=part != "inner",
    )


EXACT = _spec(
    "exact",
    "verbatim training rows",
    "Share of synthetic rows that are training rows, minus that of held-out rows.",
    "share of S found in T (row hash; for measured values: distance below rounding) minus that of H",
    "a generator that repeats rows",
    "copies with noise",
)
CLOSE = _spec(
    "near",
    "near copies of training rows",
    "Share of synthetic rows nearer to a training row than 99 % of held-out rows are, minus the 1 % expected.",
    "share of S with d(s, T) below the 1st percentile of d(H, T), minus that of H, 30 PCs",
    "copies with little noise",
    "copies with much noise",
)
INNER = _spec(
    "inner",
    "repeats among synthetic rows",
    "Share of synthetic rows that repeat another synthetic row, minus that among training rows.",
    "1 - distinct rows / rows of S, minus the same of T",
    "a generator with few answers",
    "near repeats",
)


class Metric:
    """Copies and repeats."""

    scores = (EXACT, CLOSE, INNER)
    setup = Setup(rows="copies", order=0)

    def measure(self, pair: Pair) -> Measures:
        """Look for judged rows among the training rows and among themselves."""
        assert pair.train is not None
        judged, real, train = pair.synthetic.sample, pair.real.sample, pair.train.sample
        near = pair.nearest
        threshold = float(np.quantile(near.real_train[:, 0], NEAR))
        close = float(np.mean(near.synthetic_train[:, 0] < threshold) - np.mean(near.real_train[:, 0] < threshold))
        if pair.space in (Space.CONTINUOUS, Space.LOG):
            same = SAME * float(np.median(near.real_train[:, 0]))
            ours, natural = (float(np.mean(d[:, 0] <= same)) for d in (near.synthetic_train, near.real_train))
        else:
            ours, natural = (float(np.isin(rows.hashes, train.hashes).mean()) for rows in (judged, real))
        inner, usual = (1.0 - len(rows.distinct()) / len(rows) for rows in (judged, train))
        return {
            EXACT.name: Measured(ours - natural, detail={"share": ours, "natural": natural}),
            CLOSE.name: Measured(close, detail={"threshold": threshold}),
            INNER.name: Measured(inner - usual, detail={"share": inner, "natural": usual}),
        }
