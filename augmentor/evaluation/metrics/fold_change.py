"""Differences between labels: do they have their size (slope), and do they agree gene by gene?

A contrast is the mean of a label minus the unweighted mean of the other labels' means (minus that of the control label, where
one is named), in LOG space. With z, h, s the contrast on the fitting, held-out and synthetic rows, over the 200 genes of largest
|z|: ``beta = sum z s / sum z h``. Choosing and weighing genes by rows that are not compared (an instrument) removes the bias of
a regression of s on h, whose noise and selection make even real rows look attenuated. Without such rows (few held-out rows)
z = h, and the ceiling shows the bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.columns import Vector, average, pearson, rounded, spearman, variances
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.score import Score, ScoreSpec

GENES = 200
# Rows of a label without which its mean is no mean.
LEAST = 5
ATTENUATED = 0.8
SHOWN_LABELS = 8

SLOPE = ScoreSpec(
    name="fold_change.slope",
    axis="biology",
    title="log-fold-change slope",
    meaning="Size of the differences between labels as a multiple of the real one; below 0.8 they are attenuated.",
    goal="target",
    ideal=1.0,
    bounds=(None, None),
    floor="permuted",
    formula="sum z s / sum z h over the 200 genes of largest |z|; label - mean of others (or --control); mean over labels",
    catches="attenuated or exaggerated effects",
    misses="noise around the effects",
    interval="subsample",
    headline=True,
)
AGREEMENT = ScoreSpec(
    name="fold_change.agreement",
    axis="biology",
    title="log-fold-change agreement",
    meaning="Correlation of differences between labels over genes that differ in real rows.",
    goal="maximize",
    ideal=None,
    bounds=(-1.0, 1.0),
    floor="permuted",
    formula="Pearson r of s and h over genes with BH q < 0.05 on the fitting rows (at least 20), mean over labels",
    catches="scrambled effects",
    misses="attenuation",
    interval="subsample",
)


class Metric:
    """Contrasts between labels."""

    scores = (SLOPE, AGREEMENT)
    setup = Setup(order=0, labelled=True)

    def measure(self, pair: Pair) -> Measures:
        """Compare the contrasts of every label that has enough rows."""
        contrasts = _contrasts(pair)
        if contrasts is None:
            control = pair.asked.control
            few = f"fewer than two labels{f', or not {control!r},' if control else ''} have {LEAST} rows on both sides"
            return {spec.name: Measured.none(few) for spec in self.scores}
        slopes: dict[str, float | None] = {}
        agreements: dict[str, float | None] = {}
        ranks, signs = [], []
        for label, (z, h, s, significant) in contrasts.items():
            top = np.argsort(-np.abs(z), kind="stable")[:GENES]
            slopes[label] = slope(z[top], h[top], s[top])
            agreements[label] = pearson(h[significant], s[significant])
            ranks.append(spearman(h[significant], s[significant]))
            signs.append(float(np.mean(np.sign(h[significant]) == np.sign(s[significant]))))
        detail = {"genes": GENES, "instrument": "fitting rows" if pair.policy == "disjoint" else "none"}
        more = {"spearman": average(ranks), "same_sign": average(signs)}
        value = average(slopes.values())
        reason = None if value is not None else "labels do not differ in the real rows"
        return {
            SLOPE.name: Measured(value, slopes, detail=detail, reason=reason),
            AGREEMENT.name: Measured(average(agreements.values()), agreements, detail=more, reason="no gene varies"),
        }

    def flags(self, score: Score) -> tuple[str, ...]:
        """Name effects that are too small, unless those of real rows look as small."""
        if score.spec is not SLOPE or score.value is None or score.interval is None or score.ceiling is None:
            return ()
        return ("attenuated",) if score.value < ATTENUATED and score.interval.high < score.ceiling.mean else ()

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return the contrasts of the top genes, label by label, with both slopes."""
        contrasts = _contrasts(frame.pair("matched", "synthetic", 0))
        if contrasts is None:
            return {}
        genes: list[str] = []
        labels: list[str] = []
        real: list[Vector] = []
        synthetic: list[Vector] = []
        for label, (z, h, s, _) in list(contrasts.items())[:SHOWN_LABELS]:
            top = np.argsort(-np.abs(z), kind="stable")[:GENES]
            genes += [frame.data.genes[i] for i in top]
            labels += [label] * len(top)
            real.append(h[top])
            synthetic.append(s[top])
        ceiling = measured["ceiling"][0][SLOPE.name].value if "ceiling" in measured else None
        figure = {
            "genes": genes,
            "label": labels,
            "real": rounded(np.concatenate(real)),
            "synthetic": rounded(np.concatenate(synthetic)),
            "slope": measured["synthetic"][0][SLOPE.name].value,
            "ceiling_slope": ceiling,
        }
        return {"fold_change": figure}


Contrast = tuple[Vector, Vector, Vector, NDArray[np.intp]]


def slope(z: Vector, h: Vector, s: Vector) -> float | None:
    """Return the instrumented slope, or None where the instrument does not predict the real contrast."""
    bottom = float(z @ h)
    return float(z @ s) / bottom if bottom > 1e-9 else None


def _contrasts(pair: Pair) -> dict[str, Contrast] | None:
    """Return z, h, s and the significant genes of every label with enough rows; None with fewer than two such labels.

    With a control label, the others are contrasted with it alone; None where it has too few rows.
    """
    size = len(pair.labels)
    instrument = pair.fit if pair.policy == "disjoint" else pair.real
    sides = (instrument, pair.real, pair.synthetic)
    counts = np.min([side.sample.counts(size) for side in sides], axis=0)
    codes = np.flatnonzero(counts >= LEAST)
    control = None if pair.asked.control is None else pair.labels.index(pair.asked.control)
    if len(codes) < 2 or (control is not None and control not in codes):
        return None
    moments = [_moments(side, codes) for side in sides]
    out = {}
    for i, code in enumerate(codes):
        if code == control:
            continue
        base = np.flatnonzero(codes != code if control is None else codes == control)
        z, h, s = (mean[i] - mean[base].mean(axis=0) for mean, _, _ in moments)
        _, variance, n = moments[0]
        error = variance / n[:, None]
        error = error[i] + error[base].sum(axis=0) / len(base) ** 2
        out[pair.labels[code]] = (z, h, s, _significant(z, error))
    return out


def _moments(side: Side, codes: NDArray[np.intp]) -> tuple[Vector, Vector, Vector]:
    parts = [np.flatnonzero(side.y == code) for code in codes]
    found = [variances(side.log_all[rows]) for rows in parts]
    n = np.array([len(rows) for rows in parts], dtype=np.float64)
    return np.stack([mean for mean, _ in found]), np.stack([variance for _, variance in found]), n


def _significant(z: Vector, error: Vector) -> NDArray[np.intp]:
    """Genes whose contrast differs from 0 (normal approximation, Benjamini-Hochberg), at least the 20 largest."""
    from scipy.stats import false_discovery_control, norm

    usable = np.flatnonzero(error > 0)
    if usable.size:
        p = 2 * norm.sf(np.abs(z[usable]) / np.sqrt(error[usable]))
        found = usable[false_discovery_control(p) < 0.05]
        if found.size >= 20:
            return found
    return np.argsort(-np.abs(z), kind="stable")[:20]
