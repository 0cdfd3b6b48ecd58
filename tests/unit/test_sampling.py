"""How many rows of which label: exact, whole, in any chunks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import people
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from augmentor import io
from augmentor.core.dataset import as_dense
from augmentor.core.errors import ConfigError, LabelError
from augmentor.fitted import Fitted
from augmentor.fitting import fit
from augmentor.preparing import Options, prepare
from augmentor.sampling import LabelPlan, concatenate, draw, plan, stream

WEIGHTS = st.lists(st.integers(1, 10**6), min_size=1, max_size=12)


def counted(counts: list[int]) -> Any:
    """What a plan looks at of a fitted generator: names and training rows."""
    names = tuple(f"label {i}" for i in range(len(counts)))
    return SimpleNamespace(counts=tuple(counts), conditions=names, combination=lambda name: None)


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    options = Options(model="bootstrap", holdout=0.0)
    return fit(prepare(io.from_anndata(people.counts(), label="celltype"), options), options)


@settings(max_examples=100, deadline=None)
@given(WEIGHTS, st.integers(0, 10**6))
def test_counts_sum_to_n_and_follow_the_training_rows(counts: list[int], n: int) -> None:
    found = LabelPlan.like_train(counted(counts), n)
    assert found.total == n
    shares = n * np.array(counts) / sum(counts)
    assert np.all(np.abs(np.array(found.counts) - shares) < 1)


@settings(max_examples=50, deadline=None)
@given(WEIGHTS, st.integers(0, 1000))
def test_equal_labels_differ_by_one_at_most(counts: list[int], n: int) -> None:
    found = LabelPlan.equal(counted(counts), n)
    assert found.total == n
    assert max(found.counts) - min(found.counts) <= 1


@settings(max_examples=50, deadline=None)
@given(WEIGHTS)
def test_balance_lifts_every_label_to_the_largest(counts: list[int]) -> None:
    found = LabelPlan.balance(counted(counts))
    assert {a + b for a, b in zip(found.counts, counts, strict=True)} == {max(counts)}


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.integers(0, 4), st.integers(0, 500)))
def test_rows_per_label_are_exact(wanted: dict[int, int]) -> None:
    found = LabelPlan.per_label(counted([1] * 5), {f"label {i}": n for i, n in wanted.items()})
    assert found.counts == tuple(wanted.get(i, 0) for i in range(5))


@pytest.mark.parametrize("n", [-1, 2.5, "7", True, np.float64(3)])
def test_what_is_not_a_number_of_rows_is_refused(n: Any) -> None:
    with pytest.raises(ConfigError, match=r"the number of rows (must be a whole number|cannot be negative)"):
        plan(counted([3, 4]), n)
    with pytest.raises(ConfigError, match="label 'label 0'"):
        plan(counted([3, 4]), {"label 0": n})


def test_unknown_labels_are_refused_with_the_closest() -> None:
    with pytest.raises(
        LabelError, match=r"'labl 1' is not a label of this model. Did you mean 'label 1'\? Known: label 0"
    ):
        plan(counted([3, 4]), {"labl 1": 2})


def test_plans_of_every_kind() -> None:
    some = counted([3, 9])
    assert plan(some, None).counts == (3, 9)
    assert plan(some, None, balance=True).counts == (6, 0)
    assert plan(some, np.int64(4)).counts == (1, 3)
    assert plan(some, 4, balance=True).counts == (2, 2)
    with pytest.raises(ConfigError, match="either rows per label or balance"):
        plan(some, {"label 0": 1}, balance=True)


@pytest.mark.parametrize("block", [1, 7, 100, 5000])
def test_any_cut_gives_the_same_rows(fitted: Fitted, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("augmentor.fitted.BLOCK_MOST", 64)
    assert fitted.block_rows == 64
    wanted = LabelPlan((100, 51, 20))
    whole = draw(fitted, wanted, 5)
    parts = list(stream(fitted, wanted, 5, block=block))
    assert {len(part) for part in parts[:-1]} <= {block}
    joined = concatenate(parts)
    assert_array_equal(as_dense(joined.x), as_dense(whole.x))
    assert_array_equal(joined.codes, whole.codes)
    assert joined.names.tolist() == [f"synthetic_{i}" for i in range(171)]
    assert np.bincount(joined.codes[:, 0]).tolist() == [100, 51, 20]


def test_labels_come_in_random_order(fitted: Fitted) -> None:
    codes = draw(fitted, LabelPlan((50, 50, 50)), 0).codes[:, 0]
    assert np.count_nonzero(np.diff(codes)) > 50


def test_streaming_draws_no_more_than_it_gives(fitted: Fitted) -> None:
    """A million rows are begun, one block is taken: nothing of size n but the label order is held."""
    first = next(stream(fitted, LabelPlan((10**6, 0, 0)), 0, block=10))
    assert len(first) == 10


def test_nothing_asked_for_is_refused(fitted: Fitted) -> None:
    with pytest.raises(ConfigError, match="0 rows were asked for"):
        draw(fitted, LabelPlan((0, 0, 0)), 0)
    with pytest.raises(ConfigError, match="a block holds at least 1 row, not 0"):
        next(stream(fitted, LabelPlan((1, 0, 0)), 0, block=0))


def test_no_drawn_cell_is_empty(fitted: Fitted) -> None:
    """Readers refuse all-zero cells, so a drawn one gets a count of the block's most frequent gene."""
    from augmentor.fitted import no_empty_cells

    x = np.array([[0, 2, 1], [0, 0, 0], [0, 3, 0]], np.float32)
    from scipy import sparse

    for form in (x, sparse.csr_matrix(x)):
        assert_array_equal(as_dense(no_empty_cells(form)), [[0, 2, 1], [0, 1, 0], [0, 3, 0]])
    assert x[1].sum() == 0, "the argument is untouched"
