"""What is compared, and what a person could decide to do: arms, policies, and how many of each a split has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from augmentor.comparison import learners
from augmentor.comparison.arms import Generator

Codes = NDArray[np.intp]
Tick = Callable[[int], None]

REAL, WEIGHTS, THRESHOLD, ORACLE = "real_only", "class_weight", "tuned_threshold", "oracle_more_real"
PLAIN = (REAL, WEIGHTS, THRESHOLD)
POWERS = (0.0, 0.5, 1.0)
INNER = 3


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
        unlabelled: arms that use rows without a label and make none (`semisupervised`); empty where there are no such rows.
        taught: arms whose generator also learns from rows without a label, each with its name among ``generators``.
    """

    labels: int
    generators: Mapping[str, Generator]
    learners: tuple[str, ...]
    ratios: tuple[float, ...]
    seeds: int
    genes: int | None
    unlabelled: tuple[str, ...] = ()
    taught: Mapping[str, str] = field(default_factory=dict)

    @property
    def makers(self) -> tuple[str, ...]:
        """Arms that make rows."""
        return (*self.generators, *self.taught)

    @property
    def classifiers(self) -> int:
        """Most classifiers that a split can train."""
        arms = len(self.makers)
        total = len(self.learners) * (INNER * (2 + arms * len(self.ratios)) + 2 + arms * self.seeds)
        total += len(self.learners) * len(self.unlabelled) * (INNER + 1)
        return total + (INNER * (len(learners.PENALTIES) - 1) if "lr" in self.learners else 0)

    @property
    def fits(self) -> int:
        """Most generators that a split can fit."""
        return len(self.makers) * (INNER + self.seeds)

    def pooled(self, arm: str) -> bool:
        """Whether an arm uses rows without a label."""
        return arm in self.unlabelled or arm in self.taught


@dataclass(frozen=True)
class Policy:
    """What to do: an arm (or none), synthetic rows per real row, label weights, and the power of the prior in calls."""

    arm: str
    ratio: float = 0.0
    power: float = 0.0
