"""Rows in random order, a batch at a time: dense all at once when that is small, else densified batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from augmentor.core.contract import Encoded
from augmentor.core.random import Stream
from augmentor.nn.conditioning import Batch, batch

DENSE_BYTES = 300 * 2**20


class Batches:
    """Batches of a set of rows, reshuffled every epoch.

    The last batch is never small: rows are divided evenly, and fewer rows than a batch are one batch.
    """

    def __init__(self, encoded: Encoded, size: int, device: torch.device) -> None:
        self.encoded, self.device = encoded, device
        self.count = max(1, round(len(encoded) / size))
        small = len(encoded) * encoded.layout.features * 4 <= DENSE_BYTES
        self.whole: Batch | None = batch(encoded).to(device) if small else None

    def epoch(self, rng: Stream) -> Iterator[Batch]:
        """Yield every row once."""
        order = rng.numpy().permutation(len(self.encoded))
        for rows in np.array_split(order, self.count):
            yield self._rows(rows)

    def fixed(self) -> Iterator[Batch]:
        """Yield every row once, in order."""
        for rows in np.array_split(np.arange(len(self.encoded)), self.count):
            yield self._rows(rows)

    def _rows(self, rows: np.ndarray) -> Batch:
        if self.whole is not None:
            return self.whole.take(torch.from_numpy(rows).to(self.device))
        return batch(self.encoded.take(rows)).to(self.device)
