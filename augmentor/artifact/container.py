"""The four files of an artifact, as one uncompressed zip or as a folder; opened strictly, nothing is ever extracted."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from augmentor.core.errors import ArtifactError, listed

MANIFEST, WEIGHTS, TRANSFORMS, HISTORY = MEMBERS = (
    "manifest.json",
    "weights.safetensors",
    "transforms.safetensors",
    "history.jsonl",
)
# Text grows when it is parsed; tensors do not, and are bounded by the size of the file itself.
LIMITS = {MANIFEST: 256 * 2**20, HISTORY: 64 * 2**20}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: same content, same bytes
REMEDY = "Copy it again from where it was made, or fit again."
LOOKS = {b"\x89HDF": "an HDF5 file (.h5ad, 10x .h5)", b"\x1f\x8b": "a gzip file", b"PAR1": "a Parquet file"}


class Container(Protocol):
    """An opened artifact."""

    def members(self) -> list[str]:
        """Names of everything in it, also of what does not belong there."""
        ...

    def size(self, member: str) -> int:
        """Bytes of a member."""
        ...

    def read(self, member: str) -> bytes:
        """Content of a member."""
        ...


def write_members(file: BinaryIO, members: Mapping[str, bytes]) -> None:
    """Write a zip whose bytes depend on nothing but the members."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in MEMBERS:
            info = zipfile.ZipInfo(name, date_time=EPOCH)
            info.create_system = 3  # Unix, whatever the system
            info.external_attr = 0o644 << 16
            archive.writestr(info, members[name])


@contextmanager
def opened(path: Path) -> Iterator[Container]:
    """Open a model file or an unpacked folder.

    Raises:
        ArtifactError: missing, unreadable, empty, truncated, not a zip, or with compressed or encrypted members.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise ArtifactError(f"there is no model file '{path}'. `augment fit` makes one; check the name.") from None
    except OSError as error:
        raise ArtifactError(f"model file '{path}' cannot be opened ({error.strerror}). Check the name.") from error
    with file:
        yield _Zip(path, file)


def check_members(container: Container, path: Path) -> None:
    """Refuse an artifact that does not consist of exactly the four files."""
    found = container.members()
    missing = [name for name in MEMBERS if name not in found]
    extra = [ascii(name)[:60] for name in found if name not in MEMBERS]
    twice = sorted({name for name in found if found.count(name) > 1})
    faults = [
        f"{len(names)} {kind} ({listed(names, most=4)})"
        for kind, names in (("missing", missing), ("unexpected", extra), ("repeated", twice))
        if names
    ]
    if faults:
        raise ArtifactError(f"model file '{path}' must consist of {len(MEMBERS)} files: {'; '.join(faults)}. {REMEDY}")


def read_member(container: Container, member: str, path: Path) -> bytes:
    """Return a member's bytes, if it is there and within its limit."""
    if member not in container.members():
        raise ArtifactError(f"'{path}' is not a model file: it has no {member}. {REMEDY}")
    size, limit = container.size(member), LIMITS.get(member)
    if limit is not None and size > limit:
        raise ArtifactError(
            f"{member} in '{path}' has {size:,} bytes; at most {limit:,} are read. This is not a model of augmentor."
        )
    return container.read(member)


class _Folder:
    def __init__(self, path: Path):
        self.path = path
        with _readable(path):
            self.names = sorted(entry.name for entry in path.iterdir())

    def members(self) -> list[str]:
        return self.names

    def size(self, member: str) -> int:
        if not (self.path / member).is_file():
            raise ArtifactError(f"'{member}' in '{self.path}' must be a file. {REMEDY}")
        with _readable(self.path):
            return (self.path / member).stat().st_size

    def read(self, member: str) -> bytes:
        with _readable(self.path):
            return (self.path / member).read_bytes()


class _Zip:
    def __init__(self, path: Path, file: BinaryIO):
        self.path = path
        start = file.read(4)
        self.length = file.seek(0, 2)
        if start != b"PK\x03\x04":
            kind = next((looks for magic, looks in LOOKS.items() if start.startswith(magic)), "something else")
            raise ArtifactError(
                f"'{path}' is not a model file of augmentor: expected what `augment fit` writes (.augment), found "
                f"{kind if self.length else 'an empty file'}. Check the name."
            )
        with _readable(path):
            self.archive = zipfile.ZipFile(file)

    def members(self) -> list[str]:
        return [info.filename for info in self.archive.infolist()]

    def size(self, member: str) -> int:
        info = self.archive.getinfo(member)
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise ArtifactError(
                f"{member} in '{self.path}' is compressed or encrypted; an artifact is stored as it is. {REMEDY}"
            )
        if info.header_offset + info.file_size > self.length:
            raise ArtifactError(
                f"model file '{self.path}' is damaged: {member} claims {info.file_size:,} bytes, the file has "
                f"{self.length:,}. {REMEDY}"
            )
        return info.file_size

    def read(self, member: str) -> bytes:
        with _readable(self.path):
            return self.archive.read(member)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn every way in which a damaged zip or an unreadable folder fails into one sentence."""
    try:
        yield
    except (
        zipfile.BadZipFile,  # truncated, or a checksum that does not fit
        NotImplementedError,  # flags and versions that Python does not read
        RuntimeError,  # encrypted
        EOFError,
        ValueError,  # negative offsets, names that are not text
        struct.error,
        OSError,
    ) as error:
        raise ArtifactError(f"model file '{path}' is truncated or damaged ({str(error)[:120]}). {REMEDY}") from error
