"""Rows that a user already has, written with what was found out about them."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from augmentor import io
from augmentor.core.errors import DataError


def counts(rows: int, genes: int) -> anndata.AnnData:
    """Sparse whole numbers with a category beside them."""
    x = np.arange(1, rows * genes + 1).reshape(rows, genes) % 5
    obs = pd.DataFrame({"celltype": pd.Categorical(["B", "T"] * (rows // 2))}, index=[f"cell{i}" for i in range(rows)])
    var = pd.DataFrame(index=[f"gene{i}" for i in range(genes)])
    return anndata.AnnData(sparse.csr_matrix(x.astype(np.int32)), obs=obs, var=var)


def rich() -> anndata.AnnData:
    """Cells with everything that a file can hold besides X."""
    adata = counts(40, 6)
    adata.raw = adata.copy()
    adata.layers["scaled"] = np.ones((40, 6), dtype=np.float32)
    adata.obsm["X_pca"] = np.zeros((40, 2))
    adata.uns["study"] = {"name": "ours"}
    return adata


def test_an_h5ad_keeps_what_it_holds(tmp_path: Path) -> None:
    source, target = tmp_path / "expr.h5ad", tmp_path / "more.h5ad"
    rich().write_h5ad(source)
    before = source.read_bytes()
    found = rich()
    found.obsm["Z"], found.layers["means"] = np.arange(80.0).reshape(40, 2), np.full((40, 6), 0.5)
    assert io.write_annotated(target, found, added={"obsm": ["Z"], "layers": ["means"]}, like=source)
    made, real = anndata.read_h5ad(target), rich()
    assert_array_equal(made.obsm["Z"], found.obsm["Z"])
    assert_array_equal(made.layers["means"], 0.5)
    assert made.uns["study"]["name"] == "ours" and made.raw is not None and made.raw.shape == (40, 6)
    assert set(made.obsm) == {"X_pca", "Z"} and set(made.layers) == {"scaled", "means"}
    assert_array_equal(made.X.toarray(), real.X.toarray())
    pd.testing.assert_frame_equal(made.obs, real.obs, check_categorical=True)
    assert source.read_bytes() == before


@pytest.mark.parametrize("name", ["more.h5ad", "more.zarr"])
def test_other_rows_or_features_are_written_anew(tmp_path: Path, name: str) -> None:
    source, target = tmp_path / "expr.h5ad", tmp_path / name
    rich().write_h5ad(source)
    found = rich()[:, :4].copy()
    found.obsm["Z"] = np.ones((40, 3))
    assert not io.write_annotated(target, found, added={"obsm": ["Z"]}, like=source)
    made = anndata.read_h5ad(target) if name.endswith("h5ad") else anndata.read_zarr(target)
    assert made.shape == (40, 4) and made.obsm["Z"].shape == (40, 3)


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.parquet"])
def test_tables(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"score": [0.25, 1.5], "outlier": [False, True]}, index=["a", "b"])
    path = tmp_path / name
    io.write_frame(path, frame)
    first = path.read_bytes()
    io.write_frame(path, frame)
    assert path.read_bytes() == first
    read = pd.read_parquet(path) if name.endswith("parquet") else pd.read_csv(path, sep="\t" if "tsv" in name else ",")
    assert list(read.columns) == ["sample", "score", "outlier"]
    pd.testing.assert_frame_equal(read.set_index("sample"), frame, check_names=False)


def test_rows_as_a_table_have_whole_counts(tmp_path: Path) -> None:
    adata = counts(10, 3)
    adata.X = adata.X.astype(np.float32)
    io.write_rows(tmp_path / "rows.csv", adata)
    read = pd.read_csv(tmp_path / "rows.csv", index_col=0)
    assert list(read.columns[-3:]) == ["gene0", "gene1", "gene2"] and read["gene0"].dtype == np.int64
    assert read["celltype"].tolist() == adata.obs["celltype"].tolist()


def test_refusals(tmp_path: Path) -> None:
    frame = pd.DataFrame({"score": [1.0]})
    for call in (lambda: io.write_frame(tmp_path / "x.h5ad", frame), lambda: io.write_rows(tmp_path / "x.h5ad", frame)):
        with pytest.raises(DataError, match=r"name it \.csv, \.tsv or \.parquet"):
            call()
    with pytest.raises(DataError, match="need a name that ends in"):
        io.write_annotated(tmp_path / "x.csv", rich())
    with pytest.raises(DataError, match="must end in one of"):
        io.is_table("x.txtt")
    with pytest.raises(DataError, match="does not exist"):
        io.write_frame(tmp_path / "nowhere" / "x.csv", frame)
    assert not list(tmp_path.iterdir())
