"""What goes into an artifact comes out bit by bit, and the same parts give the same bytes."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from artifacts import HISTORY, manifest, members, saved, transforms, weights
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from augmentor.artifact import FORMAT, load, read_manifest, save
from augmentor.artifact.manifest import plain
from augmentor.artifact.tensors import pack, unpack
from augmentor.core.errors import ArtifactError


def test_round_trip(tmp_path: Path) -> None:
    stored = load(saved(tmp_path))
    for before, after in ((weights(), stored.weights), (transforms(), stored.transforms)):
        assert before.keys() == after.keys()
        for name, array in before.items():
            native = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
            assert (after[name].dtype, after[name].shape) == (native.dtype, array.shape), name
            assert after[name].tobytes() == native.tobytes(), name
            assert after[name].flags.writeable, name
    assert stored.history == [{"epoch": 0, "loss": 2.5, "valid": None}, HISTORY[1]]
    told = manifest()
    filled = told.model_copy(update={"tensors": stored.manifest.tensors, "history": stored.manifest.history})
    assert stored.manifest == filled
    assert stored.manifest.format == FORMAT
    assert stored.manifest.data_schema.labels[0].categories == ("B", "é")
    assert stored.manifest.config == {"latent": 8, "hidden": [64, 32], "beta": 0.5}
    assert stored.manifest.training["loss"] == [1.5, None, None]


def test_again_saved_is_the_same_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    stored = load(path)
    save(tmp_path / "again", stored.manifest, stored.weights, stored.transforms, stored.history)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_same_parts_same_bytes(tmp_path: Path) -> None:
    path = saved(tmp_path)
    turned = dict(reversed(weights().items()))
    save(tmp_path / "b", manifest(), {k: np.asarray(v, order="F") for k, v in turned.items()}, transforms(), HISTORY)
    assert (tmp_path / "b").read_bytes() == path.read_bytes()


def test_only_the_manifest_knows_the_time(tmp_path: Path) -> None:
    one = members(saved(tmp_path))
    two = members(saved(tmp_path, created=datetime(2027, 1, 1, tzinfo=UTC)))
    assert {name for name in one if one[name] != two[name]} == {"manifest.json"}


def test_container_is_a_plain_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(saved(tmp_path)) as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == [
        "manifest.json",
        "weights.safetensors",
        "transforms.safetensors",
        "history.jsonl",
    ]
    assert {(info.compress_type, info.date_time) for info in infos} == {(zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0))}


def test_unpacked_folder(tmp_path: Path) -> None:
    path = saved(tmp_path)
    folder = tmp_path / "model"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    assert load(folder).manifest == load(path).manifest == read_manifest(folder) == read_manifest(str(path))


def test_manifest_alone_needs_no_tensors(tmp_path: Path) -> None:
    path = saved(tmp_path)
    expected = read_manifest(path)
    data = bytearray(path.read_bytes())
    data[data.index(weights()["encoder.weight"].tobytes())] ^= 1
    path.write_bytes(data)
    assert read_manifest(path) == expected
    with pytest.raises(ArtifactError):
        load(path)


def test_inspecting_loads_neither_torch_nor_anndata(tmp_path: Path) -> None:
    code = (
        "import sys; from augmentor.artifact import read_manifest; read_manifest(sys.argv[1]); "
        "heavy = {'torch', 'anndata', 'pandas', 'sklearn', 'h5py'} & set(sys.modules); sys.exit(' '.join(heavy) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code, saved(tmp_path)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=12).filter(lambda name: name != "__metadata__"),
        hnp.arrays(
            dtype=st.sampled_from(
                ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", ">f4", ">i8"]
            ),
            shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=4,
    )
)
def test_any_arrays(arrays: dict[str, np.ndarray]) -> None:
    found = unpack(pack(arrays, "weights"), "weights")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        native = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        assert found[name].dtype == native.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == native.tobytes()


@pytest.mark.parametrize(
    "array", [np.array(["B", "NK"]), np.array([None, 1]), np.array([1j]), np.array(["2026"], "M8[Y]")]
)
def test_arrays_without_portable_form(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(ArtifactError, match=r"found 1 other arrays: 'bad' \("):
        save(tmp_path / "m", manifest(), {"bad": array}, {}, [])
    assert not list(tmp_path.iterdir())


def test_reserved_tensor_name(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="__metadata__"):
        save(tmp_path / "m", manifest(), {"__metadata__": np.zeros(1)}, {}, [])


def test_manifest_holds_json_only() -> None:
    assert plain({"a": (np.int64(1), np.bool_(True), float("-inf"))}) == {"a": [1, True, None]}
    for config in ({"a": np.zeros(2)}, {"a": {1: 2}}, {"a": object()}, {"a": {1, 2}}):
        with pytest.raises(ValidationError):
            manifest(config=config)


def test_manifest_is_frozen_and_consistent() -> None:
    with pytest.raises(ValidationError):
        manifest().seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="1 combination names for 2 conditions"):
        manifest(combinations=(("B",),))
    with pytest.raises(ValidationError):
        manifest(extra=1)
