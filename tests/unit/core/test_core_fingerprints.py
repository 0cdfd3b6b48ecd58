"""Fingerprints are those of the values, whatever carries them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from augmentor.core import fingerprints as module
from augmentor.core.dataset import Dataset
from augmentor.core.fingerprints import fingerprints
from augmentor.core.schema import Schema
from augmentor.core.space import Space

ROWS, GENES = 70, 40


def dataset(x: object, features: tuple[str, ...], space: Space = Space.CONTINUOUS, **more: object) -> Dataset:
    schema = Schema(space=space, features=features, **more)  # type: ignore[arg-type]
    return Dataset.checked(x, schema, np.zeros((x.shape[0], 0), np.int32))  # type: ignore[attr-defined]


@pytest.fixture
def data() -> Dataset:
    """Rows mostly of zeros, one of nothing else."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, GENES)).astype(np.float32) * (rng.random((ROWS, GENES)) < 0.3)
    x[5] = 0
    return dataset(x, tuple(f"g{i}" for i in range(GENES)))


def stored_sparse(data: Dataset) -> Dataset:
    return replace(data, x=sparse.csr_matrix(data.x))


@pytest.mark.parametrize("block", [1, 7, 100, 2**20])
def test_storage_order_and_blocks_change_nothing(data: Dataset, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fingerprints(data)
    monkeypatch.setattr(module, "BLOCK", block)
    order = np.random.default_rng(1).permutation(GENES).tolist()
    for same in (data, stored_sparse(data), data.select(order), stored_sparse(data).select(order)):
        assert_array_equal(fingerprints(same), expected)
    assert_array_equal(fingerprints(data.take(np.array([9, 2]))), expected[[9, 2]])


def test_only_the_features_asked_for_count(data: Dataset) -> None:
    some = data.select([7, 3, 20])
    for whole in (data, stored_sparse(data)):
        assert_array_equal(fingerprints(whole, some.schema.features), fingerprints(some))


def test_different_values_names_and_rows_differ(data: Dataset) -> None:
    """70 rows: an accidental match has a probability of 3e-16."""
    found = fingerprints(data)
    assert len(np.unique(found)) == ROWS
    changed = data.x.copy()
    first = np.flatnonzero(changed[0])[0]
    changed[0, first] = np.nextafter(changed[0, first], np.float32(9))
    assert (fingerprints(replace(data, x=changed)) == found).sum() == ROWS - 1
    renamed = replace(data, schema=data.schema.model_copy(update={"features": data.schema.features[::-1]}))
    assert (fingerprints(renamed) == found).sum() == 1  # the row of zeros
    # exchanged values of two features
    x = np.array([[1, 2], [2, 1]], dtype=np.float32)
    assert len(np.unique(fingerprints(dataset(x, ("a", "b"))))) == 2


def test_one_zero(data: Dataset) -> None:
    negative = replace(data, x=np.where(data.x == 0, np.float32(-0.0), data.x))
    assert_array_equal(fingerprints(negative), fingerprints(data))


def test_categories_count_by_their_text() -> None:
    def table(levels: tuple[str, ...], codes: list[float]) -> Dataset:
        x = np.column_stack([[1.5, 0.0, np.nan, 0.0], codes]).astype(np.float32)
        return dataset(x, ("age", "city"), Space.MIXED, levels=(None, levels))

    one = fingerprints(table(("Basel", "Bern"), [0, 1, 1, np.nan]))
    assert len(np.unique(one)) == 4
    assert_array_equal(one, fingerprints(table(("Aarau", "Bern", "Basel"), [2, 1, 1, np.nan])))
    assert (one == fingerprints(table(("Bern", "Basel"), [0, 1, 1, np.nan]))).sum() == 1
