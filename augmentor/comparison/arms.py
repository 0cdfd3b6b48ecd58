"""The arms: ways to make more training rows, each from the rows that the classifier sees and no others.

    duplicate         the real rows of a label once more, in turn: more weight, no information
    bootstrap_noise   rows drawn again, plus 0.1 within-label standard deviations of noise
    any model         fitted to the real rows of the part, through the same code as `Augmentor.fit`
    model+unlabelled  the same, fitted to the labelled rows and to those without a label that were given one

How many rows of which label: ``ratio`` x the real rows in all, poured onto the smallest labels first, so that labels end as
equal as the number allows. Every arm gets the same numbers; where rows without a label are learned from, they count as real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Dataset, Matrix, as_dense, as_matrix, row_sums
from augmentor.core.progress import Stop, never
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.fitting import fit
from augmentor.preparing import Options, prepare
from augmentor.sampling import LabelPlan, concatenate, draw

Codes = NDArray[np.intp]
# rows wanted per label position, and a seed -> rows in the user's units, their labels in `Dataset.codes`
Sampler = Callable[[Codes, int], Dataset]
# training rows, their label positions, and a seed -> a sampler
Generator = Callable[[Dataset, Codes, int], Sampler]

NOISE = 0.1
# what the name of a model ends with where it also learns from rows without a label
TAUGHT = "+unlabelled"
SIMPLE = ("duplicate", "bootstrap_noise", "smote", "gaussian")


def wanted(counts: Codes, ratio: float) -> Codes:
    """Return the rows to add to every label: ``ratio`` x all rows, poured onto the smallest labels first.

    A larger ratio never asks for fewer rows of any label, so that the draws of the largest serve them all. Labels without
    real rows get none.

    Args:
        counts: ``(labels,)`` real rows.
        ratio: rows to add, as a multiple of the real ones.
    """
    present = counts > 0
    total = round(ratio * int(counts.sum()))
    if total == 0:
        return np.zeros_like(counts)
    low, high = int(counts[present].min()), int(counts.max()) + total
    while low < high:  # the highest level that all labels can be lifted to
        middle = (low + high + 1) // 2
        if int(np.maximum(middle - counts[present], 0).sum()) <= total:
            low = middle
        else:
            high = middle - 1
    out = np.where(present, np.maximum(low - counts, 0), 0)
    at_level = np.flatnonzero(present & (counts <= low))
    out[at_level[: total - int(out.sum())]] += 1
    return out


def generators(names: Sequence[str], space: Space, stop: Stop = never) -> dict[str, Generator]:
    """Return the generator of every arm that can make rows of this space, simple arms first.

    Args:
        names: models, by registry name.
        space: space of the data.
        stop: asked while a model trains whether to stop.

    Raises:
        ConfigError: a name is not a model.
    """
    out: dict[str, Generator] = {}
    for name in dict.fromkeys([*SIMPLE, *names]):
        if name == "duplicate":
            out[name] = duplicate
        elif name == "bootstrap_noise":
            if space is not Space.MIXED:  # noise on categories means nothing
                out[name] = bootstrap_noise
        elif space is not Space.MIXED or Space.MIXED in MODELS.get(name).spec.spaces:
            out[name] = of_model(name, stop)
    return out


def of_model(name: str, stop: Stop = never) -> Generator:
    """Return the generator that fits a model of the registry."""
    MODELS.get(name)

    def generator(rows: Dataset, y: Codes, seed: int) -> Sampler:
        options = Options(model=name, seed=seed, holdout=0.0, rare="keep", partial=True, stop=stop)
        fitted = fit(prepare(replace(rows, groups=None, extra={}), options), options)
        position = {tuple(codes): int(code) for codes, code in zip(rows.codes.tolist(), y, strict=True)}
        order = [position[codes] for codes in fitted.layout.combinations]

        def sampler(counts: Codes, seed: int) -> Dataset:
            return draw(fitted, LabelPlan(tuple(int(counts[code]) for code in order)), seed)

        return sampler

    return generator


def duplicate(rows: Dataset, y: Codes, seed: int) -> Sampler:
    """Repeat the rows of every label in turn, in random order."""

    def sampler(counts: Codes, seed: int) -> Dataset:
        rng = Stream(seed).child("duplicate").numpy()
        taken = []
        for code in np.flatnonzero(counts):
            own = rng.permutation(np.flatnonzero(y == code))
            taken.append(np.resize(own, counts[code]))
        return rows.take(np.concatenate(taken))

    return sampler


def bootstrap_noise(rows: Dataset, y: Codes, seed: int) -> Sampler:
    """Draw rows again within their label and add noise; counts on the log scale, then rounded at random."""

    def sampler(counts: Codes, seed: int) -> Dataset:
        rng = Stream(seed).child("bootstrap_noise").numpy()
        parts = []
        for code in np.flatnonzero(counts):
            own = rows.take(np.flatnonzero(y == code))
            chosen = rng.integers(len(own), size=int(counts[code]))
            x, scale = _continuous(own)
            made = x[chosen] + NOISE * x.std(axis=0) * rng.standard_normal((len(chosen), x.shape[1]))
            parts.append(replace(own.take(chosen), x=_back(made, own, scale[chosen], rng)))
        return concatenate(parts)

    return sampler


def _continuous(rows: Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, total = as_dense(rows.x).astype(np.float64), np.ones(len(rows))
    if rows.schema.space is Space.COUNTS:
        total = np.maximum(row_sums(rows.x), 1.0) / 1e4
        x = np.log1p(x / total[:, None])
    return x, total


def _back(made: NDArray[np.float64], like: Dataset, scale: NDArray[np.float64], rng: np.random.Generator) -> Matrix:
    if like.schema.space is Space.COUNTS:
        counts = np.expm1(np.maximum(made, 0.0)) * scale[:, None]
        made = np.floor(counts + rng.random(counts.shape) * (counts > 0))
    elif like.schema.space is Space.LOG:
        made = np.maximum(made, 0.0)
    return as_matrix(sparse.csr_matrix(made) if sparse.issparse(like.x) else made)
