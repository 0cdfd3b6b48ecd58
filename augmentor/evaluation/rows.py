"""The compared row sets in one canonical form, so that no result can depend on the order of rows, genes or categories.

Genes are aligned by name and sorted, labels are aligned as strings and sorted, rows are sorted by the hash of their
values, and the storage (sparse or dense) is decided by the values. Everything after this file works on positions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Dataset, Matrix, as_matrix, missing_labels, row_sums
from augmentor.core.errors import LabelError, SchemaMismatch, listed
from augmentor.core.space import Space
from augmentor.evaluation.tables import Table, common

ALL = "all rows"


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows in canonical form.

    Attributes:
        x: ``(rows, genes)`` float32 in the space of the data, genes sorted by name; CSR where mostly zero. For mixed tables
            the encoded columns, which have distances.
        y: ``(rows,)`` positions in the sorted labels.
        hashes: ``(rows,)`` 64-bit hash of the values of each row, taken before any projection.
        totals: ``(rows,)`` row totals, float64.
        groups: ``(rows,)`` group of each row, or None.
        table: the values behind ``x`` where the data is a mixed table, None otherwise.
        covariates: ``(rows, covariates)`` continuous covariates, or None where the sets do not share any.
    """

    x: Matrix
    y: NDArray[np.intp]
    hashes: NDArray[np.uint64]
    totals: NDArray[np.float64]
    groups: NDArray[np.object_] | None = None
    table: Table | None = None
    covariates: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: NDArray[np.intp]) -> Sample:
        """Return the rows at these positions."""
        groups = None if self.groups is None else self.groups[rows]
        table = None if self.table is None else self.table.take(rows)
        covariates = None if self.covariates is None else self.covariates[rows]
        return Sample(self.x[rows], self.y[rows], self.hashes[rows], self.totals[rows], groups, table, covariates)

    def counts(self, labels: int) -> NDArray[np.intp]:
        """Return the number of rows of each label."""
        return np.bincount(self.y, minlength=labels)

    def distinct(self) -> NDArray[np.intp]:
        """Return the positions of the first of every set of equal rows."""
        return np.sort(np.unique(self.hashes, return_index=True)[1])

    @staticmethod
    def joined(first: Sample, second: Sample) -> Sample:
        """Return the rows of both."""
        stack: Any = sparse.vstack if sparse.issparse(first.x) else np.concatenate
        x = stack([first.x, second.x])

        def both(a: NDArray[Any] | None, b: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if a is None or b is None else np.concatenate([a, b])

        return Sample(
            sparse.csr_matrix(x) if sparse.issparse(x) else x,
            np.concatenate([first.y, second.y]),
            np.concatenate([first.hashes, second.hashes]),
            np.concatenate([first.totals, second.totals]),
            both(first.groups, second.groups),
            None if first.table is None or second.table is None else first.table.joined(second.table),
            both(first.covariates, second.covariates),
        )

    @staticmethod
    def of_table(table: Table, y: NDArray[np.intp]) -> Sample:
        """Return rows of a mixed table, in their order."""
        x = table.encoded()
        return Sample(x, y, hashed(x), row_sums(x), table=table)


@dataclass(frozen=True, eq=False)
class Aligned:
    """The three sets over the same genes and labels.

    Attributes:
        synthetic: rows to be judged, without those of unknown labels.
        train: rows the generator was fitted on.
        holdout: rows it never saw, without those of labels absent from training; None if there are none.
        labels: label names, sorted.
        genes: feature names, sorted; for mixed tables the names of the encoded columns.
        space: what the numbers are.
        label: name of the label column, or of their joint; empty without labels.
        covariates: names of the continuous covariates that all sets have.
        unknown: labels of synthetic rows that training does not have, with their number of rows.
        unseen: the same for held-out rows.
    """

    synthetic: Sample
    train: Sample
    holdout: Sample | None
    labels: tuple[str, ...]
    genes: tuple[str, ...]
    space: Space
    label: str
    covariates: tuple[str, ...]
    unknown: dict[str, int]
    unseen: dict[str, int]

    @property
    def labelled(self) -> bool:
        """Whether there is more than one label to tell apart."""
        return len(self.labels) > 1


def align(synthetic: Dataset, train: Dataset, holdout: Dataset | None, label: int | Sequence[int] = 0) -> Aligned:
    """Bring the sets into canonical form, or refuse them by name.

    Raises:
        SchemaMismatch: spaces, features or label columns differ.
        LabelError: labels are missing, or no synthetic row carries a label known to training.
    """
    sets = {"synthetic": synthetic, "train": train} | ({} if holdout is None else {"holdout": holdout})
    for name, data in sets.items():
        if data.schema.space is not train.schema.space:
            raise SchemaMismatch(
                f"{name} is in space '{data.schema.space}' but train is in space '{train.schema.space}'. "
                "Read both alike, for example with the same --layer and --space."
            )
        train.schema.require_features(data.schema, ours="train", theirs=name)
        missing_labels(data)
    column, names = {}, {}
    for name, data in sets.items():
        column[name], names[name] = _labels(data, train, label)
    labels = tuple(sorted(set(names["train"])))
    known = set(labels)
    kept = {name: np.array([value in known for value in values], dtype=bool) for name, values in names.items()}
    outside = {
        name: _tally(value for value, inside in zip(names[name], kept[name], strict=True) if not inside)
        for name in sets
    }
    if not kept["synthetic"].any():
        raise LabelError(
            f"none of the {len(synthetic)} synthetic rows has a value of '{column['train']}' that occurs in train. "
            f"Synthetic: {listed(outside['synthetic'])}. Train: {listed(labels)}."
        )
    if holdout is not None and not kept["holdout"].any():
        raise LabelError(
            f"none of the {len(holdout)} held-out rows has a value of '{column['train']}' that occurs in train. "
            f"Held out: {listed(outside['holdout'])}. Train: {listed(labels)}."
        )
    order = sorted(train.schema.features)
    position = {value: i for i, value in enumerate(labels)}
    raw = {name: _columns(data, order) for name, data in sets.items()}
    tables: dict[str, Table] = {}
    if train.schema.space is Space.MIXED:
        tables = common({name: (raw[name], _levels(data, order)) for name, data in sets.items()}, order)
        genes, matrices = tables["train"].columns.encoded, {name: table.encoded() for name, table in tables.items()}
    else:
        genes = tuple(order)
        whole = raw["train"]
        stored = whole.nnz if sparse.issparse(whole) else np.count_nonzero(whole)
        mostly_zero = stored < 0.5 * whole.shape[0] * whole.shape[1]
        matrices = {name: _stored(x, mostly_zero) for name, x in raw.items()}
    shared = tuple(c for c in train.schema.covariates if all(c in data.schema.covariates for data in sets.values()))
    samples = {}
    for name, data in sets.items():
        rows = np.flatnonzero(kept[name])
        y = np.array([position[names[name][i]] for i in rows], dtype=np.intp)
        groups = None if data.groups is None else np.array([str(data.groups[i]) for i in rows], dtype=object)
        table = tables[name].take(rows) if tables else None
        places = [data.schema.covariates.index(c) for c in shared]
        covariates = data.covariates[rows][:, places].astype(np.float64) if places else None
        samples[name] = _canonical(matrices[name][rows], y, groups, table, covariates)
    return Aligned(
        synthetic=samples["synthetic"],
        train=samples["train"],
        holdout=samples.get("holdout"),
        labels=labels,
        genes=genes,
        space=train.schema.space,
        label=column["train"],
        covariates=shared,
        unknown=outside["synthetic"],
        unseen=outside.get("holdout", {}),
    )


def hashed(x: Matrix) -> NDArray[np.uint64]:
    """Return a 64-bit hash of every row's values, the same for sparse and dense storage."""
    out = np.empty(x.shape[0], dtype=np.uint64)
    is_sparse = sparse.issparse(x)
    for i in range(x.shape[0]):
        if is_sparse:
            part = slice(x.indptr[i], x.indptr[i + 1])
            where, values = x.indices[part], x.data[part]
        else:
            where = np.flatnonzero(x[i])
            values = x[i, where]
        digest = hashlib.blake2b(where.astype(np.int32).tobytes(), digest_size=8)
        digest.update(values.astype(np.float32).tobytes())
        out[i] = int.from_bytes(digest.digest(), "little")
    return out


def _canonical(
    x: Matrix,
    y: NDArray[np.intp],
    groups: NDArray[np.object_] | None,
    table: Table | None,
    covariates: NDArray[np.float64] | None,
) -> Sample:
    hashes = hashed(x)
    keys: list[Any] = [y, hashes]
    if groups is not None:
        keys.insert(0, np.unique(groups, return_inverse=True)[1])
    if covariates is not None:
        keys = [*covariates.T, *keys]
    sample = Sample(x, y, hashes, row_sums(x), groups, table, covariates)
    return sample.take(np.lexsort(keys))


def _labels(data: Dataset, train: Dataset, label: int | Sequence[int]) -> tuple[str, list[str]]:
    wanted = [label] if isinstance(label, int) else list(label)
    if not train.schema.labels:
        return "", [ALL] * len(data)
    columns = [train.schema.labels[i].name for i in wanted]
    known = [column.name for column in data.schema.labels]
    for name in columns:
        data.schema.label(name)
    parts = [data.labels(known.index(name)) for name in columns]
    return " | ".join(columns), [" | ".join(map(str, row)) for row in zip(*parts, strict=True)]


def _tally(values: Any) -> dict[str, int]:
    names, counts = np.unique(np.array(list(values), dtype=str), return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def _columns(data: Dataset, order: list[str]) -> Matrix:
    if list(data.schema.features) == order:
        return data.x
    position = {name: i for i, name in enumerate(data.schema.features)}
    return as_matrix(data.x[:, [position[name] for name in order]])


def _levels(data: Dataset, order: list[str]) -> list[tuple[str, ...] | None]:
    levels = data.schema.levels or (None,) * len(order)
    position = {name: i for i, name in enumerate(data.schema.features)}
    return [levels[position[name]] for name in order]


def _stored(x: Matrix, as_sparse: bool) -> Matrix:
    if as_sparse:
        return as_matrix(sparse.csr_matrix(x))
    return as_matrix(x.toarray()) if sparse.issparse(x) else x


def regrouped(sample: Sample, y: NDArray[np.intp]) -> Sample:
    """Return the same rows under other labels."""
    return replace(sample, y=y)
