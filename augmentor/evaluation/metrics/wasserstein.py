"""Wasserstein distances in PC space: how far rows must be moved to turn synthetic into held-out rows.

``sliced``: ``sqrt(mean over directions u of W2(S u, H u)^2)``, 500 fixed random unit directions. ``w1_exact``: the mean distance of
the cheapest one-to-one assignment of at most 1,000 rows a side, as many of every label. Both depend on the number of rows and of
components: only the ceiling tells what is small. Both reward shrinkage -- denoised rows score 2.85 where real ones score 2.93 --
so each carries the dispersion ratio, the variance within labels as a multiple of the real one, in the same space.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.core.random import Stream
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, distances
from augmentor.evaluation.score import ScoreSpec

DIRECTIONS = 500
ASSIGNED_ROWS = 1000

SHRINKAGE = "rewards rows with too little variation: read the dispersion ratio beside it"
SLICED = ScoreSpec(
    name="wasserstein.sliced",
    axis="fidelity",
    title="sliced Wasserstein distance",
    meaning="How far synthetic rows lie from held-out ones along random directions; compare with the ceiling.",
    goal="minimize",
    ideal=None,
    bounds=(0.0, None),
    floor="independent",
    formula="sqrt of the mean over 500 fixed random unit directions of the squared 2-Wasserstein distance, 30 PCs",
    catches="rows in the wrong places, groups of the wrong size",
    misses=f"{SHRINKAGE}; groups that cancel along most directions",
    citation="Rabin et al. 2011; Bonneel et al. 2015",
    interval="subsample",
)
EXACT = ScoreSpec(
    name="wasserstein.w1_exact",
    axis="fidelity",
    title="Wasserstein distance",
    meaning="Mean distance from synthetic rows to the held-out rows they are paired with; compare with the ceiling.",
    goal="minimize",
    ideal=None,
    bounds=(0.0, None),
    floor="independent",
    formula="mean distance of the cheapest one-to-one assignment of at most 1,000 rows a side, Euclidean, 30 PCs",
    catches="rows in the wrong places, lost groups",
    misses=SHRINKAGE,
    citation="Kantorovich 1942",
    interval="subsample",
)

Table = NDArray[np.float64]


class Metric:
    """Transport of synthetic rows onto held-out rows."""

    scores = (SLICED, EXACT)
    setup = Setup(alternate=True, floors="named")

    def measure(self, pair: Pair) -> Measures:
        """Return both distances, pooled and per label."""
        parts = dict(pair.each_label())
        shared = {"dispersion_ratio": dispersion(pair)}
        out = {}
        for spec, distance in ((SLICED, _sliced), (EXACT, _assigned)):
            value, more = distance(pair)
            per_label = {label: None if part is None else distance(part)[0] for label, part in parts.items()}
            out[spec.name] = Measured(value, per_label, detail=shared | more)
        return out


def _sliced(pair: Pair) -> tuple[float, dict[str, Any]]:
    return sliced(pair.synthetic.pcs, pair.real.pcs), {"directions": DIRECTIONS}


def _assigned(pair: Pair) -> tuple[float, dict[str, Any]]:
    a, b = _equal_rows(pair)
    return assigned(pair.synthetic.pcs[a], pair.real.pcs[b]), {"rows": len(a)}


def sliced(a: Table, b: Table) -> float:
    """Return the sliced 2-Wasserstein distance of ``(rows of a, dims)`` and ``(rows of b, dims)``."""
    directions = _directions(a.shape[1])
    low, high = (np.sort(directions @ side.T, axis=1) for side in (a, b))
    # quantile functions are steps at multiples of 1/m and 1/n; between two steps of either both are constant
    ends = np.union1d(np.arange(1, len(a) + 1) / len(a), np.arange(1, len(b) + 1) / len(b))
    width = np.diff(ends, prepend=0.0)
    middle = ends - width / 2
    at_a, at_b = (np.minimum((middle * len(side)).astype(np.intp), len(side) - 1) for side in (a, b))
    return float(np.sqrt(np.mean(np.square(low[:, at_a] - high[:, at_b]) @ width)))


def assigned(a: Table, b: Table) -> float:
    """Return the 1-Wasserstein distance of two sets of equally many rows."""
    from scipy.optimize import linear_sum_assignment

    cost = distances(a, b)
    return float(cost[linear_sum_assignment(cost)].mean())


def dispersion(pair: Pair) -> float | None:
    """Return the variance within labels of the synthetic rows over that of the real ones, all components together."""
    spread = []
    for side in (pair.synthetic, pair.real):
        codes, group = np.unique(side.y, return_inverse=True)
        size = np.bincount(group)
        means = np.stack([np.bincount(group, weights=column) for column in side.pcs.T], axis=1) / size[:, None]
        spread.append(float(np.square(side.pcs - means[group]).sum()) / max(len(side) - len(codes), 1))
    return spread[0] / spread[1] if spread[1] > 0 else None


@lru_cache(maxsize=4)
def _directions(dims: int) -> Table:
    """The same directions for every arm and every evaluation: ``(directions, dims)`` of length 1."""
    drawn = Stream(0).child("wasserstein", dims).numpy().normal(size=(DIRECTIONS, dims))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float64)


def _equal_rows(pair: Pair) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return positions of equally many random rows of every label on both sides, at most 1,000 in all."""
    sizes = np.array(list(pair.counts.values()))
    if sizes.sum() > ASSIGNED_ROWS:
        sizes = np.where(sizes > 0, np.maximum(1, sizes * ASSIGNED_ROWS // sizes.sum()), 0)
    rng = pair.stream.child("wasserstein").numpy()
    chosen = []
    for side in (pair.synthetic, pair.real):
        rows = rng.permutation(len(side))
        kept = [rows[side.y[rows] == code][:size] for code, size in enumerate(sizes)]
        chosen.append(np.sort(np.concatenate(kept)))
    return chosen[0], chosen[1]
