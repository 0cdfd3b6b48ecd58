"""A rough estimate of the memory that fitting takes, from measurements of whole processes."""

from __future__ import annotations

from pathlib import Path

BASE = 0.5e9  # Python with the libraries loaded
COPIES = 9  # dense float32 copies of the modelled matrix at the peak of cvae; copula needs 3


def needed(rows: int, features: int) -> float:
    """Bytes that fitting ``(rows, features)`` is likely to need."""
    return BASE + COPIES * 4.0 * rows * features


def available() -> float | None:
    """Bytes of memory that are free for use, or None where the system does not say."""
    source = Path("/proc/meminfo")
    if not source.is_file():
        return None
    for line in source.read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return float(rest.split()[0]) * 1024
    return None
