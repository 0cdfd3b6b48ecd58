"""Files that exist whole or not at all: written beside their target, then renamed onto it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from augmentor.core.errors import DataError, ResourceError

_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a hidden path beside ``target`` to write a file or a folder to, and rename it when the block ends well.

    On any exception what was written is removed and the target is as it was. A process that is killed leaves its
    hidden file behind; the next write to the same target on the same machine removes it.

    Raises:
        DataError: the folder of the target does not exist or cannot be written to.
        ResourceError: the disk turned out to be full when what was written was brought onto it.
    """
    # a link keeps pointing where it points: the file behind it is replaced
    target = Path(os.path.realpath(target))
    _check_place(target)
    _remove_stale(target)
    temporary = target.with_name(f"{_prefix(target)}{os.getpid()}@{socket.gethostname()}")
    try:
        yield temporary
        # some file systems find out only now that they are full
        with disk_full_refused(target, lambda: None):
            _sync(temporary)
            _replace(temporary, target)
    except BaseException:
        _remove(temporary)
        raise
    _sync_one(target.parent)


@contextmanager
def disk_full_refused(target: str | Path, need: Callable[[], int | None]) -> Iterator[None]:
    """Turn every way in which a full disk shows into one sentence with the free space.

    Args:
        target: the file being written.
        need: returns the bytes that the whole file needs, or None while that is unknown.
    """
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if not is_disk_full(error):
            raise
        raise ResourceError(space_message(target, need())) from error


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, possibly of a C library that only left a text, means a full disk, quota or file-size limit."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    text = str(error).lower()
    return any(os.strerror(code).lower() in text or f"errno = {code}" in text for code in _FULL)


def free_bytes(target: str | Path) -> int:
    """Free bytes where ``target`` is to be written."""
    return shutil.disk_usage(Path(os.path.realpath(target)).parent).free


def space_message(target: str | Path, need: int | None) -> str:
    """Say that ``target`` does not fit."""
    folder, free = Path(os.path.realpath(target)).parent, free_bytes(target)
    wanted = "" if need is None else f"it needs about {_size(need)}, and "
    found = f"{_size(free)} are free in {folder}"
    if need is not None and free > need:
        found += ", so a quota or a limit on file size stopped it"
    return (
        f"no room to write {Path(target).name}: {wanted}{found}. "
        "Free some space, ask for fewer rows, or write to another disk with -o."
    )


def _size(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def _prefix(target: Path) -> str:
    return f".{target.name}.partial-"


def _check_place(target: Path) -> None:
    folder = target.parent
    if not folder.is_dir():
        raise DataError(f"cannot write {target.name}: the folder {folder} does not exist. Create it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"cannot write {target.name}: the folder {folder} is not writable. Choose another with -o.")


def _remove_stale(target: Path) -> None:
    host = socket.gethostname()
    for left in list(target.parent.glob(f"{_escaped(_prefix(target))}*")):
        pid, _, where = left.name.removeprefix(_prefix(target)).partition("@")
        # a process of another machine that shares the disk may still be writing
        if where.partition(".old")[0] == host and pid.isdigit() and not _alive(int(pid)):
            if left.name.endswith(".old") and not target.exists():
                os.replace(left, target)
            else:
                _remove(left)


def _escaped(text: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _alive(pid: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _replace(temporary: Path, target: Path) -> None:
    if temporary.is_dir() or target.is_dir():
        # a folder cannot be renamed onto a full one: the old one steps aside and comes back if that fails
        old = target.with_name(f"{temporary.name}.old")
        existed = target.exists()
        if existed:
            os.replace(target, old)
        try:
            os.replace(temporary, target)
        except OSError:
            if existed:
                os.replace(old, target)
            raise
        _remove(old)
    else:
        os.replace(temporary, target)


def _sync(path: Path) -> None:
    if path.is_dir():
        for folder, _, files in os.walk(path):
            for name in files:
                _sync_one(Path(folder) / name)
            _sync_one(Path(folder))
    else:
        _sync_one(path)


def _sync_one(path: Path) -> None:
    # folders cannot be opened on Windows, and some network file systems do not sync them
    with contextlib.suppress(PermissionError, IsADirectoryError):
        handle = os.open(path, os.O_RDONLY)
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
