"""Are the labels as frequent as they should be, and is none lost?

``(1/2) sum_c |p_S(c) - p*(c)|``, p* the counts that were asked for where they are recorded, else the held-out frequencies. A
set that was balanced on purpose differs from the real frequencies on purpose: by how much stands in the detail.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec

BALANCE = ScoreSpec(
    name="label_balance",
    axis="fidelity",
    title="label frequencies",
    meaning="Share of synthetic rows whose label is not the one asked for (or not as frequent as in real rows).",
    goal="minimize",
    ideal=0.0,
    bounds=(0.0, 1.0),
    formula="half the sum over labels of |share in S - share asked for (else: in H)|",
    catches="a lost label, labels exchanged by their codes",
    misses="whether rows fit their label",
)


class Metric:
    """Total variation distance of label frequencies."""

    scores = (BALANCE,)
    setup = Setup(rows="all", labelled=True, order=0)

    def measure(self, pair: Pair) -> Measures:
        """Compare label frequencies of all rows."""
        size = len(pair.labels)
        made = pair.synthetic.sample.counts(size)
        if pair.plan is not None:
            if pair.arm != "synthetic":
                return {BALANCE.name: Measured.none("a plan says nothing of real rows")}
            wanted = np.array([pair.plan.get(label, 0) for label in pair.labels])
        else:
            wanted = pair.real.sample.counts(size)
        if wanted.sum() == 0:
            return {BALANCE.name: Measured.none("the plan names no label of the training rows")}
        gap = made / made.sum() - wanted / wanted.sum()
        missing = [c for c, n, m in zip(pair.labels, made, wanted, strict=True) if n == 0 and m > 0]
        detail: dict[str, Any] = {"reference": "plan" if pair.plan is not None else "held-out rows", "missing": missing}
        if pair.plan is not None:
            real = pair.real.sample.counts(size)
            beside = made / made.sum() - real / real.sum()
            detail["from_held_out"] = float(np.abs(beside).sum() / 2)
            detail["from_held_out_per_label"] = dict(zip(pair.labels, map(float, beside), strict=True))
        per_label = {label: float(abs(value)) for label, value in zip(pair.labels, gap, strict=True)}
        return {BALANCE.name: Measured(float(np.abs(gap).sum() / 2), per_label, detail=detail)}
