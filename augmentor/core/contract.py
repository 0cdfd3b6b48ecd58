"""The protocols that hold the house together: what a transform, a model, a training stage and a metric promise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space

State = dict[str, NDArray[Any]]


class Config(BaseModel):
    """Base of every model's and transform's settings: frozen, strict about names, every field bounded and described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, eq=False)
class Given:
    """What rows are conditioned on; every array has one entry per row.

    Attributes:
        condition: ``(rows,)`` position of the row's label combination among those seen in training.
        codes: ``(rows, label columns)`` category positions.
        covariates: ``(rows, covariates)``, standardised.
        size: ``(rows,)`` library size (row total of counts), or None where there is none. A model with
            ``spec.draws_size`` replaces it by a size drawn jointly with the row.
    """

    condition: NDArray[np.intp]
    codes: NDArray[np.int32]
    covariates: NDArray[np.float64]
    size: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.condition)

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Library sizes ``(rows,)``; ones where there are none."""
        return np.ones(len(self)) if self.size is None else self.size

    def take(self, rows: NDArray[np.intp] | slice) -> Given:
        """Return the conditions of these rows."""
        size = None if self.size is None else self.size[rows]
        return replace(
            self, condition=self.condition[rows], codes=self.codes[rows], covariates=self.covariates[rows], size=size
        )


@dataclass(frozen=True, eq=False)
class Encoded:
    """Training rows in a model's space.

    Attributes:
        x: ``(rows, features)``.
        given: the conditions of the rows.
        valid: ``(rows,)`` True for the validation part, which only judges (early stopping, selection).
        layout: shapes and space.
    """

    x: Matrix
    given: Given
    valid: NDArray[np.bool_]
    layout: Layout

    def __len__(self) -> int:
        return len(self.given)

    def take(self, rows: NDArray[np.intp]) -> Encoded:
        """Return these rows."""
        return replace(self, x=self.x[rows], given=self.given.take(rows), valid=self.valid[rows])


class Layout(Config):
    """The shapes from which a model is built; saved with it.

    Attributes:
        space: space of the rows.
        features: number of features.
        categories: number of categories of each label column.
        combinations: for every condition, its category position in each label column.
        covariates: number of covariates.
        rows: number of training rows, from which sizes are defaulted.
        levels: for MIXED rows, the number of categories of every feature, or None for a number; None for other spaces. Such rows
            are complete: what is missing has become one more category, or a feature of its own that says so.
    """

    space: Space
    features: int
    categories: tuple[int, ...] = ()
    combinations: tuple[tuple[int, ...], ...] = ((),)
    covariates: int = 0
    rows: int = 2
    levels: tuple[int | None, ...] | None = None

    @property
    def conditions(self) -> int:
        """Number of label combinations seen in training; 1 without labels."""
        return len(self.combinations)


@dataclass(frozen=True)
class Spec:
    """What a model can do, as data.

    Attributes:
        spaces: spaces that it models natively, best first; the preprocessor leads the data there.
        standardised: whether continuous data should arrive with mean 0 and variance 1.
        keeps_rows: whether the fitted model holds training rows (or their ranks) and can therefore repeat them.
        draws_size: whether count rows come with a library size of the model's own.
        calibrated: whether marginal calibration is on unless the user says otherwise.
        trained: whether it is trained by gradient steps.
        covariates: whether rows can be conditioned on continuous covariates.
        paper: where the method is from.
        strengths: what it is good at, in a sentence or two, as measured.
        limits: what it is not good at.
    """

    spaces: tuple[Space, ...]
    standardised: bool = False
    keeps_rows: bool = False
    draws_size: bool = False
    calibrated: bool = False
    trained: bool = False
    covariates: bool = False
    paper: str = ""
    strengths: str = ""
    limits: str = ""


@runtime_checkable
class Synthesizer(Protocol):
    """p(x | conditions) over one space. Knows nothing of files, trainers or metrics."""

    spec: ClassVar[Spec]
    Config: ClassVar[type[Config]]

    @classmethod
    def build(cls, layout: Layout, config: Any) -> Synthesizer:
        """Return an unfitted model of these shapes; deterministic, free of side effects."""
        ...

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return ``(rows, features)`` in the layout's space; row i obeys ``given`` i. Changes nothing."""
        ...

    def state(self) -> State:
        """Return everything fitted, as named arrays and nothing else."""
        ...

    def restore(self, state: State) -> None:
        """Take over a state; names and shapes must match exactly."""
        ...


@runtime_checkable
class Estimated(Synthesizer, Protocol):
    """A model fitted in one call, without a training loop."""

    def estimate(self, encoded: Encoded, rng: Stream) -> None:
        """Fit to the training rows."""
        ...


@runtime_checkable
class Trained(Synthesizer, Protocol):
    """A model trained by gradient steps, in one or several stages."""

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Create the weights, from the stream and from simple statistics of the training rows."""
        ...

    def stages(self) -> list[Stage]:
        """Return the training recipe: stages run one after another."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """A model that leads rows into a latent space, and back to what it expects of them."""

    def embed(self, encoded: Encoded) -> NDArray[np.float32]:
        """Return the latent features ``(rows, latent)`` of rows, without randomness."""
        ...

    def denoise(self, encoded: Encoded) -> Matrix:
        """Return the mean of p(x | latent features, conditions), ``(rows, features)`` in the layout's space."""
        ...


@runtime_checkable
class Scores(Protocol):
    """A model that says how unlikely a row is."""

    def surprise(self, encoded: Encoded) -> NDArray[np.float64]:
        """Return the negative log-likelihood ``(rows,)`` of rows per feature, in nats, without randomness."""
        ...


@runtime_checkable
class Interpolates(Protocol):
    """A model whose rows are drawn from latent vectors, so that there are rows between two conditions."""

    def draw_latents(self, given: Given, rng: Stream) -> NDArray[np.floating]:
        """Return latent vectors ``(rows, dimensions)`` drawn for these conditions, as `draw` draws them."""
        ...

    def between(
        self, vectors: NDArray[np.floating], start: Given, end: Given, weight: NDArray[np.floating], rng: Stream
    ) -> Matrix:
        """Draw a row from each latent vector, its conditions ``(1 − weight)·start + weight·end``: ``(rows, features)``."""
        ...


@dataclass(frozen=True)
class Phase:
    """One optimiser within a stage; the phases of a stage alternate (critic, critic, generator, ...).

    Attributes:
        name: shown in progress and history.
        parameters: the weights that this phase moves.
        loss: ``loss(batch, generator, progress)`` returns named scalar terms; their sum is minimised. ``progress``
            runs from 0 to 1 over the stage.
        steps: optimiser steps per turn, each on a fresh batch.
        learning_rate: peak rate.
        betas: Adam moments.
        weight_decay: decoupled weight decay.
        clip: largest gradient norm.
    """

    name: str
    parameters: Callable[[], Iterable[Any]]
    loss: Callable[[Any, Any, float], Mapping[str, Any]]
    steps: int = 1
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float = 10.0


@dataclass(frozen=True)
class Judgement:
    """What a stage finds when it looks at its own result.

    Attributes:
        facts: numbers and words for the training summary; a list of numbers has one for every condition (None where there were
            too few rows to tell), or a single one for all rows.
        findings: what is wrong, as a sentence in which ``{labels}`` stands for the names of the conditions beside it.
    """

    facts: Mapping[str, str | float | Sequence[float | None] | None]
    findings: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Stage:
    """A part of training with its own budget.

    Attributes:
        name: shown in progress and history.
        module: the torch module whose weights are saved, averaged and restored.
        phases: optimisers that alternate.
        epochs: passes over the training part.
        batch_size: rows per step; a data set smaller than that is one batch.
        schedule: ``one-cycle`` (rise, then anneal to zero) or ``constant``.
        validate: ``validate(batch, generator)`` returns a loss to minimise on the validation part; None to run the
            full budget and keep the last weights.
        patience: epochs without improvement after which to stop.
        ema: decay of the exponential moving average of the weights, which then is what is kept; None for none.
        finish: called with all training rows after the last epoch, to fit what stands on the trained weights.
        judge: called with all training rows after that, to look at rows drawn from the result; what it finds goes to the user and
            into the training summary.
        reads: modules of earlier stages that the loss reads and does not move; they are where the rows are while it runs.
        watch: ``watch(batch, generator)`` returns named quantities that are no terms of the loss, each a number or one per
            dimension, for the history. It is called now and then on a few training rows, and on validation rows where there are,
            in evaluation mode, without gradients, with the weights that would be kept and a stream of its own: nothing of it
            reaches the training.
    """

    name: str
    module: Any
    phases: tuple[Phase, ...]
    epochs: int
    batch_size: int = 128
    schedule: str = "one-cycle"
    validate: Callable[[Any, Any], float] | None = None
    patience: int | None = None
    ema: float | None = None
    finish: Callable[[Encoded, Stream], None] | None = None
    judge: Callable[[Encoded, Stream], Judgement] | None = None
    reads: tuple[Any, ...] = ()
    watch: Callable[[Any, Any], Mapping[str, float | Sequence[float]]] | None = None


@runtime_checkable
class Transform(Protocol):
    """An invertible step between two spaces, fitted on training rows."""

    Config: ClassVar[type[Config]]

    @classmethod
    def fit(cls, x: Matrix, size: NDArray[np.float64] | None, config: Any) -> Transform:
        """Return the transform fitted to ``(rows, features)``."""
        ...

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """Lead rows into the new space."""
        ...

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """Lead rows back."""
        ...

    def state(self) -> State:
        """Return everything fitted, as named arrays."""
        ...
