"""Files and folders that exist whole or not at all: written beside their target, then renamed onto it.

.out.h5ad.partial-4711@host      what process 4711 of this machine is writing
.out.zarr.partial-4711@host.old  a folder that stepped aside for the new one, for the moment of the exchange
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from augmentor.core.errors import DataError, Refused, ResourceError

_LIMITS = (errno.EDQUOT, errno.EFBIG)
_FULL = (errno.ENOSPC, *_LIMITS)


@contextmanager
def atomic_path(target: str | Path, *, refusal: type[Refused] = DataError) -> Iterator[Path]:
    """Yield a hidden path beside ``target`` to write a file or a folder to, and rename it when the block ends well.

    On any exception what was written is removed and the target is as it was. A process that is killed leaves its
    hidden file behind; the next write to the same target on the same machine removes it. Permissions are those that
    a plain ``open`` gives: of the umask for a new file, unchanged for one that exists.

    Args:
        target: what to make or replace; a link keeps pointing where it points.
        refusal: raised if there is no such place.

    Raises:
        Refused: the folder of the target does not exist or cannot be written to; of class ``refusal``.
        ResourceError: the disk turned out to be full when what was written was brought onto it.
    """
    target = Path(os.path.realpath(target))
    _check_place(target, refusal)
    _remove_stale(target)
    temporary = target.with_name(f"{_prefix(target)}{os.getpid()}@{socket.gethostname()}")
    try:
        yield temporary
        # some file systems find out only now that they are full
        with disk_full_refused(target):
            _sync(temporary)
            _replace(temporary, target)
    except BaseException:
        _remove(temporary)
        raise
    _sync_one(target.parent)


@contextmanager
def atomic_file(target: str | os.PathLike[str], *, refusal: type[Refused] = DataError) -> Iterator[BinaryIO]:
    """Yield a binary file to write, which takes the place of ``target`` as in `atomic_path`; never that of a folder.

    Args:
        target: what to make or replace.
        refusal: raised if it cannot be written for another reason than space.

    Raises:
        Refused: ``target`` is a folder, or its folder is missing or cannot be written; of class ``refusal``.
        ResourceError: the disk is full, or a quota or a limit on file size was reached.
    """
    target = Path(target)
    if target.is_dir():
        raise refusal(f"cannot write {target}: it is a folder. Name a file in it.")
    try:
        with (
            disk_full_refused(target),
            atomic_path(target, refusal=refusal) as temporary,
            temporary.open("xb") as file,
        ):
            yield file
    except OSError as error:
        raise refusal(f"cannot write {target} ({error.strerror or error}). Choose another name or folder.") from error


@contextmanager
def disk_full_refused(target: str | Path, need: Callable[[], int | None] | None = None) -> Iterator[None]:
    """Turn every way in which a full disk shows into one sentence with the free space.

    Args:
        target: the file being written.
        need: returns the bytes that all rows of the file need, or None while that is unknown.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        code = _full_code(error)
        if code is None:
            raise
        raise ResourceError(space_message(target, need and need(), limited=code in _LIMITS)) from error


def free_bytes(target: str | Path) -> int:
    """Free bytes where ``target`` is to be written."""
    return shutil.disk_usage(Path(os.path.realpath(target)).parent).free


def space_message(target: str | Path, need: int | None, *, limited: bool = False) -> str:
    """Say that ``target`` does not fit.

    Args:
        target: the file to be written.
        need: bytes of all its rows, or None if unknown or if it is no file of rows.
        limited: whether the system named a quota or a limit on file size.
    """
    folder, free = Path(os.path.realpath(target)).parent, free_bytes(target)
    wanted = "" if need is None else f"it needs about {_size(need)}, and "
    found = f"{_size(free)} are free in {folder}"
    if limited or (need is not None and free > need):
        found += ", so a quota or a limit on file size stopped it"
    fewer = "" if need is None else ", ask for fewer rows,"
    return f"no room to write {Path(target).name}: {wanted}{found}. Free some space{fewer} or write to another disk."


def _full_code(error: BaseException) -> int | None:
    """What a full disk, quota or file-size limit is called by an error, possibly of a C library that left a text."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return error.errno
    text = str(error).lower()
    return next((code for code in _FULL if os.strerror(code).lower() in text or f"errno = {code}" in text), None)


def _size(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def _prefix(target: Path) -> str:
    return f".{target.name}.partial-"


def _check_place(target: Path, refusal: type[Refused]) -> None:
    folder = target.parent
    if not folder.is_dir():
        raise refusal(f"cannot write {target.name}: the folder {folder} does not exist. Create it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise refusal(f"cannot write {target.name}: the folder {folder} is not writable. Choose another with -o.")


def _remove_stale(target: Path) -> None:
    """Remove what processes of this machine left that are no more; bring back a folder that had stepped aside."""
    host = socket.gethostname()
    for left in list(target.parent.glob(f"{glob.escape(_prefix(target))}*")):
        pid, _, where = left.name.removeprefix(_prefix(target)).partition("@")
        # a process of another machine that shares the disk may still be writing
        if where not in (host, f"{host}.old") or not (pid.isascii() and pid.isdigit()) or _alive(int(pid)):
            continue
        # another process may be tidying up too, and what another user left may not be ours to remove
        with contextlib.suppress(OSError):
            if where != host and not target.exists():
                os.replace(left, target)
            else:
                _remove(left)


def _alive(pid: int) -> bool:
    """Whether a process other than this one has this number."""
    if pid == os.getpid():  # an earlier process had our number; in a container that is the rule
        return False
    if os.name != "posix":  # there, asking whether a process lives would signal it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's process
        return True
    return True


def _replace(temporary: Path, target: Path) -> None:
    if not temporary.is_dir() and not target.is_dir():
        if target.exists():
            # some file systems have no permissions to change
            with contextlib.suppress(PermissionError):
                shutil.copymode(target, temporary)
        os.replace(temporary, target)
        return
    # a folder cannot be renamed onto a full one: the old one steps aside and comes back if that fails
    old = target.with_name(f"{temporary.name}.old")
    try:
        if target.exists():
            os.replace(target, old)
        os.replace(temporary, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    _remove(old)


def _sync(path: Path) -> None:
    if path.is_dir():
        for folder, _, files in os.walk(path):
            for name in files:
                _sync_one(Path(folder) / name)
            _sync_one(Path(folder))
    else:
        _sync_one(path)


def _sync_one(path: Path) -> None:
    # folders cannot be opened on Windows, where files must be open for writing, and some network file systems do not
    # sync folders
    with contextlib.suppress(PermissionError, IsADirectoryError):
        handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
