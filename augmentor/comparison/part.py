"""Training rows, the rows without a label that stand beside them, and everything that is fitted to both."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from augmentor.comparison.arms import wanted
from augmentor.comparison.design import Codes, Design
from augmentor.comparison.features import Components, Features, Rows
from augmentor.core.dataset import Dataset
from augmentor.core.random import Stream
from augmentor.preparing import Options, prepare
from augmentor.unlabelled import stacked


class Part:
    """Training rows with their features, and the generators fitted to them.

    With rows without a label, genes, scaling and components are of all of them, and generators of the taught arms learn from
    the labelled rows and from those others that were given a label, as `Augmentor.fit` does.

    Args:
        rows: labelled training rows.
        y: ``(rows,)`` label positions.
        design: what is compared.
        stream: randomness of this part.
        pool: rows of the same schema whose labels nobody looks at; None for a part that knows labelled rows only.
    """

    def __init__(self, rows: Dataset, y: Codes, design: Design, stream: Stream, pool: Dataset | None = None) -> None:
        self.features = Features.fitted(rows if pool is None else stacked(rows, pool), design.genes)
        self.rows, self.y = self.features.select(rows), y
        self.seen = self.features.of(self.rows, y)
        self.counts = np.bincount(y, minlength=design.labels)
        self._pool = (rows.take(np.arange(0)) if pool is None else pool).select(self.features.selected)
        self._design, self._stream = design, stream
        self._made: dict[tuple[str, int], Rows] = {}
        self._positions = {tuple(codes): int(c) for codes, c in zip(rows.codes.tolist(), y, strict=True)}

    @cached_property
    def others(self) -> Rows:
        """The rows without a label; their label is -1."""
        return self.features.of(self._pool, np.full(len(self._pool), -1, dtype=np.intp))

    @cached_property
    def around(self) -> Components:
        """Principal components of all rows, in the units of the first."""
        return Components.fitted(self.seen.joined(self.others).x, whitened=False)

    @cached_property
    def _taught(self) -> tuple[Dataset, Codes]:
        """Labelled rows, then those without a label that were given one, each with the probability of that label."""
        if not len(self._pool):
            return self.rows, self.y
        options = Options(seed=self._stream.child("labels").integer(), holdout=0.0, rare="keep", partial=True)
        own, pool = (replace(rows, groups=None, extra={}) for rows in (self.rows, self._pool))
        found = prepare(own, options, unlabelled=pool)
        return found.train, self._labels(found.train)

    @property
    def inferred(self) -> Rows:
        """The rows without a label that were given one."""
        rows, y = self._taught
        return self.features.of(rows.take(np.arange(len(self.y), len(y))), y[len(self.y) :])

    def real(self, arm: str) -> int:
        """Return how many real rows an arm rests on: penalties and ratios count in these."""
        return len(self._taught[1]) if self._design.pooled(arm) else len(self.y)

    def made(self, arm: str, seed: int, most: float) -> Rows:
        """Return the rows that a generator, fitted to these rows, draws for the largest ratio."""
        if (arm, seed) not in self._made:
            number = self._stream.child(arm, seed).integer()
            rows, y = self._taught if arm in self._design.taught else (self.rows, self.y)
            sampler = self._design.generators[self._design.taught.get(arm, arm)](rows, y, number)
            drawn = sampler(self._wanted(arm, most), number)
            self._made[arm, seed] = self.features.of(drawn, self._labels(drawn))
        return self._made[arm, seed]

    def first(self, arm: str) -> Rows | None:
        """Return the first synthetic set of an arm, if any learner wanted one."""
        return self._made.get((arm, 0))

    def with_made(self, arm: str, seed: int, ratio: float, most: float) -> Rows:
        """Return labelled rows, then the first synthetic ones of every label that the ratio asks for."""
        made, target = self.made(arm, seed, most), self._wanted(arm, ratio)
        rank = np.empty(len(made), dtype=np.intp)
        for code in range(self._design.labels):
            own = np.flatnonzero(made.y == code)
            rank[own] = np.arange(len(own))
        return self.seen.joined(made, np.flatnonzero(rank < target[made.y]))

    def _wanted(self, arm: str, ratio: float) -> Codes:
        return wanted(self.counts, ratio * self.real(arm) / len(self.y))

    def _labels(self, rows: Dataset) -> Codes:
        return np.array([self._positions[tuple(codes)] for codes in rows.codes.tolist()], dtype=np.intp)
