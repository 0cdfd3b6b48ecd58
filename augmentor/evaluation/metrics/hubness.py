"""Hubness: do a few synthetic rows stand in for everybody, while others are near nobody?

``N_10(s)`` counts for how many held-out rows a synthetic row is among the 10 nearest synthetic rows in PC space. Real rows are
uneven too (skewness about 1), more so in many dimensions. Rows scattered beyond the real ones leave the work to a few and are
orphans themselves; rows drawn towards their label's mean may share it more evenly than real ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.score import ScoreSpec

NEIGHBOURS = 10

SKEWNESS = ScoreSpec(
    name="hubness.skewness",
    axis="fidelity",
    title="hubness",
    meaning="How unevenly synthetic rows serve as neighbours of held-out rows; above the ceiling a few serve too many.",
    goal="minimize",
    ideal=None,
    bounds=(None, None),
    floor="independent",
    formula="skewness over synthetic rows of N_10, how often a row is among the 10 nearest synthetic rows of real ones; 30 PCs",
    catches="a few rows that serve everybody, beside many that serve nobody",
    misses="rows drawn towards their label's mean (they may lie below the ceiling); copies; which rows are missing",
    citation="Radovanović et al. 2010",
    interval="subsample",
)
ORPHANS = ScoreSpec(
    name="hubness.orphans",
    axis="fidelity",
    title="orphans",
    meaning="Share of synthetic rows that are nobody's neighbour: they lie where no held-out row is.",
    goal="minimize",
    ideal=None,
    bounds=(0.0, 1.0),
    floor="independent",
    formula="share of synthetic rows with N_10 = 0; 30 PCs",
    catches="junk rows",
    misses="lost groups of rows; copies",
    citation="Radovanović et al. 2010",
    interval="subsample",
)


class Metric:
    """How often each synthetic row is a neighbour."""

    scores = (SKEWNESS, ORPHANS)
    setup = Setup(rows="distinct", alternate=True, floors="named")

    def measure(self, pair: Pair) -> Measures:
        """Return skewness and share of orphans, also within labels."""
        found = hubness(pair)
        parts = {label: None if part is None else hubness(part) for label, part in pair.each_label()}
        out = {}
        for i, spec in enumerate(self.scores):
            per_label = {label: None if item is None else item[i] for label, item in parts.items()}
            value = None if found is None else found[i]
            reason = "too few rows for a neighbourhood" if found is None else "all rows serve alike"
            out[spec.name] = Measured(value, per_label, reason=reason if value is None else None)
        return out


def occurrences(gaps: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Return how often each of the rows is among the k nearest of a column; rows at the same distance all are."""
    columns = np.ascontiguousarray(gaps.T)
    radius = np.partition(columns, k - 1, axis=1)[:, k - 1]
    return np.asarray((gaps <= radius).sum(axis=1), dtype=np.intp)


def hubness(pair: Pair) -> tuple[float | None, float] | None:
    """Return the skewness of the occurrences (None where they do not vary) and the share of rows without any."""
    k = min(NEIGHBOURS, min(len(pair.synthetic), len(pair.real)) // 5)
    if k < 1:
        return None
    counts = occurrences(pair.distances, k)
    z = counts - counts.mean()
    spread = float(np.sqrt(np.mean(np.square(z))))
    skewness = float(np.mean(z**3)) / spread**3 if spread > 0 else None
    return skewness, float(np.mean(counts == 0))
