"""The chain of transforms between a data set and a model: planned from the data, fitted in order, inverted in reverse.

Spaces are typed: a step accepts one space and gives another, and steps that do not meet refuse to be joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.contract import Spec, State
from augmentor.core.dataset import Dataset, Matrix, as_dense
from augmentor.core.errors import ArtifactError, ConfigError, listed
from augmentor.core.random import Stream
from augmentor.core.registry import TRANSFORMS
from augmentor.core.space import Space

# Intensities whose largest value is this many times the typical one run over orders of magnitude.
WIDE_RANGE = 50.0
# Whole numbers of a mixed table are modelled as categories if they have at most so many values, each in 20 rows on average.
FEW, FEW_ROWS = 10, 20


@dataclass(frozen=True)
class Plan:
    """Which transforms to fit, in order, and why.

    Attributes:
        steps: transform name and settings.
        reasons: a sentence for every step that was chosen by looking at the data.
    """

    steps: tuple[tuple[str, dict[str, Any]], ...]
    reasons: tuple[str, ...] = ()


def plan(dataset: Dataset, spec: Spec, *, pca: int | None = None) -> Plan:
    """Choose the transforms that lead ``dataset`` into the best space that a model accepts.

    Args:
        dataset: training rows.
        spec: what the model accepts.
        pca: number of principal components to model instead of features (continuous models only).

    Raises:
        ConfigError: there is no way from the data's space to the model's.
    """
    space = dataset.schema.space
    steps: list[tuple[str, dict[str, Any]]] = []
    reasons: list[str] = []
    if space is Space.MIXED:
        if Space.MIXED not in spec.spaces:
            raise ConfigError(
                "this model does not accept mixed tables (categories or missing values); choose one that does, for "
                "example --model copula, or encode the columns as complete numbers first."
            )
        if pca is not None:
            raise ConfigError("pca needs continuous data, but this is a mixed table; leave pca out.")
        few = _few_valued(dataset)
        if few:
            names = listed(dataset.schema.features[j] for j in few)
            reasons.append(f"whole numbers of few different values are modelled as categories: {names}")
        levels = dataset.schema.levels or ()
        categories = sorted([*few, *(j for j, level in enumerate(levels) if level is not None)])
        return Plan((("tabular", {"categories": categories, "scores": spec.standardised}),), tuple(reasons))
    if space is Space.COUNTS and Space.COUNTS not in spec.spaces:
        steps.append(("lognorm", {}))
        space = Space.LOG
    if space is Space.LOG and Space.LOG not in spec.spaces:
        steps.append(("nonnegative", {}))
        space = Space.CONTINUOUS
    if space not in spec.spaces:
        raise ConfigError(f"this model accepts {listed(spec.spaces)}, but the data is {space}.")
    if space is Space.CONTINUOUS:
        if dataset.schema.space is Space.CONTINUOUS:
            if dataset.schema.integer:
                steps.append(("whole", {}))
                reasons.append("all values are whole numbers, so synthetic values are rounded to whole numbers")
            elif whole := dataset.schema.whole:
                steps.append(("whole", {"columns": whole}))
                names = listed(dataset.schema.features[j] for j in whole)
                reasons.append(f"columns of whole numbers are rounded to whole numbers: {names}")
            scale, reason = _scale(dataset.x)
            if scale:
                steps.append((scale, {}))
                reasons.append(reason)
        if spec.standardised:
            steps.append(("standardise", {}))
        if pca is not None:
            steps.append(("pca", {"components": pca}))
    elif pca is not None:
        raise ConfigError(
            f"pca needs a model of continuous data, but this model takes {space} as they are; leave pca out."
        )
    return Plan(tuple(steps), tuple(reasons))


def _few_valued(dataset: Dataset) -> list[int]:
    """Number columns of a mixed table that are flags, grades or small counts: whole numbers of few different values."""
    levels = dataset.schema.levels or (None,) * dataset.features
    most = int(np.clip(len(dataset) // FEW_ROWS, 2, FEW))
    found = []
    for j in (j for j, level in enumerate(levels) if level is None):
        values = np.unique(dataset.x[:, j])
        values = values[~np.isnan(values)]
        if len(values) <= most and np.array_equal(values, np.rint(values)):
            found.append(j)
    return found


def _scale(x: Matrix) -> tuple[str | None, str]:
    """Name a better scale for continuous data, or None, with the reason."""
    values = x.data if sparse.issparse(x) else x
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high <= 1 and high > low:
        return "logit", "all values are fractions, so they are modelled on the logit scale and stay within [0, 1]"
    nonzero = np.abs(values[values != 0])
    typical = float(np.median(nonzero)) if nonzero.size else 0.0
    extreme = max(abs(low), abs(high))
    if typical > 0 and extreme / typical > WIDE_RANGE:
        return "asinh", (
            f"values run over orders of magnitude (median non-zero {typical:.3g}, largest {extreme:.3g}), so they are modelled "
            "on an asinh (log-like) scale and returned in their own units"
        )
    return None, ""


@dataclass(frozen=True, eq=False)
class Chain:
    """Fitted transforms in order.

    Attributes:
        names: names of the transforms.
        configs: their settings.
        steps: the fitted transforms.
        space: the space at the end.
    """

    names: tuple[str, ...]
    configs: tuple[dict[str, Any], ...]
    steps: tuple[Any, ...]
    space: Space

    @classmethod
    def fit(cls, plan: Plan, x: Matrix, size: NDArray[np.float64] | None, start: Space) -> tuple[Chain, Matrix]:
        """Fit every step on the output of the one before; return the chain and the transformed training rows.

        Args:
            plan: what to fit.
            x: training rows ``(rows, features)`` in ``start``.
            size: library sizes, or None.
            start: space of the data.

        Raises:
            ConfigError: a step does not accept what the one before gives.
        """
        steps, space = [], start
        x = _continuous_is_dense(x, start)
        for name, settings in plan.steps:
            kind = TRANSFORMS.get(name)
            if kind.accepts is not space:
                raise ConfigError(f"transform '{name}' accepts {kind.accepts}, but the step before gives {space}.")
            step = kind.fit(x, size, kind.Config(**settings))
            x = step.forward(x, size)
            steps.append(step)
            space = kind.gives
        names = tuple(name for name, _ in plan.steps)
        return cls(names, tuple(dict(settings) for _, settings in plan.steps), tuple(steps), space), x

    def forward(self, x: Matrix, size: NDArray[np.float64] | None) -> Matrix:
        """Lead rows into the model's space."""
        x = _continuous_is_dense(x, self.steps[0].accepts if self.steps else self.space)
        for step in self.steps:
            x = step.forward(x, size)
        return x

    def inverse(self, x: Matrix, size: NDArray[np.float64] | None, rng: Stream | None = None) -> Matrix:
        """Lead rows back into the user's units."""
        for position, step in reversed(list(enumerate(self.steps))):
            x = step.inverse(x, size, None if rng is None else rng.child(position))
        return x

    @property
    def levels(self) -> tuple[int | None, ...] | None:
        """Number of categories of every column that a mixed table has become; None for other data."""
        return self.steps[-1].levels if self.space is Space.MIXED else None

    def state(self) -> State:
        """Everything fitted, as ``position.name.array``."""
        return {
            f"{position}.{name}.{key}": array
            for position, (name, step) in enumerate(zip(self.names, self.steps, strict=True))
            for key, array in step.state().items()
        }

    @classmethod
    def from_state(
        cls, names: tuple[str, ...], configs: tuple[dict[str, Any], ...], state: State, space: Space
    ) -> Chain:
        """Rebuild a fitted chain.

        Raises:
            ArtifactError: a transform lacks an array that it was fitted with.
        """
        steps = []
        for position, (name, settings) in enumerate(zip(names, configs, strict=True)):
            kind = TRANSFORMS.get(name)
            prefix = f"{position}.{name}."
            own = {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}
            try:
                steps.append(kind.from_state(own, kind.Config(**settings)))
            except KeyError as missing:
                raise ArtifactError(
                    f"the transform '{name}' lacks the tensor {missing}; the file is damaged or of another version. Fit again."
                ) from None
        return cls(names, configs, tuple(steps), space)


def _continuous_is_dense(x: Matrix, space: Space) -> Matrix:
    """Continuous values that happen to be stored sparse (TPM, z-scores) are dense from here on: 0 is a value like others."""
    return as_dense(x) if space is Space.CONTINUOUS else x
