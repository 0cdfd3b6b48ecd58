"""What makes an evaluation light changes no number: pieces, shortcuts, memory that is let go of; and what `quick` leaves out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from small_rows import pair, sample

from augmentor.core.dataset import Dataset
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation import assemble
from augmentor.evaluation.columns import variances
from augmentor.evaluation.context import Frame
from augmentor.evaluation.metrics import discriminator, marginals, precision_recall
from augmentor.evaluation.pair import NEAREST, PIECE, Side, _least, distances
from augmentor.evaluation.rows import align
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Report
from augmentor.evaluation.spaces import Basis


def counts(seed: int, rows: int = 400) -> Dataset:
    rng = np.random.default_rng(seed)
    label = np.arange(rows) % 2
    schema = Schema(
        space=Space.COUNTS,
        features=tuple(f"g{i:02d}" for i in range(12)),
        labels=(LabelColumn(name="state", categories=("off", "on")),),
    )
    x = rng.poisson(rng.gamma(9.0, 0.3, (rows, 1)) * np.linspace(0.5, 4.0, 12) * (1 + label[:, None]))
    return Dataset.checked(sparse.csr_matrix(x.astype(np.float32)), schema, label[:, None])


@pytest.mark.parametrize("rows", [1, PIECE, PIECE + 1, 1024, 1024 + PIECE + 3])
def test_distances_in_pieces_are_those_of_the_formula(rows: int) -> None:
    rng = np.random.default_rng(rows)
    a, b = rng.normal(size=(rows, 7)), rng.normal(size=(40, 7))
    b[3] = a[rows // 2]
    found = distances(a, b)
    assert found[rows // 2, 3] == 0.0
    np.testing.assert_allclose(found, np.sqrt(np.square(a[:, None] - b).sum(axis=2)), rtol=1e-9, atol=1e-12)


def test_the_nearest_of_a_subset_is_found_also_where_none_of_the_nearest_is_in_it() -> None:
    block = np.random.default_rng(0).random((30, 4 * NEAREST))
    order = np.argsort(block[0])
    far = order[NEAREST + 5 :]  # leaves out all that are looked through for the first row
    subsets = [np.arange(0, 4 * NEAREST, 2), far, np.array([7])]
    expected = [block[:, subset].min(axis=1) for subset in subsets]
    np.testing.assert_array_equal(_least(block, subsets), expected)
    few = block[:, : NEAREST // 2]
    np.testing.assert_array_equal(_least(few, [np.array([1, 3])]), [few[:, [1, 3]].min(axis=1)])


def test_variances_of_sparse_columns_are_those_of_dense_ones() -> None:
    x = np.random.default_rng(1).poisson(0.7, (60, 9)).astype(np.float32)
    for ours, dense in zip(variances(sparse.csr_matrix(x)), variances(x), strict=True):
        np.testing.assert_allclose(ours, dense, rtol=1e-12)


def test_what_a_side_lets_go_of_comes_back_the_same() -> None:
    rng = np.random.default_rng(2)
    rows = sample(rng.normal(size=(60, 8)), np.arange(60) % 3)
    side = Side(rows, Basis.fitted(rows, Space.CONTINUOUS, 1.0))
    chosen = np.array([5, 2, 40])
    part = side.take(chosen).take(np.array([2, 0]))
    before = part.log.copy(), part.distances.copy(), part.sample.x.copy()
    np.testing.assert_array_equal(before[2], rows.x[[40, 5]])
    np.testing.assert_array_equal(part.y, rows.y[[40, 5]])
    for one in (side, part):
        one.forget()
        assert not {"log", "distances"} & set(vars(one))
    assert "sample" not in vars(part) and side.sample is rows
    for ours, theirs in zip((part.log, part.distances, part.sample.x), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_pair_lets_go_of_its_halves_and_keeps_the_real_rows_of_all_arms() -> None:
    rng = np.random.default_rng(3)
    made = pair(rng.normal(size=(80, 6)), rng.normal(size=(80, 6)))
    values = made.distances.copy(), made.half(0).distances.copy(), made.fewer(20).half(1).distances.copy()
    assert made.real.distances.shape == (80, 80)
    made.forget()
    held = (made, made.half(0), made.fewer(20), made.fewer(20).half(1))
    assert not any("distances" in vars(one) for one in (*held, *(one.synthetic for one in held)))
    assert "distances" in vars(made.real)
    again = made.distances, made.half(0).distances, made.fewer(20).half(1).distances
    for ours, theirs in zip(again, values, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_measured_metric_leaves_nothing_large_behind() -> None:
    frame = Frame(align(*map(counts, range(3))), seed=0, n_max=200)
    for metric in (precision_recall.Metric(), marginals.Metric()):
        assert assemble.run(metric, frame).scores
        for (_, arm, *_), one in frame._pairs.items():
            if arm != "synthetic":
                assert "distances" not in vars(one) and not {"log", "distances"} & set(vars(one.synthetic))
        frame.forget()
        sides = [side for one in frame._pairs.values() for side in (one.synthetic, one.real, one.fit)]
        assert len(frame._pairs) > 10 and not any({"log", "distances"} & set(vars(side)) for side in sides)


def test_rows_that_share_their_fitting_rows_share_a_basis() -> None:
    frame = Frame(align(*map(counts, range(3))), seed=0, n_max=200)
    assert frame.pair("training", "synthetic", 0).basis is frame.pair("all", "synthetic", 0).basis
    assert frame.policy == "disjoint"
    assert frame.pair("matched", "synthetic", 0).basis is frame.pair("mapped", "ceiling", 0).basis
    assert frame.pair("matched", "synthetic", 0).basis is not frame.pair("matched", "synthetic", 1).basis


# --- quick ------------------------------------------------------------------------------------------------------------------

COMPARED = ["moments", "marginals", "precision_recall", "discriminator", "transfer"]


@pytest.fixture(scope="module")
def reports() -> tuple[Report, Report]:
    """A quick report and one of the same metrics at their usual settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discriminator, "TREES", 5)
        patch.setattr(discriminator, "QUICK_TREES", 5)
        patch.setattr(discriminator, "LABEL_TREES", 5)
        sets = [counts(i) for i in range(3)]
        return evaluate(*sets, metrics="quick"), evaluate(*sets, metrics=COMPARED)


def test_quick_means_three_draws_one_floor_and_linear_models(reports: tuple[Report, Report]) -> None:
    quick, usual = reports
    assert not quick.failed, quick.failed
    detectors = {name for name in quick.scores if name.startswith("discriminator.")}
    assert detectors == {"discriminator.rf_pcs", "discriminator.lr_pcs"}
    assert "rf" in usual["transfer.tstr"].detail and "rf" not in quick["transfer.tstr"].detail
    assert set(usual["moments.variance"].floors) == {"independent", "permuted", "means"}
    for name, score in quick.scores.items():
        named = {item.spec.floor for key, item in quick.scores.items() if key.startswith(name.partition(".")[0] + ".")}
        assert set(score.floors) <= named, name
        assert score.skipped or score.ceiling is None or score.ceiling.draws <= 3 * quick.space["folds"], name
    assert quick["moments.variance"].ceiling.draws == 6 and usual["moments.variance"].ceiling.draws == 10


def test_quick_values_are_those_of_a_usual_evaluation(reports: tuple[Report, Report]) -> None:
    quick, usual = reports
    for name in ("moments.variance", "marginals.ks", "precision_recall.recall", "transfer.tstr"):
        assert quick[name].value == usual[name].value, name
        assert quick[name].interval == usual[name].interval, name
