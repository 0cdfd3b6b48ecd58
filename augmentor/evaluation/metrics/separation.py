"""Separation of labels: are rows of one label as close together, and as far from the rest, as in real rows?

Silhouette of a row i: ``(b - a)/max(a, b)``, a its mean distance to the other rows of its label, b the smallest mean distance
to the rows of another label (Rousseeuw 1987), in PC space. PVE of a gene: ``eta^2 = SS between labels / SS total``, in LOG
space. Both are reported as synthetic / real: 1 is right, above 1 labels are caricatures, below 1 they run into each other.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.columns import Vector
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.spaces import Basis

GENES = 200
# Rows of a label without which its distances are noise.
LEAST = 10
# A ratio to less than this silhouette, or share of variance, would be noise.
CLEAR = 0.05

SILHOUETTE = ScoreSpec(
    name="separation.silhouette",
    axis="biology",
    title="separation of labels",
    meaning="Silhouette by label as a multiple of that of held-out rows; above 1 labels are too far apart, below 1 too close.",
    goal="target",
    ideal=1.0,
    bounds=(None, None),
    floor="permuted",
    formula="mean silhouette in PC space, unweighted over labels, S / H; per label where that of H is above 0.05",
    catches="labels that run into each other, caricatures of labels, rows without noise",
    misses="labels that are swapped",
    citation="Rousseeuw 1987",
    interval="subsample",
)
PVE = ScoreSpec(
    name="separation.pve",
    axis="biology",
    title="variance explained by label",
    meaning="Share of a gene's variance that labels explain, as a multiple of that in held-out rows; above 1 is too much.",
    goal="target",
    ideal=1.0,
    bounds=(0.0, None),
    floor="permuted",
    formula="median eta^2 by label over the 200 genes of largest eta^2 on the fitting rows, LOG, S / H",
    catches="too little variation within labels (above 1), attenuated differences (below 1)",
    misses="which label a gene marks",
    interval="subsample",
)


class Metric:
    """Silhouette and variance explained by label."""

    scores = (SILHOUETTE, PVE)
    setup = Setup(floors="named", labelled=True)

    def __init__(self) -> None:
        self._top: WeakKeyDictionary[Basis, NDArray[np.intp]] = WeakKeyDictionary()

    def measure(self, pair: Pair) -> Measures:
        """Compare labels with at least 10 rows on both sides."""
        codes = np.array([i for i, n in enumerate(pair.counts.values()) if n >= LEAST], dtype=np.intp)
        if len(codes) < 2:
            return {spec.name: Measured.none(f"fewer than two labels have {LEAST} rows") for spec in self.scores}
        ours, theirs = (_by_label(side, codes) for side in (pair.synthetic, pair.real))
        per_label = {
            pair.labels[code]: float(s / h) if h > CLEAR else None
            for code, s, h in zip(codes, ours, theirs, strict=True)
        }
        top = self._genes(pair)
        share_s, share_h = (eta_squared(side.log[:, top], side.y, codes) for side in (pair.synthetic, pair.real))
        return {
            SILHOUETTE.name: _ratio(float(ours.mean()), float(theirs.mean()), per_label),
            PVE.name: _ratio(float(np.median(share_s)), float(np.median(share_h)), {}),
        }

    def _genes(self, pair: Pair) -> NDArray[np.intp]:
        """Genes that labels explain best on the fitting rows: chosen on one side, they would favour the other."""
        if pair.basis not in self._top:
            fit = pair.fit
            codes = np.flatnonzero(fit.sample.counts(len(pair.labels)) > 1)
            explained = np.round(eta_squared(fit.log, fit.y, codes), 10)
            self._top[pair.basis] = np.argsort(-explained, kind="stable")[:GENES]
        return self._top[pair.basis]


def _ratio(ours: float, theirs: float, per_label: dict[str, float | None]) -> Measured:
    if theirs <= CLEAR:
        return Measured.none("labels hardly differ in real rows")
    return Measured(ours / theirs, per_label, detail={"synthetic": ours, "real": theirs})


def _by_label(side: Side, codes: NDArray[np.intp]) -> Vector:
    """Return the mean silhouette of every label in ``codes``, among rows of these labels."""
    rows = np.flatnonzero(np.isin(side.y, codes))
    everyone = len(rows) == len(side)
    gaps = side.distances if everyone else side.distances[np.ix_(rows, rows)]
    labels = np.searchsorted(codes, side.y[rows])
    each = silhouettes(gaps, labels)
    return np.bincount(labels, weights=each) / np.bincount(labels)


def silhouettes(gaps: NDArray[np.float64], labels: NDArray[np.intp]) -> Vector:
    """Return the silhouette of every row; ``gaps`` are distances ``(rows, rows)``, labels count from 0, none is empty."""
    sizes = np.bincount(labels).astype(np.float64)
    rows = np.arange(len(labels))
    sums = gaps @ np.eye(len(sizes))[labels]
    own = sums[rows, labels] / np.maximum(sizes[labels] - 1, 1)
    other = sums / sizes
    other[rows, labels] = np.inf
    nearest = other.min(axis=1)
    largest = np.maximum(own, nearest)
    value = np.divide(nearest - own, largest, out=np.zeros_like(own), where=largest > 0)
    return np.where(sizes[labels] > 1, value, 0.0)


def eta_squared(values: NDArray[np.floating], y: NDArray[np.intp], codes: NDArray[np.intp]) -> Vector:
    """Return per column the share of the sum of squares that lies between labels; 0 for a column that does not vary."""
    rows = np.flatnonzero(np.isin(y, codes))
    z = values[rows].astype(np.float64)
    z -= z.mean(axis=0)
    member = (y[rows, None] == codes).astype(np.float64)
    between = np.square(member.T @ z).T @ (1.0 / np.maximum(member.sum(axis=0), 1.0))
    total = np.einsum("ij,ij->j", z, z)
    share = np.divide(between, total, out=np.zeros_like(total), where=total > 1e-9 * len(rows))
    return np.clip(share, 0.0, 1.0)
