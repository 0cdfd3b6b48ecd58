"""The page of a comparison: the answer first, nothing from outside, names from the data as text, numbers as in the result."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from example_comparison import HOSTILE, KINDS, METRICS, example
from scipy import stats

from augmentor.comparison import page
from augmentor.comparison.intervals import corrected, half_width
from augmentor.comparison.result import Word


class Seen(HTMLParser):
    """Elements with their attributes, and text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def source() -> str:
    return example(hostile=True).to_html()


def test_nothing_comes_from_outside_and_nothing_runs(source: str) -> None:
    seen = Seen(source)
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in seen.elements
    for tag, attributes in seen.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "form", "base", "img"}
        assert (attributes.get("href") or "#").startswith("#") and "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"https?://|@import|url\((?!#)", source)


def test_names_from_the_data_stay_text(source: str) -> None:
    """An arm, a label, a warning and the file's name hold markup; all of them are read as they are, also in the picture."""
    assert "<img" not in source
    seen = Seen(source)
    assert seen.text.count(HOSTILE) >= 6
    assert html.escape(HOSTILE, quote=False) in source[source.index("<svg") : source.index("</figure>")]


@pytest.mark.parametrize(
    ("answer", "words", "plain"),
    [
        ("augment", "✓ Augment", "Add about 2 synthetic rows of copula for every real row."),
        ("do not augment", "✗ Do not augment", "None of the ways to add synthetic rows"),
        ("not enough evidence", "? Not enough evidence", "neither a useful gain nor that there is none"),
    ],
)
def test_the_first_screen_is_the_answer_and_what_it_rests_on(answer: Word, words: str, plain: str) -> None:
    text = Seen(example(answer).to_html()).text
    first = text[text.index("Does augmentation help?") : text.index("What adding rows changes")]
    assert first.index(words) < first.index(plain)
    assert ("worth +7.5 real rows" in first) == (answer == "augment")
    for part in ("+0.031 [−0.012, +0.050]", "±0.01", "24 + 12", "Labels 2", "Splits 10", "Synthetic sets 3"):
        assert part in first, part


def test_every_arm_has_its_scores_intervals_and_a_sentence(source: str) -> None:
    seen = Seen(source)
    arms = [*KINDS, HOSTILE]
    assert source.count('class="scores board"') == 2
    # every arm and what gains are against; on a narrow screen the titles stand beside the numbers
    for title in ("Balanced accuracy", "Macro-F1", "AUROC", "AUPRC", "Brier"):
        assert source.count(f'data-th="{title}"') == 2 * (len(arms) + 1)
    boards = seen.text[seen.text.index("Leaderboard") : seen.text.index("What each arm is")]
    assert boards.count("+0.031 [+0.012, +0.050]") == 2 * len(METRICS)
    assert "0.800 −0.020" in boards and "✗ LEAK: knows test rows" in seen.text
    targets = {attributes["id"] for _, attributes in seen.elements if attributes.get("id")}
    links = [attributes["href"] for tag, attributes in seen.elements if tag == "a"]
    assert {str(link)[1:] for link in links} <= targets
    for sentence in (
        "A control, never recommended",
        "SMOTE: a point on the line",
        "A generator fitted to the training rows",
    ):
        assert sentence in seen.text
    heads = [attributes for tag, attributes in seen.elements if tag == "th"]
    assert heads and all(attributes.get("scope") in ("col", "row") for attributes in heads)


def test_pictures_have_names_and_descriptions_with_the_numbers(source: str) -> None:
    described = re.findall(r'<svg[^>]*role="img"[^>]*aria-labelledby="([^"]+)"', source)
    assert [names.split()[0] for names in described] == ["compare-gains-title", "compare-curve-title"]
    gains, curve = re.findall(r"<desc[^>]*>(.*?)</desc>", source, re.DOTALL)
    assert "copula, random forest: +0.031 [+0.012, +0.050]" in gains and "±0.01" in gains
    assert "24 rows 0.885" in curve
    # duplicate and copula are bounded, smote is not; the arm that leaks and the oracle are not counted
    assert "Of the 6 intervals of arms that make rows, 2 lie above zero and 2 below +0.01" in source
    assert "LEAK: &lt;img" in source[source.index("<svg") : source.index("</figure>")]
    assert 'id="picture-curve"' not in example(curve=False).to_html()


def test_the_pictures_show_the_numbers_of_the_result() -> None:
    result = example()
    *_, forest = page._forest(result)
    assert forest["arm"].count("copula") == 2 and "real_only" not in forest["arm"]
    at = forest["arm"].index("copula")
    assert (forest["gain"][at], forest["low"][at], forest["high"][at]) == (0.031, 0.012, 0.05)
    *_, curve = page._curve(result)
    assert curve["augmented"] == pytest.approx(0.95 - 0.6 * 12**-0.7 + 0.031)
    assert curve["fitted"] == pytest.approx(curve["score"])
    # the same correction as for gains, with a quarter as many test rows as training rows
    assert curve["score"][0] - curve["low"][0] == pytest.approx(stats.t.ppf(0.975, 9) * 0.02 * np.sqrt(0.1 + 0.25))
    differences = np.random.default_rng(0).normal(size=10)
    found = corrected(differences, 0.25)
    assert found.high - found.mean == pytest.approx(half_width(np.std(differences, ddof=1), 10, 0.25))


def test_method_names_splits_correction_thresholds_and_versions(source: str) -> None:
    text = Seen(source).text
    for part in (
        "5 folds, 2 times, stratified by label; all rows of one donor stay on one side",
        "Nadeau & Bengio 2003",
        "n_test / n_train = 0.25",
        "mean ± 2.26 · √(0.350 · s²)",
        "fewer than 10 splits; or a label with fewer than 5 test rows",
        "augment compare expr.h5ad --label state",
        "numpy 2.0",
    ):
        assert part in text, part


def test_the_page_is_written_and_the_same_every_time(tmp_path: Path) -> None:
    result = example()
    assert result.to_html(tmp_path / "c.html") == (tmp_path / "c.html").read_text(encoding="utf-8") == result.to_html()
