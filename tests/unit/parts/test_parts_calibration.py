"""Marginal calibration: margins become the training margins, ranks stay, and no row knows of another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import sparse, stats

from augmentor.core.contract import Given
from augmentor.core.dataset import as_dense
from augmentor.core.random import Stream
from augmentor.parts.calibration import (
    FEWEST,
    KINDS,
    LEAST,
    MANY,
    Calibration,
    DenseCalibration,
    SparseCalibration,
    calibrate,
)

ROWS = {0: 300, 1: 80, 2: FEWEST - 1}  # the last label is left alone
FEATURES = 6
CONDITION = np.repeat(list(ROWS), list(ROWS.values()))
Draw = Callable[[Given, Stream], NDArray[np.float32]]


def given(condition: NDArray[np.intp]) -> Given:
    return Given(condition, condition[:, None].astype(np.int32), np.zeros((len(condition), 0)))


def counts(scale: float, dispersion: float, dropout: float) -> Draw:
    """Negative binomial counts whose mean depends on label and feature; one value per (row, feature) of one factor."""

    def draw(g: Given, rng: Stream) -> NDArray[np.float32]:
        generator = rng.numpy()
        mean = scale * (1 + g.condition[:, None]) * np.array([0.05, 0.5, 2, 8, 30, 0])[None]
        rate = generator.gamma(dispersion, mean / dispersion)
        return (generator.poisson(rate) * (generator.random(rate.shape) >= dropout)).astype(np.float32)

    return draw


def values(shift: float, scale: float) -> Draw:
    def draw(g: Given, rng: Stream) -> NDArray[np.float32]:
        noise = rng.numpy().normal(size=(len(g), FEATURES))
        return (shift + scale * (noise**3 if scale > 1 else noise) + g.condition[:, None]).astype(np.float32)

    return draw


MODELS = {  # truth, and a model with too many zeros, too few zeros, another shape
    "sparse-too-many-zeros": (counts(1, 2, 0), counts(0.5, 1, 0.3)),
    "sparse-too-few-zeros": (counts(0.7, 1, 0.2), counts(1.5, 5, 0)),
    "dense": (values(0, 1), values(3, 2)),
}


@pytest.fixture(params=sorted(MODELS), scope="module")
def case(request: pytest.FixtureRequest) -> tuple[NDArray[np.float32], Draw, Calibration]:
    """Training rows, a model, and the calibration learnt from both."""
    truth, model = MODELS[request.param]
    x = truth(given(CONDITION), Stream(0).child("truth"))
    exact = request.param.startswith("sparse")
    form = sparse.csr_matrix(x) if exact else x
    return x, model, calibrate(form, given(CONDITION), 3, model, Stream(0).child("fit"), exact_zeros=exact)


def test_kind(case: tuple[NDArray[np.float32], Draw, Calibration]) -> None:
    x, _, part = case
    assert isinstance(part, SparseCalibration if (x == 0).any() else DenseCalibration)


@pytest.mark.parametrize("c", [0, 1])
def test_margins_become_those_of_the_training_rows(case: tuple[NDArray[np.float32], Draw, Calibration], c: int) -> None:
    """Before, every feature differs; after, none does. False alarms: 6 in 10,000 per label (fixed seed)."""
    x, model, part = case
    g = given(np.full(3000, c))
    drawn = model(g, Stream(1).child("draw"))
    mapped = as_dense(part.apply(drawn, g, Stream(1).child("map")))
    real = x[c == CONDITION]
    for j in range(FEATURES):
        assert stats.ks_2samp(mapped[:, j], real[:, j]).pvalue > 1e-4
    assert np.mean([stats.ks_2samp(drawn[:, j], real[:, j]).pvalue < 1e-3 for j in range(1, FEATURES - 1)]) >= 0.5
    # the share of zeros, to four standard errors of 3,000 draws and of the `LEAST` draws behind the model's own margin
    error = 0.5 * np.sqrt(1 / 3000 + 1 / LEAST)
    assert_allclose((mapped == 0).mean(axis=0), (real == 0).mean(axis=0), atol=4 * error)


def test_ranks_are_kept(case: tuple[NDArray[np.float32], Draw, Calibration]) -> None:
    """Of two positive values the larger stays the larger, except within the atom of equal ones."""
    _, model, part = case
    g = given(np.zeros(1500, dtype=np.intp))
    drawn = model(g, Stream(2))
    mapped = as_dense(part.apply(drawn, g, Stream(3)))
    j = 4
    order = np.argsort(drawn[:, j], kind="stable")
    before, after = drawn[order, j], mapped[order, j]
    means = np.array([after[before == v].mean() for v in np.unique(before)])
    assert len(means) > 20
    assert (np.diff(means) >= -1e-4).mean() > 0.9
    positive = drawn[:, j] != 0  # zeros are spread over their atom at random
    assert stats.spearmanr(drawn[positive, j], mapped[positive, j]).statistic > 0.98


def test_a_label_of_few_rows_is_left_alone(case: tuple[NDArray[np.float32], Draw, Calibration]) -> None:
    _, model, part = case
    g = given(np.full(200, 2))
    drawn = model(g, Stream(4))
    assert_array_equal(as_dense(part.apply(drawn, g, Stream(5))), drawn)


def test_same_stream_same_rows_and_the_argument_is_untouched(
    case: tuple[NDArray[np.float32], Draw, Calibration],
) -> None:
    _, model, part = case
    g = given(np.repeat([0, 1, 2], 40))
    drawn = model(g, Stream(6))
    kept = drawn.copy()
    once = as_dense(part.apply(drawn, g, Stream(7)))
    assert_array_equal(drawn, kept)
    assert_array_equal(as_dense(part.apply(drawn, g, Stream(7))), once)
    assert_array_equal(as_dense(part.apply(sparse.csr_matrix(drawn), g, Stream(7))), once)


def test_at_rest(case: tuple[NDArray[np.float32], Draw, Calibration]) -> None:
    _, model, part = case
    g = given(np.repeat([0, 1, 2], 40))
    drawn = model(g, Stream(8))
    again = KINDS[part.kind].from_state({name: np.array(array) for name, array in part.state().items()})
    assert_array_equal(as_dense(again.apply(drawn, g, Stream(9))), as_dense(part.apply(drawn, g, Stream(9))))


def test_only_values_of_the_training_rows_come_out_of_counts() -> None:
    truth, model = MODELS["sparse-too-many-zeros"]
    x = truth(given(CONDITION), Stream(0))
    part = calibrate(sparse.csr_matrix(x), given(CONDITION), 3, model, Stream(1), exact_zeros=True)
    g = given(np.zeros(500, dtype=np.intp))
    mapped = as_dense(part.apply(100 * model(g, Stream(2)), g, Stream(3)))
    for j in range(FEATURES):
        assert set(mapped[:, j]) <= {0.0, *x[CONDITION == 0][:, j]}
    assert not mapped[:, 5].any(), "a feature without a count stays without"


@pytest.mark.parametrize("exact", [True, False])
def test_data_without_a_value(exact: bool) -> None:
    x = np.zeros((20, 3), np.float32)
    g = given(np.zeros(20, dtype=np.intp))
    part = calibrate(x, g, 1, lambda g, _: np.zeros((len(g), 3), np.float32), Stream(0), exact_zeros=exact)
    assert not as_dense(part.apply(x, g, Stream(0))).any()
    odd = as_dense(part.apply(np.ones((20, 3), np.float32), g, Stream(0)))
    assert np.isfinite(odd).all()


@pytest.mark.parametrize("case", ["sparse-too-many-zeros", "sparse-too-few-zeros"], indirect=True)
def test_rows_drawn_together_cover_the_margin_evenly(case: tuple[NDArray[np.float32], Draw, Calibration]) -> None:
    """As many rows as training rows hold every training value about once: to one row at every value of the margin."""
    x, model, part = case
    real = x[CONDITION == 0]
    g = given(np.zeros(len(real), dtype=np.intp))
    drawn = model(g, Stream(1).child("draw"))
    mapped = as_dense(part.apply(drawn, g, Stream(1).child("map")))
    for j in range(FEATURES):
        for value in np.unique(real[:, j]):
            assert abs((mapped[:, j] <= value).sum() - (real[:, j] <= value).sum()) <= 1


@pytest.mark.parametrize("case", ["sparse-too-many-zeros", "sparse-too-few-zeros"], indirect=True)
@pytest.mark.parametrize("rows", [1, MANY, 150])
def test_however_few_are_drawn_together_each_row_has_the_margin(
    case: tuple[NDArray[np.float32], Draw, Calibration], rows: int
) -> None:
    """Of 300 training rows: with 1 and 20 rows none is spread evenly, of 150 one half."""
    x, model, part = case
    real = x[CONDITION == 0]
    mapped = []
    for block in range(500):
        g = given(np.zeros(rows, dtype=np.intp))
        drawn = model(g, Stream(2).child("draw", block))
        mapped.append(as_dense(part.apply(drawn, g, Stream(2).child("map", block)))[0])
    for j in range(FEATURES - 1):
        # rows of different blocks are independent, so that the test's null distribution is right
        assert stats.ks_2samp(np.array(mapped)[:, j], real[:, j], method="asymp").pvalue > 1e-4
