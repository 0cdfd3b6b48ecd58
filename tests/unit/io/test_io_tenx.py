"""10x folders and files of both generations."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmwrite

from augmentor import io
from augmentor.core.errors import DataError, LabelError
from augmentor.io.tenx import unique_names

X = sparse.csr_matrix(np.array([[1, 0, 2, 5], [0, 3, 0, 6], [4, 0, 0, 7]]))
FEATURES = (
    "E1\tACTB\tGene Expression\nE2\tACTB\tGene Expression\nE3\tMT-1\tGene Expression\nA1\tCD3\tAntibody Capture\n"
)


def folder(path: Path, *, version: int, prefix: str = "", labels: str = "") -> Path:
    path.mkdir()
    mmwrite(path / f"{prefix}matrix.mtx", X.T.tocoo(), field="integer")
    (path / f"{prefix}barcodes.tsv").write_text("AAA-1\nCCC-1\nGGG-1\n")
    if version == 2:
        lines = [line.rsplit("\t", 1)[0] for line in FEATURES.splitlines()]
        (path / f"{prefix}genes.tsv").write_text("\n".join(lines) + "\n")
    else:
        (path / f"{prefix}features.tsv").write_text(FEATURES)
        for file in list(path.iterdir()):
            (path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    if labels:
        (path / "labels.csv").write_text(labels)
    return path


@pytest.mark.parametrize("prefix", ["", "GSM123_"])
def test_folders_of_both_generations(tmp_path: Path, prefix: str) -> None:
    new = io.read(folder(tmp_path / "v3", version=3, prefix=prefix))
    assert (new.x.toarray() == X[:, :3].toarray()).all()
    assert new.schema.features == ("ACTB", "ACTB-1", "MT-1")
    assert new.schema.var["gene_ids"].values == ("E1", "E2", "E3")
    assert new.schema.sparse and new.schema.integer and new.schema.dtype == "int32"
    assert any("1 features that are not gene expression" in note for note in new.notes)
    assert any("1 repeated gene symbols" in note for note in new.notes)
    old = io.read(folder(tmp_path / "v2", version=2, prefix=prefix))
    assert (old.x.toarray() == X.toarray()).all()
    assert list(old.names) == ["AAA-1", "CCC-1", "GGG-1"]
    again = io.read(tmp_path / "v3" / f"{prefix}matrix.mtx.gz")
    assert again.digest() == new.digest()


def test_labels_beside_the_matrix_belong_to_their_barcodes(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", version=3, labels="barcode,celltype,n\nGGG-1,T,3\nAAA-1,B,1\nCCC-1,,2\n")
    data = io.read(path, label="celltype", covariates="n")
    assert list(data.labels()) == ["B", None, "T"]
    assert data.covariates[:, 0].tolist() == [1, 2, 3]
    with pytest.raises(LabelError, match=r"is not a column of a obs\. Did you mean 'celltype'"):
        io.read(path, label="cell_type")
    other = folder(tmp_path / "b", version=3, labels="barcode,celltype\nTTT-1,T\n")
    with pytest.raises(LabelError, match="names none of the 3 barcodes"):
        io.read(other)


@pytest.mark.parametrize("version", [2, 3])
def test_h5_files_of_both_generations(tmp_path: Path, version: int) -> None:
    path = tmp_path / "filtered.h5"
    ids, symbols, kinds = zip(*(line.split("\t") for line in FEATURES.splitlines()), strict=True)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "GRCh38")
        for name, values in (("data", X.data.astype("int32")), ("indices", X.indices), ("indptr", X.indptr)):
            group[name] = values
        group["shape"] = np.array([4, 3], dtype="int32")
        group["barcodes"] = np.array([b"AAA-1", b"CCC-1", b"GGG-1"])
        if version == 3:
            for name, values in (("id", ids), ("name", symbols), ("feature_type", kinds)):
                group[f"features/{name}"] = np.array(values, dtype="S")
        else:
            group["genes"], group["gene_names"] = np.array(ids, dtype="S"), np.array(symbols, dtype="S")
    data = io.read(path)
    genes = 3 if version == 3 else 4
    assert (data.x.toarray() == X[:, :genes].toarray()).all()
    assert data.schema.features[:2] == ("ACTB", "ACTB-1")
    assert data.schema.dtype == "int32"


def test_incomplete_folders_are_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "a", version=3)
    (path / "barcodes.tsv.gz").unlink()
    with pytest.raises(DataError, match=r"a is a 10x folder without barcodes\.tsv"):
        io.read(path)
    path = folder(tmp_path / "b", version=2)
    (path / "barcodes.tsv").write_text("AAA-1\n")
    with pytest.raises(DataError, match="3 cells x 4 genes, but 1 barcodes"):
        io.read(path)
    (path / "matrix.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n4 3 9\n1 1 1\n")
    with pytest.raises(DataError, match=r"b/matrix\.mtx cannot be read"):
        io.read(path)
    with pytest.raises(DataError, match="--layer counts"):
        io.read(path, layer="counts")


def test_unique_names_never_collide() -> None:
    assert unique_names(["a", "a", "a-1", "b", "a"]) == ["a", "a-2", "a-1", "b", "a-3"]
