"""Anomaly scores: what is expected of label and depth is taken off, and thresholds keep their promise on rows that are new."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from augmentor.core.contract import Given
from augmentor.core.errors import ArtifactError
from augmentor.core.random import Stream
from augmentor.parts.anomaly import MOST, Reference

LEVELS = np.array([1.0, 3.0, 2.0])


def rows(n: int, seed: int, *, sizes: bool = True) -> tuple[np.ndarray, Given]:
    """Surprise that depends on label and depth, with noise of standard deviation 0.1."""
    rng = Stream(seed).numpy()
    condition = rng.integers(3, size=n)
    logs = rng.normal(7, 0.5, n)
    surprise = LEVELS[condition] + 0.1 * rng.standard_normal(n)
    if sizes:
        surprise = surprise + 0.4 * (logs - 7) / 0.5
    codes = condition[:, None].astype(np.int32)
    return surprise, Given(condition, codes, np.zeros((n, 0)), np.exp(logs) if sizes else None)


@pytest.mark.parametrize("sizes", [True, False])
def test_label_and_depth_are_taken_off(sizes: bool) -> None:
    surprise, given = rows(600, 0, sizes=sizes)
    scores = Reference.fit(surprise, given, 3).score(surprise, given)
    if sizes:  # 600 rows: a correlation of 0 is estimated with a standard error of 0.04
        assert abs(np.corrcoef(scores, np.log(given.sizes))[0, 1]) < 0.12
    means = [scores[given.condition == c].mean() for c in range(3)]
    assert np.abs(means).max() < 0.05
    assert 0.08 < scores.std() < 0.12


def test_a_label_of_one_row_does_not_explain_itself_away() -> None:
    surprise, given = rows(300, 1)
    lonely = np.append(np.flatnonzero(given.condition != 2), np.flatnonzero(given.condition == 2)[:1])
    surprise, given = surprise[lonely].copy(), given.take(lonely)
    surprise[-1] += 5
    assert Reference.fit(surprise, given, 3).score(surprise, given)[-1] > 2.5


def test_thresholds_hold_for_new_rows() -> None:
    """Over 40 references of 199 rows the mean false-alarm rate of 1 % is known to within 0.001 (40 x 2,000 new rows)."""
    train = rows(500, 2)
    rates = []
    for seed in range(40):
        reference = Reference.fit(*train, 3, rows(199, 100 + seed))
        rates.append((reference.score(*rows(2000, 500 + seed)) > reference.threshold(0.99)).mean())
    assert 0.006 < np.mean(rates) < 0.0125


def test_the_threshold_is_the_conformal_order_statistic() -> None:
    reference = Reference.fit(*rows(100, 3), 3, rows(199, 4))
    assert reference.threshold(0.99) == reference.held[197]  # ceil(200 x 0.99) = 198th smallest
    assert reference.threshold(0.99, seen=True) == reference.trained[99]  # ceil(101 x 0.99) = 100th of 100


def test_few_rows_are_extrapolated_beyond_their_largest() -> None:
    few = Reference.fit(*rows(100, 5), 3, rows(9, 6))
    assert few.threshold(0.99) > few.held[-1]
    assert few.threshold(0.8) == few.held[7]
    assert Reference.fit(*rows(100, 5), 3).threshold(0.99) == np.inf


def test_rows_that_were_learned_from_have_a_reference_of_their_own() -> None:
    reference = Reference.fit(*rows(100, 7), 3, rows(50, 8))
    found = reference.quantile(
        np.array([reference.trained[50], reference.held[25], -9, 9]), np.array([True, False] * 2)
    )
    assert_array_equal(found, [0.5, 0.5, 0, 1])


def test_to_arrays_and_back() -> None:
    reference = Reference.fit(*rows(MOST + 10, 9), 3, rows(20, 10))
    assert reference.trained.size == MOST
    again = Reference.from_state(reference.state(), 3)
    assert_array_equal(again.score(*rows(30, 11)), reference.score(*rows(30, 11)))
    assert again.threshold(0.9) == reference.threshold(0.9)
    broken = reference.state() | {"held": reference.held[::-1].copy()}
    with pytest.raises(ArtifactError, match="not in order"):
        Reference.from_state(broken, 3)
    with pytest.raises(ArtifactError, match="1 of another shape"):
        Reference.from_state(reference.state(), 4)


def test_scores_are_as_exact_as_the_surprise() -> None:
    surprise, given = rows(50, 12)
    reference = Reference.fit(surprise, given, 3)
    assert_allclose(reference.score(surprise + 1, given), reference.score(surprise, given) + 1)
