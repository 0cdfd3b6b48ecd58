"""Marginal calibration: map every (label, feature) margin of a model monotonically to the training margin.

A generator may have the right dependence and slightly wrong margins. With F the model's margin (from rows drawn at fit
time) and G the training margin, a drawn value becomes G⁻¹(F(x)): ranks, and so the copula, are kept. At an atom (a zero
of a count) F jumps, and the value is spread uniformly over the jump, so that zeros become positive, or positives zero,
exactly as often as the training rows say.

Rows with exact zeros that are drawn together (a block of one label) are also spread evenly: their F(x) are moved into
as many strata of equal width, one row in each, in the order of their ranks (stratified sampling; the one-dimensional
margins of a Latin hypercube, McKay et al. 1979). Each row by itself is distributed as before; as many rows as there are
training rows hold every training value about once, as the training rows do, instead of scattering around their means.

Margins are kept sparse: the sorted non-zero values of every (condition, feature) and the share of what lies below.
Labels with fewer than `FEWEST` rows have no margin worth copying and are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.contract import Given, State
from augmentor.core.dataset import Matrix, as_dense
from augmentor.core.random import Stream

FEWEST = 5
# Rows drawn per condition to learn the model's own margins, as a multiple of the training rows and within bounds: with as
# many as there are training rows, their sampling error alone would shift every mean by a standard error.
DRAWN, LEAST, MOST = 10, 1000, 5000
# Rows of a label drawn together from which on they are stratified: the ranks of fewer say less than F(x) does.
MANY = 20
PIECE = 1000  # drawn at a time
QUANTILES = 101  # most knots of a continuous margin


@dataclass(frozen=True, eq=False)
class Margins:
    """Non-zero values of every (condition, feature) of non-negative data, as atoms: a count has few different values.

    Attributes:
        values: different non-zero values, ascending within each segment.
        upto: ``(atoms + 1,)`` number of non-zeros, over all segments, before each atom.
        starts: ``(conditions × features + 1,)`` segment bounds in ``values``.
        rows: ``(conditions,)`` number of rows behind each condition.
        features: number of features.
    """

    values: NDArray[np.float32]
    upto: NDArray[np.int64]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    features: int

    @classmethod
    def of(cls, blocks: Iterable[Matrix]) -> Margins:
        """Collect the margins of one block of rows per condition; blocks are needed one at a time."""
        values, counts, atoms, rows, features = [], [], [], [], 0
        for block in blocks:
            columns = sparse.csc_matrix(block)
            columns.eliminate_zeros()
            features = columns.shape[1]
            owner = np.repeat(np.arange(features), np.diff(columns.indptr))
            order = np.lexsort((columns.data, owner))
            data, owner = columns.data[order].astype(np.float32), owner[order]
            first = np.append(True, (data[1:] != data[:-1]) | (owner[1:] != owner[:-1]))[: data.size]
            values.append(data[first])
            counts.append(np.diff(np.append(np.flatnonzero(first), data.size)))
            atoms.append(np.bincount(owner[first], minlength=features))
            rows.append(columns.shape[0])
        return cls(
            np.concatenate(values),
            np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64),
            np.concatenate([[0], np.cumsum(np.concatenate(atoms))]).astype(np.int64),
            np.array(rows, dtype=np.int64),
            features,
        )

    @property
    def bounds(self) -> NDArray[np.int64]:
        """``(segments + 1,)`` number of non-zeros before each segment."""
        return self.upto[self.starts]

    def zero_share(self, condition: int) -> NDArray[np.float64]:
        """P(x = 0) of every feature, ``(features,)``."""
        segment = slice(condition * self.features, (condition + 1) * self.features + 1)
        return 1 - np.diff(self.bounds[segment]) / max(int(self.rows[condition]), 1)


class SparseCalibration:
    """Calibration of non-negative data with exact zeros (counts, log-normalised expression)."""

    kind = "sparse"

    def __init__(self, target: Margins, model: Margins) -> None:
        self.target, self.model = target, model
        # one ascending key over all segments, so that a single search serves every feature at once
        self._top = float(max(model.values.max(initial=0), 1)) + 1
        lengths = np.diff(model.starts)
        self._keys = np.repeat(np.arange(lengths.size), lengths) * self._top + model.values.astype(np.float64)
        self._model_bounds, self._target_bounds = model.bounds, target.bounds
        self._sorted = np.repeat(target.values, np.diff(target.upto))

    def apply(self, x: Matrix, given: Given, rng: Stream) -> sparse.csr_matrix:
        """Map drawn rows ``(rows, features)``."""
        rows, columns = x.shape
        generator = rng.numpy()
        out = sparse.csr_matrix(x, dtype=np.float32).copy()
        out.sort_indices()
        together, size = self._together(given.condition)
        row = np.repeat(np.arange(rows), np.diff(out.indptr))
        condition = given.condition[row]
        segment = condition * columns + out.indices
        place = self._place(segment, out.data, generator)
        even = np.flatnonzero(together[row])
        drawn = np.bincount(segment[even], minlength=size.size * columns)
        place[even] = _stratified(segment[even], place[even], size[condition[even]], drawn, generator)
        live = self.target.rows[condition] >= FEWEST
        data = np.where(live, self._quantile(segment, place), out.data).astype(np.float32)
        fresh = self._awaken(out, given, together, drawn.reshape(-1, columns), generator)
        out = sparse.csr_matrix((data, out.indices, out.indptr), shape=x.shape) + fresh
        out.eliminate_zeros()
        return out

    def _together(self, condition: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which rows are spread evenly among themselves, and how many of each condition.

        Of m rows a share m/n (n training rows), so that their mean varies as that of m training rows chosen from the n, by
        (1 - m/n)/m, and not less than real rows do.
        """
        m = np.bincount(condition, minlength=self.target.rows.size)
        size = np.rint(m * np.minimum(1.0, m / np.maximum(self.target.rows, 1))).astype(np.int64)
        size[size < MANY] = 0
        together = np.zeros(len(condition), dtype=bool)
        for c in np.flatnonzero(size):
            together[np.flatnonzero(condition == c)[: size[c]]] = True
        return together, size

    def _place(
        self, segment: NDArray[np.intp], value: NDArray[np.float32], generator: np.random.Generator
    ) -> NDArray[np.float64]:
        """F(x) of non-zero values, spread over the atom of equal drawn values."""
        keys = segment * self._top + np.minimum(value, self._top - 1).astype(np.float64)
        atom = np.searchsorted(self._keys, keys)
        below = self.model.upto[atom]
        hit = np.append(self._keys, np.inf)[atom] == keys
        end = self._model_bounds[segment + 1]
        n_model = np.maximum(self.model.rows[segment // self.target.features], 1)
        # a value between drawn ones has no mass of its own: give it the gap of one drawn row
        after = self.model.upto[np.minimum(atom + 1, self.model.upto.size - 1)]
        upto = np.where(hit, after, np.minimum(below + 1, end))
        return 1 - (end - upto + (1 - generator.random(len(keys))) * (upto - below)) / n_model

    def _quantile(self, segment: NDArray[np.intp], u: NDArray[np.float64]) -> NDArray[np.float32]:
        """G⁻¹(u): zero below the target's share of zeros, else one of its sorted values."""
        start = self._target_bounds[segment]
        length = self._target_bounds[segment + 1] - start
        n_target = np.maximum(self.target.rows[segment // self.target.features], 1)
        place = np.floor(u * n_target).astype(np.int64) - (n_target - length)
        positive = (place >= 0) & (length > 0)
        position = start + np.clip(place, 0, np.maximum(length - 1, 0))
        if not self._sorted.size:
            return np.zeros(len(u), dtype=np.float32)
        found = self._sorted[np.minimum(position, self._sorted.size - 1)]
        return np.where(positive, found, np.float32(0))

    def _awaken(
        self,
        x: sparse.csr_matrix,
        given: Given,
        together: NDArray[np.bool_],
        drawn: NDArray[np.int64],
        generator: np.random.Generator,
    ) -> sparse.csr_matrix:
        """Zeros that must become positive, because the model draws more zeros than the training rows have."""
        rows, columns = x.shape
        found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]] = []
        groups = [(c, even) for c in np.unique(given.condition) for even in (False, True)]
        for c, even in groups:
            members = np.flatnonzero((given.condition == c) & (together == even))
            if self.target.rows[c] < FEWEST or not members.size:
                continue
            m, zeros = members.size, members.size - drawn[c]
            ours, theirs = self.model.zero_share(c), self.target.zero_share(c)
            if even:
                # strata of zeros above the target's share, one that the share cuts with the probability of its upper part
                wanted = np.floor(zeros - m * theirs + generator.random(columns)).astype(np.int64)
                short = np.flatnonzero((wanted > 0) & (zeros > 0))
                need = np.minimum(wanted, zeros)[short]
                # so many candidates that they are enough almost surely; those with the smallest u are taken
                share = (need + 4 * np.sqrt(need) + 4) / zeros[short]
            else:
                short = np.flatnonzero(ours > theirs)
                need, share = np.full(short.size, m), 1 - theirs[short] / ours[short]
            u = generator.random((m, short.size), dtype=np.float32)
            row, column = np.nonzero(u < share.astype(np.float32))
            if not row.size:
                continue
            awake = np.asarray(x[members[row], short[column]]).ravel() != 0
            row, column = row[~awake], column[~awake]
            order = np.lexsort((u[row, column], column))
            row, column = row[order], column[order]
            rank = _ranks(column, np.bincount(column, minlength=short.size))
            taken = rank < need[column]
            row, column, rank = row[taken], column[taken], rank[taken]
            feature = short[column]
            if even:
                high = (zeros[feature] - rank) / m
                low = np.maximum(high - 1 / m, theirs[feature])
            else:
                low, high = theirs[feature], ours[feature]
            found.append((members[row], feature, low + (high - low) * generator.random(len(row))))
        if not found:
            return sparse.csr_matrix(x.shape, dtype=np.float32)
        row, column, place = (np.concatenate(part) for part in zip(*found, strict=True))
        values = self._quantile(given.condition[row] * columns + column, place)
        return sparse.csr_matrix((values, (row, column)), shape=(rows, columns), dtype=np.float32)

    def state(self) -> State:
        """Both sets of margins."""
        return {
            f"{side}.{name}": np.asarray(getattr(margins, name))
            for side, margins in (("target", self.target), ("model", self.model))
            for name in ("values", "upto", "starts", "rows", "features")
        }

    @classmethod
    def from_state(cls, state: State) -> SparseCalibration:
        """Rebuild from `state`."""

        def margins(side: str) -> Margins:
            values, upto, starts, rows = (state[f"{side}.{name}"] for name in ("values", "upto", "starts", "rows"))
            return Margins(values, upto, starts, rows, int(state[f"{side}.features"]))

        return cls(margins("target"), margins("model"))


def _stratified(
    segment: NDArray[np.intp],
    u: NDArray[np.float64],
    together: NDArray[np.int64],
    drawn: NDArray[np.int64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Move each u into the stratum of its rank: one of ``together`` strata of equal width, zeros in the lowest."""
    order = np.argsort(segment + np.clip(u, 0, 1 - 1e-9))
    rank = np.empty(len(u), dtype=np.int64)
    rank[order] = _ranks(segment[order], drawn)
    rank += together - drawn[segment]
    return (rank + generator.random(len(u))) / together


def _ranks(owner: NDArray[np.intp], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each item among those of its owner; owners ascending, ``counts`` items of each."""
    return np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]


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
    members = [np.flatnonzero(given.condition == c) for c in range(conditions)]

    def drawn(c: int) -> Matrix:
        n = int(np.clip(DRAWN * members[c].size, LEAST, MOST))
        chosen = members[c][rng.child("rows", c).numpy().integers(members[c].size, size=n)]
        pieces = [
            draw(given.take(chosen[start : start + PIECE]), rng.child("draw", c, start)) for start in range(0, n, PIECE)
        ]
        return sparse.vstack(pieces, format="csr") if sparse.issparse(pieces[0]) else np.concatenate(pieces)

    if exact_zeros:
        return SparseCalibration(Margins.of(x[rows] for rows in members), Margins.of(map(drawn, range(conditions))))
    grid = np.linspace(0, 1, min(QUANTILES, max(rows.size for rows in members)))
    real, made = [as_dense(x[rows]) for rows in members], [as_dense(drawn(c)) for c in range(conditions)]
    knots = [
        [
            _knots(block, grid) if len(rows) >= FEWEST else np.full((grid.size, x.shape[1]), np.nan)
            for block in (rows, other)
        ]
        for rows, other in zip(real, made, strict=True)
    ]
    target, model = (np.stack([pair[side] for pair in knots]).astype(np.float32) for side in (0, 1))
    return DenseCalibration(target, model)


def _knots(block: NDArray[np.float32], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.quantile(block, grid, axis=0, method="hazen")
