"""A comparison of toy rows, and the question whether what a split learns depends on its test rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from augmentor.comparison import protocol, splits
from augmentor.comparison.arms import Generator
from augmentor.comparison.design import Design
from augmentor.comparison.protocol import Learned
from augmentor.comparison.run import run
from augmentor.comparison.summary import Setting, summarised
from augmentor.core.dataset import Dataset
from augmentor.core.progress import silent
from augmentor.core.random import Stream

NAMES = ["a", "b", "c"]


def design(generators: dict[str, Generator], **changed: object) -> Design:
    plain = Design(2, generators, ("lr",), (1.0,), 1, None)
    return replace(plain, **changed)


def compared(
    data: Dataset, y: np.ndarray, plan: Design, seed: int = 0, pool: Dataset | None = None, **setting: object
) -> dict:
    """Arms, verdicts and the rest, from 10 splits."""
    chosen = Setting(plan, seed=seed, **{"repeats": 2} | setting)
    return summarised(*run(data, y, chosen, silent, None, pool)[:2], chosen, NAMES[: plan.labels], [])


def arm(result: dict, name: str, learner: str = "lr") -> object:
    (found,) = (item for item in result["arms"] if (item.arm, item.learner) == (name, learner))
    return found


def predictions(outcome: Learned, probe: Dataset, y: np.ndarray, plan: Design) -> dict[tuple[str, str], np.ndarray]:
    """Probabilities that every classifier of a split gives to some rows."""
    found = {}
    for (learner, name), fits in outcome.fits.items():
        part = outcome.wide if plan.pooled(name) else outcome.part
        seen = part.features.of(part.features.select(probe), y)
        found[learner, name] = np.stack([fit.probabilities(seen) for fit in fits])
    return found


def ignores_test_rows(
    data: Dataset,
    y: np.ndarray,
    plan: Design,
    monkeypatch: pytest.MonkeyPatch,
    pool: Dataset | None = None,
    **setting: object,
) -> bool:
    """Whether what a split learns stays the same when its test rows are replaced by others.

    ``run`` is stopped after the first split's training.
    """
    _, test = next(iter(splits.outer(y, None, 5, 1, Stream(0).child("compare").child("splits"))))
    other = data.x.copy()
    other[test] = np.random.default_rng(9).normal(3.0, 4.0, (len(test), data.features))
    found = []
    real = protocol.learned

    def spy(*args: object) -> Learned:
        found.append(real(*args))
        raise StopIteration

    monkeypatch.setattr(protocol, "learned", spy)
    for x in (data.x, other):
        with pytest.raises(StopIteration):
            run(replace(data, x=x), y, Setting(plan, **setting), silent, None, pool)
    monkeypatch.setattr(protocol, "learned", real)
    one, two = (predictions(outcome, data, y, plan) for outcome in found)
    chosen = all(found[0].chosen[k].arms == found[1].chosen[k].arms for k in plan.learners)
    return chosen and all(np.array_equal(one[key], two[key]) for key in one)
