"""Saving and loading an artifact: the four files, their digests, and the refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from numpy.typing import NDArray
from pydantic import ValidationError

from augmentor.artifact.container import (
    HISTORY,
    LIMITS,
    MANIFEST,
    REMEDY,
    TRANSFORMS,
    WEIGHTS,
    Container,
    check_members,
    opened,
    read_member,
    write_members,
)
from augmentor.artifact.manifest import FORMAT, Manifest, plain
from augmentor.artifact.migrations import check_format, migrate
from augmentor.artifact.tensors import digest, pack, unpack
from augmentor.core.atomic import atomic_file
from augmentor.core.errors import ArtifactError, listed

SEAL = "sha256"  # last entry of manifest.json: the digest of all the others


@dataclass(frozen=True, eq=False)
class Stored:
    """The parts of an artifact.

    Attributes:
        manifest: what the model is.
        weights: the model's state.
        transforms: the state of everything around the model.
        history: one entry per epoch.
    """

    manifest: Manifest
    weights: dict[str, NDArray[Any]]
    transforms: dict[str, NDArray[Any]]
    history: list[dict[str, Any]]


def save(
    path: str | Path,
    manifest: Manifest,
    weights: Mapping[str, NDArray[Any]],
    transforms: Mapping[str, NDArray[Any]],
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write an artifact in one step; the same parts give the same bytes.

    Args:
        path: file to write or replace.
        manifest: description; its digests are filled in here.
        weights: the model's state: booleans, integers, floats.
        transforms: the state of everything around the model.
        history: JSON values; NaN and infinities become null.

    Raises:
        ArtifactError: a part that has no portable form, or a place that cannot be written.
        ResourceError: the disk is full.
    """
    members = {
        WEIGHTS: pack(weights, WEIGHTS),
        TRANSFORMS: pack(transforms, TRANSFORMS),
        HISTORY: b"".join(_json(plain(dict(entry))) + b"\n" for entry in history),
    }
    document = manifest.document()
    document["format"] = FORMAT
    document["tensors"] = {name: digest(members[name]) for name in (WEIGHTS, TRANSFORMS)}
    document["history"] = digest(members[HISTORY])
    document[SEAL] = _seal(document)
    members[MANIFEST] = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"
    for name, limit in LIMITS.items():
        if len(members[name]) > limit:
            raise ArtifactError(f"{name} would have {len(members[name]):,} bytes; at most {limit:,} can be read back.")
    with atomic_file(path, refusal=ArtifactError) as file:
        write_members(file, members)


def load(path: str | Path) -> Stored:
    """Read and verify an artifact, a file or an unpacked folder; nothing from it is executed.

    Raises:
        ArtifactError: missing, truncated, altered, from a newer format, or not an artifact.
    """
    path = Path(path)
    with opened(path) as container:
        manifest = _manifest(container, path)
        weights = _verified(container, WEIGHTS, manifest.tensors[WEIGHTS], path)
        transforms = _verified(container, TRANSFORMS, manifest.tensors[TRANSFORMS], path)
        history = _history(container, manifest, path)
    return Stored(
        manifest=manifest,
        weights=unpack(weights, f"{WEIGHTS} in '{path}'"),
        transforms=unpack(transforms, f"{TRANSFORMS} in '{path}'"),
        history=history,
    )


def read_manifest(path: str | Path) -> Manifest:
    """Read and verify the description only; tensors are neither read nor verified.

    Raises:
        ArtifactError: missing, truncated, altered, from a newer format, or not an artifact.
    """
    path = Path(path)
    with opened(path) as container:
        return _manifest(container, path)


def read_history(path: str | Path) -> list[dict[str, Any]]:
    """Read and verify the training log only, one entry per epoch; empty where nothing was trained by steps.

    Raises:
        ArtifactError: missing, truncated, altered, from a newer format, or not an artifact.
    """
    path = Path(path)
    with opened(path) as container:
        return _history(container, _manifest(container, path), path)


def _history(container: Container, manifest: Manifest, path: Path) -> list[dict[str, Any]]:
    lines = _verified(container, HISTORY, manifest.history, path).split(b"\n")
    return [_parsed(line, f"line {number} of {HISTORY}", path) for number, line in enumerate(lines, 1) if line]


def _manifest(container: Container, path: Path) -> Manifest:
    document = _parsed(read_member(container, MANIFEST, path), MANIFEST, path)
    # first, since a newer format may be sealed and made up differently
    check_format(document, target=FORMAT, what=f"model file '{path}'")
    check_members(container, path)
    seal = document.pop(SEAL, None)
    if seal != _seal(document):
        _altered(MANIFEST, path)
    document = migrate(document, target=FORMAT, what=f"model file '{path}'")
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'manifest'}: {fault['msg'][:80]}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise ArtifactError(
            f"{MANIFEST} in '{path}' has {len(faults)} wrong fields ({listed(faults, most=3)}). {REMEDY}"
        ) from error
    if set(manifest.tensors) != {WEIGHTS, TRANSFORMS}:
        raise ArtifactError(
            f"{MANIFEST} in '{path}' must give the digests of {WEIGHTS} and {TRANSFORMS}, found "
            f"{listed(sorted(manifest.tensors), most=4) or 'none'}. {REMEDY}"
        )
    return manifest


def _verified(container: Container, member: str, expected: str, path: Path) -> bytes:
    data = read_member(container, member, path)
    if digest(data) != expected:
        _altered(member, path)
    return data


def _altered(member: str, path: Path) -> NoReturn:
    raise ArtifactError(f"{member} in '{path}' was altered after it was written (its SHA-256 does not match). {REMEDY}")


def _parsed(data: bytes, what: str, path: Path) -> dict[str, Any]:
    """Return one JSON object; NaN, infinities and text that is not Unicode are refused."""
    try:
        document = json.loads(data.decode(), parse_constant=_no_constant)
        _json(document)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{what} in '{path}' is not valid JSON ({str(error)[:120]}). {REMEDY}") from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{what} in '{path}' must be a JSON object, found a {type(document).__name__}. {REMEDY}")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _json(value: Any) -> bytes:
    """One line of JSON, the same for equal values."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()


def _seal(document: Mapping[str, Any]) -> str:
    """Digest of a manifest's content, whatever its layout; detects damage and edits by hand, not a forger."""
    return digest(_json({name: value for name, value in document.items() if name != SEAL}))
