"""Continuous covariates (age, dose, depth): in standard units for the model, and p(covariates | label) for drawing.

    u = (a − m) / d         m, d: mean and standard deviation over the training rows
    drawn                   the covariates of a random training row of the label, all of one row together

so that a dose that was never given is never drawn, and age and dose keep whatever they have to do with each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from augmentor.core.contract import State
from augmentor.core.errors import ArtifactError, ConfigError, did_you_mean, listed
from augmentor.core.random import Stream
from augmentor.core.state import check_state


@dataclass(frozen=True, eq=False)
class Covariates:
    """Covariates of the training rows, ordered by condition.

    Attributes:
        names: of the covariates.
        values: ``(rows, covariates)`` in the user's units.
        starts: ``(conditions + 1,)`` first row of every condition.
        fixed: values that all drawn rows have, by name.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    starts: NDArray[np.int64]
    fixed: Mapping[str, float]

    @classmethod
    def fit(
        cls, names: tuple[str, ...], values: NDArray[np.float64], condition: NDArray[np.intp], conditions: int
    ) -> Covariates:
        """Keep the covariates ``(rows, covariates)`` of training rows.

        Raises:
            ConfigError: a covariate has a single value.
        """
        constant = [name for name, spread in zip(names, np.ptp(values, axis=0), strict=True) if not spread > 0]
        if constant:
            raise ConfigError(
                f"--covariate '{constant[0]}' is {values[0, names.index(constant[0])]:g} in every training row, so that nothing "
                "can be learned from it; leave it out."
            )
        order = np.argsort(condition, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(condition, minlength=conditions))])
        return cls(names, values[order], starts.astype(np.int64), {})

    def standard(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values ``(rows, covariates)`` in the user's units, with mean 0 and variance 1 over the training rows."""
        return np.asarray((values - self.values.mean(axis=0)) / self.values.std(axis=0))

    def fix(self, fixed: Mapping[str, float]) -> Covariates:
        """Return the same with values that all drawn rows have.

        Raises:
            ConfigError: an unknown covariate, or a value outside of the training rows' range.
        """
        for name, value in fixed.items():
            if name not in self.names:
                raise ConfigError(
                    f"'{name}' is not a covariate of this model.{did_you_mean(name, self.names)} Covariates: {listed(self.names)}."
                )
            low, high = np.quantile(self.values[:, self.names.index(name)], [0, 1])
            if not low <= value <= high:
                raise ConfigError(
                    f"covariate '{name}' was between {low:g} and {high:g} in training, and nothing is known of {value:g}; ask for a "
                    "value in this range, or fit to rows that have such values."
                )
        return replace(self, fixed=dict(fixed))

    def draw(self, condition: NDArray[np.intp], rng: Stream) -> NDArray[np.float64]:
        """Return covariates ``(rows, covariates)`` in the user's units."""
        first, rows = self.starts[condition], np.diff(self.starts)[condition]
        values = self.values[first + (rng.numpy().random(len(condition)) * rows).astype(np.int64)].copy()
        for name, value in self.fixed.items():
            values[:, self.names.index(name)] = value
        return values

    def state(self) -> State:
        """Values and where the conditions start."""
        return {"values": self.values, "starts": self.starts}

    @classmethod
    def from_state(cls, state: State, names: tuple[str, ...], conditions: int) -> Covariates:
        """Take over a state of these covariates.

        Raises:
            ArtifactError: names or shapes are wrong.
        """
        shapes = {"values": ((None, len(names)), np.float64), "starts": ((conditions + 1,), np.int64)}
        check_state(shapes, state, "the covariates")
        if (
            state["starts"][0] != 0
            or state["starts"][-1] != len(state["values"])
            or (np.diff(state["starts"]) < 1).any()
        ):
            raise ArtifactError("tensor 'starts' does not divide the covariates: the model file is damaged. Fit again.")
        return cls(names, state["values"], state["starts"], {})
