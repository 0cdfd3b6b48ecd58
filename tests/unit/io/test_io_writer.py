"""A file exists whole or not at all: exceptions, SIGKILL, full disks, and what the writer refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from augmentor import io
from augmentor.core.dataset import Dataset
from augmentor.core.errors import DataError, ResourceError, SchemaMismatch
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space

FORMATS = ["out.h5ad", "out.zarr", "out.csv", "out.csv.gz", "out.parquet"]
ROOT = Path(__file__).resolve().parents[3]


def counts(rows: int = 6, *, is_sparse: bool = True, genes: int = 4) -> Dataset:
    x = np.random.default_rng(0).poisson(2.0, (rows, genes)).astype("float32")
    x[:, 0] += 1
    schema = Schema(
        space=Space.COUNTS,
        features=tuple(f"g{i}" for i in range(genes)),
        labels=(LabelColumn(name="celltype", categories=("NK", "B")),),
        sparse=is_sparse,
        integer=True,
    )
    codes = (np.arange(rows) % 2).astype(np.int32)[:, None]
    return Dataset.checked(sparse.csr_matrix(x) if is_sparse else x, schema, codes)


@pytest.mark.parametrize("name", FORMATS)
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    data = counts()
    with io.writer(tmp_path / name, data.schema, 6) as out:
        out.append(data)
    before = io.read(tmp_path / name, label="celltype").digest()
    with pytest.raises(KeyboardInterrupt), io.writer(tmp_path / name, data.schema, 12) as out:
        out.append(data)
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == [name]
    assert io.read(tmp_path / name, label="celltype").digest() == before


@pytest.mark.parametrize("name", FORMATS)
def test_an_existing_file_is_replaced(tmp_path: Path, name: str) -> None:
    for rows in (6, 4):
        data = counts(rows)
        with io.writer(tmp_path / name, data.schema, rows) as out:
            out.append(data)
    assert len(io.read(tmp_path / name, label="celltype")) == 4
    assert os.listdir(tmp_path) == [name]


KILLED = """
import os, signal, sys
import numpy as np
sys.path.insert(0, {here!r})
from test_io_writer import counts
from augmentor import io
data = counts()
with io.writer(sys.argv[1], data.schema, 12) as out:
    out.append(data)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["out.h5ad", "out.zarr", "out.csv"])
def test_a_killed_writer_leaves_no_target_and_the_next_one_cleans_up(tmp_path: Path, name: str) -> None:
    code = KILLED.format(here=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], cwd=ROOT, env=environment())
    assert done.returncode == -signal.SIGKILL
    left = os.listdir(tmp_path)
    assert len(left) == 1 and left[0].startswith(f".{name}.partial-")
    data = counts()
    with io.writer(tmp_path / name, data.schema, 6) as out:
        out.append(data)
    assert os.listdir(tmp_path) == [name]


FULL = """
import resource, sys
sys.path.insert(0, {here!r})
from test_io_writer import counts
from augmentor import io
from augmentor.core.errors import ResourceError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18))
data = counts(2000, is_sparse={is_sparse}, genes=500)
try:
    with io.writer(sys.argv[1], data.schema, 10000) as out:
        for _ in range(5):
            out.append(data)
except ResourceError as error:
    print(error)
    sys.exit(1)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits on file size are a POSIX feature")
@pytest.mark.parametrize(
    "name, is_sparse", [("out.h5ad", True), ("out.h5ad", False), ("out.csv", True), ("out.csv.gz", True)]
)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path, name: str, is_sparse: bool) -> None:
    code = FULL.format(here=str(Path(__file__).parent), is_sparse=is_sparse)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / name)], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    # 1, and not a crash of the HDF5 library when the process ends
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert f"no room to write {name}: it needs about" in done.stdout and "free in" in done.stdout
    assert os.listdir(tmp_path) == []


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def test_what_cannot_fit_is_refused_before_the_work(tmp_path: Path) -> None:
    data = counts()
    with (
        pytest.raises(ResourceError, match=r"no room to write out\.h5ad: it needs about .* free in"),
        io.writer(tmp_path / "out.h5ad", data.schema, 10**15 // 8 // 4) as out,
    ):
        out.append(data)
    assert os.listdir(tmp_path) == []


def test_places_and_names_that_cannot_be_written(tmp_path: Path) -> None:
    schema = counts().schema
    for path, words in [
        ("out.xlsx", "must end in one of"),
        ("out.h5", "must end in one of"),
        ("nowhere/out.h5ad", "does not exist. Create it first"),
    ]:
        with pytest.raises(DataError, match=words), io.writer(tmp_path / path, schema, 6):
            pass
    with pytest.raises(DataError, match="0 rows"), io.writer(tmp_path / "out.h5ad", schema, 0):
        pass
    assert os.listdir(tmp_path) == []


def test_blocks_must_fit_the_file(tmp_path: Path) -> None:
    data = counts()
    with (
        pytest.raises(SchemaMismatch, match="lacks 1 of 4 features"),
        io.writer(tmp_path / "o.h5ad", data.schema, 6) as out,
    ):
        out.append(data.select([0, 1, 2]))
    with pytest.raises(SchemaMismatch, match="must agree"), io.writer(tmp_path / "o.h5ad", data.schema, 6) as out:
        out.append(data.select([1, 0, 2, 3]))
    with (
        pytest.raises(ValueError, match="12 rows for a file of 6"),
        io.writer(tmp_path / "o.h5ad", data.schema, 6) as out,
    ):
        out.append(data)
        out.append(data)
    with (
        pytest.raises(ValueError, match="6 rows were written to a file of 7"),
        io.writer(tmp_path / "o.h5ad", data.schema, 7) as out,
    ):
        out.append(data)
    assert os.listdir(tmp_path) == []


def test_annotation_that_a_store_cannot_hold_is_refused(tmp_path: Path) -> None:
    mixed = Schema(space=Space.MIXED, features=("a", "b"), levels=(None, ("x", "y")))
    with pytest.raises(DataError, match="mixed table"), io.writer(tmp_path / "o.h5ad", mixed, 2):
        pass
    slashed = Schema(space=Space.COUNTS, features=("a",), labels=(LabelColumn(name="cell/type", categories=("x",)),))
    with pytest.raises(DataError, match="'cell/type' contains '/'"), io.writer(tmp_path / "o.zarr", slashed, 2):
        pass
    assert os.listdir(tmp_path) == []


def test_missing_labels_are_written_as_missing_or_refused(tmp_path: Path) -> None:
    data = counts()
    codes = data.codes.copy()
    codes[0] = -1
    for kind in ("category", "string", "float"):
        label = LabelColumn(name="celltype", categories=("1.0", "2.0"), kind=kind)
        gap = Dataset.checked(data.x, data.schema.model_copy(update={"labels": (label,)}), codes)
        for name in ("out.h5ad", "out.csv"):
            with io.writer(tmp_path / name, gap.schema, 6) as out:
                out.append(gap)
            assert list(io.read(tmp_path / name, label="celltype").codes[:, 0] < 0) == [True] + [False] * 5
    label = LabelColumn(name="celltype", categories=("1", "2"), kind="int")
    gap = Dataset.checked(data.x, data.schema.model_copy(update={"labels": (label,)}), codes)
    with pytest.raises(DataError, match="missing in 1 rows"), io.writer(tmp_path / "out.h5ad", gap.schema, 6) as out:
        out.append(gap)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    data = counts(50)
    found = []
    for _ in range(2):
        for name in ("out.h5ad", "out.csv.gz", "out.parquet"):
            with io.writer(tmp_path / name, data.schema, 50, uns={"seed": 1}) as out:
                out.append(data)
        found.append([(tmp_path / name).read_bytes() for name in ("out.h5ad", "out.csv.gz", "out.parquet")])
    assert found[0] == found[1]


def test_atomic_path_keeps_links_and_foreign_partials(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    foreign = tmp_path / ".real.txt.partial-1@another-machine"
    foreign.write_text("being written elsewhere")
    with io.atomic_path(tmp_path / "link.txt") as path:
        path.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    assert foreign.exists()


def test_atomic_path_brings_back_a_folder_that_a_killed_writer_moved_aside(tmp_path: Path) -> None:
    import socket

    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    aside = tmp_path / f".out.zarr.partial-{done.pid}@{socket.gethostname()}.old"
    aside.mkdir()
    (aside / "data").write_text("whole")
    with pytest.raises(RuntimeError), io.atomic_path(tmp_path / "out.zarr"):
        raise RuntimeError
    assert (tmp_path / "out.zarr" / "data").read_text() == "whole"
    assert os.listdir(tmp_path) == ["out.zarr"]
