"""A `core.dataset.Source` over data that is in memory, for formats that can only be read whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from augmentor.core.dataset import Dataset
from augmentor.core.schema import Schema


class LoadedSource:
    """Blocks of a data set in memory."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.schema: Schema = dataset.schema
        self.rows = len(dataset)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was detected while reading."""
        return self.dataset.notes

    def blocks(self, size: int) -> Iterator[Dataset]:
        """Yield consecutive blocks of at most ``size`` rows."""
        for start in range(0, self.rows, size):
            yield self.dataset.take(np.arange(start, min(start + size, self.rows)))

    def load(self, features: list[int] | None = None) -> Dataset:
        """Return all rows of these features (all when None)."""
        return self.dataset if features is None else self.dataset.select(features)

    def close(self) -> None:
        """Do nothing; there is no open file."""

    def __enter__(self) -> LoadedSource:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
