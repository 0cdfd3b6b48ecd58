"""A report at rest: it comes back as it was, and what is not a report is refused in a sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from example_report import example

from augmentor.core.errors import ArtifactError, DataError
from augmentor.evaluation.report.json import from_json, json_schema, to_json
from augmentor.evaluation.score import Ceiling, Interval, Report


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    report = example(hostile=True)
    text = to_json(report, tmp_path / "report.json")
    assert from_json(tmp_path / "report.json") == report
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_same_report_same_bytes() -> None:
    assert to_json(example()) == to_json(example())


def test_numbers_that_are_none_are_null(tmp_path: Path) -> None:
    report = example()
    score = report["mmd"].model_copy(
        update={
            "value": math.nan,
            "interval": Interval(low=-math.inf, high=1.0, method="none"),
            "ceiling": Ceiling(mean=0.0, sd=math.nan, draws=1),
            "detail": {"worst": [1.0, math.inf], "matrix": np.array([[1, 2], [3, 4]]), "n": np.int64(3)},
        }
    )
    report = report.model_copy(update={"scores": {**report.scores, "mmd": score}})
    text = to_json(report, tmp_path / "r.json")
    found = json.loads(text, parse_constant=pytest.fail)["scores"]["mmd"]
    assert found["value"] is None
    assert found["detail"] == {"worst": [1.0, None], "matrix": [[1, 2], [3, 4]], "n": 3}
    back = from_json(tmp_path / "r.json")["mmd"]
    assert back.value is None
    assert back.ceiling is not None and math.isnan(back.ceiling.sd) and back.ceiling.mean == 0.0
    assert back.interval is not None and math.isnan(back.interval.low) and back.interval.high == 1.0


@pytest.mark.parametrize("form", [2, 0, "1", None])
def test_unknown_format_is_refused(tmp_path: Path, form: object) -> None:
    content = json.loads(to_json(example())) | {"format": form}
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"report of format .* reads format 1"):
        from_json(tmp_path / "r.json")


@pytest.mark.parametrize("text", ["", "not json", "[1, 2]", "{}", '{"format": 1}', "[" * 100_000, '"scores"'])
def test_what_is_not_a_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DataError, match="is not a report"):
        from_json(tmp_path / "r.json")


def test_a_damaged_report_names_the_first_wrong_field(tmp_path: Path) -> None:
    content = json.loads(to_json(example()))
    content["scores"]["mmd"]["n_used"] = "many"
    del content["seed"]
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="2 fields are not as expected, the first is 'seed'"):
        from_json(tmp_path / "r.json")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a report"):
        from_json(tmp_path / "absent.json")
    with pytest.raises(DataError, match=r"does not exist\. Create it first"):
        to_json(example(), tmp_path / "absent" / "r.json")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    target.write_text("old")
    surrogate = example().model_copy(update={"command": "\ud800"})  # cannot be written as UTF-8
    with pytest.raises(UnicodeEncodeError):
        to_json(surrogate, target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_schema_describes_every_field() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(Report.model_fields)
    assert schema["properties"]["format"]["const"] == 1
    assert {"Score", "ScoreSpec", "Ceiling", "Interval", "Rows", "Warned"} <= set(schema["$defs"])
    json.dumps(schema)
