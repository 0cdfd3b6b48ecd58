"""Columns and pairs of columns against SDMetrics, where both define the same; skipped where it is not installed."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest

from augmentor.core.dataset import Dataset
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation.context import Frame
from augmentor.evaluation.metrics import association, contingency, shape
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.rows import align

pytest.importorskip("sdmetrics", reason="SDMetrics is not installed (pip install sdmetrics)")

EXACT = 1e-6
TEXTS = {"city": ("Basel", "Bern", "Zug"), "smoker": ("no", "yes")}


def frame(rows: int, seed: int) -> pd.DataFrame:
    """Two numbers that rise together, whole numbers, and two texts; gaps in one number and one text."""
    rng = np.random.default_rng(seed)
    age = rng.normal(50, 10, rows).round(1)
    out = pd.DataFrame(
        {
            "age": age,
            "weight": age + rng.normal(0, 8 + 3 * seed, rows),
            "children": rng.poisson(1 + 0.2 * seed, rows).astype(float),
            "city": np.array(TEXTS["city"], dtype=object)[np.digitize(age + 2 * seed, [45, 57])],
            "smoker": np.array(TEXTS["smoker"], dtype=object)[rng.integers(0, 2, rows)],
        }
    )
    out.loc[rng.random(rows) < 0.1, "weight"] = np.nan
    out.loc[rng.random(rows) < 0.1, "smoker"] = None
    return out


def dataset(df: pd.DataFrame) -> Dataset:
    columns = {name: df[name].map(TEXTS[name].index, na_action="ignore") if name in TEXTS else df[name] for name in df}
    schema = Schema(
        space=Space.MIXED,
        features=tuple(map(str, df.columns)),
        levels=tuple(TEXTS.get(str(name)) for name in df),
        labels=(LabelColumn(name="state", categories=("all",)),),
    )
    return Dataset.checked(np.column_stack(list(columns.values())), schema, np.zeros((len(df), 1), np.int32))


@pytest.fixture(scope="module")
def rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    return frame(180, 1), frame(180, 0)


@pytest.fixture(scope="module")
def pair(rows: tuple[pd.DataFrame, pd.DataFrame]) -> Pair:
    ours, theirs = map(dataset, rows)
    made = Frame(align(ours, theirs, theirs), seed=0, n_max=1000).pair("matched", "synthetic", 0)
    assert len(made.synthetic) == len(made.real) == 180
    return made


def test_shape_is_ks_complement_and_tv_complement(pair: Pair, rows: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    from sdmetrics.single_column import KSComplement, TVComplement

    ours, theirs = rows
    found = shape.similarities(pair)
    for name in ours:
        theirs_is: Any = TVComplement if name in TEXTS else KSComplement
        assert found[str(name)] == pytest.approx(theirs_is.compute(theirs[name], ours[name]), abs=EXACT)


def test_contingency_is_contingency_similarity_of_the_same_codes(pair: Pair) -> None:
    """Cut apart, its numbers are another score: it cuts each set by its own range."""
    from sdmetrics.column_pairs import ContingencySimilarity

    cuts = contingency.Cuts.fitted(pair.basis.fit, 1)
    found = contingency.similarities(pair, cuts)
    ours, theirs = (pd.DataFrame(cuts.codes(side.sample)) for side in (pair.synthetic, pair.real))
    for i, j in combinations(range(5), 2):
        expected = ContingencySimilarity.compute(theirs[[i, j]], ours[[i, j]])
        assert found[i, j] == pytest.approx(expected, abs=EXACT)


def test_contingency_of_categories_is_contingency_similarity(
    pair: Pair, rows: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    from sdmetrics.column_pairs import ContingencySimilarity

    ours, theirs = (df[["city", "smoker"]].fillna("missing") for df in rows)
    names = list(pair.real.sample.table.columns.names)  # type: ignore[union-attr]
    found = contingency.similarities(pair, contingency.Cuts.fitted(pair.basis.fit, 1))
    value = found[names.index("city"), names.index("smoker")]
    assert value == pytest.approx(ContingencySimilarity.compute(theirs, ours), abs=EXACT)


def test_association_of_numbers_is_correlation_similarity(pair: Pair, rows: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """1 - |r - r'| / 2 there, | |r| - |r'| | here: the same where both correlations are positive."""
    from sdmetrics.column_pairs import CorrelationSimilarity

    plan = association.Plan.fitted(pair.basis.fit)
    strength = [association.associations(side.sample, plan) for side in (pair.synthetic, pair.real)]
    names = list(pair.real.sample.table.columns.names)  # type: ignore[union-attr]
    i, j = names.index("age"), names.index("weight")
    ours, theirs = (df[["age", "weight"]].dropna() for df in rows)
    assert min(ours.corr().iloc[0, 1], theirs.corr().iloc[0, 1]) > 0.5
    expected = 2 * (1 - CorrelationSimilarity.compute(theirs, ours))
    # the matrices hold float32
    assert abs(strength[0][i, j] - strength[1][i, j]) == pytest.approx(expected, abs=EXACT)
