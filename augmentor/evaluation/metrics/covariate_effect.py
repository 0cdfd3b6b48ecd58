"""Do genes change with continuous covariates (age, dose, place) as they do in real rows?

The effect of a covariate on a gene is the slope of the gene in LOG space on the covariate in standard units, within labels, all
covariates at once (`core/slopes.py`). With z, h, s the effects on the fitting, held-out and synthetic rows, over the 200 genes of
largest |z|: ``beta = sum z s / sum z h``, instrumented by rows that are not compared, as `fold_change` does for labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.core.slopes import within_slope
from augmentor.evaluation.columns import average, pearson
from augmentor.evaluation.contract import EXPRESSION, Measured, Measures, Setup
from augmentor.evaluation.metrics.fold_change import GENES, slope
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.score import ScoreSpec

LEAST_ROWS = 30

SIZE = ScoreSpec(
    name="covariate_effect.size",
    axis="biology",
    title="size of covariate effects",
    meaning="Size of the changes of genes with the covariates as a multiple of the real one; 0 = rows do not follow them.",
    goal="target",
    ideal=1.0,
    bounds=(None, None),
    floor="independent",
    formula="sum z s / sum z h over the 200 genes of largest |z|; slopes within labels in LOG space; mean over covariates",
    catches="attenuated or exaggerated effects of covariates",
    misses="effects that are not linear, or differ between labels",
    interval="subsample",
)
SIMILARITY = ScoreSpec(
    name="covariate_effect.similarity",
    axis="biology",
    title="agreement of covariate effects",
    meaning="Correlation over genes of their changes with a covariate in synthetic and in real rows.",
    goal="maximize",
    ideal=None,
    bounds=(-1.0, 1.0),
    floor="independent",
    formula="Pearson r of s and h over the 200 genes of largest |z|; mean over covariates",
    catches="effects on the wrong genes",
    misses="attenuation",
    interval="subsample",
)


class Metric:
    """Slopes of genes on covariates."""

    scores = (SIZE, SIMILARITY)
    # label means have no covariates
    setup = Setup(covariates=True, spaces=EXPRESSION, floors="named")

    def measure(self, pair: Pair) -> Measures:
        """Compare the slopes on every covariate."""
        if min(len(pair.synthetic), len(pair.real)) < LEAST_ROWS:
            return {spec.name: Measured.none(f"fewer than {LEAST_ROWS} rows a side") for spec in self.scores}
        instrument = pair.fit if pair.policy == "disjoint" else pair.real
        effects = [_effects(side, pair.real) for side in (instrument, pair.real, pair.synthetic)]
        sizes: dict[str, float | None] = {}
        similarities: dict[str, float | None] = {}
        for name, z, h, s in zip(pair.covariates, *effects, strict=True):
            top = np.argsort(-np.abs(z), kind="stable")[:GENES]
            sizes[name] = slope(z[top], h[top], s[top])
            similarities[name] = pearson(h[top], s[top])
        none = "no gene changes with a covariate"
        return {
            SIZE.name: Measured(average(sizes.values()), detail={"covariates": sizes}, reason=none),
            SIMILARITY.name: Measured(average(similarities.values()), detail={"covariates": similarities}, reason=none),
        }


def _effects(side: Side, unit: Side) -> NDArray[np.float64]:
    """Slopes ``(covariates, selected genes)``; covariates in the standard units of the rows of ``unit``."""
    own, theirs = side.sample.covariates, unit.sample.covariates
    assert own is not None and theirs is not None
    scale = theirs.std(axis=0)
    return within_slope(side.log, own / np.where(scale > 0, scale, 1.0), side.y)
