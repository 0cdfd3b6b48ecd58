"""Rows, conditions, tensors and network bricks that models share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import as_dense
from augmentor.core.errors import ArtifactError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.blocks import Perceptron, dropout, materialise
from augmentor.nn.conditioning import batch, conditions, width
from augmentor.nn.rows import Rows
from augmentor.nn.tensors import into_module, of_module

LAYOUT = Layout(
    space=Space.COUNTS, features=4, categories=(2, 3), combinations=((0, 0), (0, 2), (1, 1)), covariates=1, rows=5
)
GIVEN = Given(
    np.array([2, 0, 1, 0, 2]),
    np.array([[1, 1], [0, 0], [0, 2], [0, 0], [1, 1]], dtype=np.int32),
    np.linspace(-1, 1, 5)[:, None],
    np.array([10.0, 20, 30, 40, 50]),
)
X = np.arange(20, dtype=np.float32).reshape(5, 4)


def encoded(form: Any = X) -> Encoded:
    return Encoded(form, GIVEN, np.zeros(5, dtype=bool), LAYOUT)


@pytest.mark.parametrize("form", [X, sparse.csr_matrix(X)], ids=["dense", "sparse"])
def test_rows_are_ordered_by_condition(form: Any) -> None:
    rows = Rows.of(encoded(form))
    assert_array_equal(as_dense(rows.x), X[[1, 3, 2, 0, 4]])
    assert rows.bounds.tolist() == [0, 2, 3, 5]
    first, count = rows.segment(np.array([2, 0]))
    assert (first.tolist(), count.tolist()) == ([3, 0], [2, 2])
    again = Rows.from_state(rows.state(), LAYOUT)
    assert_array_equal(as_dense(again.x), as_dense(rows.x))


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("bounds", np.array([0, 3, 2, 5]), "'bounds' does not order the kept rows"),
        ("bounds", np.array([0, 2, 3, 4]), "'bounds' does not order the kept rows"),
        ("indices", np.full(19, 99, np.int32), "not a sparse matrix"),
        ("data", np.ones(19), "'data' is"),
    ],
)
def test_tampered_rows_are_refused(name: str, array: np.ndarray, sentence: str) -> None:
    state = Rows.of(encoded(sparse.csr_matrix(X))).state()
    with pytest.raises(ArtifactError, match=sentence):
        Rows.from_state({**state, name: array}, LAYOUT)


def test_conditions_are_one_hot_per_column_then_covariates() -> None:
    assert width(LAYOUT) == 6
    assert_array_equal(conditions(GIVEN, LAYOUT).numpy()[0], [0, 1, 0, 1, 0, -1])
    assert_array_equal(conditions(GIVEN, LAYOUT).numpy()[2], [1, 0, 0, 0, 1, 0])


def test_a_batch_holds_rows_conditions_and_sizes() -> None:
    rows = batch(encoded(sparse.csr_matrix(X))).take(torch.tensor([1, 4]))
    assert_array_equal(rows.x.numpy(), X[[1, 4]])
    assert rows.condition.tolist() == [0, 2]
    assert rows.size.tolist() == [[20], [50]]
    assert len(rows) == 2


def test_bricks_are_built_without_memory_and_initialised_from_the_stream() -> None:
    with torch.device("meta"):
        nets = [Perceptron(6, (8, 3)) for _ in range(3)]
    assert all(parameter.is_meta for parameter in nets[0].parameters())
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        materialise(net, Stream(seed))
    a, b, c = (of_module(net) for net in nets)
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert any(not np.array_equal(a[name], c[name]) for name in a)
    assert nets[0].outputs == 3
    assert nets[0](torch.ones(2, 6)).shape == (2, 3)


def test_weights_as_arrays_and_back() -> None:
    with torch.device("meta"):
        first, second = Perceptron(3, (4,)), Perceptron(3, (4,))
    materialise(first, Stream(0))
    state = of_module(first, "net.")
    into_module(second, state, "the weights", "net.")
    assert torch.equal(first(torch.ones(1, 3)), second(torch.ones(1, 3)))
    state["net.layers.0.weight"][:] = 0
    assert second.layers[0].weight.abs().sum() > 0, "restored weights are a copy"
    with pytest.raises(ArtifactError, match="1 missing"):
        into_module(second, {k: v for k, v in state.items() if not k.endswith("0.bias")}, "the weights", "net.")


def test_dropout_keeps_the_mean_and_takes_its_randomness_as_argument() -> None:
    x = torch.ones(400, 100)
    once, again = (dropout(x, 0.3, Stream(0).torch()) for _ in range(2))
    assert torch.equal(once, again)
    assert abs(float((once == 0).float().mean()) - 0.3) < 0.02
    assert abs(float(once.mean()) - 1) < 0.03
    assert dropout(x, 0, Stream(0).torch()) is x
