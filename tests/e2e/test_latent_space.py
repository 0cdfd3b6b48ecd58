"""Features, scores and rows between labels, by command line, in a folder that holds a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from augmentor_cli.app import main
from commanding import Augment


@pytest.fixture(scope="module")
def kitchen(small: anndata.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``expr.h5ad``, of which some things are beside X, and a ``model.augment`` with a latent space."""
    folder = tmp_path_factory.mktemp("kitchen")
    adata = small.copy()
    adata.obsm["X_pca"], adata.uns["study"] = np.zeros((400, 2)), "ours"
    adata.write_h5ad(folder / "expr.h5ad")
    words = ("-l", "celltype", "-m", "cvae", "--set", "epochs=5", "latent=4", "-o", folder / "model.augment")
    assert main([str(word) for word in ("-q", "fit", folder / "expr.h5ad", *words)]) == 0
    return folder


@pytest.fixture
def place(kitchen: Path, here: Path) -> Path:
    for file in kitchen.iterdir():
        shutil.copy(file, here)
    return here


def test_embed(augment: Augment, place: Path) -> None:
    ended = augment("embed", "model.augment", "expr.h5ad")
    assert ended.code == 0, ended.err
    assert ended.out == "embedded.h5ad: 400 rows, obsm['X_augmentor'] of 4 columns\n"
    made, real = anndata.read_h5ad("embedded.h5ad"), anndata.read_h5ad("expr.h5ad")
    assert made.uns["study"] == "ours" and set(made.obsm) == {"X_pca", "X_augmentor"}
    assert (made.X != real.X).nnz == 0
    assert augment("embed", "expr.h5ad", "-o", "z.csv").code == 0
    table = pd.read_csv("z.csv", index_col="sample")
    assert list(table.columns) == [f"latent_{i}" for i in range(1, 5)] and list(table.index) == list(real.obs_names)
    np.testing.assert_allclose(table.to_numpy(), made.obsm["X_augmentor"], rtol=1e-5)
    assert augment("embed", "expr.h5ad", "--denoise", "-o", "means.h5ad").code == 0
    assert anndata.read_h5ad("means.h5ad").layers["denoised"].shape == (400, 120)
    assert augment("embed", "expr.h5ad", "--denoise", "-o", "means.parquet").code == 0
    assert list(pd.read_parquet("means.parquet").columns[1:]) == list(real.var_names)


def test_score(augment: Augment, place: Path) -> None:
    adata = anndata.read_h5ad("expr.h5ad")
    spoilt = adata[:20].copy()
    spoilt.X = spoilt.X[:, np.random.Generator(np.random.SFC64(0)).permutation(120)]
    spoilt.obs_names = [f"bad{i}" for i in range(20)]
    anndata.concat([adata, spoilt]).write_h5ad("both.h5ad")
    ended = augment("score", "both.h5ad")
    assert ended.code == 0, ended.err
    assert (
        ended.out.startswith("scores.csv: 420 rows, ") and "320 rows are ones that the model learned from" in ended.err
    )
    assert "80 held-out rows do not tell what 1 in 100 is" in ended.err
    table = pd.read_csv("scores.csv", index_col="sample")
    assert table["outlier"].iloc[400:].mean() > 0.8 and table["outlier"].iloc[:400].mean() < 0.05
    ended = augment("score", "both.h5ad", "-o", "-", "--quantile", "0.9", "-q")
    assert ended.code == 0 and len(ended.out.splitlines()) == 421
    del adata.obs["celltype"]
    adata.write_h5ad("bare.h5ad")
    ended = augment("score", "bare.h5ad", "--json")
    assert "400 of 400 rows have no label that the model knows" in ended.err
    assert json.loads(ended.out)["rows"] == 400


def test_interpolate(augment: Augment, place: Path) -> None:
    words = ("interpolate", "--from", "NK", "--to", "B", "--steps", 3, "-n", 4)
    ended = augment(*words)
    assert ended.code == 0, ended.err
    assert ended.out == "between.h5ad: 12 synthetic rows, 4 at each of 3 places from NK to B\n"
    made = anndata.read_h5ad("between.h5ad")
    assert made.obs["synthetic"].all() and made.obs["weight"].tolist() == [0.0] * 4 + [0.5] * 4 + [1.0] * 4
    assert made.obs["celltype"].astype(object).where(made.obs["celltype"].notna(), None).tolist() == (
        ["NK"] * 4 + [None] * 4 + ["B"] * 4
    )
    assert made.uns["augmentor"]["model"] == "cvae"
    assert augment(*words, "-o", "b.csv").code == 0
    table = pd.read_csv("b.csv")
    np.testing.assert_array_equal(table[list(made.var_names)].to_numpy(), made.X.toarray())
    assert augment(*words, "-o", "again.h5ad").code == 0
    assert Path("again.h5ad").read_bytes() == Path("between.h5ad").read_bytes()


def test_refusals(augment: Augment, place: Path, fitted: Path) -> None:
    shutil.copy(fitted / "model.augment", place / "copula.augment")
    for words, sentence in (
        (("embed", "copula.augment", "expr.h5ad"), "copula has no latent space; these models can: autoencoder"),
        (("score", "copula.augment", "expr.h5ad"), "copula cannot score rows"),
        (("interpolate", "copula.augment", "--from", "NK", "--to", "B"), "copula cannot draw rows between labels"),
        (("interpolate", "--from", "NK", "--to", "NK"), "both ends are 'NK'"),
        (("embed", "expr.h5ad", "-o", "expr.h5ad"), "would be overwritten"),
        (("score", "expr.h5ad", "--label", "type"), "is not a column of expr.h5ad obs"),
    ):
        ended = augment(*words)
        assert ended.code == 1 and sentence in ended.err, (words, ended.err)
    for words in (("embed", "a", "b", "c"), ("score", "expr.h5ad", "-o", "s.h5ad"), ("interpolate", "--to", "B")):
        assert augment(*words).code == 2
    assert sorted(path.name for path in place.iterdir()) == ["copula.augment", "expr.h5ad", "model.augment"]
