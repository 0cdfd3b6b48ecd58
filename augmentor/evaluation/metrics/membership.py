"""Can an attacker who sees the synthetic rows tell who was in the training rows (membership inference)?

Members are training rows, non-members held-out ones, equally many of every label, in one space that treats both alike. Every
attack gives a row a score that should be larger for members; what is reported is how well it ranks them (AUC, 0.5 = guessing).
GAN-Leaks needs nothing but the synthetic rows. The calibrated attack and DOMIAS also know fresh real rows R: half of the held-out
rows, which then are no non-members. A failed attack proves nothing; a generator that learned nothing resists all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from augmentor.core.dataset import as_dense
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import ENOUGH, Pair, Side, distances
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.spaces import Basis

Vector = NDArray[np.float64]
Rows = NDArray[np.intp]

# Fewer rows a side rank nothing.
FEWEST = 10
# Most rows a side; the distances of all of them to all synthetic rows are held at once.
MOST = 2000
# The false-positive rate at which the true-positive rate is read, and the non-members it takes to know it.
LEVEL, LEVEL_ROWS = 0.01, 100
DENSITY_PCS, DENSITY_NEIGHBOURS = 10, 5
DRAWS = 100
METHOD = "DeLong 1988, by group where rows have groups"


def _spec(part: str, title: str, formula: str, citation: str, **more: Any) -> ScoreSpec:
    meaning = f"How well {title} tells training rows from rows never seen (AUC); 0.5 is guessing, 1 is certainty."
    common: dict[str, Any] = {
        "meaning": meaning,
        "goal": "target",
        "ideal": 0.5,
        "catches": "copies and near copies of training rows, overfitted densities",
        "misses": "members that a stronger attack would find; an AUC of 0.5 also comes from a generator that learned nothing",
    }
    return ScoreSpec(
        name=f"membership.{part}",
        axis="privacy",
        title=title,
        formula=formula,
        citation=citation,
        bounds=(0.0, 1.0),
        needs_holdout=True,
        **{**common, **more},
    )


GAN_LEAKS = _spec(
    "gan_leaks",
    "the nearest-row attack",
    "AUC of -d(x, S), members T against non-members H, equally many per label, 30 PCs",
    "Chen et al. 2020 (GAN-Leaks)",
    headline=True,
)
TPR = _spec(
    "gan_leaks_tpr",
    "training rows given away at 1 % false alarms",
    "share of members with -d(x, S) above the threshold that at most 1 % of non-members exceed, 30 PCs",
    "Carlini et al. 2022",
    meaning="Share of training rows that the nearest-row attack names while it wrongly names at most 1 % of other rows.",
    ideal=LEVEL,
    catches="a few training rows that are repeated, which an average over all rows hides",
    misses="fewer than one leaked row in a hundred; members that a stronger attack would find",
)
CALIBRATED = _spec(
    "calibrated",
    "the calibrated nearest-row attack",
    "AUC of d(x, R) - d(x, S), R = held-out rows in neither set, 30 PCs",
    "Chen et al. 2020 (GAN-Leaks)",
    full=True,
)
MONTE_CARLO = _spec(
    "monte_carlo",
    "the Monte-Carlo attack",
    "AUC of the share of S within eps of x, eps = median distance of all x to their nearest row of S, 30 PCs",
    "Hilprecht et al. 2019",
    full=True,
)
DOMIAS = _spec(
    "domias",
    "the density-ratio attack",
    "AUC of log p_S(x) - log p_R(x); log p = -mean of the log distances to the 5 nearest rows, 10 PCs fitted on R",
    "van Breugel et al. 2023 (DOMIAS)",
    full=True,
)


class Metric:
    """Membership inference attacks."""

    scores = (GAN_LEAKS, TPR, CALIBRATED, MONTE_CARLO, DOMIAS)
    setup = Setup(rows="copies")

    def measure(self, pair: Pair) -> Measures:
        """Attack training and held-out rows with the judged rows in hand."""
        assert pair.train is not None
        rng = pair.stream.child("membership").numpy()
        # folds compare other held-out rows, and, where there are enough, other training rows: their errors are independent
        turn = slice(pair.fold % 2, None, 2) if len(pair.train) >= 2 * len(pair.real) else slice(None)
        eligible = np.sort(np.argsort(pair.train.y, kind="stable")[turn])
        members, others = matched(pair.train.y[eligible], pair.real.y, rng)
        members = eligible[members]
        if min(len(members), len(others)) < FEWEST:
            reason = f"only {len(others)} held-out rows of the training labels; {FEWEST} are needed"
            return {spec.name: Measured.none(reason) for spec in self.scores}
        inside, outside = pair.train.take(members), pair.real.take(others)
        blocks = [distances(side.pcs, pair.synthetic.pcs) for side in (inside, outside)]
        near, far = (-block.min(axis=1) for block in blocks)
        out = {GAN_LEAKS.name: _ranked((near, far), inside, outside, pair.labels), TPR.name: _at_level(near, far, rng)}
        if not pair.asked.full:
            return out
        eps = float(np.median(-np.concatenate([near, far])))
        shares = [(block <= eps).mean(axis=1) for block in blocks]
        out[MONTE_CARLO.name] = _ranked(shares, inside, outside, pair.labels)
        return out | _informed(pair, inside, outside, near, far, rng)


def matched(train: Rows, real: Rows, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Return positions of members and non-members, as many of every label, at most `MOST` a side."""
    size = int(max(train.max(initial=0), real.max(initial=0))) + 1
    counts = np.minimum(np.bincount(train, minlength=size), np.bincount(real, minlength=size))
    if counts.sum() > MOST:
        counts = np.where(counts > 0, np.maximum(1, counts * MOST // counts.sum()), 0)
    return _drawn(train, counts, rng), _drawn(real, counts, rng)


def tpr_at(members: Vector, others: Vector, level: float = LEVEL) -> float:
    """Return the share of members above the lowest threshold that at most a share ``level`` of the others exceed.

    With few others that is a false-positive rate of 0, never the first one above ``level``.
    """
    allowed = int(np.floor(level * len(others) + 1e-9))
    threshold = np.sort(others)[len(others) - 1 - allowed]
    return float(np.mean(members > threshold))


def auc_and_sd(
    members: Vector, others: Vector, groups: tuple[NDArray[Any] | None, NDArray[Any] | None] = (None, None)
) -> tuple[float, float]:
    """Return the AUC and its standard deviation over rows, or over groups of rows where they are given.

    Ties count half. The variance is DeLong's: that of each row's share of the other side that it is ranked above; rows of a
    group are summed first (Obuchowski 1997).
    """
    m, n = len(members), len(others)
    ranks = rankdata(np.concatenate([members, others]))
    above = (ranks[:m] - rankdata(members)) / n
    below = (ranks[m:] - rankdata(others)) / m
    value = float(above.mean())
    parts = zip((above, below), groups, strict=True)
    return value, float(np.sqrt(sum(_variance_of_mean(shares - shares.mean(), group) for shares, group in parts)))


def _variance_of_mean(residuals: Vector, groups: NDArray[Any] | None) -> float:
    totals: NDArray[Any] = residuals
    if groups is not None and len(np.unique(groups)) > 1:
        totals = np.bincount(np.unique(groups, return_inverse=True)[1], weights=residuals)
    return float(np.square(totals).sum()) * len(totals) / (len(totals) - 1) / len(residuals) ** 2


def _ranked(scores: Sequence[Vector], inside: Side, outside: Side, labels: tuple[str, ...]) -> Measured:
    members, others = scores
    value, sd = auc_and_sd(members, others, (inside.sample.groups, outside.sample.groups))
    per_label: dict[str, float | None] = {}
    for code, label in enumerate(labels if len(labels) > 1 else ()):
        a, b = members[inside.y == code], others[outside.y == code]
        if len(b):
            per_label[label] = auc_and_sd(a, b)[0] if min(len(a), len(b)) >= ENOUGH else None
    return Measured(
        value, per_label, sd=sd, method=METHOD, detail={"members": len(members), "non_members": len(others)}
    )


def _at_level(members: Vector, others: Vector, rng: np.random.Generator) -> Measured:
    n = len(others)
    worth = f"one held-out row is worth {1 / n:.2g} of the false-positive rate"
    if n < LEVEL_ROWS:
        return Measured.none(f"only {n} held-out rows, {worth}; {LEVEL_ROWS} are needed")
    # distances to synthetic rows, not among each other: repeats of a bootstrap make no neighbours here
    draws = [tpr_at(rng.choice(members, len(members)), rng.choice(others, n)) for _ in range(DRAWS)]
    detail = {"non_members": n, "false_positives_allowed": int(LEVEL * n + 1e-9), "one_row": 1 / n}
    return Measured(
        tpr_at(members, others), sd=float(np.std(draws, ddof=1)), method=f"bootstrap of rows; {worth}", detail=detail
    )


def _informed(
    pair: Pair, inside: Side, outside: Side, near: Vector, far: Vector, rng: np.random.Generator
) -> dict[str, Measured]:
    """Return the attacks that also know real rows: half of the held-out ones, while the rest are the non-members."""
    counts = np.bincount(outside.y)
    known = _drawn(outside.y, counts // 2, rng)
    rest = np.setdiff1d(np.arange(len(outside)), known)
    if min(len(known), len(rest)) < FEWEST:
        reason = f"only {len(outside)} held-out rows; {2 * FEWEST} are needed"
        return {spec.name: Measured.none(reason) for spec in (CALIBRATED, DOMIAS)}
    reference, others = outside.take(known), outside.take(rest)
    spared = [distances(side.pcs, reference.pcs).min(axis=1) for side in (inside, others)]
    calibrated = _ranked((spared[0] + near, spared[1] + far[rest]), inside, others, pair.labels)
    basis = Basis.fitted(reference.sample, pair.space, pair.basis.target)

    def led(side: Side) -> NDArray[np.float64]:
        return basis.project(as_dense(side.log_all[:, basis.genes]))[:, :DENSITY_PCS]

    made, fresh = led(pair.synthetic), led(reference)
    ratios = [_log_density(x, made) - _log_density(x, fresh) for x in (led(inside), led(others))]
    return {CALIBRATED.name: calibrated, DOMIAS.name: _ranked(ratios, inside, others, pair.labels)}


def _log_density(x: NDArray[np.float64], rows: NDArray[np.float64]) -> Vector:
    """Return log density up to a factor and a constant: neighbour estimates for 1 to 5 neighbours, averaged."""
    k = min(DENSITY_NEIGHBOURS, len(rows))
    nearest = np.partition(distances(x, rows), k - 1, axis=1)[:, :k]
    least = 1e-6 * float(np.median(nearest)) or 1e-12  # the distance of a copy, whose logarithm does not exist
    return -np.log(np.maximum(nearest, least)).mean(axis=1)


def _drawn(y: Rows, counts: NDArray[np.intp], rng: np.random.Generator) -> Rows:
    order = rng.permutation(len(y))
    parts = [order[y[order] == code][:count] for code, count in enumerate(counts)]
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.intp)
