"""The arms: real rows that were broken in a known way, and drawing equally many rows of every label."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Matrix, row_sums
from augmentor.core.random import Stream
from augmentor.evaluation.rows import Sample, hashed, regrouped
from augmentor.evaluation.tables import Table

FLOORS = ("independent", "permuted", "means")
# Rows of the means arm repeat one row per label; more of them say nothing more and are dense.
MEANS_ROWS = 40


def draw(sample: Sample, sizes: NDArray[np.intp], stream: Stream, among: NDArray[np.intp] | None = None) -> Sample:
    """Return ``sizes[c]`` random rows of every label c (all it has, if fewer), without replacement.

    Args:
        sample: rows to draw from.
        sizes: ``(labels,)`` wanted rows.
        stream: randomness.
        among: positions to draw from; all if None.
    """
    rng = stream.numpy()
    rows = np.arange(len(sample)) if among is None else among
    rows = rng.permutation(rows)
    y = sample.y[rows]
    kept = [rows[np.flatnonzero(y == code)[:size]] for code, size in enumerate(sizes) if size > 0]
    return sample.take(np.sort(np.concatenate(kept)) if kept else np.zeros(0, dtype=np.intp))


def independent(sample: Sample, stream: Stream) -> Sample:
    """Shuffle every column within label: right marginals per label, no dependence between genes, nor on covariates."""
    rng = stream.numpy()
    if sample.table is not None:
        return Sample.of_table(sample.table.shuffled(sample.y, rng), sample.y)
    parts, order = [], []
    for code in np.unique(sample.y):
        rows = np.flatnonzero(sample.y == code)
        parts.append(_shuffled(sample.x[rows], rng))
        order.append(rows)
    rows = np.concatenate(order)
    covariates = None if sample.covariates is None else sample.covariates[rows]
    return replace(_rebuilt(_stacked(parts), sample.y[rows]), covariates=covariates)


def permuted(sample: Sample, stream: Stream) -> Sample:
    """Permute labels over rows: right rows, meaningless labels."""
    return regrouped(sample, stream.numpy().permutation(sample.y))


def means(sample: Sample, sizes: NDArray[np.intp]) -> Sample:
    """Repeat the mean row of every label: right means (and library size), no variation."""
    if sample.table is not None:
        return _central(sample.table, sample.y, np.minimum(sizes, MEANS_ROWS))
    parts, y = [], []
    for code, size in enumerate(np.minimum(sizes, MEANS_ROWS)):
        rows = np.flatnonzero(sample.y == code)
        if len(rows) and size:
            mean = np.asarray(sample.x[rows].mean(axis=0, dtype=np.float64), dtype=np.float32).reshape(1, -1)
            row = sparse.csr_matrix(mean) if sparse.issparse(sample.x) else mean
            parts += [row] * int(size)
            y += [code] * int(size)
    return _rebuilt(_stacked(parts), np.array(y, dtype=np.intp))


def _central(table: Table, y: NDArray[np.intp], sizes: NDArray[np.intp]) -> Sample:
    """The same for a mixed table: means of numbers, most frequent categories."""
    codes = np.array([code for code in np.flatnonzero(sizes) if (y == code).any()], dtype=np.intp)
    centres = [table.take(np.flatnonzero(y == c)).centre().take(np.zeros(sizes[c], dtype=np.intp)) for c in codes]
    return Sample.of_table(reduce(Table.joined, centres), np.repeat(codes, sizes[codes]))


def _stacked(parts: list[Matrix]) -> Matrix:
    if not sparse.issparse(parts[0]):
        return np.concatenate(parts)
    x = sparse.csr_matrix(sparse.vstack(parts))
    x.sort_indices()
    return x


def _rebuilt(x: Matrix, y: NDArray[np.intp]) -> Sample:
    return Sample(x, y, hashed(x), row_sums(x))


def _shuffled(x: Matrix, rng: np.random.Generator) -> Matrix:
    if not sparse.issparse(x):
        return rng.permuted(x, axis=0)
    columns = x.tocsc()
    blocks = []
    for start in range(0, columns.shape[1], 512):
        blocks.append(sparse.csr_matrix(rng.permuted(columns[:, start : start + 512].toarray(), axis=0)))
    return sparse.csr_matrix(sparse.hstack(blocks))
