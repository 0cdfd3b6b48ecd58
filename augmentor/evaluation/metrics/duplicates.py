"""Verbatim and near copies of training rows, and repeats among the synthetic rows themselves.

Natural repeats are subtracted: what held-out rows share with training rows by chance is no copying. What is found by hash is
looked for in all rows, since a draw of them holds fewer repeats; only distances are those of a draw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core.space import Space
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import ENOUGH, Pair
from augmentor.evaluation.rows import Sample
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
    "copies with much noise; denoised rows, which are near everything",
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
        every = judged if pair.every is None else pair.every
        near = pair.nearest
        threshold = float(np.quantile(near.real_train[:, 0], NEAR))
        close = near.synthetic_train[:, 0] < threshold, near.real_train[:, 0] < threshold
        looked = judged
        if pair.space in (Space.CONTINUOUS, Space.LOG):
            same = SAME * float(np.median(near.real_train[:, 0]))
            equal = near.synthetic_train[:, 0] <= same, near.real_train[:, 0] <= same
        else:
            looked = every
            equal = np.isin(every.hashes, train.hashes), np.isin(real.hashes, train.hashes)
        usual = _repeats(train)
        # of rows that repeat by nature more repeat among more rows: then no more of them than of T
        among = every if usual == 0 or len(every) <= len(train) else judged
        inner = _repeats(among)
        return {
            EXACT.name: _beyond(*equal, looked, pair.labels),
            CLOSE.name: _beyond(*close, judged, pair.labels, threshold=threshold),
            INNER.name: Measured(inner - usual, detail={"share": inner, "natural": usual, "rows": len(among)}),
        }


def _repeats(rows: Sample) -> float:
    return 1.0 - len(rows.distinct()) / len(rows)


def _beyond(
    ours: NDArray[np.bool_], natural: NDArray[np.bool_], judged: Sample, labels: tuple[str, ...], **more: float
) -> Measured:
    """Return the share of judged rows beyond the natural one, also by label (the natural share is that of all)."""
    base = float(natural.mean())
    share = float(ours.mean())
    sd = np.sqrt(share * (1 - share) / len(ours) + base * (1 - base) / len(natural))
    per_label: dict[str, float | None] = {}
    for code, label in enumerate(labels if len(labels) > 1 else ()):
        rows = judged.y == code
        if rows.any():
            per_label[label] = float(ours[rows].mean()) - base if rows.sum() >= ENOUGH else None
    detail = {"share": share, "natural": base, "rows": len(judged), **more}
    return Measured(share - base, per_label, sd=float(sd), method="binomial", detail=detail)
