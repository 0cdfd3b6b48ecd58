"""Interrupted, killed, out of disk: what was whole stays whole, and a run goes on where it stopped."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commanding import Augment, assert_same_tensors, started

FIT = ("fit", "expr.h5ad", "-l", "celltype", "-m", "cvae", "--set", "epochs=150", "hidden=16")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX systems")


def test_ctrl_c_keeps_a_checkpoint_and_resume_ends_as_if_nothing_had_happened(
    augment: Augment, workplace: Path
) -> None:
    process = started(*FIT, "--log-json", "-o", "stopped.augment")
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line).get("done", 0) >= 2:
            break
    process.send_signal(signal.SIGINT)
    last = json.loads(process.communicate(timeout=120)[1].splitlines()[-1])
    assert process.returncode == 130 and last["exit_code"] == 130
    assert "--resume" in last["error"] and "stopped.augment.checkpoint" in last["error"]
    assert Path("stopped.augment.checkpoint").is_dir() and not Path("stopped.augment").exists()

    other = augment(*FIT, "--resume", "--seed", 1, "-o", "stopped.augment")
    assert other.code == 1 and "belongs to other data, settings or seed" in other.err
    resumed = augment(*FIT, "--resume", "-o", "stopped.augment")
    assert resumed.code == 0 and "resumed after epoch" in resumed.err
    assert not Path("stopped.augment.checkpoint").exists()
    assert augment(*FIT, "-o", "whole.augment").code == 0
    assert_same_tensors(Path("stopped.augment"), Path("whole.augment"))


def test_nothing_to_resume_from(augment: Augment, workplace: Path) -> None:
    ended = augment(*FIT, "--resume", "-o", "never.augment")
    assert ended.code == 1 and "no checkpoint" in ended.err


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stopped_while_writing(number: signal.Signals, augment: Augment, workplace: Path) -> None:
    Path("synthetic.h5ad").write_bytes(b"what was there before")
    process = started("sample", "-n", 2_000_000)
    waited = time.monotonic()
    while not list(workplace.glob(".synthetic.h5ad.partial-*")):
        assert process.poll() is None and time.monotonic() - waited < 60, process.communicate()
        time.sleep(0.02)
    process.send_signal(number)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number], err
    assert Path("synthetic.h5ad").read_bytes() == b"what was there before"
    if number is not signal.SIGKILL:  # a killed process cannot tidy up; the next one does
        assert list(workplace.glob(".synthetic*")) == []
    assert augment("sample", "-n", 5).code == 0
    assert list(workplace.glob(".synthetic*")) == []


def test_a_full_disk_while_sampling(workplace: Path) -> None:
    before = sorted(os.listdir())
    script = "import sys; from augmentor_cli.app import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", script, "sample", "-n", "20000"],
        capture_output=True,
        text=True,
        check=False,
        # a limit on the size of files fails as a full disk does, in the middle of a write
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)),
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1 and "free" in ended.stderr
    assert sorted(os.listdir()) == before
