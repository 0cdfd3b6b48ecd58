"""The bundled data sets are what data/README.md says they are."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import augmentor_data as data
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.svm import SVC

FOLDER = Path(data.__file__).parent


def test_names_and_paths() -> None:
    assert {"khan", "pbmc3k"} <= set(data.names())
    for name in data.names():
        assert data.path(name).is_file()
        assert (data.path(name).parent / "LICENSE").read_text(encoding="utf-8").strip()
        assert f"## {name}\n" in (FOLDER / "README.md").read_text(encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"'pbmc' is not a bundled data set. Bundled: .*pbmc3k"):
        data.path("pbmc")


def test_sizes() -> None:
    sizes = {name: data.path(name).stat().st_size for name in data.names()}
    assert sizes["pbmc3k"] < 3_500_000
    assert sum(sizes.values()) < 5_000_000


def test_pbmc3k() -> None:
    cells = ad.read_h5ad(data.path("pbmc3k"))
    assert cells.shape == (2638, 13714)
    assert sparse.isspmatrix_csr(cells.X) and cells.X.has_sorted_indices
    assert np.issubdtype(cells.X.dtype, np.integer)
    assert cells.X.data.min() == 1 and cells.X.data.max() == 419
    assert np.asarray(cells.X.sum(axis=1)).min() > 0
    assert cells.obs_names.is_unique and cells.var_names.is_unique
    labels = cells.obs["celltype"]
    assert isinstance(labels.dtype, pd.CategoricalDtype) and labels.notna().all()
    assert len(labels.cat.categories) == 9 and labels.value_counts().min() >= 10
    assert "desc 2.1.1" in cells.uns["provenance"] and "MIT" in cells.uns["licence"]


@pytest.mark.parametrize(
    ("label", "marker"),
    [
        ("B", "MS4A1"),
        ("NK", "GNLY"),
        ("CD14+ Mono", "CD14"),
        ("FCGR3A+ Mono", "FCGR3A"),
        ("CD8 T", "CD8A"),
        ("DC", "FCER1A"),
        ("Platelet", "PPBP"),
        ("Naive CD4 T", "CCR7"),
    ],
)
def test_labels_belong_to_their_rows(label: str, marker: str) -> None:
    cells = ad.read_h5ad(data.path("pbmc3k"))
    share = np.asarray(cells[:, marker].X.todense()).ravel() / np.asarray(cells.X.sum(axis=1)).ravel()
    means = pd.Series(share, index=cells.obs_names).groupby(cells.obs["celltype"], observed=True).mean()
    assert means.idxmax() == label


def test_khan() -> None:
    tumours = pd.read_csv(data.path("khan"), index_col=0)
    assert tumours.shape == (83, 2309)
    assert tumours["tumour"].value_counts().to_dict() == {"EWS": 29, "RMS": 25, "NB": 18, "BL": 11}
    values = tumours.drop(columns="tumour").to_numpy()
    assert values.dtype == np.float64 and np.isfinite(values).all() and values.min() < 0
    assert tumours.index.is_unique
    # the published result: a linear support vector machine learns all training rows and errs on 2 of 20 test rows
    # (James et al., An Introduction to Statistical Learning, 9.6.5), so the labels belong to their rows
    train = tumours.index.str.startswith("train")
    machine = SVC(kernel="linear", C=10).fit(values[train], tumours["tumour"][train])
    assert machine.score(values[train], tumours["tumour"][train]) == 1.0
    assert machine.score(values[~train], tumours["tumour"][~train]) == 0.9


@pytest.mark.shared
def test_agrees_with_another_annotation(shared_data: Path) -> None:
    cells = ad.read_h5ad(data.path("pbmc3k"))
    other = ad.read_h5ad(shared_data / "pbmc3k.h5ad")[cells.obs_names, cells.var_names]
    assert abs(other.X - cells.X).sum() == 0
    assert (other.obs["celltype"].astype(str) == cells.obs["celltype"].astype(str)).mean() > 0.9
