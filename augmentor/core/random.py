"""Randomness keyed by a path of names, never by the order of calls.

``Stream(0).child("fit", "noise")`` is the same stream wherever and whenever it is asked for, so a new consumer
shifts nobody else's numbers and work may be split over chunks, processes or machines without changing a result.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Stream:
    """A named source of randomness: ``key = SHA-256(seed, path)``.

    Attributes:
        seed: the user's seed, a non-negative integer.
        path: names from the root to this stream.
    """

    seed: int
    path: tuple[str, ...] = ()

    def child(self, *names: str | int) -> Stream:
        """Return the stream further down the path; the same names always give the same stream."""
        return Stream(self.seed, self.path + tuple(str(name) for name in names))

    @property
    def key(self) -> int:
        """128 bits that identify this stream."""
        text = "\x1f".join((str(self.seed), *self.path))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")

    def numpy(self) -> np.random.Generator:
        """Return a fresh NumPy generator at the start of this stream."""
        return np.random.Generator(np.random.SFC64(self.key))

    def torch(self, device: str | torch.device = "cpu") -> torch.Generator:
        """Return a fresh PyTorch generator at the start of this stream, on ``device``."""
        import torch

        return torch.Generator(device=device).manual_seed(self.key & (2**63 - 1))

    def integer(self) -> int:
        """Return a 31-bit seed for libraries that take an integer ``random_state``."""
        return self.key & (2**31 - 1)
