"""Results go to stdout, everything else to stderr; progress is a sentence that a person can read."""

from __future__ import annotations

import json

import pytest
from augmentor_cli.terminal import Meter, Terminal, describe, duration

from augmentor.core.progress import Progress


def test_progress_is_described_with_losses_rate_and_time_left() -> None:
    first = Progress("cvae", 10, 200, "epochs", rows=1000)
    now = Progress("cvae", 60, 200, "epochs", {"reconstruction": 1.23456, "kl": 0.2}, rows=6000)
    assert describe(now, first, 50.0) == "60/200 epochs · reconstruction 1.235, kl 0.2 · 100 rows/s · 2 min left"


def test_progress_without_total_or_time_makes_no_promise() -> None:
    now = Progress("read", 5, unit="blocks")
    assert describe(now, now, 0.0) == "5 blocks"


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4 s"), (89, "89 s"), (180, "3 min"), (5520, "1 h 32 min")])
def test_durations_are_said_as_one_would(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_notes_go_to_stderr_at_once_and_progress_waits(capsys: pytest.CaptureFixture[str]) -> None:
    with Meter(Terminal()) as meter:
        meter(Progress("fit", note="a choice and its reason"))
        meter(Progress("fit", 1, 10, "epochs"))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "a choice and its reason\n")


def test_a_line_of_progress_when_it_is_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augmentor_cli.terminal.LINE_SECONDS", 0.0)
    with Meter(Terminal()) as meter:
        meter(Progress("fit", 1, 10, "epochs", {"loss": 2.0}))
    assert capsys.readouterr().err == "fit: 1/10 epochs · loss 2\n"


def test_a_task_that_begins_anew_is_measured_anew(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("augmentor_cli.terminal.LINE_SECONDS", 0.0)
    with Meter(Terminal()) as meter:
        meter(Progress("cvae", 9, 10, "epochs", rows=900))
        meter(Progress("cvae", 1, 10, "epochs", rows=1000))
    assert capsys.readouterr().err.splitlines()[-1] == "cvae: 1/10 epochs"


def test_quiet_says_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(quiet=True)
    with Meter(terminal) as meter:
        meter(Progress("fit", note="a choice"))
        terminal.note("another")
    terminal.error("refused.", 1)
    assert capsys.readouterr().err == "error: refused.\n"


def test_log_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(log_json=True)
    with Meter(terminal) as meter:
        meter(Progress("fit", 1, 10, "epochs", {"loss": 2.0}, rows=7))
        terminal.note("a note")
    terminal.error("refused.", 1)
    progress, note, error = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert {k: v for k, v in progress.items() if k != "time"} == {
        "task": "fit", "done": 1, "total": 10, "unit": "epochs", "terms": {"loss": 2.0}, "rows": 7,
    }  # fmt: skip
    assert note["note"] == "a note"
    assert (error["error"], error["exit_code"]) == ("refused.", 1)
