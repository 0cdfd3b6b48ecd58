"""A real browser without a window, driven by hand or from outside, and the example report of the unit tests."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_ALONE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_QUIET = (
    "--headless",
    *_ALONE,
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",
)

Browse = Callable[..., tuple[str, list[str]]]


@pytest.fixture(scope="session")
def examples() -> ModuleType:
    """The module that makes example reports, shared with the unit tests."""
    path = Path(__file__).parents[1] / "unit" / "report" / "example_report.py"
    spec = importlib.util.spec_from_file_location("example_report", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def browser() -> str:
    """Path of a browser."""
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser on PATH (looked for {', '.join(_BROWSERS)})")
    return found


@pytest.fixture(scope="session")
def browse(browser: str, tmp_path_factory: pytest.TempPathFactory) -> Browse:
    """Open a file in a headless browser with further options; returns what it printed and its console messages."""

    def opened(page: Path, *options: str) -> tuple[str, list[str]]:
        home = tmp_path_factory.mktemp("browser")
        done = subprocess.run(
            [browser, *_QUIET, f"--user-data-dir={home}", *options, page.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "HOME": str(home)},
            check=True,
        )
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return opened


class Window:
    """A window of a running browser: real keys and pointer, and a record of messages, errors and requests.

    Speaks the browser's debugging protocol over two pipes: JSON, each message ended by a zero byte.
    """

    def __init__(self, browser: str, home: Path, width: int, height: int) -> None:
        theirs, self._out = os.pipe()
        self._in, ours = os.pipe()
        command = [browser, *_DRIVEN, f"--user-data-dir={home}", f"--window-size={width},{height}", "about:blank"]

        def pipes() -> None:  # the browser reads commands from descriptor 3 and answers on 4
            low, high = os.dup(theirs), os.dup(ours)
            os.dup2(low, 3)
            os.dup2(high, 4)

        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(home)},
            close_fds=False,
            preexec_fn=pipes,
        )
        os.close(theirs)
        os.close(ours)
        self._buffer, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []

    def begin(self) -> None:
        """Attach to a page and listen to it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._in, 1 << 16)
            assert part, "the browser has gone"
            self._buffer += part
        first, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def open(self, page: Path) -> None:
        """Load a page."""
        self.call("Page.navigate", url=page.as_uri())
        end = time.monotonic() + 60
        while self.ask("document.readyState") != "complete" or self.ask("location.protocol") != "file:":
            assert time.monotonic() < end, "the page does not load"
            time.sleep(0.05)

    def ask(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key and let it go."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        how = {"key": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper())), "modifiers": 8 * shift}
        self.call("Input.dispatchKeyEvent", type="keyDown", **how, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **how)

    def point(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def said(self) -> list[str]:
        """Return what went to the console, as text: messages, errors, refused requests."""
        self.ask("0")
        loud = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in loud]

    def asked(self) -> list[str]:
        """Return the addresses that were requested."""
        self.ask("0")
        requests = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [item["request"]["url"] for item in requests]

    def close(self) -> None:
        """End the browser."""
        self._session = ""
        os.write(self._out, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        self._process.wait(30)
        os.close(self._out)
        os.close(self._in)


_DRIVEN = (
    "--headless=new",
    "--remote-debugging-pipe",
    *_ALONE,
)


@pytest.fixture
def window(browser: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Window]]:
    """Open windows of a size; they are closed at the end."""
    opened: list[Window] = []

    def made(width: int = 1280, height: int = 900) -> Window:
        opened.append(Window(browser, tmp_path_factory.mktemp("driven"), width, height))
        opened[-1].begin()
        return opened[-1]

    yield made
    for item in opened:
        item.close()
