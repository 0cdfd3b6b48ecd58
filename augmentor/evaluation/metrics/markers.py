"""Marker genes: do the genes that best tell a label from the others have the same names?

Genes are ranked by AUC, the probability that a row of the label expresses more than a row of the rest (or of the control
label), ties half; ``overlap@k = |top k of S and top k of H| / k``. Chance is k/genes.
"""

from __future__ import annotations

import numpy as np

from augmentor.evaluation.columns import average
from augmentor.evaluation.contract import EXPRESSION, Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.ranks import RankTests, contrasts
from augmentor.evaluation.score import ScoreSpec


def _spec(k: int) -> ScoreSpec:
    return ScoreSpec(
        name=f"markers.top{k}",
        axis="biology",
        title=f"top {k} markers",
        meaning=f"Share of the {k} best marker genes of a label in held-out rows that are among the {k} best in synthetic ones.",
        goal="maximize",
        ideal=None,
        bounds=(0.0, 1.0),
        floor="permuted",
        formula=f"|top {k} by AUC in S and in H| / {k}, label against rest (or --control), LOG, equal n; mean over labels",
        catches="wrong markers, labels mixed up",
        misses="how large the differences are, genes that are low in a label",
        interval="subsample",
    )


PARTS = {k: _spec(k) for k in (10, 50)}


class Metric:
    """Overlap of the best marker genes."""

    scores = tuple(PARTS.values())
    setup = Setup(spaces=EXPRESSION, floors="named", labelled=True)

    def measure(self, pair: Pair) -> Measures:
        """Compare the top genes of every label."""
        tested = contrasts(pair)
        if isinstance(tested, str):
            return {spec.name: Measured.none(tested) for spec in self.scores}
        genes = len(pair.genes)
        out = {}
        for k, spec in PARTS.items():
            if genes < 2 * k:
                out[spec.name] = Measured.none(f"needs at least {2 * k} genes")
                continue
            ours, theirs = top(tested.synthetic, k), top(tested.real, k)
            # with fewer than k genes that are higher in the label, its top k does not exist
            shared = [len(s & h) / k if len(h) == k else None for s, h in zip(ours, theirs, strict=True)]
            value, per_label = average(shared), dict(zip(tested.labels, shared, strict=True))
            reason = None if value is not None else f"no label has {k} genes of AUC > 0.5 in real rows"
            out[spec.name] = Measured(value, per_label, detail={"chance": k / genes}, reason=reason)
        return out


def top(tests: RankTests, k: int) -> list[set[int]]:
    """Return the ``k`` genes of largest AUC of every contrast, above 0.5 only; ties in the order of names."""
    order = np.argsort(-tests.auc, axis=1, kind="stable")[:, :k]
    return [{int(i) for i in genes if auc[i] > 0.5} for genes, auc in zip(order, tests.auc, strict=True)]
