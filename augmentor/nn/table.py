"""Where the columns of a mixed table stand among the inputs of a network: the numbers first, then one place per category.

Columns with the same number of categories stand side by side, so that a step over all of them is one step over a block
``(rows, columns, categories)``. The rows are those of `core.contract.Layout.levels`: complete, categories as positions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Places:
    """Places of the columns of a mixed table.

    Args:
        levels: number of categories of every column, or None for a number.
    """

    def __init__(self, levels: tuple[int | None, ...]) -> None:
        sizes = np.array([0 if k is None else k for k in levels], dtype=np.intp)
        self.columns = len(levels)
        self.numbers = np.flatnonzero([k is None for k in levels])
        self.blocks: list[tuple[int, NDArray[np.intp]]] = [
            (int(k), np.flatnonzero(sizes == k)) for k in np.unique(sizes[sizes > 0])
        ]

    @property
    def width(self) -> int:
        """Number of places in all."""
        return len(self.numbers) + sum(k * len(columns) for k, columns in self.blocks)

    @property
    def widths(self) -> list[int]:
        """Places of the numbers, then of every block."""
        return [len(self.numbers), *(k * len(columns) for k, columns in self.blocks)]

    def hot(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows ``(rows, columns)`` as ``(rows, width)``: numbers as they are, categories one-hot."""
        parts = [x[:, self.numbers]]
        for k, columns in self.blocks:
            parts.append((x[:, columns, None] == np.arange(k)).reshape(len(x), k * len(columns)))
        return np.concatenate(parts, axis=1, dtype=np.float32)
