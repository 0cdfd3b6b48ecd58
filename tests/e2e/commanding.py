"""Running the command line, in this process or in one of its own, and comparing what it leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from augmentor.artifact import load as load_artifact


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Augment = Callable[..., Ended]


def started(*words: object) -> subprocess.Popen[str]:
    """Start ``augment`` as a process of its own that answers signals, also where the tests' own process ignores them."""
    script = "import sys; from augmentor_cli.app import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def assert_same_tensors(one: Path, two: Path) -> None:
    first, second = load_artifact(one), load_artifact(two)
    assert first.manifest.tensors == second.manifest.tensors
    assert first.weights and set(first.weights) == set(second.weights)
    for name, values in first.weights.items():
        np.testing.assert_array_equal(values, second.weights[name])
