"""AnnData in a zarr store (.zarr), read whole or in blocks, written by appending."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augmentor.core.dataset import Dataset
from augmentor.core.errors import DataError
from augmentor.core.schema import Schema
from augmentor.io._format import Format, Options
from augmentor.io._store import Store, StoreSource, damage_refused
from augmentor.io._store_write import StoreSink

# an array is written in chunks of this many values: 2 MB of float32 before compression
CHUNK = 524_288
MARKS = (".zgroup", "zarr.json", ".zmetadata")


def is_store(path: Path) -> bool:
    """Whether a folder is a zarr group."""
    return any((path / mark).exists() for mark in MARKS)


def opened(path: str, what: str) -> Any:
    """Open a zarr store for reading, or say why it is none."""
    import zarr

    if not is_store(Path(path)):
        raise DataError(
            f"{what} is not a zarr store: it has none of {', '.join(MARKS)}. Write it with adata.write_zarr."
        )
    with damage_refused(what):
        return zarr.open_group(path, mode="r")


def read(path: str, what: str, options: Options) -> Dataset:
    """Read a zarr store into memory."""
    root = opened(path, what)
    with damage_refused(what):
        return Store(root, what).dataset(options)


def source(path: str, what: str, options: Options) -> StoreSource:
    """Open a zarr store to be read in blocks."""
    root = opened(path, what)
    with damage_refused(what):
        return StoreSource(Store(root, what), options, root.store.close)


def sink(path: Path, name: str, schema: Schema, rows: int, uns: Mapping[str, Any]) -> StoreSink:
    """Open a zarr store (format 2, which every anndata reads) to append to."""
    import zarr

    root = zarr.open_group(str(path), mode="w", zarr_format=2)

    def close() -> None:
        zarr.consolidate_metadata(root.store)
        root.store.close()

    return StoreSink(root, close, schema, rows, uns, array=_array, frame={"chunks": (16_384,)}, compressed=True)


def _array(group: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    chunks = (CHUNK,) if len(shape) == 1 else (max(1, CHUNK // max(shape[1], 1)), shape[1])
    return group.create_array(name, shape=shape, chunks=chunks, dtype=dtype)


FORMAT = Format(suffixes=(".zarr", ".zarr/"), read=read, folder=is_store, source=source, sink=sink)
