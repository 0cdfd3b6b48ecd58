"""A folder as a user has it: real data, and the command line run in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata
import augmentor_data
import numpy as np
import pytest
from augmentor_cli.app import main
from commanding import Augment, Ended


@pytest.fixture
def augment(capsys: pytest.CaptureFixture[str]) -> Augment:
    """Run ``augment`` with the words given, in this process."""

    def run(*words: object) -> Ended:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> anndata.AnnData:
    """Real counts: 400 cells of three types by their 120 strongest genes."""
    pbmc = anndata.read_h5ad(augmentor_data.path("pbmc3k"))
    wanted = {"B": 150, "NK": 150, "CD14+ Mono": 100}
    rows = np.concatenate([np.flatnonzero(pbmc.obs["celltype"] == name)[:n] for name, n in wanted.items()])
    genes = np.argsort(-np.asarray(pbmc.X.mean(axis=0)).ravel(), kind="stable")[:120]
    chosen = pbmc[np.sort(rows), np.sort(genes)].copy()
    chosen.obs["celltype"] = chosen.obs["celltype"].cat.remove_unused_categories()
    chosen.uns.clear()
    return chosen


@pytest.fixture(scope="session")
def fitted(small: anndata.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``expr.h5ad`` and a ``model.augment`` fitted to it, to be copied."""
    folder = tmp_path_factory.mktemp("fitted")
    small.write_h5ad(folder / "expr.h5ad")
    code = main(
        ["-q", "fit", str(folder / "expr.h5ad"), "-l", "celltype", "-m", "copula", "-o", str(folder / "model.augment")]
    )
    assert code == 0
    return folder


@pytest.fixture
def workplace(fitted: Path, here: Path) -> Path:
    """The current folder, holding ``expr.h5ad`` and ``model.augment``."""
    for file in fitted.iterdir():
        shutil.copy(file, here)
    return here
