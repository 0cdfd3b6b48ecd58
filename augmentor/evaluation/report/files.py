"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from augmentor.core.errors import DataError, ResourceError


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to, and rename it onto ``path`` when the block succeeds.

    Raises:
        DataError: the folder does not exist or cannot be written to.
        ResourceError: the disk is full.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise DataError(f"{target} cannot be written: folder {target.parent} does not exist; create it first.")
    if target.is_dir():
        raise DataError(f"{target} cannot be written: it is a folder; name a file in it.")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=target.suffix, dir=target.parent)
    except OSError as error:
        raise DataError(f"{target} cannot be written ({error.strerror}); choose another folder.") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files; a report is made to be shared
        os.replace(temporary, target)
    except OSError as error:
        raise ResourceError(f"{target} could not be written ({error.strerror}); free space on that disk.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    with written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    """Return the process's file mode mask without leaving it changed."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
