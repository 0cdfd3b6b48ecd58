"""Reports side by side: what may be compared, paired differences, and what is called better."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_report import example
from scipy import stats

from augmentor.core.errors import ConfigError, SchemaMismatch
from augmentor.core.random import Stream
from augmentor.evaluation.report.beside import beside, difference
from augmentor.evaluation.score import Ceiling, Interval, Report, Score


def changed(report: Report, name: str, **fields: Any) -> Report:
    """Return the report with another score, or with other fields of it."""
    return report.model_copy(update={"scores": {**report.scores, name: report.scores[name].model_copy(update=fields)}})


def scored(value: float, draws: Sequence[Sequence[float]] | None = None, **fields: Any) -> Score:
    """Return a score to be maximised with its resampled values, as an evaluation records them."""
    base = example()["recall"]
    detail = {} if draws is None else {"resampled": [list(fold) for fold in draws]}
    return base.model_copy(update={"value": value, "detail": detail, "flags": (), **fields})


def test_a_report_beside_itself_differs_nowhere() -> None:
    found = beside({"a": example(), "b": example()})
    differences = [line.differences[1] for line in found.lines]
    assert {item.value for item in differences if item} == {0.0}
    assert {item.word for item in differences if item and item.low is not None} == {"no difference"}
    assert found.notes == ()
    assert [line.spec.name for line in found.lines if line.spec.headline] == [
        line.spec.name for line in found.lines[: sum(line.spec.headline for line in found.lines)]
    ]


def test_paired_interval_is_that_of_the_differences() -> None:
    rng = Stream(0).child("beside").numpy()
    shared = rng.standard_normal((2, 6))  # the rows that both evaluations drew: large, and the same
    own = 0.1 * rng.standard_normal((2, 2, 6))
    a, b = scored(0.8, shared + own[0]), scored(0.9, shared + own[1])
    found = difference(a, b, same_rows=True)
    assert found is not None and found.method == "paired, 12 draws"
    apart = own[1] - own[0]
    sd = np.sqrt(np.mean([apart[0].var(ddof=1), apart[1].var(ddof=1)]) / 2)
    assert found.value == pytest.approx(0.1)
    assert found.high is not None and found.high - found.value == pytest.approx(stats.t.ppf(0.975, 10) * sd)
    unpaired = difference(a, b, same_rows=False)
    assert unpaired is not None and unpaired.method == "unpaired"
    half = [(item.interval.high - item.interval.low) / 2 for item in (a, b) if item.interval]
    assert unpaired.high is not None and unpaired.high - unpaired.value == pytest.approx(np.hypot(*half))


def test_coverage_of_the_paired_interval() -> None:
    """500 pairs of scores whose expected difference is 0: the interval misses it in about 5 %, here at most 8 %.

    With p = .05 and n = 500, more than 40 misses have a probability below .002; the seed is fixed.
    """
    rng, missed = Stream(1).child("coverage").numpy(), 0
    for _ in range(500):
        noise = rng.standard_normal((2, 1, 1))  # errors of both values; independent draws have the same spread
        draws = rng.standard_normal((2, 1, 12))
        found = difference(scored(noise[0, 0, 0], draws[0]), scored(noise[1, 0, 0], draws[1]), same_rows=True)
        assert found is not None and found.low is not None and found.high is not None
        missed += not found.low <= 0 <= found.high
    assert 10 <= missed <= 40


@pytest.mark.parametrize(
    ("change", "pairs"),
    [
        ({}, True),
        ({"n_used": 500}, False),
        ({"detail": {}}, False),
        ({"detail": {"resampled": [[0.8] * 5, [0.8] * 6]}}, False),
        ({"detail": {"resampled": [[None] * 6, [0.8, 0.81, None, 0.83, 0.8, 0.82]]}}, True),
    ],
)
def test_pairs_only_what_was_drawn_together(change: dict[str, Any], pairs: bool) -> None:
    draws = [[0.8, 0.81, 0.79, 0.8, 0.82, 0.78]] * 2
    found = difference(scored(0.8, draws), scored(0.8, draws).model_copy(update=change), same_rows=True)
    assert found is not None and found.method.startswith("paired" if pairs else "unpaired")


def test_targets_are_compared_by_distance_from_the_ideal() -> None:
    base = example()["rf_pcs"]
    narrow = [Interval(low=value - 0.01, high=value + 0.01, method="") for value in (0.40, 0.55, 0.60)]
    low, near, far = (
        base.model_copy(update={"value": item.low + 0.01, "interval": item, "detail": {}}) for item in narrow
    )
    assert _difference(low, near) == (pytest.approx(-0.05), "better")
    assert _difference(low, far) == (pytest.approx(0.0), "no difference")
    assert _difference(near, far) == (pytest.approx(0.05), "worse")


def test_what_is_beyond_real_rows_is_no_improvement() -> None:
    ceiling = Ceiling(mean=0.9, sd=0.01, draws=5)
    interval = {value: Interval(low=value - 0.01, high=value + 0.01, method="") for value in (0.8, 0.88, 0.99)}
    plain, good, beyond = (scored(value, ceiling=ceiling, interval=item) for value, item in interval.items())
    assert _difference(plain, good)[1] == "better"
    assert _difference(good, plain)[1] == "worse"
    assert _difference(good, beyond)[1] == "beyond real"
    assert _difference(beyond, good)[1] == "beyond real"


def _difference(a: Score, b: Score) -> tuple[float, str]:
    found = difference(a, b, same_rows=True)
    assert found is not None
    return found.value, found.word


def test_missing_and_skipped_scores_keep_their_place() -> None:
    other = example()
    lacking = other.model_copy(update={"scores": {k: v for k, v in other.scores.items() if k != "mmd"}})
    skipped = changed(lacking, "zeros.difference", value=None, skipped="time budget")
    found = beside({"a": example(), "b": skipped})
    lines = {line.spec.name: line for line in found.lines}
    assert lines["mmd"].scores[1] is None and lines["mmd"].differences[1] is None
    assert lines["zeros.difference"].differences[1] is None
    entry = found.document()["scores"]
    assert entry["mmd"]["reports"]["b"]["skipped"] == "not in this report"
    assert entry["zeros.difference"]["reports"]["b"]["skipped"] == "time budget"


def _with_rows(report: Report, name: str, **fields: Any) -> Report:
    return report.model_copy(update={"data": {**report.data, name: report.data[name].model_copy(update=fields)}})


REFUSED = {
    "their held-out rows are not the same": lambda r: _with_rows(r, "holdout", digest="other"),
    "their schemas have 300 and 20 genes": lambda r: _with_rows(r, "holdout", genes=20),
    "the label columns are 'celltype' and 'batch'": lambda r: r.model_copy(update={"label": "batch"}),
    r"their spaces differ in pcs, digest \(seeds 0 and 1\)": lambda r: r.model_copy(
        update={"space": {**r.space, "pcs": 20, "digest": "x"}, "seed": 1}
    ),
    "their arms are": lambda r: r.model_copy(update={"arms": ("synthetic",)}),
    "a has held-out rows and b has none": lambda r: r.model_copy(
        update={"data": {k: v for k, v in r.data.items() if k != "holdout"}}
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refuses_what_cannot_be_compared(sentence: str) -> None:
    with pytest.raises(SchemaMismatch, match=f"^a and b cannot stand side by side: {sentence}"):
        beside({"a": example(), "b": REFUSED[sentence](example())})


def test_one_report_is_not_a_comparison() -> None:
    with pytest.raises(ConfigError, match="at least two"):
        beside({"a": example()})


def test_what_weakens_the_comparison_is_said() -> None:
    other = _with_rows(example(), "train", digest="other").model_copy(update={"seed": 3})
    found = beside({"a": example(), "b": other})
    assert any("seeds 0 and 3: differences are unpaired" in note for note in found.notes)
    assert any("different training rows" in note for note in found.notes)
    assert {item.method for line in found.lines if (item := line.differences[1])} <= {"unpaired", ""}
    fewer = example().model_copy(update={"space": {**example().space, "rows_compared": 10}})
    assert "10 rows" in beside({"a": example(), "b": fewer}).notes[0]


def test_text_fits_the_width_and_says_how_to_read_it() -> None:
    worse = changed(example(), "discriminator.rf_pcs", value=0.9, detail={})
    text = beside({"first": example(hostile=True), "second": worse}).to_text(100)
    assert max(map(len, text.split("\n"))) <= 100
    assert "second − first [95 %]" in text
    assert "0.900 ▼" in text and "no overall score" in " ".join(text.split())
    many = {f"a rather long name {i}": worse for i in range(5)}
    wide = beside({"first": example(), **many}).to_text(100)
    assert max(map(len, wide.split("\n"))) <= 100 and "intervals of the differences: --html or --json" in wide


def test_page_is_complete_and_escaped(tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    worse = changed(example(hostile=True), "discriminator.rf_pcs", value=0.9, detail={})
    found = beside({"a": example(hostile=True), name: worse})
    page = found.to_html(tmp_path / "both.html")
    assert (tmp_path / "both.html").read_text(encoding="utf-8") == page
    parser = _Tags()
    parser.feed(page)
    assert not {"img", "script", "link", "iframe"} & set(parser.tags)
    assert "default-src 'none'" in page and "&lt;img src=x onerror=alert(1)&gt;" in page
    assert '<span aria-hidden="true">▼</span> worse' in page
    assert all(line.spec.title.lower() in page.lower() for line in found.lines)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def test_document_is_json() -> None:
    found = beside({"a": example(), "b": changed(example(), "mmd", value=float("nan"))})
    text = json.dumps(found.document(), allow_nan=False)
    assert json.loads(text)["scores"]["mmd"]["reports"]["b"]["value"] is None
