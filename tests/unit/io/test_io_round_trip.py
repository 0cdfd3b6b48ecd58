"""What goes in comes out: dtype, sparsity, label kinds and categories, var; from objects and through every format."""

from __future__ import annotations

import gzip
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from augmentor import io
from augmentor.core.dataset import Dataset
from augmentor.core.errors import DataError
from augmentor.core.space import Space

FORMATS = ["out.h5ad", "out.zarr", "out.csv", "out.tsv", "out.csv.gz", "out.parquet"]


def write(path: Path, data: Dataset, size: int) -> None:
    with io.writer(path, data.schema, len(data), uns={"augmentor": {"seed": 3, "of": ["x", "y"], "no": None}}) as out:
        for start in range(0, len(data), size):
            out.append(data.take(np.arange(start, min(start + size, len(data)))))


def test_anndata_comes_back_as_it_was(adata: anndata.AnnData, labels: list[str]) -> None:
    data = io.from_anndata(adata, label=labels, covariates="age", group="patient")
    assert data.schema.labels[0].categories == ("T", "unused", "B")
    assert data.schema.labels[1].categories == ("2", "1", "0")
    assert data.schema.labels[3].categories == ("0.1", "1.0", "2.5")
    assert [label.kind for label in data.schema.labels] == ["category", "category", "int", "float", "bool", "string"]
    back = io.to_anndata(data, uns={"a": 1})
    pd.testing.assert_frame_equal(back.obs[adata.obs.columns], adata.obs)
    pd.testing.assert_frame_equal(back.var, adata.var)
    assert back.X.dtype == np.int64
    assert (back.X == adata.X).all()
    assert list(back.obs_names) == list(adata.obs_names)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint16", "int64", "bool"])
@pytest.mark.parametrize("is_sparse", [True, False])
@pytest.mark.parametrize("name", ["out.h5ad", "out.zarr"])
def test_dtype_and_sparsity_come_back(tmp_path: Path, dtype: str, is_sparse: bool, name: str) -> None:
    values = (np.random.default_rng(0).poisson(1.0, (9, 5)) + np.eye(9, 5)[:, ::-1] + np.eye(9, 5, k=-5)).astype(dtype)
    values[:, 0] = 1
    x = sparse.csr_matrix(values) if is_sparse else values
    data = io.from_anndata(anndata.AnnData(X=x))
    assert data.schema.dtype == dtype
    write(tmp_path / name, data, 4)
    again = io.read(tmp_path / name)
    assert again.schema == data.schema
    stored = (anndata.read_zarr if name.endswith("zarr") else anndata.read_h5ad)(tmp_path / name)
    assert stored.X.dtype == np.dtype(dtype)
    assert sparse.issparse(stored.X) is is_sparse
    found = stored.X.toarray() if is_sparse else stored.X
    assert (found == values).all()


@pytest.mark.parametrize("name", ["out.h5ad", "out.zarr"])
def test_store_holds_labels_var_and_provenance(
    tmp_path: Path, adata: anndata.AnnData, labels: list[str], name: str
) -> None:
    data = io.from_anndata(adata, label=labels, covariates="age")
    write(tmp_path / name, data, 5)
    stored = (anndata.read_zarr if name.endswith("zarr") else anndata.read_h5ad)(tmp_path / name)
    kinds = [*labels, "age"]
    pd.testing.assert_frame_equal(stored.obs[kinds].reset_index(drop=True), adata.obs[kinds].reset_index(drop=True))
    pd.testing.assert_frame_equal(stored.var, adata.var)
    assert list(stored.obs_names[[0, -1]]) == ["synthetic_0", f"synthetic_{len(data) - 1}"]
    assert stored.obs["synthetic"].dtype == bool and stored.obs["synthetic"].all()
    assert stored.uns["augmentor"]["seed"] == 3
    assert list(stored.uns["augmentor"]["of"]) == ["x", "y"]
    again = io.read(tmp_path / name, label=labels, covariates="age")
    assert again.schema == data.schema
    assert (again.codes == data.codes).all()


@pytest.mark.parametrize("name", FORMATS)
def test_values_and_labels_pass_through_every_format(
    tmp_path: Path, adata: anndata.AnnData, labels: list[str], name: str
) -> None:
    data = io.from_anndata(adata, label=labels, covariates="age")
    write(tmp_path / name, data, 7)
    again = io.read(tmp_path / name, label=labels, covariates="age")
    assert (again.x == data.x).all()
    assert again.schema.dtype == "int64"
    assert again.schema.features == data.schema.features
    np.testing.assert_allclose(again.covariates, data.covariates)
    for column in range(len(labels)):
        assert [str(v).lower() for v in again.labels(column)] == [str(v).lower() for v in data.labels(column)]
    assert again.extra["synthetic"].all()


@pytest.mark.parametrize("name", FORMATS)
def test_block_size_does_not_change_the_file(tmp_path: Path, adata: anndata.AnnData, name: str) -> None:
    data = io.from_anndata(adata, label="celltype")
    found = []
    for size in (1, 7, len(data)):
        write(tmp_path / name, data, size)
        again = io.read(tmp_path / name, label="celltype")
        found.append((again.digest(), again.schema))
        if name.endswith((".csv", ".tsv", ".gz")):
            found[-1] = (*found[-1], (tmp_path / name).read_bytes())
    assert found[0] == found[1] == found[2]


def test_float_counts_in_a_table_are_whole_numbers(tmp_path: Path) -> None:
    data = io.from_arrays(np.array([[1.0, 2.0], [3.0, 0.0]]), ["a", "b"])
    write(tmp_path / "out.csv", data, 2)
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == '"synthetic_0","a",1,2,true'
    data = io.from_arrays(np.array([[0.7733, -2.0], [3.0, 0.0]]))
    write(tmp_path / "out.csv", data, 2)
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == '"synthetic_0",0.7733,-2,true'


def test_frame_comes_back_with_its_types() -> None:
    frame = pd.DataFrame(
        {
            "sex": ["f", "m", None, "f"],
            "age": [30, 40, 50, 60],
            "score": [0.5, np.nan, 1.5, 2.5],
            "smoker": [True, False, True, True],
            "grade": pd.Categorical(["lo", "hi", "lo", "hi"], categories=["lo", "mid", "hi"]),
            "outcome": [1, 0, 1, 0],
        }
    )
    data = io.from_frame(frame, label="outcome")
    assert data.schema.space is Space.MIXED
    assert data.schema.levels == (("f", "m"), None, None, ("False", "True"), ("lo", "mid", "hi"))
    back = io.to_frame(data).reset_index(drop=True)[frame.columns]
    pd.testing.assert_frame_equal(back, frame)


def test_frame_names_rows_by_index_or_by_first_text_column() -> None:
    table = pd.DataFrame({"id": ["s1", "s2"], "a": [1.5, 2.0], "b": [0.0, 1.0]})
    assert list(io.from_frame(table).names) == ["s1", "s2"]
    assert io.from_frame(table).schema.features == ("a", "b")
    assert list(io.from_frame(table.set_index("id")).names) == ["s1", "s2"]
    assert io.from_frame(table, label="id").schema.features == ("a", "b")
    assert list(io.from_frame(table, label="id").names) == ["0", "1"]


def test_arrays_with_labels_of_any_type() -> None:
    x = np.arange(1, 9).reshape(4, 2)
    data = io.from_arrays(x, np.array([1, 0, 1, 0]), feature_names=["a", "b"])
    assert data.schema.labels[0].name == "label" and data.schema.labels[0].kind == "int"
    assert data.schema.features == ("a", "b")
    named = io.from_arrays(x, pd.Series(pd.Categorical(list("xyxy"), categories=["y", "x"]), name="group"))
    assert named.schema.labels[0].name == "group" and named.schema.labels[0].categories == ("y", "x")
    framed = io.from_arrays(pd.DataFrame(x, columns=["a", "b"], index=[5, 6, 7, 8]), pd.Series(list("xyxy")))
    assert list(framed.labels()) == list("xyxy")
    assert sparse.issparse(io.from_arrays(sparse.csc_matrix(x)).x)


def test_convert_takes_whatever_a_user_has(tmp_path: Path, adata: anndata.AnnData) -> None:
    data = io.convert(adata, label="celltype")
    write(tmp_path / "a.h5ad", data, 100)
    assert io.convert(data) is data
    assert io.convert(str(tmp_path / "a.h5ad"), label="celltype").schema.labels == data.schema.labels
    assert io.convert(io.to_frame(data), label="celltype").schema.labels == data.schema.labels
    assert io.convert((adata.X, adata.obs["site"])).schema.labels[0].name == "site"
    assert len(io.convert(adata.X)) == len(data)


def test_missing_labels_have_no_code_and_unused_categories_stay() -> None:
    frame = pd.DataFrame({"a": [1.5, 2.0, 3.0, 4.0], "b": 1.0, "kind": ["x", None, "nan", ""]})
    data = io.from_frame(frame, label="kind")
    assert list(data.codes[:, 0]) == [0, -1, -1, -1]
    assert data.schema.labels[0].categories == ("x",)


def test_genes_in_rows(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("gene\ts1\ts2\ts3\nTP53\t1.5\t2\t-3\nMYC\t0\t1\t2\nclass\ta\tb\ta\n")
    data = io.read(tmp_path / "t.tsv", transpose=True, label="class")
    assert data.schema.features == ("TP53", "MYC")
    assert list(data.names) == ["s1", "s2", "s3"]
    assert list(data.labels()) == ["a", "b", "a"]
    np.testing.assert_array_equal(data.x, np.array([[1.5, 0], [2, 1], [-3, 2]], dtype="float32"))


def test_r_style_header_and_gzip_and_byte_order_mark(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "r.csv.gz", "wt", encoding="utf-8-sig") as file:
        file.write('"g1","g2"\n"s1",1.5,2\n"s2",3,4\n')
    data = io.read(tmp_path / "r.csv.gz")
    assert data.schema.features == ("g1", "g2")
    assert list(data.names) == ["s1", "s2"]


def test_labels_written_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_text("plate,g1,arm,g2\n01,1.5,None,2\n02,1,drug,3\n")
    data = io.read(tmp_path / "z.csv", label=["plate", "arm"])
    assert data.schema.labels[0].categories == ("01", "02")
    assert data.schema.labels[1].categories == ("None", "drug")


def test_csv_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"name,kind,a,b\ns1,x,1.5,2\ns2,y,-3,4\n")))
    target = TextIOWrapper(BytesIO())
    monkeypatch.setattr(sys, "stdout", target)
    data = io.read("-", label="kind")
    write(Path("-"), data, 1)
    assert target.buffer.getvalue().decode().splitlines() == [  # type: ignore[attr-defined]
        '"sample","kind","a","b","synthetic"',
        '"synthetic_0","x",1.5,2,true',
        '"synthetic_1","y",-3,4,true',
    ]


def test_balance_writes_flags_and_real_names(tmp_path: Path, adata: anndata.AnnData) -> None:
    data = io.from_anndata(adata, label="celltype")
    flags = np.arange(len(data)) % 2 == 0
    data = Dataset.checked(data.x, data.schema, data.codes, names=data.names, extra={"synthetic": flags})
    for name in ("out.h5ad", "out.csv"):
        write(tmp_path / name, data, 5)
        again = io.read(tmp_path / name, label="celltype")
        assert list(again.names) == list(data.names)
        assert (again.extra["synthetic"] == flags).all()


def test_integers_beyond_a_small_type_become_its_end() -> None:
    data = io.from_arrays(np.array([[250, 3], [1, 2]], dtype="uint8"))
    grown = Dataset.checked(
        np.array([[300.0, 2.4]]), data.schema.model_copy(update={"space": Space.CONTINUOUS}), np.zeros((1, 0))
    )
    assert io.to_anndata(grown).X.tolist() == [[255, 2]]


def test_nullable_and_object_columns_are_labels_of_their_kind() -> None:
    obs = pd.DataFrame(
        {
            "text": pd.array(["a", "b", None], dtype="string"),
            "whole": pd.array([1, 2, None], dtype="Int64"),
            "flag": pd.array([True, False, None], dtype="boolean"),
            "objects": np.array([True, None, False], dtype=object),
            "half": pd.Categorical([0.5, 1.0, np.nan]),
        },
        index=["x", "y", "z"],
    )
    data = io.from_anndata(anndata.AnnData(X=np.ones((3, 2), "float32"), obs=obs), label=list(obs.columns))
    assert [label.kind for label in data.schema.labels] == ["string", "int", "bool", "bool", "category"]
    assert [label.categories for label in data.schema.labels] == [
        ("a", "b"),
        ("1", "2"),
        ("False", "True"),
        ("False", "True"),
        ("0.5", "1.0"),
    ]
    assert data.codes.T.tolist() == [[0, 1, -1], [0, 1, -1], [1, 0, -1], [1, -1, 0], [0, 1, -1]]
    back = io.to_anndata(data).obs
    pd.testing.assert_series_equal(back["whole"], obs["whole"])
    pd.testing.assert_series_equal(back["flag"], obs["flag"])
    pd.testing.assert_series_equal(back["half"], obs["half"])


def test_files_of_anndata_before_0_7_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "old.h5ad", "w") as file:
        file["X"] = np.ones((4, 3), dtype="float32")
        file["obs"] = np.array([(b"c%d" % i, i % 2) for i in range(4)], dtype=[("index", "S5"), ("celltype", "i1")])
        file["var"] = np.array([(b"g%d" % i,) for i in range(3)], dtype=[("index", "S5")])
        file["uns/celltype_categories"] = np.array([b"T", b"B"])
    data = io.read(tmp_path / "old.h5ad", label="celltype")
    assert list(data.labels()) == ["T", "B", "T", "B"]
    assert data.schema.features == ("g0", "g1", "g2")
    with pytest.raises(DataError, match=r"before 0\.7"):
        io.open_source(tmp_path / "old.h5ad")
