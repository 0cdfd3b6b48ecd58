"""Effects of continuous covariates: found where rows follow them, missed where they do not, and left out where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from augmentor.core.dataset import Dataset
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Report

GENES = 60
EFFECT = np.where(np.arange(GENES) < 20, np.random.default_rng(3).normal(0, 0.5, GENES), 0.0)
NAMES = ("covariate_effect.size", "covariate_effect.similarity")


def rows(seed: int, effect: np.ndarray = EFFECT, n: int = 400) -> Dataset:
    """Counts of two labels; a third of the genes changes with age, more or less."""
    rng = np.random.default_rng([seed, 5])
    y, age = np.arange(n) % 2, rng.normal(50, 10, n)
    base = np.random.default_rng(4).normal(2, 0.5, (2, GENES))
    x = rng.poisson(np.exp(base[y] + effect * ((age - 50) / 10)[:, None])).astype(np.float32)
    schema = Schema(
        space=Space.COUNTS,
        features=tuple(f"g{j:02d}" for j in range(GENES)),
        labels=(LabelColumn(name="type", categories=("a", "b")),),
        covariates=("age",),
    )
    data = Dataset.checked(sparse.csr_matrix(x), schema, y[:, None].astype(np.int32))
    return replace(data, covariates=age[:, None])


TRAIN, HOLDOUT = rows(1), rows(2)


def judged(made: Dataset, **options: object) -> Report:
    return evaluate(made, TRAIN, HOLDOUT, metrics=["covariate_effect"], **options)  # type: ignore[arg-type]


def test_fresh_rows_have_the_real_effects() -> None:
    report = judged(rows(3))
    size, similarity = (report.scores[name] for name in NAMES)
    assert size.value == pytest.approx(1.0, abs=0.1)
    assert size.detail["covariates"]["age"] == pytest.approx(size.value, abs=0.05)
    assert similarity.value is not None and similarity.value > 0.95
    assert size.floors["independent"] == pytest.approx(0.0, abs=0.1)
    assert size.normalised is not None and size.normalised > 0.8


def test_half_the_effect_is_half() -> None:
    assert judged(rows(3, EFFECT / 2)).scores[NAMES[0]].value == pytest.approx(0.5, abs=0.1)


def test_effects_on_other_genes_are_seen() -> None:
    similarity = judged(rows(3, EFFECT[::-1])).scores[NAMES[1]].value
    assert similarity is not None and similarity < 0.5


def test_rows_that_do_not_follow_the_covariate_are_at_the_floor() -> None:
    made = rows(3)
    shuffled = replace(made, covariates=made.covariates[np.random.default_rng(0).permutation(len(made))])
    found = judged(shuffled).scores[NAMES[0]]
    assert found.value == pytest.approx(0.0, abs=0.2), "by chance they still follow it with r of 1/sqrt(rows)"


def test_without_covariates_it_is_left_out_and_named_if_asked_for() -> None:
    bare = [
        replace(data, covariates=np.zeros((len(data), 0)), schema=data.schema.model_copy(update={"covariates": ()}))
        for data in (rows(3), TRAIN, HOLDOUT)
    ]
    report = evaluate(*bare, metrics=["covariate_effect"])
    assert "--covariate" in str(report.scores[NAMES[0]].skipped)
    report = evaluate(*bare, metrics="quick", skip=["discriminator", "embedding_overlap"])
    assert not set(NAMES) & set(report.scores)
