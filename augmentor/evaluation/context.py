"""The frame of an evaluation: which rows stand in whose place, compared with which real rows, in which space.

Two policies keep a space from favouring anybody. ``disjoint``: held-out rows are split into H_fit (genes, components, bins)
and H_score (all comparisons), then swapped. ``symmetric``, for few held-out rows: the space is fitted on the union of the two
compared sets, for every arm alike. It is never fitted on the training rows alone: in a space of their own, even real
training rows are told from held-out ones with an AUC of 0.86.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from augmentor.core.random import Stream
from augmentor.evaluation import arms
from augmentor.evaluation.contract import Kind
from augmentor.evaluation.pair import Asked, Pair, Side
from augmentor.evaluation.rows import Aligned, Sample
from augmentor.evaluation.spaces import Basis

# The disjoint policy needs this many held-out rows, most of them in labels of at least this many rows a half.
DISJOINT_ROWS = 400
DISJOINT_LABEL = 20
# Below this many held-out rows there is no half of them to stand for fresh real rows.
FRESH_ROWS = 20
# Most rows for the components of the copying metrics.
UNION_ROWS = 3000


@dataclass(frozen=True, eq=False)
class Fold:
    """One assignment of rows to roles.

    Attributes:
        score: held-out rows that everything is compared with.
        train: training rows, from which the ceiling and the floors are made.
        fit: rows the space is fitted on; None for ``symmetric``.
        fresh: real rows that are in neither: the reference of copying.
    """

    score: Sample
    train: Sample
    fit: Sample | None = None
    fresh: Sample | None = None


class Frame:
    """Gives metrics their pairs; every pair is made once and kept.

    Attributes:
        data: the aligned sets.
        halved: True when there were no held-out rows and training rows were halved instead.
        policy: disjoint or symmetric.
        train: training rows of the comparisons.
        holdout: held-out rows of the comparisons.
        asked: what the user asked for beyond the data.
    """

    def __init__(
        self,
        data: Aligned,
        *,
        seed: int,
        n_max: int,
        plan: dict[str, int] | None = None,
        asked: Asked | None = None,
    ):
        self.asked = asked or Asked()
        self.data = data
        self.stream = Stream(seed).child("evaluate")
        self.n_max = n_max
        self.plan = plan
        self.halved = data.holdout is None
        if data.holdout is None:
            first, second = split(data.train, self.stream.child("halves"))
            self.train, self.holdout = data.train.take(first), data.train.take(second)
        else:
            self.train, self.holdout = data.train, data.holdout
        self.policy = "disjoint" if self._enough_for_disjoint() else "symmetric"
        self._pairs: dict[tuple[str, str, int, int], Pair] = {}
        self._real: dict[tuple[str, int], Side] = {}
        self._bases: dict[int, Basis] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """Label names."""
        return self.data.labels

    def folds(self, kind: Kind) -> list[Fold]:
        """Return the folds of a kind of pair."""
        if kind in ("training", "all"):
            return [Fold(self.holdout, self.train, fit=self.holdout)]
        if kind == "mapped" and self.policy == "symmetric":
            fit, rest = self._spare
            return [Fold(self.holdout, rest, fit=fit)]
        if kind == "copies":
            return self._copy_folds
        return self._folds

    def pair(self, kind: Kind, arm: str, fold: int, draw: int = 0) -> Pair:
        """Return the pair of an arm in a fold."""
        if kind == "distinct" and not self._repeats:
            kind = "matched"
        key = (kind, arm, fold, draw)
        if key not in self._pairs:
            self._pairs[key] = self._made(kind, arm, fold, draw)
        return self._pairs[key]

    def forget(self) -> None:
        """Let go of what is large and soon computed again: metrics differ in what they look at."""
        for pair in self._pairs.values():
            pair.forget()
            for side in (pair.real, pair.fit, *(() if pair.train is None else (pair.train,))):
                side.forget()

    def _made(self, kind: Kind, arm: str, fold: int, draw: int) -> Pair:
        stream = self.stream.child("arm", kind, arm, fold, draw)
        roles = self.folds(kind)[fold]
        judged = self._judged(kind, arm, fold, stream)
        real = self._real_side(kind, fold, judged if roles.fit is None else None)
        return Pair(
            arm=arm,
            synthetic=Side(judged, real.basis),
            real=real,
            labels=self.labels,
            genes=self.data.genes,
            stream=stream.child("work"),
            fold=fold,
            train=self._train_side(kind, fold, real.basis),
            plan=self.plan,
            policy=self.policy,
            covariates=self.data.covariates,
            asked=self.asked,
            every=self.data.synthetic if kind == "copies" and arm == "synthetic" else None,
        )

    def _judged(self, kind: Kind, arm: str, fold: int, stream: Stream) -> Sample:
        """Return the rows that an arm puts in the place of the synthetic ones."""
        roles = self.folds(kind)[fold]
        source = self.data.synthetic if arm == "synthetic" else roles.train
        if kind == "all":
            return source
        if kind == "copies":
            if arm == "ceiling":
                assert roles.fresh is not None
                return roles.fresh
            most = min(self.n_max, len(source))
            return source.take(np.sort(stream.numpy().permutation(len(source))[:most]))
        sizes = self._sizes(kind, fold)
        if arm == "means":
            return arms.means(source, sizes)
        if arm == "permuted":
            source = arms.permuted(source, stream.child("labels"))
        among = source.distinct() if kind == "distinct" else None
        rows = arms.draw(source, sizes, stream.child("rows"), among)
        return arms.independent(rows, stream.child("columns")) if arm == "independent" else rows

    def _real_side(self, kind: Kind, fold: int, union: Sample | None) -> Side:
        if union is not None:
            rows = self._real_rows(kind, fold)
            joined = Sample.joined(union, rows)
            return Side(rows, Basis.fitted(joined, self.data.space, self._target(self.holdout)))
        key = (kind, fold)
        if key not in self._real:
            self._real[key] = Side(self._real_rows(kind, fold), self._basis(kind, fold))
        return self._real[key]

    def _train_side(self, kind: Kind, fold: int, basis: Basis) -> Side | None:
        """Return the training rows for the kinds that work with them, made once."""
        if kind not in ("training", "all", "copies"):
            return None
        key = (f"{kind} train", fold)
        if key not in self._real:
            rows = self.folds(kind)[fold].train
            if kind == "training":
                rows = arms.draw(rows, self._sizes(kind, fold), self.stream.child("arm", kind, "train"))
            self._real[key] = Side(rows, basis)
        return self._real[key]

    def _real_rows(self, kind: Kind, fold: int) -> Sample:
        score = self.folds(kind)[fold].score
        if kind in ("training", "all", "copies"):
            return score
        among = score.distinct() if kind == "distinct" else None
        return arms.draw(score, self._sizes(kind, fold), self.stream.child("real", kind, fold), among)

    def _basis(self, kind: Kind, fold: int) -> Basis:
        fit = self.folds(kind)[fold].fit
        assert fit is not None
        # kinds that fit on the same rows share them, and with them their basis
        if id(fit) not in self._bases:
            self._bases[id(fit)] = Basis.fitted(fit, self.data.space, self._target(fit))
        return self._bases[id(fit)]

    def _target(self, rows: Sample) -> float:
        return float(np.median(rows.totals)) or 1.0

    def _sizes(self, kind: Kind, fold: int) -> NDArray[np.intp]:
        """Return the rows per label of a matched pair: the most that every arm can give, capped in total."""
        roles = self.folds(kind)[fold]
        if kind == "training":
            share = min(1.0, len(self.data.synthetic) / len(roles.train), self.n_max / len(roles.train))
            counts = roles.train.counts(len(self.labels))
            return np.where(counts > 0, np.maximum(1, np.rint(share * counts)), 0).astype(np.intp)
        sets = [self.data.synthetic, roles.train, roles.score]
        if kind == "distinct":
            sets = [rows.take(rows.distinct()) for rows in sets]
        sizes = np.min([rows.counts(len(self.labels)) for rows in sets], axis=0)
        if sizes.sum() > self.n_max:
            sizes = np.where(sizes > 0, np.maximum(1, sizes * self.n_max // sizes.sum()), 0)
        return sizes

    @cached_property
    def _folds(self) -> list[Fold]:
        if self.policy == "symmetric":
            return [Fold(self.holdout, self.train)]
        first, second = (self.holdout.take(rows) for rows in self._split)
        return [Fold(second, self.train, fit=first), Fold(first, self.train, fit=second)]

    @cached_property
    def _copy_folds(self) -> list[Fold]:
        """Folds of the copying metrics: a space that treats training and held-out rows alike, and fresh rows."""
        if len(self.holdout) < FRESH_ROWS:
            return [Fold(self.holdout, self.train, fit=self._union(self.holdout))]
        first, second = (self.holdout.take(rows) for rows in self._split)
        return [
            Fold(score, self.train, fit=self._union(score), fresh=fresh)
            for score, fresh in ((second, first), (first, second))
        ]

    def _union(self, score: Sample) -> Sample:
        """Return training and held-out rows in their proportions: a space that both have shaped alike.

        Rows pull components towards themselves: were a larger share of H than of T among them, H would look further away.
        """
        union = Sample.joined(self.train, score)
        order = self.stream.child("copies").numpy().permutation(len(union))
        return union.take(np.sort(order[:UNION_ROWS]))

    @cached_property
    def _split(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return split(self.holdout, self.stream.child("folds"))

    @cached_property
    def _spare(self) -> tuple[Sample, Sample]:
        first, second = split(self.train, self.stream.child("spare"))
        return self.train.take(first), self.train.take(second)

    @cached_property
    def _repeats(self) -> bool:
        sets = (self.data.synthetic, self.train, self.holdout)
        return any(len(rows.distinct()) < len(rows) for rows in sets)

    def _enough_for_disjoint(self) -> bool:
        if len(self.holdout) < DISJOINT_ROWS:
            return False
        held = self.holdout.counts(len(self.labels))
        others = np.minimum(*(rows.counts(len(self.labels)) for rows in (self.data.synthetic, self.train)))
        common = np.minimum(held // 2, others)
        present = others > 0
        return bool(held[common >= DISJOINT_LABEL].sum() >= 0.8 * held[present].sum() > 0)


def split(sample: Sample, stream: Stream) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Split rows into halves: per label, and a group as a whole where rows have groups."""
    rng = stream.numpy()
    if sample.groups is not None and len(np.unique(sample.groups)) > 3:
        names, group = np.unique(sample.groups, return_inverse=True)
        sizes = np.bincount(group)
        side, load = np.zeros(len(names), dtype=bool), [0, 0]
        for i in rng.permutation(len(names)):
            side[i] = load[1] < load[0]
            load[int(side[i])] += int(sizes[i])
        second = side[group]
    else:
        order = rng.permutation(len(sample))
        order = order[np.argsort(sample.y[order], kind="stable")]
        second = np.zeros(len(sample), dtype=bool)
        second[order[1::2]] = True
    return np.flatnonzero(~second), np.flatnonzero(second)
