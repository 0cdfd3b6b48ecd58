"""Counts from a known law (negative binomial with factors), and the ways in which they are broken for the controls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy import sparse

from augmentor.core.dataset import Dataset
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Report, Score

GENES, LABELS, FACTORS = 600, ("A", "B", "C", "D"), 6

Rows = tuple[np.ndarray, np.ndarray]


def simulate(rows: int, seed: int, *, effects: float = 1.0) -> Rows:
    """Return counts ``(rows, 600)`` and label positions; the law is fixed, the seed draws rows from it.

    With ``effects`` below 1 the labels' log means are pulled to their common mean, and nothing else changes.
    """
    law = np.random.default_rng(7)
    base = law.normal(0.0, 1.0, GENES)
    effect = law.normal(0.0, 1.2, (len(LABELS), GENES)) * (law.random((len(LABELS), GENES)) < 0.15)
    loadings = law.normal(0.0, 0.6, (FACTORS, GENES)) * (law.random((FACTORS, GENES)) < 0.2)
    if effects != 1.0:
        effect = effect.mean(axis=0) + effects * (effect - effect.mean(axis=0))
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


# --- ways of breaking rows; all return whole counts ---------------------------------------------------------------------


def shrunk(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pull every row half-way to the mean of its label."""
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


def class_means(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Replace every row by the mean of its label."""
    return np.stack([np.rint(x[y == code].mean(axis=0)) for code in range(int(y.max()) + 1)])[y]


def denoised(x: np.ndarray, y: np.ndarray, components: int = 5) -> np.ndarray:
    """Keep what the leading components of the label's log-normalised rows explain, at every row's own depth."""
    total = x.sum(axis=1, keepdims=True)
    log = np.log1p(x / total * 1500)
    out = np.empty_like(x)
    for code in np.unique(y):
        part = log[y == code]
        mean = part.mean(axis=0)
        u, s, v = np.linalg.svd(part - mean, full_matrices=False)
        smooth = np.expm1(np.maximum(mean + (u[:, :components] * s[:components]) @ v[:components], 0.0))
        out[y == code] = np.rint(smooth / smooth.sum(axis=1, keepdims=True) * total[y == code])
    return out


def noisy(x: np.ndarray, rng: np.random.Generator, share: float = 0.01) -> np.ndarray:
    """Add one count to a share of the entries: multiplying counts by 1.01 and rounding would change none."""
    return x + (rng.random(x.shape) < share)


def half_of_label(x: np.ndarray, y: np.ndarray, code: int = 0) -> np.ndarray:
    """Return the rows to keep when one half of a label, cut across its leading component, is lost."""
    log = np.log1p(x[y == code] / x[y == code].sum(axis=1, keepdims=True) * 1000)
    side = np.linalg.svd(log - log.mean(axis=0), full_matrices=False)[0][:, 0] > 0
    return np.concatenate([np.flatnonzero(y == code)[side], np.flatnonzero(y != code)])


def decoded(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Replace every row by the profile of its label at the row's own depth, as the mean of a decoder would."""
    total = x.sum(axis=1, keepdims=True)
    profile = np.stack([x[y == code].sum(axis=0) / x[y == code].sum() for code in range(int(y.max()) + 1)])
    return np.rint(profile[y] * total)


def controls(train: Rows, fresh: Rows) -> dict[str, Callable[[], Rows]]:
    """The controls of METRICS.md section 3: what stands in the place of S, by name.

    Copying controls are made from the training rows, all others from fresh rows of the same law, so that nothing but the
    named defect can be noticed.
    """
    x, y = fresh
    rng = np.random.default_rng

    def kept(rows: np.ndarray) -> Rows:
        return x[rows], y[rows]

    def repeated() -> Rows:
        rows = rng(0).integers(0, len(train[1]), len(train[1]))
        return train[0][rows], train[1][rows]

    return {
        "fresh": lambda: fresh,
        "identity": lambda: train,
        "bootstrap": repeated,
        "noisy": lambda: (noisy(train[0], rng(0)), train[1]),
        "permuted": lambda: (x, rng(0).permutation(y)),
        "independent": lambda: (independent(x, y, rng(0)), y),
        "denoised": lambda: (denoised(x, y), y),
        "means": lambda: (class_means(x, y), y),
        "decoder": lambda: (decoded(x, y), y),
        "shrunk": lambda: (shrunk(x, y), y),
        "half": lambda: kept(half_of_label(x, y)),
        "lost": lambda: kept(np.flatnonzero(y != 2)),
        "flat": lambda: (same_size(x, rng(0)), y),
        "halved": lambda: simulate(len(y), 3, effects=0.5),
        "swapped": lambda: (x, np.array([1, 0, 2, 3])[y]),
        "doubled": lambda: (2 * x, y),
    }


class Bench:
    """Reports on the controls, each evaluated once; known metrics only, cheaper resampling.

    Attributes:
        sets: training, held-out and fresh rows of one law.
    """

    def __init__(self, rows: int = 1200):
        self.sets = {"train": simulate(rows, 1), "holdout": simulate(rows, 2), "fresh": simulate(rows, 3)}
        self._reports: dict[str, Report] = {}

    def report(self, control: str, metrics: Iterable[str], **options: Any) -> Report:
        """Evaluate a control; the metrics and options of the first call are those of all."""
        if control not in self._reports:
            made = controls(self.sets["train"], self.sets["fresh"])[control]()
            real = [dataset(*self.sets[name]) for name in ("train", "holdout")]
            self._reports[control] = evaluate(dataset(*made), *real, metrics=sorted(metrics), **options)
            assert not self._reports[control].failed, self._reports[control].failed
        return self._reports[control]


def z(score: Score) -> float:
    """Return (value - ceiling) / sd; sd from the reported interval (wide where draws are few) and the ceiling's.

    An interval that is cut off at a bound is as wide as its longer half says. Without any spread, equal is 0 and different
    is infinite.
    """
    assert score.value is not None and score.ceiling is not None, f"{score.name}: {score.skipped}"
    difference = score.value - score.ceiling.mean
    half = 0.0
    if score.interval is not None:
        half = max(score.interval.high - score.value, score.value - score.interval.low)
    sd = float(np.hypot(half / 1.96, score.ceiling.sd))
    if sd == 0.0:
        return 0.0 if abs(difference) < 1e-12 else float(np.copysign(np.inf, difference))
    return difference / sd
