"""Who trains and who tests, and how many synthetic rows of which label are added."""

from __future__ import annotations

import itertools

import anndata
import augmentor_data
import numpy as np
import pytest
from toy_rows import normal

from augmentor import io
from augmentor.comparison import arms, splits
from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.errors import ConfigError, LabelError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.preprocess import genes

Y = np.repeat([0, 1, 2], [31, 17, 6])


def test_every_row_is_tested_once_in_a_repeat_and_labels_are_spread_evenly() -> None:
    drawn = list(splits.outer(Y, None, 5, 3, Stream(0)))
    assert len(drawn) == 15
    for repeat in range(3):
        tested = np.concatenate([test for _, test in drawn[5 * repeat : 5 * repeat + 5]])
        np.testing.assert_array_equal(np.sort(tested), np.arange(len(Y)))
    for train, test in drawn:
        assert not set(train) & set(test) and len(train) + len(test) == len(Y)
        counts = np.bincount(Y[test], minlength=3)
        assert (np.abs(counts - np.bincount(Y) / 5) <= 1).all()
    assert not np.array_equal(drawn[0][1], drawn[5][1])


def test_groups_are_never_on_both_sides_outside_and_inside() -> None:
    groups = np.array([f"p{i % 11}" for i in range(len(Y))], dtype=object)
    for train, test in splits.outer(Y, groups, 5, 2, Stream(1)):
        assert not set(groups[train]) & set(groups[test])
        inner = splits.folded(Y[train], groups[train], 3, Stream(2))
        for i in range(3):
            assert not set(groups[train][inner == i]) & set(groups[train][inner != i])


def test_fewer_groups_than_folds_are_refused() -> None:
    with pytest.raises(LabelError, match="5 folds need at least 5"):
        list(splits.outer(Y, np.array(["a", "b"] * 27, dtype=object), 5, 1, Stream(0)))


def test_rows_per_label_and_shares() -> None:
    np.testing.assert_array_equal(np.bincount(Y[splits.at_most(Y, 10, Stream(0))]), [10, 10, 6])
    np.testing.assert_array_equal(np.bincount(Y[splits.share(Y, 27, Stream(0))]), [16, 10, 6])
    assert len(splits.share(Y, 100, Stream(0))) == len(Y)


def test_rows_are_poured_onto_the_smallest_labels_first() -> None:
    counts = np.array([10, 4, 0, 6])
    np.testing.assert_array_equal(arms.wanted(counts, 0.0), 0)
    np.testing.assert_array_equal(arms.wanted(counts, 0.2), [0, 3, 0, 1])  # 4 rows: 7 and 7
    np.testing.assert_array_equal(arms.wanted(counts, 0.5), [0, 6, 0, 4])  # 10 rows: all at 10
    np.testing.assert_array_equal(arms.wanted(counts, 2.0), [10, 16, 0, 14])  # 40 rows: all at 20


def test_a_larger_ratio_never_asks_for_fewer_rows() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        counts = rng.integers(0, 30, 5)
        counts[0] += 1
        asked = [arms.wanted(counts, ratio) for ratio in (0, 0.3, 0.5, 1, 2, 5)]
        assert [int(a.sum()) for a in asked] == [round(r * int(counts.sum())) for r in (0, 0.3, 0.5, 1, 2, 5)]
        assert all((a <= b).all() for a, b in itertools.pairwise(asked))


@pytest.fixture(scope="module")
def cells() -> Dataset:
    """Real counts: 90 cells of three types by 40 genes."""
    adata = anndata.read_h5ad(augmentor_data.path("pbmc3k"))
    rows = np.concatenate([np.flatnonzero(adata.obs["celltype"] == name)[:30] for name in ("B", "NK", "CD14+ Mono")])
    whole = io.convert(adata[np.sort(rows)].copy(), label="celltype")
    return whole.select(genes.select(whole, 40))


@pytest.mark.parametrize("name", [*arms.SIMPLE, "copula"])
def test_every_arm_gives_the_rows_asked_for_in_the_users_units(cells: Dataset, name: str) -> None:
    found, y = np.unique(cells.codes[:, 0], return_inverse=True)
    sampler = arms.generators(["copula"], Space.COUNTS)[name](cells, y.astype(np.intp), 3)
    counts = np.array([7, 0, 12])
    made = sampler(counts, 5)
    np.testing.assert_array_equal([(made.codes[:, 0] == code).sum() for code in found], counts)
    values = as_dense(made.x)
    assert values.min() >= 0 and (values == np.rint(values)).all() and values.shape == (19, 40)
    np.testing.assert_array_equal(values, as_dense(sampler(counts, 5).x))
    known = {row.tobytes() for row in as_dense(cells.x)}
    copies = np.mean([row.tobytes() in known for row in values])
    assert copies == 1.0 if name == "duplicate" else copies < 0.5


def test_duplicates_take_turns() -> None:
    data, y = normal((6, 3), 4, 0, effect=0.0)
    made = arms.duplicate(data, y, 0)(np.array([0, 7]), 0)
    _, times = np.unique(made.x, axis=0, return_counts=True)
    assert sorted(times.tolist()) == [2, 2, 3]


def test_noise_is_a_tenth_of_the_spread_within_the_label() -> None:
    data, y = normal((400, 400), 3, 0, effect=5.0)
    made = arms.bootstrap_noise(data, y, 0)(np.array([3000, 0]), 0)
    known = data.x[:400]
    nearest = np.array([np.abs(known - row).sum(axis=1).argmin() for row in made.x])
    assert np.std(made.x - known[nearest]) == pytest.approx(0.1, rel=0.1)


def test_arms_that_do_not_take_the_space_are_left_out_and_unknown_ones_refused() -> None:
    assert list(arms.generators(["copula"], Space.MIXED)) == ["duplicate", "smote", "copula"]
    with pytest.raises(ConfigError, match=r"'copla' is not a model\. Did you mean 'copula'"):
        arms.generators(["copla"], Space.COUNTS)
