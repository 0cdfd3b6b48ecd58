"""Reading the AnnData layout (X, obs, var, layers, raw) from HDF5 or zarr, whole or in blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from scipy import sparse

from augmentor.core.dataset import Dataset, Matrix, as_matrix, row_sums
from augmentor.core.errors import AugmentorError, ConfigError, DataError, did_you_mean, listed
from augmentor.core.schema import Schema
from augmentor.core.space import Space, Summary, detect, summarise
from augmentor.io._assemble import Described, Elsewhere, Tables, assemble, describe
from augmentor.io._format import Options

PROBE = 1000
SCAN = 4096


@contextmanager
def damage_refused(what: str) -> Iterator[None]:
    """Turn the errors of file libraries into one sentence that names the file."""
    try:
        yield
    except AugmentorError:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, TypeError, EOFError, UnicodeError) as error:
        reason = str(error).strip().partition("\n")[0]
        if "filter" in reason and ("plugin" in reason or "not registered" in reason or "not available" in reason):
            raise DataError(
                f"{what} is compressed with an HDF5 filter that is not installed here; install the package hdf5plugin "
                "or save the file with gzip."
            ) from error
        raise DataError(
            f"{what} cannot be read ({reason or type(error).__name__}); it seems damaged or incomplete. "
            "Copy or save it again."
        ) from error


class StoredMatrix:
    """A matrix on disk, dense, CSR or CSC, of which rows are read as float32 in the form they are stored in."""

    def __init__(self, element: Any, what: str) -> None:
        self.element = element
        self.what = what
        self.form = _sparse_form(element)
        if self.form:
            shape = element.attrs["shape"] if "shape" in element.attrs else element.attrs["h5sparse_shape"]
            self.shape = (int(shape[0]), int(shape[1]))
            kind = element["data"].dtype
        else:
            if len(getattr(element, "shape", ())) != 2:
                raise DataError(
                    f"{what} must be a matrix of two dimensions; found {getattr(element, 'shape', 'none')}."
                )
            self.shape = (int(element.shape[0]), int(element.shape[1]))
            kind = element.dtype
        if kind.kind not in "biuf":
            raise DataError(f"{what} must hold numbers; it holds values of type {kind}. Convert it to a float matrix.")
        self.dtype = str(kind)

    @property
    def is_sparse(self) -> bool:
        """Whether the matrix is stored sparse."""
        return bool(self.form)

    def read(self, rows: slice = slice(None)) -> Matrix:
        """Return these consecutive rows, ``(rows, features)``."""
        start, stop, _ = rows.indices(self.shape[0])
        if not self.form:
            # HDF5 converts while reading, so a float64 matrix is never in memory as such
            element = self.element
            if hasattr(element, "astype") and type(element).__module__.startswith("h5py"):
                element = element.astype(np.float32)
            return np.ascontiguousarray(element[start:stop], dtype=np.float32)
        if self.form == "csc":
            return self._rows_of_columns[start:stop]
        indptr = self._indptr
        return self._build(sparse.csr_matrix, start, stop, (stop - start, self.shape[1]), indptr)

    def blocks(self, size: int) -> Iterator[tuple[slice, Matrix]]:
        """Yield consecutive blocks of at most ``size`` rows with their place."""
        for start in range(0, self.shape[0], size):
            rows = slice(start, min(start + size, self.shape[0]))
            yield rows, self.read(rows)

    @cached_property
    def _indptr(self) -> Any:
        indptr = np.asarray(self.element["indptr"][:], dtype=np.int64)
        major = self.shape[0] if self.form == "csr" else self.shape[1]
        if len(indptr) != major + 1 or indptr[0] != 0 or np.any(np.diff(indptr) < 0):
            raise DataError(
                f"{self.what} has row pointers that do not fit its shape {self.shape}; save the file again."
            )
        return indptr

    @cached_property
    def _rows_of_columns(self) -> Matrix:
        # rows of a column-wise matrix lie scattered over the whole file: it is turned once, sparse, in memory
        return self._build(sparse.csc_matrix, 0, self.shape[1], self.shape, self._indptr).tocsr()

    def _build(self, kind: Any, start: int, stop: int, shape: tuple[int, int], indptr: Any) -> Matrix:
        first, last = int(indptr[start]), int(indptr[stop])
        data = np.asarray(self.element["data"][first:last], dtype=np.float32)
        indices = np.asarray(self.element["indices"][first:last])
        minor = self.shape[1] if self.form == "csr" else self.shape[0]
        if len(data) != last - first or len(indices) != last - first:
            raise DataError(f"{self.what} is incomplete: {len(data)} of {last - first} values are there.")
        if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= minor):
            raise DataError(f"{self.what} has indices outside its shape {self.shape}; save the file again.")
        wide = max(minor, last - first) > np.iinfo(np.int32).max
        index = np.int64 if wide else np.int32
        return kind((data, indices.astype(index, copy=False), (indptr[start : stop + 1] - first).astype(index)), shape)


class Store:
    """An open file in the AnnData layout."""

    def __init__(self, root: Any, what: str) -> None:
        self.root = root
        self.what = what
        missing = [name for name in ("obs", "var") if name not in root]
        if missing:
            raise DataError(
                f"{what} is not an AnnData file: it has no {' and no '.join(missing)}. Write it with "
                "adata.write_h5ad or adata.write_zarr; a 10x file must end in .h5."
            )

    def matrix(self, options: Options) -> StoredMatrix:
        """Return the matrix that the options name."""
        layers = sorted(self.root["layers"]) if "layers" in self.root else []
        if options.layer is not None:
            if options.layer not in layers:
                raise DataError(no_layer(options.layer, layers, self.what))
            return StoredMatrix(self.root["layers"][options.layer], f"layers['{options.layer}'] of {self.what}")
        if options.use_raw:
            if "raw" not in self.root or "X" not in self.root["raw"]:
                raise DataError(no_raw(layers, self.what))
            return StoredMatrix(self.root["raw"]["X"], f"raw of {self.what}")
        if "X" not in self.root:
            raise DataError(no_x(layers, self.what))
        return StoredMatrix(self.root["X"], f"X of {self.what}")

    def tables(self, options: Options, matrix: StoredMatrix) -> Tables:
        """Return the annotation of rows and features."""
        from anndata.io import read_elem

        obs: Any = read_elem(self.root["obs"])
        var: Any = read_elem(self.root["raw"]["var"] if options.use_raw else self.root["var"])
        rows, columns = matrix.shape
        if (len(obs), len(var)) != (rows, columns):
            raise DataError(
                f"{matrix.what} is {rows} x {columns}, but there are {len(obs)} rows in obs and {len(var)} in var. "
                "Save the file again."
            )
        return Tables(
            obs=obs, var=var, dtype=matrix.dtype, sparse=matrix.is_sparse, elsewhere=partial(self._elsewhere, options)
        )

    def dataset(self, options: Options) -> Dataset:
        """Read everything that the options ask for into memory."""
        matrix = self.matrix(options)
        tables = self.tables(options, matrix)
        return assemble(matrix.read(), tables, options, self.what)

    def _elsewhere(self, options: Options) -> list[Elsewhere]:
        found = []
        for name in sorted(self.root["layers"], key=by_count) if "layers" in self.root else []:
            found.append((f"layers['{name}']", f"--layer {name}", self.root["layers"][name]))
        if "raw" in self.root and "X" in self.root["raw"]:
            found.append(("raw", "--use-raw", self.root["raw"]["X"]))
        return [
            Elsewhere(detect(StoredMatrix(element, name).read(slice(PROBE))).space, name, option)
            for name, option, element in found
            if _sparse_form(element) or getattr(element, "dtype", np.dtype(object)).kind in "biuf"
        ]


class StoreSource:
    """`core.dataset.Source` over an open file: one pass over X to know its space, then blocks on demand."""

    def __init__(self, store: Store, options: Options, close: Callable[[], None]) -> None:
        self._close = close
        self._what = store.what
        if options.transpose:
            raise ConfigError(f"{store.what} cannot be transposed while it stays on disk; read it whole.")
        self._matrix = store.matrix(options)
        tables = store.tables(options, self._matrix)
        self.rows = self._matrix.shape[0]
        summary, empty = Summary(columns=self._matrix.shape[1]), 0
        for _, x in self._matrix.blocks(SCAN):
            summary += summarise(x)
            empty += int(np.count_nonzero(row_sums(x) == 0))
        self._described: Described = describe(summary, tables, options, store.what)
        self.schema: Schema = self._described.schema
        self._check(summary, empty)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was detected while reading."""
        return self._described.notes

    @property
    def annotation(self) -> Described:
        """Labels, covariates, names and groups of all rows."""
        return self._described

    def blocks(self, size: int) -> Iterator[Dataset]:
        """Yield consecutive blocks of at most ``size`` rows, sparse or dense as stored."""
        with damage_refused(self._what):
            for rows, x in self._matrix.blocks(size):
                yield self._described.dataset(as_matrix(x), rows)

    def load(self, features: list[int] | None = None) -> Dataset:
        """Read all rows of these features (all when None) into memory, in the form they are stored in."""
        with damage_refused(self._what):
            if features is None:
                return self._described.dataset(as_matrix(self._matrix.read()))
            parts = [x[:, features] for _, x in self._matrix.blocks(SCAN)]
        x = sparse.vstack(parts, format="csr") if self._matrix.is_sparse else np.concatenate(parts)
        whole = self._described.dataset(as_matrix(x))
        return replace(whole, schema=self.schema.select(features))

    def close(self) -> None:
        """Close the file."""
        self._close()

    def __enter__(self) -> StoreSource:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _check(self, summary: Summary, empty: int) -> None:
        """Refuse what `Dataset.checked` would refuse, reading a second time only to name the fault."""
        space = self.schema.space
        # names and shape are those of a matrix without values
        bare = sparse.csr_matrix((min(1, self.rows), self._matrix.shape[1]), dtype=np.float32)
        names = self.schema.model_copy(update={"space": Space.MIXED})
        Dataset.checked(bare, names, self._described.codes[:1], what=self._what)
        faulty = (
            summary.infinite > 0
            or (space in (Space.COUNTS, Space.LOG) and summary.low < 0)
            or (space is Space.COUNTS and (not summary.whole or empty > 0))
        )
        if faulty:
            for rows, x in self._matrix.blocks(SCAN):
                self._described.checked(x, f"{self._what} (rows {rows.start} to {rows.stop - 1})", rows)


def by_count(name: str) -> tuple[bool, str]:
    """Sort key that puts layers named after counts first."""
    return "count" not in name.lower(), name


def no_layer(name: str, layers: list[str], what: str) -> str:
    """Say that a layer does not exist."""
    return f"--layer '{name}' is not a layer of {what}.{did_you_mean(name, layers)} Layers: {listed(layers) or 'none'}."


def no_raw(layers: list[str], what: str) -> str:
    """Say that there is no raw."""
    other = f" or pass --layer ({listed(layers)})" if layers else ""
    return f"--use-raw needs raw in {what}, which has none. Leave it out{other}."


def no_x(layers: list[str], what: str) -> str:
    """Say that there is no X."""
    return f"{what} has no X. Pass --layer with one of its layers ({listed(layers) or 'none'}) or --use-raw."


def _sparse_form(element: Any) -> str:
    """Return ``csr``, ``csc`` or an empty string."""
    encoding = str(element.attrs.get("encoding-type", element.attrs.get("h5sparse_format", "")))
    return encoding[:3] if encoding[:3] in ("csr", "csc") else ""
