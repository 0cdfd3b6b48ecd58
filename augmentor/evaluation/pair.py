"""Two row sets to be compared, with everything that several metrics compute from them, computed once.

Parts of a pair (the rows of a label, a random half) share what the whole has computed: slicing never projects or
normalises again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Matrix, as_dense
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.evaluation.rows import Sample
from augmentor.evaluation.spaces import Basis, logged

# Fewer rows of a label than this: no correlation, classifier or neighbours for the label alone.
ENOUGH = 25
# Rows that are dense at the same time when many are projected.
BLOCK = 4096
# Rows of a matrix of distances that are finished at a time.
PIECE = 64
# Nearest rows that are looked through for those in a random half.
NEAREST = 16


class Side:
    """One of the two row sets, in every space.

    Attributes:
        basis: how they are led into LOG and PC space.
    """

    def __init__(
        self, sample: Sample | None, basis: Basis, whole: Side | None = None, rows: NDArray[np.intp] | None = None
    ):
        self._sample = sample
        self.basis = basis
        self._whole = whole
        self._rows = rows

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def sample(self) -> Sample:
        """The rows in the units of the data; of a part, taken when first asked for."""
        if self._sample is None:
            assert self._whole is not None and self._rows is not None
            return self._whole.sample.take(self._rows)
        return self._sample

    @property
    def x(self) -> Matrix:
        """``(rows, genes)`` in the units of the data, all genes."""
        return self.sample.x

    @cached_property
    def y(self) -> NDArray[np.intp]:
        """Label positions."""
        if self._whole is not None:
            return self._whole.y[self._rows]
        return self.sample.y

    @cached_property
    def log_all(self) -> Matrix:
        """``(rows, genes)`` in LOG space, all genes; sparse where the data is."""
        if self._whole is not None:
            return self._whole.log_all[self._rows]
        return logged(self.sample, self.basis.space, self.basis.target)

    @cached_property
    def log(self) -> NDArray[np.float32]:
        """``(rows, selected genes)`` in LOG space, dense, most variable gene first."""
        if self._whole is not None:
            return self._whole.log[self._rows]
        return as_dense(self.log_all[:, self.basis.genes])

    @cached_property
    def pcs(self) -> NDArray[np.float64]:
        """``(rows, pcs)``."""
        if self._whole is not None:
            return self._whole.pcs[self._rows]
        if len(self) <= BLOCK:
            return self.basis.project(self.log)
        blocks = [self.log_all[start : start + BLOCK, self.basis.genes] for start in range(0, len(self), BLOCK)]
        return np.concatenate([self.basis.project(as_dense(block)) for block in blocks])

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """``(rows, rows)`` Euclidean distances in PC space."""
        if self._whole is not None and self._rows is not None:
            return self._whole.distances[np.ix_(self._rows, self._rows)]
        return distances(self.pcs, self.pcs)

    def origin(self) -> tuple[Side, NDArray[np.intp]]:
        """Return the side that this one is cut from, and the positions of its rows there."""
        if self._whole is None or self._rows is None:
            return self, np.arange(len(self))
        root, rows = self._whole.origin()
        return root, rows[self._rows]

    def take(self, rows: NDArray[np.intp]) -> Side:
        """Return some rows, sharing what is already computed for all."""
        return Side(None, self.basis, self, rows)

    def forget(self) -> None:
        """Let go of what is large and soon computed again: dense rows and distances, and all that a part has cut out."""
        for name in ("log", "distances", *(("sample", "log_all") if self._whole is not None else ())):
            self.__dict__.pop(name, None)


@dataclass(frozen=True)
class Asked:
    """What the user asked for beyond the data.

    Attributes:
        full: whether scores marked ``full`` are wanted.
        quick: whether only the minimum set is wanted: fewer draws, one floor, small classifiers.
        control: label that contrasts are taken against; None for the mean of the other labels.
        gene_sets: names of genes by set.
    """

    full: bool = False
    quick: bool = False
    control: str | None = None
    gene_sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(eq=False)
class Pair:
    """Rows in the place of the synthetic ones, and the real rows they are compared with.

    Attributes:
        arm: synthetic, ceiling, independent, permuted, means or fresh.
        synthetic: the judged rows, whatever the arm.
        real: held-out rows, the same for every arm.
        labels: label names; `Side.y` are positions in them.
        genes: names of all genes.
        covariates: names of the continuous covariates.
        stream: randomness of this arm, fold and draw.
        fold: number of the fold.
        train: rows the generator was fitted on: all of them, for ``training`` as many as there are judged ones.
        plan: label counts that were asked for, if recorded.
        policy: disjoint or symmetric.
        whole: the pair this is a part of, with the positions of its rows on both sides.
        asked: what the user asked for beyond the data.
        principal: whether this is what an arm is judged by, not a label or a half of it.
        every: all judged rows, where ``synthetic`` is a draw of them: for what needs their hashes only; None elsewhere.
    """

    arm: str
    synthetic: Side
    real: Side
    labels: tuple[str, ...]
    genes: tuple[str, ...]
    stream: Stream
    fold: int = 0
    train: Side | None = None
    plan: dict[str, int] | None = None
    policy: str = "disjoint"
    whole: tuple[Pair, NDArray[np.intp], NDArray[np.intp]] | None = None
    covariates: tuple[str, ...] = ()
    asked: Asked = field(default_factory=Asked)
    principal: bool = True
    every: Sample | None = None
    _halves: dict[int, Pair] = field(default_factory=dict, init=False, repr=False)
    _fewer: tuple[int, Pair] | None = field(default=None, init=False, repr=False)

    @property
    def space(self) -> Space:
        """Space of the data."""
        return self.real.basis.space

    @property
    def basis(self) -> Basis:
        """Selected genes and components."""
        return self.real.basis

    @property
    def selected(self) -> list[str]:
        """Names of the selected genes, most variable first."""
        return [self.genes[i] for i in self.basis.genes]

    @property
    def fit(self) -> Side:
        """The rows the basis was fitted on."""
        return self.basis.side

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """``(synthetic, real)`` Euclidean distances in PC space."""
        if self.whole is not None:
            pair, synthetic, real = self.whole
            return pair.distances[np.ix_(synthetic, real)]
        return distances(self.synthetic.pcs, self.real.pcs)

    @cached_property
    def nearest(self) -> Nearest:
        """Distances to the nearest training and held-out rows, in PC space; needs ``train``."""
        return Nearest.of(self)

    @property
    def counts(self) -> dict[str, int]:
        """Smaller number of rows of the two sides, by label."""
        size = len(self.labels)
        both = np.minimum(*(np.bincount(side.y, minlength=size) for side in (self.synthetic, self.real)))
        return {label: int(n) for label, n in zip(self.labels, both, strict=True)}

    def part(self, synthetic: NDArray[np.intp], real: NDArray[np.intp], *names: str | int) -> Pair:
        """Return a pair of some rows of each side; ``names`` lead its randomness away from that of the whole."""
        return replace(
            self,
            synthetic=self.synthetic.take(synthetic),
            real=self.real.take(real),
            stream=self.stream.child(*names),
            whole=(self, synthetic, real),
            principal=False,
            every=None,
        )

    def each_label(self, least: int = ENOUGH) -> Iterator[tuple[str, Pair | None]]:
        """Yield every label that has rows with its part of the pair, or None where it has fewer than ``least``."""
        if len(self.labels) < 2:
            return
        for code, (label, n) in enumerate(self.counts.items()):
            if n >= least:
                rows = np.flatnonzero(self.synthetic.y == code), np.flatnonzero(self.real.y == code)
                yield label, self.part(*rows, "label", label)
            elif (self.real.y == code).any():
                yield label, None

    def fewer(self, most: int) -> Pair:
        """Return at most about ``most`` random rows a side, the same share of every label; the pair itself where it is small."""
        if max(len(self.synthetic), len(self.real)) <= most:
            return self
        if self._fewer is None or self._fewer[0] != most:
            rng = self.stream.child("fewer", most).numpy()
            ours, theirs = (_share(side.y, most / len(side), rng) for side in (self.synthetic, self.real))
            self._fewer = most, replace(self.part(ours, theirs, "fewer", most), principal=self.principal)
        return self._fewer[1]

    def half(self, draw: int) -> Pair:
        """Return a random half of each side, drawn per label without replacement; the same one whenever asked again."""
        if draw not in self._halves:
            rng = self.stream.child("half", draw).numpy()
            parts = _half(self.synthetic.y, rng), _half(self.real.y, rng)
            self._halves[draw] = self.part(*parts, "half", draw, "work")
        return self._halves[draw]

    def forget(self) -> None:
        """Let go of what is large of the judged rows; real rows are those of all arms, but for a part, which has its own."""
        self.__dict__.pop("distances", None)
        self.synthetic.forget()
        if self.whole is not None:
            self.real.forget()
        for part in (*self._halves.values(), *(() if self._fewer is None else self._fewer[1:])):
            part.forget()

    def resampled(self, draw: int) -> Pair:
        """Return both sides resampled per label with replacement, for moment-like scores only."""
        rng = self.stream.child("bootstrap", draw).numpy()
        return self.part(_bootstrap(self.synthetic.y, rng), _bootstrap(self.real.y, rng), "bootstrap", draw, "work")


def distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Euclidean distances ``(rows of a, rows of b)``, by blocks of one matrix product.

    Distances that cancellation could have spoilt (nearly equal rows) are computed again from differences.
    """
    squares_a, squares_b = np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", b, b)
    out = np.empty((len(a), len(b)))
    for start in range(0, len(a), 1024):
        rows = slice(start, start + 1024)
        np.matmul(a[rows], b.T, out=out[rows])
        # everything but the product in pieces that stay in the processor's cache
        for first in range(start, min(start + 1024, len(a)), PIECE):
            some = slice(first, min(first + PIECE, start + 1024))
            piece = out[some]
            sums = squares_a[some, None] + squares_b
            piece *= -2.0
            piece += sums
            sums *= 1e-9
            doubtful = np.nonzero(piece < sums)
            piece[doubtful] = np.square(a[some][doubtful[0]] - b[doubtful[1]]).sum(axis=1)
            np.sqrt(piece, out=piece)
    return out


@dataclass(frozen=True, eq=False)
class Nearest:
    """Distances to nearest rows.

    Attributes:
        synthetic_train: ``(judged rows, 2)`` to the nearest and second nearest training row.
        synthetic_real: ``(judged rows,)`` to the nearest held-out row.
        real_train: ``(real rows, 2)`` of held-out rows to training rows.
        halves: ``(draws, 2, judged rows)`` to the nearest row of random halves of training and of held-out rows.
    """

    synthetic_train: NDArray[np.float64]
    synthetic_real: NDArray[np.float64]
    real_train: NDArray[np.float64]
    halves: NDArray[np.float64]

    @staticmethod
    def of(pair: Pair, draws: int = 10) -> Nearest:
        """Measure in blocks; no matrix of all distances is ever held."""
        assert pair.train is not None
        train, real, judged = pair.train.pcs, pair.real.pcs, pair.synthetic.pcs
        rng = pair.stream.child("nearest").numpy()
        halves = [
            (
                rng.permutation(len(train))[: max(1, len(train) // 2)],
                rng.permutation(len(real))[: max(1, len(real) // 2)],
            )
            for _ in range(draws)
        ]
        near, to_real = np.empty((len(judged), 2)), np.empty(len(judged))
        parts = np.empty((draws, 2, len(judged)))
        for start in range(0, len(judged), 512):
            rows = slice(start, start + 512)
            to_train, block = distances(judged[rows], train), distances(judged[rows], real)
            near[rows], to_real[rows] = _two(to_train), block.min(axis=1)
            parts[:, 0, rows] = _least(to_train, [some for some, _ in halves])
            parts[:, 1, rows] = _least(block, [some for _, some in halves])
        own = [_two(distances(real[start : start + 512], train)) for start in range(0, len(real), 512)]
        return Nearest(near, to_real, np.concatenate(own), parts)


def _least(block: NDArray[np.float64], subsets: list[NDArray[np.intp]]) -> NDArray[np.float64]:
    """Return the smallest entry of every row among the columns of each subset, ``(subsets, rows)``.

    A few of the smallest columns are found once; hardly ever is none of them in a half of all columns.
    """
    rows, columns = block.shape
    few = (
        np.argpartition(block, NEAREST, axis=1)[:, :NEAREST]
        if columns > NEAREST
        else np.tile(np.arange(columns), (rows, 1))
    )
    values = np.take_along_axis(block, few, axis=1)
    out = np.empty((len(subsets), rows))
    for i, subset in enumerate(subsets):
        inside = np.zeros(columns, dtype=bool)
        inside[subset] = True
        out[i] = np.where(inside[few], values, np.inf).min(axis=1)
        missed = np.flatnonzero(np.isinf(out[i]))
        out[i, missed] = block[np.ix_(missed, subset)].min(axis=1)
    return out


def _two(block: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smallest two entries of every row, the first twice where there is only one column."""
    if block.shape[1] == 1:
        return np.repeat(block, 2, axis=1)
    return np.partition(block, 1, axis=1)[:, :2]


def _share(y: NDArray[np.intp], share: float, rng: np.random.Generator) -> NDArray[np.intp]:
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    steps = np.floor(np.arange(len(y) + 1) * share)
    # by position in the label-sorted shuffle, so that sides of equal label counts stay so
    return np.sort(order[np.diff(steps) > 0])


def _half(y: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    # every second row of the label-sorted shuffle is half of every label; odd ones take turns
    first = int(rng.integers(2)) if len(y) > 1 else 0
    return np.sort(order[first::2])


def _bootstrap(y: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    parts = [np.flatnonzero(y == code) for code in np.unique(y)]
    return np.sort(np.concatenate([rng.choice(rows, len(rows)) for rows in parts]))
