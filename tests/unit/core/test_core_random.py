"""Randomness is keyed by a path of names, never by the order of calls."""

from __future__ import annotations

import numpy as np
import torch

from augmentor.core.random import Stream


def test_same_path_same_numbers_in_any_order() -> None:
    root = Stream(5)
    late = [root.child("b").numpy().random(), root.child("a").numpy().random()][1]
    assert late == Stream(5).child("a").numpy().random()


def test_paths_seeds_and_types_are_told_apart() -> None:
    keys = {
        Stream(0).key,
        Stream(1).key,
        Stream(0).child("a").key,
        Stream(0).child("a", "b").key,
        Stream(0).child("ab").key,
        Stream(0).child("b", "a").key,
    }
    assert len(keys) == 6
    assert Stream(0).child(3) == Stream(0).child("3")
    assert Stream(0).child("a").child("b") == Stream(0).child("a", "b")


def test_generators_start_afresh() -> None:
    stream = Stream(2).child("noise")
    first = stream.numpy()
    first.random(100)
    assert stream.numpy().random() == Stream(2).child("noise").numpy().random()
    a, b = (torch.rand(4, generator=stream.torch()) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.equal(a, torch.rand(4, generator=Stream(3).child("noise").torch()))


def test_integers_fit_into_a_random_state() -> None:
    seeds = [Stream(0).child(i).integer() for i in range(200)]
    assert min(seeds) >= 0
    assert max(seeds) < 2**31
    assert len(set(seeds)) == 200


def test_numbers_are_those_of_the_first_release() -> None:
    """Files fitted with an older version must give the same rows."""
    np.testing.assert_array_equal(Stream(0).child("golden").numpy().integers(0, 1000, 5), [414, 737, 212, 561, 583])
