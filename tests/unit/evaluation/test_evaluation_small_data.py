"""Few rows, odd rows, tables and real small data: a value or a reason, never a crash or a storm of warnings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augmentor.core.dataset import Dataset
from augmentor.core.errors import LabelError
from augmentor.core.progress import Progress
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation.metrics import discriminator
from augmentor.evaluation.run import evaluate

MOST = [
    "moments",
    "correlation",
    "zeros",
    "library_size",
    "marginals",
    "precision_recall",
    "mmd",
    "fold_change",
    "nearest_train",
    "duplicates",
    "label_balance",
    "validity",
    "divergence",
    "transfer",
    "augmentation_gain",
    "discriminator",
]


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discriminator, "TREES", 5)
    monkeypatch.setattr(discriminator, "SMALL_REPEATS", 2)
    monkeypatch.setattr("augmentor.evaluation.learners.TREES", 5)


def _dataset(x: np.ndarray, y: np.ndarray | None, space: Space, **more: object) -> Dataset:
    labels = () if y is None else (LabelColumn(name="type", categories=tuple("ABCDEFGH"[: int(y.max()) + 1])),)
    schema = Schema(space=space, features=tuple(f"g{i}" for i in range(x.shape[1])), labels=labels, **more)  # type: ignore[arg-type]
    codes = np.zeros((len(x), 0)) if y is None else y[:, None]
    return Dataset.checked(x, schema, codes.astype(np.int32))


def _three(space: Space, n: int, p: int, labels: int | None, seed: int = 0) -> list[Dataset]:
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(3):
        y = None if labels is None else np.arange(n) % labels
        x = rng.normal(size=(n, p)) * 10 + (0 if y is None else 5 * y[:, None])
        if space is Space.COUNTS:
            x = np.maximum(np.rint(x), 0)
            x[:, 0] += 1
        out.append(_dataset(x, y, space))
    return out


@pytest.mark.parametrize("space", [Space.COUNTS, Space.CONTINUOUS])
@pytest.mark.parametrize(
    ("n", "p", "labels"), [(12, 40, 2), (9, 3, 8), (30, 1, 2), (40, 20, None), (60, 200, 3), (2, 5, 2)]
)
def test_sizes_that_break_things(space: Space, n: int, p: int, labels: int | None) -> None:
    report = evaluate(*_three(space, n, p, labels), metrics=MOST, allow_overlap=True)
    assert not report.failed, report.failed
    for score in report.scores.values():
        assert (score.value is None) == bool(score.skipped)
        assert score.value is None or np.isfinite(score.value)


def test_constant_zero_and_repeated_genes_and_rows() -> None:
    synthetic, train, holdout = _three(Space.COUNTS, 60, 10, 2)
    odd = []
    for data in (synthetic, train, holdout):
        x = np.asarray(data.x).copy()
        x[:, 1], x[:, 2], x[:, 3] = 0, 7, x[:, 4]
        odd.append(_dataset(x, data.codes[:, 0], Space.COUNTS))
    same = odd[0].take(np.zeros(60, dtype=np.intp))
    for made in (odd[0], same):
        report = evaluate(made, *odd[1:], metrics=MOST)
        assert not report.failed, report.failed
    assert report["inner"].value == pytest.approx(59 / 60, abs=0.02)


def test_a_mixed_table_with_gaps_and_other_category_codes() -> None:
    def table(levels: tuple[str, ...], seed: int) -> Dataset:
        local = np.random.default_rng(seed)
        age = local.normal(50, 10, 80)
        age[local.random(80) < 0.1] = np.nan
        kind = local.integers(0, 2, 80)
        codes = np.array([levels.index(("no", "yes")[k]) for k in kind])
        return _dataset(
            np.column_stack([age, codes, local.normal(size=80)]),
            (kind + local.integers(0, 2, 80)) % 2,
            Space.MIXED,
            levels=(None, levels, None),
        )

    plain = [table(("no", "yes"), i) for i in range(3)]
    recoded = [table(("yes", "no"), 0), *plain[1:]]
    first, second = (evaluate(*sets, metrics=["mmd", "moments", "validity", "transfer"]) for sets in (plain, recoded))
    assert not first.failed and first.space["genes"] == 5
    for name, score in first.scores.items():
        assert second.scores[name].value == pytest.approx(score.value, abs=1e-9)


@pytest.mark.parametrize("held", [True, False])
def test_sets_that_share_no_label_are_refused_in_a_sentence(held: bool) -> None:
    """Every two of the three share one; halves of training rows cannot share a label of a single row."""
    x = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    train = _dataset(x, np.repeat([0, 1], [59, 1] if not held else [30, 30]), Space.CONTINUOUS)
    made = _dataset(x[:20] + 1, np.ones(20, dtype=int), Space.CONTINUOUS)
    unseen = _dataset(x[:25] - 1, np.zeros(25, dtype=int), Space.CONTINUOUS) if held else None
    with pytest.raises(LabelError, match=r"no label occurs in all sets.*synthetic rows: .*; (training|one half)"):
        evaluate(made, train, unseen, metrics="quick")


def test_progress_is_told_after_every_metric() -> None:
    told: list[Progress] = []
    evaluate(*_three(Space.COUNTS, 30, 10, 2), metrics=["moments", "validity"], listener=told.append)
    assert [(event.task, event.done, event.total) for event in told] == [("evaluate", i, 2) for i in range(3)]


def test_joint_labels() -> None:
    made = []
    for data in _three(Space.COUNTS, 80, 10, 2):
        schema = data.schema.model_copy(
            update={"labels": (*data.schema.labels, LabelColumn(name="sex", categories=("f", "m")))}
        )
        codes = np.column_stack([data.codes[:, 0], np.arange(80) // 2 % 2]).astype(np.int32)
        made.append(Dataset.checked(data.x, schema, codes))
    report = evaluate(*made, label=(0, 1), metrics=["label_balance"])
    assert report.label == "type | sex"
    assert set(report.data["train"].labels) == {"A | f", "A | m", "B | f", "B | m"}


@pytest.mark.shared
def test_golub_leukemia(shared_data: Path) -> None:
    import anndata

    data = anndata.read_h5ad(shared_data / "golub_leukemia.h5ad")
    y = (data.obs["subtype"] == "AML").to_numpy().astype(int)
    whole = _dataset(np.asarray(data.X), y, Space.CONTINUOUS)
    order = np.random.default_rng(0).permutation(72)
    report = evaluate(*(whole.take(rows) for rows in (order[:29], order[29:58], order[58:])), metrics=MOST)
    assert not report.failed, report.failed
    assert report.space["policy"] == "symmetric"
    assert report["rf_genes"].skipped and report["lr_pcs"].value is not None
    assert report["library_size.shape"].skipped
    assert report["tstr"].value > 0.6
