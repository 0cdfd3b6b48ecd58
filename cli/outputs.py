"""What is to be written is checked before long work begins: a place that exists, can be written to, and is no input."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from augmentor.core.errors import ConfigError, DataError

STREAM = "-"


def check(path: str | Path, *, inputs: Iterable[str | Path | None] = (), folder: bool = False) -> None:
    """Refuse an output that cannot be written, or that would replace an input.

    Args:
        path: file (or folder) to write; ``-`` is the standard output.
        inputs: files that are read by the same command.
        folder: whether a folder of that name may exist.

    Raises:
        DataError: its folder is missing or not writable, or a folder is in its place.
        ConfigError: it is also an input.
    """
    if str(path) == STREAM:
        return
    target = Path(os.path.realpath(path))
    for given in inputs:
        if given is not None and str(given) != STREAM and Path(os.path.realpath(given)) == target:
            raise ConfigError(f"{path} is read and would be overwritten; choose another name for the output (-o).")
    if target.is_dir() and not folder:
        raise DataError(f"cannot write {path}: it is a folder. Name a file in it.")
    parent = target.parent
    if not parent.is_dir():
        raise DataError(f"cannot write {path}: the folder {parent} does not exist. Create it first.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise DataError(f"cannot write {path}: the folder {parent} is not writable. Choose another.")


def check_rows(path: str | Path, *, inputs: Iterable[str | Path | None] = ()) -> None:
    """Refuse an output for rows: as `check`, and its name must say a format that can be written."""
    from augmentor import io

    io.check_format(path)
    check(path, inputs=inputs, folder=str(path).endswith(".zarr"))
