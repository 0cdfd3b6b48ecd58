"""One split of the nested comparison: choose inside the training rows, learn from them, judge on rows that nothing has seen.

`learned` is given the training rows and only them; whatever is fitted or chosen (genes, scaling, components, penalty, ratio,
threshold, generators) is fitted or chosen there. `judged` is given the result and the test rows, and fits nothing. Inside,
three folds of the training rows choose; their validation rows are real, and their generators are fitted without them.

A policy is what a person could decide to do: which arm, at which ratio, which label weights, which threshold. The policies
without a generator (real rows as they are, class weights, tuned threshold) compete with every arm: where the inner folds
prefer them, the arm adds nothing on that split and its gain is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from augmentor.comparison import learners, splits
from augmentor.comparison.arms import Generator, wanted
from augmentor.comparison.features import Features, Rows
from augmentor.comparison.learners import Fit
from augmentor.core.dataset import Dataset
from augmentor.core.random import Stream
from augmentor.evaluation.pair import distances

Codes = NDArray[np.intp]
Tick = Callable[[int], None]

REAL, WEIGHTS, THRESHOLD, ORACLE = "real_only", "class_weight", "tuned_threshold", "oracle_more_real"
PLAIN = (REAL, WEIGHTS, THRESHOLD)
POWERS = (0.0, 0.5, 1.0)
INNER = 3
# synthetic rows looked at for the question whether they know the test rows
LOOKED = 400
# how near to a test row, relative to the nearest real training row, a synthetic row is a copy of it
COPY = 0.5


@dataclass(frozen=True)
class Design:
    """What is compared, and how.

    Attributes:
        labels: number of labels.
        generators: by arm.
        learners: kinds of classifiers.
        ratios: synthetic rows per real row, increasing, without 0, which is always allowed.
        seeds: synthetic sets per split.
        genes: genes that are modelled and looked at; None for all.
    """

    labels: int
    generators: Mapping[str, Generator]
    learners: tuple[str, ...]
    ratios: tuple[float, ...]
    seeds: int
    genes: int | None

    @property
    def classifiers(self) -> int:
        """Most classifiers that a split can train."""
        arms = len(self.generators)
        total = len(self.learners) * (INNER * (2 + arms * len(self.ratios)) + 2 + arms * self.seeds)
        return total + (INNER * (len(learners.PENALTIES) - 1) if "lr" in self.learners else 0)

    @property
    def fits(self) -> int:
        """Most generators that a split can fit."""
        return len(self.generators) * (INNER + self.seeds)


@dataclass(frozen=True)
class Policy:
    """What to do: an arm (or none), synthetic rows per real row, label weights, and the power of the prior in calls."""

    arm: str
    ratio: float = 0.0
    power: float = 0.0


class Part:
    """Training rows with their features, and the generators fitted to them."""

    def __init__(self, rows: Dataset, y: Codes, design: Design, stream: Stream) -> None:
        self.features = Features.fitted(rows, design.genes)
        self.rows, self.y = self.features.select(rows), y
        self.seen = self.features.of(self.rows, y)
        self.counts = np.bincount(y, minlength=design.labels)
        self._design, self._stream = design, stream
        self._made: dict[tuple[str, int], Rows] = {}
        self._positions = {tuple(codes): int(c) for codes, c in zip(rows.codes.tolist(), y, strict=True)}

    def made(self, arm: str, seed: int, most: float) -> Rows:
        """Return the rows that a generator, fitted to these rows, draws for the largest ratio."""
        if (arm, seed) not in self._made:
            number = self._stream.child(arm, seed).integer()
            sampler = self._design.generators[arm](self.rows, self.y, number)
            drawn = sampler(wanted(self.counts, most), number)
            y = np.array([self._positions[tuple(codes)] for codes in drawn.codes.tolist()], dtype=np.intp)
            self._made[arm, seed] = self.features.of(drawn, y)
        return self._made[arm, seed]

    def first(self, arm: str) -> Rows | None:
        """Return the first synthetic set of an arm, if any learner wanted one."""
        return self._made.get((arm, 0))

    def with_made(self, arm: str, seed: int, ratio: float, most: float) -> Rows:
        """Return real rows, then the first synthetic ones of every label that the ratio asks for."""
        made, target = self.made(arm, seed, most), wanted(self.counts, ratio)
        rank = np.empty(len(made), dtype=np.intp)
        for code in range(self._design.labels):
            own = np.flatnonzero(made.y == code)
            rank[own] = np.arange(len(own))
        return self.seen.joined(made, np.flatnonzero(rank < target[made.y]))


@dataclass(frozen=True, eq=False)
class Chosen:
    """What the inner folds chose for one learner.

    Attributes:
        penalty: inverse penalty of the regression.
        plain: the best policy without a generator.
        threshold: power of the tuned threshold.
        arms: the best policy of every arm, which may be `plain`.
        accuracy: balanced accuracy of `plain` in the inner folds.
    """

    penalty: float
    plain: Policy
    threshold: float
    arms: dict[str, Policy]
    accuracy: float


@dataclass(frozen=True, eq=False)
class Learned:
    """Everything that the training rows of a split gave.

    Attributes:
        part: training rows and generators.
        chosen: by learner.
        fits: classifiers by learner and arm, one per synthetic set.
    """

    part: Part
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
        plain: the best policy without a generator according to the inner folds, by learner: the comparator.
        inner: its balanced accuracy there.
        penalty: inverse penalty, by learner.
        knowledge: of the test rows, by arm that made rows.
    """

    trained: Codes
    tested: Codes
    judged: dict[tuple[str, str], Judged]
    plain: dict[str, Policy]
    inner: dict[str, float]
    penalty: dict[str, float]
    knowledge: dict[str, Knowledge] = field(default_factory=dict)


def learned(
    rows: Dataset,
    y: Codes,
    design: Design,
    stream: Stream,
    tick: Tick,
    extra: Dataset | None = None,
    extra_y: Codes | None = None,
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
    """
    chosen = _choose(rows, y, design, stream.child("inner"), tick)
    part = Part(rows, y, design, stream.child("outer"))
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
        tick(2)
        for arm, policy in choice.arms.items():
            if policy.ratio:
                most = max(c.arms[arm].ratio for c in chosen.values())
                fits[kind, arm] = [
                    fit(part.with_made(arm, seed, policy.ratio, most), real=len(y)) for seed in range(design.seeds)
                ]
            tick(design.seeds)
        if extra is not None and extra_y is not None:
            more = part.seen.joined(part.features.of(part.features.select(extra), extra_y))
            fits[kind, ORACLE] = [fit(more, real=len(more), weighted=choice.plain.arm == WEIGHTS)]
    return Learned(part, chosen, fits)


def judged(outcome: Learned, rows: Dataset, y: Codes, design: Design) -> Split:
    """Score everything that was learned on the test rows; nothing is fitted here."""
    part = outcome.part
    test = part.features.of(part.features.select(rows), y)
    out: dict[tuple[str, str], Judged] = {}
    for kind, choice in outcome.chosen.items():
        own = {REAL: Policy(REAL), WEIGHTS: Policy(WEIGHTS), THRESHOLD: Policy(THRESHOLD, 0.0, choice.threshold)}
        for arm, policy in {**own, ORACLE: choice.plain, **choice.arms}.items():
            # an arm whose ratio is 0 is the comparator itself
            fits = outcome.fits.get((kind, arm)) or outcome.fits[kind, policy.arm]
            if arm == ORACLE and (kind, ORACLE) not in outcome.fits:
                continue
            each = []
            for fit in fits:
                p = fit.probabilities(test)
                each.append(learners.scores(y, p, learners.called(p, fit.prior, policy.power)))
            mean = {name: float(np.mean([one[name] for one in each])) for name in learners.METRICS}
            spread = [one["balanced_accuracy"] for one in each]
            out[kind, arm] = Judged(mean, policy, float(np.std(spread, ddof=1)) if len(spread) > 1 else 0.0)
    return Split(
        trained=part.counts,
        tested=np.bincount(y, minlength=design.labels),
        judged=out,
        plain={kind: choice.plain for kind, choice in outcome.chosen.items()},
        inner={kind: choice.accuracy for kind, choice in outcome.chosen.items()},
        penalty={kind: choice.penalty for kind, choice in outcome.chosen.items()},
        knowledge=_knowledge(part, test, design),
    )


def _choose(rows: Dataset, y: Codes, design: Design, stream: Stream, tick: Tick) -> dict[str, Chosen]:
    """Try every policy on the inner folds; the simplest of the best is chosen, no synthetic rows before some."""
    fold = splits.folded(y, rows.groups, INNER, stream.child("folds"))
    parts, judges, outside = {}, {}, {}
    for i in range(INNER):
        inside, out = np.flatnonzero(fold != i), np.flatnonzero(fold == i)
        if len(out) and len(np.unique(y[inside])) > 1:
            part = parts[i] = Part(rows.take(inside), y[inside], design, stream.child("part", i))
            outside[i] = out
            judges[i] = part.features.of(part.features.select(rows.take(out)), y[out])
    return {
        kind: _Inner(kind, parts, judges, outside, y, design, stream.child("fit", kind)).choose(tick)
        for kind in design.learners
    }


class _Inner:
    """The inner folds as one learner sees them: the calls of every policy, each row called by a fold that lacks it."""

    def __init__(
        self,
        kind: str,
        parts: dict[int, Part],
        judges: dict[int, Rows],
        outside: dict[int, Codes],
        y: Codes,
        design: Design,
        stream: Stream,
    ) -> None:
        self._kind, self._parts, self._judges, self._outside = kind, parts, judges, outside
        self._y, self._design, self._stream = y, design, stream
        self._calls: dict[Policy, Codes] = {}

    def choose(self, tick: Tick) -> Chosen:
        """Tune the penalty on real rows, then choose the best policy without and with every arm."""
        design, most = self._design, max(self._design.ratios, default=0.0)
        penalty, plain = self._tuned()
        for i, part in self._parts.items():
            self._note(Policy(REAL), i, plain[i])
            self._note(Policy(WEIGHTS), i, self._fit(i, part.seen, penalty, weighted=True))
        tuned = [Policy(THRESHOLD, 0.0, power) for power in POWERS[1:]]
        best = self._first([Policy(REAL), Policy(WEIGHTS), *tuned])
        arms = dict.fromkeys(design.generators, best)
        # where no call is wrong nothing can be better, and of equals the one without synthetic rows is chosen
        if self._accuracy(best) < 1.0:
            for arm in design.generators:
                for i, part in self._parts.items():
                    for ratio in design.ratios:
                        model = self._fit(i, part.with_made(arm, 0, ratio, most), penalty)
                        self._note(Policy(arm, ratio), i, model)
                tried = [Policy(arm, ratio, power) for ratio in design.ratios for power in POWERS]
                arms[arm] = self._first([best, *tried])
        tick(INNER * (len(_penalties(self._kind)) + 1 + len(design.generators) * len(design.ratios)))
        return Chosen(penalty, best, self._first([Policy(REAL), *tuned]).power, arms, self._accuracy(best))

    def _tuned(self) -> tuple[float, dict[int, Fit]]:
        """Return the inverse penalty of smallest log loss on real rows, and its classifiers."""
        fits = {c: {i: self._fit(i, part.seen, c) for i, part in self._parts.items()} for c in _penalties(self._kind)}
        loss = {
            c: sum(
                learners.log_loss(self._judges[i].y, f.probabilities(self._judges[i])) * len(self._judges[i])
                for i, f in some.items()
            )
            for c, some in fits.items()
        }
        best = min(loss, key=lambda c: (round(loss[c], 9), c))
        return best, fits[best]

    def _fit(self, i: int, rows: Rows, penalty: float, *, weighted: bool = False) -> Fit:
        return learners.train(
            self._kind,
            rows,
            self._design.labels,
            self._stream.child(i),
            real=len(self._parts[i].y),
            penalty=penalty,
            weighted=weighted,
            trees=learners.INNER_TREES,
        )

    def _note(self, policy: Policy, i: int, model: Fit) -> None:
        """Keep the calls of a classifier on the fold, at every power of the prior that its policy allows."""
        p = model.probabilities(self._judges[i])
        for power in (0.0,) if policy.arm == WEIGHTS else POWERS:
            arm = THRESHOLD if policy.arm == REAL and power else policy.arm
            calls = self._calls.setdefault(Policy(arm, policy.ratio, power), np.full(len(self._y), -1, dtype=np.intp))
            calls[self._outside[i]] = learners.called(p, model.prior, power)

    def _accuracy(self, policy: Policy) -> float:
        if policy not in self._calls:  # no inner fold could be used
            return 0.0
        calls = self._calls[policy]
        # rounded: equally many right calls must tie whatever the order of the sum
        return round(learners.accuracy(self._y[calls >= 0], calls[calls >= 0]), 9)

    def _first(self, policies: list[Policy]) -> Policy:
        """Return the best policy; of equals the first."""
        return max(policies, key=self._accuracy)


def _penalties(kind: str) -> tuple[float, ...]:
    return learners.PENALTIES if kind == "lr" else (0.1,)


def _knowledge(part: Part, test: Rows, design: Design) -> dict[str, Knowledge]:
    """Look for signs that a generator knows the test rows, which it was not given."""
    out = {}
    train, real = part.seen.x.astype(np.float64), test.x.astype(np.float64)
    apart = distances(train, real).min()
    expected = len(test) / (len(test) + len(part.seen))
    for arm in design.generators:
        made = part.first(arm)
        if made is not None:
            drawn = made.x[:: -(-len(made) // LOOKED)].astype(np.float64)
            to_train, to_test = distances(drawn, train).min(axis=1), distances(drawn, real).min(axis=1)
            nearer = float(np.mean((to_test < to_train) + 0.5 * (to_test == to_train))) - expected
            out[arm] = Knowledge(nearer, float(np.mean(to_test < COPY * apart)))
    return out
