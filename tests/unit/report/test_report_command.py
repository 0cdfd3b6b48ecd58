"""`augment report`: one report shown again, several side by side, the schema, and refusals in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from augmentor_cli.app import main
from example_report import example

from augmentor.evaluation.score import Report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        example().to_json(tmp_path / place / "report.json")
    moved = example().data["holdout"].model_copy(update={"digest": "other"})
    other = example().model_copy(update={"data": {**example().data, "holdout": moved}})
    other.to_json(tmp_path / "other.json")
    return tmp_path


def test_one_report_is_shown_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder / "other.json"), "--html", str(folder / "page.html")]) == 0
    out = capsys.readouterr()
    assert out.out == Report.from_json(folder / "other.json").to_text() + "\n"
    assert (folder / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "page.html" in out.err


def test_several_stand_side_by_side_under_names_that_tell_them_apart(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(folder / place / "report.json") for place in ("a", "b")]
    assert main(["report", *files, "--html", str(folder / "both.html")]) == 0
    assert "b/report − a/report [95 %]" in capsys.readouterr().out
    assert "a/report" in (folder / "both.html").read_text(encoding="utf-8")
    assert main(["report", *files, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["reports"]) == ["a/report", "b/report"]
    assert found["scores"]["mmd"]["reports"]["b/report"]["difference"]["value"] == 0.0


def test_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == Report.json_schema()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["a/report.json", "other.json"], 1, "their held-out rows are not the same"),
        (["a/report.json", "a/report.json"], 1, "a report is named twice"),
        (["a/report.json", "absent.json"], 1, "cannot be read as a report"),
        (["a/report.json", "--html", "a/report.json"], 1, "would be overwritten"),
        (["a/report.json", "--html", "absent/page.html"], 1, "does not exist. Create it first"),
        (["a/report.json", "--html", "-"], 2, "--html writes a file"),
        (["a/report.json", "--schema"], 2, "--schema stands alone"),
        ([], 2, "name at least one report"),
    ],
)
def test_refusals_are_one_sentence(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.chdir(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["report", *words]) == code
    error = capsys.readouterr().err.strip()
    assert sentence in error and error.startswith("error: ") and "\n" not in error
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
