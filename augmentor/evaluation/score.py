"""What an evaluation says: `ScoreSpec` (a number's meaning), `Score` (it among its references), `Report` (all of them).

The JSON form of a report has its own format number; readers refuse an unknown one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from augmentor.core.errors import ConfigError, ThresholdMissed, did_you_mean, listed

if TYPE_CHECKING:
    import pandas as pd

    from augmentor.evaluation.report.beside import Beside

FORMAT = 1

Axis = Literal["fidelity", "biology", "utility", "privacy"]
Goal = Literal["maximize", "minimize", "target"]
Floor = Literal["independent", "permuted", "means"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreSpec(_Model):
    """What one score means; the same for every data set.

    Attributes:
        name: ``file`` or ``file.part``, for example ``correlation.within``.
        axis: fidelity, biology, utility or privacy.
        title: a few words for tables.
        meaning: one sentence for the report: how to read it.
        goal: maximize, minimize, or target (closest to `ideal`).
        ideal: the best possible value; None where only the ceiling tells.
        bounds: smallest and largest possible value; None for unbounded.
        floor: the arm that normalises the score; None where there is none.
        formula: how it is computed, in plain text.
        catches: what makes it bad.
        misses: what it cannot see.
        citation: paper, or "this project".
        interval: ``bootstrap`` (moment-like), ``subsample`` (neighbours, kernels, classifiers) or ``none``.
        headline: whether it stands on the first screen and decides its axis's verdict.
        needs_holdout: whether it is meaningless without held-out rows.
        full: whether it is computed only in a full evaluation, or when its metric is asked for by name.
        sharpens: whether rows with less noise than real ones score better on it, so that a value beyond the ceiling is a sign
            of them (or of copies). Where they score worse, as on shares of calls that are right, a value beyond the ceiling is
            reached by rows that say less or vary more, and is flagged as that.
    """

    name: str
    axis: Axis
    title: str
    meaning: str
    goal: Goal
    ideal: float | None
    bounds: tuple[float | None, float | None] = (None, None)
    floor: Floor | None = None
    formula: str
    catches: str
    misses: str
    citation: str = "this project"
    interval: Literal["bootstrap", "subsample", "none"] = "none"
    headline: bool = False
    needs_holdout: bool = False
    full: bool = False
    sharpens: bool = True


class Interval(_Model):
    """A 95 % interval and how it was made."""

    low: float
    high: float
    method: str


class Ceiling(_Model):
    """What real rows score in the place of the synthetic ones, over several draws."""

    mean: float
    sd: float
    draws: int


class LabelValue(_Model):
    """A score for the rows of one label."""

    value: float | None
    n: int
    reason: str | None = None


class Score(_Model):
    """A number with the numbers that give it meaning.

    `normalised` is (value − floor)/(ceiling − floor): 1 = as good as real rows, 0 = as bad as the floor; for target
    scores on distances to the ideal. None, with the flag ``uninformative_here``, where floor and ceiling coincide.
    """

    spec: ScoreSpec
    value: float | None
    ceiling: Ceiling | None = None
    floors: dict[str, float | None] = Field(default_factory=dict)
    per_label: dict[str, LabelValue] = Field(default_factory=dict)
    interval: Interval | None = None
    normalised: float | None = None
    flags: tuple[str, ...] = ()
    n_used: int = 0
    space: str = ""
    seconds: float = 0.0
    skipped: str | None = None
    detail: dict[str, Any] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the score."""
        return self.spec.name

    @property
    def floor(self) -> float | None:
        """Value of the floor that normalises this score."""
        return None if self.spec.floor is None else self.floors.get(self.spec.floor)

    @property
    def worst(self) -> tuple[str, float] | None:
        """The label with the worst value, or None where there are no values per label."""
        values = {label: item.value for label, item in self.per_label.items() if item.value is not None}
        if not values:
            return None
        ideal = self.spec.ideal
        if self.spec.goal == "maximize":
            label = min(values, key=lambda key: values[key])
        elif self.spec.goal == "minimize" or ideal is None:
            label = max(values, key=lambda key: values[key])
        else:
            label = max(values, key=lambda key: abs(values[key] - ideal))
        return label, values[label]


class Rows(_Model):
    """One of the compared sets."""

    rows: int
    genes: int
    labels: dict[str, int]
    digest: str
    name: str = ""


class Warned(_Model):
    """Something that weakens the evaluation."""

    code: str
    text: str
    affects: tuple[str, ...] = ()


class Verdict(_Model):
    """A word for an axis, and the sentence that gives the reason."""

    verdict: str
    sentence: str


class Failed(_Model):
    """A metric that raised; its message is kept, its place in the table is empty."""

    metric: str
    error: str


class Report(_Model):
    """A finished evaluation.

    Attributes:
        data: the compared sets: ``synthetic``, ``train`` and ``holdout``.
        space: policy (disjoint | symmetric | halves), kind, pcs, genes, digest, folds.
        scores: by name, in catalogue order.
        verdicts: by axis, and ``augmentation``.
        figures: plain data for pictures, by name.
    """

    format: Literal[1] = FORMAT  # type: ignore[assignment]
    augmentor: str
    created: str
    seed: int
    label: str
    command: str = ""
    data: dict[str, Rows]
    space: dict[str, Any]
    arms: tuple[str, ...]
    warnings: tuple[Warned, ...] = ()
    verdicts: dict[str, Verdict] = Field(default_factory=dict)
    scores: dict[str, Score]
    failed: tuple[Failed, ...] = ()
    figures: dict[str, dict[str, Any]] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict)

    def __getitem__(self, name: str) -> Score:
        """Return a score by name (``tstr`` is short for ``transfer.tstr``); an unknown one is refused."""
        matches = [key for key in self.scores if key == name or key.rpartition(".")[2] == name]
        if len(matches) == 1:
            return self.scores[matches[0]]
        raise ConfigError(
            f"'{name}' is not a score of this report.{did_you_mean(name, self.scores)} "
            f"Scores: {listed(self.scores, most=40)}."
        )

    @property
    def verdict(self) -> str:
        """The verdicts of all axes in one line."""
        return " · ".join(f"{axis}: {item.verdict}" for axis, item in self.verdicts.items())

    def worst(self, n: int = 5) -> list[Score]:
        """The ``n`` scores with the smallest normalised value."""
        rated = [score for score in self.scores.values() if score.normalised is not None]
        return sorted(rated, key=lambda score: score.normalised or 0.0)[:n]

    def require(self, *thresholds: str) -> None:
        """Raise `ThresholdMissed` unless every threshold holds, naming all that do not.

        Args:
            thresholds: such as ``"tstr_ratio >= 0.95"`` or ``"discriminator.rf_pcs<=0.65"``; operators
                ``>= <= > < ==``. ``NAME.worst`` asks for the worst label.

        Raises:
            ConfigError: a threshold cannot be read or names no score.
            ThresholdMissed: at least one threshold is not met, or its score is not available.
        """
        missed = []
        for text in thresholds:
            name, operator, limit = _threshold(text)
            value = self._required(name)
            if value is None:
                missed.append(f"{name} is not available ({text})")
            elif not _OPERATORS[operator](value, limit):
                missed.append(f"{name} is {value:.4g} (required {operator} {limit:g})")
        if missed:
            raise ThresholdMissed(f"{len(missed)} of {len(thresholds)} requirements missed: {'; '.join(missed)}.")

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the report as JSON, and write it to ``path`` where one is given."""
        from augmentor.evaluation.report.json import to_json

        return to_json(self, path)

    @staticmethod
    def from_json(path: str | os.PathLike[str]) -> Report:
        """Read a report that `to_json` wrote; another format is refused."""
        from augmentor.evaluation.report.json import from_json

        return from_json(path)

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """Return the JSON Schema of what `to_json` writes."""
        from augmentor.evaluation.report.json import json_schema

        return json_schema()

    def to_multiqc(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write a section and general statistics for MultiQC; ``path`` ends in ``_mqc.json``. Returns both paths."""
        from augmentor.evaluation.report.multiqc import to_multiqc

        return to_multiqc(self, path)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the report as one self-contained page, and write it to ``path`` where one is given."""
        from augmentor.evaluation.report.html import to_html

        return to_html(self, path)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per score, indexed by its name."""
        from augmentor.evaluation.report.table import to_frame

        return to_frame(self)

    def to_markdown(self) -> str:
        """Return verdicts, warnings and scores as Markdown."""
        from augmentor.evaluation.report.table import to_markdown

        return to_markdown(self)

    def to_text(self, width: int = 100) -> str:
        """Return the report as text for a console: at most 40 lines of ``width`` columns."""
        from augmentor.evaluation.report.console import render

        return render(self, width)

    def to_figures(self, folder: str | os.PathLike[str], formats: Sequence[str] = ("png", "svg", "pdf")) -> list[Path]:
        """Write every picture into a folder and return the paths."""
        from augmentor.evaluation.report.figures import save_figures

        return save_figures(self, folder, formats)

    def _required(self, name: str) -> float | None:
        if name.endswith(".worst"):
            worst = self[name.removesuffix(".worst")].worst
            return None if worst is None else worst[1]
        return self[name].value


def beside(reports: Mapping[str, Report]) -> Beside:
    """Put finished reports of the same held-out rows side by side, by name; refuses what cannot be compared."""
    from augmentor.evaluation.report.beside import beside

    return beside(reports)


_OPERATORS = {
    ">=": lambda value, limit: value >= limit,
    "<=": lambda value, limit: value <= limit,
    "==": lambda value, limit: value == limit,
    ">": lambda value, limit: value > limit,
    "<": lambda value, limit: value < limit,
}


def _threshold(text: str) -> tuple[str, str, float]:
    match = re.fullmatch(r"\s*([\w.]+)\s*(>=|<=|==|>|<)\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*", text)
    if match is None:
        raise ConfigError(
            f"'{text}' is not a threshold; write NAME, one of >= <= > < ==, and a number, as in \"tstr_ratio>=0.95\"."
        )
    try:
        return match[1], match[2], float(match[3])
    except ValueError:
        raise ConfigError(f"'{match[3]}' in '{text}' is not a number.") from None
