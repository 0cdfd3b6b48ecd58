"""The main road, as a user walks it: fit, sample, evaluate, balance, inspect, in a folder that holds a file."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import anndata
import augmentor_data
import numpy as np
import pandas as pd
import pytest
from commanding import Augment, assert_same_tensors
from scipy import sparse

from augmentor.core.errors import ThresholdMissed

QUICK = ("--only", "moments,transfer")
PIPELINE = """
from augmentor import evaluate

report = evaluate(synthetic="synthetic.h5ad", real="expr.h5ad", artifact="model.augment", label="celltype", metrics=["transfer"])
report.to_json("pipeline.json")
report.require("tstr_ratio >= {limit}")
"""


def test_the_three_lines_of_the_readme(augment: Augment, here: Path) -> None:
    shutil.copy(augmentor_data.path("pbmc3k"), here / "expr.h5ad")
    fit = augment("fit", "expr.h5ad", "--label", "celltype", "--genes", 200, "--model", "copula")
    assert fit.code == 0 and fit.out.startswith("model.augment: copula, learned from 2,111 rows x 200 features")
    assert "counts (all values are non-negative integers" in fit.err and "Naive CD4 T 546" in fit.err
    sample = augment("sample", "-n", 500)
    assert sample.code == 0 and sample.out.startswith("synthetic.h5ad: 500 synthetic rows")

    real, made = anndata.read_h5ad("expr.h5ad"), anndata.read_h5ad("synthetic.h5ad")
    assert made.shape == (500, 200)
    assert list(made.var_names) == [name for name in real.var_names if name in set(made.var_names)]
    assert sparse.issparse(made.X) and made.X.dtype == real.X.dtype
    assert made.X.data.min() > 0 and np.array_equal(made.X.data, np.rint(made.X.data))
    assert list(made.obs["celltype"].cat.categories) == list(real.obs["celltype"].cat.categories)
    assert made.obs["synthetic"].all() and made.uns["augmentor"]["model"] == "copula"

    evaluate = augment("evaluate", "synthetic.h5ad", "--real", "expr.h5ad", *QUICK, "--require", "tstr_ratio>=0.5")
    assert evaluate.code == 0, evaluate.err
    assert "527 held-out rows" in evaluate.out and "transfer.tstr" in evaluate.out
    written = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert written["data"]["holdout"]["rows"] == 527 and written["command"].startswith("augment evaluate")
    assert "<html" in Path("report.html").read_text(encoding="utf-8")[:2000]

    runpy.run_path(_script(here, 0.5))
    with pytest.raises(ThresholdMissed, match="tstr_ratio is"):
        runpy.run_path(_script(here, 9))
    assert Path("pipeline.json").is_file()


def _script(folder: Path, limit: float) -> str:
    path = folder / "pipeline.py"
    path.write_text(PIPELINE.format(limit=limit), encoding="utf-8")
    return str(path)


def test_a_missed_threshold_is_exit_3_and_the_report_is_written(augment: Augment, workplace: Path) -> None:
    assert augment("sample", "-n", 200, "--quiet").code == 0
    words = ("evaluate", "synthetic.h5ad", "--real", "expr.h5ad", "--label", "celltype", "--only", "transfer")
    ended = augment(
        *words, "--require", "tstr > 0.1", "--require", "trtr.worst >= 2", "--json", "-", "--html", "r.html"
    )
    assert ended.code == 3
    assert ended.err.splitlines()[-1].startswith("error: 1 of 2 requirements missed: trtr.worst is")
    assert json.loads(ended.out)["scores"]["transfer.tstr"]["value"] > 0.1
    assert Path("r.html").is_file() and not Path("report.json").exists()


def test_the_same_rows_twice_and_however_they_are_chunked(augment: Augment, workplace: Path) -> None:
    for name, flags in {"a": (), "b": (), "1": (1,), "13": (13,), "4096": (4096,)}.items():
        block = ("--block", *flags) if flags else ()
        assert augment("sample", "-n", 300, "-o", f"{name}.h5ad", *block).code == 0
    assert augment("sample", "-n", 300, "--seed", 7, "-o", "other.h5ad").code == 0
    first = anndata.read_h5ad("a.h5ad")
    for name in ("b", "1", "13", "4096"):
        same = anndata.read_h5ad(f"{name}.h5ad")
        assert (first.X != same.X).nnz == 0
        pd.testing.assert_frame_equal(first.obs, same.obs)
    assert (first.X != anndata.read_h5ad("other.h5ad").X).nnz > 0


@pytest.mark.parametrize("model", ["copula", "cvae"])
def test_fit_twice_gives_identical_tensors(model: str, augment: Augment, workplace: Path) -> None:
    settings = ("--set", "epochs=3", "hidden=16") if model == "cvae" else ()
    for name in ("one", "two"):
        ended = augment("fit", "expr.h5ad", "-l", "celltype", "-m", model, "-o", f"{name}.augment", *settings)
        assert ended.code == 0, ended.err
    assert_same_tensors(Path("one.augment"), Path("two.augment"))


def test_a_cvae_from_a_run_file_samples_and_is_inspected(augment: Augment, workplace: Path) -> None:
    Path("run.toml").write_text(
        '[fit]\ndata = "expr.h5ad"\nlabel = "celltype"\nmodel = "cvae"\ngenes = 100\nmax-time = "5m"\n'
        "[model]\nepochs = 2\nhidden = 16\nlatent = 4\n",
        encoding="utf-8",
    )
    fit = augment("fit", "--config", "run.toml", "--genes", 80, "--set", "latent=5", "--json", "-o", "c.augment")
    assert fit.code == 0, fit.err
    assert json.loads(fit.out)["features"] == 80
    card = augment("inspect", "c.augment").out
    assert "cvae" in card and "latent 5, hidden 16" in card and "2 epochs" in card and "B 150" in card
    document = json.loads(augment("inspect", "c.augment", "--json").out)
    assert document["config"]["latent"] == 5 and document["config"]["epochs"] == 2
    ended = augment("sample", "c.augment", "--per-label", "CD14+ Mono=20", "NK=7", "-o", "rows.csv", "--json")
    assert json.loads(ended.out) == {"output": "rows.csv", "rows": 27, "labels": {"NK": 7, "CD14+ Mono": 20}}
    assert pd.read_csv("rows.csv")["celltype"].value_counts().to_dict() == {"CD14+ Mono": 20, "NK": 7}


def test_csv_goes_to_stdout(augment: Augment, workplace: Path) -> None:
    ended = augment("sample", "-n", 3, "-o", "-")
    lines = ended.out.splitlines()
    assert ended.code == 0 and len(lines) == 4 and lines[0].count(",") > 100
    assert "3 synthetic rows" in ended.err


def test_balance_appends_up_to_the_largest_label(augment: Augment, workplace: Path) -> None:
    ended = augment("balance", "expr.h5ad", "-l", "celltype", "-m", "smote", "--genes", 50)
    assert ended.code == 0, ended.err
    real, both = anndata.read_h5ad("expr.h5ad"), anndata.read_h5ad("balanced.h5ad")
    assert set(both.obs["celltype"].value_counts()) == {real.obs["celltype"].value_counts().max()}
    kept = both[~both.obs["synthetic"].to_numpy()]
    assert list(kept.obs_names) == list(real.obs_names)
    assert (kept.X != real[:, both.var_names].X).nnz == 0


def test_the_holdout_can_be_given_instead_of_an_artifact(augment: Augment, workplace: Path) -> None:
    real = anndata.read_h5ad("expr.h5ad")
    odd = np.arange(len(real)) % 2 == 1
    real[~odd].write_h5ad("train.h5ad")
    real[odd].write_h5ad("test.h5ad")
    fit = augment("fit", "train.h5ad", "-l", "celltype", "--no-holdout", "-m", "copula", "-o", "t.augment")
    assert fit.code == 0 and "--no-holdout: every row is learned from" in fit.err
    assert augment("sample", "t.augment", "-o", "s.h5ad").code == 0
    words = ("evaluate", "s.h5ad", "-l", "celltype", "--only", "moments")
    assert augment(*words, "--train", "train.h5ad", "--holdout", "test.h5ad", "--strict").code == 0
    without = augment(*words, "--train", "train.h5ad", "--strict")
    assert without.code == 1 and "no held-out rows" in without.err
    other = augment(*words, "--real", "train.h5ad")
    assert other.code == 0 and "was fitted on other data (expr.h5ad, 400 rows) and is not used" in other.err


def test_read_from_disk_in_blocks(augment: Augment, workplace: Path) -> None:
    ended = augment(
        "fit", "expr.h5ad", "-l", "celltype", "--backed", "--genes", 40, "-m", "gaussian", "-o", "b.augment"
    )
    assert ended.code == 0, ended.err
    assert augment("sample", "b.augment", "-n", 9).code == 0
    assert anndata.read_h5ad("synthetic.h5ad").shape == (9, 40)


def test_models_and_metrics_are_listed_and_explained(augment: Augment) -> None:
    models = json.loads(augment("models", "--json").out)
    assert {"bootstrap", "copula", "cvae"} <= set(models)
    shown = augment("models", "show", "cvae").out
    assert "latent dimensions" in shown and "keeps rows" in shown
    assert json.loads(augment("models", "show", "copula", "--json").out)["name"] == "copula"
    assert "transfer" in augment("metrics").out
    shown = augment("metrics", "show", "transfer").out
    assert "transfer.tstr" in shown and "formula" in shown


def test_the_demo(augment: Augment, here: Path) -> None:
    ended = augment("demo", "--genes", 60, "--model", "copula", "--only", "moments")
    assert ended.code == 0, ended.err
    assert {path.name for path in Path("demo").iterdir()} >= {
        "expr.h5ad", "model.augment", "synthetic.h5ad", "report.html", "report.json", "figures",
    }  # fmt: skip
    assert "$ augment sample demo/model.augment" in ended.err
    assert ended.out.splitlines()[-1].endswith("demo/report.html")
