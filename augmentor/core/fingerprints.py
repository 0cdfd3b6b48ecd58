"""Sixty-four bits for every row, equal for equal values: what an artifact records of the rows its model was trained on.

    f_i = sum over features j with x_ij != 0 of  m(name_j + m(x_ij))   modulo 2^64

m is the mixing function of SplitMix64 (Steele, Lea & Flood 2014), name_j a hash of the feature's name, x_ij the bits of the
float32 value; a category counts by its text. A sum does not know its order: neither the order of features, nor storage,
nor how categories are coded, nor features that are left out of it can change a fingerprint. Two different rows have the same one
with a probability of 2^-64. Who holds a row can find it again in a list of fingerprints; nobody can read one back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Dataset

Bits = NDArray[np.uint64]

BLOCK = 2**14  # values at a time, which stay in the processor's cache
MISSING = "\x00missing"


def fingerprints(data: Dataset, features: Sequence[str] | None = None) -> Bits:
    """Return the fingerprint of every row ``(rows,)``.

    Args:
        data: rows, in the units of the data.
        features: names of the features to regard, all of them present; all features of the data if None.
    """
    wanted = None if features is None else set(features)
    regarded = np.array([wanted is None or name in wanted for name in data.schema.features])
    names = np.array([_of_text(name) for name in data.schema.features], dtype=np.uint64)
    out = np.empty(len(data), dtype=np.uint64)
    if sparse.issparse(data.x):
        ends = data.x.indptr
        start = 0
        while start < len(data):
            stop = max(start + 1, int(np.searchsorted(ends, ends[start] + BLOCK, side="right")) - 1)
            part = slice(ends[start], ends[stop])
            where, bits = data.x.indices[part], _bits(data.x.data[part])
            terms = np.where(regarded[where] & (bits != 0), _mixed(names[where] + _mixed(bits)), np.uint64(0))
            sums = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(terms, dtype=np.uint64)])
            out[start:stop] = np.diff(sums[ends[start : stop + 1] - ends[start]])
            start = stop
        return out
    kept = np.flatnonzero(regarded)
    levels = data.schema.levels or (None,) * data.features
    texts = {i: _texts(known) for i, j in enumerate(kept) if (known := levels[j]) is not None}
    step = max(1, BLOCK // max(1, kept.size))
    for start in range(0, len(data), step):
        block = data.x[start : start + step, kept]
        bits = _bits(block)
        for i, text in texts.items():
            # a missing category is NaN, and takes the place after the last
            bits[:, i] = text[np.where(np.isnan(block[:, i]), len(text) - 1, block[:, i]).astype(np.intp)]
        terms = np.where(bits != 0, _mixed(names[kept] + _mixed(bits)), np.uint64(0))
        out[start : start + step] = terms.sum(axis=1, dtype=np.uint64)
    return out


def _texts(levels: Sequence[str]) -> Bits:
    return np.array([_of_text(text) for text in (*levels, MISSING)], dtype=np.uint64)


def _of_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _bits(values: NDArray[np.float32]) -> Bits:
    """The bits of every value: one zero, one missing value."""
    values = np.where(np.isnan(values), np.float32(np.nan), values + np.float32(0))
    return values.view(np.uint32).astype(np.uint64)


def _mixed(bits: Bits) -> Bits:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
