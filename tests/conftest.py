"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# as the command line does: see cli/app.py
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Workers share the cores. Numba too, because it sets the number of threads for torch as well (they share an OpenMP), and
# rounding depends on that number: a process of its own would otherwise differ from the worker that compares it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The developers' folder of real data; tests that need it are skipped, with the reason, where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("AUGMENTOR_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip("the developers' data folder is absent (set AUGMENTOR_SHARED_DATA)")
    return folder
