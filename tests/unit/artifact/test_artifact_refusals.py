"""A model file that cannot be trusted is refused in one sentence, whatever is wrong with it."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artifacts import edited, members, rebuilt, same, saved, weights
from hypothesis import given, settings
from hypothesis import strategies as st

from augmentor.artifact import FORMAT, check_state, load, read_manifest
from augmentor.artifact import container as containers
from augmentor.artifact.migrations import MIGRATIONS, migrate
from augmentor.artifact.tensors import digest, unpack
from augmentor.core.errors import ArtifactError


def refusal(path: Path) -> str:
    """The sentence with which a file is refused, by both ways of reading if it concerns the manifest."""
    with pytest.raises(ArtifactError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.rstrip(".").count(". ") <= 2
    return message


def test_missing(tmp_path: Path) -> None:
    assert "there is no model file" in refusal(tmp_path / "no.augment")
    with pytest.raises(ArtifactError, match="there is no model file"):
        read_manifest(tmp_path / "no.augment")


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"", "an empty file"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"celltype,CD3D\n", "something else"),
        (b"\x1f\x8b\x08", "gzip"),
    ],
)
def test_not_a_zip(tmp_path: Path, start: bytes, kind: str) -> None:
    path = tmp_path / "expr.h5ad"
    path.write_bytes(start)
    message = refusal(path)
    assert "is not a model file of augmentor" in message
    assert kind in message


def test_truncated_anywhere(tmp_path: Path) -> None:
    data = saved(tmp_path).read_bytes()
    path = tmp_path / "cut"
    for length in [*range(0, len(data), 37), *range(len(data) - 30, len(data))]:
        path.write_bytes(data[:length])
        message = refusal(path)
        assert ("truncated or damaged" if length > 3 else "not a model file") in message


def test_every_flipped_byte(tmp_path: Path) -> None:
    whole = saved(tmp_path)
    expected = load(whole)
    data = whole.read_bytes()
    path = tmp_path / "flipped"
    inside = set()
    for content in members(whole).values():
        start = data.index(content)
        inside |= set(range(start, start + len(content)))
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x41
        path.write_bytes(changed)
        try:
            found = load(path)
        except ArtifactError:
            continue
        # only times and attributes in the headers of the zip may differ without a refusal
        assert position not in inside
        assert same(found, expected), position


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_random_edits(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    whole = saved(folder)
    content = bytearray(whole.read_bytes())
    expected = load(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        # half of the edits hit the directory at the end, where the structure is
        start = len(content) - start % 400 if data.draw(st.booleans()) else start
        length = data.draw(st.integers(0, 8))
        content[max(start, 0) : max(start, 0) + length] = data.draw(st.binary(max_size=8))
    path = folder / "edited"
    path.write_bytes(content)
    try:
        found = load(path)
    except ArtifactError:
        return
    assert same(found, expected)


@pytest.mark.parametrize("change", [{"seed": 8}, {"model": "cgan"}, {"sha256": "0" * 64}, {"note": "hello"}])
def test_edited_manifest(tmp_path: Path, change: dict[str, Any]) -> None:
    path = edited(saved(tmp_path), change, sealed=False)
    assert "manifest.json" in refusal(path)
    assert "was altered after it was written" in refusal(path)
    with pytest.raises(ArtifactError, match="was altered"):
        read_manifest(path)


@pytest.mark.parametrize("member", ["weights.safetensors", "transforms.safetensors", "history.jsonl"])
def test_edited_member(tmp_path: Path, member: str) -> None:
    path = saved(tmp_path)
    contents = members(path)
    contents[member] = contents[member][:-1] + bytes([contents[member][-1] ^ 1])
    assert f"{member} in '{path}' was altered after it was written" in refusal(rebuilt(path, contents))


def test_edited_folder(tmp_path: Path) -> None:
    path = saved(tmp_path)
    folder = tmp_path / "model"
    folder.mkdir()
    for name, data in members(path).items():
        (folder / name).write_bytes(data)
    (folder / "history.jsonl").write_bytes(b'{"epoch":0}\n')
    assert "history.jsonl" in refusal(folder)
    (folder / "history.jsonl").unlink()
    assert "1 missing (history.jsonl)" in refusal(folder)
    (folder / "history.jsonl").mkdir()
    assert "must be a file" in refusal(folder)
    (folder / "notes.txt").write_text("mine")
    assert "1 unexpected ('notes.txt')" in refusal(folder)
    assert "it has no manifest.json" in refusal(tmp_path)


def test_newer_format(tmp_path: Path) -> None:
    path = edited(saved(tmp_path), {"format": 2, "novelty": True}, sealed=False)
    rebuilt(path, {**members(path), "latent.parquet": b""})  # nothing else is asked of a newer format
    sentence = (
        "was written by a newer augmentor (format 2; this one reads up to 1). Upgrade: pip install -U augmentor-omics"
    )
    assert sentence in refusal(path)


@pytest.mark.parametrize("number", [None, 0, -1, "1", True, 1.0])
def test_strange_format(tmp_path: Path, number: object) -> None:
    assert "must give a positive format number" in refusal(edited(saved(tmp_path), {"format": number}, sealed=True))


def test_wrong_fields_are_named(tmp_path: Path) -> None:
    path = edited(saved(tmp_path), {"seed": -1, "layout": {"space": "colour"}, "extra": 1}, sealed=True)
    message = refusal(path)
    assert "has 4 wrong fields" in message
    assert "seed" in message
    assert "layout.space" in message
    assert "and 1 more" in message
    path = edited(saved(tmp_path), {}, sealed=True, remove=("model",))
    assert "model: Field required" in refusal(path)
    path = edited(saved(tmp_path), {"tensors": {"weights.safetensors": ""}}, sealed=True)
    assert "must give the digests" in refusal(path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b'{"format": NaN}',
        b'{"format": 1, "a": Infinity}',
        b"\xff\xfe{",
        b'{"a": "\\ud800"}',
        b'{"format": ' + b"9" * 5000 + b"}",
        b'{"a":' * 100_000,
    ],
)
def test_manifest_that_is_not_json(tmp_path: Path, text: bytes) -> None:
    path = saved(tmp_path)
    message = refusal(rebuilt(path, {**members(path), "manifest.json": text}))
    assert "is not valid JSON" in message or "must be a JSON object" in message


def test_history_that_is_not_json(tmp_path: Path) -> None:
    path = saved(tmp_path)
    contents = {**members(path), "history.jsonl": b'{"epoch":0}\n[1]\n'}
    rebuilt(path, contents)
    path = edited(path, {"history": digest(contents["history.jsonl"])}, sealed=True)
    assert "line 2 of history.jsonl" in refusal(path)


@pytest.mark.parametrize("name", ["../evil.json", "/etc/passwd", "weights.pkl", "a/weights.safetensors", "x\x1b[2J\ny"])
def test_unexpected_member(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path)
    message = refusal(rebuilt(path, {**members(path), name: b"x"}))
    assert "1 unexpected" in message
    assert message.isprintable()
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.augment"]


def test_missing_and_repeated_member(tmp_path: Path) -> None:
    path = saved(tmp_path)
    contents = members(path)
    short = {name: data for name, data in contents.items() if name != "weights.safetensors"}
    assert "1 missing (weights.safetensors)" in refusal(rebuilt(tmp_path / "short", short))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("history.jsonl", b"")
    assert "1 repeated (history.jsonl)" in refusal(path)
    assert "it has no manifest.json" in refusal(rebuilt(tmp_path / "empty", {"readme": b""}))


@pytest.mark.parametrize("member", containers.MEMBERS)
def test_zip_bomb(tmp_path: Path, member: str) -> None:
    path = saved(tmp_path)
    contents = members(path)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            if name == member:
                archive.writestr(name, bytes(20_000_000), compress_type=zipfile.ZIP_DEFLATED)
            else:
                archive.writestr(name, data)
    assert path.stat().st_size < 100_000
    assert f"{member} in '{path}' is compressed" in refusal(path)


def test_claimed_size_beyond_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"weights.safetensors"))
    data[entry + 20 : entry + 28] = struct.pack("<II", 4_000_000_000, 4_000_000_000)
    path.write_bytes(data)
    assert "claims 4,000,000,000 bytes" in refusal(path)


def test_oversized_text(tmp_path: Path) -> None:
    path = saved(tmp_path)
    contents = members(path)
    folder = tmp_path / "model"
    folder.mkdir()
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    os.truncate(folder / "manifest.json", 300 * 2**20)  # sparse: no disk is used
    assert "has 314,572,800 bytes; at most 268,435,456 are read" in refusal(folder)


def _safetensors(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 7,
        struct.pack("<Q", 2**63),
        _safetensors(b"{"),
        _safetensors([]),
        _safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"\x00" * 4),
        _safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\x00" * 9),
        _safetensors({"a": {"dtype": "F32", "shape": [2**62, 8], "data_offsets": [0, 4]}}, b"\x00" * 4),
        _safetensors({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}, b"\x00" * 8),
        _safetensors({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"\x00" * 2),
        _safetensors({"a": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, b"\x00"),
    ],
)
def test_invalid_tensors(tmp_path: Path, data: bytes) -> None:
    path = saved(tmp_path)
    rebuilt(path, {**members(path), "weights.safetensors": data})
    digests = {"weights.safetensors": digest(data), "transforms.safetensors": read_digest(path)}
    message = refusal(edited(path, {"tensors": digests}, sealed=True))
    assert f"weights.safetensors in '{path}'" in message


def read_digest(path: Path) -> str:
    return digest(members(path)["transforms.safetensors"])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_random_edits_of_tensors(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Digests keep these away in practice; a forger could renew them."""
    content = bytearray(members(saved(tmp_path_factory.mktemp("fuzz")))["weights.safetensors"])
    start = data.draw(st.integers(0, len(content) - 1))
    start = start % 700 if data.draw(st.booleans()) else start
    content[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    try:
        arrays = unpack(bytes(content), "weights")
    except ArtifactError:
        return
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


def test_check_state_names_everything_at_once() -> None:
    found = {"a": np.zeros((2, 3)), "b": np.zeros(4, dtype=np.float32), "d": np.zeros(()), "free": np.zeros((9, 2))}
    expected: dict[str, Any] = {
        "a": ((2, 3), np.float64),
        "b": ((5,), "float32"),
        "c": ((1,), "int32"),
        "free": ((None, 2), "float64"),
    }
    with pytest.raises(ArtifactError) as caught:
        check_state(expected, found, "the weights of cvae")
    assert str(caught.value).startswith(
        "the weights of cvae must be 4 tensors, but of those found 1 missing ('c' (1, int32)); "
        "1 unexpected ('d' (one number, float64)); "
        "1 of another shape or type ('b' is (4, float32) instead of (5, float32))."
    )


def test_check_state_is_strict() -> None:
    check_state({name: (a.shape, a.dtype) for name, a in weights().items()}, weights(), "weights")
    check_state({}, {}, "weights")
    for shape, dtype in (((3, 2), "f8"), ((2,), "f8"), ((2, 3, 1), "f8"), ((2, 3), "f4"), ((2, None), "i8")):
        with pytest.raises(ArtifactError, match="1 of another shape or type"):
            check_state({"a": (shape, dtype)}, {"a": np.zeros((2, 3))}, "weights")


def test_migrations_are_pure_steps() -> None:
    steps = {
        1: lambda old: {**{k: v for k, v in old.items() if k != "seed"}, "root": old["seed"]},
        2: lambda old: {**old, "twice": old["root"] * 2},
    }
    old = {"format": 1, "seed": 4}
    assert migrate(old, target=3, what="m", migrations=steps) == {"format": 3, "root": 4, "twice": 8}
    assert old == {"format": 1, "seed": 4}
    assert migrate({"format": 3}, target=3, what="m", migrations=steps) == {"format": 3}
    with pytest.raises(
        ArtifactError, match="format 1, and this augmentor reads format 4 but cannot migrate from format 3"
    ):
        migrate(old, target=4, what="m", migrations=steps)
    with pytest.raises(ArtifactError, match="newer"):
        migrate({"format": 4}, target=3, what="m", migrations=steps)
    assert set(MIGRATIONS) == set(range(1, FORMAT)), "every released format must lead up to the present one"
