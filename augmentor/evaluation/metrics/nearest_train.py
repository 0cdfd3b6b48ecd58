"""Are synthetic rows nearer to training rows than rows of the same law would be (copying)?

sigma = share of synthetic rows whose nearest real row, among all of T and H, is in T (ties half); pi = n_T/(n_T + n_H);
``excess = (sigma - pi)/(1 - pi)``: 0 for fresh rows, 1 for copies. All training rows take part: among half of them, half of the
copies would lose their original. The reference is real rows that are in neither set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.columns import densities, rounded
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import ENOUGH, Nearest, Pair
from augmentor.evaluation.score import ScoreSpec

# Fewer held-out rows cannot tell near from far.
FEWEST = 8
METHOD = "binomial, and random halves of T and H"
PERCENTILES = (1, 5, 25, 50, 75)

EXCESS = ScoreSpec(
    name="nearest_train.excess",
    axis="privacy",
    title="nearer to training rows",
    meaning="How much more often than chance a synthetic row's nearest real row is a training row; 1 = copies.",
    goal="target",
    ideal=0.0,
    bounds=(None, 1.0),
    formula="(sigma - pi)/(1 - pi), sigma = share of S nearest to T among T and H, pi = n_T/(n_T + n_H), 30 PCs",
    catches="copies, copies with little noise, interpolation between training rows",
    misses="membership that can be inferred otherwise; small distances alone are no privacy evidence",
    interval="none",
    headline=True,
    needs_holdout=True,
)
RATIO = ScoreSpec(
    name="nearest_train.ratio",
    axis="privacy",
    title="distance to the closest training row",
    meaning="The smallest distances to training rows as a multiple of those of held-out rows; near 0 means near copies.",
    goal="target",
    ideal=1.0,
    bounds=(0.0, None),
    formula="5th percentile of distances S to T / that of H to T, 30 PCs",
    catches="near copies in the tail",
    misses="larger is not better: junk is far from everything; denoised rows are near everything",
    interval="none",
    needs_holdout=True,
)


class Metric:
    """Nearest real rows of synthetic rows."""

    scores = (EXCESS, RATIO)
    setup = Setup(rows="copies", order=0)

    def measure(self, pair: Pair) -> Measures:
        """Compare distances to training and to held-out rows."""
        if len(pair.real) < FEWEST:
            reason = f"only {len(pair.real)} held-out rows; {FEWEST} are needed"
            return {spec.name: Measured.none(reason) for spec in self.scores}
        assert pair.train is not None
        near = pair.nearest
        n_train, n_real = len(pair.train), len(pair.real)
        prior = n_train / (n_train + n_real)
        value = excess(near.synthetic_train[:, 0], near.synthetic_real, prior)
        draws = [excess(train, real, prior) for train, real in near.halves]
        sigma = value * (1 - prior) + prior
        # rows of S vary, and so do T and H, half of which are drawn: both parts count
        sd = np.hypot(np.sqrt(sigma * (1 - sigma) / len(pair.synthetic)) / (1 - prior), np.std(draws, ddof=1))
        per_label: dict[str, float | None] = {}
        for code, label in enumerate(pair.labels if len(pair.labels) > 1 else ()):
            rows = pair.synthetic.y == code
            if rows.any():
                part = near.synthetic_train[rows, 0], near.synthetic_real[rows]
                per_label[label] = excess(*part, prior) if rows.sum() >= ENOUGH else None
        detail = {"share_nearest_to_train": sigma, "expected": prior}
        ratio, ratio_sd, more = _ratio(near, pair.stream.child("ratio").numpy())
        missing = None if ratio is not None else "held-out rows coincide with training rows"
        return {
            EXCESS.name: Measured(value, per_label, sd=float(sd), method=METHOD, detail=detail),
            RATIO.name: Measured(
                ratio, sd=ratio_sd, method="bootstrap of both percentiles", detail=more, reason=missing
            ),
        }

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return the distributions of the three nearest distances."""
        if measured["synthetic"][0][EXCESS.name].value is None:
            return {}
        near = frame.pair("copies", "synthetic", 0).nearest
        samples = {
            "synthetic_train": near.synthetic_train[:, 0],
            "synthetic_holdout": near.synthetic_real,
            "holdout_train": near.real_train[:, 0],
        }
        return {"nearest": densities(samples)}


def excess(to_train: NDArray[np.float64], to_real: NDArray[np.float64], prior: float) -> float:
    """Return (sigma - pi)/(1 - pi) from distances to the nearest row of either set."""
    share = np.mean(to_train < to_real) + 0.5 * np.mean(to_train == to_real)
    return float((share - prior) / (1 - prior))


def _ratio(near: Nearest, rng: np.random.Generator) -> tuple[float | None, float | None, dict[str, Any]]:
    synthetic, real = near.synthetic_train, near.real_train
    more = {
        "distance_to_train": _quantiles(synthetic[:, 0], real[:, 0]),
        # distance to the nearest over that to the second nearest: small for copies, whatever the scale
        "neighbour_distance_ratio": _quantiles(_gap(synthetic), _gap(real)),
    }
    base = float(np.quantile(real[:, 0], 0.05))
    if base <= 0:
        return None, None, more
    value = float(np.quantile(synthetic[:, 0], 0.05)) / base
    draws = []
    for _ in range(100):
        some = np.quantile(rng.choice(real[:, 0], len(real)), 0.05)
        if some > 0:
            draws.append(float(np.quantile(rng.choice(synthetic[:, 0], len(synthetic)), 0.05) / some))
    # half the central 68 %: a few draws with a tiny denominator say nothing of the spread
    low, high = np.quantile(draws, [0.16, 0.84]) if draws else (0.0, 0.0)
    return value, float(high - low) / 2, more


def _quantiles(synthetic: NDArray[np.float64], real: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return the same percentiles of both, smallest first: copies show in the first ones."""
    levels = np.array(PERCENTILES) / 100
    ours, theirs = (rounded(np.quantile(values, levels)) for values in (synthetic, real))
    return {"percentiles": [float(p) for p in PERCENTILES], "synthetic": ours, "holdout": theirs}


def _gap(nearest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest over second nearest distance, 1 where both are 0: a row that training repeats singles out nobody."""
    first, second = nearest.T
    return np.divide(first, second, out=np.ones_like(first), where=second > 0)
