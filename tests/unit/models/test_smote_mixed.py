"""SMOTE-NC: neighbours by numbers in standard units and categories that count one, and where a category comes from."""

from __future__ import annotations

import numpy as np
import pytest

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.space import Space


def fitted(x: np.ndarray, levels: tuple[int | None, ...], **settings: object) -> object:
    layout = Layout(space=Space.MIXED, features=x.shape[1], levels=levels, rows=len(x))
    n = len(x)
    given = Given(np.zeros(n, dtype=np.intp), np.zeros((n, 0), dtype=np.int32), np.zeros((n, 0)))
    kind = MODELS.get("smote")
    model = kind.build(layout, kind.Config(**settings))
    model.estimate(Encoded(x.astype(np.float32), given, np.zeros(n, dtype=bool), layout), Stream(0))
    return model


def draw(model: object, n: int) -> np.ndarray:
    given = Given(np.zeros(n, dtype=np.intp), np.zeros((n, 0), dtype=np.int32), np.zeros((n, 0)))
    return model.draw(given, Stream(1))  # type: ignore[attr-defined, no-any-return]


def test_a_different_category_is_as_far_as_one_standard_deviation() -> None:
    """Row 0 and its two candidates: one half a deviation away, one with the same number and another category."""
    rng = Stream(3).numpy()
    x = np.column_stack([rng.normal(size=60) * 100 + 5000, np.ones(60)])
    sd = x[:, 0].std()
    x[:3] = [[0, 0], [0.5 * sd, 0], [0, 1]]
    model = fitted(x, (None, 2), neighbours=2)
    assert list(model.neighbours[0]) == [1, 2]  # type: ignore[attr-defined]
    x[1, 0] = (
        40 * sd
    )  # the spread is now that of a column with two outliers, and 40 old units are more than one of them
    model = fitted(x, (None, 2), neighbours=1)
    assert list(model.neighbours[0]) == [2]  # type: ignore[attr-defined]


def test_categories_by_majority_are_those_of_most_neighbours() -> None:
    x = np.column_stack([np.arange(30) / 30, np.arange(30) >= 29])
    made = draw(fitted(x, (None, 2), neighbours=5, categories="majority"), 300)
    assert not made[:, 1].any()


@pytest.mark.parametrize("k", [2, 5])
def test_drawn_categories_keep_their_shares(k: int) -> None:
    """2,000 draws of a category that says nothing of the number: within five standard errors of its share, 0.056.

    Neighbours share their category more than rows in general do, which changes nothing about the share.
    """
    rng = Stream(4).numpy()
    x = np.column_stack([rng.normal(size=400), rng.integers(k, size=400)])
    made = draw(fitted(x, (None, k)), 2000)
    share, real = (np.bincount(v.astype(int), minlength=k) / len(v) for v in (made[:, 1], x[:, 1]))
    assert np.abs(share - real).max() < 0.056
    assert made[:, 0].std() < x[:, 0].std()
