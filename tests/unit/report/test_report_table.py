"""A report as a data frame and as Markdown."""

from __future__ import annotations

import math

import pytest
from example_report import HOSTILE, example

from augmentor.evaluation.report.table import to_frame, to_markdown


def test_one_row_per_score_in_order() -> None:
    report = example()
    frame = report.to_frame()
    assert list(frame.index) == list(report.scores)
    row = frame.loc["discriminator.rf_genes"]
    assert (row["value"], row["ceiling"], row["floor"], row["floor_name"]) == (0.71, 0.49, 0.9, "independent")
    assert row["worst_label"] == report["rf_genes"].worst[0]  # type: ignore[index]
    assert math.isnan(frame.loc["frechet", "value"])
    assert frame.loc["frechet", "skipped"].startswith("needs 10 rows")


def test_a_report_without_scores_is_an_empty_frame() -> None:
    assert len(to_frame(example().model_copy(update={"scores": {}}))) == 0


def test_markdown_rows_have_as_many_cells_as_the_heading() -> None:
    text = to_markdown(example(hostile=True))
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert len(rows) == 2 + len(example().scores)
    assert {line.replace("\\|", "").count("|") for line in rows} == {10}


@pytest.mark.parametrize("piece", ["<img", "<script", "[red]", "$x^2$ [", "\x1b"])
def test_markdown_holds_no_live_markup(piece: str) -> None:
    assert any(piece in label for label in HOSTILE)
    assert piece not in to_markdown(example(hostile=True))
