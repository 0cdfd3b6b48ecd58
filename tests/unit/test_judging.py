"""What files and artifacts record of themselves is used to judge them: the plan of a sample, the rows of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import people
import pytest
from numpy.testing import assert_array_equal

from augmentor import Augmentor, evaluate
from augmentor.artifact import load as load_artifact
from augmentor.artifact import save as save_artifact
from augmentor.core.errors import ConfigError, DataError
from augmentor.evaluation.score import Score
from augmentor.io._provenance import provenance
from augmentor.judging import cross_fit

CELLS = people.counts(300)


def fitted(cells: anndata.AnnData = CELLS, label: Any = "celltype", **options: Any) -> Augmentor:
    return Augmentor("gaussian").fit(cells, label=label, **{"holdout": 0.3, **options})


def balance(made: Any, **options: Any) -> Score:
    return evaluate(made, metrics=["label_balance"], **{"real": CELLS, **options})["label_balance"]


# --- the plan of a sample -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["s.h5ad", "s.zarr"])
def test_labels_are_as_frequent_as_asked_for(name: str, tmp_path: Path) -> None:
    """60 % T, 30 % B and 10 % NK in the real rows, of which 63, 27 and 9 are held out."""
    model = fitted()
    model.write(tmp_path / name, {"B": 10, "NK": 200})
    assert provenance(tmp_path / name)["plan"] == {"T": 0, "B": 10, "NK": 200}  # type: ignore[index]
    score = balance(tmp_path / name, artifact=model)
    assert (score.value, score.detail["reference"], score.detail["missing"]) == (0.0, "plan", [])
    held = {"T": 54 / 90, "B": 27 / 90, "NK": 9 / 90}
    beside = {"T": -held["T"], "B": 10 / 210 - held["B"], "NK": 200 / 210 - held["NK"]}
    assert score.detail["from_held_out_per_label"] == pytest.approx(beside)
    assert score.detail["from_held_out"] == pytest.approx(sum(map(abs, beside.values())) / 2)


def test_rows_that_are_not_those_asked_for_show(tmp_path: Path) -> None:
    model = fitted()
    model.write(tmp_path / "s.h5ad", {"B": 30, "NK": 30})
    made = anndata.read_h5ad(tmp_path / "s.h5ad")
    score = balance(made[made.obs["celltype"] == "B"].copy(), artifact=model)
    assert (score.value, score.detail["missing"]) == (0.5, ["NK"])


def test_a_label_that_nobody_asked_for_is_not_lost() -> None:
    model = fitted()
    made = model.sample({"B": 30, "NK": 30})
    some = {"metrics": ["label_balance", "moments"], "artifact": model, "real": CELLS}
    assert "no synthetic row" not in evaluate(made, **some).verdicts["fidelity"].sentence
    lost = made[made.obs["celltype"] == "B"].copy()
    assert "no synthetic row: NK" in evaluate(lost, **some).verdicts["fidelity"].sentence


def test_without_a_plan_the_held_out_rows_are_the_measure(tmp_path: Path) -> None:
    model = fitted()
    model.write(tmp_path / "s.h5ad", {"B": 10, "NK": 200})
    made = anndata.read_h5ad(tmp_path / "s.h5ad")
    for forgotten in ({}, {"augmentor": {"plan": {"B": "many"}}}, {"augmentor": {"plan": {"of": 3, "others": 4}}}):
        made.uns = forgotten
        score = balance(made, artifact=model)
        assert score.detail["reference"] == "held-out rows" and "from_held_out" not in score.detail
        assert score.value == pytest.approx(200 / 210 - 9 / 90)


def test_plans_name_combinations_and_labels_with_strokes(tmp_path: Path) -> None:
    cells = CELLS.copy()
    cells.obs["celltype"] = cells.obs["celltype"].cat.rename_categories({"NK": "NK/ILC"})
    model = fitted(cells, ["celltype", "batch"])
    model.write(tmp_path / "s.h5ad", {"NK/ILC|stim": 40, "T|ctrl": 10})
    score = balance(tmp_path / "s.h5ad", real=cells, artifact=model)
    assert (score.value, score.detail["reference"]) == (0.0, "plan")
    # judged by one of the columns, the plan speaks of other labels
    score = balance(tmp_path / "s.h5ad", real=cells, label="celltype")
    assert score.detail["reference"] == "held-out rows"


def test_of_a_balanced_file_the_synthetic_rows_were_asked_for(tmp_path: Path) -> None:
    model = fitted(holdout=0.0)
    wanted = model.write_balanced(tmp_path / "b.h5ad", CELLS, label="celltype")
    assert sorted(wanted.counts) == [0, 90, 150]
    score = balance(tmp_path / "b.h5ad", label="celltype")
    assert (score.value, score.detail["reference"]) == (0.0, "plan")


# --- the rows of a training ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def parts() -> tuple[Augmentor, anndata.AnnData, anndata.AnnData, anndata.AnnData]:
    """A model, rows it was trained on in two files, and rows it never saw."""
    model = fitted(genes=20)
    held = model.fitted.tensors["holdout"].astype(bool)
    seen = np.flatnonzero(~held)
    return model, CELLS[seen[::2]].copy(), CELLS[seen[1::2]].copy(), CELLS[held].copy()


def judged(model: Augmentor, train: anndata.AnnData, holdout: anndata.AnnData, **options: Any) -> set[str]:
    how: dict[str, Any] = {"label": "celltype", "metrics": ["label_balance"], "artifact": model, **options}
    report = evaluate(model.sample(60), train=train, holdout=holdout, **how)
    return {item.code for item in report.warnings}


def test_training_rows_cannot_be_held_out_though_nobody_gives_them(parts: Any) -> None:
    model, first, second, held = parts
    refusal = r"105 of 105 held-out rows are also rows the model was trained on, as its artifact records"
    with pytest.raises(DataError, match=refusal):
        judged(model, first, second)
    # in another order of rows and genes, and stored otherwise
    turned = second[::-1, ::-1].copy()
    turned.X = turned.X.toarray().astype(np.float64)
    with pytest.raises(DataError, match=refusal):
        judged(model, first, turned)
    with pytest.raises(DataError, match=r"10 of 100 held-out rows .* --allow-overlap"):
        judged(model, first, anndata.concat([held, second[:10]], merge="same"))
    assert "overlap" in judged(model, first, second, allow_overlap=True)
    assert "overlap" not in judged(model, first, second, artifact=None, common_genes=True)
    assert not judged(model, first, held) & {"overlap", "not_traced"}


def test_the_record_survives_the_disk_and_old_artifacts_have_none(parts: Any, tmp_path: Path) -> None:
    model, first, second, _ = parts
    model.save(tmp_path / "m.augment")
    again = Augmentor.load(tmp_path / "m.augment")
    recorded = again.fitted.tensors["fingerprints"]
    assert recorded.dtype == np.uint64 and len(recorded) == 210 and (np.diff(recorded) > 0).all()
    assert_array_equal(recorded, model.fitted.tensors["fingerprints"])
    with pytest.raises(DataError, match="as its artifact records"):
        judged(model, first, second, artifact=tmp_path / "m.augment")
    stored = load_artifact(tmp_path / "m.augment")
    del stored.transforms["split.fingerprints"]
    save_artifact(tmp_path / "old.augment", stored.manifest, stored.weights, stored.transforms, stored.history)
    assert "overlap" not in judged(model, first, second, artifact=tmp_path / "old.augment")


def test_rows_without_the_features_of_the_model_cannot_be_traced(parts: Any) -> None:
    model, first, second, _ = parts
    kept = [name for name in CELLS.var_names if name != model.fitted.schema.features[0]]
    found = judged(model, first[:, kept].copy(), second[:, kept].copy(), common_genes=True)
    assert "not_traced" in found and "overlap" not in found


def test_tables_that_repeat_by_nature_are_not_refused() -> None:
    """Eight different rows in all, so that nearly every one of 200 repeats another."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 3, (200, 3)).astype(np.float32)
    cells = anndata.AnnData(x, obs=people.counts(200).obs[["celltype"]])[rng.permutation(200)]
    model = Augmentor("bootstrap").fit(cells[:100].copy(), label="celltype", holdout=0.0)
    assert "overlap" in judged(model, cells[100:150].copy(), cells[150:].copy())


# --- a recipe, fitted anew ------------------------------------------------------------------------------------------------


def test_a_recipe_with_a_reference_is_not_fitted_without_it() -> None:
    model = fitted(reference=people.counts(300, seed=5))
    with pytest.raises(ConfigError, match="--cross-fit fits it anew on the real rows alone"):
        cross_fit(CELLS, artifact=model, folds=2)


def test_rows_without_a_label_are_learned_from_and_judge_nothing() -> None:
    cells = CELLS.copy()
    cells.obs["celltype"] = cells.obs["celltype"].where(np.arange(300) % 3 > 0)
    report = cross_fit(cells, artifact=fitted(cells), folds=2, metrics=["moments"])
    assert not report.failed and report.scores["moments.mean"].value is not None
    assert report.data["holdout"].rows == 200


def test_columns_are_of_the_types_that_are_said() -> None:
    frame = people.table(120)
    frame["stage"] = np.arange(120) // 3 % 3
    said = {"categorical": ["stage"]}
    model = Augmentor("copula").fit(frame, label="state", **said)
    for types, places in ((said, 6 + 3), ({}, 6 + 1)):
        report = cross_fit(frame, artifact=model, folds=2, metrics=["shape"], **types)
        assert report.space["genes"] == places, "a category of three values has three places, a number one"
