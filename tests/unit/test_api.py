"""The public face: what goes in comes out, in form, types, order and units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import people
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

import augmentor
from augmentor import Augmentor, evaluate, io, load
from augmentor.core.errors import ConfigError, LabelError, SchemaMismatch
from augmentor.core.progress import Progress

CELLS = people.counts()
TABLE = people.table()


def same(a: anndata.AnnData, b: anndata.AnnData) -> None:
    assert_array_equal(a.X.toarray(), b.X.toarray())
    pd.testing.assert_frame_equal(a.obs, b.obs)


@pytest.fixture(scope="module")
def fitted() -> Augmentor:
    return Augmentor("bootstrap", seed=1).fit(CELLS, label="celltype")


# --- forms -----------------------------------------------------------------------------------------------------------


def test_anndata_in_anndata_out(fitted: Augmentor) -> None:
    synthetic = fitted.sample(50)
    assert isinstance(synthetic, anndata.AnnData)
    assert synthetic.shape == (50, 30)
    assert synthetic.var_names.equals(CELLS.var_names)
    pd.testing.assert_frame_equal(synthetic.var, CELLS.var)
    assert sparse.issparse(synthetic.X)
    assert synthetic.X.dtype == CELLS.X.dtype
    assert synthetic.obs["synthetic"].all()
    assert synthetic.obs["celltype"].dtype == CELLS.obs["celltype"].dtype
    assert synthetic.uns["augmentor"]["model"] == "bootstrap"
    assert synthetic.uns["augmentor"]["trained_on"] == "AnnData"


def test_frame_in_frame_out() -> None:
    synthetic = Augmentor("copula").fit(TABLE, label="state").sample(40)
    assert isinstance(synthetic, pd.DataFrame)
    assert list(synthetic.columns) == [*TABLE.columns, "synthetic"] or set(synthetic.columns) == {
        *TABLE.columns,
        "synthetic",
    }
    assert synthetic["state"].value_counts().to_dict() == {"healthy": 32, "tumour": 8}
    assert synthetic["f0"].dtype == np.float32


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_arrays_in_arrays_out(form: Any) -> None:
    X, y = TABLE.drop(columns="state").to_numpy(), TABLE["state"].to_numpy()
    made, labels = Augmentor("smote").fit((form(X), y), label="label").sample(30)
    assert made.shape == (30, 6)
    assert sparse.issparse(made) == (form is not np.asarray)
    assert set(labels) == {"healthy", "tumour"}


@pytest.mark.parametrize("suffix", [".h5ad", ".csv", ".zarr", ".parquet"])
def test_path_in_anndata_out_and_files_written(tmp_path: Path, suffix: str, fitted: Augmentor) -> None:
    source = tmp_path / f"real{suffix}"
    wanted = fitted.write(source, {"T": 30, "B": 20, "NK": 10})
    assert wanted.counts == (30, 20, 10)
    read = Augmentor("bootstrap").fit(source, label="celltype")
    made = read.sample({"B": 5})
    assert isinstance(made, anndata.AnnData)
    assert list(made.obs["celltype"].astype(str)) == ["B"] * 5
    read.write(tmp_path / f"made{suffix}", 25)
    assert len(io.read(tmp_path / f"made{suffix}", label="celltype")) == 25


def test_written_rows_are_the_sampled_ones_in_any_block(tmp_path: Path, fitted: Augmentor) -> None:
    for block in (None, 1, 13):
        fitted.write(tmp_path / "made.h5ad", 60, block=block)
        made = anndata.read_h5ad(tmp_path / "made.h5ad")
        assert_array_equal(made.X.toarray(), fitted.sample(60).X.toarray())
        assert made.obs["celltype"].tolist() == fitted.sample(60).obs["celltype"].tolist()


def test_streamed_rows_are_the_sampled_ones(fitted: Augmentor) -> None:
    parts = list(fitted.stream(50, block=13))
    assert [len(part) for part in parts] == [13, 13, 13, 11]
    same(anndata.concat(parts), anndata.concat([fitted.sample(50)]))


def test_backed_source_loads_only_what_it_models(tmp_path: Path) -> None:
    CELLS.copy().write_h5ad(tmp_path / "cells.h5ad")
    source = io.open_source(tmp_path / "cells.h5ad", label="celltype")
    with pytest.raises(ConfigError, match="needs a number of genes"):
        Augmentor("bootstrap").fit(source)
    made = Augmentor("bootstrap").fit(source, genes=12).sample(9)
    assert made.shape == (9, 12)
    assert set(made.var_names) <= set(CELLS.var_names)


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(CELLS.obs["celltype"], categories=["NK", "T", "B"]),
        pd.Categorical(CELLS.obs["celltype"], categories=["B", "NK", "T"], ordered=True),
        pd.Categorical(CELLS.obs["celltype"], categories=["NK", "unused", "T", "B"]),
        CELLS.obs["celltype"].astype(str).to_numpy(dtype=object),
        CELLS.obs["cluster"].to_numpy(),
        CELLS.obs["cluster"].to_numpy(dtype=np.int8),
        pd.Categorical(CELLS.obs["cluster"]),
        CELLS.obs["sick"].to_numpy(),
        CELLS.obs["cluster"].to_numpy() / 4,
    ],
    ids=["order", "ordered", "unused", "strings", "int64", "int8", "int-categories", "bool", "float"],
)
def test_labels_come_back_as_they_were(values: Any, tmp_path: Path) -> None:
    adata = CELLS.copy()
    adata.obs["label"] = values
    fitted = Augmentor("bootstrap").fit(adata, label="label")
    fitted.save(tmp_path / "model.augment")
    for made in (fitted.sample(60), load(tmp_path / "model.augment").sample(60)):
        assert made.obs["label"].dtype == adata.obs["label"].dtype
        assert set(made.obs["label"]) == set(adata.obs["label"])


@pytest.mark.parametrize("y", [CELLS.obs["cluster"].to_numpy(), CELLS.obs["sick"].to_numpy()], ids=["int", "bool"])
def test_array_labels_come_back_as_they_were(y: np.ndarray) -> None:
    _, labels = Augmentor("bootstrap").fit((CELLS.X, y), label="label").sample(60)
    assert labels.dtype == y.dtype
    assert set(labels.tolist()) == set(y.tolist())


def test_several_label_columns() -> None:
    fitted = Augmentor("bootstrap").fit(CELLS, label=["celltype", "batch"])
    assert fitted.labels == ("T|ctrl", "T|stim", "B|ctrl", "B|stim", "NK|ctrl", "NK|stim")
    made = fitted.sample({"NK|stim": 4, "B|ctrl": 2})
    assert (
        sorted(zip(made.obs["celltype"], made.obs["batch"], strict=True)) == [("B", "ctrl")] * 2 + [("NK", "stim")] * 4
    )


def test_no_label() -> None:
    made = Augmentor("bootstrap").fit(CELLS).sample(8)
    assert made.shape == (8, 30)
    assert list(made.obs.columns) == ["synthetic"]


def test_a_missing_column_is_refused_with_the_closest() -> None:
    with pytest.raises(LabelError, match=r"'cell_type' is not a column .*Did you mean 'celltype'\?"):
        Augmentor("bootstrap").fit(CELLS, label="cell_type")


# --- balance ---------------------------------------------------------------------------------------------------------


def test_balance_tops_up_the_rare_and_keeps_the_real(fitted: Augmentor) -> None:
    both = fitted.balance(CELLS)
    assert both.obs["celltype"].value_counts().to_dict() == {"T": 72, "B": 72, "NK": 72}
    real = both[~both.obs["synthetic"].to_numpy()]
    assert_array_equal(real.X.toarray(), CELLS.X.toarray())
    assert real.obs["celltype"].tolist() == CELLS.obs["celltype"].tolist()
    assert real.obs_names.tolist() == CELLS.obs_names.tolist()
    assert both.obs_names.is_unique
    assert fitted.sample(balance=True).obs["celltype"].value_counts().to_dict() == {"NK": 48, "B": 29, "T": 0}


def test_balance_maps_labels_by_name_not_by_position(fitted: Augmentor) -> None:
    other = CELLS[:, ::-1].copy()
    other.obs["celltype"] = pd.Categorical(other.obs["celltype"], categories=["NK", "B", "T"])
    both = fitted.balance(other, label="celltype")
    real = both[~both.obs["synthetic"].to_numpy()]
    assert real.obs["celltype"].tolist() == CELLS.obs["celltype"].tolist()
    assert_array_equal(real.X.toarray(), CELLS.X.toarray())


def test_balance_names_what_does_not_fit(fitted: Augmentor) -> None:
    unknown, missing = CELLS.copy(), CELLS.copy()
    unknown.obs["celltype"] = unknown.obs["celltype"].astype(str).replace("NK", "NKT")
    with pytest.raises(LabelError, match=r"'NKT' is not a value of label 'celltype'. Did you mean 'NK'\?"):
        fitted.balance(unknown, label="celltype")
    missing.obs.loc["cell3", "celltype"] = np.nan
    with pytest.raises(LabelError, match="label 'celltype' is missing in 1 of 120 rows"):
        fitted.balance(missing, label="celltype")
    with pytest.raises(LabelError, match="'celltype' is not a label of this data"):
        fitted.balance(CELLS, label="batch")


def test_balance_to_a_file(fitted: Augmentor, tmp_path: Path) -> None:
    wanted = fitted.write_balanced(tmp_path / "both.h5ad", CELLS, label="celltype")
    assert wanted.counts == (0, 36, 60)
    both = anndata.read_h5ad(tmp_path / "both.h5ad")
    assert both.obs["synthetic"].sum() == 96
    assert len(both) == 216


def test_balance_of_balanced_data_adds_nothing(fitted: Augmentor) -> None:
    even = CELLS[np.concatenate([np.flatnonzero(CELLS.obs["celltype"] == t)[:12] for t in people.TYPES])].copy()
    assert not fitted.balance(even, label="celltype").obs["synthetic"].any()


def test_balance_needs_two_labels() -> None:
    one = CELLS[CELLS.obs["celltype"] == "T"].copy()
    with pytest.raises(LabelError, match="the label has 1 value; balancing needs at least 2"):
        Augmentor("bootstrap").fit(one, label="celltype").balance(one, label="celltype")


@pytest.mark.parametrize(
    "y", [TABLE["state"].to_numpy(), (TABLE["state"] == "tumour").to_numpy().astype(int)], ids=["text", "int"]
)
def test_fit_resample(y: np.ndarray) -> None:
    X = TABLE.drop(columns="state").to_numpy()
    made, labels = Augmentor("smote").fit_resample(X, y)
    assert_array_equal(made[:90], X)
    assert_array_equal(labels[:90], y)
    assert labels.dtype == y.dtype
    assert set(np.unique(labels, return_counts=True)[1]) == {72}


# --- what is modelled ------------------------------------------------------------------------------------------------


def test_fewer_genes_are_declared() -> None:
    told: list[Progress] = []
    made = Augmentor("bootstrap").fit(CELLS, label="celltype", genes=10, listener=told.append).sample(5)
    assert made.shape == (5, 10)
    assert made.var["chromosome"].tolist() == CELLS.var.loc[made.var_names, "chromosome"].tolist()
    notes = [p.note for p in told]
    assert "10 most variable of 30 features are modelled; the others will be absent from synthetic rows" in notes


def test_what_was_detected_is_told() -> None:
    told: list[Progress] = []
    Augmentor("bootstrap").fit(CELLS, label="celltype", listener=told.append)
    notes = " ".join(p.note for p in told)
    assert "counts (all values are non-negative integers" in notes
    assert (
        "120 rows x 30 features (counts); 97 rows to learn from, 20% held out for evaluation: T 58, B 29, NK 10"
        in notes
    )


def test_components_in_the_place_of_features() -> None:
    fitted = Augmentor("gaussian").fit(TABLE, label="state", pca=3)
    assert fitted.fitted.layout.features == 3
    made = fitted.sample(400)
    assert list(made.columns[:-1]) == list(TABLE.columns) or set(TABLE.columns) < set(made.columns)
    real = TABLE.drop(columns="state").var()
    assert np.allclose(made[real.index].var(), real, rtol=0.5)


def test_space_can_be_said() -> None:
    fitted = Augmentor("gaussian").fit(CELLS, label="celltype", space="continuous")
    assert fitted.fitted.schema.space == "continuous"


def test_same_seed_same_model_and_rows(tmp_path: Path) -> None:
    first, second, other = (Augmentor("copula", seed=s).fit(CELLS, label="celltype") for s in (2, 2, 3))
    same(first.sample(20), second.sample(20))
    assert not np.array_equal(first.sample(20).X.toarray(), other.sample(20).X.toarray())
    assert not np.array_equal(first.sample(20).X.toarray(), first.sample(20, seed=9).X.toarray())
    first.save(tmp_path / "m.augment")
    same(Augmentor.load(tmp_path / "m.augment").sample(20), first.sample(20))


def test_settings_reach_the_model_and_are_checked() -> None:
    assert Augmentor("copula", shrinkage=0.5).fit(TABLE, label="state").fitted.config.shrinkage == 0.5
    with pytest.raises(ConfigError, match="'latent' is not a setting of copula"):
        Augmentor("copula", latent=3).fit(TABLE, label="state")
    with pytest.raises(ConfigError, match="settings belong to a model; name one"):
        Augmentor(latent=3).fit(TABLE, label="state")
    with pytest.raises(ConfigError, match=r"'copla' is not a model. Did you mean 'copula'\?"):
        Augmentor("copla").fit(TABLE, label="state")


def test_before_fitting_there_is_nothing_to_draw() -> None:
    with pytest.raises(ConfigError, match=r"not fitted; call fit\(\) or load\(\) first"):
        Augmentor("copula").sample(3)


def test_unknown_names_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Augmenter'"):
        augmentor.Augmenter  # noqa: B018


# --- evaluate --------------------------------------------------------------------------------------------------------

QUICK: dict[str, Any] = {"label": "celltype", "metrics": ["validity", "duplicates"]}


def test_evaluate_uses_exactly_the_held_out_rows(fitted: Augmentor, tmp_path: Path) -> None:
    train, holdout = fitted.split(CELLS, label="celltype")
    assert (len(train), len(holdout)) == (97, 23)
    kept = fitted.fitted.model.state()["bounds"][-1]
    assert kept == len(train)
    fitted.save(tmp_path / "m.augment")
    synthetic = fitted.sample(97)
    by_artifact = evaluate(synthetic, real=CELLS, artifact=tmp_path / "m.augment", **QUICK)
    by_hand = evaluate(synthetic, train=train, holdout=holdout, **QUICK)
    for name in by_hand.scores:
        assert by_artifact[name].value == by_hand[name].value
    assert by_artifact.data["holdout"].rows == 23
    assert by_artifact.data["holdout"].digest == by_hand.data["holdout"].digest
    assert by_artifact["duplicates.exact"].value == 1, "a bootstrap row is a training row"


def test_evaluate_on_the_genes_that_were_modelled() -> None:
    fitted = Augmentor("bootstrap").fit(CELLS, label="celltype", genes=10)
    report = evaluate(fitted.sample(90), real=CELLS, artifact=fitted, **QUICK)
    assert report.data["train"].genes == 10


def test_another_file_is_refused(fitted: Augmentor) -> None:
    other = people.counts(seed=5)
    with pytest.raises(
        SchemaMismatch, match=r"the model was fitted on AnnData \(120 rows\), but the real data \(120 rows\) differs"
    ):
        evaluate(fitted.sample(50), real=other, artifact=fitted, **QUICK)
    with pytest.raises(SchemaMismatch, match=r"but the real data \(60 rows\) differs"):
        fitted.split(CELLS[:60].copy(), label="celltype")


def test_real_rows_are_given_one_way(fitted: Augmentor) -> None:
    synthetic = fitted.sample(50)
    for wrong in ({}, {"real": CELLS, "train": CELLS}):
        with pytest.raises(ConfigError, match="either as real=, or as train="):
            evaluate(synthetic, **wrong, **QUICK)


def test_balance_keeps_the_categories_of_a_table_that_lacks_one_of_the_models() -> None:
    whole = pd.DataFrame(
        {"x": np.arange(40.0), "site": np.repeat(["a", "b", "c"], [4, 18, 18]), "state": ["s", "t", "s", "s"] * 10}
    )
    fitted = Augmentor("copula").fit(whole, label="state", holdout=0.0)
    part = whole[whole["site"] != "a"].reset_index(drop=True)
    both = fitted.balance(part, label="state")
    real = both[~both["synthetic"]]
    assert real["site"].astype(str).tolist() == part["site"].tolist()
    with pytest.raises(
        SchemaMismatch, match=r"column 'site' of the data has 1 categories that are unknown in the model \(z\)"
    ):
        fitted.balance(part.assign(site=["z", *part["site"][1:]]), label="state")
    with pytest.raises(SchemaMismatch, match="column 'site' of the data holds numbers, but categories in the model"):
        fitted.balance(part.assign(site=np.arange(len(part)) + 0.5), label="state", space="mixed")
