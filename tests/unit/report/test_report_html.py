"""The page: complete without a network, hostile labels stay text, the order a reader needs."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from example_report import HOSTILE, LABELS, example

from augmentor.core.errors import DataError
from augmentor.evaluation.report import figures, words
from augmentor.evaluation.report.html import _normalised_interval, to_html
from augmentor.evaluation.score import Ceiling, Interval, Report, Verdict, Warned


class Page(HTMLParser):
    """What a browser would see: elements with attributes, and text outside of scripts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_script = tag == "script"

    def handle_data(self, data: str) -> None:
        (self.scripts if self._in_script else self.texts).append(data)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


@pytest.fixture(scope="module")
def source() -> str:
    return to_html(example(hostile=True))


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_asks_nothing_of_the_network(source: str, page: Page) -> None:
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in page.elements
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "form", "base", "img"}
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"https?://|@import|url\((?!#)", source)
    assert len(source.encode()) < 6_000_000


def test_hostile_labels_stay_text(page: Page) -> None:
    text = " ".join(page.texts)
    for label in HOSTILE:
        assert words.one_line(label) in text
    assert len(page.scripts) == 2  # the map's data and the page's own script
    assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|49 \$x", text)


def test_map_data_survive_as_json(source: str, page: Page) -> None:
    raw = re.search(r'<script type="application/json" id="map-data">(.*?)</script>', source, re.DOTALL)
    assert raw is not None and not re.search("[<>]", raw[1])
    data = json.loads(page.scripts[0])
    assert set(data["labels"]) <= {words.one_line(label) for label in (*LABELS, *HOSTILE)}
    assert len(data["x"]) == len(data["label"]) == len(data["synthetic"]) == 1800


def test_order_of_the_page(page: Page) -> None:
    ids = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    expected = ["verdicts", "attention", "headline", *words.AXES, "labels", "method"]
    assert ids == expected


def test_ids_are_unique_and_links_arrive(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for tag, a in page.elements if tag in {"a", "use"} and (value := a.get("href"))}
    assert targets <= set(ids)


def test_every_score_and_its_meaning_are_there(page: Page) -> None:
    text, report = " ".join(page.texts), example(hostile=True)
    for score in report.scores.values():
        for part in (
            words.title(score.spec.title),
            score.spec.meaning,
            score.spec.formula,
            score.spec.catches,
            score.spec.misses,
        ):
            assert part in text
    for item in report.verdicts.values():
        assert item.verdict in text and item.sentence in text
    assert "Skipped: needs 10 rows per dimension (300), found 120" in text
    assert "Lopez-Paz & Oquab 2017" in text
    assert "like real from 0.9" in text
    assert "0.487" in text and "[0.686, 0.734]" in text and "−0.010" in text


def test_can_be_read_with_a_screen_reader(page: Page) -> None:
    assert ("html", {"lang": "en"}) in page.elements
    headings = [attributes for tag, attributes in page.elements if tag == "th"]
    assert headings and all(attributes.get("scope") in {"row", "col", "rowgroup"} for attributes in headings)
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    ids = {attributes.get("id") for _, attributes in page.elements}
    for attributes in drawings:
        named = set((attributes.get("aria-labelledby") or "").split())
        assert attributes.get("aria-hidden") == "true" or (attributes.get("role") == "img" and named <= ids and named)
    assert sum(attributes.get("role") == "img" for attributes in drawings) == panels(example(hostile=True))


def panels(report: Report) -> int:
    """How many panels a report's pictures have."""
    return sum(len(figures.draw_panels(report, name)) for name in figures.available(report))


def test_what_is_folded_is_counted_and_headlines_are_open(source: str) -> None:
    """Seventy scores must not bury ten: each axis shows its headline scores and folds the rest away."""
    for axis in words.AXES:
        section = re.search(rf'<section id="{axis}">(.*?)</section>', source, re.DOTALL)
        assert section is not None
        open_part, *folded = re.split(r'<details class="fold">', section[1])
        own = [score for score in example().scores.values() if score.spec.axis == axis]
        for score in own:
            there = open_part if score.spec.headline else folded[0].split("</details>")[0]
            assert there.count(f'href="#def-{score.name}"') == 1
        rest = [score for score in own if not score.spec.headline]
        if rest:
            assert f"{len(rest)} further score{'s' * (len(rest) > 1)} of {axis}" in folded[0]
        for name, belongs in figures.AXIS.items():
            assert (f'id="picture-{name}"' in section[1]) == (belongs == axis)


def test_verdicts_speak_plainly_and_link_to_scores() -> None:
    sentence = "Synthetic rows are close to held-out rows: weakest headline is correlation.within at 0.21, label B<i>."
    report = _bare(example())
    close = Verdict(verdict="close", sentence=sentence)
    source = to_html(report.model_copy(update={"verdicts": {"fidelity": close}}))
    assert '<p class="plain">Synthetic rows are close to held-out rows.</p>' in source
    link = '<a href="#def-correlation.within">Co-expression</a>'
    assert f'<p class="why">Weakest headline is {link} at 0.21, label B&lt;i&gt;.</p>' in source
    assert words.told(Verdict(verdict="x", sentence="2 of 9 (a: b) at 0.5")) == ("2 of 9 (a: b) at 0.5", "")


def test_a_flag_is_said_once_however_many_scores_carry_it() -> None:
    report = _bare(example())
    scores = {name: item.model_copy(update={"flags": ("sharpened?",)}) for name, item in report.scores.items()}
    source = to_html(report.model_copy(update={"scores": scores, "warnings": ()}))
    watch = source[source.index('<section id="attention">') :]
    watch = watch[: watch.index("</section>")]
    assert watch.count(words.FLAGS["sharpened?"]) == 1
    assert watch.count('href="#def-') == len(scores)


@pytest.mark.parametrize(
    ("goal", "ideal", "interval", "ends"),
    [
        ("maximize", None, (0.2, 0.8), (0.25, 1.0)),  # floor 0, real rows 0.8
        ("target", 0.5, (0.55, 0.65), (0.5, 1.0)),  # floor 0.75, real rows 0.55
        ("target", 0.5, (0.45, 0.60), (0.75, 1.25)),  # holds the ideal, which is better than real rows
    ],
)
def test_interval_on_the_normalised_scale(
    goal: str, ideal: float | None, interval: tuple[float, float], ends: tuple[float, float]
) -> None:
    floor, real = (0.0, 0.8) if ideal is None else (0.75, 0.55)
    base = example()["recall"]
    spec = base.spec.model_copy(update={"goal": goal, "ideal": ideal})
    score = base.model_copy(
        update={
            "spec": spec,
            "interval": Interval(low=interval[0], high=interval[1], method=""),
            "floors": {"independent": floor},
            "ceiling": Ceiling(mean=real, sd=0.01, draws=5),
        }
    )
    assert _normalised_interval(score) == pytest.approx(ends)


def test_the_name_of_the_rows_is_the_title() -> None:
    report = _bare(example())
    assert "<title>synthetic.h5ad · evaluation</title>" in to_html(report)
    assert "held-out rows of holdout.h5ad" in to_html(report)
    data = {name: item.model_copy(update={"name": ""}) for name, item in report.data.items()}
    assert "<h1>Synthetic rows</h1>" in to_html(report.model_copy(update={"data": data}))


def test_colours_of_words_have_contrast(source: str) -> None:
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", source, re.DOTALL)[:2]
    )
    for theme in (light, dark):
        for name in ("ink", "quiet", "link", "good", "near", "caution", "bad", "unknown"):
            for ground in ("paper", "surface", "tint"):
                assert _contrast(theme[name], theme[ground]) >= 4.5, (name, ground)


def _contrast(first: str, second: str) -> float:
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_same_report_same_page(source: str) -> None:
    assert to_html(example(hostile=True)) == source


def test_a_clear_no_to_augmentation_is_said_first() -> None:
    no = Verdict(verdict="do not augment", sentence="A useful gain is excluded.")
    base = _bare(example())
    text = base.model_copy(update={"verdicts": {**base.verdicts, "augmentation": no}}).to_html()
    assert text.index("A useful gain is excluded.") < text.index("How close are the rows?")
    assert to_html(base).index("How close are the rows?") < to_html(base).index("Does augmentation help?")


def test_no_holdout_stands_above_the_verdicts() -> None:
    text = "No held-out rows: copies of the training rows would look perfect."
    report = _bare(example())
    data = {name: rows for name, rows in report.data.items() if name != "holdout"}
    source = to_html(report.model_copy(update={"warnings": (Warned(code="no_holdout", text=text),), "data": data}))
    assert source.index(text) < source.index("How close are the rows?")


def test_a_report_with_almost_nothing_is_a_page() -> None:
    report = _bare(example())
    rows = {name: item.model_copy(update={"labels": {}}) for name, item in report.data.items()}
    page = Page(
        to_html(report.model_copy(update={"scores": {}, "verdicts": {}, "failed": (), "warnings": (), "data": rows}))
    )
    ids = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    assert ids == ["verdicts", "headline", *words.AXES, "method"]


def test_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    report = _bare(example())
    assert report.to_html(tmp_path / "r.html") == (tmp_path / "r.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    with pytest.raises(DataError, match=r"does not exist\. Create it first"):
        report.to_html(tmp_path / "absent" / "r.html")


def _bare(report: Report) -> Report:
    """Return a report without pictures, which take most of the time."""
    scores = {name: item.model_copy(update={"per_label": {}}) for name, item in report.scores.items()}
    return report.model_copy(update={"figures": {}, "scores": scores})


def test_labels_of_every_script_and_length_are_shown() -> None:
    labels = ("", "x" * 500, "细胞类型", "🧬", "שלום\u202eabc", "a" * 30)
    report = example(labels=labels, rows=60, genes=30)
    text = " ".join(Page(to_html(report)).texts)
    for label in labels:
        assert words.label(label) in text
    assert "(empty)" in text and "\u202e" not in text
