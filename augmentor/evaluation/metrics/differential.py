"""Differential expression: the same test on synthetic and on real rows, and whether it calls the same genes.

Mann-Whitney tests (tie-corrected normal approximation) of a label against all other rows, or against the control label, at
equal n per label on both sides; Benjamini-Hochberg q < 0.05 over all genes, label by label; genes called up and genes called
down are different calls. The reference is what fresh real rows of the same n reach, which is far from 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.columns import average
from augmentor.evaluation.contract import EXPRESSION, Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.ranks import RankTests, contrasts
from augmentor.evaluation.score import Floor, Goal, ScoreSpec

LEVEL = 0.05
TEST = "Mann-Whitney of label against rest (or --control), LOG, equal n, BH q < 0.05 per label"


def _spec(
    part: str,
    title: str,
    meaning: str,
    formula: str,
    catches: str,
    misses: str,
    *,
    goal: Goal = "maximize",
    ideal: float | None = None,
    floor: Floor = "permuted",
    most: float | None = 1.0,
    headline: bool = False,
    sharpens: bool = True,
) -> ScoreSpec:
    return ScoreSpec(
        name=f"differential.{part}",
        axis="biology",
        title=title,
        meaning=meaning,
        goal=goal,
        ideal=ideal,
        bounds=(0.0, most),
        floor=floor,
        formula=f"{formula}; {TEST}; mean over labels with calls in H",
        catches=catches,
        misses=misses,
        citation="Mann & Whitney 1947; Benjamini & Hochberg 1995",
        interval="subsample",
        headline=headline,
        sharpens=sharpens,
    )


PARTS = {
    "tpr": _spec(
        "tpr",
        "DE genes found again",
        "Share of the genes called different in held-out rows that synthetic rows call too, in the same direction.",
        "|S and H| / |H|, up and down apart",
        "lost or attenuated differences",
        "invented ones: rows that vary too little call every gene",
    ),
    "fpr": _spec(
        "fpr",
        "DE genes invented",
        "Share of the genes not called different in held-out rows that synthetic rows call.",
        "|called in S, not in H| / |genes not called in H|",
        "rows that vary too little, invented differences",
        "lost differences; genes called in the wrong direction (see precision)",
        goal="minimize",
        ideal=0.0,
        floor="means",
        sharpens=False,
    ),
    "ppv": _spec(
        "ppv",
        "DE precision",
        "Share of the genes called different in synthetic rows that held-out rows call too, in the same direction.",
        "|S and H| / |S|, up and down apart",
        "invented and reversed differences",
        "lost differences; limited by the power of the held-out rows",
        floor="means",
        sharpens=False,
    ),
    "jaccard": _spec(
        "jaccard",
        "DE agreement",
        "Overlap of the genes called different in synthetic and in held-out rows; lost and invented ones both lower it.",
        "|S and H| / |S or H|, up and down apart",
        "lost, invented and reversed differences",
        "how large the differences are (see fold_change.slope)",
        headline=True,
    ),
    "calls": _spec(
        "calls",
        "number of DE genes",
        "Genes called different in synthetic rows per gene called in held-out rows; above 1, rows vary too little.",
        "|S| / |H|",
        "under-dispersed rows (above 1), attenuated differences (below 1)",
        "which genes are called",
        goal="target",
        ideal=1.0,
        most=None,
    ),
}


class Metric:
    """Calls of differential expression."""

    scores = tuple(PARTS.values())
    setup = Setup(spaces=EXPRESSION, floors="named", labelled=True)

    def measure(self, pair: Pair) -> Measures:
        """Compare the calls of every label."""
        tested = contrasts(pair)
        if isinstance(tested, str):
            return {spec.name: Measured.none(tested) for spec in self.scores}
        synthetic, real = calls(tested.synthetic), calls(tested.real)
        by_label = [_agreement(s, h) for s, h in zip(synthetic, real, strict=True)]
        numbers = {
            "genes": synthetic.shape[1],
            "rows": tested.rows,
            "called": {
                label: {"synthetic": int(np.count_nonzero(s)), "real": int(np.count_nonzero(h))}
                for label, s, h in zip(tested.labels, synthetic, real, strict=True)
            },
        }
        out = {}
        for part, spec in PARTS.items():
            per_label = {label: found[part] for label, found in zip(tested.labels, by_label, strict=True)}
            reason = "synthetic rows call no gene" if real.any() else "no gene differs between labels in real rows"
            value = average(per_label.values())
            detail = numbers if part == "calls" else {}
            out[spec.name] = Measured(value, per_label, detail=detail, reason=reason if value is None else None)
        return out


def calls(tests: RankTests) -> NDArray[np.int8]:
    """Return ``(contrasts, genes)``: 1 for a gene called up, -1 for one called down, 0 for none."""
    from scipy.stats import false_discovery_control

    called = false_discovery_control(tests.p, axis=1) < LEVEL
    return np.where(called, np.sign(tests.auc - 0.5), 0).astype(np.int8)


def _agreement(synthetic: NDArray[np.int8], real: NDArray[np.int8]) -> dict[str, float | None]:
    """Compare the calls of one label; where real rows call nothing, only what is invented can be told."""
    both = int(np.count_nonzero((synthetic == real) & (real != 0)))
    ours, theirs = np.count_nonzero(synthetic), np.count_nonzero(real)
    invented = int(np.count_nonzero((synthetic != 0) & (real == 0)))
    rest = int(real.size - theirs)
    return {
        "tpr": both / theirs if theirs else None,
        "fpr": invented / rest if rest else None,
        "ppv": both / ours if ours and theirs else None,
        "jaccard": both / (ours + theirs - both) if theirs else None,
        "calls": ours / theirs if theirs else None,
    }
