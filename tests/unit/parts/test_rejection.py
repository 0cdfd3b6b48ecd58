"""Rejection sampling: rows of the wrong label are drawn again, real rows pass as often as was asked for, and no count changes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import Matrix, as_dense
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.parts.rejection import ROUNDS, TRIAL_EACH, Classifier, Draw, Rejection, View

LABELS, FEATURES, ROWS = 3, 8, 200
CONDITION = np.repeat(np.arange(LABELS), ROWS)
LEVELS = (*(None,) * (FEATURES - 1), 4)


def given(condition: NDArray[np.intp]) -> Given:
    return Given(condition, condition[:, None].astype(np.int32), np.zeros((len(condition), 0)))


def rows_of(space: Space, condition: NDArray[np.intp], generator: np.random.Generator, apart: float = 6.0) -> Matrix:
    """Rows of three kinds: label c is high in feature c (and, of a mixed table, mostly of category c)."""
    centre = apart * np.eye(LABELS, FEATURES)[condition]
    if space is Space.COUNTS:
        return sparse.csr_matrix(generator.poisson(2 + 5 * centre).astype(np.float32))
    x = generator.standard_normal(centre.shape) + centre
    if space is Space.MIXED:
        x[:, -1] = np.where(generator.random(len(x)) < 0.7, condition, 3)
    return x.astype(np.float32)


def encoded(space: Space, condition: NDArray[np.intp] = CONDITION, apart: float = 6.0, seed: int = 0) -> Encoded:
    layout = Layout(
        space=space,
        features=FEATURES,
        categories=(LABELS,),
        combinations=tuple((c,) for c in range(LABELS)),
        rows=len(condition),
        levels=LEVELS if space is Space.MIXED else None,
    )
    x = rows_of(space, condition, Stream(seed).child("rows").numpy(), apart)
    return Encoded(x, given(condition), np.zeros(len(condition), dtype=bool), layout)


class Mistaken:
    """A model that draws a share of its rows for the wrong label, and says which those are in its log."""

    def __init__(self, space: Space, share: float) -> None:
        self.space, self.share, self.calls = space, share, 0

    def draw(self, given: Given, rng: Stream) -> Matrix:
        self.calls += 1
        generator = rng.numpy()
        wrong = generator.random(len(given)) < self.share
        return rows_of(self.space, np.where(wrong, (given.condition + 1) % LABELS, given.condition), generator)


def mistaken(x: Matrix, condition: NDArray[np.intp]) -> float:
    """Share of rows whose highest of the first three features is not that of their label; the kinds are far apart."""
    return float(np.mean(as_dense(x)[:, :LABELS].argmax(axis=1) != condition))


@pytest.mark.parametrize("space", [Space.COUNTS, Space.CONTINUOUS, Space.MIXED])
def test_rows_of_the_wrong_label_are_drawn_again(space: Space) -> None:
    """Three rows of ten are wrong; without a chance to be accepted, one in 0.3^11 = 2 in a million is left."""
    part, model = Rejection.fit(encoded(space), 0.05, Stream(0)), Mistaken(space, 0.3)
    wanted = given(np.random.default_rng(1).integers(LABELS, size=600))
    before = mistaken(model.draw(wanted, Stream(2)), wanted.condition)
    x = part.draw(model.draw, wanted, Stream(2))
    assert 0.25 < before < 0.35
    assert x.shape == (600, FEATURES) and sparse.issparse(x) == (space is Space.COUNTS)
    assert mistaken(x, wanted.condition) < 0.02
    assert_array_equal(as_dense(part.draw(model.draw, wanted, Stream(2))), as_dense(x))


def test_fresh_real_rows_are_rejected_as_often_as_asked_for() -> None:
    """Overlapping kinds, 200 rows of each behind a threshold: its share scatters by sqrt(q(1-q)(1/200 + 1/2000)) = 0.03."""
    fresh = np.repeat(np.arange(LABELS), 2000)
    x = rows_of(Space.CONTINUOUS, fresh, Stream(9).numpy(), 2.0)
    for share in (0.05, 0.2):
        part = Rejection.fit(encoded(Space.CONTINUOUS, apart=2.0), share, Stream(0))
        low = part.probability(x, fresh) < part.threshold[fresh]
        for c in range(LABELS):
            assert abs(low[fresh == c].mean() - share) < 4 * np.sqrt(share * (1 - share) * (1 / ROWS + 1 / 2000))


def test_accepted_rows_are_those_of_the_model() -> None:
    part, model = Rejection.fit(encoded(Space.COUNTS), 0.05, Stream(0)), Mistaken(Space.COUNTS, 0.3)
    wanted = given(np.repeat([2, 0, 1], 50))
    first, last = as_dense(model.draw(wanted, Stream(4))), as_dense(part.draw(model.draw, wanted, Stream(4)))
    passed = part.probability(first, wanted.condition) >= part.threshold[wanted.condition]
    assert 0.5 < passed.mean() < 0.8
    assert_array_equal(first[passed], last[passed])
    assert (first[~passed] != last[~passed]).any(axis=1).all()


def test_a_model_that_is_always_wrong_costs_a_bounded_number_of_rounds() -> None:
    part, model = Rejection.fit(encoded(Space.CONTINUOUS), 0.05, Stream(0)), Mistaken(Space.CONTINUOUS, 1.0)
    wanted = given(np.repeat([0, 1], 30))
    first = model.draw(wanted, Stream(5))
    model.calls = 0
    x = part.draw(model.draw, wanted, Stream(5))
    assert model.calls == 1 + ROUNDS and x.shape == (60, FEATURES)
    # the best of eleven is kept
    assert (part.probability(x, wanted.condition) >= part.probability(first, wanted.condition)).all()


def test_a_label_of_one_row_is_never_rejected() -> None:
    condition = np.repeat([0, 1, 2], [80, 80, 1])
    part = Rejection.fit(encoded(Space.CONTINUOUS, condition), 0.2, Stream(0))
    assert part.threshold[2] == 0 and (part.threshold[:2] > 0.5).all()


def test_two_labels_and_few_rows() -> None:
    layout = Layout(space=Space.CONTINUOUS, features=2, categories=(2,), combinations=((0,), (1,)), rows=4)
    x = np.array([[0, 5], [0.1, 5], [3, 5], [3.1, 5]], dtype=np.float32)
    condition = np.array([0, 0, 1, 1])
    part = Rejection.fit(Encoded(x, given(condition), np.zeros(4, bool), layout), 0.05, Stream(0))
    assert (part.probability(x, condition) > 0.6).all() and (part.probability(x, 1 - condition) < 0.4).all()
    only = Classifier.fit(x, np.zeros(4, dtype=np.intp), 2, 0.0, Stream(0))(x)
    assert_array_equal(only, [[1, 0]] * 4)


def test_at_rest() -> None:
    for space in (Space.COUNTS, Space.MIXED):
        whole = encoded(space)
        part = Rejection.fit(whole, 0.1, Stream(0))
        state = {name: np.array(array) for name, array in part.state().items()}
        again = Rejection.from_state(state, whole.layout, part.record)
        assert_array_equal(again.probability(whole.x, CONDITION), part.probability(whole.x, CONDITION))
        assert_array_equal(again.threshold, part.threshold)


def test_what_it_does_is_on_record() -> None:
    """Of a model with three wrong rows in ten, 70 % of the rows and 95 % of the right ones are accepted."""
    whole, model = encoded(Space.CONTINUOUS), Mistaken(Space.CONTINUOUS, 0.3)
    propose: Draw = model.draw
    part = Rejection.fit(whole, 0.05, Stream(0)).tried(whole, ["a", "b", "c"], propose, Stream(1))
    record = part.record
    assert set(record["accepted_per_label"]) == {"a", "b", "c"} and record["share"] == 0.05
    expected = 0.7 * 0.95
    assert abs(record["accepted"] - expected) < 4 * np.sqrt(expected * (1 - expected) / (3 * TRIAL_EACH[1])) + 0.03
    assert record["before"]["agreement"] < 0.75 and record["after"]["agreement"] > 0.98
    assert record["after"]["detectability"] < record["before"]["detectability"] - 0.05
    assert record["after"]["spread"] < record["before"]["spread"]
    assert "rejection at 0.05" in part.notes[0] and "0.7" in part.notes[1]


def test_counts_are_seen_without_their_depth() -> None:
    counts = sparse.csr_matrix(np.array([[1, 2, 0], [3, 0, 3]], dtype=np.float32))
    view = View(6.0, None)
    assert_array_equal(as_dense(view(counts)), as_dense(view(counts * 7)))
    assert_array_equal(as_dense(view(counts)), view(as_dense(counts)))
    assert_array_equal(
        View(None, (None, 3))(np.array([[0.5, 2], [1, 0]], dtype=np.float32)), [[0.5, 0, 0, 1], [1, 1, 0, 0]]
    )
