"""The page of a comparison in a browser: silent, nothing requested, names as text, readable on any width and on paper."""

from __future__ import annotations

import base64
import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

_EXAMPLES = Path(__file__).parents[1] / "unit" / "comparison" / "example_comparison.py"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("example_comparison", _EXAMPLES)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    path = tmp_path_factory.mktemp("comparison") / "compare.html"
    module.example(hostile=True).to_html(path)
    return path


def test_nothing_is_requested_nothing_is_said_and_names_stay_text(window: Any, page: Path) -> None:
    view = window()
    view.open(page)
    assert view.said() == [] and view.asked() == [page.as_uri()]
    assert view.ask("document.querySelectorAll('img, script').length") == 0
    assert view.ask("document.querySelector('h1').textContent") == HOSTILE
    named = view.ask("[...document.querySelectorAll('.board tbody th a')].map((n) => n.textContent)")
    assert named.count(HOSTILE) == 2
    assert HOSTILE in view.ask("document.querySelector('#picture-gains svg').textContent")
    # the silence means something: a request against the policy is heard, and refused before it leaves
    view.ask("new Image().src = 'https://example.invalid/x.png'; 0")
    assert any("Content Security Policy" in text for text in view.said())


def test_the_answer_and_what_it_rests_on_fit_the_first_screen(window: Any, page: Path) -> None:
    view = window(1280, 900)
    view.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
    view.open(page)
    for part in (".verdict", ".rests", "#picture-gains figcaption"):
        assert view.ask(f"document.querySelector('{part}').getBoundingClientRect().bottom") < 900


@pytest.mark.parametrize("width", [400, 821, 1280])
def test_no_width_scrolls_sideways(window: Any, page: Path, width: int) -> None:
    view = window()
    view.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    view.open(page)
    assert view.ask("document.documentElement.scrollWidth") <= width


def test_keyboard_reaches_every_link_and_every_table_that_scrolls(window: Any, page: Path) -> None:
    view = window()
    view.open(page)
    count = view.ask(
        "(() => { const all = [...document.querySelectorAll('a[href], [tabindex=\"0\"]')];"
        " all.forEach((n, i) => { n.dataset.order = i; }); return all.length; })()"
    )
    seen, ringed = [], set()
    for _ in range(count):
        view.press("Tab")
        order, ring = view.ask(
            "[document.activeElement.dataset.order, getComputedStyle(document.activeElement).outlineStyle]"
        )
        seen.append(int(order))
        ringed.add(ring)
    assert seen == list(range(count)) and count > 15 and ringed == {"solid"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_both_schemes(window: Any, page: Path, scheme: str) -> None:
    """Contrast of every status and of the quiet text with what is behind them, at least 4.5 to 1."""
    view = window()
    view.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    view.open(page)
    colours = view.ask(
        "[...document.querySelectorAll('.status, .small, .lead, .kicker')].map((n) => { let b = n; "
        "while (getComputedStyle(b).backgroundColor === 'rgba(0, 0, 0, 0)') b = b.parentElement; "
        "return [getComputedStyle(n).color, getComputedStyle(b).backgroundColor]; })"
    )
    assert len(colours) > 30
    assert min(_contrast(*map(_luminance, pair)) for pair in colours) >= 4.5


def test_it_prints(window: Any, page: Path) -> None:
    view = window()
    view.open(page)
    printed = base64.b64decode(view.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert printed.startswith(b"%PDF") and 2 <= printed.count(b"/Type /Page\n") <= 8


def _luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: float, two: float) -> float:
    return (max(one, two) + 0.05) / (min(one, two) + 0.05)
