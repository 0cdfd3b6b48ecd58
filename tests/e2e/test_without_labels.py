"""A few labelled rows and many without a label, in one file or in two, from fit to evaluation."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest
from commanding import Augment

LABELLED = 12


@pytest.fixture
def partly(small: anndata.AnnData, here: Path) -> anndata.AnnData:
    """``partly.h5ad``: 12 cells of each type keep their label; ``few.h5ad`` and ``many.h5ad``: the same cells in two files."""
    kinds = small.obs["celltype"].astype(str).to_numpy()
    known = np.concatenate([np.flatnonzero(kinds == kind)[:LABELLED] for kind in np.unique(kinds)])
    gaps = small.copy()
    gaps.obs["celltype"] = gaps.obs["celltype"].where(np.isin(np.arange(len(gaps)), known))
    gaps.write_h5ad(here / "partly.h5ad")
    small[np.sort(known)].write_h5ad(here / "few.h5ad")
    rest = small[np.setdiff1d(np.arange(len(small)), known)].copy()
    del rest.obs["celltype"]
    rest[:, ::-1].write_h5ad(here / "many.h5ad")  # genes in another order
    return gaps


@pytest.mark.parametrize(
    "words", [("partly.h5ad",), ("few.h5ad", "--unlabelled", "many.h5ad")], ids=["one file", "two files"]
)
def test_rows_without_a_label_are_learned_from(
    words: tuple[str, ...], partly: anndata.AnnData, augment: Augment
) -> None:
    fit = augment("fit", *words, "-l", "celltype", "-m", "copula")
    assert fit.code == 0, fit.err
    assert "of 364 rows without a label are learned from" in fit.err
    assert "labels of" in augment("inspect", "model.augment").out

    assert augment("sample", "--per-label", "B=40", "NK=40", "CD14+ Mono=40", "-q").code == 0
    made = anndata.read_h5ad("synthetic.h5ad")
    assert made.obs["celltype"].value_counts().to_dict() == {"B": 40, "NK": 40, "CD14+ Mono": 40}

    judged = augment(
        "evaluate", "synthetic.h5ad", "--real", words[0], "-l", "celltype", "--only", "transfer", "--json", "-"
    )
    assert judged.code == 0, judged.err
    # two rows in ten of twelve are held out, all of them labelled
    assert '"holdout"' in judged.out and '"rows": 6' in judged.out


def test_unlabelled_rows_teach_what_a_label_is_like(
    partly: anndata.AnnData, small: anndata.AnnData, augment: Augment
) -> None:
    """Class means of drawn cells come nearer to those of all cells than with the labelled cells alone."""
    kinds = small.obs["celltype"].astype(str).to_numpy()
    truth = np.log1p(np.stack([small.X[kinds == kind].toarray().mean(axis=0) for kind in np.unique(kinds)]))
    error = {}
    for name in ("few.h5ad", "partly.h5ad"):
        assert augment("fit", name, "-l", "celltype", "-m", "gaussian", "--no-holdout", "-q").code == 0
        assert augment("sample", "--per-label", *(f"{kind}=300" for kind in np.unique(kinds)), "-q").code == 0
        made = anndata.read_h5ad("synthetic.h5ad")
        own = made.obs["celltype"].astype(str).to_numpy()
        means = np.log1p(np.stack([made.X[own == kind].toarray().mean(axis=0) for kind in np.unique(kinds)]))
        error[name] = float(np.abs(means - truth).mean())
    assert error["partly.h5ad"] < 0.8 * error["few.h5ad"]


def test_other_genes_are_refused(partly: anndata.AnnData, augment: Augment, here: Path) -> None:
    anndata.read_h5ad("many.h5ad")[:, :50].write_h5ad(here / "narrow.h5ad")
    ended = augment("fit", "few.h5ad", "-l", "celltype", "--unlabelled", "narrow.h5ad")
    assert ended.code == 1 and "lacks 70 of the 120 features" in ended.err
    assert not Path("model.augment").exists()


def test_compare_neither_trains_nor_tests_on_them(partly: anndata.AnnData, augment: Augment) -> None:
    words = ("compare", "partly.h5ad", "-l", "celltype", "--quick", "--repeats", 1, "--splits", 2, "--learners", "lr")
    ended = augment(*words)
    assert ended.code == 0, ended.err
    assert "364 rows without a label take no part" in ended.err and "36 rows" in ended.out
