"""Continuous covariates: standard units, drawn as they go with the label, or as the user says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from augmentor.core.errors import ArtifactError, ConfigError
from augmentor.core.random import Stream
from augmentor.preprocess.covariates import Covariates

CONDITION = np.array([1, 0, 0, 1, 1])
VALUES = np.array([[60.0, 1.0], [20.0, 0.0], [30.0, 0.0], [70.0, 10.0], [80.0, 10.0]])


def fitted() -> Covariates:
    return Covariates.fit(("age", "dose"), VALUES, CONDITION, 2)


def test_drawn_covariates_are_those_of_rows_of_the_label() -> None:
    condition = np.repeat([0, 1], 500)
    drawn = fitted().draw(condition, Stream(0))
    for label in (0, 1):
        known = {tuple(row) for row in VALUES[label == CONDITION]}
        found, times = np.unique(drawn[condition == label], axis=0, return_counts=True)
        assert {tuple(row) for row in found} == known
        # each of k rows about 500 / k times: five standard deviations
        assert abs(times - 500 / len(known)).max() < 5 * np.sqrt(500 / len(known))
    assert_array_equal(drawn, fitted().draw(condition, Stream(0)))


def test_standard_units_are_of_the_training_rows() -> None:
    standard = fitted().standard(VALUES)
    assert_allclose(standard.mean(axis=0), 0, atol=1e-12)
    assert_allclose(standard.std(axis=0), 1)


def test_a_fixed_value_is_every_rows_and_leaves_the_others() -> None:
    drawn = fitted().fix({"age": 60}).draw(np.ones(50, dtype=int), Stream(0))
    assert set(drawn[:, 0]) == {60.0}
    assert set(drawn[:, 1]) == {1.0, 10.0}


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"aeg": 60}, "'aeg' is not a covariate of this model. Did you mean 'age'"),
        ({"age": 90}, "'age' was between 20 and 80 in training, and nothing is known of 90"),
    ],
)
def test_what_was_never_seen_is_refused(fixed: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitted().fix(fixed)


def test_a_constant_is_refused() -> None:
    with pytest.raises(ConfigError, match="'dose' is 1 in every training row"):
        Covariates.fit(("age", "dose"), np.array([[1.0, 1.0], [2.0, 1.0]]), np.array([0, 0]), 1)


def test_state_round_trips_strictly() -> None:
    state = fitted().state()
    again = Covariates.from_state(state, ("age", "dose"), 2)
    assert_array_equal(again.draw(CONDITION, Stream(3)), fitted().draw(CONDITION, Stream(3)))
    with pytest.raises(ArtifactError, match="covariates"):
        Covariates.from_state(state, ("age",), 2)
    with pytest.raises(ArtifactError, match="'starts' does not divide"):
        Covariates.from_state(state | {"starts": np.array([0, 2, 4])}, ("age", "dose"), 2)
