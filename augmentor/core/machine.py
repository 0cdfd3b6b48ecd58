"""What a record says of the machine: memory taken, versions of what matters."""

from __future__ import annotations

import platform
import sys
from importlib import metadata


def peak_memory() -> float | None:
    """Return the largest resident memory of this process in MB, None where the system does not say."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def environment() -> dict[str, str]:
    """Return the versions of Python and of the libraries that matter."""
    packages = ("numpy", "scipy", "scikit-learn", "torch")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}
