"""Counts from a known law (negative binomial with factors), and the ways in which they are broken for the controls."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from augmentor.core.dataset import Dataset
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space

GENES, LABELS, FACTORS = 600, ("A", "B", "C", "D"), 6


def simulate(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return counts ``(rows, 600)`` and label positions; the law is fixed, the seed draws rows from it."""
    law = np.random.default_rng(7)
    base = law.normal(0.0, 1.0, GENES)
    effect = law.normal(0.0, 1.2, (len(LABELS), GENES)) * (law.random((len(LABELS), GENES)) < 0.15)
    loadings = law.normal(0.0, 0.6, (FACTORS, GENES)) * (law.random((FACTORS, GENES)) < 0.2)
    rng = np.random.default_rng([seed, 11])
    y = np.arange(rows) % len(LABELS)
    mu = np.exp(base + effect[y] + rng.normal(size=(rows, FACTORS)) @ loadings)
    size = 1500 * np.exp(rng.normal(0.0, 0.4, rows))
    mu = mu / mu.sum(axis=1, keepdims=True) * size[:, None]
    return rng.poisson(rng.gamma(4.0, mu / 4.0)).astype(np.float32), y


def dataset(
    x: np.ndarray,
    y: np.ndarray,
    *,
    space: Space = Space.COUNTS,
    labels: tuple[str, ...] = LABELS,
    genes: tuple[str, ...] | None = None,
    dense: bool = False,
    groups: np.ndarray | None = None,
) -> Dataset:
    """Wrap a matrix; ``y`` are positions in ``labels``."""
    names = genes or tuple(f"g{i:03d}" for i in range(x.shape[1]))
    schema = Schema(space=space, features=names, labels=(LabelColumn(name="type", categories=labels),))
    stored = x if dense else sparse.csr_matrix(x)
    return Dataset.checked(stored, schema, np.asarray(y)[:, None], groups=groups)


def shrunk(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pull every row half-way to the mean of its label, in whole counts."""
    out = x.copy()
    for code in np.unique(y):
        out[y == code] = np.rint((x[y == code] + x[y == code].mean(axis=0)) / 2)
    return out


def independent(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle every gene within label."""
    out = x.copy()
    for code in np.unique(y):
        out[y == code] = rng.permuted(x[y == code], axis=0)
    return out


def same_size(x: np.ndarray, rng: np.random.Generator, total: int = 1500) -> np.ndarray:
    """Draw every row again with the same total."""
    return np.stack([rng.multinomial(total, row / row.sum()) for row in x.astype(np.float64)]).astype(np.float32)
