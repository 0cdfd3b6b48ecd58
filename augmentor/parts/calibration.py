"""Marginal calibration: map every (label, feature) margin of a model monotonically to the training margin.

A generator may have the right dependence and slightly wrong margins. With F the model's margin (from rows drawn at fit
time) and G the training margin, a drawn value becomes G⁻¹(F(x)): ranks, and so the copula, are kept. At an atom (a zero
of a count) F jumps, and the value is spread uniformly over the jump, so that zeros become positive, or positives zero,
exactly as often as the training rows say.

Margins are kept sparse: the sorted non-zero values of every (condition, feature) and the share of what lies below.
Labels with fewer than `FEWEST` rows have no margin worth copying and are left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.contract import Given, State
from augmentor.core.dataset import Matrix, as_dense
from augmentor.core.random import Stream

FEWEST = 5
DRAWN = 1000  # rows drawn per condition to learn the model's own margins
QUANTILES = 101  # most knots of a continuous margin


@dataclass(frozen=True, eq=False)
class Margins:
    """Sorted non-zero values of every (condition, feature) of non-negative data.

    Attributes:
        values: all non-zeros, ascending within each segment.
        starts: ``(conditions × features + 1,)`` segment bounds in ``values``.
        rows: ``(conditions,)`` number of rows behind each condition.
        features: number of features.
    """

    values: NDArray[np.float32]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    features: int

    @classmethod
    def of(cls, blocks: list[Matrix]) -> Margins:
        """Collect the margins of one block of rows per condition."""
        values, counts, rows = [], [], []
        for block in blocks:
            columns = sparse.csc_matrix(block)
            columns.eliminate_zeros()
            lengths = np.diff(columns.indptr)
            order = np.lexsort((columns.data, np.repeat(np.arange(columns.shape[1]), lengths)))
            values.append(columns.data[order].astype(np.float32))
            counts.append(lengths)
            rows.append(block.shape[0])
        starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
        return cls(np.concatenate(values), starts, np.array(rows, dtype=np.int64), int(blocks[0].shape[1]))

    def zero_share(self, condition: int) -> NDArray[np.float64]:
        """P(x = 0) of every feature, ``(features,)``."""
        segment = slice(condition * self.features, (condition + 1) * self.features + 1)
        return 1 - np.diff(self.starts[segment]) / max(int(self.rows[condition]), 1)


class SparseCalibration:
    """Calibration of non-negative data with exact zeros (counts, log-normalised expression)."""

    kind = "sparse"

    def __init__(self, target: Margins, model: Margins) -> None:
        self.target, self.model = target, model
        # one ascending key over all segments, so that a single search serves every feature at once; equal drawn values
        # are one atom, `_upto` counts the drawn values up to and with it
        self._top = float(max(model.values.max(initial=0), 1)) + 1
        lengths = np.diff(model.starts)
        keys = np.repeat(np.arange(lengths.size), lengths) * self._top + model.values.astype(np.float64)
        last = np.append(keys[1:] != keys[:-1], True) if keys.size else np.zeros(0, dtype=bool)
        self._atoms = keys[last]
        self._upto = np.concatenate([[0], np.flatnonzero(last) + 1])

    def apply(self, x: Matrix, given: Given, rng: Stream) -> sparse.csr_matrix:
        """Map drawn rows ``(rows, features)``."""
        rows, columns = x.shape
        generator = rng.numpy()
        out = sparse.csr_matrix(x, dtype=np.float32).copy()
        out.sort_indices()
        row = np.repeat(np.arange(rows), np.diff(out.indptr))
        condition = given.condition[row]
        live = self.target.rows[condition] >= FEWEST
        segment = condition * columns + out.indices
        mapped = self._map(segment, out.data, generator)
        data = np.where(live, mapped, out.data).astype(np.float32)
        fresh = self._awaken(out, given, generator)
        out = sparse.csr_matrix((data, out.indices, out.indptr), shape=x.shape) + fresh
        out.eliminate_zeros()
        return out

    def _map(
        self, segment: NDArray[np.intp], value: NDArray[np.float32], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """G⁻¹(F(x)) of non-zero values, spread over the atom of equal drawn values."""
        keys = segment * self._top + np.minimum(value, self._top - 1).astype(np.float64)
        atom = np.searchsorted(self._atoms, keys)
        below = self._upto[atom]
        hit = np.append(self._atoms, np.inf)[atom] == keys
        start = self.model.starts[segment]
        n_model = np.maximum(self.model.rows[segment // self.target.features], 1)
        length = self.model.starts[segment + 1] - start
        # a value between drawn ones has no mass of its own: give it the gap of one drawn row
        upto = np.where(
            hit, self._upto[np.minimum(atom + 1, self._upto.size - 1)], np.minimum(below + 1, start + length)
        )
        place = below + generator.random(len(keys)) * (upto - below) - start
        return self._quantile(segment, 1 - (length - place) / n_model)

    def _quantile(self, segment: NDArray[np.intp], u: NDArray[np.float64]) -> NDArray[np.float32]:
        """G⁻¹(u): zero below the target's share of zeros, else one of its sorted values."""
        start = self.target.starts[segment]
        length = self.target.starts[segment + 1] - start
        n_target = np.maximum(self.target.rows[segment // self.target.features], 1)
        place = np.floor(u * n_target).astype(np.int64) - (n_target - length)
        positive = (place >= 0) & (length > 0)
        position = start + np.clip(place, 0, np.maximum(length - 1, 0))
        if not self.target.values.size:
            return np.zeros(len(u), dtype=np.float32)
        found = self.target.values[np.minimum(position, self.target.values.size - 1)]
        return np.where(positive, found, np.float32(0))

    def _awaken(self, x: sparse.csr_matrix, given: Given, generator: np.random.Generator) -> sparse.csr_matrix:
        """Zeros that must become positive, because the model draws more zeros than the training rows have."""
        rows, columns = x.shape
        found_rows, found_columns, found_u = [], [], []
        for c in np.unique(given.condition):
            if self.target.rows[c] < FEWEST:
                continue
            ours, theirs = self.model.zero_share(c), self.target.zero_share(c)
            short = np.flatnonzero(ours > theirs)
            members = np.flatnonzero(given.condition == c)
            if not short.size:
                continue
            u = generator.random((members.size, short.size), dtype=np.float32) * ours[short]
            r, s = np.nonzero(u > theirs[short])
            found_rows.append(members[r])
            found_columns.append(short[s])
            found_u.append(u[r, s].astype(np.float64))
        if not found_rows:
            return sparse.csr_matrix(x.shape, dtype=np.float32)
        row, column = np.concatenate(found_rows), np.concatenate(found_columns)
        place = np.concatenate(found_u)
        occupied = np.asarray(x[row, column]).ravel() != 0
        row, column, place = row[~occupied], column[~occupied], place[~occupied]
        values = self._quantile(given.condition[row] * columns + column, place)
        return sparse.csr_matrix((values, (row, column)), shape=(rows, columns), dtype=np.float32)

    def state(self) -> State:
        """Both sets of margins."""
        return {
            f"{side}.{name}": np.asarray(getattr(margins, name))
            for side, margins in (("target", self.target), ("model", self.model))
            for name in ("values", "starts", "rows", "features")
        }

    @classmethod
    def from_state(cls, state: State) -> SparseCalibration:
        """Rebuild from `state`."""
        target, model = (
            Margins(state[f"{s}.values"], state[f"{s}.starts"], state[f"{s}.rows"], int(state[f"{s}.features"]))
            for s in ("target", "model")
        )
        return cls(target, model)


class DenseCalibration:
    """Calibration of continuous data: piecewise linear between knots, shifted beyond the outermost."""

    kind = "dense"

    def __init__(self, target: NDArray[np.float32], model: NDArray[np.float32]) -> None:
        self.target, self.model = target, model

    def apply(self, x: Matrix, given: Given, rng: Stream) -> NDArray[np.float32]:
        """Map drawn rows ``(rows, features)``."""
        out = np.array(as_dense(x), dtype=np.float32)
        for c in np.unique(given.condition):
            members = np.flatnonzero(given.condition == c)
            if np.isfinite(self.target[c, 0, 0]):
                out[members] = _piecewise(out[members], self.model[c], self.target[c])
        return out

    def state(self) -> State:
        """Knots ``(conditions, knots, features)`` of both margins; NaN marks a label left alone."""
        return {"target": self.target, "model": self.model}

    @classmethod
    def from_state(cls, state: State) -> DenseCalibration:
        """Rebuild from `state`."""
        return cls(state["target"], state["model"])


def _piecewise(x: NDArray[np.float32], knots: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate every column of ``x`` from ``knots`` to ``values``, both ``(knots, features)`` ascending."""
    out = np.empty_like(x)
    for j in range(x.shape[1]):
        out[:, j] = np.interp(x[:, j], knots[:, j], values[:, j])
    out += np.minimum(x - knots[0], 0) + np.maximum(x - knots[-1], 0)
    return out


Calibration = SparseCalibration | DenseCalibration
KINDS: dict[str, type[SparseCalibration] | type[DenseCalibration]] = {
    "sparse": SparseCalibration,
    "dense": DenseCalibration,
}


def calibrate(
    x: Matrix, given: Given, conditions: int, draw: Callable[[Given, Stream], Matrix], rng: Stream, *, exact_zeros: bool
) -> Calibration:
    """Learn the map from a model's margins to the training margins.

    Args:
        x: training rows ``(rows, features)`` in the model's space.
        given: their conditions.
        conditions: number of conditions.
        draw: the model, ``draw(given, rng)``; called with training conditions resampled within the label.
        rng: randomness of the drawn rows.
        exact_zeros: whether the space has exact zeros and no negatives (counts, log).
    """
    drawn, real = [], []
    for c in range(conditions):
        members = np.flatnonzero(given.condition == c)
        chosen = members[rng.child("rows", c).numpy().integers(members.size, size=DRAWN)]
        real.append(x[members])
        drawn.append(draw(given.take(chosen), rng.child("draw", c)))
    if exact_zeros:
        return SparseCalibration(Margins.of(real), Margins.of(drawn))
    grid = np.linspace(0, 1, min(QUANTILES, max(len(rows) for rows in real)))
    knots = [
        [
            _knots(block, grid) if len(rows) >= FEWEST else np.full((grid.size, x.shape[1]), np.nan)
            for block in (rows, made)
        ]
        for rows, made in ((as_dense(a), as_dense(b)) for a, b in zip(real, drawn, strict=True))
    ]
    target, model = (np.stack([pair[side] for pair in knots]).astype(np.float32) for side in (0, 1))
    return DenseCalibration(target, model)


def _knots(block: NDArray[np.float32], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.quantile(block, grid, axis=0, method="hazen")
