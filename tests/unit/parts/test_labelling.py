"""Labels of unlabelled rows: found where rows are of separate kinds, doubtful where they are not."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from augmentor.core.random import Stream
from augmentor.parts.labelling import responsibilities

LABELS, FEATURES = 3, 30


def _rows(apart: float, each: int = 60) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    rng = np.random.default_rng(0)
    centres = apart * np.eye(LABELS, FEATURES)
    truth = np.repeat(np.arange(LABELS), each)
    return rng.standard_normal((truth.size, FEATURES)) + centres[truth], truth


def _hidden(truth: NDArray[np.intp], known: int) -> NDArray[np.intp]:
    """Only the first ``known`` rows of every label keep it."""
    codes = np.full(truth.size, -1)
    for c in range(LABELS):
        codes[np.flatnonzero(truth == c)[:known]] = c
    return codes


def test_two_labelled_rows_of_separate_kinds_label_the_rest() -> None:
    x, truth = _rows(apart=12.0)
    codes = _hidden(truth, 2)
    found = responsibilities(x, codes, LABELS, Stream(0))
    assert_array_equal(found.argmax(axis=1), truth)
    assert found.max(axis=1).min() > 0.6 and found.max(axis=1).mean() > 0.9
    assert_allclose(found.sum(axis=1), 1)
    assert_array_equal(found[codes >= 0], np.eye(LABELS)[truth[codes >= 0]])


def test_rows_that_are_all_of_one_kind_stay_doubtful() -> None:
    x, truth = _rows(apart=0.0)
    codes = _hidden(truth, 3)
    found = responsibilities(x, codes, LABELS, Stream(0))[codes < 0]
    right = (found.argmax(axis=1) == truth[codes < 0]).mean()
    # a third is chance; certainty may not be far above what is right
    assert right < 0.5 and found.max(axis=1).mean() < 0.75


def test_same_stream_same_probabilities_and_labels_are_only_names() -> None:
    x, truth = _rows(apart=4.0)
    codes = _hidden(truth, 3)
    found = responsibilities(x, codes, LABELS, Stream(1))
    assert_array_equal(found, responsibilities(x, codes, LABELS, Stream(1)))
    renamed = np.array([2, 0, 1])
    other = responsibilities(x, np.where(codes < 0, -1, renamed[codes]), LABELS, Stream(1))
    # the rounds draw rows label by label, so that names decide only which random numbers a label gets
    assert np.abs(other[:, renamed] - found).mean() < 0.02


def test_better_than_the_labelled_rows_alone() -> None:
    """Rows between the kinds follow the shape of the cloud, not the few labelled rows at its end."""
    rng = np.random.default_rng(3)
    along = rng.uniform(0, 10, (300, 1))
    truth = rng.integers(0, 2, 300)
    x = np.hstack(
        [along, 3.0 * truth[:, None] + 0.4 * rng.standard_normal((300, 1)), 0.1 * rng.standard_normal((300, 8))]
    )
    codes = np.full(300, -1)
    # the labelled rows of one kind lie at one end, those of the other at the other end
    codes[np.flatnonzero(truth == 0)[np.argsort(along[truth == 0, 0])[:3]]] = 0
    codes[np.flatnonzero(truth == 1)[np.argsort(-along[truth == 1, 0])[:3]]] = 1
    found = responsibilities(x, codes, 2, Stream(0))
    from sklearn.linear_model import LogisticRegression

    alone = LogisticRegression().fit(x[codes >= 0], codes[codes >= 0]).predict(x)
    assert (found.argmax(axis=1) == truth).mean() > (alone == truth).mean()


def test_few_rows_and_constant_features() -> None:
    x = np.array([[0.0, 1.0, 5.0], [0.2, 1.0, 5.0], [9.0, 1.0, 5.0], [9.1, 1.0, 5.0]])
    found = responsibilities(x, np.array([0, -1, 1, -1]), 2, Stream(0))
    assert_array_equal(found.argmax(axis=1), [0, 0, 1, 1])


def test_few_rows_of_many_features_are_not_split_by_their_noise() -> None:
    """80 rows in 100 dimensions, five standard deviations apart along one of them: EM in many components finds other halves."""
    right = []
    for seed in range(5):
        rng = np.random.default_rng([seed, 3])
        truth = np.repeat([0, 1], 40)
        x = rng.standard_normal((80, 100)) + 0.5 * truth[:, None]
        codes = np.where(np.arange(80) % 40 < 3, truth, -1)
        found = responsibilities(x, codes, 2, Stream(seed)).argmax(axis=1)
        right.append((found == truth)[codes < 0].mean())
    assert np.mean(right) > 0.9
