"""How many rows of which label, and the stream of blocks that delivers them.

Rows are drawn in blocks of a size that belongs to the model, each from its own random stream, and cut afterwards into
whatever the caller asked for: no chunking, and no order of work, can change a row.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Dataset
from augmentor.core.errors import ConfigError, LabelError, did_you_mean, listed
from augmentor.core.random import Stream
from augmentor.fitted import Fitted, condition_names

MOST_THREADS = 4  # each holds one block; more would cost memory for little time


@dataclass(frozen=True)
class LabelPlan:
    """Rows asked for, per label combination.

    Attributes:
        counts: rows of each combination seen in training, then of each of ``unseen``.
        unseen: combinations of known categories that training never saw (``B|stim``), by category positions.
    """

    counts: tuple[int, ...]
    unseen: tuple[tuple[int, ...], ...] = ()

    @property
    def total(self) -> int:
        """Rows in all."""
        return sum(self.counts)

    def rows(self, fitted: Fitted) -> dict[str, int]:
        """Rows asked for by name of the label combination, those of none left out."""
        names = (*fitted.conditions, *condition_names(fitted.schema, self.unseen))
        return {name: n for name, n in zip(names, self.counts, strict=True) if n}

    @classmethod
    def like_train(cls, fitted: Fitted, n: int) -> LabelPlan:
        """``n`` rows with the label frequencies of the training rows (largest remainders get the odd rows)."""
        return cls(_apportion(n, fitted.counts))

    @classmethod
    def equal(cls, fitted: Fitted, n: int) -> LabelPlan:
        """``n`` rows, the same number of each label as far as n allows."""
        return cls(_apportion(n, [1] * len(fitted.counts)))

    @classmethod
    def balance(cls, fitted: Fitted) -> LabelPlan:
        """As many rows as lift every label to the size of the largest."""
        largest = max(fitted.counts)
        return cls(tuple(largest - count for count in fitted.counts))

    @classmethod
    def per_label(cls, fitted: Fitted, wanted: Mapping[str, int]) -> LabelPlan:
        """Exactly these rows of these labels; a combination that training never saw is composed, where its parts are known.

        Raises:
            LabelError: a label is unknown; the known ones are listed.
            ConfigError: a number is negative or not whole.
        """
        known = {name: position for position, name in enumerate(fitted.conditions)}
        counts = [0] * len(known)
        unseen: dict[tuple[int, ...], int] = {}
        for label, n in wanted.items():
            rows = _count(n, f"label '{label}'")
            if label in known:
                counts[known[label]] = rows
            elif (combination := fitted.combination(label)) is not None:
                unseen[combination] = rows
            else:
                raise LabelError(
                    f"'{label}' is not a label of this model.{did_you_mean(label, known)} Known: {listed(known, most=30)}."
                )
        return cls((*counts, *unseen.values()), tuple(unseen))


def plan(fitted: Fitted, n: int | Mapping[str, int] | None, *, balance: bool = False) -> LabelPlan:
    """Turn what a user asks for into a plan: a number, numbers per label, or ``balance`` (with or without a number)."""
    if isinstance(n, Mapping):
        if balance:
            raise ConfigError("give either rows per label or balance, not both.")
        return LabelPlan.per_label(fitted, n)
    if n is None:
        return LabelPlan.balance(fitted) if balance else LabelPlan(fitted.counts)
    n = _count(n, "the number of rows")
    return LabelPlan.equal(fitted, n) if balance else LabelPlan.like_train(fitted, n)


def stream(fitted: Fitted, plan: LabelPlan, seed: int, *, block: int | None = None) -> Iterator[Dataset]:
    """Draw the rows of a plan, in random label order, ``block`` rows at a time.

    Args:
        fitted: the generator.
        plan: rows per label.
        seed: same seed, same rows.
        block: rows per data set yielded; the model's own block if None.
    """
    if block is not None and block < 1:
        raise ConfigError(f"a block holds at least 1 row, not {block}.")
    fitted = fitted.composed(plan.unseen)
    rng = Stream(seed).child("sample")
    small = np.int16 if len(plan.counts) < 2**15 else np.int32
    order = np.repeat(np.arange(len(plan.counts), dtype=small), plan.counts)
    rng.child("order").numpy().shuffle(order)

    def one(start: int) -> Dataset:
        return fitted.draw(order[start : start + fitted.block_rows].astype(np.intp), rng.child("block", start))

    blocks = _ahead(one, range(0, plan.total, fitted.block_rows))
    for start, part in _cut(blocks, block or fitted.block_rows):
        names = np.array([f"synthetic_{i}" for i in range(start, start + len(part))], dtype=object)
        yield replace(part, names=names)


def _ahead(work: Callable[[int], Dataset], items: range) -> Iterator[Dataset]:
    """Do the work on a few threads, a few items ahead; results come in order, so threads change nothing but the time."""
    threads = min(MOST_THREADS, os.cpu_count() or 1, len(items))
    if threads < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Dataset]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def draw(fitted: Fitted, plan: LabelPlan, seed: int) -> Dataset:
    """Draw all rows of a plan into memory."""
    blocks = list(stream(fitted, plan, seed))
    if not blocks:
        raise ConfigError("0 rows were asked for; ask for at least 1 (-n, --per-label).")
    return concatenate(blocks)


def concatenate(blocks: list[Dataset]) -> Dataset:
    """Join data sets of one schema."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    xs = [b.x for b in blocks]
    return replace(
        first,
        x=sparse.vstack(xs, format="csr") if sparse.issparse(first.x) else np.concatenate(xs),
        codes=np.concatenate([b.codes for b in blocks]),
        covariates=np.concatenate([b.covariates for b in blocks]),
        names=np.concatenate([b.names for b in blocks]),
        groups=None,
        extra={},
    )


def _cut(blocks: Iterator[Dataset], size: int) -> Iterator[tuple[int, Dataset]]:
    """Cut a stream of blocks into pieces of ``size`` rows, with the position of their first row."""
    waiting: list[Dataset] = []
    held = start = 0
    for part in blocks:
        waiting.append(part)
        held += len(part)
        if held < size:
            continue
        joined = concatenate(waiting)
        offset = 0
        while held - offset >= size:
            yield start, joined.take(np.arange(offset, offset + size))
            start, offset = start + size, offset + size
        waiting = [joined.take(np.arange(offset, held))] if offset < held else []
        held -= offset
    if waiting:
        yield start, concatenate(waiting)


def _apportion(n: int, weights: tuple[int, ...] | list[int]) -> tuple[int, ...]:
    """Divide ``n`` in proportion to weights, whole and exact: floors first, then the largest remainders."""
    shares = n * np.asarray(weights, dtype=np.float64) / sum(weights)
    counts: NDArray[np.int64] = np.floor(shares).astype(np.int64)
    order = np.argsort(-(shares - counts), kind="stable")
    counts[order[: n - int(counts.sum())]] += 1
    return tuple(int(count) for count in counts)


def _count(n: object, what: str) -> int:
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise ConfigError(f"{what} must be a whole number, not {n!r}.")
    if n < 0:
        raise ConfigError(f"{what} cannot be negative ({n}); ask for 1 or more.")
    return int(n)
