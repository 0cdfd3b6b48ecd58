"""The plan from data to model and its fitted chain: typed, explained, inverted in reverse, restored from its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from augmentor.core.contract import Spec
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.errors import ArtifactError, ConfigError
from augmentor.core.random import Stream
from augmentor.core.schema import Schema
from augmentor.core.space import Space, detect
from augmentor.preprocess.chain import Chain, Plan, plan

COUNTS, LOG, CONTINUOUS, MIXED = Space.COUNTS, Space.LOG, Space.CONTINUOUS, Space.MIXED
GENERATOR = np.random.Generator(np.random.SFC64(4))


def dataset(x: object, space: Space | None = None) -> Dataset:
    matrix = x if sparse.issparse(x) else np.asarray(x, dtype=np.float32)
    values = matrix.data if sparse.issparse(matrix) else matrix
    schema = Schema(
        space=space or detect(matrix).space,
        features=tuple(f"g{i}" for i in range(matrix.shape[1])),
        integer=bool((values == np.rint(values)).all()),
    )
    return Dataset.checked(matrix, schema, np.zeros((matrix.shape[0], 0)))


NORMAL = GENERATOR.normal(size=(30, 5))
DATA = {
    "counts": GENERATOR.poisson(3, (30, 5)) + 1,
    "log": np.maximum(NORMAL, 0),
    "z-scores": NORMAL,
    "golub": np.rint(np.sinh(3 * NORMAL) * 200),
    "fractions": 1 / (1 + np.exp(-NORMAL)),
    "intensities": np.exp(4 * NORMAL) + 1,
    "tpm": np.maximum(np.exp(4 * NORMAL) - 1, 0),
}


@pytest.mark.parametrize(
    ("name", "spaces", "standardised", "steps"),
    [
        ("counts", (COUNTS,), False, []),
        ("counts", (LOG,), False, ["lognorm"]),
        ("counts", (CONTINUOUS,), True, ["lognorm", "nonnegative", "standardise"]),
        ("log", (LOG, CONTINUOUS), False, []),
        ("log", (COUNTS, CONTINUOUS), True, ["nonnegative", "standardise"]),
        ("z-scores", (CONTINUOUS,), False, []),
        ("z-scores", (CONTINUOUS,), True, ["standardise"]),
        ("golub", (CONTINUOUS,), True, ["whole", "asinh", "standardise"]),
        ("fractions", (CONTINUOUS,), True, ["logit", "standardise"]),
        ("intensities", (CONTINUOUS,), False, ["asinh"]),
        ("tpm", (CONTINUOUS,), False, ["asinh"]),
    ],
)
def test_the_way_from_data_to_model(name: str, spaces: Sequence[Space], standardised: bool, steps: list[str]) -> None:
    found = plan(dataset(DATA[name]), Spec(spaces=tuple(spaces), standardised=standardised))
    assert [step for step, _ in found.steps] == steps
    assert len(found.reasons) == len({"asinh", "logit", "whole"} & set(steps))


@pytest.mark.parametrize("name", sorted(DATA))
def test_there_and_back_and_at_rest(name: str) -> None:
    data = dataset(DATA[name])
    size = row_sums(data.x) if data.schema.space is COUNTS else None
    fitted, x = Chain.fit(plan(data, Spec(spaces=(CONTINUOUS,), standardised=True)), data.x, size, data.schema.space)
    assert fitted.space is CONTINUOUS
    assert_array_equal(fitted.forward(data.x, size), x)
    assert_allclose(fitted.inverse(x, size), data.x, rtol=2e-3, atol=2e-3 * np.abs(data.x).max())
    again = Chain.from_state(fitted.names, fitted.configs, fitted.state(), fitted.space)
    assert_array_equal(again.inverse(x, size, Stream(0)), fitted.inverse(x, size, Stream(0)))


@pytest.mark.parametrize("name", ["z-scores", "fractions", "tpm", "golub"])
def test_continuous_data_stored_sparse_is_like_dense(name: str) -> None:
    values = np.where(np.random.Generator(np.random.SFC64(1)).random(NORMAL.shape) < 0.5, DATA[name], 0).astype(
        np.float32
    )
    dense, thin = dataset(values), dataset(sparse.csr_matrix(values))
    spec = Spec(spaces=(CONTINUOUS,), standardised=True)
    assert plan(thin, spec) == plan(dense, spec)
    (a, x), (b, y) = (Chain.fit(plan(d, spec), d.x, None, CONTINUOUS) for d in (dense, thin))
    assert isinstance(y, np.ndarray)
    assert_array_equal(x, y)
    assert_array_equal(as_dense(b.forward(thin.x, None)), a.forward(dense.x, None))


def test_sparse_counts_stay_sparse() -> None:
    data = dataset(sparse.csr_matrix(np.asarray(DATA["counts"], dtype=np.float32)), COUNTS)
    fitted, x = Chain.fit(plan(data, Spec(spaces=(LOG,))), data.x, row_sums(data.x), COUNTS)
    assert sparse.issparse(x)
    assert sparse.issparse(fitted.inverse(x, row_sums(data.x)))


def test_pca_is_asked_for() -> None:
    data = dataset(NORMAL)
    fitted, x = Chain.fit(plan(data, Spec(spaces=(CONTINUOUS,)), pca=2), data.x, None, CONTINUOUS)
    assert x.shape == (30, 2)
    assert fitted.inverse(x, None, Stream(0)).shape == (30, 5)
    with pytest.raises(ConfigError, match="pca needs a model of continuous data, but this model takes counts"):
        plan(dataset(DATA["counts"]), Spec(spaces=(COUNTS,)), pca=2)


def test_spaces_compose_or_refuse() -> None:
    with pytest.raises(ConfigError, match="transform 'standardise' accepts continuous, but the step before gives log"):
        Chain.fit(Plan((("standardise", {}),)), np.ones((2, 2), np.float32), None, LOG)
    with pytest.raises(ConfigError, match="this model accepts counts, but the data is continuous"):
        plan(dataset(NORMAL), Spec(spaces=(COUNTS,)))
    with pytest.raises(ConfigError, match="does not accept mixed tables"):
        plan(dataset(NORMAL, MIXED), Spec(spaces=(CONTINUOUS,)))


def test_mixed_tables_say_what_their_columns_are() -> None:
    """Five numbers; one of them holds grades 1 to 3 and is modelled as a category, which the user is told."""
    values = np.repeat(NORMAL, 2, axis=0)
    values[:, 3], values[0, 0] = np.arange(60) % 3 + 1, np.nan
    chosen = plan(dataset(values, MIXED), Spec(spaces=(MIXED,)))
    assert chosen.steps == (("tabular", {"categories": [3], "scores": False}),)
    assert "modelled as categories: g3" in chosen.reasons[0]
    fitted, x = Chain.fit(chosen, values.astype(np.float32), None, MIXED)
    assert fitted.levels == (None, None, None, 3, None, 2) and np.isfinite(x).all()
    assert_array_equal(fitted.inverse(x, None), values.astype(np.float32))
    assert plan(dataset(values, MIXED), Spec(spaces=(MIXED,), standardised=True)).steps[0][1]["scores"]
    with pytest.raises(ConfigError, match="leave pca out"):
        plan(dataset(values, MIXED), Spec(spaces=(MIXED,)), pca=2)
    assert Chain.fit(Plan(()), NORMAL, None, CONTINUOUS)[0].levels is None


@pytest.mark.parametrize("standardised", [False, True])
def test_what_is_missing_only_in_later_rows_is_taken_for_the_usual(standardised: bool) -> None:
    """A row to be scored may lack what no training row lacked: a category or a number."""
    values = np.repeat(NORMAL, 2, axis=0).astype(np.float32)
    values[:, 3], values[0, 0] = np.arange(60) % 5 // 2 + 1, np.nan  # 1 1 2 2 3
    values[0, 3] = 1
    chosen = plan(dataset(values, MIXED), Spec(spaces=(MIXED,), standardised=standardised))
    fitted, _ = Chain.fit(chosen, values, None, MIXED)
    later = values[1:2].copy()
    later[:, [1, 3]] = np.nan
    found = fitted.inverse(fitted.forward(later, None), None)
    assert found[0, 3] == 1
    assert found[0, 1] == pytest.approx(np.sort(values[:, 1])[30])
    assert_array_equal(found[0, [0, 2, 4]], later[0, [0, 2, 4]])


def test_a_transform_that_lacks_an_array_is_refused() -> None:
    values = np.repeat(NORMAL, 2, axis=0).astype(np.float32)
    values[0, 0] = np.nan
    fitted, _ = Chain.fit(plan(dataset(values, MIXED), Spec(spaces=(MIXED,))), values, None, MIXED)
    state = {key: array for key, array in fitted.state().items() if not key.endswith("usual")}
    with pytest.raises(ArtifactError, match="'tabular' lacks the tensor 'usual'"):
        Chain.from_state(fitted.names, fitted.configs, state, MIXED)


def test_only_the_whole_columns_of_a_table_of_numbers_are_rounded() -> None:
    values = (NORMAL * 10).astype(np.float32)
    values[:, [1, 3]] = np.rint(values[:, [1, 3]])
    rows = dataset(values, CONTINUOUS)
    kinds = ("float64", "int64", "float64", "int64", "float64")
    rows = replace(rows, schema=rows.schema.model_copy(update={"dtypes": kinds}))
    chosen = plan(rows, Spec(spaces=(CONTINUOUS,)))
    assert "rounded to whole numbers: g1, g3" in chosen.reasons[0]
    fitted, x = Chain.fit(chosen, values, None, CONTINUOUS)
    back = fitted.inverse(x + 0.25, None)
    assert_array_equal(back[:, [1, 3]], values[:, [1, 3]])
    assert_array_equal(back[:, [0, 2, 4]], values[:, [0, 2, 4]] + np.float32(0.25))
