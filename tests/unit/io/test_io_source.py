"""Reading in blocks gives what reading whole gives, for every way in which a matrix can be stored."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from augmentor import io
from augmentor.core.errors import ConfigError, DataError

VALUES = np.random.default_rng(3).poisson(0.8, (50, 6)).astype("float32") + (np.arange(6) == 0)
STORED: dict[str, Callable[[], Any]] = {
    "csr": lambda: sparse.csr_matrix(VALUES),
    "csc": lambda: sparse.csc_matrix(VALUES),
    "dense": lambda: VALUES,
    "float64": lambda: sparse.csr_matrix(VALUES.astype("float64")),
    "int": lambda: VALUES.astype("int32"),
    "continuous": lambda: VALUES - 1.5,
}


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("name", ["expr.h5ad", "expr.zarr"])
def test_blocks_are_the_whole(saved: Callable[..., Path], name: str, stored: str) -> None:
    path = saved(STORED[stored](), name=name)
    whole = io.read(path, label="celltype", covariates="n_counts", group="batch")
    source: Any = io.open_source(path, label="celltype", covariates="n_counts", group="batch")
    with source:
        assert source.schema == whole.schema
        assert source.notes == whole.notes
        assert source.rows == 50
        for size in (7, 50, 1000):
            blocks = list(source.blocks(size))
            assert [len(block) for block in blocks] == [min(size, 50 - s) for s in range(0, 50, size)]
            x = (
                sparse.vstack([b.x for b in blocks]).toarray()
                if whole.schema.sparse
                else np.vstack([b.x for b in blocks])
            )
            assert (x == (whole.x.toarray() if whole.schema.sparse else whole.x)).all()
            assert (np.concatenate([b.codes for b in blocks]) == whole.codes).all()
            assert (np.concatenate([b.covariates for b in blocks]) == whole.covariates).all()
            assert (np.concatenate([b.groups for b in blocks]) == whole.groups).all()
        assert source.load().digest() == whole.digest()
        assert source.load([4, 1]).digest() == whole.select([4, 1]).digest()


def test_formats_that_are_read_whole_are_sources_too(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("s,kind,a,b\nx,1,1.5,2\ny,2,-1,2\nz,1,0,1\n")
    source: Any = io.open_source(tmp_path / "t.csv", label="kind")
    with source:
        assert [len(block) for block in source.blocks(2)] == [2, 1]
        assert source.load([1]).schema.features == ("b",)
        assert source.schema == source.load().schema


def test_layers_and_transposing(saved: Callable[..., Path]) -> None:
    path = saved(VALUES - 1.5, layers={"counts": sparse.csr_matrix(VALUES)})
    source: Any = io.open_source(path, layer="counts")
    with source:
        assert source.schema.space == "counts" and source.schema.sparse
    with pytest.raises(ConfigError, match="transposed"):
        io.open_source(path, transpose=True)
    turned = io.read(path, layer="counts", transpose=True)
    assert turned.x.shape == (6, 50)
    assert turned.schema.features[0] == "c0" and turned.names[0] == "g0"


def test_a_fault_in_a_late_block_is_named(saved: Callable[..., Path]) -> None:
    x = np.ones((5000, 3), "float32")
    x[4999, 2] = np.nan
    with pytest.raises(DataError, match=r"expr\.h5ad \(rows 4096 to 4999\) contains 1 NaN in 1 features \(first: g2\)"):
        io.open_source(saved(x))


def test_importing_io_imports_no_file_library() -> None:
    code = (
        "import sys, augmentor.io;"
        "heavy = {'pandas', 'anndata', 'h5py', 'zarr', 'pyarrow', 'torch'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)
