"""The metric `learning_curve`: rows of the same law replace about as many real rows, meaningless ones replace none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from toy_rows import normal

from augmentor.core.dataset import Dataset
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Report


def report(synthetic: Dataset) -> Report:
    train, holdout = normal((100, 100), 60, 1, effect=0.35)[0], normal((400, 400), 60, 2, effect=0.35)[0]
    return evaluate(synthetic, train, holdout, metrics=["learning_curve"])


def test_fresh_rows_replace_about_as_many_real_ones() -> None:
    """80 fresh rows; an accuracy on 800 rows has a sd of 0.016, here some 30 rows: 25 to 190 is two of them and the ends."""
    found = report(normal((40, 40), 60, 3, effect=0.35)[0])["learning_curve.replaces"]
    assert found.value is not None and 25 <= found.value <= 190
    scores = found.detail["balanced_accuracy"]
    assert scores[-1] > scores[0] + 0.05 and found.detail["rows"][0] == 25 and found.detail["rows"][-1] == 200


def test_rows_under_wrong_labels_replace_none_and_harm() -> None:
    made, y = normal((100, 100), 60, 4, effect=0.35)
    wrong = replace(made, codes=(1 - y).astype(np.int32)[:, None])
    found = report(wrong)
    assert found["learning_curve.replaces"].value is None
    assert "worse than 25 real rows" in str(found["learning_curve.replaces"].skipped)
    worth = found["learning_curve.worth"]
    assert worth.detail["gain"] < -0.1
    assert worth.value is None or worth.value < -50


def test_few_training_rows_give_no_curve() -> None:
    few = normal((20, 20), 60, 1, effect=0.35)[0]
    found = evaluate(few, few, normal((30, 30), 60, 2, effect=0.35)[0], metrics=["learning_curve"])
    assert found["worth"].value is None and "fewer than 50 training rows" in str(found["worth"].skipped)
