"""Ctrl-C and termination: asked politely while a model trains, at once everywhere else; either way files stay whole."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from augmentor.core.progress import Listener, Progress

from .terminal import Terminal


class Terminated(BaseException):
    """The process was asked to end; raised so that what is half-written is cleaned up on the way out."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that temporary files are removed; no signal is lost."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda event: _again(event) or before(event)
    try:
        with _handled(signal.SIGTERM, _terminate):
            yield
    finally:
        sys.unraisablehook = before


def _again(event: Any) -> bool:
    """Send a signal once more whose exception Python had to drop, in a finaliser or the callback of a weak reference."""
    number = {Terminated: signal.SIGTERM, KeyboardInterrupt: signal.SIGINT}.get(event.exc_type)
    if number is not None:
        # a moment later, when the finaliser has returned
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
    return number is not None


class Stopping:
    """Answers the training loop's question whether to stop, and learns from being asked that training is going on.

    The first Ctrl-C during training is answered after the batch, where a checkpoint can be written. Before and after
    training there is nothing to save, so it interrupts at once, and so does a second one.
    """

    def __init__(self, terminal: Terminal, listener: Listener) -> None:
        self._terminal, self._listener = terminal, listener
        self._training = self.requested = False
        self.by: int | None = None

    def __call__(self) -> bool:
        """Answer whether to stop."""
        self._training = True
        return self.requested

    def listen(self, progress: Progress) -> None:
        """Pass progress on; news of anything but epochs means that training is over."""
        if progress.unit != "epochs" and not self.requested:
            self._training = False
        self._listener(progress)

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self.requested or not self._training:
            if number == signal.SIGTERM:
                raise Terminated
            raise KeyboardInterrupt
        self.requested, self.by = True, number
        self._terminal.note("stopping after this batch, with a checkpoint; Ctrl-C again stops at once")


@contextmanager
def stoppable(terminal: Terminal, listener: Listener) -> Iterator[Stopping]:
    """Give an object to pass as ``stop=``, with ``listen`` as ``listener=``; signals go to it meanwhile."""
    stopping = Stopping(terminal, listener)
    with _handled(signal.SIGINT, stopping.signalled), _handled(signal.SIGTERM, stopping.signalled):
        yield stopping


@contextmanager
def _handled(number: int, handler: Any) -> Iterator[None]:
    # Python allows handlers in the main thread only; a signal that whoever started us ignores stays ignored
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(number) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
