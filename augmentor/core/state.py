"""Restoring a fitted object is strict: every tensor that is missing, left over or of another shape is named at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from augmentor.core.errors import ArtifactError, listed

# (shape, dtype); a None in the shape stands for any length (number of clusters, of kept rows)
Shape = tuple[tuple[int | None, ...], DTypeLike]


def check_state(expected: Mapping[str, Shape], found: Mapping[str, NDArray[Any]], what: str) -> None:
    """Refuse named arrays that are not exactly those expected.

    Args:
        expected: for every name its shape, where None stands for any length, and its dtype.
        found: the arrays at hand.
        what: how the message calls their owner, for example ``the weights of cvae``.

    Raises:
        ArtifactError: one sentence that lists all missing, extra and mis-shaped arrays.
    """
    missing = [f"'{name}' {_text(*expected[name])}" for name in expected if name not in found]
    extra = [f"'{name}' {_text(found[name].shape, found[name].dtype)}" for name in found if name not in expected]
    wrong = [
        f"'{name}' is {_text(found[name].shape, found[name].dtype)} instead of {_text(shape, dtype)}"
        for name, (shape, dtype) in expected.items()
        if name in found and not _fits(found[name], shape, dtype)
    ]
    faults = [
        f"{len(names)} {kind} ({listed(names, most=5)})"
        for kind, names in (("missing", missing), ("unexpected", extra), ("of another shape or type", wrong))
        if names
    ]
    if faults:
        raise ArtifactError(
            f"{what} must be {len(expected)} tensors, but of those found {'; '.join(faults)}. "
            "The file belongs to another model, other settings or another version: fit again."
        )


def _fits(array: NDArray[Any], shape: tuple[int | None, ...], dtype: DTypeLike) -> bool:
    same_length = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    return same_length and array.dtype == np.dtype(dtype)


def _text(shape: tuple[int | None, ...], dtype: DTypeLike) -> str:
    lengths = " x ".join("any" if length is None else str(length) for length in shape)
    return f"({lengths or 'one number'}, {np.dtype(dtype).name})"
