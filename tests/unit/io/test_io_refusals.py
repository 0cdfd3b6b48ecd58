"""Every unusable input is refused in one sentence that names it, what was found, and what to do."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from augmentor import io
from augmentor.core.errors import ConfigError, DataError, LabelError, Refused

Save = Callable[..., Path]


def log(rows: int = 12) -> np.ndarray:
    return np.log1p(counts(rows))


def counts(rows: int = 12) -> np.ndarray:
    return np.random.default_rng(0).poisson(1.0, (rows, 4)).astype("float32") + np.eye(rows, 4, dtype="float32")


def scores() -> np.ndarray:
    x = log()
    return (x - x.mean(0)) / x.std(0)


def refusal(path: Path, **options: Any) -> str:
    """The sentence with which a file is refused, by reading and, in the same class, by opening as a source."""
    with pytest.raises(Refused) as read:
        io.read(path, **options)
    with pytest.raises(type(read.value)):
        io.open_source(path, **options)
    text = str(read.value)
    assert text.endswith((".", "?")) and "\n" not in text and len(text) < 400, text
    return text


def test_unknown_label_reads_exactly_as_promised(saved: Save) -> None:
    assert refusal(saved(), label="cell_type") == (
        "--label 'cell_type' is not a column of expr.h5ad obs. Did you mean 'celltype'? "
        "Columns: celltype, batch, n_counts."
    )


def test_counts_in_a_layer_and_scores_in_x_read_exactly_as_promised(saved: Save) -> None:
    path = saved(scores(), layers={"counts": sparse.csr_matrix(counts())})
    assert refusal(path) == (
        "expr.h5ad holds counts in layers['counts'] and z-scores in X. "
        "Pass --layer counts (recommended) or --space continuous."
    )
    assert io.read(path, layer="counts").schema.space == "counts"
    assert io.read(path, space="continuous").schema.space == "continuous"


def test_counts_in_raw_and_scores_in_x(saved: Save) -> None:
    path = saved(scores(), raw={"X": counts(), "var": pd.DataFrame(index=[f"r{i}" for i in range(4)])})
    assert "holds counts in raw" in refusal(path) and "--use-raw (recommended)" in refusal(path)
    raw = io.read(path, use_raw=True)
    assert raw.schema.space == "counts" and raw.schema.features == ("r0", "r1", "r2", "r3")


def test_log_values_beside_counts_are_read_with_a_hint(saved: Save) -> None:
    data = io.read(saved(log(), layers={"counts": counts()}))
    assert data.schema.space == "log"
    assert any("layers['counts']" in note and "--layer counts is recommended" in note for note in data.notes)


def with_values(position: tuple[int, int], value: float, base: Callable[[], np.ndarray] = scores) -> np.ndarray:
    x = base().copy()
    x[position] = value
    return x


MATRICES: list[tuple[str, Callable[[], Any], dict[str, Any], list[str]]] = [
    ("nan", lambda: with_values((2, 1), np.nan), {}, ["1 NaN", "first: g1", "--space mixed"]),
    ("infinity", lambda: with_values((2, 1), np.inf), {}, ["1 infinite", "first: g1"]),
    ("nan in sparse", lambda: sparse.csr_matrix(with_values((2, 1), np.nan, counts)), {}, ["1 NaN", "g1"]),
    ("negative counts", lambda: with_values((2, 1), -3.0), {"space": "counts"}, ["negative", "never negative"]),
    ("negative log", scores, {"space": "log"}, ["negative", "--space continuous"]),
    ("fractional counts", log, {"space": "counts"}, ["fractional", "whole numbers", "--layer"]),
    ("empty cell", lambda: counts() * (np.arange(12) != 3)[:, None], {}, ["1 all-zero rows", "first: row 3"]),
    ("no rows", lambda: np.zeros((0, 4), "float32"), {}, ["0 rows"]),
    ("no genes", lambda: np.zeros((12, 0), "float32"), {}, ["0 features"]),
    ("no such layer", counts, {"layer": "spliced"}, ["--layer 'spliced'", "Layers: none"]),
    ("no raw", counts, {"use_raw": True}, ["--use-raw", "expr.h5ad", "none"]),
    ("layer and raw", counts, {"use_raw": True, "layer": "a"}, ["--use-raw", "--layer a"]),
    ("unknown space", counts, {"space": "count"}, ["--space 'count'", "Did you mean 'counts'"]),
    ("unknown covariate", counts, {"covariates": "age"}, ["--covariate 'age'", "expr.h5ad obs"]),
    ("text covariate", counts, {"covariates": "batch"}, ["--covariate 'batch'", "number", "first: c0, a"]),
    ("unknown group", counts, {"group": "patient"}, ["--group 'patient'", "Columns"]),
]


@pytest.mark.parametrize("make, options, words", [m[1:] for m in MATRICES], ids=[m[0] for m in MATRICES])
@pytest.mark.parametrize("name", ["expr.h5ad", "expr.zarr"])
def test_matrix_is_refused(
    saved: Save, name: str, make: Callable[[], Any], options: dict[str, Any], words: list[str]
) -> None:
    text = refusal(saved(make(), name=name), **options)
    for word in words:
        assert word.replace("expr.h5ad", name) in text


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_duplicate_genes_are_refused_and_duplicate_cells_are_not(saved: Save) -> None:
    path = saved(counts(), genes=["g0", "g1", "g0", "g3"])
    text = refusal(path)
    assert "expr.h5ad has 1 duplicate feature names (first: g0)" in text
    frame = pd.DataFrame(counts(3), index=["a", "a", "b"])
    assert list(io.from_frame(frame).names) == ["a", "a", "b"]


def test_missing_file_and_unknown_kinds(tmp_path: Path, saved: Save) -> None:
    saved()
    assert "does not exist" in refusal(tmp_path / "exp.h5ad") and "'expr.h5ad'" in refusal(tmp_path / "exp.h5ad")
    assert "nor does the folder" in refusal(tmp_path / "nowhere" / "expr.h5ad")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "readme.md").write_text("hello")
    text = refusal(tmp_path / "folder")
    assert "neither a zarr store nor a 10x folder" in text and "readme.md" in text
    (tmp_path / "data.xlsx").write_bytes(b"PK")
    text = refusal(tmp_path / "data.xlsx")
    assert "no known ending" in text and ".h5ad" in text and ".parquet" in text
    (tmp_path / "empty.zarr").mkdir()
    assert "zarr store" in refusal(tmp_path / "empty.zarr")


def test_files_that_are_not_what_their_ending_says(tmp_path: Path) -> None:
    (tmp_path / "text.h5ad").write_text("a,b\n1,2\n")
    assert "text.h5ad is not an HDF5 file" in refusal(tmp_path / "text.h5ad")
    (tmp_path / "empty.h5ad").write_bytes(b"")
    assert "it is empty" in refusal(tmp_path / "empty.h5ad")
    with h5py.File(tmp_path / "other.h5ad", "w") as file:
        file["image"] = np.zeros(3)
    text = refusal(tmp_path / "other.h5ad")
    assert "not an AnnData file" in text and "no obs and no var" in text
    (tmp_path / "binary.csv").write_bytes(b"\x89HDF\r\n\x1a\n\x00\x01")
    assert "cannot be read as text" in refusal(tmp_path / "binary.csv")
    (tmp_path / "plain.csv.gz").write_text("a,b\n1,2\n")
    assert "plain.csv.gz cannot be read" in refusal(tmp_path / "plain.csv.gz")
    (tmp_path / "text.parquet").write_text("a,b\n1,2\n")
    assert "text.parquet cannot be read" in refusal(tmp_path / "text.parquet")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_group("obs")
        file.create_group("var")
    assert "not a 10x file" in refusal(tmp_path / "other.h5") and ".h5ad" in refusal(tmp_path / "other.h5")


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_truncated_h5ad(saved: Save, share: float) -> None:
    path = saved(sparse.csr_matrix(counts(500)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "expr.h5ad is truncated" in refusal(path) and "again" in refusal(path)


def test_h5ad_with_parts_that_do_not_fit(saved: Save) -> None:
    path = saved()
    with h5py.File(path, "a") as file:
        file["X/indices"][0] = 99
    assert "indices outside its shape" in refusal(path)
    path = saved()
    with h5py.File(path, "a") as file:
        file["X/indptr"][3] = 0
    assert "row pointers" in refusal(path)
    path = saved()
    with h5py.File(path, "a") as file:
        file["X"].attrs["shape"] = (12, 5)
    assert "12 x 5" in refusal(path)
    path = saved()
    with h5py.File(path, "a") as file:
        del file["X"]
    assert "has no X" in refusal(path)
    with h5py.File(path, "a") as file:
        file["X"] = np.full((12, 4), b"text")
    assert "must hold numbers" in refusal(path)


TABLES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("empty", "", {}, ["is empty", "header"]),
    ("header only", "a,b\n", {}, ["0 rows"]),
    ("short row", "a,b,c\n1,2,3\n4,5\n", {}, ["regular table", "3 fields"]),
    ("long row", "a,b,c\n1,2,3\n4,5,6,7\n", {}, ["regular table", "3 fields"]),
    ("semicolons", "a;b\n1;2\n", {}, ["semicolons", "commas"]),
    ("tabs", "a\tb\n1\t2\n", {}, ["tabs", ".tsv"]),
    (
        "no label",
        "a,class,b\n1.5,x,2\n",
        {"label": "clas"},
        ["--label 'clas' is not a column of t.csv. Did you mean 'class'"],
    ),
    ("gaps", "a,b\n1.5,\n2,3\n", {}, ["1 NaN", "first: b"]),
    (
        "spoilt column",
        "s,a,b\nx,1.5,2\ny,-,3\nz,2,4\n",
        {},
        ["column 'a' of t.csv mixes numbers with text ('-'; 1 of 3"],
    ),
    ("text asked as log", "a,b\n1.5,x\n2,x\n", {"space": "log"}, ["1 feature columns (b)", "--space mixed"]),
    ("same gene twice", "a,a,b\n1.5,2,3\n1,2,3\n", {}, ["1 duplicate feature names (first: a)"]),
    ("labels only", "s,class\nx,a\ny,b\n", {"label": "class"}, ["0 features"]),
    ("layer", "a,b\n1,2\n", {"layer": "x"}, ["one matrix", "--layer x"]),
    ("group with gaps", "a,b,p\n1.5,2,\n1,2,x\n", {"group": "p"}, ["--group 'p' is missing in 1 of 2"]),
    ("label twice", "c,c,b\n1.5,2,3\n1,2,3\n", {"label": "c"}, ["several columns named 'c'"]),
]


@pytest.mark.parametrize("content, options, words", [t[1:] for t in TABLES], ids=[t[0] for t in TABLES])
def test_table_is_refused(tmp_path: Path, content: str, options: dict[str, Any], words: list[str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    text = refusal(path, **options)
    for word in ["t.csv", *words]:
        assert word in text


def test_table_in_another_encoding_or_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("a,b\n1,2\n3,größer\n".encode("latin-1"))
    assert "UTF-8" in refusal(path)
    path = tmp_path / "cut.csv.gz"
    whole = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i, i * i) for i in range(5000)))
    path.write_bytes(whole[: len(whole) // 2])
    assert "cut.csv.gz" in refusal(path)


def test_objects_in_memory_are_refused_by_name() -> None:
    adata = anndata.AnnData(X=counts(), obs=pd.DataFrame({"kind": ["a"] * 12}, index=[str(i) for i in range(12)]))
    with pytest.raises(LabelError, match=r"'knd' is not a column of adata obs\. Did you mean 'kind'"):
        io.from_anndata(adata, label="knd")
    with pytest.raises(DataError, match="no X"):
        io.from_anndata(anndata.AnnData(obs=adata.obs, var=adata.var))
    with pytest.raises(DataError, match="must hold numbers"):
        io.from_arrays(np.array([["a", "b"]]))
    with pytest.raises(DataError, match="two dimensions"):
        io.from_arrays(np.arange(3))
    with pytest.raises(DataError, match="4 columns but 2 feature names"):
        io.from_arrays(counts(), feature_names=["a", "b"])
    with pytest.raises(LabelError, match="12 rows but there are 3 labels"):
        io.from_arrays(counts(), [1, 2, 3])
    with pytest.raises(DataError, match="cannot use a dict"):
        io.convert({})
    with pytest.raises(ConfigError, match="--space"):
        io.convert(counts(), space="tpm")
    with pytest.raises(DataError, match=r"--layer 'a' is not a layer of adata\. Layers: none"):
        io.from_anndata(adata, layer="a")
    with pytest.raises(DataError, match="--use-raw needs raw in adata"):
        io.from_anndata(adata, use_raw=True)


def test_scores_in_memory_beside_counts() -> None:
    adata = anndata.AnnData(X=scores(), layers={"umi": counts()})
    with pytest.raises(DataError, match=r"adata holds counts in layers\['umi'\] and z-scores in X\. Pass --layer umi"):
        io.from_anndata(adata)
    adata = anndata.AnnData(X=log())
    adata.raw = anndata.AnnData(X=counts())
    assert any("raw" in note and "recommended" in note for note in io.from_anndata(adata).notes)
