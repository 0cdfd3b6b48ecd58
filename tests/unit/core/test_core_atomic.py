"""Files and folders appear whole or not at all, with the permissions and in the place that a plain `open` gives."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from augmentor.core.atomic import atomic_file, atomic_path, disk_full_refused, space_message
from augmentor.core.errors import ArtifactError, DataError, ResourceError

HOST = socket.gethostname()
posix = pytest.mark.skipif(os.name != "posix", reason="permissions and limits of Unix")


@pytest.fixture
def umask() -> Iterator[None]:
    """A umask that is nobody's default."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_target_changes_only_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    target.write_text("old")
    with atomic_file(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_text() == "old"
        assert sorted(os.listdir(tmp_path)) == [f".r.json.partial-{os.getpid()}@{HOST}", "r.json"]
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["r.json"]


def test_a_folder_takes_the_place_of_a_full_one(tmp_path: Path) -> None:
    target = tmp_path / "out.zarr"
    for content in ("first", "second"):
        with atomic_path(target) as path:
            path.mkdir()
            (path / content).write_text(content)
    assert os.listdir(target) == ["second"]
    assert os.listdir(tmp_path) == ["out.zarr"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_exception_leaves_a_folder_as_it_was(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "out.zarr"
    target.mkdir()
    (target / "data").write_text("old")
    with pytest.raises(error), atomic_path(target) as path:
        path.mkdir()
        (path / "data").write_text("half")
        raise error
    assert (target / "data").read_text() == "old"
    assert os.listdir(tmp_path) == ["out.zarr"]


def test_a_folder_stays_when_nothing_was_written(tmp_path: Path) -> None:
    (tmp_path / "out.zarr").mkdir()
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out.zarr"):
        pass
    assert os.listdir(tmp_path) == ["out.zarr"]


# Interrupted between the two renames of the exchange: Python announces each of them to its auditors.
INTERRUPTED = """
import sys
from augmentor.core.atomic import atomic_path
renames = []
def auditor(event, given):
    if event == "os.rename":
        renames.append(given)
        if len(renames) == 2:
            raise KeyboardInterrupt
try:
    with atomic_path(sys.argv[1]) as path:
        path.mkdir()
        sys.addaudithook(auditor)
except KeyboardInterrupt:
    sys.exit(len(renames))
"""


def test_a_folder_that_stepped_aside_comes_back(tmp_path: Path) -> None:
    target = tmp_path / "out.zarr"
    target.mkdir()
    (target / "data").write_text("old")
    run = subprocess.run([sys.executable, "-c", INTERRUPTED, target], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (3, "")  # aside, onto the target, back
    assert (target / "data").read_text() == "old"
    assert os.listdir(tmp_path) == ["out.zarr"]


@posix
def test_permissions_are_those_of_a_plain_open(tmp_path: Path, umask: None) -> None:
    (tmp_path / "plain").write_text("x")
    with atomic_file(tmp_path / "file") as file:
        file.write(b"x")
    with atomic_path(tmp_path / "path") as path:
        path.write_text("x")
    assert mode(tmp_path / "file") == mode(tmp_path / "path") == mode(tmp_path / "plain") == 0o640
    (tmp_path / "file").chmod(0o600)
    with atomic_file(tmp_path / "file") as file:
        file.write(b"still private")
    assert mode(tmp_path / "file") == 0o600


def test_stale_files_of_dead_processes_and_of_our_own_number_go(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    stale = [f".a[1]*.csv.partial-{pid}@{HOST}" for pid in (done.pid, os.getpid(), 10**30)]
    kept = [
        f".a[1]*.csv.partial-{os.getppid()}@{HOST}",
        f".a[1]*.csv.partial-{done.pid}@not-{HOST}",
        f".a[1]*.csv.partial-{done.pid}@{HOST}.older",
        f".a[1]*.csv.partial-notes@{HOST}",
        f".a1.csv.partial-{done.pid}@{HOST}",
    ]
    for name in (*stale[:2], *kept):
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / stale[2]).mkdir()
    (tmp_path / stale[2] / "data").write_bytes(b"half")
    with atomic_file(tmp_path / "a[1]*.csv") as file:
        file.write(b"whole")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "a[1]*.csv"])


def test_a_link_keeps_pointing(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "store" / "real")
    with atomic_file(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "store") == ["real"]


@pytest.mark.parametrize("refusal", [DataError, ArtifactError])
def test_places_that_cannot_be_written_are_refused_in_the_words_of_the_caller(
    tmp_path: Path, refusal: type[DataError] | type[ArtifactError]
) -> None:
    with pytest.raises(refusal, match=r"it is a folder\. Name a file"), atomic_file(tmp_path, refusal=refusal):
        pass
    for atomic in (atomic_file, atomic_path):
        with (
            pytest.raises(refusal, match=r"cannot write r\.json: the folder .*no does not exist. Create it first"),
            atomic(tmp_path / "no" / "r.json", refusal=refusal),
        ):
            pass
    with (
        pytest.raises(refusal, match=r"r\.json \(Input/output error\). Choose another"),
        atomic_file(tmp_path / "r.json", refusal=refusal),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert os.listdir(tmp_path) == []


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from augmentor.core.atomic import atomic_file
from augmentor.core.errors import ResourceError
try:
    with atomic_file(sys.argv[1]) as file:
        file.write(bytes(5000))
except ResourceError as error:
    sys.exit(str(error))
"""


@posix
def test_where_space_ends_is_one_sentence_and_the_old_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "r.json"
    target.write_text("old")
    run = subprocess.run([sys.executable, "-c", LIMITED, target], capture_output=True, text=True, check=False)
    free = rf"[\d.]+ [kMGT]B are free in {re.escape(str(tmp_path))}"
    assert run.returncode == 1
    assert re.fullmatch(
        rf"no room to write r\.json: {free}, so a quota or a limit on file size stopped it\. "
        r"Free some space or write to another disk\.\n",
        run.stderr,
    )
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["r.json"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError(f"the library says: {os.strerror(errno.ENOSPC)}"),
        ValueError(f"write failed, errno = {errno.ENOSPC}, and so on"),
    ],
    ids=["system", "text", "number"],
)
def test_a_full_disk_in_any_words(tmp_path: Path, error: Exception) -> None:
    with (
        pytest.raises(ResourceError, match=r"o\.csv: it needs about 10 kB, and .* free in"),
        disk_full_refused(tmp_path / "o.csv", lambda: 10_000),
    ):
        raise error
    with pytest.raises(ResourceError) as found, disk_full_refused(tmp_path / "o.csv"):
        raise error
    assert "quota" not in str(found.value)


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    for error in (OSError(errno.EACCES, "no"), RuntimeError("no"), ValueError("no"), KeyError("no")):
        with pytest.raises(type(error), match="no"), disk_full_refused(tmp_path / "o.csv"):
            raise error


def test_asking_for_less_helps_only_a_file_of_rows(tmp_path: Path) -> None:
    assert "ask for fewer rows" in space_message(tmp_path / "o.csv", 10**18)
    assert "fewer" not in space_message(tmp_path / "m.augment", None)
