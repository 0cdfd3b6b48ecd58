"""A real browser without a window, and the example report of the unit tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
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
def browse(tmp_path_factory: pytest.TempPathFactory) -> Browse:
    """Open a file in a headless browser with further options; returns what it printed and its console messages."""
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser on PATH (looked for {', '.join(_BROWSERS)})")

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
