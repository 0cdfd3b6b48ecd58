"""The sampler for imbalanced-learn: rows added, types kept, usable in a pipeline with and without that library."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from augmentor import AugmentorSampler
from augmentor.core.errors import ConfigError, LabelError


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [30, 12, 6])
    return rng.normal(size=(48, 5)) + y[:, None], y


def test_labels_are_lifted_to_the_largest_and_real_rows_come_first(rows: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = rows
    sampler = AugmentorSampler("gaussian")
    more, labels = sampler.fit_resample(x, y)
    np.testing.assert_array_equal(more[:48], x)
    np.testing.assert_array_equal(labels[:48], y)
    np.testing.assert_array_equal(np.bincount(labels), [30, 30, 30])
    assert (more.dtype, labels.dtype) == (x.dtype, y.dtype)
    assert sampler.sampling_strategy_ == {0: 0, 1: 18, 2: 24}
    again, _ = AugmentorSampler("gaussian").fit_resample(x, y)
    np.testing.assert_array_equal(more, again)
    other, _ = AugmentorSampler("gaussian", random_state=1).fit_resample(x, y)
    assert not np.array_equal(more, other)


@pytest.mark.parametrize(
    ("strategy", "counts"),
    [
        ("not majority", [30, 30, 30]),
        ("minority", [30, 12, 30]),
        ("not minority", [30, 30, 6]),
        ("all", [30, 30, 30]),
        ({1: 20, 2: 10}, [30, 20, 10]),
        (lambda y: {2: 9}, [30, 12, 9]),
    ],
)
def test_strategies(rows: tuple[np.ndarray, np.ndarray], strategy: Any, counts: list[int]) -> None:
    _, labels = AugmentorSampler("bootstrap", sampling_strategy=strategy).fit_resample(*rows)
    np.testing.assert_array_equal(np.bincount(labels), counts)


def test_a_share_is_for_two_labels(rows: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = rows
    sampler = AugmentorSampler("bootstrap", sampling_strategy=0.8)
    _, labels = sampler.fit_resample(x[y < 2], y[y < 2])
    np.testing.assert_array_equal(np.bincount(labels), [30, 24])
    with pytest.raises(ConfigError, match="two labels"):
        sampler.fit_resample(x, y)


def test_strategies_that_cannot_be_are_refused(rows: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'minority'"):
        AugmentorSampler(sampling_strategy="minorty").fit_resample(*rows)
    with pytest.raises(LabelError, match="names 9"):
        AugmentorSampler(sampling_strategy={9: 50}).fit_resample(*rows)
    with pytest.raises(ConfigError, match="only added"):
        AugmentorSampler(sampling_strategy={0: 5}).fit_resample(*rows)


def test_frames_sparse_counts_and_text_labels_keep_their_types(rows: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = rows
    frame = pd.DataFrame(x.astype(np.float32), columns=list("abcde"))
    series = pd.Series(np.array(["n", "b", "r"], dtype=object)[y], name="kind")
    more, labels = AugmentorSampler("gaussian").fit_resample(frame, series)
    assert list(more.columns) == list("abcde") and (more.dtypes == np.float32).all()
    assert labels.name == "kind" and labels.value_counts().to_dict() == {"n": 30, "b": 30, "r": 30}
    counts = sparse.csr_matrix(np.random.default_rng(1).poisson(3.0, (48, 6)) + 1)
    more, _ = AugmentorSampler("copula").fit_resample(counts, y)
    assert sparse.issparse(more) and more.shape == (90, 6) and more.dtype == counts.dtype


def test_balanced_rows_are_given_back(rows: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = rows[0][:10], np.repeat([0, 1], 5)
    more, labels = AugmentorSampler().fit_resample(x, y)
    assert more is x and labels is y


def test_parameters_and_clone_as_scikit_learn_wants_them() -> None:
    sampler = AugmentorSampler("smote", sampling_strategy="minority", random_state=3, settings={"neighbours": 2})
    assert clone(sampler).get_params() == sampler.get_params()
    assert sampler.set_params(model="copula").model == "copula"


@pytest.mark.skipif(find_spec("imblearn") is None, reason="imbalanced-learn is not installed")
def test_inside_a_pipeline_of_imbalanced_learn(rows: tuple[np.ndarray, np.ndarray]) -> None:
    from imblearn.pipeline import make_pipeline

    model = make_pipeline(AugmentorSampler("gaussian"), LogisticRegression())
    assert cross_val_score(model, *rows, cv=3).mean() > 0.5
