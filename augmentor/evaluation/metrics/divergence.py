"""Kullback-Leibler and Jensen-Shannon divergence of single genes, over bins shared by both sets, and of a few components jointly.

Bins come from the fitting rows: where at least 5 % of the values are 0, one bin is exactly {0}; the other values fall into
quantile bins, the outermost open, so that nothing falls outside. ``p = (count + 1/2)/(n + K/2)``. KL in nats; JS in bits, the
divergence and not its square root. Two equal laws are ``(K - 1)/2 (1/n_S + 1/n_H)`` apart on average: the ceiling is not 0.

Jointly, KL(real ‖ synthetic) by nearest neighbours (Wang, Kulkarni & Verdú 2009) in the first 5 PCs,
``d/n sum ln(nu_k / rho_k) + ln(m/(n - 1))``, rho among real rows and nu to synthetic ones, k = 5, and between Gaussians in the
first 10. Neighbours are biased in more dimensions or with fewer than 100 rows; the sign may be negative and is not clipped.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec

GENES, LABEL_GENES = 500, 200
MOST_BINS = 30
ZERO_SHARE = 0.05


def _spec(part: str, title: str, meaning: str, formula: str, catches: str, most: float | None) -> ScoreSpec:
    return ScoreSpec(
        name=f"divergence.{part}",
        axis="fidelity",
        title=title,
        meaning=meaning,
        goal="minimize",
        ideal=0.0,
        bounds=(0.0, most),
        floor="means",
        formula=formula,
        catches=catches,
        misses="dependence between genes",
        interval="subsample",
    )


PARTS = {
    "kl_forward": _spec(
        "kl_forward",
        "KL(real ‖ synthetic)",
        "Information lost per gene when synthetic rows stand for real ones; punishes values that never occur.",
        "mean over genes of sum p_H ln(p_H / p_S), per label, unweighted mean",
        "missing modes",
        None,
    ),
    "kl_backward": _spec(
        "kl_backward",
        "KL(synthetic ‖ real)",
        "The reverse; punishes values that real rows do not have.",
        "mean over genes of sum p_S ln(p_S / p_H), per label, unweighted mean",
        "invented values",
        None,
    ),
    "jsd": _spec(
        "jsd",
        "Jensen-Shannon divergence",
        "Symmetric divergence per gene, between 0 and 1.",
        "mean over genes of (KL(p‖m) + KL(q‖m)) / 2 with log2, m = (p + q)/2, per label, unweighted mean",
        "both",
        1.0,
    ),
}

LATENT = ScoreSpec(
    name="divergence.latent",
    axis="fidelity",
    title="KL in 5 components",
    meaning="Information lost when synthetic rows stand for real ones in five components; compare with the ceiling.",
    goal="minimize",
    ideal=0.0,
    floor="independent",
    formula="nearest-neighbour estimate (k = 5) of KL(H ‖ S) in the first 5 PCs, distinct rows, per label, unweighted mean",
    catches="joint shifts in few dimensions, lost groups of rows",
    misses="everything outside the first five components; rows drawn together may lie below the ceiling; biased with few rows",
    citation="Wang, Kulkarni & Verdú 2009",
    interval="subsample",
)
GAUSSIAN = ScoreSpec(
    name="divergence.gaussian",
    axis="fidelity",
    title="Gaussian KL in 10 components",
    meaning="The same in ten components by means and covariances alone.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, None),
    floor="independent",
    formula="KL of the Gaussians of H and S in the first 10 PCs, 0.1 % of the mean real variance added, per label, unweighted mean",
    catches="wrong means, variances and covariances of the leading components",
    misses="everything beyond the first two moments",
    citation="Kullback & Leibler 1951",
    interval="subsample",
)
LATENT_PCS, LATENT_NEIGHBOURS, GAUSSIAN_PCS = 5, 5, 10
# Fewer rows of a label than this say little of a joint law; random halves of its rows stand for the whole.
LATENT_ROWS = 100
RIDGE = 1e-3

Table = NDArray[np.float64]
# quantile edges per gene, and whether it has a bin for exact zeros
Bins = list[tuple[NDArray[np.float64], bool]]


class Metric:
    """Binned divergences of single genes, and joint ones of few components."""

    scores = (*PARTS.values(), LATENT, GAUSSIAN)
    setup = Setup(alternate=True, floors="named")

    def __init__(self) -> None:
        # bins per basis and number of bins: the same for every arm, so they are made once
        self._bins: dict[tuple[str, int, int], Bins] = {}

    def measure(self, pair: Pair) -> Measures:
        """Return the three divergences averaged over genes, and the two of components."""
        pooled, detail = self._mean(pair, GENES)
        labels = {
            label: None if part is None else self._mean(part, LABEL_GENES)[0] for label, part in pair.each_label()
        }
        out = {}
        for part, spec in PARTS.items():
            per_label = {label: None if item is None else item[part] for label, item in labels.items()}
            out[spec.name] = Measured.over_labels(
                None if pooled is None else pooled[part],
                per_label,
                fallback=not any(labels.values()),
                detail=detail,
                reason="every gene is constant",
            )
        return out | _joint(pair)

    def _mean(self, pair: Pair, genes: int) -> tuple[dict[str, float] | None, dict[str, Any]]:
        a, b = pair.synthetic.log[:, :genes], pair.real.log[:, :genes]
        most = min(MOST_BINS, math.ceil(2 * min(len(a), len(b)) ** (1 / 3)))
        if pair.policy == "disjoint":
            key = (pair.basis.digest, most, genes)
            if key not in self._bins:
                self._bins[key] = [bins(column, most) for column in pair.fit.log[:, :genes].T]
            chosen = self._bins[key]
        else:
            chosen = [bins(column, most) for column in np.concatenate([a, b])[:, :genes].T]
        found = [divergences(a[:, j], b[:, j], *chosen[j]) for j in range(a.shape[1])]
        usable = [item for item in found if item is not None]
        detail = {
            "genes": len(usable),
            "excluded": len(found) - len(usable),
            "most_bins": most,
            "smoothing": 0.5,
            "edges": "fitting rows" if pair.policy == "disjoint" else "both sets",
        }
        if not usable:
            return None, detail
        mean = np.mean(usable, axis=0)
        return {part: float(value) for part, value in zip(PARTS, mean, strict=True)}, detail


def bins(values: NDArray[np.float32], most: int) -> tuple[NDArray[np.float64], bool]:
    """Return inner edges (at most ``most`` bins in all) and whether exact zeros have a bin of their own."""
    zero = bool(np.mean(values == 0) >= ZERO_SHARE)
    rest = values[values != 0] if zero else values
    inner = most - 2 if zero else most - 1
    if rest.size == 0 or inner < 1:
        return np.zeros(0), zero
    edges = np.unique(np.quantile(rest.astype(np.float64), np.linspace(0, 1, inner + 2)[1:-1]))
    # an edge at the smallest value would make an empty bin below it
    return edges[edges > rest.min()], zero


def divergences(
    a: NDArray[np.float32], b: NDArray[np.float32], edges: NDArray[np.float64], zero: bool
) -> tuple[float, float, float] | None:
    """Return KL(b‖a), KL(a‖b) in nats and the JS divergence in bits of one gene; None if it is constant and differs."""
    size = len(edges) + 1 + int(zero)
    if size < 2:
        return (0.0, 0.0, 0.0) if a[0] == b[0] and np.ptp(a) == 0 and np.ptp(b) == 0 else None
    p, q = (_share(values, edges, zero, size) for values in (b, a))
    middle = (p + q) / 2
    forward, backward = float(np.sum(p * np.log(p / q))), float(np.sum(q * np.log(q / p)))
    js = float(np.sum(p * np.log2(p / middle)) + np.sum(q * np.log2(q / middle))) / 2
    return forward, backward, js


def _share(values: NDArray[np.float32], edges: NDArray[np.float64], zero: bool, size: int) -> Table:
    place = np.searchsorted(edges, values, side="right")
    if zero:
        place = np.where(values == 0, size - 1, place)
    counts = np.bincount(place, minlength=size)
    return np.asarray((counts + 0.5) / (len(values) + size / 2), dtype=np.float64)


def _joint(pair: Pair) -> dict[str, Measured]:
    least = LATENT_ROWS if pair.whole is None else LATENT_ROWS // 2
    parts = dict(pair.each_label(least))
    few = all(part is None for part in parts.values())
    enough = min(len(pair.synthetic), len(pair.real)) >= least
    out = {}
    for spec, compare in ((LATENT, _neighbours), (GAUSSIAN, _gaussians)):
        per_label = {label: None if part is None else compare(part) for label, part in parts.items()}
        pooled = compare(pair) if enough else None
        reason = "rows that do not differ" if enough else f"fewer than {least} rows a side"
        out[spec.name] = Measured.over_labels(pooled, per_label, fallback=few, reason=reason)
    return out


def _neighbours(pair: Pair) -> float | None:
    a, b = (side.pcs[side.sample.distinct(), :LATENT_PCS] for side in (pair.synthetic, pair.real))
    return neighbour_kl(a, b, LATENT_NEIGHBOURS) if min(len(a), len(b)) > LATENT_NEIGHBOURS else None


def _gaussians(pair: Pair) -> float | None:
    return gaussian_kl(pair.synthetic.pcs[:, :GAUSSIAN_PCS], pair.real.pcs[:, :GAUSSIAN_PCS])


def neighbour_kl(a: Table, b: Table, k: int) -> float | None:
    """Return the estimate of KL(b ‖ a) from distances to k-th neighbours; None where distances vanish.

    Args:
        a: ``(m, dims)`` distinct rows.
        b: ``(n, dims)`` distinct rows.
        k: neighbour whose distance is taken.
    """
    from scipy.spatial import KDTree

    # the nearest row of its own kind is the row itself
    own = KDTree(b).query(b, k + 1)[0][:, k]
    other = np.asarray(KDTree(a).query(b, [k])[0])[:, 0]
    if min(own.min(), other.min()) <= 0:
        return None
    return float(b.shape[1] * np.mean(np.log(other / own)) + np.log(len(a) / (len(b) - 1)))


def gaussian_kl(a: Table, b: Table) -> float | None:
    """Return KL(b ‖ a) of the Gaussians of the rows; None where ``b`` does not vary."""
    first, second = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (a, b))
    dims = len(second)
    # the same ridge on both: components in which rows do not vary would be infinitely far apart
    ridge = RIDGE * np.trace(second) / dims * np.eye(dims)
    if ridge[0, 0] <= 0:
        return None
    first, second = first + ridge, second + ridge
    shift = a.mean(axis=0) - b.mean(axis=0)
    solved = np.linalg.solve(first, np.column_stack([second, shift]))
    distance = np.trace(solved[:, :dims]) + shift @ solved[:, dims] - dims
    return float(distance + np.linalg.slogdet(first)[1] - np.linalg.slogdet(second)[1]) / 2
