"""Means, standard deviations and dispersion of every gene, per label.

Means and standard deviations are compared by Pearson's r over genes in LOG space; the dispersion ratio is
``median over genes of var_S / var_H`` among rows of one label; the trend is the curve of log variance on mean. Agreement of
means says little: class means without any variation reach r = 0.997 where real rows reach 0.999.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from augmentor.core.space import Space
from augmentor.evaluation.columns import Vector, pearson, rounded, variances, zero_fractions
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.score import Score, ScoreSpec

MEAN = ScoreSpec(
    name="moments.mean",
    axis="fidelity",
    title="gene means",
    meaning="Correlation of gene means with those of held-out rows, averaged over labels; almost everything passes.",
    goal="maximize",
    ideal=1.0,
    bounds=(-1.0, 1.0),
    floor="means",
    formula="Pearson r over genes of mean_S and mean_H in LOG space, per label, unweighted mean",
    catches="wrong scale, lost genes",
    misses="almost everything else: rows without any variation score 0.99",
    interval="bootstrap",
)
SD = ScoreSpec(
    name="moments.sd",
    axis="fidelity",
    title="gene standard deviations",
    meaning="Correlation of gene standard deviations with those of held-out rows, averaged over labels.",
    goal="maximize",
    ideal=1.0,
    bounds=(-1.0, 1.0),
    floor="means",
    formula="Pearson r over genes of sd_S and sd_H in LOG space, per label, unweighted mean",
    catches="genes that vary where real ones do not",
    misses="a common factor (see moments.variance), dependence between genes",
    interval="bootstrap",
)
VARIANCE = ScoreSpec(
    name="moments.variance",
    axis="fidelity",
    title="dispersion ratio",
    meaning="Variance within a label as a multiple of that of held-out rows; below 0.8 rows are too alike.",
    goal="target",
    ideal=1.0,
    bounds=(0.0, None),
    floor="means",
    formula="median over genes of var_S / var_H within label (genes expressed in a fifth of the rows), unweighted mean",
    catches="decoder means (0.07), rows shrunk to their label's mean (0.26)",
    misses="dependence between genes",
    interval="bootstrap",
    headline=True,
)
TREND = ScoreSpec(
    name="moments.trend",
    axis="fidelity",
    title="mean-variance trend",
    meaning="How far the curve of log variance on mean lies from that of held-out rows.",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, None),
    floor="means",
    formula="RMSE over 20 quantile bins of the real mean of the mean ln variance of a bin's genes in LOG space, per label, unweighted mean",
    catches="the wrong family of counts, too little or too much variation at some level of expression",
    misses="single genes, dependence between genes",
    interval="bootstrap",
    full=True,
)
UNDER, OVER = 0.8, 1.25
TREND_BINS, TREND_GENES = 20, 3
# A variance below this share of the median real one counts as that: the logarithm of none at all is not a number.
LEAST_VARIANCE = 1e-3
# Genes seen in fewer rows than this share have variances that are mostly noise.
EXPRESSED = 0.2


class Metric:
    """Gene means and spreads, per label and pooled."""

    scores = (MEAN, SD, VARIANCE, TREND)
    setup = Setup(order=0)

    def measure(self, pair: Pair) -> Measures:
        """Compare means and variances of all genes."""
        pooled, within = _moments(pair), _within(pair)
        parts = {label: None if part is None else _moments(part) for label, part in pair.each_label()}
        out = {}
        comparisons: list[tuple[ScoreSpec, Callable[[_Moments], float | None]]] = [
            (MEAN, lambda m: pearson(m[0], m[2])),
            # rows without any variation tell nothing of it
            (SD, lambda m: pearson(np.sqrt(m[1]), np.sqrt(m[3])) if m[1].any() else 0.0),
            (VARIANCE, _ratio),
        ]
        if pair.asked.full:
            comparisons.append((TREND, trend))
        for spec, compare in comparisons:
            per_label = {label: None if part is None else compare(part) for label, part in parts.items()}
            out[spec.name] = Measured.over_labels(
                compare(within if spec in (VARIANCE, TREND) else pooled),
                per_label,
                fallback=all(part is None for part in parts.values()),
                detail=_more(spec, within if spec is VARIANCE else pooled),
                reason="too few genes vary" if spec is TREND else "one side does not vary",
            )
        if pair.arm == "synthetic" and pair.principal and pair.space is Space.COUNTS:
            mean = out[MEAN.name]
            out[MEAN.name] = replace(mean, detail={**mean.detail, "raw_r": _raw_r(pair)})
        return out

    def flags(self, score: Score) -> tuple[str, ...]:
        """Name too little and too much variation, unless the interval says that it may be chance."""
        if score.spec is not VARIANCE or score.value is None or score.interval is None:
            return ()
        if score.value < UNDER and score.interval.high < 1:
            return ("under_dispersed",)
        return ("over_dispersed",) if score.value > OVER and score.interval.low > 1 else ()

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return mean and standard deviation of the selected genes, with a ceiling draw beside them."""
        pair, reference = frame.pair("matched", "synthetic", 0), frame.pair("matched", "ceiling", 0)
        figure: dict[str, Any] = {"genes": pair.selected}
        sides = {"real": pair.real, "synthetic": pair.synthetic, "ceiling": reference.synthetic}
        chosen = pair.basis.genes
        for name, side in sides.items():
            mean, variance = variances(side.log_all)
            figure[f"mean_{name}"] = rounded(mean[chosen])
            figure[f"sd_{name}"] = rounded(np.sqrt(variance[chosen]))
        return {"moments": figure}


# mean and variance of the judged rows, of the real rows, and which genes are expressed
_Moments = tuple[Vector, Vector, Vector, Vector, NDArray[np.bool_]]


def _moments(pair: Pair) -> _Moments:
    real, synthetic = pair.real, pair.synthetic
    # genes are chosen on rows that are not compared: chosen on the real rows, these would vary more than their like
    chosen = [pair.fit] if pair.policy == "disjoint" else [synthetic, real]
    codes = np.unique(real.y)
    share = np.mean([_expressed(side, codes) for side in chosen], axis=0)
    return (*variances(synthetic.log_all), *variances(real.log_all), share >= EXPRESSED)


# Every arm and every bootstrap meets the same fitting rows; what is known of them dies with them.
_EXPRESSED: WeakKeyDictionary[Side, dict[bytes, Vector]] = WeakKeyDictionary()


def _expressed(side: Side, codes: NDArray[np.intp]) -> Vector:
    """Share of the rows with these labels in which a gene is not zero."""
    known = _EXPRESSED.setdefault(side, {})
    if codes.tobytes() not in known:
        part = side.log_all[np.isin(side.y, codes)]
        known[codes.tobytes()] = 1.0 - zero_fractions(part)[1] if part.shape[0] else np.zeros(part.shape[1])
    return known[codes.tobytes()]


def _within(pair: Pair) -> _Moments:
    """The same with variances within labels, averaged with the labels' degrees of freedom."""
    pooled = _moments(pair)
    counts = pair.counts
    codes = [i for i, n in enumerate(counts.values()) if n > 1]
    if len(codes) < 2:
        return pooled
    spreads = []
    for side in (pair.synthetic, pair.real):
        rows = [np.flatnonzero(side.y == code) for code in codes]
        freedom = np.array([len(some) - 1 for some in rows], dtype=np.float64)
        each = np.stack([variances(side.log_all[some])[1] for some in rows])
        spreads.append(freedom @ each / max(freedom.sum(), 1.0))
    return pooled[0], spreads[0], pooled[2], spreads[1], pooled[4]


def _usable(moments: _Moments) -> NDArray[np.bool_]:
    return (moments[3] > 0) & moments[4]


def _ratio(moments: _Moments) -> float | None:
    usable = _usable(moments)
    return float(np.median(moments[1][usable] / moments[3][usable])) if usable.any() else None


def trend(moments: _Moments) -> float | None:
    """Return the distance of the binned curves of log variance on mean; None with too few genes for a bin."""
    chosen = _usable(moments)
    bins = min(TREND_BINS, int(chosen.sum()) // TREND_GENES)
    if bins < 2:
        return None
    mean_a, variance_a, mean_b, variance_b = (values[chosen] for values in moments[:4])
    edges = np.quantile(mean_b, np.linspace(0, 1, bins + 1)[1:-1])
    least = LEAST_VARIANCE * float(np.median(variance_b))
    curves = []
    for mean, variance in ((mean_a, variance_a), (mean_b, variance_b)):
        place = np.searchsorted(edges, mean, side="right")
        count = np.bincount(place, minlength=bins)
        total = np.bincount(place, weights=np.log(np.maximum(variance, least)), minlength=bins)
        curves.append(np.divide(total, count, out=np.full(bins, np.nan), where=count > 0))
    # a bin that one side leaves empty has no curve there
    gaps = curves[0] - curves[1]
    gaps = gaps[np.isfinite(gaps)]
    return float(np.sqrt(np.mean(np.square(gaps)))) if gaps.size else None


def _more(spec: ScoreSpec, moments: _Moments) -> dict[str, Any]:
    if spec is MEAN:
        return {"rmse": float(np.sqrt(np.mean(np.square(moments[0] - moments[2]))))}
    if spec is VARIANCE:
        usable = _usable(moments)
        if not usable.any():
            return {}
        ours, theirs = moments[1][usable], moments[3][usable]
        low, high = np.quantile(ours / theirs, [0.25, 0.75])
        alive = ours > 0
        return {
            "genes": int(usable.sum()),
            "quartiles": [float(low), float(high)],
            "dead_genes": float(np.mean(~alive)),
            "log_variance_r": pearson(np.log(ours[alive]), np.log(theirs[alive])) if alive.sum() > 1 else None,
        }
    return {}


def _raw_r(pair: Pair) -> float | None:
    """Pearson's r of the gene means of counts as they are."""
    ours, theirs = (variances(side.x)[0] for side in (pair.synthetic, pair.real))
    return pearson(ours, theirs)
