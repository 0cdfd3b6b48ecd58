"""How long work tells that it is alive: events to a listener, and a question whether to stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """One step of long work.

    Attributes:
        task: what is being done, for example ``cvae: training``.
        done: units finished.
        total: units in all; 0 when unknown.
        unit: what is counted, in the plural: epochs, rows, scores.
        terms: named numbers worth showing (losses).
        rows: rows processed so far, for a rate; 0 when that makes no sense.
        note: a sentence for the log (a recovery, a choice and its reason); empty for plain progress.
    """

    task: str
    done: int = 0
    total: int = 0
    unit: str = "steps"
    terms: Mapping[str, float] = field(default_factory=dict)
    rows: int = 0
    note: str = ""


Listener = Callable[[Progress], None]
Stop = Callable[[], bool]


def silent(progress: Progress) -> None:
    """Ignore an event."""


def never() -> bool:
    """Never ask to stop."""
    return False
