"""AnnData in HDF5 (.h5ad), read whole or in blocks, written by appending."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augmentor.core.dataset import Dataset
from augmentor.core.errors import DataError
from augmentor.core.schema import Schema
from augmentor.io._format import Format, Options
from augmentor.io._store import Store, StoreSource, damage_refused
from augmentor.io._store_write import StoreSink

# an array is written in chunks of this many values (rows for annotation): 256 kB of float32
CHUNK = 65_536
SIGNATURE = b"\x89HDF\r\n\x1a\n"


def opened(path: str, what: str) -> Any:
    """Open an HDF5 file for reading, or say why it is none."""
    import h5py

    if Path(path).is_dir():
        raise DataError(f"{what} is a folder, not an HDF5 file. Pass the file itself.")
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        start = file.read(len(SIGNATURE))
    if start != SIGNATURE and not h5py.is_hdf5(path):
        found = "it is empty" if size == 0 else "its first bytes are those of another kind of file"
        raise DataError(f"{what} is not an HDF5 file: {found}. Save it with adata.write_h5ad, or fix its ending.")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "truncated" in str(error):
            raise DataError(
                f"{what} is truncated: it is {size:,} bytes, less than it says of itself. Copy or download it again."
            ) from error
        raise DataError(f"{what} cannot be opened ({error}). Copy or download it again.") from error


def read(path: str, what: str, options: Options) -> Dataset:
    """Read an .h5ad file into memory."""
    with opened(path, what) as root, damage_refused(what):
        if not _is_current(root):
            return _read_legacy(path, what, options)
        return Store(root, what).dataset(options)


def source(path: str, what: str, options: Options) -> StoreSource:
    """Open an .h5ad file to be read in blocks."""
    root = opened(path, what)
    try:
        with damage_refused(what):
            if not _is_current(root):
                raise DataError(f"{what} was written by anndata before 0.7; open and save it with a newer one.")
            return StoreSource(Store(root, what), options, root.close)
    except BaseException:
        root.close()
        raise


def sink(path: Path, name: str, schema: Schema, rows: int, uns: Mapping[str, Any]) -> StoreSink:
    """Open an .h5ad file to append to.

    Nothing is compressed, as scanpy does by default: gzip would write a tenth of the rows per second, and faster
    filters cannot be read outside of Python.
    """
    import h5py

    file = _Forgiving(path, "w+b")
    root = h5py.File(file, "w")

    def close() -> None:
        root.close()
        file.close()
        file.check()

    growing = {"maxshape": (None,), "chunks": (4096,)}
    try:
        return StoreSink(root, close, schema, rows, uns, array=_array, frame=growing, check=file.check)
    except BaseException:
        root.close()
        file.close()
        raise


class _Forgiving(io.FileIO):
    """A file that remembers a failed write instead of failing.

    The HDF5 library cannot close a file it could not write to, and crashes when the process ends. So it never learns of
    a full disk: the first error is kept for `check`, and what is written afterwards is dropped.
    """

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of ``data``, or keep the reason why not."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view) and self.failure is None:
            try:
                done += super().write(view[done:]) or 0
            except OSError as error:
                self.failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size, or keep the reason why not."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def check(self) -> None:
        """Raise what went wrong."""
        if self.failure is not None:
            raise self.failure


def _array(group: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    if len(shape) == 2:
        return group.create_dataset(name, shape, dtype=dtype)
    return group.create_dataset(name, shape, maxshape=(None,), chunks=(CHUNK,), dtype=dtype)


def _is_current(root: Any) -> bool:
    import h5py

    return not isinstance(root.get("obs"), h5py.Dataset)


def _read_legacy(path: str, what: str, options: Options) -> Dataset:
    import warnings

    import anndata

    from augmentor.io._memory import annotated

    with warnings.catch_warnings():
        # that the file is old is no news to a user who cannot change it
        warnings.simplefilter("ignore")
        adata = anndata.read_h5ad(path)
    return annotated(adata, options, what)


FORMAT = Format(suffixes=(".h5ad",), read=read, source=source, sink=sink)
