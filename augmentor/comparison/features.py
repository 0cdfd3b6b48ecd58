"""What classifiers see of rows: selected genes in LOG space, and components of the rows that a classifier learns from.

    LOG = log1p(x / row total · target)        for counts; other data as it is, each gene divided by its standard deviation

Which genes, the target and the units are fitted on the real training rows of a part and nothing else; synthetic rows are drawn
in the user's units and take the same way. Components belong to a classifier: they are fitted on all rows that it learns from,
synthetic ones included, because directions that few real rows cannot show are what a generator could bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.sparse.linalg import eigsh

from augmentor.core.dataset import Dataset, Matrix, as_dense, column_moments, row_sums
from augmentor.core.space import Space
from augmentor.evaluation.rows import Sample
from augmentor.evaluation.spaces import logged
from augmentor.preprocess import genes as selection
from augmentor.preprocess.numbers import Numbers

Codes = NDArray[np.intp]
COMPONENTS = 30
# Gram matrices larger than this are decomposed by Lanczos: the same few vectors in a fraction of the time
LANCZOS = 300


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of rows.

    Attributes:
        centre: ``(genes,)``.
        directions: ``(genes, components)``, each divided by the standard deviation along it; or all by a tenth of that along
            the first, where the components keep their variances.
    """

    centre: NDArray[np.float32]
    directions: NDArray[np.float32]

    @staticmethod
    def fitted(x: NDArray[np.float32], *, whitened: bool = True) -> Components:
        """Fit to ``(rows, genes)``: at most 30, through the smaller Gram matrix."""
        n, p = x.shape
        centre = x.mean(axis=0)
        z = x - centre
        gram = (z @ z.T if n < p else z.T @ z).astype(np.float64)
        size = len(gram)
        most = min(COMPONENTS, max(n - 1, 1), p)
        if size <= LANCZOS:
            values, vectors = linalg.eigh(gram, subset_by_index=(size - most, size - 1))
        else:
            values, vectors = eigsh(gram, k=most, v0=np.ones(size))
        kept = np.flatnonzero(values > 1e-6 * max(values.max(), 1e-30))[::-1]
        if not len(kept):  # all rows are equal
            return Components(centre, np.zeros((p, 1), dtype=np.float32))
        spread = np.sqrt(values[kept] / n)
        unit = spread if whitened else spread[0] / 10
        vectors = vectors[:, kept] / (unit * np.sqrt(values[kept]) if n < p else unit)
        return Components(centre, (z.T @ vectors if n < p else vectors).astype(np.float32))

    def of(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Project rows ``(rows, genes)``."""
        return np.asarray((x - self.centre) @ self.directions, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as classifiers see them.

    Attributes:
        x: ``(rows, genes)`` LOG values in units of the training rows, most variable gene first.
        y: ``(rows,)`` label positions.
    """

    x: NDArray[np.float32]
    y: Codes

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def components(self) -> Components:
        """Components of these rows."""
        return Components.fitted(self.x)

    def joined(self, other: Rows, some: Codes | None = None) -> Rows:
        """Return these rows, then those of another set (or some of them)."""
        some = np.arange(len(other)) if some is None else some
        return Rows(np.concatenate([self.x, other.x[some]]), np.concatenate([self.y, other.y[some]]))


@dataclass(frozen=True, eq=False)
class Features:
    """The way from a data set to `Rows`.

    Attributes:
        selected: positions of the genes that are modelled and looked at, in the user's order.
        order: ``(genes,)`` positions among those, most variable first.
        space: what the numbers are.
        target: row total that LOG normalises to.
        scale: ``(genes,)`` divisor.
        table: how a mixed table becomes numbers; None for matrices of one kind.
    """

    selected: list[int]
    order: NDArray[np.intp]
    space: Space
    target: float
    scale: NDArray[np.float32]
    table: Numbers | None

    @staticmethod
    def fitted(rows: Dataset, genes: int | None) -> Features:
        """Fit to training rows: at most ``genes`` genes; all columns of a mixed table."""
        space = rows.schema.space
        if space is Space.MIXED:
            table = Numbers.fit(rows.x, rows.schema.levels)
            width = table.of(rows.x).shape[1]
            everything = list(range(rows.features))
            return Features(everything, np.arange(width), space, 1.0, np.ones(width, dtype=np.float32), table)
        few = list(range(rows.features)) if genes is None else selection.select(rows, genes)
        sample = _sample(rows.select(few).x)
        target = max(float(np.median(sample.totals)), 1.0) if space is Space.COUNTS else 1.0
        variance = np.round(column_moments(logged(sample, space, target))[1], 10)
        order = np.argsort(-variance, kind="stable")
        spread = np.sqrt(variance[order]) if space is Space.CONTINUOUS else np.ones(len(order))
        scale = np.where(spread > 0, spread, 1.0).astype(np.float32)
        return Features(few, order, space, target, scale, None)

    def select(self, rows: Dataset) -> Dataset:
        """Return rows with the genes of this space only, in the user's units."""
        return rows.select(self.selected)

    def of(self, rows: Dataset, y: Codes) -> Rows:
        """Look at rows (with the selected genes only) that carry these labels."""
        if self.table is not None:
            return Rows(self.table.of(rows.x), y)
        dense = as_dense(logged(_sample(rows.x), self.space, self.target))[:, self.order]
        return Rows((dense / self.scale).astype(np.float32), y)


def _sample(x: Matrix) -> Sample:
    n = x.shape[0]
    # row hashes serve the copying scores of an evaluation; nothing here reads them
    return Sample(x, np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.uint64), row_sums(x))
