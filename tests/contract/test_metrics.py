"""What every metric must keep: the protocol and the axioms; and what an evaluation refuses.

What each score must catch, stay silent about and not see is in test_controls.py; defects seen elsewhere are in
test_known_defects.py. The battery takes every registered metric: a new file is tested without an edit here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from factor_rows import LABELS, dataset, independent, simulate
from scipy.stats import spearmanr

from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.errors import ConfigError, DataError, LabelError, SchemaMismatch
from augmentor.core.registry import METRICS
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation import assemble
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Metric
from augmentor.evaluation.metrics import discriminator
from augmentor.evaluation.pair import Asked, Pair, Side
from augmentor.evaluation.rows import Sample, align, hashed
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Report, ScoreSpec

NAMES = METRICS.names()
# UMAP compiles for ten seconds, and effects of covariates need rows that have some; both have tests of their own.
FAST = [name for name in NAMES if name not in ("embedding_overlap", "covariate_effect")]
# Metrics of mixed tables are tested on a mixed table, all others on counts.
TABLES = [name for name in FAST if Space.COUNTS not in METRICS.get(name).setup.spaces]
MATRICES = [name for name in FAST if name not in TABLES]
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
SETS = {f"g{20 * i:03d}": tuple(f"g{j:03d}" for j in range(20 * i, 20 * i + 20)) for i in range(4)}


@pytest.fixture(scope="module", autouse=True)
def _cheaper() -> Iterator[None]:
    """Axioms hold for few draws and small forests as for many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assemble, "FULL_HALVES", 2)
        patch.setattr(assemble, "BOOTSTRAPS", 4)
        patch.setattr(discriminator, "TREES", 8)
        patch.setattr(discriminator, "BOOSTED_TREES", 5)
        patch.setattr("augmentor.evaluation.learners.TREES", 8)
        yield


@pytest.fixture(scope="module")
def real() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """T, H and fresh rows of one law."""
    return {"train": simulate(400, 1), "holdout": simulate(400, 2), "fresh": simulate(400, 3)}


@pytest.fixture(scope="module")
def sets(real: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Dataset]:
    return {name: dataset(*rows) for name, rows in real.items()}


def _specs(names: list[str]) -> list[ScoreSpec]:
    return [spec for name in names for spec in METRICS.get(name)().scores]


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


def _table(x: np.ndarray, y: np.ndarray, order: list[int], levels: tuple[str, ...], labels: tuple[str, ...]) -> Dataset:
    """Six columns: a number, a whole number, two with gaps, a sum that depends on others, and a category."""
    total = x[:, :3].sum(axis=1)
    kind = np.array([levels.index(("low", "middle", "high")[code]) for code in np.searchsorted([2.5, 6.5], total)])
    gaps = [np.where(x[:, 2] > cut, np.nan, np.log1p(x[:, column])) for column, cut in ((2, 1), (3, 2))]
    values = np.column_stack([np.log1p(x[:, 0]), x[:, 1], *gaps, np.log1p(total), kind])
    schema = Schema(
        space=Space.MIXED,
        features=tuple(("a", "b", "c", "d", "e", "kind")[j] for j in order),
        labels=(LabelColumn(name="type", categories=labels),),
        levels=tuple(levels if j == 5 else None for j in order),
    )
    return Dataset.checked(values[:, order], schema, y[:, None].astype(np.int32))


def _scores(report: Report) -> dict[str, Any]:
    out = json.loads(report.model_dump_json())
    for score in out["scores"].values():
        score.pop("seconds")
    return {
        "scores": out["scores"],
        "figures": out["figures"],
        "verdicts": out["verdicts"],
        "space": out["space"],
        "failed": out["failed"],
    }


ROWS = {"s": (4, 140), "t": (5, 140), "h": (6, 120)}


def _told(how: str, names: list[str], tables: bool = False) -> dict[str, Any]:
    """Evaluate three sets, told plainly or with everything otherwise that must not matter: order, storage, precision."""
    rng = np.random.default_rng(0)
    genes = tuple(f"g{i:03d}" for i in range(80))
    made = []
    for seed, rows in ROWS.values():
        x, y = _small(seed, rows)
        labels, features, dense, order, levels = LABELS, genes, False, list(range(6)), ("low", "middle", "high")
        if how == "otherwise":
            shuffled = rng.permutation(len(x))
            x, y = x[shuffled], y[shuffled]
            labels, y = LABELS[::-1], len(LABELS) - 1 - y
            order, levels = [5, 3, 1, 0, 2, 4], ("high", "low", "middle")
            if not tables:
                columns = rng.permutation(80)
                x, features, dense = x[:, columns].astype(np.float64), tuple(genes[i] for i in columns), True
        made.append(
            _table(x, y, order, levels, labels) if tables else dataset(x, y, labels=labels, genes=features, dense=dense)
        )
    return _scores(evaluate(*made, metrics=names, n_max=100, full=True, gene_sets=SETS))


@pytest.fixture(scope="module")
def axioms() -> dict[str, dict[str, Any]]:
    """All metrics together, told plainly, again, and otherwise."""
    out = {}
    for how in ("plain", "again", "otherwise"):
        found = _told(how, MATRICES), _told(how, TABLES, tables=True) if TABLES else {"scores": {}, "failed": []}
        out[how] = found[0] | {
            key: found[0][key] + found[1][key] if key == "failed" else found[0][key] | found[1][key]
            for key in ("scores", "failed")
        }
    return out


@pytest.mark.parametrize("how", ["again", "otherwise"])
@pytest.mark.parametrize("name", FAST)
def test_same_seed_and_order_of_rows_genes_categories_and_storage(
    axioms: dict[str, dict[str, Any]], name: str, how: str
) -> None:
    assert name not in {item["metric"] for item in axioms[how]["failed"]}, axioms[how]["failed"]
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
        if score["value"] is not None and METRICS.get(name.partition(".")[0]).setup.draws:
            assert score["ceiling"] is not None, name


@pytest.mark.parametrize("name", FAST)
def test_a_metric_does_not_depend_on_its_company(axioms: dict[str, dict[str, Any]], name: str) -> None:
    alone = _told("plain", [name], tables=name in TABLES)["scores"]
    for spec in METRICS.get(name)().scores:
        # flags may: what copying explains is known only where copying is measured
        mine, ours = (
            {k: v for k, v in told[spec.name].items() if k != "flags"} for told in (alone, axioms["plain"]["scores"])
        )
        assert mine == ours


# --- axioms: rows against themselves ------------------------------------------------------------------------------------

# What rows score against themselves where that is not the ideal: (low, high).
SELF = {
    # k(x, x) = 1 enters the cross term only, so that the unbiased estimate is below 0
    "mmd": (-0.1, 0.0),
    # every row has its twin at distance 0 beside its share of neighbours
    "mixing.synthetic": (1.0, 1.6),
    "mixing.real": (1.0, 1.6),
    "mixing.lisi": (1.7, 2.0),
    "precision_recall.density": (1.0, 1.6),
    "neighbors_adversarial.aa_real": (0.0, 0.0),
    "neighbors_adversarial.aa_synthetic": (0.0, 0.0),
    "hubness.skewness": (-1.0, 2.0),
    "hubness.orphans": (0.0, 0.2),
    # a label's own neighbours only
    "mixing.label_lisi": (1.0, 1.5),
    # nu over rho is below 1 where a row's nearest row is itself
    "divergence.latent": (-5.0, 0.1),
    # rows of H are far from T: the opposite of copies
    "nearest_train.excess": (-3.0, -0.5),
    "nearest_train.ratio": (0.9, 1.1),
    "duplicates.near": (-0.05, 0.05),
    "membership.gan_leaks": (0.0, 0.05),
    "membership.gan_leaks_tpr": (0.0, 0.05),
    "membership.calibrated": (0.0, 0.3),
    "membership.monte_carlo": (0.0, 0.3),
    "membership.domias": (0.0, 0.3),
    # trained on the rows that it is tested on
    "transfer.tstr": (0.95, 1.0),
    "transfer.tstr_ratio": (0.95, 1.6),
    "transfer.trtr": (0.8, 1.0),
    "transfer.trts": (0.8, 1.0),
    "augmentation_gain": (-0.05, 0.3),
    "modules.z_density": (-5.0, 100.0),
    "modules.z_connectivity": (-5.0, 100.0),
}
# Where rows against themselves have no number, and why.
NO_SELF = {"learning_curve.replaces", "learning_curve.worth", "learning_curve.gain"}


class Bench:
    """Pairs of a frame with other rows in the place of S."""

    def __init__(self, sets: dict[str, Dataset]):
        self.frame = Frame(
            align(sets["fresh"], sets["train"], sets["holdout"]),
            seed=0,
            n_max=400,
            asked=Asked(full=True, gene_sets=SETS),
        )

    def pair(self, name: str, sample: Sample | None = None) -> Pair:
        made = self.frame.pair(METRICS.get(name).setup.rows, "synthetic", 0)
        return made if sample is None else replace(made, synthetic=Side(sample, made.basis))


@pytest.fixture(scope="module")
def benches() -> dict[bool, Bench]:
    rows = {name: simulate(800, seed) for name, seed in (("fresh", 3), ("train", 1), ("holdout", 2))}
    tables = {name: _table(*some, list(range(6)), ("low", "middle", "high"), LABELS) for name, some in rows.items()}
    return {False: Bench({name: dataset(*some) for name, some in rows.items()}), True: Bench(tables)}


@pytest.mark.parametrize("name", FAST)
def test_rows_against_themselves(benches: dict[bool, Bench], name: str) -> None:
    bench = benches[name in TABLES]
    pair = bench.pair(name)
    measured = METRICS.get(name)().measure(replace(pair, synthetic=Side(pair.real.sample, pair.basis)))
    for spec in METRICS.get(name)().scores:
        value = measured[spec.name].value
        if spec.name in NO_SELF:
            continue
        assert value is not None, f"{spec.name}: {measured[spec.name].reason}"
        low, high = spec.bounds
        ideal = spec.ideal if spec.ideal is not None else high if spec.goal == "maximize" else low
        if spec.name in SELF:
            assert SELF[spec.name][0] - 1e-9 <= value <= SELF[spec.name][1] + 1e-9, f"{spec.name}: {value}"
        elif ideal is not None:
            assert value == pytest.approx(ideal, abs=2e-4), spec.name


# --- axioms: the more of the floor, the worse ---------------------------------------------------------------------------

GRADES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Floors that are as good as real rows on this law (`uninformative_here`): METRICS.md's blind spots, not graded.
UNGRADED = {
    # crowding rewards what lost its dependence as much as what is real
    "precision_recall.density",
    "precision_recall.precision",
    "hubness.skewness",
    "hubness.orphans",
    # a linear detector does not see lost dependence
    "discriminator.lr_genes",
    "discriminator.lr_pcs",
    # real rows look for neighbours among hubs as they do among real rows: METRICS.md's one-sided value
    "mixing.real",
    # scores of sets of 20 genes hardly feel that these lost their dependence
    "gene_sets.set_w1",
    # the few links that are left are true ones, and the floor has none
    "coexpression.edge_precision",
    # factors are not modules
    "modules.kme",
    "modules.z_density",
    "modules.z_connectivity",
}


def _graded(sample: Sample, floor: str, share: float) -> Sample:
    """Replace a share of the rows by those of the floor: genes shuffled within label, labels permuted, label means."""
    rng = np.random.default_rng(0)
    x, y = as_dense(sample.x), sample.y
    broken = rng.permutation(len(y))[: round(share * len(y))]
    if floor == "permuted":
        y = y.copy()
        y[broken] = rng.permutation(y[broken])
        return replace(sample, y=y)
    means = np.stack([x[y == code].mean(axis=0) for code in range(len(LABELS))])
    x = x.copy()
    x[broken] = (independent(as_dense(sample.x), y, rng) if floor == "independent" else means[y])[broken]
    return Sample(x, y, hashed(x), row_sums(x))


@pytest.mark.parametrize("spec", [spec for spec in _specs(MATRICES) if spec.floor], ids=lambda spec: spec.name)
def test_more_of_the_floor_is_worse(
    benches: dict[bool, Bench], graded: dict[tuple[str, str], Any], spec: ScoreSpec
) -> None:
    if spec.name in UNGRADED:
        assert spec.misses
        return
    name = spec.name.partition(".")[0]
    key = (name, str(spec.floor))
    if key not in graded:
        pair = benches[False].pair(name)
        metric = METRICS.get(name)()
        rows = [_graded(pair.synthetic.sample, str(spec.floor), share) for share in GRADES]
        graded[key] = [metric.measure(replace(pair, synthetic=Side(sample, pair.basis))) for sample in rows]
    values = [measured[spec.name].value for measured in graded[key]]
    # close to the floor there may be no number: nothing varies in rows that are all alike
    present = np.array([value for value in values if value is not None])
    assert len(present) > 1 and None not in values[: len(present)]
    worse = {"maximize": -present, "minimize": present, "target": np.abs(present - (spec.ideal or 0.0))}[spec.goal]
    # what has reached its worst value stays there: ties cost Spearman's rho, not the order
    assert (np.diff(worse) >= 0).all() or spearmanr(np.arange(len(worse)), worse).statistic > 0.9 - 1e-9, present


@pytest.fixture(scope="module")
def graded() -> dict[tuple[str, str], Any]:
    return {}


# --- axioms: odd data gives a number or a reason, and no warning (warnings are errors) ----------------------------------


def _odd(case: str) -> list[Dataset]:
    out = []
    for seed in (4, 5, 6):
        x, y = _small(seed, 60)
        if case == "one gene":
            x = x[:, :1] + 1
        elif case == "constant and empty genes":
            x[:, 3], x[:, 7] = 5.0, 0.0
        else:
            # labels with one and with two rows
            keep = np.concatenate([np.flatnonzero(y < 2), np.flatnonzero(y == 2)[:1], np.flatnonzero(y == 3)[:2]])
            x, y = x[keep], y[keep]
        out.append(dataset(x, y))
    return out


ODD = ("one gene", "constant and empty genes", "labels of one and two rows")


@pytest.fixture(scope="module")
def odd() -> dict[str, Report]:
    return {case: evaluate(*_odd(case), metrics=FAST, full=True, gene_sets=SETS, allow_overlap=True) for case in ODD}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("name", FAST)
def test_odd_data_gives_a_number_or_a_reason(odd: dict[str, Report], name: str, case: str) -> None:
    assert name not in {item.metric for item in odd[case].failed}, odd[case].failed
    for spec in METRICS.get(name)().scores:
        score = odd[case].scores[spec.name]
        assert (score.value is None) == bool(score.skipped)
        assert score.value is None or np.isfinite(score.value)


def test_missing_values_are_refused_by_name() -> None:
    x, y = _small(4, 60)
    x[7, 5] = np.nan
    with pytest.raises(DataError, match=r"1 NaN in 1 features \(first: g005\)"):
        dataset(x, y, dense=True)


# --- reports, refusals --------------------------------------------------------------------------------------------------


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


def test_fresh_rows_are_like_real(sets: dict[str, Dataset]) -> None:
    fresh = evaluate(sets["fresh"], sets["train"], sets["holdout"], metrics=CHEAP)
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
