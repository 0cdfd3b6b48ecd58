"""The door: a matrix and its two annotation tables become a checked `Dataset`, whatever file they came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Dataset, Matrix
from augmentor.core.errors import DataError, LabelError, did_you_mean, listed
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Detection, Space, Summary, detect, summarise
from augmentor.io._columns import MISSING, carried, encode_column, encode_label
from augmentor.io._format import Options

if TYPE_CHECKING:
    import pandas as pd

# float32 holds whole numbers exactly up to here
EXACT = 2**24


@dataclass(frozen=True)
class Elsewhere:
    """Another matrix of the same file: its space, what messages call it, and the option that picks it."""

    space: Space
    name: str
    option: str


@dataclass(frozen=True, eq=False)
class Tables:
    """What a format hands over besides the matrix.

    Attributes:
        obs: annotation of the rows; its index holds their names.
        var: annotation of the features; its index holds their names.
        dtype: NumPy dtype name of the stored matrix.
        sparse: whether it was stored sparse.
        dtypes: dtype of each feature of a table, where they differ.
        levels: categories of each feature of a mixed table.
        before: for tables, how many features stand before each other column.
        place: where label columns are, for messages: `` obs`` or nothing.
        elsewhere: looks for other matrices in the same file, called only when that matters.
        notes: sentences for the user.
    """

    obs: pd.DataFrame
    var: pd.DataFrame
    dtype: str
    sparse: bool
    dtypes: tuple[str, ...] | None = None
    levels: tuple[tuple[str, ...] | None, ...] | None = None
    before: dict[str, int] = field(default_factory=dict)
    place: str = " obs"
    elsewhere: Callable[[], list[Elsewhere]] = list
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Described:
    """Everything of a `Dataset` but its matrix."""

    schema: Schema
    codes: NDArray[np.int32]
    covariates: NDArray[np.float64]
    names: NDArray[np.object_]
    groups: NDArray[np.object_] | None
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def dataset(self, x: Matrix, rows: slice = slice(None)) -> Dataset:
        """Return these rows with their matrix, which is known to be valid."""
        return Dataset(
            x=x,
            schema=self.schema,
            codes=self.codes[rows],
            covariates=self.covariates[rows],
            names=self.names[rows],
            groups=None if self.groups is None else self.groups[rows],
            extra={name: values[rows] for name, values in self.extra.items()},
            notes=self.notes,
        )

    def checked(self, x: Matrix, what: str, rows: slice = slice(None)) -> Dataset:
        """Return these rows with their matrix, or refuse it."""
        loose = self.dataset(x, rows)
        return Dataset.checked(
            x,
            self.schema,
            loose.codes,
            covariates=loose.covariates,
            names=loose.names,
            groups=loose.groups,
            extra=loose.extra,
            notes=self.notes,
            what=what,
        )


def assemble(x: Matrix, tables: Tables, options: Options, what: str) -> Dataset:
    """Return the data set of a matrix in memory ``(rows, features)``, or refuse it in one sentence."""
    if options.transpose:
        x = x.T
        tables = Tables(tables.var, tables.obs, tables.dtype, tables.sparse, place=tables.place, notes=tables.notes)
    return describe(summarise(x), tables, options, what).checked(x, what)


def describe(summary: Summary, tables: Tables, options: Options, what: str) -> Described:
    """Return labels, names, space and schema of a matrix of which only the summary is at hand."""
    obs = tables.obs
    if options.typed and tables.place:
        name, option = next(iter(options.typed.items()))
        raise DataError(
            f"{option} '{name}' is for columns of a table (.csv, .tsv, .parquet, a data frame), but {what} holds one matrix of "
            "numbers; leave it out."
        )
    columns, codes = _labels(obs, options, what, tables.place)
    detection, hints = _space(summary, tables, options, what)
    described = set(options.label) | set(options.covariates)
    schema = Schema(
        space=detection.space,
        features=tuple(str(name) for name in tables.var.index),
        labels=columns,
        covariates=options.covariates,
        dtype=tables.dtype,
        sparse=tables.sparse,
        integer=summary.whole and summary.stored > summary.infinite,
        dtypes=tables.dtypes if detection.space is Space.CONTINUOUS else None,
        levels=tables.levels,
        before={name: n for name, n in tables.before.items() if name in described},
        var={str(name): encode_column(tables.var[name]) for name in tables.var.columns},
        index=None if tables.var.index.name is None else str(tables.var.index.name),
    )
    return Described(
        schema=schema,
        codes=codes,
        covariates=_covariates(obs, options, what, tables.place),
        names=np.array([str(name) for name in obs.index], dtype=object),
        groups=_groups(obs, options, what, tables.place),
        extra={str(name): carried(obs[name]) for name in obs.columns if name not in described},
        notes=(f"{what}: {detection.space} ({detection.reason}).", *hints, *tables.notes),
    )


def column_of(table: pd.DataFrame, name: str, option: str, what: str, place: str) -> pd.Series[Any]:
    """Return an annotation column; an unknown one is refused with the similar and the known ones."""
    if name not in table.columns:
        known = [str(column) for column in table.columns]
        raise LabelError(
            f"{option} '{name}' is not a column of {what}{place}.{did_you_mean(name, known)} "
            f"Columns: {listed(known) or 'none'}."
        )
    found: Any = table[name]
    return found if found.ndim == 1 else found.iloc[:, 0]


def _labels(
    obs: pd.DataFrame, options: Options, what: str, place: str
) -> tuple[tuple[LabelColumn, ...], NDArray[np.int32]]:
    pairs = [encode_label(name, column_of(obs, name, "--label", what, place)) for name in options.label]
    codes = np.empty((len(obs), len(pairs)), dtype=np.int32)
    for position, (_, found) in enumerate(pairs):
        codes[:, position] = found
    return tuple(column for column, _ in pairs), codes


def _covariates(obs: pd.DataFrame, options: Options, what: str, place: str) -> NDArray[np.float64]:
    import pandas as pd

    values = np.empty((len(obs), len(options.covariates)))
    for position, name in enumerate(options.covariates):
        column = column_of(obs, name, "--covariate", what, place)
        # a categorical of numbers is numbers
        numbers = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.flatnonzero(~np.isfinite(numbers))
        if bad.size:
            raise LabelError(
                f"--covariate '{name}' must hold a number in every row of {what}; {bad.size} of {len(obs)} rows do not "
                f"(first: {obs.index[bad[0]]}, {column.iloc[bad[0]]}). Fill them, or use --label for a category."
            )
        values[:, position] = numbers
    return values


def _groups(obs: pd.DataFrame, options: Options, what: str, place: str) -> NDArray[np.object_] | None:
    if options.group is None:
        return None
    values = carried(column_of(obs, options.group, "--group", what, place)).astype(object)
    missing = [i for i, value in enumerate(values) if value is None or str(value) in MISSING]
    if missing:
        raise LabelError(
            f"--group '{options.group}' is missing in {len(missing)} of {len(obs)} rows of {what} "
            f"(first: {obs.index[missing[0]]}). Every row needs a group; fill it or drop these rows."
        )
    return np.array([str(value) for value in values], dtype=object)


def _space(summary: Summary, tables: Tables, options: Options, what: str) -> tuple[Detection, tuple[str, ...]]:
    texts = [str(n) for n, level in zip(tables.var.index, tables.levels or (), strict=False) if level is not None]
    found = detect(summary, categorical=len(texts))
    if options.space != "auto":
        asked = Space(options.space)
        if texts and asked is not Space.MIXED:
            raise DataError(
                f"{what} holds text in {len(texts)} feature columns ({listed(texts, most=3)}), but {asked} data is "
                "numeric. Name them with --label, --group or --covariate, drop them, or pass --space mixed."
            )
        return Detection(asked, "as asked"), _precision(summary, what)
    hints = list(_precision(summary, what))
    chosen = options.layer is not None or options.use_raw
    if not chosen and found.space in (Space.LOG, Space.CONTINUOUS):
        hints += _better(summary, found, tables.elsewhere(), what)
    return found, tuple(hints)


def _better(summary: Summary, found: Detection, others: list[Elsewhere], what: str) -> list[str]:
    counts = next((other for other in others if other.space is Space.COUNTS), None)
    logs = next((other for other in others if other.space is Space.LOG), None)
    negative = found.space is Space.CONTINUOUS and summary.low < 0
    if counts and negative:
        raise DataError(
            f"{what} holds counts in {counts.name} and z-scores in X. "
            f"Pass {counts.option} (recommended) or --space continuous."
        )
    if counts:
        return [f"{what} also holds counts in {counts.name}; {counts.option} is recommended over X."]
    if logs and negative:
        return [f"{what} also holds log-normalised values in {logs.name}; {logs.option} may be better than X."]
    return []


def _precision(summary: Summary, what: str) -> tuple[str, ...]:
    if summary.whole and summary.high > EXACT:
        return (f"{what}: whole numbers above {EXACT:,} are kept to 7 digits.",)
    return ()
