"""Without held-out rows: the model is fitted anew on all folds but one, and judged by that one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commanding import Augment

METRICS = "moments,transfer,nearest_train"


@pytest.fixture(scope="module")
def report(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    from augmentor_cli.app import main

    out = tmp_path_factory.mktemp("cross") / "report.json"
    words = [
        "-q",
        "evaluate",
        "--cross-fit",
        "3",
        "--real",
        fitted / "expr.h5ad",
        "--artifact",
        fitted / "model.augment",
    ]
    words += ["--only", METRICS, "--json", out, "--html", out.with_suffix(".html")]
    assert main([str(word) for word in words]) == 0
    return dict(json.loads(out.read_text()))


def test_every_row_judges_once_and_values_are_means_over_refits(report: dict[str, object]) -> None:
    data, scores = report["data"], report["scores"]
    assert isinstance(data, dict) and isinstance(scores, dict)
    assert data["holdout"]["rows"] == 400 and report["space"]["refits"] == 3  # type: ignore[index]
    tstr = scores["transfer.tstr"]
    assert tstr["value"] == pytest.approx(np.mean(tstr["detail"]["refits"]))
    assert tstr["interval"]["low"] < tstr["value"] < tstr["interval"]["high"]
    assert tstr["value"] > 0.8 and scores["nearest_train.excess"]["value"] is not None
    assert report["verdicts"]["utility"]["verdict"] in ("like real", "close")  # type: ignore[index]


def test_what_it_needs_is_said(augment: Augment, workplace: Path) -> None:
    ended = augment("evaluate", "--cross-fit", 3, "--real", "expr.h5ad")
    assert ended.code == 2 and "--artifact" in ended.err
    ended = augment("evaluate", "--real", "expr.h5ad")
    assert ended.code == 2 and "SYNTHETIC" in ended.err
    ended = augment("evaluate", "--cross-fit", 1, "--real", "expr.h5ad", "--artifact", "model.augment")
    assert ended.code == 1 and "at least 2" in ended.err
