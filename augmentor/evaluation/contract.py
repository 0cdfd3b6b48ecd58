"""What a metric promises: its scores described as data, and one function that measures one pair of row sets.

A metric never sees ceilings, floors, folds or intervals. It is given a `Pair` -- rows in the place of the synthetic ones
and real rows they are compared with -- and returns a number per score. The frame calls it with the synthetic rows, with
real training rows (the ceiling), with broken rows (the floors) and with subsamples (the interval), on the same real rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from augmentor.core.space import Space
from augmentor.evaluation.score import Score, ScoreSpec

if TYPE_CHECKING:
    from augmentor.evaluation.context import Frame
    from augmentor.evaluation.pair import Pair

Kind = Literal["matched", "distinct", "mapped", "training", "all", "copies"]

# Where every column holds the same kind of number: all spaces but mixed tables.
EXPRESSION = (Space.COUNTS, Space.LOG, Space.CONTINUOUS)


@dataclass(frozen=True)
class Setup:
    """Which rows a metric wants to see, and how often.

    Attributes:
        rows: how the pairs are made.

            ============  =========================================================================================
            matched       equally many rows per label on both sides (fidelity, biology)
            distinct      the same among rows that differ: for neighbours and kernels, which repeats would fool
            mapped        the same, with a space fitted on rows that appear nowhere else, also where H is small
            training      rows to train a classifier on, matched to T, against all of H
            all           all rows, as they are
            copies        all of S against H, with all of T at hand; the reference is real rows *not* in T
            ============  =========================================================================================
        draws: how many draws of real rows make the ceiling.
        alternate: whether ceiling draws take the folds in turn and floors use one; for metrics that cost seconds.
        halves: how many random halves make the interval of ``subsample`` scores.
        floors: ``all`` or ``named`` (only those named by the scores); for metrics that cost seconds.
        most: most rows a side outside a full evaluation, for classifiers that take their time; None for those of the frame.
        labelled: whether the metric means nothing without labels.
        covariates: whether the metric means nothing without continuous covariates; left out where there are none.
        spaces: spaces in which the metric means something; elsewhere it is left out, or refused where asked for by name.
        order: 0 minimum set, 1 default, 2 last; the order of work under a time budget.
    """

    rows: Kind = "matched"
    draws: int = 5
    alternate: bool = False
    halves: int = 6
    floors: Literal["all", "named"] = "all"
    most: int | None = None
    labelled: bool = False
    covariates: bool = False
    spaces: tuple[Space, ...] = tuple(Space)
    order: int = 1


@dataclass(frozen=True)
class Measured:
    """One number, or the reason why there is none.

    Attributes:
        value: the score of the pair; None with a `reason`.
        per_label: the same for the rows of one label; None where there are too few rows.
        sd: standard deviation of `value`, where the metric knows it better than the frame's resampling.
        method: how `sd` was made.
        detail: further numbers for the report, plain JSON.
        figure: data for `Illustrated.figures`; never written out itself.
        reason: why there is no value.
    """

    value: float | None
    per_label: Mapping[str, float | None] = field(default_factory=dict)
    sd: float | None = None
    method: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    figure: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None

    @staticmethod
    def none(reason: str) -> Measured:
        """Return the absence of a value, with its reason."""
        return Measured(None, reason=reason)

    @staticmethod
    def over_labels(
        pooled: float | None,
        per_label: Mapping[str, float | None],
        *,
        fallback: bool,
        detail: Mapping[str, Any] | None = None,
        reason: str = "not defined on these rows",
    ) -> Measured:
        """Return the unweighted mean over labels; with ``fallback`` (no label has enough rows), the pooled value."""
        present = [value for value in per_label.values() if value is not None]
        value = pooled if fallback else sum(present) / len(present) if present else None
        more = {"pooled": pooled, **(detail or {})}
        return Measured(value, per_label, detail=more, reason=reason if value is None else None)


Measures = Mapping[str, Measured]


@runtime_checkable
class Metric(Protocol):
    """One file of ``metrics/``: the class is called ``Metric`` and built without arguments, once per evaluation."""

    scores: ClassVar[tuple[ScoreSpec, ...]]
    setup: ClassVar[Setup]

    def measure(self, pair: Pair) -> Measures:
        """Return a value for every name in `scores`."""
        ...


@runtime_checkable
class Illustrated(Protocol):
    """A metric that also has pictures."""

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return figures by name as plain data; ``measured`` maps an arm to its measures, as in `assemble.Outcome`."""
        ...


@runtime_checkable
class Flagging(Protocol):
    """A metric that raises flags of its own."""

    def flags(self, score: Score) -> tuple[str, ...]:
        """Return the flags that a finished score deserves."""
        ...
