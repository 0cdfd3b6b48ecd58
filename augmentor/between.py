"""Rows between two labels: latent vectors of both, paired, and the way from one to the other, drawn at several places.

    v_a ~ p(v | a), v_b ~ p(v | b)         a pool of `POOL` vectors of either label, paired so that Σ ‖v_a − v_b‖² is least
    v_w = (1−w)·m_a + w·m_b + ((1−w)·d_a + w·d_b) / √((1−w)² + w² + 2·w·(1−w)·ρ),     d = v − m
    x_w ~ p(x | v_w, (1−w)·c_a + w·c_b)    condition inputs and output biases mixed, on the scale of the likelihood's parameter

m are the means of the pools and ρ is the correlation of paired deviations. Optimal pairs are the displacement interpolation of the two
distributions, whose spread does not shrink on the way; with a pool of a few hundred in two dozen dimensions the pairs are not that
near, and the divisor gives the rest back: it is 1 at both ends, and makes the path that of spherical interpolation for standard
normal vectors. Spherical interpolation itself presumes those, and latent densities of labels are not. Margins are calibrated as for
both labels, and mixed likewise. At w = 0 and 1 rows are distributed as those that `sample` draws (before rejection).

Papers: McCann 1997, doi:10.1006/aima.1997.1634 (displacement interpolation); White 2016, arXiv:1609.04468 (spherical).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from augmentor.core.contract import Given, Interpolates
from augmentor.core.dataset import Dataset, Matrix, as_matrix
from augmentor.core.errors import ConfigError, LabelError, did_you_mean, listed
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.fitted import Fitted, no_empty_cells
from augmentor.latent import unable
from augmentor.parts.calibration import Calibration

POOL = 256  # vectors of a label that are paired at once
SIDES = ("start", "end")


def interpolate(fitted: Fitted, start: str, end: str, *, steps: int, n: int, seed: int) -> Dataset:
    """Draw ``n`` rows at each of ``steps`` places between two labels, from the one to the other.

    Args:
        fitted: the generator.
        start: label combination to begin with.
        end: label combination to end with.
        steps: places, both ends included.
        n: paths; row i of every step lies on path i.
        seed: same seed, same rows.

    Returns:
        ``steps · n`` rows, step by step, with ``from``, ``to``, ``step``, ``weight`` (0 at the start, 1 at the end) and ``path`` beside
        them. Rows at the ends have their label, those between none.

    Raises:
        LabelError: a label is unknown, or both are the same.
        ConfigError: the model has no latent space, or a number is out of its bounds.
    """
    model = fitted.model
    if not isinstance(model, Interpolates):
        raise unable(fitted, Interpolates, "cannot draw rows between labels")
    for what, number, least in (("steps", steps, 2), ("n", n, 1)):
        if number < least:
            raise ConfigError(f"{what} must be at least {least}, not {number}.")
    ends = (_position(fitted, start), _position(fitted, end))
    if ends[0] == ends[1]:
        raise LabelError(f"both ends are '{start}'; name two different labels of {listed(fitted.conditions, most=30)}.")
    rng = Stream(seed).child("interpolate")
    pools = -(-n // POOL)
    givens = [fitted.given(np.full(pools * POOL, c), rng.child(side))[0] for c, side in zip(ends, SIDES, strict=True)]
    vectors = [model.draw_latents(given, rng.child(side, "latent")) for given, side in zip(givens, SIDES, strict=True)]
    match = np.concatenate([_paired(*(v[k * POOL : (k + 1) * POOL] for v in vectors)) + k * POOL for k in range(pools)])
    givens[1], vectors[1] = givens[1].take(match), vectors[1][match]
    path = _Path.of(*vectors)
    first, last = (given.take(slice(0, n)) for given in givens)
    weights = np.linspace(0, 1, steps)
    blocks = [
        _drawn(fitted, model, path.at(weight, n), first, last, weight, rng.child("step", i))
        for i, weight in enumerate(weights)
    ]
    x = sparse.vstack(blocks, format="csr") if sparse.issparse(blocks[0]) else np.concatenate(blocks)
    codes = np.full((steps, n, len(fitted.schema.labels)), -1, dtype=np.int32)
    codes[0], codes[-1] = (fitted.layout.combinations[c] for c in ends)
    w = weights[:, None, None]
    covariates = np.zeros((steps, n, 0))
    if fitted.covariates is not None:
        own = fitted.covariates.values
        standard = (1 - w) * first.covariates + w * last.covariates
        covariates = standard * own.std(axis=0) + own.mean(axis=0)
    rows = steps * n
    return Dataset(
        x=as_matrix(sparse.csr_matrix(x) if fitted.schema.sparse else x),
        schema=fitted.schema,
        codes=codes.reshape(rows, -1),
        covariates=covariates.reshape(rows, -1),
        names=np.array([f"synthetic_{i}" for i in range(rows)], dtype=object),
        extra={
            "from": np.full(rows, start, dtype=object),
            "to": np.full(rows, end, dtype=object),
            "step": np.repeat(np.arange(steps), n),
            "weight": np.repeat(weights, n),
            "path": np.tile(np.arange(n), steps),
            "synthetic": np.ones(rows, dtype=bool),
        },
    )


@dataclass(frozen=True, eq=False)
class _Path:
    """Paired vectors taken apart into the means of both labels and deviations ``(pairs, dimensions)`` from them."""

    means: tuple[NDArray[np.float64], NDArray[np.float64]]
    deviations: tuple[NDArray[np.float64], NDArray[np.float64]]
    correlation: float

    @classmethod
    def of(cls, a: NDArray[np.floating], b: NDArray[np.floating]) -> _Path:
        """Of the vectors of both labels, row i of one paired with row i of the other."""
        means = (a.mean(axis=0, dtype=np.float64), b.mean(axis=0, dtype=np.float64))
        deviations = (a - means[0], b - means[1])
        spread = [float(np.square(d).sum()) for d in deviations]
        shared = float((deviations[0] * deviations[1]).sum())
        return cls(means, deviations, shared / np.sqrt(spread[0] * spread[1]) if min(spread) > 0 else 0.0)

    def at(self, weight: float, n: int) -> NDArray[np.float64]:
        """Vectors ``(n, dimensions)`` of the first n pairs, ``weight`` of the way from the one label to the other."""
        w, u = weight, 1 - weight
        mean = u * self.means[0] + w * self.means[1]
        deviation = u * self.deviations[0][:n] + w * self.deviations[1][:n]
        return mean + deviation / np.sqrt(u**2 + w**2 + 2 * u * w * max(self.correlation, 0.0))


def _paired(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.intp]:
    """For every vector of ``a`` its partner in ``b``; both in units of the spread within labels."""
    spread = np.sqrt(0.5 * (a.var(axis=0) + b.var(axis=0))).clip(1e-6)
    return np.asarray(linear_sum_assignment(cdist(a / spread, b / spread, "sqeuclidean"))[1])


def _drawn(
    fitted: Fitted,
    model: Interpolates,
    vectors: NDArray[np.float64],
    first: Given,
    last: Given,
    weight: float,
    rng: Stream,
) -> Matrix:
    """Rows of one step ``(n, features)`` in the user's units."""
    x = model.between(vectors, first, last, np.full(len(vectors), weight), rng.child("model"))
    if fitted.calibration is not None:
        x = _calibrated(fitted.calibration, x, first, last, weight, rng.child("calibration"))
    size = None
    if first.size is not None and last.size is not None:
        size = np.exp((1 - weight) * np.log(first.size) + weight * np.log(last.size))
    x = fitted.chain.inverse(x, size, rng.child("inverse"))
    return no_empty_cells(x) if fitted.schema.space is Space.COUNTS else x


def _calibrated(calibration: Calibration, x: Matrix, first: Given, last: Given, weight: float, rng: Stream) -> Matrix:
    """Rows with the margins of either label, mixed; of counts whole numbers again, up or down by chance."""
    if weight == 0:
        return calibration.apply(x, first, rng)
    if weight == 1:
        return calibration.apply(x, last, rng)
    mixed = (1 - weight) * calibration.apply(x, first, rng) + weight * calibration.apply(x, last, rng)
    if not sparse.issparse(mixed):
        return mixed
    mixed = sparse.csr_matrix(mixed)
    mixed.data = np.floor(mixed.data + rng.child("whole").numpy().random(mixed.nnz)).astype(np.float32)
    mixed.eliminate_zeros()
    return mixed


def _position(fitted: Fitted, name: str) -> int:
    known = fitted.conditions
    if name not in known:
        raise LabelError(
            f"'{name}' is not a label of this model.{did_you_mean(name, known)} Known: {listed(known, most=30)}."
        )
    return known.index(name)
