"""What cannot be used is refused in one sentence with exit code 1, and nothing is left behind."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pytest
from commanding import Augment, Ended
from scipy import sparse

from augmentor.artifact import load as load_artifact
from augmentor.artifact import save as save_artifact

FIT = ("fit", "expr.h5ad", "--label", "celltype", "--model", "copula", "-o", "new.augment")
Spoil = Callable[[anndata.AnnData], anndata.AnnData]


def refused(augment: Augment, *words: object) -> str:
    """Run a command that must be refused, and return its sentence."""
    before = _contents()
    ended: Ended = augment("--quiet", *words)
    assert ended.code == 1, ended
    assert ended.err.startswith("error: ") and ended.err.count("\n") == 1, ended.err
    assert ended.out == ""
    assert _contents() == before
    return ended.err


def _contents() -> dict[str, tuple[int, int]]:
    return {path: (os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in sorted(os.listdir())}


def _changed(**values: float) -> Spoil:
    """Return a spoiler that puts numbers into the first entries of X."""

    def spoil(data: anndata.AnnData) -> anndata.AnnData:
        x = data.X.toarray().astype(np.float32)
        for position, value in enumerate(values.values()):
            x[position, 3] = value
        return anndata.AnnData(sparse.csr_matrix(x), data.obs, data.var)

    return spoil


def _duplicate_genes(data: anndata.AnnData) -> anndata.AnnData:
    data.var_names = ["MALAT1", "MALAT1", *data.var_names[2:]]
    return data


def _empty_cell(data: anndata.AnnData) -> anndata.AnnData:
    x = data.X.toarray()
    x[5] = 0
    return anndata.AnnData(sparse.csr_matrix(x), data.obs, data.var)


def _no_labels(data: anndata.AnnData) -> anndata.AnnData:
    data.obs["celltype"] = data.obs["celltype"].where(np.zeros(len(data), dtype=bool))
    return data


def _one_label_and_gaps(data: anndata.AnnData) -> anndata.AnnData:
    data.obs["celltype"] = np.where(data.obs["celltype"] == "B", "B", None)
    return data


def _single_row_label(data: anndata.AnnData) -> anndata.AnnData:
    names = data.obs["celltype"].astype(str).to_numpy()
    names[0] = "Megakaryocyte"
    data.obs["celltype"] = names
    return data


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize(
    ("spoil", "flags", "said"),
    [
        (_changed(a=-2.0, b=-1.0), ("--space", "counts"), ["2 negative values", "never negative"]),
        (_changed(a=np.nan), (), ["1 NaN in 1 features", "--space mixed"]),
        (_changed(a=np.inf), (), ["1 infinite value"]),
        (_duplicate_genes, (), ["duplicate feature names", "MALAT1"]),
        (_empty_cell, (), ["1 all-zero row", "row 5"]),
        (lambda data: data[:0], (), ["0 rows"]),
        (lambda data: data[:, :0], (), ["0 features"]),
        (_no_labels, (), ["'celltype' is missing in 400 of 400 rows"]),
        (_one_label_and_gaps, (), ["250 rows have no label", "only one label ('B')"]),
        (_single_row_label, (), ["label 'Megakaryocyte' has 1 row", "--rare keep"]),
    ],
    ids=[
        "negative",
        "nan",
        "inf",
        "duplicates",
        "empty cell",
        "no rows",
        "no genes",
        "no labels",
        "one label and gaps",
        "single row",
    ],
)
def test_data_that_cannot_be_used(
    spoil: Spoil, flags: tuple[str, ...], said: list[str], augment: Augment, here: Path, small: anndata.AnnData
) -> None:
    spoil(small.copy()).copy().write_h5ad(here / "expr.h5ad")
    sentence = refused(augment, *FIT, *flags)
    assert all(part in sentence for part in said), sentence


def test_files_that_cannot_be_read(augment: Augment, workplace: Path) -> None:
    assert "Did you mean 'expr.h5ad'?" in refused(augment, "fit", "exp.h5ad", "--label", "celltype")
    Path("text.h5ad").write_text("not an HDF5 file", encoding="utf-8")
    assert "text.h5ad is not an HDF5 file" in refused(augment, "fit", "text.h5ad", "--label", "celltype")
    whole = Path("expr.h5ad").read_bytes()
    Path("half.h5ad").write_bytes(whole[: len(whole) // 2])
    assert "half.h5ad is truncated" in refused(augment, "fit", "half.h5ad", "--label", "celltype")
    Path("empty.h5ad").touch()
    assert "it is empty" in refused(augment, "fit", "empty.h5ad", "--label", "celltype")


def test_labels_that_do_not_exist(augment: Augment, workplace: Path) -> None:
    sentence = refused(augment, "fit", "expr.h5ad", "--label", "cell_type")
    assert "--label 'cell_type' is not a column of expr.h5ad obs. Did you mean 'celltype'?" in sentence
    assert "Did you mean 'NK'?" in refused(augment, "sample", "--per-label", "nk=5")
    assert "cannot be negative (-5)" in refused(augment, "sample", "-n", -5)
    assert "cannot be negative (-4)" in refused(augment, "sample", "--per-label", "NK=-4")
    assert "0 rows were asked for" in refused(augment, "sample", "-n", 0)


def test_one_label_where_two_are_needed(augment: Augment, here: Path, small: anndata.AnnData) -> None:
    small[small.obs["celltype"] == "B"].copy().write_h5ad("expr.h5ad")
    sentence = refused(augment, "balance", "expr.h5ad", "--label", "celltype", "--model", "gaussian")
    assert "1 value; balancing needs at least 2" in sentence


def test_settings_that_do_not_exist(augment: Augment, workplace: Path) -> None:
    cvae = ("fit", "expr.h5ad", "-l", "celltype", "-m", "cvae", "-o", "new.augment")
    assert "Did you mean 'latent'?" in refused(augment, *cvae, "--set", "latnt=3")
    assert "'latent' of cvae" in refused(augment, *cvae, "--set", "latent=-3")
    assert "pass --seed" in refused(augment, *cvae, "--set", "seed=3")
    assert "Did you mean 'cvae'?" in refused(augment, *FIT, "--model", "cvea")
    assert "Did you mean 'counts'?" in refused(augment, *FIT, "--space", "count")
    Path("run.toml").write_text("[fit]\nlable = 'celltype'\n", encoding="utf-8")
    assert "Did you mean 'label'?" in refused(augment, *FIT, "--config", "run.toml")
    assert "backed" not in refused(augment, *FIT, "--backed")


def test_places_that_cannot_be_written(augment: Augment, workplace: Path) -> None:
    assert "does not exist" in refused(augment, *FIT, "-o", "nowhere/model.augment")
    assert "would be overwritten" in refused(augment, *FIT, "-o", "expr.h5ad")
    assert "must end in one of" in refused(augment, "sample", "-n", 5, "-o", "rows.xyz")
    assert "it is a folder" in refused(augment, *FIT, "-o", ".")


def test_models_that_cannot_be_trusted(augment: Augment, workplace: Path) -> None:
    assert "there is no model file 'none.augment'" in refused(augment, "sample", "none.augment")
    assert "found an HDF5 file" in refused(augment, "inspect", "expr.h5ad")
    whole = Path("model.augment").read_bytes()
    Path("half.augment").write_bytes(whole[: len(whole) // 2])
    assert "truncated or damaged" in refused(augment, "sample", "half.augment")

    with zipfile.ZipFile("model.augment") as archive:
        archive.extractall("edited")
    weights = Path("edited/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert "was altered" in refused(augment, "sample", "edited")

    with zipfile.ZipFile("model.augment") as archive:
        archive.extractall("newer")
    manifest = Path("newer/manifest.json")
    document = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**document, "format": document["format"] + 1}), encoding="utf-8")
    assert "newer augmentor" in refused(augment, "sample", "newer")
    manifest.write_text(json.dumps({**document, "seed": 8}), encoding="utf-8")
    assert "was altered" in refused(augment, "inspect", "newer")

    stored = load_artifact("model.augment")
    name = max(stored.weights, key=lambda name: stored.weights[name].size)
    wrong = {**stored.weights, name: stored.weights[name][None]}
    save_artifact("wrong.augment", stored.manifest, wrong, stored.transforms, stored.history)
    sentence = refused(augment, "sample", "wrong.augment")
    assert f"'{name}'" in sentence and "of another shape" in sentence


def test_sets_that_do_not_fit_together(augment: Augment, workplace: Path, small: anndata.AnnData) -> None:
    assert augment("sample", "-n", 60).code == 0
    small[:350].copy().write_h5ad("less.h5ad")
    words = ("evaluate", "synthetic.h5ad", "--only", "moments", "--artifact", "model.augment")
    assert "differs from it" in refused(augment, *words, "--real", "less.h5ad", "--label", "celltype")
    named = small.copy()
    named.var_names = [f"other_{name}" for name in named.var_names]
    named.write_h5ad("named.h5ad")
    sentence = refused(
        augment, "evaluate", "synthetic.h5ad", "--real", "named.h5ad", "-l", "celltype", "--only", "moments"
    )
    assert "features" in sentence
    sentence = refused(augment, *words, "--real", "expr.h5ad", "--require", "mean>=.9", "--require", "tstr>=0.5")
    assert "'tstr' is not a score of this report" in sentence
