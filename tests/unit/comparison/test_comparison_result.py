"""The public call: what it accepts and refuses, what it returns, and that one seed gives one result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import augmentor
from augmentor.comparison.result import Comparison
from augmentor.core.errors import ArtifactError, ConfigError, DataError, LabelError
from augmentor.core.progress import Progress
from augmentor.core.registry import MODELS
from augmentor.core.space import Space

QUICK: dict[str, Any] = {"models": ["gaussian"], "learners": ["lr"], "ratios": [1], "seeds": 1, "repeats": 2}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    label = np.repeat(["<b>", "x|y", "c"], [20, 12, 8])
    x = rng.normal(size=(40, 8)) + 0.8 * (np.arange(8) % 3 == np.repeat([0, 1, 2], [20, 12, 8])[:, None])
    return pd.DataFrame(x, columns=[f"f{i}" for i in range(8)]).assign(state=label, donor=np.arange(40) % 10)


@pytest.fixture(scope="module")
def result(frame: pd.DataFrame) -> Comparison:
    return augmentor.compare(frame, label="state", group="donor", **QUICK)


def timeless(result: Comparison) -> dict[str, Any]:
    return {key: value for key, value in result.model_dump().items() if key not in ("created", "seconds")}


def test_one_seed_gives_one_result_and_another_seed_another(frame: pd.DataFrame, result: Comparison) -> None:
    again = augmentor.compare(frame, label="state", group="donor", **QUICK)
    assert timeless(again) == timeless(result)
    other = augmentor.compare(frame, label="state", group="donor", seed=1, **QUICK)
    assert other.differences != result.differences


def test_every_arm_is_there_with_scores_and_gains(result: Comparison) -> None:
    names = [arm.arm for arm in result.arms]
    assert names == [
        *("real_only", "class_weight", "tuned_threshold"),
        *("duplicate", "bootstrap_noise", "smote", "gaussian"),
    ]
    for arm in result.arms:
        assert set(arm.scores) == set(arm.gains) == {"balanced_accuracy", "macro_f1", "auroc", "auprc", "brier"}
        gain = arm.gains["balanced_accuracy"]
        assert gain.low <= gain.mean <= gain.high and gain.wins + gain.ties + gain.losses == 10
    assert result.protocol.ratios == (0.0, 1.0) and result.protocol.splits == 10
    assert result.tested == result.labels == {"<b>": 20, "c": 8, "x|y": 12}
    assert result["lr", "smote"].kind == "simple" and result["lr", "real_only"].verdict is None
    base = result.baselines["lr"]
    assert sum(base.chosen.values()) == 10
    mean = result["lr", "smote"].scores["balanced_accuracy"] - base.scores["balanced_accuracy"]
    assert result["lr", "smote"].gains["balanced_accuracy"].mean == pytest.approx(mean)
    assert result["lr", "smote"].gains["balanced_accuracy"].mean == pytest.approx(
        np.mean(result.differences["lr"]["smote"])
    )


def test_json_comes_back_and_strangers_are_refused(result: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    assert json.loads(result.to_json(path))["format"] == 1
    assert Comparison.from_json(path) == result
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ArtifactError, match="format 2"):
        Comparison.from_json(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="not a comparison"):
        Comparison.from_json(path)
    with pytest.raises(DataError, match="cannot be read"):
        Comparison.from_json(tmp_path / "absent.json")


def test_text_fits_the_console_and_says_the_answer_first(result: Comparison) -> None:
    lines = result.to_text().splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith(result.verdict.verdict.upper())
    assert any(line.startswith("smote") for line in lines) and any("±0.01" in line for line in lines)
    assert "-0.000" not in result.to_text()


def test_markdown_shows_labels_as_they_are(result: Comparison, tmp_path: Path) -> None:
    text = result.to_markdown(tmp_path / "c.md")
    assert (tmp_path / "c.md").read_text() == text
    assert "<b>" not in text and "&lt;b>" in text and "x\\|y" in text


def test_frame_has_a_row_for_every_learner_and_arm(result: Comparison) -> None:
    table = result.to_frame()
    assert len(table) == len(result.arms) and table.loc[("lr", "smote"), "low"] <= table.loc[("lr", "smote"), "gain"]


def test_rows_per_label_are_kept_to_and_the_work_is_announced(frame: pd.DataFrame) -> None:
    heard: list[Progress] = []
    found = augmentor.compare(frame, label="state", per_label=5, listener=heard.append, **QUICK)
    assert found.protocol.train_rows == 15 and found.protocol.test_rows == 8
    assert found["lr", "oracle_more_real"].kind == "oracle"
    assert any("10 splits, at most" in item.note and "classifiers" in item.note for item in heard)
    steps = [item for item in heard if item.unit == "classifiers"]
    assert steps[-1].done == steps[-1].total and [s.done for s in steps] == sorted(s.done for s in steps)


def test_the_time_limit_ends_it_after_a_split_and_says_so(frame: pd.DataFrame) -> None:
    found = augmentor.compare(frame, label="state", max_time=1e-9, **QUICK)
    assert found.protocol.splits == 1 and "time limit" in found.warnings[0]
    assert found.verdict.verdict == "not enough evidence"


def test_mixed_tables_are_compared_with_what_accepts_them(frame: pd.DataFrame) -> None:
    table = frame.drop(columns="donor").assign(
        sex=np.where(np.arange(40) % 2, "f", "m"), f0=frame.f0.where(np.arange(40) % 7 > 0)
    )
    found = augmentor.compare(table, label="state", space="mixed", **QUICK | {"models": ["copula"]})
    made = [arm.arm for arm in found.arms if arm.kind != "plain"]
    simple = [name for name in ("smote", "gaussian") if Space.MIXED in MODELS.get(name).spec.spaces]
    assert found.space == "mixed" and made == ["duplicate", *simple, "copula"]


def test_capped_rows_are_said(frame: pd.DataFrame) -> None:
    found = augmentor.compare(frame, label="state", most_rows=24, **QUICK)
    assert found.protocol.train_rows < 32 and "at most 24 of 33" in found.warnings[0]


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"learners": ["svm"]}, ConfigError, "'svm' is not a learner"),
        ({"models": ["copla"]}, ConfigError, "Did you mean 'copula'"),
        ({"ratios": [0]}, ConfigError, "above 0"),
        ({"ratios": [-1]}, ConfigError, "from 0 to 100"),
        ({"seeds": 0}, ConfigError, "seeds must be at least 1"),
        ({"per_label": 1}, ConfigError, "per_label must be at least 2"),
        ({"label": None}, LabelError, "compare needs a label"),
    ],
)
def test_refusals(frame: pd.DataFrame, changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        augmentor.compare(frame.drop(columns="donor"), **({"label": "state"} | QUICK | changed))


def test_labels_of_too_few_rows_are_refused_by_name(frame: pd.DataFrame) -> None:
    few = frame.assign(state=["rare"] * 3 + ["a", "b"] * 18 + ["a"])
    with pytest.raises(LabelError, match=r"rare \(3\).*--min-label-rows 4"):
        augmentor.compare(few, label="state", **QUICK)
    found = augmentor.compare(few.drop(columns="donor"), label="state", min_label_rows=4, **QUICK)
    assert set(found.labels) == {"a", "b"}
    with pytest.raises(LabelError, match="1 value"):
        augmentor.compare(frame.assign(state="a"), label="state", **QUICK)
