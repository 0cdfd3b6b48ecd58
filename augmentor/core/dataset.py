"""The one form of data inside augmentor: a named, validated matrix with its labels, in memory or behind a `Source`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.errors import DataError, LabelError, listed
from augmentor.core.schema import Schema
from augmentor.core.space import Space

# float32 ndarray or scipy.sparse.csr_matrix; scipy has no types, so the alias only documents
Matrix = Any


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows (cells, samples) by features (genes), with labels; checked once by `Dataset.checked`, trusted afterwards.

    Attributes:
        x: ``(rows, features)`` float32, C-contiguous or CSR with sorted indices, in ``schema.space``.
            In MIXED space categorical columns hold category positions and NaN is a missing value.
        schema: names, label columns and space.
        codes: ``(rows, label columns)`` int32 positions in the categories; -1 is a missing label.
        covariates: ``(rows, covariates)`` float64.
        names: ``(rows,)`` row names.
        groups: ``(rows,)`` group of each row (patient, donor, plate) as strings, or None.
        extra: remaining annotation of the rows, kept only to be written back (column name -> values).
        notes: sentences on what was detected while reading, and why, to be shown to the user.
    """

    x: Matrix
    schema: Schema
    codes: NDArray[np.int32]
    covariates: NDArray[np.float64]
    names: NDArray[np.object_]
    groups: NDArray[np.object_] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @staticmethod
    def checked(
        x: Matrix,
        schema: Schema,
        codes: NDArray[np.int32],
        *,
        covariates: NDArray[np.float64] | None = None,
        names: NDArray[np.object_] | None = None,
        groups: NDArray[np.object_] | None = None,
        extra: Mapping[str, Any] | None = None,
        notes: tuple[str, ...] = (),
        what: str = "the matrix",
        remedy_nan: bool = True,
    ) -> Dataset:
        """Build a data set, or refuse it in one sentence.

        Args:
            x: ``(rows, features)`` in ``schema.space``; converted to float32.
            schema: features, labels and space.
            codes: ``(rows, label columns)`` category positions, -1 for missing.
            covariates: ``(rows, covariates)``, finite.
            names: row names; ``"0", "1", ...`` if absent.
            groups: group of every row.
            extra: other row annotation to carry along.
            notes: what was detected while reading.
            what: how messages call this data, for example the file name.
            remedy_nan: whether to propose ``--space mixed`` for missing values.

        Raises:
            DataError: no rows, no features, wrong shape, NaN or infinite values, duplicate feature names, values that
                the space does not allow.
        """
        rows, columns = x.shape
        if rows == 0:
            raise DataError(f"{what} has 0 rows; at least 2 labelled rows are needed.")
        if columns == 0:
            raise DataError(f"{what} has 0 features; at least 1 is needed.")
        if columns != len(schema.features):
            raise DataError(f"{what} has {columns} columns but {len(schema.features)} feature names.")
        seen: set[str] = set()
        repeated = [name for name in schema.features if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        if repeated:
            raise DataError(
                f"{what} has {len(repeated)} duplicate feature names (first: {repeated[0]}). Names must be unique; "
                "rename them, for example with adata.var_names_make_unique()."
            )
        x = as_matrix(x)
        _check_values(x, schema, what, remedy_nan)
        return Dataset(
            x=x,
            schema=schema,
            codes=np.ascontiguousarray(codes, dtype=np.int32).reshape(rows, len(schema.labels)),
            covariates=np.zeros((rows, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64),
            names=np.array([str(i) for i in range(rows)], dtype=object) if names is None else names,
            groups=groups,
            extra=dict(extra or {}),
            notes=notes,
        )

    def __len__(self) -> int:
        return int(self.x.shape[0])

    @property
    def features(self) -> int:
        """Number of features."""
        return int(self.x.shape[1])

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Dataset:
        """Return the rows at these positions (or under this mask), in that order."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(
            self,
            x=self.x[rows],
            codes=self.codes[rows],
            covariates=self.covariates[rows],
            names=self.names[rows],
            groups=None if self.groups is None else self.groups[rows],
            extra={name: values[rows] for name, values in self.extra.items()},
        )

    def select(self, features: list[int]) -> Dataset:
        """Return these features, in that order."""
        x = self.x[:, features]
        return replace(self, x=as_matrix(x), schema=self.schema.select(features))

    def labels(self, column: int = 0) -> NDArray[np.object_]:
        """Return one label column as strings; a missing label is None. ``(rows,)``."""
        categories = np.array([*self.schema.labels[column].categories, None], dtype=object)
        return categories[self.codes[:, column]]

    def digest(self) -> str:
        """SHA-256 over values, row names and labels: the same data, the same digest."""
        sha = hashlib.sha256(self.schema.digest.encode())
        if sparse.issparse(self.x):
            for part in (self.x.indptr.astype(np.int64), self.x.indices.astype(np.int32), self.x.data):
                sha.update(np.ascontiguousarray(part).tobytes())
        else:
            sha.update(np.ascontiguousarray(self.x).tobytes())
        sha.update(np.ascontiguousarray(self.codes).tobytes())
        sha.update("\x1f".join(map(str, self.names)).encode())
        return sha.hexdigest()


@runtime_checkable
class Source(Protocol):
    """The out-of-core twin of `Dataset`: the same data, read in blocks from a file that stays open."""

    schema: Schema
    rows: int

    def blocks(self, size: int) -> Iterator[Dataset]:
        """Yield consecutive blocks of at most ``size`` rows."""
        ...

    def load(self, features: list[int] | None = None) -> Dataset:
        """Read all rows of these features (all when None) into memory, never dense if stored sparse."""
        ...


def as_matrix(x: Any) -> Matrix:
    """Return ``x`` as float32: C-contiguous, or CSR with sorted indices, no stored zeros and no duplicates."""
    if sparse.issparse(x):
        x = sparse.csr_matrix(x, dtype=np.float32)
        if not x.has_canonical_format or np.any(x.data == 0):
            x = x.copy()
            x.sum_duplicates()
            x.eliminate_zeros()
        x.sort_indices()
        return x
    return np.ascontiguousarray(x, dtype=np.float32)


def as_dense(x: Matrix) -> NDArray[np.float32]:
    """Return ``x`` dense; for blocks and selections, never for a whole wide matrix."""
    return x.toarray() if sparse.issparse(x) else x


def row_sums(x: Matrix) -> NDArray[np.float64]:
    """Row totals ``(rows,)`` in float64."""
    return np.asarray(x.sum(axis=1, dtype=np.float64)).ravel()


def column_moments(x: Matrix) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and (population) variance of every column, ``(features,)`` each, without densifying."""
    n = x.shape[0]
    mean = np.asarray(x.mean(axis=0, dtype=np.float64)).ravel()
    if sparse.issparse(x):
        squares = x.astype(np.float64).power(2).sum(axis=0)
        return mean, np.maximum(np.asarray(squares).ravel() / n - mean**2, 0.0)
    return mean, np.asarray(x.var(axis=0, dtype=np.float64)).ravel()


def _check_values(x: Matrix, schema: Schema, what: str, remedy_nan: bool) -> None:
    values = x.data if sparse.issparse(x) else x
    finite = np.isfinite(values)
    if not finite.all():
        columns = x.indices[~finite] if sparse.issparse(x) else np.nonzero(~finite)[1]
        bad = values[~finite]
        missing = int(np.isnan(bad).sum())
        first = schema.features[int(columns.min())]
        genes = len(np.unique(columns))
        if bad.size > missing:
            raise DataError(
                f"{what} contains {bad.size - missing} infinite values in {genes} features (first: {first}). "
                "Expression must be finite; look for a log of zero or a division by zero upstream."
            )
        if schema.space is not Space.MIXED:
            remedy = "impute, or pass --space mixed to model missing values" if remedy_nan else "impute them"
            raise DataError(
                f"{what} contains {missing} NaN in {genes} features (first: {first}). "
                f"Expression matrices must be complete; {remedy}."
            )
    if schema.space in (Space.COUNTS, Space.LOG):
        negative = values < 0
        if negative.any():
            columns = x.indices[negative] if sparse.issparse(x) else np.nonzero(negative)[1]
            first = schema.features[int(columns.min())]
            kind = "counts" if schema.space is Space.COUNTS else "log1p values"
            raise DataError(
                f"{what} contains {int(negative.sum())} negative values (first in {first}), but {kind} are never "
                "negative. Pass the raw counts (--layer), or --space continuous."
            )
    if schema.space is Space.COUNTS:
        fractional = values != np.rint(values)
        if fractional.any():
            raise DataError(
                f"{what} contains {int(fractional.sum())} fractional values, but counts are whole numbers. "
                "Pass the raw counts (--layer), or --space log or --space continuous."
            )
        empty = np.flatnonzero(row_sums(x) == 0)
        if empty.size:
            raise DataError(
                f"{what} has {empty.size} all-zero rows (first: row {empty[0]}). "
                "A cell without counts has no profile to learn; filter empty cells first."
            )


def missing_labels(dataset: Dataset) -> None:
    """Refuse a data set in which a label is missing, naming the column, the count and the remedy."""
    for position, column in enumerate(dataset.schema.labels):
        missing = np.flatnonzero(dataset.codes[:, position] < 0)
        if missing.size:
            raise LabelError(
                f"label '{column.name}' is missing in {missing.size} of {len(dataset)} rows "
                f"(first: {listed(dataset.names[missing[:3]])}). Label these rows or drop them, for example "
                f"adata[adata.obs['{column.name}'].notna()]."
            )
