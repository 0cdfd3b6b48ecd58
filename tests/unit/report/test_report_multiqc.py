"""MultiQC custom content: two files that MultiQC finds by name, with words for every verdict and a ceiling for every score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from example_report import example

from augmentor.core.errors import ConfigError
from augmentor.evaluation.report import words
from augmentor.evaluation.report.multiqc import to_multiqc

# what MultiQC 1.35 takes in the description of a column
COLUMN = {
    "title",
    "description",
    "scale",
    "format",
    "min",
    "max",
    "hidden",
    "cond_formatting_rules",
    "cond_formatting_colours",
}


@pytest.fixture
def written(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    paths = example(hostile=True).to_multiqc(tmp_path / "pbmc_mqc.json")
    assert [path.name for path in paths] == ["pbmc_mqc.json", "pbmc_general_mqc.json"]
    section, general = (json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail) for path in paths)
    return section, general


def test_section_holds_every_headline_beside_real_rows(written: tuple[dict[str, Any], dict[str, Any]]) -> None:
    section, _ = written
    assert (section["plot_type"], section["id"]) == ("table", "augmentor")
    (row,) = section["data"].values()
    assert list(section["data"]) == ["synthetic"]
    for score in words.headlines(example()):
        key = score.name.replace(".", "_")
        assert row[key] == score.value
        if score.ceiling is not None:
            assert row[f"{key}_real"] == score.ceiling.mean
        assert not section["headers"][key].get("hidden") and not section["headers"][f"{key}_real"].get("hidden")
    assert set(row) <= set(section["headers"])
    assert all(set(column) <= COLUMN for column in section["headers"].values())
    assert "like real from 0.9" in section["description"]


def test_general_statistics_are_the_verdicts(written: tuple[dict[str, Any], dict[str, Any]]) -> None:
    _, general = written
    columns = {name: column for item in general["headers"] for name, column in item.items()}
    (row,) = general["data"].values()
    assert row["fidelity"] == "distinguishable" and row["flagged"] == 1
    assert set(row) == set(columns) == {*words.AXES, "augmentation", "flagged", "rows"}
    for axis in words.AXES:
        rules = columns[axis]["cond_formatting_rules"]
        painted = {name for item in columns[axis]["cond_formatting_colours"] for name in item}
        assert set(rules) <= painted
        assert {rule["s_eq"] for found in rules.values() for rule in found} == set(words.LEVELS)


def test_labels_cannot_be_markup(tmp_path: Path) -> None:
    report = example(hostile=True)
    hostile = report.data["synthetic"].model_copy(update={"name": "<img src=x onerror=alert(1)>.h5ad"})
    report = report.model_copy(update={"data": {**report.data, "synthetic": hostile}})
    for path in to_multiqc(report, tmp_path / "x_mqc.json"):
        text = path.read_text(encoding="utf-8")
        assert "<img" not in text and "&lt;img" in text


def test_what_has_no_value_has_no_cell(tmp_path: Path) -> None:
    report = example()
    empty = report["tstr"].model_copy(update={"value": float("nan"), "ceiling": None, "interval": None})
    report = report.model_copy(update={"scores": {**report.scores, "transfer.tstr": empty}})
    path, _ = report.to_multiqc(tmp_path / "x_mqc.json")
    (row,) = json.loads(path.read_text())["data"].values()
    assert not {"transfer_tstr", "transfer_tstr_real", "transfer_tstr_interval"} & set(row)


def test_a_name_that_multiqc_would_not_find_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"name it NAME_mqc\.json, not 'report\.json'"):
        example().to_multiqc(tmp_path / "report.json")
    assert list(tmp_path.iterdir()) == []
