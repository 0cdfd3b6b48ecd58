"""Uses of the latent space through the public face: what goes in comes out."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import people
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from augmentor import Augmentor
from augmentor.core.errors import LabelError


@pytest.fixture(scope="module")
def fitted() -> Augmentor:
    return Augmentor("cvae", seed=0, device="cpu", epochs=3, latent=3, hidden=16).fit(
        people.counts(200), label="celltype"
    )


def test_anndata(fitted: Augmentor) -> None:
    adata = people.counts(60)
    found = fitted.embed(adata)
    assert isinstance(found, anndata.AnnData) and found.obsm["X_augmentor"].shape == (60, 3)
    assert "X_augmentor" not in adata.obsm
    pd.testing.assert_frame_equal(found.obs, adata.obs)
    means = fitted.denoise(adata)
    assert means.layers["denoised"].shape == (60, 30) and "denoised" not in adata.layers
    scores = fitted.score(adata)
    assert list(scores.index) == list(adata.obs_names)
    assert list(scores.columns) == ["label", "label_known", "trained", "score", "quantile", "outlier"]
    rows = fitted.interpolate("T", "B", steps=3, n=4)
    assert isinstance(rows, anndata.AnnData) and rows.shape == (12, 30)
    assert rows.uns["augmentor"]["interpolation"] == {"from": "T", "to": "B", "steps": 3, "rows": 4}
    assert {"from", "to", "step", "weight", "path", "synthetic"} <= set(rows.obs)


def test_a_path_and_labels_of_another_name(fitted: Augmentor, tmp_path: Path) -> None:
    adata = people.counts(60)
    adata.write_h5ad(tmp_path / "expr.h5ad")
    assert_array_equal(
        fitted.embed(tmp_path / "expr.h5ad").obsm["X_augmentor"], fitted.embed(adata).obsm["X_augmentor"]
    )
    adata.obs["kind"] = adata.obs.pop("celltype").astype(str)
    assert not fitted.score(adata)["label_known"].any()
    assert fitted.score(adata, label="kind")["label_known"].all()
    with pytest.raises(LabelError, match="'kin' is not a column"):
        fitted.score(adata, label="kin")


def test_fewer_modelled_genes_leave_the_others_out_of_what_is_denoised() -> None:
    adata = people.counts(100)
    few = Augmentor("autoencoder", device="cpu", epochs=1).fit(adata, label="celltype", genes=12)
    assert few.embed(adata).shape == (100, 30)
    means = few.denoise(adata)
    assert means.shape == (100, 12) and list(means.var_names) == list(few.fitted.schema.features)
    assert_allclose(means.layers["denoised"].sum(axis=1), np.asarray(means.X.sum(axis=1)).ravel(), rtol=1e-4)


def test_data_frames_keep_their_index() -> None:
    df = people.table().set_axis([f"p{i}" for i in range(90)])
    model = Augmentor("autoencoder", device="cpu", epochs=2, latent=2).fit(df, label="state")
    z, means, scores = model.embed(df), model.denoise(df), model.score(df)
    assert list(z.columns) == ["latent_1", "latent_2"] and list(z.index) == list(df.index)
    assert list(means.columns) == [f"f{i}" for i in range(6)] and list(means.index) == list(df.index)
    assert list(scores.index) == list(df.index) and set(scores["label"]) == {"healthy", "tumour"}
    rows = model.interpolate("healthy", "tumour", steps=2, n=3)
    assert isinstance(rows, anndata.AnnData | pd.DataFrame) and len(rows) == 6


def test_arrays() -> None:
    df = people.table()
    x, y = df.drop(columns="state").to_numpy(), df["state"].to_numpy()
    model = Augmentor("autoencoder", device="cpu", epochs=2, latent=2).fit((x, y), label="label")
    assert model.embed((x, y)).shape == (90, 2) and model.denoise(x).shape == (90, 6)
    assert len(model.score(x)) == 90
    rows, weights = model.interpolate("healthy", "tumour", steps=2, n=3)
    assert rows.shape == (6, 6) and weights.tolist() == [0, 0, 0, 1, 1, 1]


def test_covariates_go_along() -> None:
    adata = people.counts(200)
    adata.obs["age"] = np.arange(200.0) % 50
    model = Augmentor("cvae", device="cpu", epochs=2, latent=3).fit(adata, label="celltype", covariate="age")
    z = model.embed(adata).obsm["X_augmentor"]
    other = adata.copy()
    other.obs["age"] += 40
    assert not np.allclose(z, model.embed(other).obsm["X_augmentor"])
    rows = model.interpolate("T", "B", steps=3, n=4)
    assert rows.obs["age"].between(0, 49).all()
    with pytest.raises(LabelError, match="age"):
        model.embed(people.counts(20))


def test_the_same_before_and_after_the_disk(fitted: Augmentor, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model.augment")
    again, adata = Augmentor.load(tmp_path / "model.augment"), people.counts(60)
    assert_array_equal(again.embed(adata).obsm["X_augmentor"], fitted.embed(adata).obsm["X_augmentor"])
    pd.testing.assert_frame_equal(again.score(adata), fitted.score(adata), check_exact=True)
    one, two = (model.interpolate("T", "B", steps=2, n=5) for model in (fitted, again))
    assert_array_equal(one.X.toarray(), two.X.toarray())
