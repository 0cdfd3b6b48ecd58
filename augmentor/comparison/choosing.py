"""What the inner folds choose: penalty, policies without synthetic rows, ratio and threshold of every arm.

Three folds of the training rows; their validation rows are labelled and real, and generators, genes and the labels of unlabelled
rows are fitted and inferred without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from augmentor.comparison import learners, semisupervised, splits
from augmentor.comparison.design import INNER, POWERS, REAL, THRESHOLD, WEIGHTS, Codes, Design, Policy, Tick
from augmentor.comparison.features import Rows
from augmentor.comparison.learners import Fit
from augmentor.comparison.part import Part
from augmentor.core.dataset import Dataset
from augmentor.core.random import Stream


@dataclass(frozen=True, eq=False)
class Chosen:
    """What the inner folds chose for one learner.

    Attributes:
        penalty: inverse penalty of the regression.
        plain: the best policy without a generator and without unlabelled rows.
        threshold: power of the tuned threshold.
        arms: the best policy of every arm that makes rows, which may be `plain`; of a taught arm the best that makes some.
        accuracy: balanced accuracy of `plain` in the inner folds.
        reached: that of every arm that makes rows or uses unlabelled ones.
    """

    penalty: float
    plain: Policy
    threshold: float
    arms: dict[str, Policy]
    accuracy: float
    reached: dict[str, float]


@dataclass(frozen=True, eq=False)
class Fold:
    """An inner fold.

    Attributes:
        outside: rows that choose.
        narrow: the other rows, and the validation rows as its classifiers see them.
        wide: the same with unlabelled rows beside them, where there are any.
    """

    outside: Codes
    narrow: tuple[Part, Rows]
    wide: tuple[Part, Rows] | None


def choose(
    rows: Dataset, y: Codes, design: Design, stream: Stream, tick: Tick, pool: Dataset | None
) -> dict[str, Chosen]:
    """Try every policy on the inner folds; the simplest of the best is chosen, no synthetic rows before some.

    Args:
        rows: training rows.
        y: ``(rows,)`` label positions.
        design: what is compared.
        stream: randomness.
        tick: told the number of classifiers trained.
        pool: rows without a label.
    """
    fold = splits.folded(y, rows.groups, INNER, stream.child("folds"))
    folds: dict[int, Fold] = {}
    for i in range(INNER):
        inside, out = np.flatnonzero(fold != i), np.flatnonzero(fold == i)
        if not len(out) or len(np.unique(y[inside])) < 2:
            continue
        own, judges = (rows.take(inside), y[inside]), (rows.take(out), y[out])
        part = Part(*own, design, stream.child("part", i))
        beside = None if pool is None else Part(*own, design, stream.child("part", i), splits.apart(pool, judges[0]))
        folds[i] = Fold(
            out, (part, _looked(part, *judges)), None if beside is None else (beside, _looked(beside, *judges))
        )
    return {kind: _Inner(kind, folds, y, design, stream.child("fit", kind)).choose(tick) for kind in design.learners}


def _looked(part: Part, rows: Dataset, y: Codes) -> Rows:
    return part.features.of(part.features.select(rows), y)


class _Inner:
    """The inner folds as one learner sees them: the calls of every policy, each row called by a fold that lacks it."""

    def __init__(self, kind: str, folds: Mapping[int, Fold], y: Codes, design: Design, stream: Stream) -> None:
        self._kind, self._folds, self._y = kind, folds, y
        self._design, self._stream = design, stream
        self._calls: dict[Policy, Codes] = {}

    def choose(self, tick: Tick) -> Chosen:
        """Tune the penalty on real rows, then choose the best policy without and with every arm."""
        design = self._design
        penalty, fits = self._tuned()
        for i, fold in self._folds.items():
            self._note(Policy(REAL), i, fits[i])
            self._note(Policy(WEIGHTS), i, self._fit(i, fold.narrow[0].seen, penalty, weighted=True))
            for arm in design.unlabelled:
                self._note(Policy(arm), i, self._semisupervised(arm, i, penalty))
        tuned = [Policy(THRESHOLD, 0.0, power) for power in POWERS[1:]]
        plain = self._first([Policy(REAL), Policy(WEIGHTS), *tuned])
        arms = {arm: self._made(arm, plain, penalty) for arm in design.makers}
        without = 1 + len(design.unlabelled)
        tick(INNER * (len(_penalties(self._kind)) + without + len(design.makers) * len(design.ratios)))
        power = self._first([Policy(REAL), *tuned]).power
        ends = {arm: Policy(arm) for arm in design.unlabelled} | arms
        reached = {arm: self._accuracy(policy) for arm, policy in ends.items()}
        return Chosen(penalty, plain, power, arms, self._accuracy(plain), reached)

    def _made(self, arm: str, best: Policy, penalty: float) -> Policy:
        """Return the best policy of an arm that makes rows, or the one it must be better than."""
        ratios, taught = self._design.ratios, arm in self._design.taught
        # where no call is wrong nothing can be better, and of equals the one without synthetic rows is chosen
        if self._accuracy(best) == 1.0 and not taught:
            return best
        for i in self._folds:
            part, _ = self._side(arm, i)
            for ratio in ratios:
                rows = part.with_made(arm, 0, ratio, max(ratios, default=0.0))
                self._note(Policy(arm, ratio), i, self._fit(i, rows, penalty, real=part.real(arm)))
        tried = [Policy(arm, ratio, power) for ratio in ratios for power in POWERS]
        # what a taught arm adds is asked against arms that use the same rows, which are judged as they are; so is it
        return self._first(tried if taught else [best, *tried])

    def _side(self, arm: str, i: int) -> tuple[Part, Rows]:
        fold = self._folds[i]
        side = fold.wide if self._design.pooled(arm) else fold.narrow
        assert side is not None
        return side

    def _tuned(self) -> tuple[float, dict[int, Fit]]:
        """Return the inverse penalty of smallest log loss on real rows, and its classifiers."""
        sides = {i: fold.narrow for i, fold in self._folds.items()}
        fits = {c: {i: self._fit(i, part.seen, c) for i, (part, _) in sides.items()} for c in _penalties(self._kind)}
        loss = {
            c: sum(
                learners.log_loss(sides[i][1].y, f.probabilities(sides[i][1])) * len(sides[i][1])
                for i, f in some.items()
            )
            for c, some in fits.items()
        }
        best = min(loss, key=lambda c: (round(loss[c], 9), c))
        return best, fits[best]

    def _fit(self, i: int, rows: Rows, penalty: float, *, weighted: bool = False, real: int | None = None) -> Fit:
        return learners.train(
            self._kind,
            rows,
            self._design.labels,
            self._stream.child(i),
            real=len(self._folds[i].narrow[0].y) if real is None else real,
            penalty=penalty,
            weighted=weighted,
            trees=learners.INNER_TREES,
        )

    def _semisupervised(self, arm: str, i: int, penalty: float) -> Fit:
        part, _ = self._side(arm, i)
        stream, trees = self._stream.child(i), learners.INNER_TREES
        return semisupervised.train(arm, self._kind, part, self._design.labels, stream, penalty=penalty, trees=trees)

    def _note(self, policy: Policy, i: int, model: Fit) -> None:
        """Keep the calls of a classifier on the fold, at every power of the prior that its policy allows."""
        p = model.probabilities(self._side(policy.arm, i)[1])
        for power in (0.0,) if policy.arm in (WEIGHTS, *self._design.unlabelled) else POWERS:
            arm = THRESHOLD if policy.arm == REAL and power else policy.arm
            calls = self._calls.setdefault(Policy(arm, policy.ratio, power), np.full(len(self._y), -1, dtype=np.intp))
            calls[self._folds[i].outside] = learners.called(p, model.prior, power)

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
