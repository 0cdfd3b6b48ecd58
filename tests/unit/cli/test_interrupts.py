"""The first Ctrl-C during training is a question, every other one an order."""

from __future__ import annotations

import os
import signal
import time

import pytest
from augmentor_cli.interrupts import Stopping, Terminated, stoppable, terminable
from augmentor_cli.terminal import Terminal

from augmentor.core.progress import Progress, silent


def test_before_training_it_interrupts_at_once() -> None:
    stopping = Stopping(Terminal(quiet=True), silent)
    with pytest.raises(KeyboardInterrupt):
        stopping.signalled(signal.SIGINT, None)


def test_during_training_it_asks_first_and_interrupts_second() -> None:
    stopping = Stopping(Terminal(quiet=True), silent)
    assert not stopping()
    stopping.listen(Progress("cvae", 1, 10, "epochs"))
    stopping.signalled(signal.SIGINT, None)
    assert stopping()
    with pytest.raises(KeyboardInterrupt):
        stopping.signalled(signal.SIGINT, None)


def test_after_training_it_interrupts_at_once() -> None:
    stopping = Stopping(Terminal(quiet=True), silent)
    stopping()
    stopping.listen(Progress("cvae", note="calibrating margins"))
    with pytest.raises(KeyboardInterrupt):
        stopping.signalled(signal.SIGINT, None)


def test_signals_arrive_and_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    if before[0] is signal.SIG_IGN:
        pytest.skip("whoever started the tests ignores SIGINT")
    with stoppable(Terminal(quiet=True), silent) as stopping:
        stopping()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping()
    with terminable(), pytest.raises(Terminated):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 0.01)  # gives the handler its turn
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_that_arrives_in_a_finaliser_is_not_lost(number: signal.Signals, raised: type[BaseException]) -> None:
    """Python drops what is raised there, so the signal is sent again."""

    class Ending:
        def __del__(self) -> None:
            signal.raise_signal(number)

    # the tests may have been started by something that ignores Ctrl-C
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with terminable(), pytest.raises(raised):
            ending: Ending | None = Ending()
            ending = None  # noqa: F841 - dropping the last reference runs the finaliser
            time.sleep(10)
    finally:
        signal.signal(signal.SIGINT, before)
