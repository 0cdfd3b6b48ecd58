"""`augment compare` on real data: a leaderboard with intervals and an answer, the same one every time."""

from __future__ import annotations

import json
from pathlib import Path

import augmentor_data
import pytest
from commanding import Augment

from augmentor.comparison.result import Comparison

KHAN = augmentor_data.path("khan")
SMALL = ("--learners", "lr", "--repeats", "2", "--seeds", "1", "--ratios", "0,1", "--genes", "100")


@pytest.mark.parametrize("rows", [5, 10, 20])
def test_khan_with_few_rows_per_label(augment: Augment, here: Path, rows: int) -> None:
    ended = augment(
        "compare", KHAN, "--label", "tumour", "--per-label", rows, *SMALL, "--json", "c.json", "--html", "c.html"
    )
    assert ended.code == 0, ended.err
    assert "10 splits, at most" in ended.err and "written: c.json, c.html" in ended.err
    first = ended.out.splitlines()[0]
    assert first.startswith(("AUGMENT with", "DO NOT AUGMENT: ", "NOT ENOUGH EVIDENCE: "))
    assert max(map(len, ended.out.splitlines())) <= 100
    for arm in ("real_only", "class_weight", "tuned_threshold", "duplicate", "smote", "gaussian", "copula"):
        assert any(line.startswith(arm) for line in ended.out.splitlines())
    content = json.loads(Path("c.json").read_text())
    assert content["format"] == 1 and content["protocol"]["per_label"] == rows
    assert content["protocol"]["train_rows"] <= 4 * rows
    assert content["verdict"]["delta"] == 0.01 and content["command"].startswith("augment compare")
    page = Path("c.html").read_text()
    assert Comparison.from_json("c.json").to_html() == page and content["verdict"]["verdict"] in page
    assert Path("c.html").stat().st_size < 500_000


def test_the_same_command_prints_the_same(augment: Augment, here: Path) -> None:
    words = ("-q", "compare", KHAN, "--label", "tumour", "--per-label", 5, *SMALL)
    one, two = augment(*words), augment(*words)
    assert one.code == two.code == 0 and one.out == two.out and not one.err
    other = augment(*words, "--seed", 1)
    assert other.out != one.out


@pytest.mark.slow
def test_cells_where_rows_are_plenty_need_no_synthetic_ones(augment: Augment, here: Path) -> None:
    """B cells, monocytes and NK cells are told apart by any classifier that has hundreds of them."""
    import anndata
    import numpy as np

    cells = anndata.read_h5ad(augmentor_data.path("pbmc3k"))
    chosen = cells[np.isin(cells.obs["celltype"], ["B", "CD14+ Mono", "NK"])].copy()
    chosen.write_h5ad("cells.h5ad")
    ended = augment("-q", "compare", "cells.h5ad", "--label", "celltype", *SMALL, "--markdown", "c.md")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("DO NOT AUGMENT: ")
    assert Path("c.md").read_text().startswith("## cells.h5ad: do not augment")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((KHAN,), 2, "needs --label"),
        ((KHAN, "--label", "tumour", "--ratios", "a,b"), 2, "--ratios must be numbers"),
        ((KHAN, "--label", "tumour", "--quick", "--full"), 2, "not both"),
        ((KHAN, "--label", "tumor"), 1, "Did you mean 'tumour'"),
        ((KHAN, "--label", "tumour", "--models", "copla"), 1, "Did you mean 'copula'"),
        ((KHAN, "--label", "tumour", "--learners", "svm"), 1, "not a learner"),
        ((KHAN, "--label", "tumour", "--json", "nowhere/c.json"), 1, "does not exist"),
        ((KHAN, "--label", "tumour", "--html", "nowhere/c.html"), 1, "does not exist"),
    ],
)
def test_refusals_are_one_sentence(augment: Augment, here: Path, words: tuple, code: int, message: str) -> None:
    ended = augment("compare", *words)
    assert ended.code == code and message in ended.err and "Traceback" not in ended.err
    assert not ended.out
