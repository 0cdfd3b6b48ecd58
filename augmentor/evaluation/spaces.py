"""The spaces of the comparisons: fixed per-row transforms, selected genes, principal components.

``LOG = log1p(x / row total * target)`` needs no fitting. Gene selection and PCA do; a `Basis` is fitted once, on rows that
belong to neither compared set (or to both alike), and applied by the same code to every set.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.sparse.linalg import eigsh

from augmentor.core.dataset import Matrix, as_dense, column_moments
from augmentor.core.space import Space
from augmentor.evaluation.rows import Sample

if TYPE_CHECKING:
    from augmentor.evaluation.pair import Side

MOST_GENES = 2000
COMPONENTS = 30


def logged(sample: Sample, space: Space, target: float) -> Matrix:
    """Return the rows in LOG space, all genes; data that is not counts is used as it is."""
    if space is not Space.COUNTS:
        return sample.x
    factor = (target / np.where(sample.totals > 0, sample.totals, 1.0)).astype(np.float32)
    if sparse.issparse(sample.x):
        out = sample.x.copy()
        out.data = np.log1p(out.data * np.repeat(factor, np.diff(out.indptr)))
        return out
    return np.log1p(sample.x * factor[:, None])


@dataclass(frozen=True, eq=False)
class Basis:
    """Selected genes and principal components.

    Attributes:
        space: space of the rows.
        target: row total that LOG normalises to.
        genes: positions of at most 2,000 genes, by falling variance (ties by name).
        centre: ``(genes,)`` mean of the fitting rows.
        scale: ``(genes,)`` their standard deviation for continuous data, whose units differ; 1 otherwise.
        components: ``(genes, pcs)`` orthonormal directions.
        fit: the fitting rows.
    """

    space: Space
    target: float
    genes: NDArray[np.intp]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    components: NDArray[np.float64]
    fit: Sample

    @staticmethod
    def fitted(sample: Sample, space: Space, target: float) -> Basis:
        """Fit to rows."""
        values = logged(sample, space, target)
        variance = np.round(column_moments(values)[1], 10)
        genes = np.argsort(-variance, kind="stable")[:MOST_GENES]
        dense = as_dense(values[:, genes]).astype(np.float64)
        centre = dense.mean(axis=0)
        scale = np.ones(len(genes))
        if space is Space.CONTINUOUS:
            spread = dense.std(axis=0)
            scale = np.where(spread > 0, spread, 1.0)
        z = (dense - centre) / scale
        pcs = min(COMPONENTS, max(2, len(sample) // 3), *z.shape)
        return Basis(space, target, genes, centre, scale, _directions(z, pcs), sample)

    @cached_property
    def side(self) -> Side:
        """The fitting rows in every space."""
        from augmentor.evaluation.pair import Side

        return Side(self.fit, self)

    def project(self, dense: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return principal components ``(rows, pcs)`` of rows given in the selected genes."""
        return ((dense - self.centre) / self.scale) @ self.components

    @property
    def digest(self) -> str:
        """A short digest of the fitting rows and selected genes."""
        sha = hashlib.sha256(self.fit.hashes.tobytes())
        sha.update(self.genes.astype(np.int64).tobytes())
        return sha.hexdigest()[:16]


def _directions(z: NDArray[np.float64], pcs: int) -> NDArray[np.float64]:
    """Leading right singular vectors of centred ``z``, through the smaller Gram matrix."""
    n, p = z.shape
    gram = z @ z.T if n < p else z.T @ z
    size = len(gram)
    if size <= 400 or pcs >= size // 2:
        values, vectors = linalg.eigh(gram, subset_by_index=(size - pcs, size - 1))
    else:
        # Lanczos from a fixed start: the same few vectors in a fraction of the time, and the same every time
        values, vectors = eigsh(gram, k=pcs, v0=np.ones(size))
        order = np.argsort(values)
        values, vectors = values[order], vectors[:, order]
    keep = values > 1e-10 * max(values[-1], 1e-30)
    vectors = vectors[:, keep][:, ::-1]
    if n < p:
        vectors = z.T @ vectors / np.sqrt(values[keep][::-1])
    if vectors.shape[1] == 0:
        vectors = np.eye(p, 1)
    return vectors
