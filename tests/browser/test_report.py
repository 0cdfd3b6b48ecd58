"""The page in a browser: nothing in the console, nothing from the network, labels as text, pictures with pixels."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from augmentor.evaluation.report import figures, words
from augmentor.evaluation.report.html import to_html
from augmentor.evaluation.score import beside

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(examples: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    to_html(examples.example(hostile=True), path)
    return path


@pytest.fixture(scope="module")
def opened(browse: Any, page: Path) -> tuple[str, list[str]]:
    """The page's document after its script has run, and what the console says."""
    return browse(page, "--dump-dom")


def test_the_console_is_silent(opened: tuple[str, list[str]]) -> None:
    assert opened[1] == []


def test_the_console_is_heard(browse: Any, tmp_path: Path) -> None:
    """The silence above means something: an error, and a request against the policy, are noticed."""
    broken = tmp_path / "broken.html"
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'unsafe-inline'\">"
    broken.write_text(f'{policy}<img src="file:///nothing.png"><script>throw new Error("broken")</script>')
    messages = browse(broken, "--dump-dom")[1]
    assert any("broken" in line for line in messages)
    assert any("Content Security Policy" in line for line in messages)


def test_no_element_of_the_document_leads_outside(opened: tuple[str, list[str]]) -> None:
    assert not re.search(r"(?:src|href|action|poster)=[\"']?(?:https?:|//|file:)", opened[0])
    assert not re.search(r"https?://", opened[0])


def test_hostile_labels_are_text_also_in_the_map(examples: ModuleType, opened: tuple[str, list[str]]) -> None:
    document = opened[0]
    assert "<img" not in document
    assert document.count("<script") == 2
    buttons = re.findall(r"<button[^>]*aria-pressed[^>]*>(?:<span[^>]*></span>)?(.*?)</button>", document, re.DOTALL)
    for label in examples.HOSTILE:
        text = words.one_line(label).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert text in buttons


def test_the_script_has_built_the_map_and_the_sorting(opened: tuple[str, list[str]]) -> None:
    document = opened[0]
    assert re.search(r'<div id="map">.*<canvas[^>]*tabindex="0"', document, re.DOTALL)
    width = re.search(r'<canvas[^>]*width="(\d+)"', document)
    assert width is not None and int(width[1]) > 300
    tables = re.findall(r'<table class="labels sortable">.*?</thead>', document, re.DOTALL)
    assert tables and all(table.count('class="sort"') == table.count('scope="col"') > 1 for table in tables)


def test_nothing_is_requested_and_nothing_is_said(window: Any, page: Path) -> None:
    """A driven browser records every request, also those that a policy would refuse."""
    view = window()
    view.open(page)
    view.ask("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert view.said() == []
    assert [address for address in view.asked() if not address.startswith("data:image/png")] == [page.as_uri()]
    # the silence means something: a request against the policy is heard, and refused before it leaves
    view.ask("new Image().src = 'https://example.invalid/x.png'; 0")
    assert any("Content Security Policy" in text for text in view.said())


def test_pointer_names_rows(window: Any, examples: ModuleType, page: Path) -> None:
    """A real pointer over real rows: the label and the origin appear beside it, as text."""
    view = window()
    view.open(page)
    left, top, width, height = view.ask(
        "(() => { const c = document.querySelector('canvas'); c.scrollIntoView({block: 'center'}); "
        "const b = c.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
    )
    named = set()
    for row in range(12):
        for column in range(24):
            view.point(left + width * (column + 0.5) / 24, top + height * (row + 0.5) / 12)
            named.add(
                view.ask("document.querySelector('.tip').hidden ? '' : document.querySelector('.tip').textContent")
            )
    labels = [words.one_line(label) for label in (*examples.LABELS, *examples.HOSTILE)]
    known = {f"{label} · {origin}" for label in labels for origin in ("real", "synthetic")}
    assert len(named - {""}) >= 5 and named - {""} <= known
    assert view.said() == []


def test_keyboard_reaches_every_control_in_order(window: Any, page: Path) -> None:
    """Tab goes through all controls in the order of the page, each with a ring around it, and back to the start."""
    view = window()
    view.open(page)
    count = view.ask(
        "(() => { const all = [...document.querySelectorAll('a[href], button, summary, canvas, [tabindex=\"0\"]')]"
        ".filter((n) => n.checkVisibility({contentVisibilityAuto: true})); all.forEach((n, i) => { n.dataset.order = i; });"
        " return all.length; })()"
    )
    seen, ringed = [], []
    for _ in range(count):
        view.press("Tab")
        order, ring = view.ask(
            "[document.activeElement.dataset.order, getComputedStyle(document.activeElement).outlineStyle]"
        )
        seen.append(int(order))
        ringed.append(ring)
    assert seen == list(range(count)) and count > 60
    assert set(ringed) == {"solid"}
    view.press("Tab", shift=True)
    assert int(view.ask("document.activeElement.dataset.order")) == count - 2


def test_keyboard_uses_the_controls(window: Any, page: Path) -> None:
    """Enter opens what is folded and follows a link into it; N and P walk over the rows of the map."""
    view = window()
    view.open(page)
    view.ask("document.querySelector('details.fold summary').focus()")
    view.press("Enter")
    assert view.ask("document.querySelector('details.fold').open") is True
    view.ask("document.querySelector('#headline a.title').focus()")
    view.press("Enter")
    assert view.ask("document.querySelector('details.definitions').open") is True
    assert view.ask("location.hash").startswith("#def-")
    view.ask("document.querySelector('canvas').focus()")
    named = []
    for key in "nnnp":
        view.press(key)
        named.append(
            view.ask("document.querySelector('.tip').hidden ? '' : document.querySelector('.tip').textContent")
        )
    assert all(named)
    assert view.ask("document.querySelector('.tip').getAttribute('role')") == "status"
    view.ask("[...document.querySelectorAll('#map button')].find((b) => b.textContent.includes('synthetic')).focus()")
    view.press("Enter")
    assert view.ask("document.activeElement.getAttribute('aria-pressed')") == "false"
    view.ask("document.querySelector('canvas').focus()")
    for _ in range(5):
        view.press("n")
        assert view.ask("document.querySelector('.tip').textContent").endswith(" · real")
    assert view.said() == []


@pytest.mark.parametrize("width", [400, 820])
def test_a_narrow_window_with_all_folds_open_does_not_scroll_sideways(window: Any, page: Path, width: int) -> None:
    view = window()
    view.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    view.open(page)
    view.ask("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert view.ask("[innerWidth, document.documentElement.scrollWidth]") == [width, width]


def test_side_by_side_page(window: Any, examples: ModuleType, tmp_path: Path) -> None:
    """The page of several reports: silent, without requests, no wider than a narrow window."""
    reports = {"a": examples.example(hostile=True), "<img src=x onerror=alert(1)>": examples.example(hostile=True)}
    target = tmp_path / "both.html"
    beside(reports).to_html(target)
    view = window()
    view.call("Emulation.setDeviceMetricsOverride", width=400, height=900, deviceScaleFactor=1, mobile=False)
    view.open(target)
    assert view.ask("document.documentElement.scrollWidth") == 400
    assert view.ask("document.querySelector('h1').textContent") == "a · <img src=x onerror=alert(1)>"
    assert [address for address in view.asked() if not address.startswith("data:")] == [target.as_uri()]
    assert view.said() == []


def test_pointing_at_a_row_names_it(browse: Any, examples: ModuleType, page: Path, tmp_path: Path) -> None:
    """Sweep the pointer over the map, toggle and zoom: hostile labels are shown as text, and nothing is thrown."""
    sweep = """<script>
      const map = document.querySelector("canvas"), tip = document.querySelector(".tip"), seen = new Set();
      const point = (name, x, y) => map.dispatchEvent(new PointerEvent(name, { clientX: x, clientY: y, pointerId: 1 }));
      const box = map.getBoundingClientRect();
      for (let y = 4; y < box.height; y += 9) for (let x = 4; x < box.width; x += 9) {
        point("pointermove", box.left + x, box.top + y);
        if (!tip.hidden) seen.add(tip.textContent);
      }
      for (const button of document.querySelectorAll("#map button, button.sort")) button.click();
      for (const key of ["+", "-", "ArrowLeft", "ArrowUp", "0"]) map.dispatchEvent(new KeyboardEvent("keydown", { key }));
      map.dispatchEvent(new WheelEvent("wheel", { ctrlKey: true, deltaY: -90, cancelable: true }));
      map.dispatchEvent(new MouseEvent("dblclick"));
      const list = document.createElement("pre");
      list.id = "seen";
      list.textContent = JSON.stringify([...seen]);
      document.body.append(list);
    </script></body>"""
    swept = tmp_path / "swept.html"
    swept.write_text(page.read_text(encoding="utf-8").replace("</body>", sweep), encoding="utf-8")
    document, messages = browse(swept, "--dump-dom")
    assert messages == []
    found = re.search(r'<pre id="seen">(.*?)</pre>', document, re.DOTALL)
    assert found is not None
    named = set(json.loads(html.unescape(found[1])))
    labels = [words.one_line(label) for label in (*examples.LABELS, *examples.HOSTILE)]
    assert named == {f"{label} · {origin}" for label in labels for origin in ("real", "synthetic")}
    assert document.count('aria-sort="') > 0


@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_has_pixels(browse: Any, page: Path, tmp_path: Path, width: int, scheme: str) -> None:
    target = tmp_path / "page.png"
    dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    browse(page, f"--screenshot={target}", f"--window-size={width},3000", *dark)
    pixels = matplotlib.image.imread(target)[..., :3]
    assert pixels.shape[:2] == (3000, width)
    assert (pixels[2, 2].mean() < 0.2) == (scheme == "dark")
    assert len(np.unique((pixels[::3, ::3] * 255).astype(int).reshape(-1, 3), axis=0)) > 50


def test_a_narrow_page_does_not_scroll_sideways(browse: Any, page: Path, tmp_path: Path) -> None:
    """In a frame 400 pixels wide, the page is as wide as the frame."""
    probe = "<script>document.title = 'width ' + document.documentElement.scrollWidth</script></body>"
    narrow = tmp_path / "narrow.html"
    narrow.write_text(page.read_text(encoding="utf-8").replace("</body>", probe), encoding="utf-8")
    frame = tmp_path / "frame.html"
    script = "onload = () => { const w = document.querySelector('iframe').contentDocument.title; document.title = w; }"
    frame.write_text(
        f'<iframe src="narrow.html" style="width:400px;height:900px;border:0"></iframe><script>{script}</script>'
    )
    document, _ = browse(frame, "--dump-dom", "--allow-file-access-from-files")
    assert "<title>width 400</title>" in document


def test_prints(browse: Any, page: Path, tmp_path: Path) -> None:
    target = tmp_path / "page.pdf"
    browse(page, f"--print-to-pdf={target}", "--no-pdf-header-footer")
    content = target.read_bytes()
    assert content.startswith(b"%PDF-")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 30


def test_reads_without_javascript(browse: Any, examples: ModuleType, page: Path, tmp_path: Path) -> None:
    """Where scripts are off, the static pictures stand and the place of the interactive map stays hidden."""
    silent = tmp_path / "silent.html"
    silent.write_text(page.read_text(encoding="utf-8").replace("script-src 'unsafe-inline'", "script-src 'none'"))
    document, _ = browse(silent, "--dump-dom")
    assert re.search(r'<div id="map" hidden="">\s*</div>', document)
    report = examples.example(hostile=True)
    panels = sum(len(figures.draw_panels(report, name)) for name in figures.available(report))
    assert document.count('role="img"') == panels
