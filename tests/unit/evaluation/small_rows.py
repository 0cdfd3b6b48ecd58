"""A pair of small row sets without an evaluation around it."""

from __future__ import annotations

import numpy as np

from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.rows import Sample, hashed
from augmentor.evaluation.spaces import Basis


def sample(x: np.ndarray, y: np.ndarray | None = None) -> Sample:
    x = np.ascontiguousarray(x, dtype=np.float32)
    y = np.zeros(len(x), dtype=np.intp) if y is None else y.astype(np.intp)
    return Sample(x, y, hashed(x), x.sum(axis=1, dtype=np.float64))


def pair(a: np.ndarray, b: np.ndarray, y: np.ndarray | None = None, *, fit: np.ndarray | None = None) -> Pair:
    """Continuous rows ``a`` in the place of the synthetic ones against ``b``; labels ``y`` are those of both."""
    basis = Basis.fitted(sample(b if fit is None else fit), Space.CONTINUOUS, 1.0)
    labels = ("all rows",) if y is None else tuple(f"c{i}" for i in range(int(y.max()) + 1))
    genes = tuple(f"g{i}" for i in range(a.shape[1]))
    sides = Side(sample(a, y), basis), Side(sample(b, y), basis)
    return Pair("synthetic", *sides, labels, genes, Stream(0), policy="symmetric")
