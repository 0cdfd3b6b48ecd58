"""What the battery measures and asserts, apart from the checks themselves."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import small_data
from numpy.testing import assert_array_equal

from augmentor.core.contract import State, Synthesizer
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.fitted import Fitted
from augmentor.sampling import draw, plan


@contextmanager
def unchanged_globals() -> Iterator[None]:
    """Assert that a block consumes no global randomness: Python's, NumPy's, torch's."""
    before = global_randomness()
    yield
    assert global_randomness() == before


def global_randomness() -> tuple[object, ...]:
    """State of every global generator, comparable."""
    import torch

    numpy = np.random.get_state(legacy=False)  # noqa: NPY002 - read, to see that nobody else touched it
    return random.getstate(), str(numpy), numpy["state"]["key"].tobytes(), torch.random.get_rng_state().tolist()


def resident_bytes() -> int:
    """Memory that this process occupies; 0 where the system does not say."""
    if not sys.platform.startswith("linux"):
        return 0
    import os

    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def unfitted(fitted: Fitted) -> Synthesizer:
    """Return an unfitted model of the same shapes."""
    return MODELS.get(fitted.name).build(fitted.layout, fitted.config)


def drawn_like(fitted: Fitted, real: Dataset) -> Dataset:
    """Four times the rows of ``real``, label by label; at least 40."""
    counts = dict.fromkeys(fitted.conditions, 0)
    for name, n in zip(*np.unique(names(real), return_counts=True), strict=True):
        counts[str(name)] = max(4 * int(n), 40 // len(counts))
    return draw(fitted, plan(fitted, counts), 0)


def names(dataset: Dataset) -> np.ndarray:
    """Label combination of every row; ``all`` without labels."""
    columns = [dataset.labels(i).astype(str) for i in range(len(dataset.schema.labels))]
    return np.array(
        ["|".join(row) or "all" for row in zip(*columns, strict=True)] if columns else ["all"] * len(dataset)
    )


def classes(dataset: Dataset) -> np.ndarray:
    """Position of every row's label combination among those present, in the order of their names."""
    return np.unique(names(dataset), return_inverse=True)[1]


def beats_the_floor(fitted: Fitted, whole: Dataset, moment: str, most: float) -> None:
    """Assert that the error of a class moment is at most a share of that of training rows with permuted labels.

    A generator that ignores labels scores about 1, training rows drawn again 0.05 (counts) to 0.2 (83 tumours).
    """
    real = small_data.frequent(whole)
    codes, x = classes(real), small_data.logged(real)
    rows = drawn_like(fitted, real)
    permuted = Stream(0).child("floor").numpy().permutation(codes)
    truth, ours, floor = (
        small_data.moments(values, of)[moment]
        for values, of in ((x, codes), (small_data.logged(rows), classes(rows)), (x, permuted))
    )
    error, worst = np.abs(ours - truth).mean(), np.abs(floor - truth).mean()
    assert error <= most * worst, f"error of class {moment} {error:.4f}, with permuted labels {worst:.4f}"


def check_rows(rows: Dataset, real: Dataset) -> None:
    """Assert that rows are valid and of the form of the training data."""
    from scipy import sparse

    assert rows.schema == real.schema
    assert rows.x.dtype == np.float32
    assert sparse.issparse(rows.x) == sparse.issparse(real.x)
    x = as_dense(rows.x)
    if real.schema.space is Space.MIXED:
        check_table(rows, real)
        return
    assert np.isfinite(x).all()
    assert not sparse.issparse(rows.x) or (rows.x.data != 0).all()
    if real.schema.space is Space.COUNTS:
        assert (x >= 0).all()
        assert (x == np.rint(x)).all()
        assert (row_sums(rows.x) > 0).all()
    else:
        low, high = as_dense(real.x).min(), as_dense(real.x).max()
        spread = max(high - low, 1)
        assert real.schema.space is not Space.LOG or x.min() >= 0
        assert low - 2 * spread <= x.min()
        assert x.max() <= high + 2 * spread


def check_table(rows: Dataset, real: Dataset) -> None:
    """Assert that every column of a mixed table has only values that could be in the real one."""
    for name, ours, theirs, levels in zip(
        real.schema.features, rows.x.T, real.x.T, real.schema.levels or (None,) * real.features, strict=True
    ):
        assert np.isnan(theirs).any() or not np.isnan(ours).any(), f"{name} is missing, which it never is in real rows"
        present, known = ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]
        if levels is not None:
            assert np.isin(present, known).all(), f"{name} has categories that no real row has"
        elif present.size:
            assert known.min() <= present.min() <= present.max() <= known.max(), name
            whole = np.array_equal(known, np.rint(known))
            assert not whole or np.array_equal(present, np.rint(present)), f"{name} is not whole"


def same_state(a: State, b: State) -> None:
    """Assert that two states are equal to the last bit."""
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert_array_equal(a[name], b[name], err_msg=name)


def same_rows(a: Dataset, b: Dataset) -> None:
    """Assert that two data sets hold the same rows with the same labels and names."""
    assert_array_equal(as_dense(a.x), as_dense(b.x))
    assert_array_equal(a.codes, b.codes)
    assert_array_equal(a.names, b.names)
