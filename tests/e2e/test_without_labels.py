"""A few labelled rows and many without a label, in one file or in two, from fit to evaluation."""

from __future__ import annotations

import json
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


COMPARE = ("--repeats", 1, "--splits", 2, "--learners", "lr", "--seeds", 1, "--ratios", "1", "--models", "gaussian")
POOLED = ["pca_all_rows", "label_spreading", "self_training", "inferred_labels", "gaussian+unlabelled"]


def told(text: str) -> str:
    """The same without line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    "words", [("partly.h5ad",), ("few.h5ad", "--unlabelled", "many.h5ad")], ids=["one file", "two files"]
)
def test_compare_says_what_they_bring(words: tuple[str, ...], partly: anndata.AnnData, augment: Augment) -> None:
    """They stand beside the training rows and never test; two runs print the same, and every file holds the arms."""
    words = ("-q", "compare", *words, "-l", "celltype", *COMPARE)
    ended = augment(*words, "--json", "c.json", "--html", "c.html", "--markdown", "c.md")
    assert ended.code == 0, ended.err
    assert "36 rows x 120 features" in ended.out
    assert "18 training (and 364 without a label) and 18 test" in told(ended.out)
    assert "rows without a label" in told(ended.out) and "synthesis (gaussian+unlabelled) adds" in told(ended.out)
    lines = ended.out.splitlines()
    group = lines.index("with 364 rows without a label in each split:")
    assert [line.split()[0] for line in lines[group + 1 : group + 6]] == POOLED
    content = json.loads(Path("c.json").read_text())
    assert [arm["arm"] for arm in content["arms"] if arm["pooled"]] == POOLED
    assert content["verdict"]["help"]["maker"] == "gaussian+unlabelled" and content["rivals"]["lr"]["scores"]
    for name in ("c.html", "c.md"):
        text = Path(name).read_text().replace("\\_", "_")
        assert all(arm in text for arm in POOLED), name
    assert augment(*words).out.splitlines() == lines


def test_compare_says_how_few_labels_would_do(partly: anndata.AnnData, augment: Augment) -> None:
    words = ("compare", "few.h5ad", "-l", "celltype", "--labelled", 3, *COMPARE)
    ended = augment(*words)
    assert ended.code == 0, ended.err
    assert "gaussian, pca_all_rows, label_spreading, self_training, inferred_labels, gaussian+unlabelled" in ended.err
    assert "3 training rows per label keep their label: 9 training (and 9 without a label) and 18 test" in told(
        ended.out
    )
    assert "oracle_more_real" in ended.out
    refused = augment(*words, "--per-label", 3)
    assert refused.code == 2 and "not both" in refused.err
    refused = augment(*words[:4], "--labelled", 12)
    assert refused.code == 1 and "no label has more than 12 rows" in refused.err


def test_compare_refuses_other_genes(partly: anndata.AnnData, augment: Augment, here: Path) -> None:
    anndata.read_h5ad("many.h5ad")[:, :50].write_h5ad(here / "narrow.h5ad")
    ended = augment("compare", "few.h5ad", "-l", "celltype", "--unlabelled", "narrow.h5ad")
    assert ended.code == 1 and "lacks 70 of the 120 features" in ended.err
