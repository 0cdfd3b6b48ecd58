"""Named arrays to and from safetensors bytes, with their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as _load
from safetensors.numpy import save as _save

from augmentor.core.errors import ArtifactError, listed

KINDS = "biuf"  # booleans, integers, floats: the same in every language, and never code
RESERVED = "__metadata__"


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def pack(arrays: Mapping[str, NDArray[Any]], member: str) -> bytes:
    """Return arrays as safetensors; the same arrays give the same bytes, whatever their order or memory layout.

    Raises:
        ArtifactError: arrays of text or objects, which have no portable form, or a reserved name.
    """
    if RESERVED in arrays:
        raise ArtifactError(f"a tensor cannot be called {RESERVED}, which safetensors keeps for itself; rename it.")
    if strange := [f"'{name}' ({a.dtype})" for name, a in sorted(arrays.items()) if a.dtype.kind not in KINDS]:
        raise ArtifactError(
            f"{member} can hold booleans, integers and floats only, found {len(strange)} other arrays: "
            f"{listed(strange, most=5)}. Keep text in the manifest."
        )
    # little-endian and C order; asarray keeps numbers without dimension as they are, ascontiguousarray would not
    ready = {
        name: np.asarray(arrays[name], dtype=arrays[name].dtype.newbyteorder("<"), order="C") for name in sorted(arrays)
    }
    return _save(ready)


def unpack(data: bytes, what: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file, writable and independent of ``data``.

    Raises:
        ArtifactError: not a valid safetensors file, or with a type that NumPy lacks.
    """
    try:
        arrays = _load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ArtifactError(f"{what} does not hold valid tensors ({str(error)[:120]}). Fit again.") from error
    if strange := [f"'{name}' ({a.dtype})" for name, a in sorted(arrays.items()) if a.dtype.kind not in KINDS]:
        raise ArtifactError(f"{what} holds tensors of types that are not read: {listed(strange, most=5)}. Fit again.")
    return arrays
