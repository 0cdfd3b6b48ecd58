"""Conditions as numbers for a network: one-hot label columns side by side, then covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import as_dense


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows for one optimiser step.

    Attributes:
        x: ``(rows, features)`` float32.
        c: ``(rows, width)`` conditions, see `width`.
        condition: ``(rows,)`` position of the label combination.
        size: ``(rows, 1)`` library size, ones where there is none.
    """

    x: Tensor
    c: Tensor
    condition: Tensor
    size: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: Tensor) -> Batch:
        """Return these rows."""
        return Batch(self.x[rows], self.c[rows], self.condition[rows], self.size[rows])

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(self.x.to(device), self.c.to(device), self.condition.to(device), self.size.to(device))


def width(layout: Layout) -> int:
    """Number of condition inputs."""
    return sum(layout.categories) + layout.covariates


def conditions(given: Given, layout: Layout) -> Tensor:
    """``(rows, width)``: one-hot of every label column, then covariates."""
    out = np.zeros((len(given), width(layout)), dtype=np.float32)
    offset = 0
    for column, categories in enumerate(layout.categories):
        out[np.arange(len(given)), offset + given.codes[:, column]] = 1
        offset += categories
    out[:, offset:] = given.covariates
    return torch.from_numpy(out)


def batch(encoded: Encoded) -> Batch:
    """Turn encoded rows into tensors."""
    given = encoded.given
    return Batch(
        torch.from_numpy(np.ascontiguousarray(as_dense(encoded.x), dtype=np.float32)),
        conditions(given, encoded.layout),
        torch.from_numpy(np.asarray(given.condition, dtype=np.int64)),
        torch.from_numpy(given.sizes.astype(np.float32))[:, None],
    )
