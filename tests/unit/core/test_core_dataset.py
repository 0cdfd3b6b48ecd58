"""Data is checked once, at the door, and refused in one sentence that says what was found and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from augmentor.core.dataset import Dataset, as_dense, as_matrix, column_moments, missing_labels, row_sums
from augmentor.core.errors import DataError, LabelError
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space


def dataset(values: Any, space: Space = Space.COUNTS, features: list[str] | None = None, **more: Any) -> Dataset:
    x = values if sparse.issparse(values) else np.array(values, dtype=np.float32)
    names = tuple(features or [f"g{i}" for i in range(x.shape[1])])
    return Dataset.checked(x, Schema(space=space, features=names), np.zeros((x.shape[0], 0)), what="file.h5ad", **more)


NAN, INF = float("nan"), float("inf")
REFUSED = [
    (np.zeros((0, 3)), Space.COUNTS, "file.h5ad has 0 rows"),
    (np.zeros((3, 0)), Space.COUNTS, "file.h5ad has 0 features"),
    ([[1, NAN], [NAN, 2]], Space.CONTINUOUS, r"contains 2 NaN in 2 features \(first: g0\).*--space mixed"),
    ([[1, INF], [1, 2]], Space.CONTINUOUS, r"contains 1 infinite values in 1 features \(first: g1\)"),
    ([[1, INF], [NAN, 2]], Space.MIXED, "1 infinite values"),
    ([[1, -2], [1, 2]], Space.COUNTS, r"1 negative values \(first in g1\), but counts are never negative"),
    ([[1, -0.5], [1, 2]], Space.LOG, "log1p values are never negative"),
    ([[1, 0.5], [1, 2]], Space.COUNTS, "1 fractional values, but counts are whole numbers"),
    ([[1, 1], [0, 0], [0, 0]], Space.COUNTS, r"2 all-zero rows \(first: row 1\)"),
]


@pytest.mark.parametrize(("values", "space", "sentence"), REFUSED)
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_refusals(values: Any, space: Space, sentence: str, form: str) -> None:
    x = np.array(values, dtype=np.float32)
    with pytest.raises(DataError, match=sentence):
        dataset(sparse.csr_matrix(x) if form == "sparse" else x, space)


def test_duplicate_names_are_refused() -> None:
    with pytest.raises(DataError, match=r"1 duplicate feature names \(first: A\)"):
        dataset([[1, 2, 3]], features=["A", "B", "A"])


def test_wrong_number_of_names_is_refused() -> None:
    with pytest.raises(DataError, match="3 columns but 2 feature names"):
        dataset([[1, 2, 3]], features=["A", "B"])


def test_mixed_tables_may_miss_values() -> None:
    assert np.isnan(dataset([[1, NAN], [2, 3]], Space.MIXED).x[0, 1])


def test_taking_rows_and_features() -> None:
    whole = dataset(
        np.arange(1, 13).reshape(4, 3), groups=np.array(list("aabb"), dtype=object), extra={"n": np.arange(4)}
    )
    part = whole.take(np.array([3, 0])).select([2, 0])
    assert_array_equal(part.x, [[12, 10], [3, 1]])
    assert part.schema.features == ("g2", "g0")
    assert part.names.tolist() == ["3", "0"]
    assert part.groups is not None
    assert part.groups.tolist() == ["b", "a"]
    assert part.extra["n"].tolist() == [3, 0]
    assert_array_equal(whole.take(np.array([True, False, False, True])).x, whole.x[[0, 3]])


def test_labels_are_strings_and_a_missing_one_is_refused_with_its_row() -> None:
    schema = Schema(
        space=Space.COUNTS, features=("g",), labels=(LabelColumn(name="type", categories=("B", "T"), kind="string"),)
    )
    data = Dataset.checked(np.ones((3, 1)), schema, np.array([[1], [-1], [0]]))
    assert data.labels().tolist() == ["T", None, "B"]
    with pytest.raises(LabelError, match=r"label 'type' is missing in 1 of 3 rows \(first: 1\)"):
        missing_labels(data)


def test_digest_changes_with_any_part() -> None:
    base = dataset([[1, 2], [3, 4]])
    assert base.digest() == dataset([[1, 2], [3, 4]]).digest()
    others = [dataset([[1, 2], [3, 5]]), dataset([[1, 2], [3, 4]], features=["g1", "g0"]), base.take(np.array([1, 0]))]
    assert len({base.digest(), *(d.digest() for d in others)}) == 4


def test_as_matrix_is_canonical() -> None:
    messy = sparse.csr_matrix((np.array([1.0, 2, 0, 5]), np.array([2, 0, 1, 0]), np.array([0, 3, 4])), shape=(2, 3))
    tidy = as_matrix(messy)
    assert tidy.dtype == np.float32
    assert tidy.has_sorted_indices
    assert tidy.nnz == 3
    assert messy.nnz == 4, "the user's matrix is not touched"
    assert as_matrix(np.asfortranarray(np.ones((2, 3)))).flags.c_contiguous


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, (5, 4), elements=st.floats(-1000, 1000, width=16)))
def test_moments_and_sums_of_sparse_are_those_of_dense(x: np.ndarray) -> None:
    thin = as_matrix(sparse.csr_matrix(x))
    assert_array_equal(as_dense(thin), x)
    assert_allclose(row_sums(thin), row_sums(x), rtol=1e-6, atol=1e-3)
    for a, b in zip(column_moments(thin), column_moments(x), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-2)
