"""p(library size | label): drawn per label, at least 1, smooth where a label has few rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from augmentor.core.errors import ArtifactError
from augmentor.core.random import Stream
from augmentor.preprocess.size import SizeModel

GENERATOR = np.random.Generator(np.random.SFC64(9))
CONDITION = np.repeat([0, 1, 2, 3], [400, 200, 5, 1])
SIZE = np.rint(np.exp(GENERATOR.normal(np.array([8.0, 6, 7, 5])[CONDITION], np.array([0.3, 0.8, 0.3, 0])[CONDITION])))


@pytest.fixture(scope="module")
def model() -> SizeModel:
    return SizeModel.fit(SIZE, CONDITION, 4, np.zeros((len(SIZE), 0)))


def drawn_sizes(model: SizeModel, condition: np.ndarray, stream: Stream) -> np.ndarray:
    return model.draw(condition, np.zeros((len(condition), 0)), stream)


@pytest.mark.parametrize("c", [0, 1])
def test_sizes_of_a_frequent_label_are_its_own(model: SizeModel, c: int) -> None:
    """False alarms: 1 in 1,000 (two-sample Kolmogorov-Smirnov, fixed seed)."""
    drawn = drawn_sizes(model, np.full(2000, c), Stream(0))
    assert stats.ks_2samp(drawn, SIZE[c == CONDITION]).pvalue > 1e-3


def test_rare_labels_have_their_own_centre_and_a_spread(model: SizeModel) -> None:
    for c in (2, 3):
        drawn = np.log(drawn_sizes(model, np.full(2000, c), Stream(c)))
        assert_allclose(drawn.mean(), np.log(SIZE[c == CONDITION]).mean(), atol=0.15)
        assert 0.1 < drawn.std() < 1


def test_sizes_are_not_copies(model: SizeModel) -> None:
    drawn = drawn_sizes(model, CONDITION, Stream(1))
    assert len(np.intersect1d(drawn, SIZE)) < 20


def test_rows_depend_on_their_own_condition_and_position_only(model: SizeModel) -> None:
    other = CONDITION.copy()
    other[300:] = 0
    assert_array_equal(drawn_sizes(model, CONDITION, Stream(5))[:300], drawn_sizes(model, other, Stream(5))[:300])


def test_sizes_are_at_least_one() -> None:
    tiny = SizeModel.fit(np.ones(8), np.zeros(8, dtype=int), 1, np.zeros((8, 0)))
    assert_array_equal(drawn_sizes(tiny, np.zeros(50, dtype=int), Stream(0)), 1)


def test_a_state_without_the_slopes_of_its_covariates_is_refused(model: SizeModel) -> None:
    assert_array_equal(SizeModel.from_state(model.state(), 4, 0).quantiles, model.quantiles)
    with pytest.raises(ArtifactError, match="the library size must be 2 tensors"):
        SizeModel.from_state(model.state(), 4, 1)


def test_sizes_follow_a_covariate() -> None:
    age = np.random.default_rng(0).normal(size=(len(SIZE), 1))
    older = SizeModel.fit(SIZE * np.exp(0.5 * age[:, 0]), CONDITION, 4, age)
    assert_allclose(older.slope, 0.5, atol=0.1)
    young, old = (older.draw(np.zeros(500, dtype=int), np.full((500, 1), a), Stream(0)) for a in (-1.0, 1.0))
    assert_allclose(np.log(old / young), 2 * older.slope[0])
