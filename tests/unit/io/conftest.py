"""Small real objects that the io tests read and write."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

ROWS = 24


@pytest.fixture
def adata() -> anndata.AnnData:
    """Counts with every kind of annotation column there is; int64, dense, all totals above 0."""
    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "celltype": pd.Categorical(rng.choice(["T", "B"], ROWS), categories=["T", "unused", "B"], ordered=True),
            "cluster": pd.Categorical(rng.integers(0, 3, ROWS), categories=[2, 1, 0]),
            "stage": rng.integers(0, 5, ROWS).astype("int32"),
            "dose": rng.choice([1.0, 2.5, 0.1], ROWS).astype("float32"),
            "treated": rng.random(ROWS) > 0.5,
            "site": rng.choice(["north, east", 'the "south"'], ROWS),
            "age": rng.random(ROWS),
            "patient": rng.choice(["p1", "p2", "p3"], ROWS),
        },
        index=[f"cell_{i}" for i in range(ROWS)],
    )
    var = pd.DataFrame(
        {
            "gene_ids": ["ENSG1", "ENSG2", "ENSG3"],
            "n_cells": np.array([5, 6, 7], dtype="int16"),
            "means": [0.1, np.nan, 3.0],
            "variable": [True, False, True],
            "modality": pd.Categorical(["rna", "adt", "rna"], categories=["adt", "rna", "atac"]),
        },
        index=pd.Index(["CD3E", "MS4A1", "NKG7"], name="symbol"),
    )
    return anndata.AnnData(X=rng.poisson(2, (ROWS, 3)).astype("int64") + 1, obs=obs, var=var)


LABELS = ["celltype", "cluster", "stage", "dose", "treated", "site"]


@pytest.fixture
def labels() -> list[str]:
    """The label columns of `adata`, one of each kind."""
    return list(LABELS)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Save counts, or whatever matrix is given, as tmp_path/expr.h5ad or .zarr; returns the path."""

    def save(x: Any = None, *, name: str = "expr.h5ad", genes: list[str] | None = None, **more: Any) -> Path:
        if x is None:
            x = sparse.csr_matrix(np.random.default_rng(1).poisson(1.0, (12, 4)).astype("float32") + np.eye(12, 4))
        rows, columns = x.shape
        obs = pd.DataFrame(
            {
                "celltype": pd.Categorical((["NK", "B"] * rows)[:rows]),
                "batch": (["a", "b", "c"] * rows)[:rows],
                "n_counts": np.arange(rows, dtype=float),
            },
            index=[f"c{i}" for i in range(rows)],
        )
        var = pd.DataFrame(index=genes or [f"g{i}" for i in range(columns)])
        path = tmp_path / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = anndata.AnnData(X=x, obs=obs, var=var, **more)
            (data.write_zarr if name.endswith(".zarr") else data.write_h5ad)(path)
        return path

    return save
