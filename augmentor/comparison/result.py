"""What a comparison says: scores, paired gains with intervals, verdicts; as table, JSON, data frame, text and page.

The JSON form has its own format number. Two runs with one seed differ in `created` and `seconds` only.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from augmentor.core.atomic import atomic_file
from augmentor.core.errors import ArtifactError, DataError

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1

Word = Literal["augment", "do not augment", "not enough evidence"]
Kind = Literal["plain", "simple", "model", "unlabelled", "oracle"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Gain(_Model):
    """A mean paired difference over splits, with its corrected 95 % interval; None where it is not bounded.

    Attributes:
        wins: splits in which the difference is above the band of practical equivalence.
        ties: splits in which it is inside.
        losses: splits in which it is below.
    """

    mean: float | None
    low: float | None
    high: float | None
    wins: int
    ties: int
    losses: int


class Arm(_Model):
    """One arm with one learner.

    Attributes:
        learner: lr, rf or gb.
        arm: name.
        kind: plain (no synthetic rows), simple, model, unlabelled (uses rows without a label, makes none), or oracle (more real
            rows).
        pooled: whether it uses rows without a label.
        scores: mean over splits, by metric.
        gains: differences from the best policy without synthetic rows and without unlabelled ones, by metric.
        beyond: where there are unlabelled rows and the arm makes rows, difference in balanced accuracy from the rival.
        over_real: difference in balanced accuracy from real rows as they are.
        ratio: median of the ratios chosen where synthetic rows were chosen; 0 where they never were.
        used: splits in which the inner folds chose synthetic rows.
        seed_sd: standard deviation of the balanced accuracy over synthetic sets of one split, mean over splits.
        split_sd: standard deviation over splits of the difference in balanced accuracy.
        nearer: excess share of synthetic rows nearer to test rows than to the rows the generator was given.
        copies: share of synthetic rows that all but repeat a test row.
        leak: whether these two show that the generator knows test rows.
        verdict: a word for this arm, where it makes rows.
    """

    learner: str
    arm: str
    kind: Kind
    pooled: bool = False
    scores: dict[str, float | None]
    gains: dict[str, Gain] = Field(default_factory=dict)
    beyond: Gain | None = None
    over_real: Gain | None = None
    ratio: float = 0.0
    used: int = 0
    seed_sd: float = 0.0
    split_sd: float = 0.0
    nearer: float | None = None
    copies: float | None = None
    leak: bool = False
    verdict: Word | None = None


class Baseline(_Model):
    """The best policy without synthetic rows, as the inner folds choose it split by split: the comparator.

    Attributes:
        inner: its balanced accuracy in the inner folds, mean over splits; the learner of the verdict has the largest.
        chosen: in how many splits each of the policies was it.
    """

    learner: str
    scores: dict[str, float | None]
    inner: float
    chosen: dict[str, int]


class Help(_Model):
    """What the rows without a label bring.

    Attributes:
        word: yes, no, or unknown.
        gain: in balanced accuracy: the rival minus the baseline, the interval widened for the arms that it is the best of.
        arm: the rival.
        maker: the arm of a model that also learns from them, the one with the largest mean; None if there is none.
        beyond: what that arm adds to the rival.
    """

    word: Literal["yes", "no", "unknown"]
    gain: Gain
    arm: str
    maker: str | None = None
    beyond: Gain | None = None


class CurvePoint(_Model):
    """Mean balanced accuracy of real rows only; ``rows`` is the mean number of training rows per label."""

    rows: float
    score: float
    sd: float
    splits: int


class Curve(_Model):
    """The learning curve of the verdict's learner, and what the best arm's gain is worth on it.

    Attributes:
        limit: A of A − b·n^(−c).
        rows: mean training rows per label of the comparison.
        arm: the arm whose gain is read.
        worth: how many more real rows per label bring the same gain; None where the curve cannot tell.
        low: the same for the lower end of the gain's interval.
        high: the same for the upper end.
        sentence: the reading.
    """

    learner: str
    points: tuple[CurvePoint, ...]
    limit: float
    height: float
    exponent: float
    rows: float
    arm: str | None
    worth: float | None
    low: float | None
    high: float | None
    sentence: str


class Verdict(_Model):
    """The answer.

    Attributes:
        delta: the band of practical equivalence: smaller gains count as none.
        as_well: simple arms that do as well as the one recommended.
        help: what rows without a label bring, where there are any.
    """

    verdict: Word
    sentence: str
    learner: str
    arm: str | None
    ratio: float
    gain: Gain | None
    delta: float
    as_well: tuple[str, ...] = ()
    help: Help | None = None


class Protocol(_Model):
    """How the comparison was made.

    Attributes:
        labelled: training rows of each label that kept their label, where the others lost it.
        unlabelled: rows without a label at hand.
        pool_rows: mean number of rows without a label beside the training rows of a split.
    """

    folds: int
    repeats: int
    splits: int
    inner: int
    ratios: tuple[float, ...]
    seeds: int
    learners: tuple[str, ...]
    models: tuple[str, ...]
    genes: int
    per_label: int | None
    labelled: int | None = None
    unlabelled: int = 0
    pool_rows: float = 0.0
    group: str | None
    most_rows: int
    train_rows: float
    test_rows: float
    classifiers: int
    generators: int


class Comparison(_Model):
    """A finished comparison.

    Attributes:
        baselines: by learner, the best policy without synthetic rows and without unlabelled ones.
        rivals: where there are unlabelled rows, by learner what synthetic rows have to beat: the best of the arms that use them and
            make none, on the test rows; the baseline if that is better still.
    """

    format: Literal[1] = FORMAT  # type: ignore[assignment]
    augmentor: str
    created: str
    seconds: float
    seed: int
    command: str = ""
    name: str
    label: str
    space: str
    rows: int
    genes: int
    labels: dict[str, int]
    tested: dict[str, int]
    protocol: Protocol
    verdict: Verdict
    verdicts: dict[str, Verdict]
    baselines: dict[str, Baseline]
    rivals: dict[str, Baseline] = Field(default_factory=dict)
    arms: tuple[Arm, ...]
    curve: Curve | None
    differences: dict[str, dict[str, tuple[float, ...]]]
    warnings: tuple[str, ...] = ()
    environment: dict[str, Any] = Field(default_factory=dict)

    def __getitem__(self, key: tuple[str, str]) -> Arm:
        """Return an arm by learner and name."""
        for arm in self.arms:
            if (arm.learner, arm.arm) == key:
                return arm
        raise KeyError(key)

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the comparison as JSON, and write it to ``path`` where one is given."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        _write(text, path)
        return text

    @staticmethod
    def from_json(path: str | os.PathLike[str]) -> Comparison:
        """Read what `to_json` wrote.

        Raises:
            DataError: the file is absent or is not a comparison.
            ArtifactError: it has a format that this version does not know.
        """
        try:
            content: Any = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path} cannot be read as a comparison ({error.strerror}); check the path.") from error
        except ValueError as error:
            raise DataError(f"{path} is not a comparison: expected JSON ({error}).") from error
        if not isinstance(content, dict) or "verdicts" not in content or "format" not in content:
            raise DataError(f"{path} is not a comparison: expected what `augment compare --json` writes.")
        if content["format"] != FORMAT:
            raise ArtifactError(
                f"{path} is a comparison of format {content['format']!r}, and this version of augmentor reads format "
                f"{FORMAT}; install the version that wrote it or a newer one, or compare again."
            )
        try:
            return Comparison.model_validate(content)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise DataError(f"{path} is not a valid comparison: the field '{where}' is not as expected.") from error

    def to_frame(self) -> pd.DataFrame:
        """Return one row per learner and arm: scores, gain in balanced accuracy with its interval, verdict."""
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for arm in self.arms:
            gain = arm.gains.get("balanced_accuracy")
            rows.append(
                {
                    "learner": arm.learner,
                    "arm": arm.arm,
                    "kind": arm.kind,
                    "ratio": arm.ratio,
                    "used": arm.used,
                    **arm.scores,
                    **{name: None if gain is None else getattr(gain, name) for name in ("mean", "low", "high")},
                    "beyond": None if arm.beyond is None else arm.beyond.mean,
                    "verdict": arm.verdict,
                }
            )
        frame = pd.DataFrame(rows).rename(columns={"mean": "gain"}).set_index(["learner", "arm"])
        return frame.astype(dict.fromkeys(["gain", "low", "high", "beyond"], float))

    def to_text(self, width: int = 100) -> str:
        """Return verdict, leaderboard and learning curve as text of at most ``width`` columns."""
        from augmentor.comparison.text import render

        return render(self, width)

    def to_markdown(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the same as Markdown, and write it to ``path`` where one is given."""
        from augmentor.comparison.text import markdown

        text = markdown(self)
        _write(text, path)
        return text

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the comparison as one self-contained page, and write it to ``path`` where one is given."""
        from augmentor.comparison.page import to_html

        return to_html(self, path)


def _write(text: str, path: str | os.PathLike[str] | None) -> None:
    if path is not None:
        with atomic_file(path) as file:
            file.write(text.encode())
