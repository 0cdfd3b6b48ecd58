"""A file appears whole or not at all: written beside its final name, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from augmentor.core.errors import ArtifactError, ResourceError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def written_beside(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; on leaving without an exception it takes the place of ``path`` in one step.

    What an earlier process left behind when it was killed is removed first, and on an exception so is our own.

    Raises:
        ResourceError: the disk is full, or a quota or file size limit was reached.
        ArtifactError: ``path`` is a folder, or its folder is missing or cannot be written.
    """
    path = Path(os.path.realpath(path))  # a link keeps pointing where it points: the file behind it is replaced
    if path.is_dir():
        raise ArtifactError(f"'{path}' is a folder; a model is written to a file. Choose another name or remove it.")
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}@{socket.gethostname()}")
    with disk_refusals(path):
        _remove_stale(path)
        partial.unlink(missing_ok=True)
        try:
            with partial.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _flush_folder(path.parent)


@contextmanager
def disk_refusals(path: Path) -> Iterator[None]:
    """Turn the failures of writing that a user can do something about into sentences."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            free = shutil.disk_usage(path.parent).free / 1e6
            raise ResourceError(
                f"'{path}' could not be written, the disk, quota or file size limit is full ({error.strerror}; "
                f"{free:,.0f} MB free); nothing was left behind. Free some space or choose another folder."
            ) from error
        raise ArtifactError(
            f"'{path}' could not be written ({error.strerror or error}). "
            "Choose a folder that exists and that you may write to."
        ) from error


def _remove_stale(path: Path) -> None:
    """Remove the partial files of this machine's processes that are no more; other machines may share the folder."""
    if os.name == "nt":  # there, asking whether a process lives would signal it
        return
    for other in path.parent.iterdir():
        if not other.name.startswith(f".{path.name}.partial-"):
            continue
        pid, _, host = other.name.rpartition("partial-")[2].partition("@")
        if host == socket.gethostname() and pid.isascii() and pid.isdigit() and not _alive(int(pid)):
            other.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can open folders."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
