"""Copies and repeats are counted among all synthetic rows, however few rows distances are measured of."""

from __future__ import annotations

import numpy as np
import pytest

from augmentor.core.dataset import Dataset
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Report

FEW = 100  # rows a side for distances, of 1,200


def counts(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(6, (rows, 12)).astype(np.float32)


def dataset(x: np.ndarray) -> Dataset:
    features = tuple(f"g{i}" for i in range(x.shape[1]))
    schema = Schema(space=Space.COUNTS, features=features, labels=(LabelColumn(name="t", categories=("a", "b")),))
    return Dataset.checked(x, schema, (np.arange(len(x)) % 2).astype(np.int32)[:, None])


def judged(made: np.ndarray, train: np.ndarray, holdout: np.ndarray, n_max: int = FEW) -> Report:
    return evaluate(*map(dataset, (made, train, holdout)), metrics=["duplicates"], n_max=n_max)


def test_every_copy_and_every_repeat_is_counted() -> None:
    """3 training rows, all of label b, and 300 pairs: 100 drawn rows would hold a quarter of a copy and two pairs."""
    train, holdout, made = counts(300, 0), counts(300, 1), counts(1200, 2)
    made[[1, 3, 5]] = train[:3]
    made[600:900] = made[900:1200]
    report = judged(made, train, holdout)
    exact, inner = report["duplicates.exact"], report["duplicates.inner"]
    assert exact.value == pytest.approx(3 / 1200) and exact.detail["rows"] == 1200
    assert exact.per_label["a"].value == 0 and exact.per_label["b"].value == pytest.approx(3 / 600)
    assert inner.value == pytest.approx(300 / 1200) and inner.detail["rows"] == 1200
    whole = judged(made, train, holdout, n_max=2000)
    assert {name: whole[name].value for name in ("exact", "inner")} == {"exact": exact.value, "inner": inner.value}


def test_more_rows_of_few_kinds_are_no_repeats() -> None:
    """Of 512 possible rows, 300 of one law repeat less than 1,200 of it do: only equally many can be compared.

    The share of repeats among 100 to 300 rows of 512 kinds lies between 0.09 and 0.26 with a standard deviation of 0.02;
    among 1,200 it would be 0.61.
    """
    train, holdout, made = (
        np.random.default_rng(seed).integers(1, 3, (rows, 9)).astype(np.float32)
        for seed, rows in enumerate((300, 300, 1200))
    )
    score = judged(made, train, holdout)["duplicates.inner"]
    assert score.value is not None and score.value < 0.1
    assert score.detail["rows"] == FEW
