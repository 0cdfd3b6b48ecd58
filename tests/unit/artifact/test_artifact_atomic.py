"""A model file appears whole or not at all: killed, interrupted, or on a full disk."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from artifacts import HISTORY, manifest, saved, transforms

from augmentor.artifact import load, save
from augmentor.core.atomic import atomic_file, disk_full_refused
from augmentor.core.errors import ArtifactError, ResourceError

HERE = Path(__file__).parent
HOST = socket.gethostname()
# Says "go" once it writes, so that the parent kills it in the middle of one of many saves.
SAVES = """
import sys; sys.path[:0] = [sys.argv[2]]
import numpy as np
from artifacts import HISTORY, manifest, transforms
from augmentor.artifact import save
for seed in range(10_000):
    print("go", flush=True)
    save(sys.argv[1], manifest(seed=seed), {"a": np.full(1_000_000, seed, dtype="f4")}, transforms(), HISTORY)
"""


def test_killed_halfway(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()
    code = (
        "import os, signal, sys; from pathlib import Path; from augmentor.core.atomic import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert run.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2
    saved(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.augment"]


def test_killed_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "model.augment"
    rng = np.random.default_rng(0)
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", SAVES, path, HERE], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(int(rng.integers(1, 12))):
                assert process.stdout.readline() == b"go\n"
            partial = path.with_name(f".{path.name}.partial-{process.pid}@{HOST}")
            while not partial.exists() and process.poll() is None:
                pass
            process.kill()
        if path.exists():
            stored = load(path)
            assert np.all(stored.weights["a"] == stored.manifest.seed)
            assert len(stored.weights["a"]) == 1_000_000
    saved(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.augment"]


def test_files_of_living_processes_and_other_machines_stay(tmp_path: Path) -> None:
    kept = [
        tmp_path / f".model.augment.partial-{os.getppid()}@{HOST}",
        tmp_path / f".model.augment.partial-999999999@not-{HOST}",
        tmp_path / f".model.augment.partial-notes@{HOST}",
        tmp_path / f".other.augment.partial-999999999@{HOST}",
    ]
    dead = tmp_path / f".model.augment.partial-999999999@{HOST}"
    for file in (dead, *kept):
        file.write_bytes(b"half")
    saved(tmp_path)
    assert not dead.exists()
    assert all(file.exists() for file in kept)


def test_a_link_keeps_pointing(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    link = tmp_path / "model.augment"
    link.symlink_to(tmp_path / "store" / "v1.augment")
    saved(tmp_path)
    assert link.is_symlink()
    assert load(tmp_path / "store" / "v1.augment").manifest.seed == 7


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_interrupted(tmp_path: Path, error: type[BaseException]) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()
    with pytest.raises(error), atomic_file(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.augment"]


def test_save_replaces(tmp_path: Path) -> None:
    saved(tmp_path, seed=1)
    assert load(saved(tmp_path, seed=2)).manifest.seed == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_full_disk_is_a_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(
            ResourceError, match=r"^no room to write m\.augment: [\d.]+ \w+ are free in .*\. Free some space or"
        ),
        disk_full_refused(tmp_path / "m.augment"),
        open("/dev/full", "wb", buffering=0) as file,
    ):
        file.write(b"x")


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits of Unix")
def test_nothing_is_left_behind_where_space_ends(tmp_path: Path) -> None:
    code = (
        "import re, resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000));"
        "import sys; sys.path[:0] = [sys.argv[2]]\n"
        "import numpy as np\n"
        "from artifacts import HISTORY, manifest, transforms\n"
        "from augmentor.artifact import save\n"
        "from augmentor.core.errors import ResourceError\n"
        "try: save(sys.argv[1], manifest(), {'a': np.zeros(1_000_000)}, transforms(), HISTORY)\n"
        "except ResourceError as error: sys.exit(0 if re.match(r'no room to write model\\.augment: .* free in ', str(error)) else 3)\n"
    )
    path = saved(tmp_path)
    before = path.read_bytes()
    run = subprocess.run([sys.executable, "-c", code, path, HERE], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.augment"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"the folder .* does not exist\. Create it first"):
        save(tmp_path / "no" / "m.augment", manifest(), {}, transforms(), HISTORY)
    with pytest.raises(ArtifactError, match="is a folder"):
        save(tmp_path, manifest(), {}, transforms(), HISTORY)
    assert not list(tmp_path.iterdir())
