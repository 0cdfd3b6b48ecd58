"""Lint, format and types are part of the suite."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sources import ROOT

COMMANDS = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_style(name: str) -> None:
    command = [sys.executable, "-m", *COMMANDS[name]]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(COMMANDS[name])}\n{result.stdout[-4000:]}{result.stderr[-2000:]}"
