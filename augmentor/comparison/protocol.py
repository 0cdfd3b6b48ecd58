"""One split of the nested comparison: choose inside the training rows, learn from them, judge on rows that nothing has seen.

`learned` is given the training rows and only them; whatever is fitted or chosen (genes, scaling, components, penalty, ratio,
threshold, generators) is fitted or chosen there. `judged` is given the result and the test rows, and fits nothing. Inside,
three folds of the training rows choose; their validation rows are real, and their generators are fitted without them.

A policy is what a person could decide to do: which arm, at which ratio, which label weights, which threshold. The policies
without a generator (real rows as they are, class weights, tuned threshold) compete with every arm: where the inner folds
prefer them, the arm adds nothing on that split and its gain is zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from augmentor.comparison import learners, semisupervised
from augmentor.comparison.choosing import Chosen, choose
from augmentor.comparison.design import ORACLE, REAL, THRESHOLD, WEIGHTS, Codes, Design, Policy, Tick
from augmentor.comparison.features import Rows
from augmentor.comparison.learners import Fit
from augmentor.comparison.part import Part
from augmentor.core.dataset import Dataset
from augmentor.core.random import Stream
from augmentor.evaluation.pair import distances

# synthetic rows looked at for the question whether they know the test rows
LOOKED = 400
# how near to a test row, relative to the nearest real training row, a synthetic row is a copy of it
COPY = 0.5
# the same for a row without a label, which is no copy but the row itself
SAME = 0.001


@dataclass(frozen=True, eq=False)
class Learned:
    """Everything that the training rows of a split gave.

    Attributes:
        part: training rows and generators.
        wide: the same with unlabelled rows beside them, where there are any.
        chosen: by learner.
        fits: classifiers by learner and arm, one per synthetic set.
    """

    part: Part
    wide: Part | None
    chosen: dict[str, Chosen]
    fits: dict[tuple[str, str], list[Fit]]


@dataclass(frozen=True)
class Judged:
    """The scores of an arm with a learner on the test rows of a split, averaged over synthetic sets.

    Attributes:
        scores: by metric.
        policy: what the inner folds had chosen.
        seed_sd: standard deviation of the balanced accuracy over synthetic sets.
    """

    scores: dict[str, float]
    policy: Policy
    seed_sd: float = 0.0


@dataclass(frozen=True)
class Knowledge:
    """Signs that synthetic rows know the test rows.

    Attributes:
        nearer: share of them nearer to a test row than to any training row, less the share expected of rows that know neither.
        copies: share of them nearer to a test row than half the distance at which any real training row comes to one.
    """

    nearer: float
    copies: float


@dataclass(frozen=True, eq=False)
class Split:
    """A split that was judged.

    Attributes:
        trained: ``(labels,)`` training rows.
        tested: ``(labels,)`` test rows.
        judged: by learner and arm.
        plain: the best policy without a generator and unlabelled rows according to the inner folds, by learner: the comparator.
        inner: its balanced accuracy there.
        reached: balanced accuracy there of every arm that makes rows or uses unlabelled ones, by learner.
        penalty: inverse penalty, by learner.
        knowledge: of the test rows, by arm that made rows.
        pool: unlabelled rows that stood beside the training rows.
        repeated: share of them that are test rows.
    """

    trained: Codes
    tested: Codes
    judged: dict[tuple[str, str], Judged]
    plain: dict[str, Policy]
    inner: dict[str, float]
    reached: dict[str, dict[str, float]]
    penalty: dict[str, float]
    knowledge: dict[str, Knowledge] = field(default_factory=dict)
    pool: int = 0
    repeated: float = 0.0


def learned(
    rows: Dataset,
    y: Codes,
    design: Design,
    stream: Stream,
    tick: Tick,
    extra: Dataset | None = None,
    extra_y: Codes | None = None,
    pool: Dataset | None = None,
) -> Learned:
    """Choose, fit and train, all on the training rows of a split.

    Args:
        rows: training rows.
        y: ``(rows,)`` label positions.
        design: what is compared.
        stream: randomness of this split.
        tick: told the number of classifiers trained.
        extra: further real training rows that only the oracle may use.
        extra_y: their labels.
        pool: rows without a label; needed where the design has arms that use them.
    """
    chosen = choose(rows, y, design, stream.child("inner"), tick, pool)
    part = Part(rows, y, design, stream.child("outer"))
    wide = None if pool is None else Part(rows, y, design, stream.child("outer"), pool)
    fits: dict[tuple[str, str], list[Fit]] = {}
    for kind, choice in chosen.items():

        def fit(some: Rows, *, real: int, weighted: bool = False, kind: str = kind, choice: Chosen = choice) -> Fit:
            return learners.train(
                kind,
                some,
                design.labels,
                stream.child("fit", kind),
                real=real,
                penalty=choice.penalty,
                weighted=weighted,
            )

        plain = fit(part.seen, real=len(y))
        fits[kind, REAL] = fits[kind, THRESHOLD] = [plain]
        fits[kind, WEIGHTS] = [fit(part.seen, real=len(y), weighted=True)]
        if wide is not None:
            for arm in design.unlabelled:
                seeds = stream.child("fit", kind)
                fits[kind, arm] = [semisupervised.train(arm, kind, wide, design.labels, seeds, penalty=choice.penalty)]
        tick(2 + len(design.unlabelled))
        for arm, policy in choice.arms.items():
            if policy.ratio:
                most = max(c.arms[arm].ratio for c in chosen.values())
                side = wide if wide is not None and design.pooled(arm) else part
                fits[kind, arm] = [
                    fit(side.with_made(arm, seed, policy.ratio, most), real=side.real(arm))
                    for seed in range(design.seeds)
                ]
            tick(design.seeds)
        if extra is not None and extra_y is not None:
            more = part.seen.joined(part.features.of(part.features.select(extra), extra_y))
            fits[kind, ORACLE] = [fit(more, real=len(more), weighted=choice.plain.arm == WEIGHTS)]
    return Learned(part, wide, chosen, fits)


def judged(outcome: Learned, rows: Dataset, y: Codes, design: Design) -> Split:
    """Score everything that was learned on the test rows; nothing is fitted here."""
    part, wide = outcome.part, outcome.wide
    test = part.features.of(part.features.select(rows), y)
    beside = test if wide is None else wide.features.of(wide.features.select(rows), y)
    out: dict[tuple[str, str], Judged] = {}
    for kind, choice in outcome.chosen.items():
        own = {REAL: Policy(REAL), WEIGHTS: Policy(WEIGHTS), THRESHOLD: Policy(THRESHOLD, 0.0, choice.threshold)}
        own |= {arm: Policy(arm) for arm in design.unlabelled}
        for arm, policy in {**own, ORACLE: choice.plain, **choice.arms}.items():
            # an arm whose ratio is 0 is the comparator itself
            fits = outcome.fits.get((kind, arm)) or outcome.fits[kind, policy.arm]
            if arm == ORACLE and (kind, ORACLE) not in outcome.fits:
                continue
            seen, each = beside if design.pooled(policy.arm) else test, []
            for fit in fits:
                p = fit.probabilities(seen)
                each.append(learners.scores(y, p, learners.called(p, fit.prior, policy.power)))
            mean = {name: float(np.mean([one[name] for one in each])) for name in learners.METRICS}
            spread = [one["balanced_accuracy"] for one in each]
            out[kind, arm] = Judged(mean, policy, float(np.std(spread, ddof=1)) if len(spread) > 1 else 0.0)
    knowledge = _knowledge(part, part.seen, test, tuple(design.generators))
    if wide is not None:
        knowledge |= _knowledge(wide, wide.seen.joined(wide.others), beside, tuple(design.taught))
    return Split(
        trained=part.counts,
        tested=np.bincount(y, minlength=design.labels),
        judged=out,
        plain={kind: choice.plain for kind, choice in outcome.chosen.items()},
        inner={kind: choice.accuracy for kind, choice in outcome.chosen.items()},
        reached={kind: choice.reached for kind, choice in outcome.chosen.items()},
        penalty={kind: choice.penalty for kind, choice in outcome.chosen.items()},
        knowledge=knowledge,
        pool=0 if wide is None else len(wide.others),
        repeated=0.0 if wide is None or not len(wide.others) else _repeated(wide, beside),
    )


def _knowledge(part: Part, known: Rows, test: Rows, arms: tuple[str, ...]) -> dict[str, Knowledge]:
    """Look for signs that generators know the test rows, which they were not given, beside the rows that they know."""
    out = {}
    train, real = known.x.astype(np.float64), test.x.astype(np.float64)
    apart = distances(train, real).min()
    expected = len(test) / (len(test) + len(known))
    for arm in arms:
        made = part.first(arm)
        if made is not None:
            drawn = made.x[:: -(-len(made) // LOOKED)].astype(np.float64)
            to_train, to_test = distances(drawn, train).min(axis=1), distances(drawn, real).min(axis=1)
            nearer = float(np.mean((to_test < to_train) + 0.5 * (to_test == to_train))) - expected
            out[arm] = Knowledge(nearer, float(np.mean(to_test < COPY * apart)))
    return out


def _repeated(wide: Part, test: Rows) -> float:
    """Return the share of the unlabelled rows that are test rows, beyond what labelled rows of this data may be."""
    real = test.x.astype(np.float64)
    apart = distances(wide.seen.x.astype(np.float64), real).min()
    return float(np.mean(distances(wide.others.x.astype(np.float64), real).min(axis=1) < SAME * apart))
