"""Which rows are held out: stratified, whole groups, never the last two rows of a label."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from augmentor.core.errors import LabelError
from augmentor.core.random import Stream
from augmentor.splitting import KEEP, part


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.floats(0, 0.99), st.integers(0, 5))
def test_every_label_gives_its_share_and_keeps_two_rows(counts: list[int], fraction: float, seed: int) -> None:
    condition = np.repeat(np.arange(len(counts)), counts)
    chosen = part(condition, fraction, Stream(seed))
    for c, n in enumerate(counts):
        held = int(chosen[condition == c].sum())
        assert held == max(0, min(round(fraction * n), n - KEEP))


def test_nothing_is_held_out_on_request() -> None:
    assert not part(np.zeros(10, dtype=np.intp), 0.0, Stream(0)).any()


def test_keyed_by_the_seed() -> None:
    condition = np.repeat([0, 1], 50)
    assert_array_equal(part(condition, 0.2, Stream(3)), part(condition, 0.2, Stream(3)))
    assert not np.array_equal(part(condition, 0.2, Stream(3)), part(condition, 0.2, Stream(4)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.9])
def test_groups_stay_whole(fraction: float, seed: int) -> None:
    groups = np.repeat(np.array(["p1", "p2", "p3", "p4", "p5"], dtype=object), [10, 20, 30, 5, 35])
    chosen = part(np.arange(100) % 3, fraction, Stream(seed), groups)
    assert 0 < chosen.sum() < 100
    assert all(chosen[groups == name].all() or not chosen[groups == name].any() for name in np.unique(groups))
    assert abs(chosen.mean() - fraction) <= 0.4


def test_one_group_cannot_be_divided() -> None:
    with pytest.raises(LabelError, match=r"the group column has 1 value \('p1'\)"):
        part(np.zeros(4, dtype=np.intp), 0.2, Stream(0), np.array(["p1"] * 4, dtype=object))
