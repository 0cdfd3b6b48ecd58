"""Writing the AnnData layout into HDF5 or zarr by appending rows; memory does not grow with their number."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.errors import DataError
from augmentor.core.schema import Schema
from augmentor.io._format import Rows
from augmentor.io._frames import obs_frame, var_frame

if TYPE_CHECKING:
    import pandas as pd


class StoreSink:
    """An AnnData file that grows: CSR or dense X, obs column by column, var and uns written at the start.

    Args:
        root: the open, empty file.
        close: closes it.
        schema: what is written.
        rows: how many rows will come.
        uns: unstructured annotation.
        array: ``array(group, name, shape, dtype)`` creates an array; one of one dimension can be resized.
        frame: settings under which the columns of obs can be resized.
        compressed: whether what is written is smaller than the numbers say.
        check: raises if writing failed without saying so.
    """

    def __init__(
        self,
        root: Any,
        close: Callable[[], None],
        schema: Schema,
        rows: int,
        uns: Mapping[str, Any],
        *,
        array: Callable[[Any, str, tuple[int, ...], Any], Any],
        frame: Mapping[str, Any],
        compressed: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        from anndata.io import write_elem

        self.compressed = compressed
        self._root = root
        self._close = close
        self._raise_failure = check
        self._schema = schema
        self._frame = dict(frame)
        self._array = array
        self._written = 0
        self._stored = 0
        self._columns: list[tuple[Any, str, str]] = []
        _check(schema)
        root.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        shape = (rows, len(schema.features))
        if schema.sparse:
            group = root.create_group("X")
            group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": list(shape)})
            self._data = array(group, "data", (0,), np.dtype(schema.dtype))
            self._indices = array(group, "indices", (0,), np.dtype(np.int32))
            # kept until the end, 8 bytes a row: only then is it known whether 32 bits hold it, which readers expect
            self._pointers = [np.zeros(1, dtype=np.int64)]
        else:
            self._x = array(root, "X", shape, np.dtype(schema.dtype))
            self._x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        with _quiet():
            write_elem(root, "var", _without_gaps(var_frame(schema)))
            write_elem(root, "uns", _writable(uns))
            for name in ("layers", "obsm", "obsp", "varm", "varp"):
                write_elem(root, name, {})

    def append(self, rows: Rows) -> None:
        """Write the next rows."""
        start, stop = self._written, self._written + len(rows.names)
        values = restored(rows.x.data if sparse.issparse(rows.x) else rows.x, self._schema.dtype)
        if self._schema.sparse:
            stored = self._stored + rows.x.nnz
            for target, part in ((self._data, values), (self._indices, rows.x.indices)):
                target.resize((stored,))
                target[self._stored : stored] = part
            self._pointers.append(rows.x.indptr[1:].astype(np.int64) + self._stored)
            self._stored = stored
        else:
            self._x[start:stop] = values
        self._append_obs(rows, start, stop)
        self._raise_failure()
        self._written = stop

    def close(self) -> None:
        """Close the file."""
        if self._schema.sparse:
            wide = self._stored > np.iinfo(np.int32).max
            kind = np.dtype(np.int64 if wide else np.int32)
            values = np.concatenate(self._pointers).astype(kind)
            self._array(self._root["X"], "indptr", values.shape, kind)[:] = values
        self._close()

    def abort(self) -> None:
        """Close the file as far as it can be closed."""
        # on a full disk even closing fails, and the file is removed anyway
        with contextlib.suppress(Exception):
            self._close()

    def _append_obs(self, rows: Rows, start: int, stop: int) -> None:
        from anndata.io import write_elem

        frame = obs_frame(self._schema, rows)
        if start == 0:
            with _quiet():
                write_elem(self._root, "obs", frame, dataset_kwargs=self._frame)
            self._columns = [(self._root["obs"], self._root["obs"].attrs["_index"], "")]
            self._columns += [
                (self._root["obs"][name], "codes", name)
                if hasattr(frame[name], "cat")
                else (self._root["obs"], name, name)
                for name in frame.columns
            ]
            return
        for group, key, name in self._columns:
            series: Any = frame.index.to_series() if not name else frame[name]
            target = group[key]
            target.resize((stop,))
            target[start:stop] = series.cat.codes.to_numpy() if key == "codes" else series.to_numpy()


def restored(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return values in the user's dtype; whole-number types round, and values beyond their range become its end."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return values >= 0.5
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        # float64 cannot hold the last whole numbers of 64 bits, so these types end a little earlier
        top = float(limits.max) if kind.itemsize < 8 else 2.0**62
        return np.clip(np.rint(values.astype(np.float64)), max(float(limits.min), -(2.0**62)), top).astype(kind)
    return values.astype(kind, copy=False)


def _check(schema: Schema) -> None:
    if any(level is not None for level in schema.levels or ()):
        raise DataError(
            "a mixed table with text columns does not fit into AnnData; write it as .csv, .tsv or .parquet."
        )
    slashed = [c.name for c in schema.labels if "/" in c.name] + [n for n in schema.covariates if "/" in n]
    if slashed:
        raise DataError(
            f"column '{slashed[0]}' contains '/', which AnnData files cannot hold; rename it, or write .csv or .parquet."
        )


def _without_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    """Return texts with missing values as categories, as anndata writes them, for arrays of text have no missing."""
    for name in frame.columns:
        if frame[name].dtype == np.dtype(object) and frame[name].isna().any():
            frame[name] = frame[name].astype("category")
    return frame


def _writable(value: Any) -> Any:
    """Return unstructured annotation without None, which older versions of anndata cannot read."""
    if isinstance(value, Mapping):
        return {str(k).replace("/", "_"): _writable(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        numbers = all(isinstance(v, (int, float)) for v in value)
        return np.array(value) if numbers else np.array([str(v) for v in value], dtype=object)
    return value


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # notices to programmers about future versions of the file libraries are not for a user
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield
