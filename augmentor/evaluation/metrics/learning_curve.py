"""How many real rows do the synthetic ones replace, and how many more are they worth when they join them?

Real rows only, at n = 25 ... n_T rows (log grid, 10 draws each with the labels of T): balanced accuracy on H of a logistic
regression on 30 components, and the power law 1 − a − b·n^(−c) through the means. On this curve two scores are read back: that of
S alone, and that of T + S. A score above the end of the curve is more than the data can show; so is every gain at n_T. One split
and one synthetic set do not decide whether to augment: `augment compare` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.core.random import Stream
from augmentor.evaluation import curves
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.learners import Votes, trained
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.rows import Sample
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.spaces import Basis

LEAST, POINTS, DRAWS = 25, 6, 10
PAPER = "Figueroa et al. 2012, doi:10.1186/1472-6947-12-8"
CURVE = "score(n) = 1 − a − b·n^(−c) through mean balanced accuracies on H of real rows only (10 draws per n)"
METHOD = "binomial over test rows, per label, through the slope of the curve"


def _spec(part: str, title: str, meaning: str, formula: str, misses: str) -> ScoreSpec:
    return ScoreSpec(
        name=f"learning_curve.{part}",
        axis="utility",
        title=title,
        meaning=meaning,
        goal="maximize",
        ideal=None,
        formula=f"{formula}; {CURVE}",
        catches="rows that teach nothing, and rows that mislead",
        misses=misses,
        citation=PAPER,
        needs_holdout=True,
        full=True,
    )


REPLACES = _spec(
    "replaces",
    "real rows that the synthetic ones replace",
    "A classifier trained on the synthetic rows alone does as well as one trained on so many real rows.",
    "score⁻¹(balanced accuracy trained on S, at most n_T rows)",
    "realism: rows with independent genes replace almost as many real ones; copies replace all of them",
)
WORTH = _spec(
    "worth",
    "real rows that joining is worth",
    "Adding the synthetic rows to the training rows changes a classifier as much as so many more real rows would.",
    "score⁻¹(score(n_T) + gain) − n_T, gain = balanced accuracy trained on T + S minus trained on T, paired",
    "variation between splits and synthetic sets; gains at the end of the curve, which no row can show",
)


class Metric:
    """Learning curve on real rows, and the place of the synthetic ones on it."""

    scores = (REPLACES, WORTH)
    setup = Setup(rows="all", draws=0, labelled=True, order=2)

    def measure(self, pair: Pair) -> Measures:
        """Train on growing parts of T, on S, and on both; test on H."""
        assert pair.train is not None
        train, real, judged = pair.train.sample, pair.real.sample, pair.synthetic.sample
        if len(train) < 2 * LEAST:
            return {spec.name: Measured.none(f"fewer than {2 * LEAST} training rows") for spec in self.scores}
        if any(len(np.unique(rows.y)) < 2 for rows in (train, real, judged)):
            return {spec.name: Measured.none("fewer than two labels to tell apart") for spec in self.scores}
        stream = Stream(pair.stream.seed).child("learning_curve")
        whole = Basis.fitted(train, pair.space, pair.basis.target)
        penalty = trained("lr", train, whole, stream.child("tune")).penalty

        def votes(rows: Sample) -> Votes:
            basis = Basis.fitted(rows, pair.space, pair.basis.target)
            return trained("lr", rows, basis, stream, penalty).votes(real, len(pair.labels))

        sizes = curves.sizes(LEAST, len(train), POINTS)
        draws = [[votes(_part(train, n, stream.child(n, i))).accuracy for i in _draws(n, train)] for n in sizes]
        scores = [float(np.mean(each)) for each in draws]
        curve = curves.fitted(sizes, scores, DRAWS)
        made = _part(judged, len(train), stream.child("made"))
        before, alone, both = votes(train), votes(made), votes(Sample.joined(train, made))
        change = (both.called == both.truth).astype(np.float64) - (before.called == before.truth)
        gain, error = both.accuracy - before.accuracy, both.sd(change)
        detail: dict[str, Any] = {
            "rows": sizes,
            "balanced_accuracy": scores,
            "sd": [float(np.std(each, ddof=1)) if len(each) > 1 else None for each in draws],
            "fit": {"a": 1 - curve.limit, "b": curve.height, "c": curve.exponent},
            "draws": DRAWS,
            "real": len(train),
            "synthetic": len(made),
        }
        return {
            REPLACES.name: _read(curve, alone.accuracy, alone.sd(), 0, {**detail, "alone": alone.accuracy}),
            WORTH.name: _read(
                curve, curve.at(len(train)) + gain, error, len(train), {**detail, "gain": gain, "gain_sd": error}
            ),
        }


def _read(curve: curves.Curve, score: float, sd: float, less: int, detail: dict[str, Any]) -> Measured:
    """Read a score on the curve, ``less`` rows from the answer; its error goes through the slope there."""
    ends = [curve.rows(score + z * sd) for z in (-1.96, 1.96)]
    low, high = (None if end is None else end - less for end in ends)
    detail = {**detail, "low": low, "high": high}
    rows = curve.rows(score)
    if rows is not None:
        slope = curve.height * curve.exponent * rows ** (-curve.exponent - 1)
        return Measured(rows - less, sd=sd / slope, method=METHOD, detail=detail)
    if curve.flat:
        reason = "more real rows hardly help here, so that nothing can be expressed in rows"
    elif score < curve.at(curve.n[0]):
        reason = f"worse than {curve.n[0]:.0f} real rows"
    else:
        reason = f"better than all {curve.n[-1]:.0f} real rows: more than the data can show"
    return Measured(None, detail=detail, reason=reason)


def _draws(n: int, train: Sample) -> range:
    """All rows can be drawn in one way only."""
    return range(1 if n >= len(train) else DRAWS)


def _part(rows: Sample, n: int, stream: Stream) -> Sample:
    """Return n random rows with the label frequencies of all, every label kept."""
    return rows if n >= len(rows) else rows.take(np.sort(_stratified(rows.y, n, stream)))


def _stratified(y: NDArray[np.intp], n: int, stream: Stream) -> NDArray[np.intp]:
    """Rank rows by how far through their label they come, and take the first n: frequencies hold at every n."""
    order = stream.numpy().permutation(len(y))
    place = np.empty(len(y))
    for code in np.unique(y):
        own = order[y[order] == code]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
        place[own[0]] = 0.0
    return np.lexsort((order, place))[:n]
