"""Every way in which augmentor refuses, drawn as a tree.

    AugmentorError                       exit code
    ├── Refused                          1   the input or the request cannot be used
    │   ├── DataError                        a file or matrix that is not what it should be
    │   ├── LabelError                       labels, groups or covariates
    │   ├── SchemaMismatch                   two data sets, or data and model, that do not fit
    │   ├── ConfigError                      a setting out of bounds or of unknown name
    │   ├── ArtifactError                    a model file that cannot be trusted
    │   ├── ResourceError                    too little memory or disk
    │   └── TrainingFailed                   a model that did not converge to finite weights
    ├── ThresholdMissed                  3   `evaluate --require` was not met
    └── Interrupted                      130 the user pressed Ctrl-C

A message is one sentence or two: what was expected, what was found, what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AugmentorError(Exception):
    """Root of everything augmentor raises on purpose."""

    exit_code = 4


class Refused(AugmentorError):
    """The input or the request cannot be used as it is."""

    exit_code = 1


class DataError(Refused):
    """A file or matrix is not what it should be."""


class LabelError(Refused):
    """A label, group or covariate column cannot be used as asked."""


class SchemaMismatch(Refused):
    """Two data sets, or a data set and a model, do not describe the same features or labels."""


class ConfigError(Refused):
    """A setting has an unknown name or a value out of its bounds."""


class ArtifactError(Refused):
    """A model file is truncated, altered, from a newer format, or otherwise not to be trusted."""


class ResourceError(Refused):
    """The work does not fit into memory or onto the disk."""


class TrainingFailed(Refused):
    """A model's weights stayed non-finite after every recovery."""


class ThresholdMissed(AugmentorError):
    """A required score was not reached."""

    exit_code = 3


class Interrupted(AugmentorError):
    """The user stopped the work; the message says how to resume."""

    exit_code = 130


def listed(names: Iterable[object], *, most: int = 8) -> str:
    """Join names for a message: ``"a, b, c"`` or ``"a, b and 5 more"``."""
    shown = [str(name) for name in names]
    if len(shown) <= most:
        return ", ".join(shown)
    return f"{', '.join(shown[:most])} and {len(shown) - most} more"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest known name, or an empty string."""
    known = list(known)
    lowered = {candidate.lower(): candidate for candidate in reversed(known)}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f" Did you mean '{lowered[close[0]]}'?" if close else ""
