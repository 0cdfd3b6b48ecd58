"""Detection of the space, with the traps of real data, and the reason that a user reads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from augmentor.core.space import Space, Summary, detect, summarise

NAN = float("nan")
TABLE = [
    ("umi", [[0, 3], [12, 0]], Space.COUNTS, "non-negative integers"),
    ("all-zero", [[0, 0], [0, 0]], Space.COUNTS, "0"),
    ("binary", [[0, 1], [1, 1]], Space.COUNTS, "non-negative integers"),
    ("log1p", [[0, 0.7], [2.3, 0]], Space.LOG, "as after log1p"),
    (
        "golub",
        [[-214, 139], [-76, 21_000]],
        Space.CONTINUOUS,
        "whole numbers with negatives are intensities, not counts",
    ),
    ("ratios", [[-1.2, 0.4], [0.1, 2]], Space.CONTINUOUS, "values go below 0"),
    ("methylation", [[0.02, 0.98], [0.5, 0.3]], Space.CONTINUOUS, "fractions in [0, 1]"),
    ("fractions-with-zeros", [[0, 0.5], [0.25, 0]], Space.CONTINUOUS, "fractions in [0, 1]"),
    ("tpm", [[0, 1523.7], [3.2, 0]], Space.CONTINUOUS, "fractional values from 0 to 1523.7"),
    ("log2-intensities", [[7.1, 8.2], [9.9, 6.4]], Space.CONTINUOUS, "0% zeros"),
    ("counts-with-nan", [[0, NAN], [3, 2]], Space.COUNTS, "non-negative integers"),
    ("all-nan", [[NAN, NAN]], Space.CONTINUOUS, "no value is finite"),
]


@pytest.mark.parametrize(("values", "space", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_detection(values: list[list[float]], space: Space, reason: str) -> None:
    x = np.array(values, dtype=np.float32)
    for form in (x, sparse.csr_matrix(x)):
        found = detect(form)
        assert found.space is space
        assert reason in found.reason


def test_text_columns_make_a_table_mixed() -> None:
    assert detect(np.ones((3, 4)), categorical=2).space is Space.MIXED
    assert "2 of 4 columns" in detect(np.ones((3, 4)), categorical=2).reason


def test_an_empty_sparse_matrix_is_counts() -> None:
    assert detect(sparse.csr_matrix((3, 4), dtype=np.float32)).space is Space.COUNTS


def test_summaries_of_blocks_add_up() -> None:
    x = np.array([[0, -1.5, 3], [NAN, 2, 0], [0, 0, 7], [4, np.inf, 1]], dtype=np.float32)
    whole = summarise(x)
    assert sum((summarise(x[i : i + 1]) for i in range(4)), Summary()) == whole
    assert (whole.low, whole.high, whole.whole, whole.infinite) == (-1.5, 7, False, 2)
    assert detect(whole) == detect(x)
