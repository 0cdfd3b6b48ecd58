"""A report as JSON and back: format 1, its schema published by `json_schema` and in ``docs/report.schema.json``.

A value that is not a number, or not finite, is written as ``null``: JSON has no other way to say it. The value of a score,
or of a label, then has its reason beside it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from augmentor.core.atomic import atomic_file
from augmentor.core.errors import ArtifactError, DataError
from augmentor.evaluation.score import FORMAT, Report

# Numbers that are not optional while an evaluation lives, and may be null at rest.
_MAY_BE_NULL = {"Interval": ("low", "high"), "Ceiling": ("mean", "sd")}


def to_json(report: Report, path: str | os.PathLike[str] | None = None) -> str:
    """Return the report as JSON, and write it to ``path`` where one is given.

    Keys stand in the report's order and lists of numbers on one line, so that two reports can be compared by eye.
    """
    text = _encode(_plain(_explained(report).model_dump(mode="python"))) + "\n"
    if path is not None:
        with atomic_file(path) as file:
            file.write(text.encode())
    return text


def from_json(path: str | os.PathLike[str]) -> Report:
    """Read a report that `to_json` wrote.

    Raises:
        DataError: the file is absent or is not a report.
        ArtifactError: the report has a format that this version does not know.
    """
    file = Path(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file} cannot be read as a report ({error.strerror}); check the path.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not a report: expected JSON, found something else ({error}).") from error
    if not isinstance(content, dict) or "scores" not in content or "format" not in content:
        raise DataError(f"{file} is not a report: expected the keys 'format' and 'scores', as evaluate writes them.")
    if content["format"] != FORMAT:
        raise ArtifactError(
            f"{file} is a report of format {content['format']!r}, and this version of augmentor reads format "
            f"{FORMAT}; install the version that wrote it or a newer one, or evaluate again."
        )
    try:
        return Report.model_validate(_restored(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{file} is not a valid report: {error.error_count()} fields are not as expected, the first is "
            f"'{where}' ({first['msg']}); evaluate again."
        ) from error


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a report."""
    schema = Report.model_json_schema(mode="serialization")
    for part, names in _MAY_BE_NULL.items():
        for name in names:
            field = schema["$defs"][part]["properties"][name]
            field["anyOf"] = [{"type": field.pop("type")}, {"type": "null"}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"augmentor report, format {FORMAT}",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _explained(report: Report) -> Report:
    """Return the report with a reason beside every value that cannot be written."""
    scores = {}
    for name, score in report.scores.items():
        labels = {
            label: item.model_copy(update={"reason": item.reason or _reason(item.value)})
            for label, item in score.per_label.items()
            if _reason(item.value)
        }
        change: dict[str, Any] = {"per_label": {**score.per_label, **labels}} if labels else {}
        if _reason(score.value):
            change["skipped"] = score.skipped or _reason(score.value)
        scores[name] = score.model_copy(update=change) if change else score
    return report.model_copy(update={"scores": scores})


def _reason(value: float | None) -> str | None:
    return f"the value is not finite ({value})" if value is not None and not math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """Return the value made of dicts, lists, strings, finite numbers, booleans and None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _restored(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content with ``null`` read as NaN in intervals and ceilings, whose numbers are not optional."""
    scores = content["scores"]
    for score in scores.values() if isinstance(scores, dict) else ():
        for part, keys in _MAY_BE_NULL.items():
            found = score.get(part.lower()) if isinstance(score, dict) else None
            if isinstance(found, dict):
                found.update({key: math.nan for key in keys if key in found and found[key] is None})
    return content


def _encode(value: Any, indent: str = "") -> str:
    inner = indent + "  "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{_text(key)}: {_encode(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(inner + _encode(item, inner) for item in value) + f"\n{indent}]"
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
