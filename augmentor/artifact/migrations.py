"""Manifests of older formats, led up to the present one by pure functions, one format at a time.

When the format changes: raise `FORMAT` in manifest.py, add ``{old: function}`` here, and keep a tiny artifact of the
old format with its expected samples in ``data/artifacts/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from augmentor.core.errors import ArtifactError

Document = dict[str, Any]
Migration = Callable[[Document], Document]

# from format -> function that returns the manifest of the next format
MIGRATIONS: Mapping[int, Migration] = {}


def check_format(document: Document, *, target: int, what: str) -> int:
    """Return the format number of a manifest, or refuse one that this version cannot know.

    Raises:
        ArtifactError: no positive format number, or one above ``target``.
    """
    found = document.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ArtifactError(
            f"{what} is not a model file of augmentor: its manifest must give a positive format number, "
            f"found {str(found)[:40]!r}. Fit again."
        )
    if found > target:
        raise ArtifactError(
            f"{what} was written by a newer augmentor (format {found}; this one reads up to {target}). "
            "Upgrade: pip install -U augmentor-omics"
        )
    return found


def migrate(
    document: Document, *, target: int, what: str, migrations: Mapping[int, Migration] = MIGRATIONS
) -> Document:
    """Return a manifest in format ``target``; the one given is not changed.

    Args:
        document: manifest as read, of format ``target`` or older.
        target: format wanted.
        what: how messages call the file.
        migrations: steps by the format from which they start.

    Raises:
        ArtifactError: the format is newer than ``target``, or there is no step from it.
    """
    found = check_format(document, target=target, what=what)
    for step in range(found, target):
        if step not in migrations:
            raise ArtifactError(
                f"{what} has format {found}, and this augmentor reads format {target} but cannot migrate from "
                f"format {step}. Fit again."
            )
        document = {**migrations[step](dict(document)), "format": step + 1}
    return document
