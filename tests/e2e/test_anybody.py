"""Synthetic rows that we did not make: two files, nothing else, in whatever shape their author left them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from commanding import Augment
from scipy import sparse

from augmentor import Augmentor, evaluate
from augmentor.core.errors import DataError, LabelError, Refused, SchemaMismatch
from augmentor.evaluation.score import Report

Change = Callable[[anndata.AnnData], anndata.AnnData]
Judge = Callable[..., Report]


@pytest.fixture(scope="module")
def halves(small: anndata.AnnData) -> tuple[anndata.AnnData, anndata.AnnData]:
    """Real cells of one experiment in two files: those of `real.h5ad`, and others that stand for a good generator's."""
    order = np.random.default_rng(0).permutation(small.n_obs)
    parts = [small[np.sort(order[start::2])].copy() for start in (0, 1)]
    for name, part in zip(("real", "made"), parts, strict=True):
        part.obs = part.obs[["celltype"]].copy()
        part.obs_names = [f"{name} {i}" for i in range(part.n_obs)]
        for layer in list(part.layers):
            del part.layers[layer]
        part.raw = None
    return parts[0], parts[1]


@pytest.fixture
def judge(halves: tuple[anndata.AnnData, anndata.AnnData], here: Path) -> Judge:
    """Write both files, changed as asked, and evaluate one against the other."""

    def run(change: Change = lambda a: a, real: Change = lambda a: a, *, csv: bool = False, **how: Any) -> Report:
        real(halves[0].copy()).write_h5ad(here / "real.h5ad")
        made = change(halves[1].copy())
        if csv:
            made.to_df().join(made.obs).to_csv(here / "made.csv")
        else:
            made.write_h5ad(here / "made.h5ad")
        settings = {"real": "real.h5ad", "label": "celltype", "metrics": ["moments", "duplicates"], **how}
        return evaluate("made.csv" if csv else "made.h5ad", **settings)

    return run


def values(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Replace X by what ``change`` makes of it, dense."""

    def run(a: anndata.AnnData) -> anndata.AnnData:
        x = a.X.toarray() if sparse.issparse(a.X) else a.X
        a.X = change(x.astype(np.float64)).astype(np.float32)
        return a

    return run


def normalised(total: float) -> Change:
    return values(lambda x: x / x.sum(axis=1, keepdims=True) * total)


def logged(total: float = 1e4) -> Change:
    return values(lambda x: np.log1p(x / x.sum(axis=1, keepdims=True) * total))


z_scored = values(lambda x: (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1))


def codes(report: Report) -> set[str]:
    return {warning.code for warning in report.warnings}


# --- what differs in form only ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(halves: tuple[anndata.AnnData, anndata.AnnData]) -> dict[str, Any]:
    real, made = halves
    return numbers(evaluate(made, real=real, label="celltype", metrics=["moments", "duplicates"]))


def numbers(report: Report) -> dict[str, Any]:
    return {name: (score.value, score.floors, score.interval) for name, score in report.scores.items()}


def text_labels(a: anndata.AnnData) -> anndata.AnnData:
    a.obs["celltype"] = a.obs["celltype"].astype(str).to_numpy(dtype=object)
    return a


def other_order_of_categories(a: anndata.AnnData) -> anndata.AnnData:
    names = list(a.obs["celltype"].cat.categories)
    a.obs["celltype"] = a.obs["celltype"].cat.reorder_categories(names[::-1])
    return a


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a[:, ::-1].copy(),
        lambda a: a[::-1].copy(),
        values(lambda x: x),
        values(lambda x: np.expm1(np.log1p(x).astype(np.float32))),
        text_labels,
        other_order_of_categories,
    ],
    ids=["genes", "rows", "dense", "nearly whole", "text labels", "categories"],
)
def test_form_changes_nothing(judge: Judge, plain: dict[str, Any], change: Change) -> None:
    assert numbers(judge(change)) == plain


def test_a_table_is_as_good_as_an_anndata(judge: Judge, plain: dict[str, Any]) -> None:
    assert numbers(judge(csv=True)) == plain


def test_labels_of_another_name_and_type(judge: Judge) -> None:
    def numbered(a: anndata.AnnData) -> anndata.AnnData:
        a.obs["celltype"] = a.obs["celltype"].cat.codes.to_numpy().astype(np.int64)
        return a

    def elsewhere(a: anndata.AnnData) -> anndata.AnnData:
        a.obs["cell_type"] = numbered(a).obs["celltype"].astype(float)
        del a.obs["celltype"]
        return a

    with pytest.raises(LabelError, match=r"--synthetic-label 'celltype' is not a column .* Did you mean 'cell_type'\?"):
        judge(elsewhere, numbered)
    report = judge(elsewhere, numbered, synthetic_label="cell_type")
    assert report.label == "celltype" and report.data["synthetic"].labels.keys() == {"0", "1", "2"}
    assert "unknown_labels" not in codes(report)


def test_without_labels_rows_are_judged_as_one(judge: Judge) -> None:
    def bare(a: anndata.AnnData) -> anndata.AnnData:
        a.obs = a.obs[[]]
        return a

    with pytest.raises(LabelError, match="Without --label, all rows are judged as one"):
        judge(bare)
    assert judge(bare, label=None)["moments.mean"].value > 0.9


# --- genes --------------------------------------------------------------------------------------------------------------


def renamed(rule: Callable[[str], str]) -> Change:
    def run(a: anndata.AnnData) -> anndata.AnnData:
        a.var_names = [rule(name) for name in a.var_names]
        return a

    return run


def test_missing_genes_are_named_and_judged_without_only_when_asked(judge: Judge) -> None:
    def fewer(a: anndata.AnnData) -> anndata.AnnData:
        return a[:, 5:].copy()

    with pytest.raises(
        SchemaMismatch, match=r"made.h5ad lacks 5 of 120 features of real.h5ad \(.+, .+\).*--common-genes"
    ):
        judge(fewer)
    report = judge(fewer, common_genes=True)
    assert report.data["synthetic"].genes == report.data["train"].genes == 115
    (warning,) = [warning for warning in report.warnings if warning.code == "genes"]
    assert "115 features in common" in warning.text and "lacks 5 of 120" in warning.text
    # and the other way round
    with pytest.raises(SchemaMismatch, match=r"made\.h5ad has 5 features that real.h5ad lacks"):
        judge(real=fewer)
    assert judge(real=fewer, common_genes=True).data["synthetic"].genes == 115


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (str.lower, "if case is ignored"),
        (lambda n: f"{n}.7", "version numbers"),
        (lambda n: f"id {n}", "Name features"),
    ],
)
def test_other_names_are_refused_even_if_common_genes_are_asked_for(
    judge: Judge, rule: Callable[[str], str], said: str
) -> None:
    with pytest.raises(SchemaMismatch, match=rf"share 0 of 120 features.*{said}"):
        judge(renamed(rule), renamed(lambda n: n.split(".")[0]), common_genes=True)


# --- units --------------------------------------------------------------------------------------------------------------

COUNTS = r"real.h5ad holds counts \(whole numbers up to [\d,]+\)"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (logged(), "log1p of values normalised to 10,000 a row"),
        (normalised(1e6), "values normalised to 1,000,000 a row, not logged"),
        (z_scored, "z-scores from -"),
        (values(lambda x: (x + x[::-1]) / 2 + 0.1), "fractional values .* --space continuous"),
    ],
    ids=["log", "cpm", "z", "means"],
)
def test_other_units_than_counts_are_refused_in_one_sentence(judge: Judge, change: Change, said: str) -> None:
    with pytest.raises(SchemaMismatch, match=rf"made.h5ad holds {said.split(' .* ')[0]}.*but {COUNTS}") as refused:
        judge(change)
    assert said.split(" .* ")[-1] in str(refused.value)


def test_two_kinds_of_log_and_two_kinds_of_scale(judge: Judge) -> None:
    with pytest.raises(SchemaMismatch, match=r"1,000,000 a row, but .* 10,000 a row. Normalise both to the same"):
        judge(logged(1e6), logged())
    with pytest.raises(SchemaMismatch, match=r"made.h5ad holds counts .* but real.h5ad holds log1p"):
        judge(real=logged())
    with pytest.raises(SchemaMismatch, match=r"made.h5ad holds log1p .* but real.h5ad holds z-scores"):
        judge(logged(), z_scored)
    assert judge(z_scored, z_scored)["moments.mean"].value > 0.5
    # a generator without a single zero, in the unit of the real rows, is judged and not refused
    assert judge(lambda a: values(lambda x: x * 0.9 + 0.05)(logged()(a)), logged())["moments.mean"].value > 0.9


def test_the_space_that_is_asked_for_is_taken(judge: Judge) -> None:
    report = judge(values(lambda x: (x + x[::-1]) / 2 + 0.1), space="continuous")
    assert report.space["kind"] == "continuous"


def test_a_better_layer_is_named_as_an_option_of_the_synthetic_file(judge: Judge) -> None:
    def layered(a: anndata.AnnData) -> anndata.AnnData:
        counts = a.X.copy()
        a = logged()(a)
        a.layers["counts"] = counts
        return a

    with pytest.raises(
        SchemaMismatch, match=r"made.h5ad also holds counts in layers\['counts'\]; --synthetic-layer counts"
    ):
        judge(layered)
    assert judge(layered, synthetic_layer="counts")["moments.mean"].value > 0.9


def test_another_depth_is_judged_with_a_warning(judge: Judge) -> None:
    (warning,) = [w for w in judge(values(lambda x: x * 10)).warnings if w.code == "scale"]
    assert "times the real ones" in warning.text
    assert "scale" not in codes(judge())


# --- roles --------------------------------------------------------------------------------------------------------------


def flagged(a: anndata.AnnData) -> anndata.AnnData:
    a.obs["synthetic"] = True
    return a


def test_swapped_files_are_noticed(judge: Judge, fitted: Path, small: anndata.AnnData, here: Path) -> None:
    with pytest.raises(
        DataError, match=r"real\.h5ad was given as real, but all 200 of its rows are flagged synthetic.*swap"
    ):
        judge(real=flagged)
    Augmentor.load(fitted / "model.augment").write("ours.h5ad", 60)
    ours = anndata.read_h5ad("ours.h5ad")
    del ours.obs["synthetic"]
    ours.write_h5ad("unflagged.h5ad")
    with pytest.raises(DataError, match=r"unflagged\.h5ad was given as real, but says of itself that a model wrote it"):
        evaluate(small, real="unflagged.h5ad", label="celltype", metrics=["moments"])


def test_of_a_balanced_file_only_the_synthetic_rows_are_judged(
    judge: Judge, halves: tuple[anndata.AnnData, anndata.AnnData], plain: dict[str, Any]
) -> None:
    def balanced(a: anndata.AnnData) -> anndata.AnnData:
        both = anndata.concat([halves[0], a])
        both.obs["synthetic"] = np.repeat([False, True], [halves[0].n_obs, a.n_obs])
        both.obs["celltype"] = both.obs["celltype"].astype("category")
        return both

    report = judge(balanced)
    assert numbers(report) == plain and "flagged_rows" in codes(report)
    with pytest.raises(DataError, match=r"200 of 400 of its rows are flagged synthetic.*real rows only"):
        judge(real=lambda _: balanced(halves[1].copy()))


def test_copies_are_called_copies_even_without_held_out_rows(
    judge: Judge, halves: tuple[anndata.AnnData, anndata.AnnData]
) -> None:
    report = judge(lambda a: halves[0].copy())
    (warning,) = [w for w in report.warnings if w.code == "copies"]
    assert "200 of 200 synthetic rows are training rows" in warning.text
    assert report.verdicts["privacy"].verdict == "not available"
    assert "copies" not in codes(judge())


def test_training_rows_as_held_out_rows_are_refused(judge: Judge) -> None:
    judge()
    how: dict[str, Any] = {"train": "real.h5ad", "holdout": "real.h5ad", "label": "celltype", "metrics": ["moments"]}
    with pytest.raises(DataError, match=r"200 of 200 held-out rows are also training rows.*--allow-overlap"):
        evaluate("made.h5ad", **how)
    report = evaluate("made.h5ad", **how, allow_overlap=True)
    assert "overlap" in codes(report)


def test_rows_made_from_held_out_rows_are_noticed(
    judge: Judge, halves: tuple[anndata.AnnData, anndata.AnnData]
) -> None:
    real, made = halves
    report = evaluate(made, train=real, holdout=made, label="celltype", metrics=["moments"])
    (warning,) = [w for w in report.warnings if w.code == "copies"]
    assert "200 synthetic rows are held-out rows" in warning.text and "seen them" in warning.text


# --- what the model is known to do --------------------------------------------------------------------------------------


def test_a_model_that_stores_rows_is_said_to(fitted: Path, small: anndata.AnnData, here: Path) -> None:
    model = Augmentor.load(fitted / "model.augment")
    model.write("ours.h5ad", 100)
    how: dict[str, Any] = {"real": fitted / "expr.h5ad", "label": "celltype", "metrics": ["duplicates"]}
    stores = "stores training rows"
    for made in ("ours.h5ad", model.sample(100)):
        for artifact in (None, model):
            assert stores in evaluate(made, artifact=artifact, **how).verdicts["privacy"].sentence
    # rows of another hand, judged by the split of our model, say nothing about ours
    other = small.copy()
    other.obs_names = [f"other {i}" for i in range(other.n_obs)]
    report = evaluate(other, artifact=model, **how)
    assert stores not in report.verdicts["privacy"].sentence
    assert "Not a differential-privacy guarantee" in report.verdicts["privacy"].sentence


# --- the command --------------------------------------------------------------------------------------------------------


def test_two_files_are_enough_and_it_is_said_what_that_weakens(augment: Augment, judge: Judge) -> None:
    judge()
    words = ("evaluate", "made.h5ad", "--real", "real.h5ad", "--label", "celltype", "--only", "moments,transfer")
    ended = augment(*words)
    assert ended.code == 0, ended.err
    first = " ".join(ended.out.split("\n\n")[0].split())
    assert first.startswith("! No held-out rows: copies of the training rows would look perfect.")
    assert "fidelity and biology are optimistic; transfer and privacy are not available" in first
    assert "PRIVACY not available" in " ".join(ended.out.split())
    assert "moments.variance" in ended.out
    refused = augment(*words, "--strict")
    assert refused.code == 1 and "no held-out rows" in refused.err


def test_every_refusal_is_of_our_own_kind(judge: Judge) -> None:
    def broken(a: anndata.AnnData) -> anndata.AnnData:
        a.X = sparse.csr_matrix(a.X.astype(np.float32))
        a.X.data[0] = np.nan
        return a

    with pytest.raises(Refused, match=r"made\.h5ad contains 1 NaN"):
        judge(broken)
