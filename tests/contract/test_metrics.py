"""What every metric must keep: the protocol, the axioms, and the controls that it claims to catch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from factor_rows import GENES, LABELS, dataset, independent, same_size, shrunk, simulate

from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.errors import ConfigError, DataError, LabelError, SchemaMismatch
from augmentor.core.registry import METRICS
from augmentor.core.space import Space
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Metric
from augmentor.evaluation.metrics import discriminator
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.rows import align
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Report
from augmentor.evaluation.spaces import Basis

NAMES = METRICS.names()
# UMAP compiles for ten seconds; it has its own test.
FAST = [name for name in NAMES if name != "embedding_overlap"]


@pytest.fixture(scope="module")
def real() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """T, H and fresh rows of one law."""
    return {"train": simulate(400, 1), "holdout": simulate(400, 2), "fresh": simulate(400, 3)}


@pytest.fixture(scope="module")
def sets(real: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Dataset]:
    return {name: dataset(*rows) for name, rows in real.items()}


@pytest.fixture(scope="module")
def fresh(sets: dict[str, Dataset]) -> Report:
    """Real rows in the place of the synthetic ones."""
    return evaluate(sets["fresh"], sets["train"], sets["holdout"], metrics=CHEAP)


CHEAP = (
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
)


@pytest.mark.parametrize("name", NAMES)
def test_metric_keeps_the_protocol(name: str) -> None:
    metric = METRICS.get(name)()
    assert isinstance(metric, Metric)
    assert METRICS.summary(name).endswith((".", "?"))
    for spec in metric.scores:
        assert spec.name.split(".")[0] == name
        assert all((spec.title, spec.meaning, spec.formula, spec.catches, spec.misses))
        low, high = spec.bounds
        if spec.ideal is not None:
            assert (low is None or low <= spec.ideal) and (high is None or spec.ideal <= high)


def test_parts_are_unique_so_that_short_names_work() -> None:
    parts = [spec.name.rpartition(".")[2] for name in NAMES for spec in METRICS.get(name)().scores]
    assert len(parts) == len(set(parts))


# --- axioms: small rows, every metric, every transformation that must not matter ---------------------------------------


def _small(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = simulate(rows, seed)
    return x[:, :80] + (x[:, :80].sum(axis=1, keepdims=True) == 0), y


def _scores(report: Report) -> dict[str, Any]:
    out = json.loads(report.model_dump_json())
    assert not out["failed"], out["failed"]
    for score in out["scores"].values():
        score.pop("seconds")
    return {"scores": out["scores"], "figures": out["figures"], "verdicts": out["verdicts"], "space": out["space"]}


@pytest.fixture(scope="module")
def axioms() -> dict[str, dict[str, Any]]:
    """The same three sets told twice alike, and once with everything told otherwise that must not matter."""
    rows = {"s": _small(4, 140), "t": _small(5, 140), "h": _small(6, 120)}
    rng = np.random.default_rng(0)
    genes = tuple(f"g{i:03d}" for i in range(80))

    def told(how: str) -> Report:
        made = []
        for x, y in rows.values():
            labels, names, dense = LABELS, genes, False
            if how == "otherwise":
                order = rng.permutation(len(x))
                x, y = x[order], y[order]
                order = rng.permutation(80)
                x, names = x[:, order], tuple(genes[i] for i in order)
                labels, y = LABELS[::-1], len(LABELS) - 1 - y
                dense = True
            made.append(dataset(x, y, labels=labels, genes=names, dense=dense))
        return evaluate(*made, metrics=FAST, n_max=100)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discriminator, "TREES", 8)
        patch.setattr("augmentor.evaluation.learners.TREES", 8)
        return {how: _scores(told(how)) for how in ("plain", "again", "otherwise")}


@pytest.mark.parametrize("how", ["again", "otherwise"])
@pytest.mark.parametrize("name", FAST)
def test_same_seed_and_order_of_rows_genes_categories_and_storage(
    axioms: dict[str, dict[str, Any]], name: str, how: str
) -> None:
    for spec in METRICS.get(name)().scores:
        assert axioms[how]["scores"][spec.name] == axioms["plain"]["scores"][spec.name]


def test_axioms_of_figures_and_verdicts(axioms: dict[str, dict[str, Any]]) -> None:
    assert all(told == axioms["plain"] for told in axioms.values())


def test_values_are_within_bounds_and_carry_their_references(axioms: dict[str, dict[str, Any]]) -> None:
    for name, score in axioms["plain"]["scores"].items():
        low, high = score["spec"]["bounds"]
        numbers = [score["value"], *score["floors"].values(), *(v["value"] for v in score["per_label"].values())]
        for value in (number for number in numbers if number is not None):
            assert np.isfinite(value), name
            assert (low is None or value >= low - 1e-9) and (high is None or value <= high + 1e-9), name
        if score["value"] is not None and name != "augmentation_gain":
            assert score["ceiling"] is not None, name


# --- controls -----------------------------------------------------------------------------------------------------------


def _outside(score: Any, ceiling: Any, *, by: float = 3.0) -> bool:
    sd = max(ceiling.sd, (score.interval.high - score.interval.low) / 4 if score.interval else 0.0)
    return abs(score.value - ceiling.mean) > by * sd


def test_fresh_rows_are_like_real(fresh: Report) -> None:
    assert not fresh.failed
    assert fresh.space["policy"] == "disjoint"
    for score in fresh.scores.values():
        assert not {"memorisation?", "sharpened?", "leak_or_copy", "under_dispersed", "attenuated"} & set(score.flags)
        if score.normalised is not None and score.spec.headline:
            assert score.normalised > 0.85, score.name
    assert fresh.verdicts["fidelity"].verdict in ("like real", "close")
    assert fresh.verdicts["privacy"].verdict.startswith("no leak")
    assert fresh["excess"].interval.low < 0 < fresh["excess"].interval.high  # type: ignore[union-attr]


def test_copies_are_a_leak_and_fidelity_cannot_see_it(sets: dict[str, Dataset]) -> None:
    report = evaluate(sets["train"], sets["train"], sets["holdout"], metrics=CHEAP)
    assert report["excess"].value == pytest.approx(1.0, abs=0.01)
    assert report["exact"].value == 1.0
    assert report.verdicts["privacy"].verdict == "leak found"
    assert report.verdicts["fidelity"].verdict in ("like real", "close")


def test_noisy_copies_are_a_leak(real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset]) -> None:
    x, y = real["train"]
    noisy = np.maximum(x + (np.random.default_rng(0).random(x.shape) < 0.01), 0)
    report = evaluate(dataset(noisy, y), sets["train"], sets["holdout"], metrics=("nearest_train", "duplicates"))
    assert report["excess"].value > 0.9 and report["near"].value > 0.9
    assert report["exact"].value < 0.1


def test_bootstrap_repeats_are_found(sets: dict[str, Dataset]) -> None:
    rows = np.random.default_rng(0).integers(0, 400, 400)
    report = evaluate(sets["train"].take(rows), sets["train"], sets["holdout"], metrics=("duplicates", "mmd"))
    assert report["inner"].value == pytest.approx(np.exp(-1), abs=0.06)
    assert report["mmd"].value is not None


def test_permuted_labels(real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset]) -> None:
    x, y = real["fresh"]
    wrong = dataset(x, np.random.default_rng(0).permutation(y))
    report = evaluate(wrong, sets["train"], sets["holdout"], metrics=("fold_change", "transfer"))
    assert abs(report["slope"].value) < 0.2
    assert "attenuated" in report["slope"].flags
    assert report["tstr"].value < 0.45 and report["tstr_ratio"].value < 0.5 and report["trts"].value < 0.45
    assert report["trtr"].value > 0.9
    assert report.verdicts["biology"].verdict == "poor" and report.verdicts["utility"].verdict == "poor"


def test_independent_genes(
    real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset], fresh: Report
) -> None:
    x, y = real["fresh"]
    broken = dataset(independent(x, y, np.random.default_rng(0)), y)
    report = evaluate(broken, sets["train"], sets["holdout"], metrics=CHEAP)
    assert abs(report["within"].value) < 0.1 * report["within"].ceiling.mean  # type: ignore[union-attr]
    assert report["pooled"].value > report["within"].value
    assert report["spread"].value < 0.5 and report["recall"].value < fresh["recall"].value
    assert not _outside(report["moments.mean"], fresh["moments.mean"].ceiling, by=5)
    assert report["fold_change.slope"].value == pytest.approx(fresh["fold_change.slope"].value, abs=0.15)
    assert report.verdicts["fidelity"].verdict in ("poor", "distinguishable")


def test_class_means(real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset]) -> None:
    x, y = real["fresh"]
    mean = np.stack([np.rint(x[y == code].mean(axis=0)) for code in range(len(LABELS))])
    report = evaluate(dataset(mean[y], y), sets["train"], sets["holdout"], metrics=CHEAP)
    assert report["moments.mean"].value > 0.8
    assert report["variance"].value < 0.05 and "under_dispersed" in report["variance"].flags
    assert report["row_auc"].per_label["A"].value < 0.1 or report["row_auc"].per_label["A"].value > 0.9
    # every row of a label is the same: no correlation within labels exists, and few rows differ
    assert report["within"].value is None and report["within"].skipped
    assert report["recall"].value is None or report["recall"].value < 0.3
    assert report["inner"].value > 0.9


def test_shrunk_rows(real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset]) -> None:
    x, y = real["fresh"]
    report = evaluate(dataset(shrunk(x, y), y), sets["train"], sets["holdout"], metrics=CHEAP)
    assert report["variance"].value < 0.7 and "under_dispersed" in report["variance"].flags
    assert report["recall"].normalised is None or report["recall"].value < 0.7
    assert report["precision"].value >= report["precision"].ceiling.mean - 0.02  # type: ignore[union-attr]
    assert report.verdicts["fidelity"].verdict in ("poor", "distinguishable")


def test_half_of_one_label_dropped(
    real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset], fresh: Report
) -> None:
    x, y = real["fresh"]
    rows = np.log1p(x[y == 0] / x[y == 0].sum(axis=1, keepdims=True) * 1000)
    side = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[0][:, 0] > 0
    kept = np.concatenate([np.flatnonzero(y == 0)[side], np.flatnonzero(y != 0)])
    chosen = ("precision_recall", "mmd", "label_balance")
    report = evaluate(dataset(x[kept], y[kept]), sets["train"], sets["holdout"], metrics=chosen)
    assert report["mmd"].worst[0] == "A"  # type: ignore[index]
    assert report["recall"].worst[0] == "A"  # type: ignore[index]
    assert report["recall"].per_label["A"].value < fresh["recall"].per_label["A"].value - 0.1  # type: ignore[operator]
    assert report["label_balance"].value > 0.05


def test_a_lost_label_is_a_red_line(sets: dict[str, Dataset]) -> None:
    some = sets["fresh"].take(np.flatnonzero(sets["fresh"].codes[:, 0] != 2))
    report = evaluate(some, sets["train"], sets["holdout"], metrics=("label_balance", "transfer", "precision_recall"))
    assert report["label_balance"].detail["missing"] == ["C"]
    assert report.verdicts["fidelity"].verdict == "poor" and "C" in report.verdicts["fidelity"].sentence
    assert report["tstr"].per_label["C"].value == 0.0
    assert report["tstr"].value < 0.8
    assert "missing_labels" in {item.code for item in report.warnings}


def test_library_size_collapsed(
    real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset], fresh: Report
) -> None:
    x, y = real["fresh"]
    flat = dataset(same_size(x, np.random.default_rng(0)), y)
    report = evaluate(flat, sets["train"], sets["holdout"], metrics=("library_size", "zeros", "fold_change"))
    assert report["spread"].value < 0.1 and report["shape"].value > 0.3
    assert _outside(report["row_ks"], fresh["row_ks"].ceiling)
    assert report["fold_change.slope"].value == pytest.approx(1.0, abs=0.15)


@pytest.fixture
def small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discriminator, "TREES", 40)


# --- the detector --------------------------------------------------------------------------------------------------------


def _frame(sets: dict[str, Dataset], synthetic: Dataset, n_max: int = 240) -> Frame:
    return Frame(align(synthetic, sets["train"], sets["holdout"]), seed=0, n_max=n_max)


def _aucs(pair: Pair) -> dict[str, float | None]:
    return {name.rpartition(".")[2]: item.value for name, item in discriminator.Metric().measure(pair).items()}


@pytest.mark.usefixtures("small_forests")
def test_detector_is_blind_to_real_rows(sets: dict[str, Dataset]) -> None:
    frame = _frame(sets, sets["fresh"])
    found = [_aucs(frame.pair("matched", arm, fold)) for arm, fold in (("synthetic", 0), ("ceiling", 1))]
    for name in ("rf_genes", "rf_pcs", "lr_genes", "lr_pcs"):
        assert np.mean([aucs[name] for aucs in found if aucs[name] is not None]) == pytest.approx(0.5, abs=0.06)


@pytest.mark.usefixtures("small_forests")
def test_detector_sees_lost_dependence_only_as_a_forest(sets: dict[str, Dataset]) -> None:
    aucs = _aucs(_frame(sets, sets["fresh"]).pair("matched", "independent", 0))
    assert aucs["rf_pcs"] > 0.65  # type: ignore[operator]
    assert aucs["lr_pcs"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.usefixtures("small_forests")
def test_detector_reports_anti_learning_raw(sets: dict[str, Dataset]) -> None:
    """Known defect 9: rows made from the very rows they are compared with score below one half, and are flagged so."""
    frame = _frame(sets, sets["fresh"])
    pair = frame.pair("matched", "synthetic", 0)
    x = as_dense(pair.real.sample.x).copy()
    x[:, 0] += 1
    twins = align(dataset(x, pair.real.y), sets["train"], sets["holdout"]).synthetic
    made = Pair("synthetic", Side(twins, pair.basis), pair.real, pair.labels, pair.genes, pair.stream)
    assert _aucs(made)["rf_genes"] < 0.4  # type: ignore[operator]


@pytest.mark.usefixtures("small_forests")
def test_defect_13_a_space_fitted_on_train_betrays_real_rows(sets: dict[str, Dataset]) -> None:
    frame = _frame(sets, sets["train"], n_max=400)
    pair = frame.pair("matched", "ceiling", 0)
    assert _aucs(pair)["rf_pcs"] == pytest.approx(0.5, abs=0.12)
    bad = Basis.fitted(pair.synthetic.sample, Space.COUNTS, pair.basis.target)
    sides = Side(pair.synthetic.sample, bad), Side(pair.real.sample, bad)
    assert _aucs(Pair("ceiling", *sides, pair.labels, pair.genes, pair.stream))["rf_pcs"] > 0.62  # type: ignore[operator]


@pytest.mark.usefixtures("small_forests")
def test_symmetric_policy_is_blind_to_real_rows_too(sets: dict[str, Dataset]) -> None:
    few = sets["holdout"].take(np.arange(160))
    frame = Frame(align(sets["fresh"], sets["train"], few), seed=0, n_max=2000)
    assert frame.policy == "symmetric"
    found = [_aucs(frame.pair("matched", "ceiling", 0, draw))["rf_pcs"] for draw in range(2)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)  # type: ignore[arg-type]


# --- known defects of the field, and refusals ------------------------------------------------------------------------------


def test_defect_1_a_shift_of_all_sets_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(160) % 4
    rows = [rng.normal(size=(160, 40)) + y[:, None] for _ in range(3)]

    def told(shift: float) -> Report:
        made = [dataset(x + shift, y, space=Space.CONTINUOUS, dense=True) for x in rows]
        return evaluate(*made, metrics=("mmd", "precision_recall"))

    before, after = told(0.0), told(5.0)
    for name, score in before.scores.items():
        assert after.scores[name].value == pytest.approx(score.value, abs=1e-4)


def test_defect_8_rows_are_normalised_by_their_own_totals(
    real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset], fresh: Report
) -> None:
    x, y = real["fresh"]
    report = evaluate(dataset(2 * x, y), sets["train"], sets["holdout"], metrics=("moments", "library_size", "mmd"))
    # other values have other hashes and hence other draws: equal up to the draw
    assert report["moments.mean"].value == pytest.approx(fresh["moments.mean"].value, abs=0.01)
    assert report["variance"].value == pytest.approx(fresh["variance"].value, abs=0.06)
    assert report["shift"].value == pytest.approx(np.log(2), abs=0.1)


def test_defect_10_training_rows_as_holdout_are_refused(sets: dict[str, Dataset]) -> None:
    with pytest.raises(DataError, match="400 of 400 held-out rows are also training rows"):
        evaluate(sets["fresh"], sets["train"], sets["train"], metrics=("validity",))
    report = evaluate(sets["fresh"], sets["train"], sets["train"], metrics=("validity",), allow_overlap=True)
    assert "overlap" in {item.code for item in report.warnings}


def test_defect_25_columns_are_paired_by_name(sets: dict[str, Dataset]) -> None:
    fewer = sets["fresh"].select(list(range(1, GENES)))
    with pytest.raises(SchemaMismatch, match=r"synthetic lacks 1 of 600 features \(g000\)"):
        evaluate(fewer, sets["train"], sets["holdout"])


def test_labels_are_matched_as_strings(
    real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset]
) -> None:
    x, y = real["fresh"]
    strange = dataset(x, y, labels=("W", "X", "Y", "Z"))
    with pytest.raises(LabelError, match="none of the 400 synthetic rows has a value of 'type'"):
        evaluate(strange, sets["train"], sets["holdout"])
    partly = dataset(x, y, labels=("A", "B", "C", "Z"))
    report = evaluate(partly, sets["train"], sets["holdout"], metrics=("label_balance",))
    assert report.data["synthetic"].labels["Z"] == 100
    assert "unknown_labels" in {item.code for item in report.warnings}


def test_other_spaces_and_settings_are_refused(
    real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset]
) -> None:
    x, y = real["fresh"]
    with pytest.raises(SchemaMismatch, match="space 'continuous'"):
        evaluate(dataset(x, y, space=Space.CONTINUOUS), sets["train"], sets["holdout"])
    with pytest.raises(ConfigError, match=r"Did you mean 'moments'"):
        evaluate(sets["fresh"], sets["train"], sets["holdout"], metrics=("moment",))
    with pytest.raises(ConfigError, match="n_max"):
        evaluate(sets["fresh"], sets["train"], sets["holdout"], n_max=3)


def test_without_holdout_nothing_is_certain(sets: dict[str, Dataset]) -> None:
    report = evaluate(sets["fresh"], sets["train"], metrics=("moments", "transfer", "nearest_train"))
    assert report.warnings[0].code == "no_holdout"
    assert report.space["policy"] == "halves"
    assert report["tstr"].skipped == "needs held-out rows" and report["excess"].skipped == "needs held-out rows"
    assert "no_holdout" in report["variance"].flags
    assert {item.verdict for item in report.verdicts.values()} == {"not available"}


def test_a_metric_that_raises_is_recorded(sets: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch) -> None:
    from augmentor.evaluation.metrics import validity

    def broken(self: object, pair: Pair) -> None:
        raise ValueError("on purpose")

    monkeypatch.setattr(validity.Metric, "measure", broken)
    report = evaluate(sets["fresh"], sets["train"], sets["holdout"], metrics=("validity", "label_balance"))
    assert [(item.metric, item.error) for item in report.failed] == [("validity", "ValueError: on purpose")]
    assert report["label_balance"].value == 0.0


def test_a_spent_budget_skips_by_name(sets: dict[str, Dataset]) -> None:
    report = evaluate(sets["fresh"], sets["train"], sets["holdout"], metrics=("validity",), budget=0.0)
    assert report["validity"].skipped == "time budget"


def test_plan_replaces_the_real_frequencies(sets: dict[str, Dataset]) -> None:
    some = sets["fresh"].take(np.flatnonzero(sets["fresh"].codes[:, 0] == 0))
    report = evaluate(some, sets["train"], sets["holdout"], metrics=("label_balance",), plan={"A": 100})
    assert report["label_balance"].value == 0.0 and report["label_balance"].detail["reference"] == "plan"


def test_groups_stay_on_one_side(real: dict[str, tuple[np.ndarray, np.ndarray]], sets: dict[str, Dataset]) -> None:
    x, y = real["holdout"]
    patients = np.array([f"p{i}" for i in np.random.default_rng(0).integers(0, 12, len(y))], dtype=object)
    frame = Frame(align(sets["fresh"], sets["train"], dataset(x, y, groups=patients)), seed=0, n_max=2000)
    for fold in frame.folds("matched"):
        assert fold.fit is not None
        assert not set(fold.fit.groups) & set(fold.score.groups)  # type: ignore[arg-type]


@pytest.mark.slow
def test_umap_overlap(sets: dict[str, Dataset], real: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    x, y = real["fresh"]
    good = evaluate(sets["fresh"], sets["train"], sets["holdout"], metrics="embedding_overlap")
    swapped = dataset(x, np.where(y == 0, 1, np.where(y == 1, 0, y)))
    bad = evaluate(swapped, sets["train"], sets["holdout"], metrics="embedding_overlap")
    score = good["embedding_overlap"]
    assert not good.failed and score.value == pytest.approx(score.ceiling.mean, abs=0.06)  # type: ignore[union-attr]
    assert bad["embedding_overlap"].per_label["A"].value < 0.3 < score.per_label["A"].value  # type: ignore[operator]
    figure = good.figures["umap"]
    assert len({len(figure[key]) for key in ("x", "y", "label", "origin")}) == 1
    assert set(figure["origin"]) == {"real", "synthetic"} and set(figure["label"]) == set(LABELS)
