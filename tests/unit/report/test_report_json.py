"""A report at rest: it comes back as it was, and what is not a report is refused in a sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_report import example

from augmentor.core.errors import ArtifactError, DataError
from augmentor.evaluation.report.json import from_json, json_schema, to_json
from augmentor.evaluation.score import Ceiling, Interval, LabelValue, Report


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


def test_a_value_that_cannot_be_written_has_its_reason(tmp_path: Path) -> None:
    report = example()
    recall = report["recall"]
    labels = {**recall.per_label, "B cells": LabelValue(value=math.inf, n=40)}
    scores = {
        "mmd": report["mmd"].model_copy(update={"value": math.nan}),
        "precision_recall.recall": recall.model_copy(update={"per_label": labels}),
    }
    report = report.model_copy(update={"scores": {**report.scores, **scores}})
    found = json.loads(to_json(report))["scores"]
    assert found["mmd"]["value"] is None and found["mmd"]["skipped"] == "the value is not finite (nan)"
    label = found["precision_recall.recall"]["per_label"]["B cells"]
    assert label == {"value": None, "n": 40, "reason": "the value is not finite (inf)"}
    assert all(item["value"] is not None or item["skipped"] for item in found.values())
    assert math.isnan(report["mmd"].value or 0.0)  # the report itself is left as it was


def test_schema_describes_every_field() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == set(Report.model_fields)
    assert schema["properties"]["format"]["const"] == 1
    assert {"Score", "ScoreSpec", "Ceiling", "Interval", "Rows", "Warned"} <= set(schema["$defs"])
    json.dumps(schema)


def test_published_schema_is_current() -> None:
    """``augment report --schema > docs/report.schema.json`` after a change of the format."""
    published = Path(__file__).parents[3] / "docs" / "report.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == json_schema()


def test_reports_obey_the_published_schema() -> None:
    schema, content = json_schema(), json.loads(to_json(_with_holes()))
    assert list(violations(content, schema, schema)) == []


@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        (("seed",), "zero"),
        (("format",), 2),
        (("scores", "mmd", "spec", "axis"), "beauty"),
        (("scores", "mmd", "interval", "low"), "0"),
        (("scores", "mmd", "spec", "bounds"), [0]),
        (("scores", "mmd", "unknown"), 1),
        (("data", "train", "labels", "B cells"), 0.5),
    ],
)
def test_the_schema_refuses(where: tuple[str, ...], wrong: object) -> None:
    schema, content = json_schema(), json.loads(to_json(_with_holes()))
    part = content
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = wrong
    assert len(list(violations(content, schema, schema))) == 1
    del content["scores"]
    assert any("scores" in text for text in violations(content, schema, schema))


def _with_holes() -> Report:
    report = example(hostile=True)
    ceiling = Ceiling(mean=math.nan, sd=math.nan, draws=0)
    score = report["tstr"].model_copy(update={"ceiling": ceiling, "interval": None, "value": math.nan})
    return report.model_copy(update={"scores": {**report.scores, "transfer.tstr": score}})


def violations(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "report") -> Iterator[str]:
    """What a JSON Schema forbids, for the keywords that ours uses; an unknown keyword fails the test."""
    known = {"$ref", "anyOf", "const", "enum", "type", "properties", "required", "additionalProperties", "items"}
    known |= {"prefixItems", "minItems", "maxItems", "title", "description", "default", "$schema", "$defs"}
    assert set(schema) <= known, set(schema) - known
    if "$ref" in schema:
        yield from violations(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, where)
    if "anyOf" in schema and all(list(violations(value, option, root, where)) for option in schema["anyOf"]):
        yield f"{where}: none of the alternatives"
    if "const" in schema and value != schema["const"]:
        yield f"{where}: not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: not among {schema['enum']}"
    if "type" in schema and not _is(value, schema["type"]):
        yield f"{where}: not of type {schema['type']}"
        return
    if isinstance(value, dict):
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties", True)
        yield from (f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value)
        for name, item in value.items():
            if name in properties:
                yield from violations(item, properties[name], root, f"{where}.{name}")
            elif extra is False:
                yield f"{where}: {name} is unknown"
            elif isinstance(extra, dict):
                yield from violations(item, extra, root, f"{where}.{name}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
            yield f"{where}: {len(value)} items"
        first = schema.get("prefixItems", [])
        for index, item in enumerate(value):
            option = first[index] if index < len(first) else schema.get("items", {})
            yield from violations(item, option, root, f"{where}[{index}]")


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    return value is None if kind == "null" else isinstance(value, kinds.get(kind, ()))
