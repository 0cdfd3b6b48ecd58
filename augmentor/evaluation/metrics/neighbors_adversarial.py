"""Nearest-neighbour adversarial accuracy: is the nearest row of the other kind further away than that of a row's own kind?

``aa_real = mean over H of 1[d(h, S) > d(h, H without h)]`` and ``aa_synthetic`` with the roles swapped; one half each for rows of one
law. Both are printed, since a mean of one half may hide 0.8 and 0.2: shrunk rows are close to each other and far from nobody. The
detail has the privacy loss, the mean of both against held-out rows minus the same against training rows: above 0, synthetic rows
lie closer to training rows than to rows of the same law. All three sets have as many rows of every label, and no row twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core.random import Stream
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import ENOUGH, Pair, Side, distances
from augmentor.evaluation.score import ScoreSpec

MOST_ROWS = 2000
FEWEST_ROWS = 10


def _spec(part: str, query: str, other: str, catches: str) -> ScoreSpec:
    return ScoreSpec(
        name=f"neighbors_adversarial.{part}",
        axis="fidelity",
        title=f"adversarial accuracy, {query} rows",
        meaning=f"Share of {query} rows whose nearest {query} row is nearer than the nearest {other} row; alike means as real rows.",
        goal="target",
        ideal=None,  # 0.5 for equally many independent rows; here the space knows training rows, and the ceiling tells
        bounds=(0.0, 1.0),
        formula=f"mean over {query} rows of 1[distance to nearest {other} row > distance to nearest other {query} row], 30 PCs",
        catches=catches,
        misses="copies of training rows (see the privacy loss in the detail)",
        citation="Yale et al. 2020",
        interval="subsample",
        needs_holdout=True,
        full=True,
    )


REAL = _spec("aa_real", "real", "synthetic", "lost groups of rows and too little variation (above 0.5)")
SYNTHETIC = _spec("aa_synthetic", "synthetic", "real", "too little variation (above 0.5), junk rows")

Table = NDArray[np.float64]


class Metric:
    """Whose nearest row is of the own kind."""

    scores = (REAL, SYNTHETIC)
    setup = Setup(rows="copies", order=2)

    def measure(self, pair: Pair) -> Measures:
        """Return both halves, pooled and per label, with the privacy loss."""
        assert pair.train is not None
        sides = _matched((pair.synthetic, pair.real, pair.train), pair.stream.child("adversarial"))
        synthetic, real, train = (side.pcs for side in sides)
        n = len(synthetic)
        if n < FEWEST_ROWS:
            reason = f"{n} distinct rows of the same labels in each set; {FEWEST_ROWS} are needed"
            return {spec.name: Measured.none(reason) for spec in self.scores}
        held_out, trained = accuracy(real, synthetic), accuracy(train, synthetic)
        per_label: list[dict[str, float | None]] = [{}, {}]
        for code, label in enumerate(pair.labels) if len(pair.labels) > 1 else ():
            if not (pair.real.y == code).any():
                continue
            few = (sides[0].y == code).sum() < ENOUGH
            parts = None if few else accuracy(real[sides[1].y == code], synthetic[sides[0].y == code])
            for half in (0, 1):
                per_label[half][label] = None if parts is None else parts[half]
        detail = {
            "rows": n,
            "mean": sum(held_out) / 2,
            "against_training_rows": list(trained),
            "privacy_loss": (sum(held_out) - sum(trained)) / 2,
        }
        return {
            spec.name: Measured(held_out[half], per_label[half], detail=detail)
            for half, spec in enumerate((REAL, SYNTHETIC))
        }


def accuracy(a: Table, b: Table) -> tuple[float, float]:
    """Return the share of rows of ``a`` that are nearer to their own kind than to ``b``, and that of rows of ``b``."""
    between = distances(a, b)
    return float(np.mean(between.min(axis=1) > _own(a))), float(np.mean(between.min(axis=0) > _own(b)))


def _own(rows: Table) -> NDArray[np.float64]:
    gaps = distances(rows, rows)
    np.fill_diagonal(gaps, np.inf)
    return gaps.min(axis=1)


def _matched(sides: tuple[Side, ...], stream: Stream) -> tuple[Side, ...]:
    """Return equally many random distinct rows of every label from each side."""
    distinct = [side.sample.distinct() for side in sides]
    labels = 1 + max(int(side.y.max(initial=0)) for side in sides)
    counts = [np.bincount(side.y[rows], minlength=labels) for side, rows in zip(sides, distinct, strict=True)]
    sizes = np.min(counts, axis=0)
    if sizes.sum() > MOST_ROWS:
        sizes = np.where(sizes > 0, np.maximum(1, sizes * MOST_ROWS // sizes.sum()), 0)
    out = []
    for i, (side, rows) in enumerate(zip(sides, distinct, strict=True)):
        rows = stream.child(i).numpy().permutation(rows)
        kept = [rows[side.y[rows] == code][:size] for code, size in enumerate(sizes)]
        out.append(side.take(np.sort(np.concatenate(kept))))
    return tuple(out)
