"""What is said and where: results on stdout; notes, progress and errors on stderr, for people or as JSON lines."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import typer

from augmentor.core.progress import Progress

LINE_SECONDS = 60.0  # without a terminal, a line of progress so often


@dataclass
class Terminal:
    """Where a command speaks.

    Attributes:
        words: the command line as given, without the program's name.
        quiet: nothing on stderr but errors.
        log_json: one JSON object a line on stderr.
        debug: tracebacks.
    """

    words: list[str] = field(default_factory=list)
    quiet: bool = False
    log_json: bool = False
    debug: bool = False
    meter: Meter | None = None

    def result(self, text: str) -> None:
        """Print a result on stdout."""
        typer.echo(text)

    def document(self, value: Any) -> None:
        """Print a result on stdout as JSON."""
        typer.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))

    def note(self, text: str) -> None:
        """Tell the user something on stderr."""
        if self.quiet:
            return
        if self.log_json:
            self.log({"note": text})
        elif self.meter is not None and self.meter.live:
            self.meter.above(text)
        else:
            typer.echo(text, err=True)

    def error(self, message: str, code: int) -> None:
        """Say in one sentence why this ends."""
        if self.log_json:
            self.log({"error": message, "exit_code": code})
        else:
            typer.echo(f"error: {message}", err=True)

    def log(self, entry: dict[str, Any]) -> None:
        """Write one JSON line on stderr."""
        stamped = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}
        typer.echo(json.dumps(stamped, ensure_ascii=False), err=True)


class Meter:
    """A listener that shows progress: one live bar on a terminal, else a line a minute; notes at once.

    Use as a context manager, and pass it wherever a ``listener`` is asked for.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._shown: Any = None
        self._bar: Any = None
        self._task, self._done = "", 0
        self._first: tuple[float, Progress] | None = None
        self._last_line = time.monotonic()
        self.live = sys.stderr.isatty() and not terminal.quiet and not terminal.log_json

    def __enter__(self) -> Meter:
        self._terminal.meter = self
        if self.live:
            # imported here: help and refusals need no Rich
            from rich.console import Console
            from rich.progress import BarColumn, SpinnerColumn, TextColumn
            from rich.progress import Progress as Bars

            self._shown = Bars(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[text]}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._shown.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown is not None:
            self._shown.stop()
        self._terminal.meter = None

    def above(self, text: str) -> None:
        """Print a note above the live bar."""
        self._shown.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def __call__(self, progress: Progress) -> None:
        """Show one step."""
        terminal = self._terminal
        if terminal.quiet:
            return
        if terminal.log_json:
            terminal.log(_entry(progress))
            return
        if progress.note and not progress.total:
            terminal.note(progress.note)
            return
        now = time.monotonic()
        # the same task begins anew when `auto` fits its choice after the candidates
        if self._first is None or progress.task != self._task or progress.done < self._done:
            self._first, self._task = (now, progress), progress.task
            if self._shown is not None:
                for old in self._shown.task_ids:
                    self._shown.remove_task(old)
                self._bar = self._shown.add_task(progress.task, total=progress.total or None, text="")
        self._done = progress.done
        text = describe(progress, self._first[1], now - self._first[0])
        if self._shown is not None:
            self._shown.update(self._bar, completed=progress.done, total=progress.total or None, text=text)
        elif now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            terminal.note(f"{progress.task}: {text}")


def describe(progress: Progress, first: Progress, elapsed: float) -> str:
    """Say how far work is: ``34/200 epochs · reconstruction 1.23, kl 0.2 · 1,520 rows/s · 2 min left``.

    Args:
        progress: the present state.
        first: the first state of the same task.
        elapsed: seconds between the two.
    """
    parts = [f"{progress.done:,}{f'/{progress.total:,}' if progress.total else ''} {progress.unit}"]
    if progress.terms:
        parts.append(", ".join(f"{name} {value:.4g}" for name, value in progress.terms.items()))
    steps = progress.done - first.done
    if elapsed > 0 and progress.rows > first.rows:
        parts.append(f"{(progress.rows - first.rows) / elapsed:,.0f} rows/s")
    if elapsed > 0 and steps > 0 and progress.total > progress.done:
        parts.append(f"{duration(elapsed / steps * (progress.total - progress.done))} left")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """Say a time as one would: ``40 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _entry(progress: Progress) -> dict[str, Any]:
    entry: dict[str, Any] = {"task": progress.task}
    if progress.note:
        entry["note"] = progress.note
    if progress.total:
        entry |= {"done": progress.done, "total": progress.total, "unit": progress.unit}
    if progress.terms:
        entry["terms"] = dict(progress.terms)
    if progress.rows:
        entry["rows"] = progress.rows
    return entry
