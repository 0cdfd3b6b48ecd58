"""A mixed table as numbers: scaled, one place per category, and a place for what is missing."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from augmentor.preprocess.numbers import Numbers

NAN = np.nan
X = np.array([[1, 0, 4], [3, 1, NAN], [5, NAN, 8], [7, 1, 6]], dtype=np.float32)
LEVELS = (None, ("a", "b"), None)


def test_columns_have_their_places() -> None:
    z = Numbers.fit(X, LEVELS).of(X)
    assert z.shape == (4, 1 + 2 + 2) and z.dtype == np.float32
    assert_allclose(z[:, 0], (X[:, 0] - 4) / X[:, 0].std(), rtol=1e-6)
    half = np.sqrt(0.5)
    assert_allclose(z[:, 1:3], [[half, 0], [0, half], [0, 0], [0, half]], rtol=1e-6)  # a missing category has no place
    assert_allclose(z[:, 3], np.array([-2, 0, 2, 0]) / np.nanstd(X[:, 2]), rtol=1e-6)  # a missing number is the median
    assert_allclose(z[:, 4], [0, half, 0, 0], rtol=1e-6)
    assert_allclose(np.linalg.norm(z[0, 1:3] - z[1, 1:3]), 1, rtol=1e-6)  # two categories are 1 apart


def test_later_rows_are_seen_as_the_first_ones_were() -> None:
    numbers = Numbers.fit(X, LEVELS)
    assert_allclose(numbers.of(X[1:2]), numbers.of(X)[1:2])
    # nothing of this column was missing: what is missing later is the median, and has no place
    assert_allclose(numbers.of(np.array([[NAN, 0, 6]], np.float32))[0, [0, 4]], [0, 0])


def test_a_column_that_says_nothing_stays_finite() -> None:
    x = np.array([[2, NAN], [2, NAN]], dtype=np.float32)
    assert np.isfinite(Numbers.fit(x, None).of(x)).all()
