"""Appending rows to a new file of any format, which appears under its name only when it is complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from augmentor.core.atomic import atomic_path, disk_full_refused, free_bytes, space_message
from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.errors import DataError, ResourceError, SchemaMismatch
from augmentor.core.schema import Schema
from augmentor.io._format import STREAM, Rows, Sink, to_write
from augmentor.io._frames import SYNTHETIC


class Writer:
    """An output file that is being written; `append` blocks of a few thousand rows."""

    def __init__(self, sink: Sink, path: str, schema: Schema, rows: int) -> None:
        self._sink = sink
        self._path = path
        self._schema = schema
        self._rows = rows
        self._need: int | None = None
        self._bytes = 0
        self.written = 0

    def append(self, block: Dataset) -> None:
        """Write rows.

        Rows are called ``synthetic_0, synthetic_1, ...`` and flagged synthetic, unless ``block.extra["synthetic"]``
        says which are: then the flags are written, and real rows keep their names.

        Raises:
            SchemaMismatch: the block has other features or label categories than the file.
            ResourceError: the disk is full, or will be.
        """
        if block.schema is not self._schema and block.schema.digest != self._schema.digest:
            self._schema.require_features(block.schema, ours=Path(self._path).name, theirs="the block")
            raise SchemaMismatch(
                f"{Path(self._path).name} and the block must agree in space, feature order and label categories; they do "
                "not. Write blocks of one schema only."
            )
        count = len(block)
        if self.written + count > self._rows:
            raise ValueError(f"{self.written + count} rows for a file of {self._rows}")
        if count == 0:
            return
        names = np.array([f"synthetic_{i}" for i in range(self.written, self.written + count)], dtype=object)
        flags = np.ones(count, dtype=bool)
        if SYNTHETIC in block.extra:
            flags = np.asarray(block.extra[SYNTHETIC], dtype=bool)
            names = np.array([str(name) for name in block.names], dtype=object)
        x = block.x
        if self._schema.sparse != bool(sparse.issparse(x)):
            x = sparse.csr_matrix(x) if self._schema.sparse else as_dense(x)
        self._require_room(x, count)
        with disk_full_refused(self._path, lambda: self._need):
            self._sink.append(Rows(x, block.codes, block.covariates, names, flags))
        self.written += count

    def finish(self) -> None:
        """Close the file, which must have got all its rows."""
        if self.written != self._rows:
            raise ValueError(f"{self.written} rows were written to a file of {self._rows}")
        with disk_full_refused(self._path, lambda: self._need):
            self._sink.close()

    def _require_room(self, x: Any, count: int) -> None:
        """Estimate the size of the file, and refuse before the work what the first block shows not to fit."""
        width = np.dtype(self._schema.dtype).itemsize
        self._bytes += x.nnz * (width + 4) if sparse.issparse(x) else x.size * width
        self._need = int((self._bytes / (self.written + count) + 40) * self._rows)
        if self.written == 0 and not self._sink.compressed and self._need > free_bytes(self._path):
            raise ResourceError(space_message(self._path, self._need))


@contextmanager
def writer(path: str | Path, schema: Schema, rows: int, *, uns: Mapping[str, Any] | None = None) -> Iterator[Writer]:
    """Open a new file to append rows to; it appears under ``path`` when the block ends, or never.

    X is written in ``schema.dtype`` and sparse if ``schema.sparse``; labels get the types and categories they had, var
    is as it was. Whole-number types are rounded, and values beyond their range become its end.

    Args:
        path: ``.h5ad``, ``.zarr``, ``.csv``, ``.tsv`` (also with ``.gz``), ``.parquet``; ``-`` for CSV on stdout.
        schema: of every block.
        rows: how many rows will be appended.
        uns: provenance for h5ad and zarr; tables have no place for it.

    Raises:
        DataError: the name has no known ending, or its folder cannot be written to.
        ResourceError: the disk is full.
    """
    path = str(path)
    if rows < 1:
        raise DataError(f"{rows} rows cannot be written to {Path(path).name}; at least 1 is needed.")
    form = to_write(path)
    if form.sink is None:
        raise DataError(f"cannot write {path}: its format is only read.")
    name = path if path == STREAM else Path(path).name
    with nullcontext(Path(STREAM)) if path == STREAM else atomic_path(path) as temporary:
        with disk_full_refused(path):
            sink = form.sink(temporary, name, schema, rows, uns or {})
        try:
            out = Writer(sink, path, schema, rows)
            yield out
            out.finish()
        except BaseException:
            sink.abort()
            raise
