"""The battery that every transform passes: a file in ``augmentor/preprocess/transforms`` is tested by being there.

What a transform may lose on the way there and back is declared in `LOST`; a new transform without an entry loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed
from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import as_dense, row_sums
from augmentor.core.random import Stream
from augmentor.core.registry import TRANSFORMS
from augmentor.core.space import Space

Values = NDArray[np.float32]
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)
QUICK = budget(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _rows(elements: st.SearchStrategy[float]) -> st.SearchStrategy[Values]:
    return arrays.arrays(np.float32, SHAPES, elements=elements)


def _floats(low: float, high: float) -> st.SearchStrategy[float]:
    # values nearer to 0 than float32 can square are noise of no instrument
    return st.floats(low, high, width=32).filter(lambda v: v == 0 or abs(v) > 1e-6)


COUNTS = _rows(st.integers(0, 5000).map(float)).map(lambda x: np.where(x.sum(axis=1, keepdims=True) > 0, x, 1))
LOG = _rows(_floats(0, 12))
CONTINUOUS = _rows(_floats(-1e4, 1e4))
MIXED = _rows(st.one_of(_floats(-100, 100), st.just(float("nan"))))

# rows that a transform accepts, where its space is not enough to say it
ACCEPTS: dict[str, st.SearchStrategy[Values]] = {
    "logit": _rows(st.floats(0, 1, width=32)),
    "whole": _rows(st.integers(-30_000, 30_000).map(float)),
}
BY_SPACE = {Space.COUNTS: COUNTS, Space.LOG: LOG, Space.CONTINUOUS: CONTINUOUS, Space.MIXED: MIXED}


def _exactly(x: Values, back: Values, step: Any) -> None:
    assert_array_equal(back, x)


def _closely(x: Values, back: Values, step: Any) -> None:
    assert_allclose(back, x, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(x).max())))


def _residual(x: Values, back: Values, step: Any) -> None:
    """Principal components lose what is orthogonal to them; the loss is recorded as a spread per feature."""
    lost = np.sqrt(((x - back).astype(np.float64) ** 2).mean(axis=0))
    assert_allclose(lost, step.state()["residual"], atol=2e-3 * max(1.0, float(np.abs(x).max())))


LOST: dict[str, Callable[[Values, Values, Any], None]] = {
    "asinh": _closely,  # float32 rounding
    "logit": _closely,
    "pca": _residual,
    "standardise": _closely,
}

names = pytest.mark.parametrize("name", TRANSFORMS.names())


def fitted(name: str, x: Any, **config: Any) -> tuple[Any, Any]:
    """Return a transform fitted to rows, and their library sizes where they are counts."""
    kind = TRANSFORMS.get(name)
    size = row_sums(x) if kind.accepts is Space.COUNTS else None
    return kind.fit(x, size, kind.Config(**config)), size


def example(name: str) -> Values:
    """Rows in the shape of real data: 40 x 8, seeded, with a constant and an all-zero feature."""
    kind, generator = TRANSFORMS.get(name), Stream(1).child(name).numpy()
    x = generator.negative_binomial(2, 0.2, (40, 8)) if kind.accepts is Space.COUNTS else generator.normal(size=(40, 8))
    if kind.accepts is Space.LOG:
        x = np.maximum(x, 0)
    if name == "logit":
        x = generator.beta(0.3, 0.3, (40, 8))
    if name == "whole":
        x = np.rint(1000 * x)
    x[:, 6], x[:, 7] = 1, 0
    return x.astype(np.float32)


@names
def test_inverse_of_forward(name: str) -> None:
    kind = TRANSFORMS.get(name)

    @seed(0)
    @QUICK
    @given(ACCEPTS.get(name, BY_SPACE[kind.accepts]))
    def check(x: Values) -> None:
        step, size = fitted(name, x)
        back = as_dense(step.inverse(step.forward(x, size), size))
        LOST.get(name, _exactly)(x, back, step)

    check()


@names
@pytest.mark.parametrize("columns", [[0], [6], [6, 7], [0, 6, 7]], ids=["single", "constant", "flat", "three"])
def test_few_and_flat_features(name: str, columns: list[int]) -> None:
    x = example(name)[:, columns]
    x = x[x.sum(axis=1) > 0] if TRANSFORMS.get(name).accepts is Space.COUNTS else x
    step, size = fitted(name, x)
    forward = as_dense(step.forward(x, size))
    assert np.isfinite(forward).all()
    LOST.get(name, _exactly)(x, as_dense(step.inverse(forward, size)), step)


@names
def test_keeps_float32_and_its_argument(name: str) -> None:
    x = example(name)
    kept = x.copy()
    step, size = fitted(name, x)
    y = step.forward(x, size)
    assert as_dense(y).dtype == np.float32
    assert as_dense(step.inverse(y, size, Stream(0))).dtype == np.float32
    assert_array_equal(x, kept)


@pytest.mark.parametrize(
    "name", [n for n in TRANSFORMS.names() if TRANSFORMS.get(n).accepts in (Space.COUNTS, Space.LOG)]
)
def test_sparse_is_dense(name: str) -> None:
    x = example(name)
    (dense, size), (thin, _) = fitted(name, x), fitted(name, sparse.csr_matrix(x))
    assert_array_equal(np.array(list(dense.state().values())), np.array(list(thin.state().values())))
    y = thin.forward(sparse.csr_matrix(x), size)
    assert_allclose(as_dense(y), as_dense(dense.forward(x, size)), rtol=1e-6)
    assert_array_equal(as_dense(thin.inverse(y, size)), x)


@names
def test_state_round_trip(name: str) -> None:
    kind, x = TRANSFORMS.get(name), example(name)
    step, size = fitted(name, x)
    state = {key: np.array(array) for key, array in step.state().items()}
    again = kind.from_state(state, kind.Config())
    y = step.forward(x, size)
    assert_array_equal(as_dense(again.forward(x, size)), as_dense(y))
    assert_array_equal(as_dense(again.inverse(y, size, Stream(3))), as_dense(step.inverse(y, size, Stream(3))))


@names
def test_rows_do_not_look_at_each_other(name: str) -> None:
    """Half the rows give half the result: nothing but the fit is shared, so blocks of any size agree."""
    x = example(name)
    step, size = fitted(name, x)
    half = None if size is None else size[:20]
    whole, part = as_dense(step.forward(x, size))[:20], as_dense(step.forward(x[:20], half))
    assert_allclose(part, whole, rtol=1e-5, atol=1e-6)


@names
def test_describes_itself(name: str) -> None:
    kind = TRANSFORMS.get(name)
    assert kind.name == name
    assert isinstance(kind.accepts, Space)
    assert isinstance(kind.gives, Space)
    assert TRANSFORMS.summary(name)
    assert kind.Config.model_validate_json(kind.Config().model_dump_json()) == kind.Config()


# --- bounds of what comes back, however extreme the draw -------------------------------------------------------------

EXTREME = np.array([[-1e30, -50, -1, 0, 1, 50, 1e30, 88]], dtype=np.float32)


def test_logit_stays_in_the_unit_interval() -> None:
    step, _ = fitted("logit", example("logit"))
    back = step.inverse(EXTREME, None)
    assert back.min() == 0
    assert back.max() == 1
    assert np.isfinite(back).all()


def test_asinh_stays_within_twice_the_training_range() -> None:
    x = np.array([[-300.0, 40, 9000], [5, 70, 61_000]], dtype=np.float32)
    step, _ = fitted("asinh", x)
    back = step.inverse(EXTREME, None)
    assert back.min() == -600
    assert back.max() == 122_000


def test_asinh_of_positive_data_stays_above_its_minimum() -> None:
    step, _ = fitted("asinh", np.array([[3.0, 800], [90_000, 20]], dtype=np.float32))
    assert step.inverse(EXTREME, None).min() == 3


def test_integers_with_negatives_come_back_whole() -> None:
    """Microarray average differences (golub) on the asinh scale: whole numbers after both inverses."""
    x = np.rint(Stream(0).numpy().standard_cauchy((50, 6)) * 300).astype(np.float32)
    asinh, _ = fitted("asinh", x)
    whole, _ = fitted("whole", x)
    back = whole.inverse(asinh.inverse(asinh.forward(x, None), None), None)
    assert_allclose(back, x, atol=1)
    assert_array_equal(back, np.rint(back))


def test_lognorm_gives_counts_whatever_is_drawn() -> None:
    x = example("lognorm")
    step, size = fitted("lognorm", x)
    drawn = np.linspace(-3, 9, x.size).reshape(x.shape).astype(np.float32)
    for form in (drawn, sparse.csr_matrix(drawn)):
        back = as_dense(step.inverse(form, size))
        assert (back >= 0).all()
        assert_array_equal(back, np.rint(back))


def test_lognorm_rows_have_the_target_size() -> None:
    x = example("lognorm")
    step, size = fitted("lognorm", x)
    assert_allclose(np.expm1(step.forward(x, size)).sum(axis=1), np.median(size), rtol=1e-5)


def test_nonnegative_makes_exact_zeros() -> None:
    step, _ = fitted("nonnegative", np.array([[0, 0.5], [2, 0]], dtype=np.float32))
    assert_array_equal(
        step.inverse(np.array([[-1, 0.2, 0.26, 3]], dtype=np.float32), None), [[0, 0, np.float32(0.26), 3]]
    )


def test_standardise_gives_mean_zero_variance_one() -> None:
    x = example("standardise") * 1000 + 5000
    step, _ = fitted("standardise", x)
    y = step.forward(x, None)
    assert_allclose(y.mean(axis=0), 0, atol=1e-3)
    assert_allclose(y[:, :6].std(axis=0), 1, rtol=1e-3)
    assert not y[:, 6:].any()
    # a constant feature stays constant, whatever a model draws for it
    assert_allclose(step.inverse(np.full((1, 8), 7, dtype=np.float32), None)[0, 6:], [6000, 5000])


def test_pca_puts_the_residual_variance_back() -> None:
    generator = Stream(2).numpy()
    x = (generator.normal(size=(2000, 2)) @ generator.normal(size=(2, 12)) + generator.normal(size=(2000, 12))).astype(
        np.float32
    )
    step, _ = fitted("pca", x, components=2)
    y = step.forward(x, None)
    assert y.shape == (2000, 2)
    assert_allclose(y.std(axis=0), 1, rtol=1e-4)
    assert step.inverse(y, None).var(axis=0).sum() < 0.8 * x.var(axis=0).sum()
    # 24,000 draws of the residual: the standard error of a variance is below 4 %
    assert_allclose(step.inverse(y, None, Stream(0)).var(axis=0), x.var(axis=0), rtol=0.12)


def columns() -> Values:
    """60 rows: a number with gaps, a category with gaps, whole numbers with ties, one decimal, a column without values."""
    rng = Stream(5).numpy()
    x = np.column_stack(
        [rng.normal(size=60), rng.integers(0, 3, 60), rng.poisson(2, 60), rng.normal(120, 9, 60).round(1), np.zeros(60)]
    )
    x[::4, 0], x[::5, 1], x[:, 4] = np.nan, np.nan, np.nan
    return x.astype(np.float32)


@pytest.mark.parametrize("scores", [False, True])
def test_tabular_makes_complete_rows_and_gives_them_back(scores: bool) -> None:
    x = columns()
    step, _ = fitted("tabular", x, categories=(1,), scores=scores)
    y = step.forward(x, None)
    assert step.levels == (None, 4, None, None, None, 2, 2)
    assert np.isfinite(y).all()
    assert_array_equal(y[:, 1], np.where(np.isnan(x[:, 1]), 3, x[:, 1]))
    assert_array_equal(y[:, 5:] == 1, np.isnan(x[:, [0, 4]]))
    assert_allclose(step.inverse(y, None), x, atol=1e-6)


def test_tabular_scores_are_normal_whatever_the_ties() -> None:
    """Ties are spread over their step: 60 scores of 7 different values have the mean and variance of a normal sample."""
    step, _ = fitted("tabular", columns(), categories=(1,), scores=True)
    y = step.forward(columns(), None)
    for j in (0, 2, 3):
        assert abs(y[:, j].mean()) < 0.3 and 0.7 < y[:, j].std() < 1.3
        assert len(np.unique(y[:, j])) > 40


@pytest.mark.parametrize("scores", [False, True])
def test_tabular_gives_valid_values_whatever_is_drawn(scores: bool) -> None:
    x = columns()
    step, _ = fitted("tabular", x, categories=(1,), scores=scores)
    drawn = np.tile(np.linspace(-9, 140, 400, dtype=np.float32)[:, None], (1, 7))
    drawn[:, 5:] = np.array([0, 1], dtype=np.float32)
    back = step.inverse(drawn, None)
    for j, values in enumerate(back.T):
        known = x[~np.isnan(x[:, j]), j]
        present = values[~np.isnan(values)]
        assert present.size == 0 or (known.min() <= present.min() and present.max() <= known.max())
    assert set(np.unique(back[~np.isnan(back[:, 1]), 1])) <= {0, 1, 2}
    assert_array_equal(back[:, 2], np.rint(back[:, 2]))
    assert_allclose(back[:, 3], back[:, 3].astype(np.float64).round(1), atol=1e-5)
    assert np.isnan(back[:, 4]).all() and not np.isnan(back[:, [0, 2, 3]]).any()


def test_tabular_without_gaps_or_categories_changes_nothing() -> None:
    x = example("tabular")
    step, _ = fitted("tabular", x)
    assert_array_equal(step.forward(x, None), x)
    assert step.levels == (None,) * 8
