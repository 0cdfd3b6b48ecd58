"""Tables (.csv, .tsv, .txt, .parquet; .gz; - for a CSV stream): samples in rows, labels and features in columns."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.errors import DataError
from augmentor.core.schema import Schema
from augmentor.io._columns import retyped
from augmentor.io._format import STREAM, Format, Options, Rows

if TYPE_CHECKING:
    import pandas as pd

# "None" is not among them: it is a treatment
NULLS = ["", "NA", "N/A", "#N/A", "NaN", "nan", "<NA>", "NULL", "null"]
TEXT = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", STREAM)
# tables of at most so many columns are looked at twice, for whole numbers that are names
NARROW = 1000
# a parquet row group holds about this many values
GROUP = 16_000_000


def read(path: str, what: str, options: Options) -> Dataset:
    """Read a table into memory."""
    from augmentor.io._memory import framed
    from augmentor.io._store import damage_refused

    if path.lower().endswith(".parquet"):
        import pyarrow.parquet as parquet

        with damage_refused(what):
            frame = _plain(parquet.read_table(path))
    else:
        roles = {*options.label, *options.covariates, *([options.group] if options.group else [])}
        frame = _read_text(path, what, roles)
    if options.transpose:
        names = frame.iloc[:, 0]
        frame = turned(frame.iloc[:, 1:].set_axis(names.astype(str), axis=0))
    return framed(frame, options, what, text_index=options.transpose)


def turned(df: pd.DataFrame) -> pd.DataFrame:
    """Return a table with genes in rows as one with samples in rows; one text row does not make the others text."""
    import pandas as pd

    if all(dtype.kind in "iuf" for dtype in df.dtypes):
        return df.T
    numbers = np.column_stack(
        [pd.to_numeric(df.iloc[:, i].astype(object), errors="coerce").to_numpy(np.float64) for i in range(df.shape[1])]
    )
    present = df.notna().to_numpy()
    text = (np.isnan(numbers) & present).any(axis=1)
    values = numbers[~text].T
    if values.size and np.all(values == np.rint(values)):
        values = values.astype(np.int64)
    result = pd.DataFrame(values, index=df.columns)
    # by position and not by name: duplicate genes must stay, to be refused by name later
    for position in np.flatnonzero(text):
        row = df.iloc[position].map(str, na_action="ignore")
        result.insert(int(position), f"text {position}", retyped(row).array)
    return result.set_axis(df.index, axis=1)


def _read_text(path: str, what: str, roles: set[str]) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.csv as pacsv

    content: Any = io.BytesIO(sys.stdin.buffer.read()) if path == STREAM else None
    delimiter = "," if path == STREAM or ".csv" in Path(path).name.lower()[-7:] else "\t"
    header, first, longest = _peek(content or path, what, delimiter)
    implied = len(first) == len(header) + 1
    names = ["", *header] if implied else header
    doubled = {n for n in roles if names.count(n) > 1}
    if doubled:
        raise DataError(f"{what} has several columns named '{min(doubled)}'; rename all but one.")
    reading = pacsv.ReadOptions(column_names=names, skip_rows=1, block_size=max(1 << 22, 4 * longest), use_threads=True)

    def parsed(texts: list[str], only: list[str] | None = None) -> Any:
        # arrow cannot address columns of equal names, and only those of the roles are addressed
        options = pacsv.ConvertOptions(
            null_values=NULLS,
            strings_can_be_null=True,
            column_types={name: pa.string() for name in texts},
            include_columns=only,
        )
        style = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=False)
        source = path if content is None else io.BytesIO(content.getvalue())
        with contextlib.closing(_binary(source)) as stream:
            return pacsv.read_csv(stream, read_options=reading, parse_options=style, convert_options=options)

    try:
        table = parsed([name for name in roles if name in names])
        if len(names) <= NARROW and len(set(names)) == len(names):
            table = _unpadded(table, parsed)
    except (pa.ArrowException, OSError, EOFError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        if "utf8" in reason.lower():
            raise DataError(f"{what} is not UTF-8 text ({reason}); save it as UTF-8.") from error
        raise DataError(f"{what} is not a regular table: {reason}. Every row needs {len(names)} fields.") from error
    frame = _plain(table)
    for position, name in enumerate(frame.columns):
        if name in roles:
            frame.isetitem(position, retyped(frame.iloc[:, position]).array)
    return frame


def _unpadded(table: Any, parsed: Any) -> Any:
    """Return a table in which columns of padded whole numbers, such as 01 and 02, are texts again: they are names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = [field.name for field in table.schema if pa.types.is_integer(field.type)]
    if not whole:
        return table
    for name, column in zip(whole, parsed(whole, whole).columns, strict=True):
        if pc.any(pc.match_substring_regex(column, "^[+-]?0[0-9]")).as_py():
            table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def _peek(source: Any, what: str, delimiter: str) -> tuple[list[str], list[str], int]:
    """Return the fields of the first two lines and the length of the longer one."""
    stream = _binary(source)
    try:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        lines = [text.readline(), text.readline()]
        text.detach()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{what} cannot be read as text ({error}). Save it as UTF-8, or fix its ending.") from error
    finally:
        if source is not stream:
            stream.close()
        else:
            stream.seek(0)
    if not lines[0].strip():
        raise DataError(f"{what} is empty; a header line and at least 2 rows are needed.")
    if "\x00" in lines[0]:
        raise DataError(f"{what} is not a text table: it holds binary data. Fix its ending.")
    header, first = (next(csv.reader([line], delimiter=delimiter), []) for line in lines)
    if len(header) == 1:
        other = next((d for d in ",;\t" if d != delimiter and d in lines[0]), None)
        if other:
            seen = {",": "commas", ";": "semicolons", "\t": "tabs"}
            raise DataError(
                f"{what} must be separated by {seen[delimiter]}, but its first line has {seen[other]}. "
                f"{'Name it .tsv' if other == chr(9) else 'Save it with ' + seen[delimiter]}."
            )
    if not first:
        raise DataError(f"{what} has 0 rows; at least 2 labelled rows are needed.")
    return header, first, max(len(line.encode()) for line in lines)


def _binary(source: Any) -> Any:
    if not isinstance(source, str):
        return source
    return gzip.open(source, "rb") if source.lower().endswith(".gz") else open(source, "rb")


def _plain(table: Any) -> pd.DataFrame:
    """Return an arrow table as a data frame; whole numbers with gaps stay whole, dates become text."""
    import pyarrow as pa

    frame: pd.DataFrame = table.to_pandas(date_as_object=True)
    fields = [f for f in table.schema if f.name in frame.columns]
    if len(fields) == len(frame.columns):
        types = pa.types
        for position, field in enumerate(fields):
            # a wide table has few columns that need a look
            if not (types.is_integer(field.type) or types.is_temporal(field.type) or types.is_null(field.type)):
                continue
            column: Any = frame.iloc[:, position]
            if types.is_integer(field.type) and column.dtype.kind == "f":
                frame.isetitem(position, column.astype("Int64"))
            elif not types.is_integer(field.type):
                frame.isetitem(position, column.astype(object).map(str, na_action="ignore"))
    return frame


class TableSink:
    """A table that grows row by row: sample name; labels, covariates and features in the user's order; the synthetic flag."""

    def __init__(self, path: Path, name: str, schema: Schema) -> None:
        import pyarrow as pa

        from augmentor.io._frames import column_order

        self.compressed = name.lower().endswith((".gz", ".parquet"))
        self._schema = schema
        self._parquet = name.lower().endswith(".parquet")
        name_column, *roles = _taken(schema)
        self._order = column_order(schema)
        told = [*roles, *schema.features]
        self._columns = [name_column, *(told[i] for i in self._order), "synthetic"]
        self._waiting: list[Any] = []
        self._writer: Any = None
        self._fixed: Any = None
        self._delimiter = "\t" if ".csv" not in name.lower()[-7:] and name != STREAM else ","
        self._group = max(64, GROUP // max(1, len(schema.features)))
        self._open = contextlib.ExitStack()
        self._file: Any = sys.stdout.buffer if name == STREAM else self._open.enter_context(path.open("wb"))
        if name.lower().endswith(".gz"):
            # no time and no name inside, so that the same rows give the same bytes
            packed = gzip.GzipFile(filename="", mode="wb", compresslevel=4, fileobj=self._file, mtime=0)
            self._file = self._open.enter_context(packed)
        self._sink = pa.PythonFile(self._file, mode="w")

    def append(self, rows: Rows) -> None:
        """Write the next rows, or keep them until a parquet row group is full."""
        import pyarrow as pa

        from augmentor.io._frames import obs_frame
        from augmentor.io._memory import feature_columns

        frame = obs_frame(self._schema, rows)
        schema = self._schema if self._parquet else _as_text(self._schema)
        told = [*(frame[name] for name in frame.columns[:-1]), *feature_columns(schema, as_dense(rows.x))]
        values: list[Any] = [rows.names, *(told[i] for i in self._order), rows.synthetic]
        arrays = [_arrow(value, dictionary=self._parquet) for value in values]
        batch = pa.table(arrays, names=self._columns)
        if not self._parquet:
            self._write(batch)
            return
        self._waiting.append(batch)
        if sum(len(part) for part in self._waiting) >= self._group:
            self._flush(whole_groups=True)

    def close(self) -> None:
        """Write what waits and close the file."""
        self._flush(whole_groups=False)
        if self._writer is not None:
            self._writer.close()
        self._file.flush()
        self._open.close()

    def abort(self) -> None:
        """Close the file as far as it can be closed."""
        # on a full disk even closing fails, and the file is removed anyway
        for part in (self._writer, self._open):
            if part is not None:
                with contextlib.suppress(Exception):
                    part.close()

    def _flush(self, *, whole_groups: bool) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting, promote_options="permissive")
        self._waiting = []
        full = len(table) // self._group * self._group if whole_groups else len(table)
        for start in range(0, full, self._group):
            self._write(table.slice(start, min(self._group, full - start)))
        if full < len(table):
            self._waiting = [table.slice(full)]

    def _write(self, table: Any) -> None:
        if self._writer is None:
            self._fixed = table.schema
            if self._parquet:
                import pyarrow.parquet as parquet

                self._writer = parquet.ParquetWriter(self._sink, table.schema, compression="zstd")
            else:
                import pyarrow.csv as pacsv

                style = pacsv.WriteOptions(delimiter=self._delimiter, quoting_style="needed")
                self._writer = pacsv.CSVWriter(self._sink, table.schema, write_options=style)
        self._writer.write_table(table.cast(self._fixed))


def sink(path: Path, name: str, schema: Schema, rows: int, uns: Mapping[str, Any]) -> TableSink:
    """Open a table to append to."""
    return TableSink(path, name, schema)


def _taken(schema: Schema) -> list[str]:
    labels = [label.name for label in schema.labels]
    used = {*labels, *schema.covariates, *schema.features}
    return ["" if "sample" in used else "sample", *labels, *schema.covariates]


def _as_text(schema: Schema) -> Schema:
    """Return the schema with float columns as float32, whose shortest text is what the user wrote, or whole numbers."""
    if schema.levels is None:
        kind = "int64" if schema.integer else "float32"
        if schema.dtypes is not None:
            kinds = tuple(kind if np.dtype(own).kind == "f" else own for own in schema.dtypes)
            return schema.model_copy(update={"dtypes": kinds})
        return schema.model_copy(update={"dtype": kind}) if np.dtype(schema.dtype).kind == "f" else schema
    if "dtype" not in schema.var:
        return schema.model_copy(update={"dtype": "float32"})
    column = schema.var["dtype"]
    short = tuple("float32" if kind == "float64" else kind for kind in column.values)
    return schema.model_copy(update={"var": {**schema.var, "dtype": column.model_copy(update={"values": short})}})


def _arrow(values: Any, *, dictionary: bool) -> Any:
    import pandas as pd
    import pyarrow as pa

    if isinstance(values, pd.Series):
        values = values.array if isinstance(values.dtype, pd.CategoricalDtype) else values.to_numpy()
    if isinstance(values, pd.Categorical) and not dictionary:
        values = values.astype(object)
        return pa.array(np.asarray(values, dtype=object), from_pandas=True)
    return pa.array(values, from_pandas=True)


FORMAT = Format(suffixes=(*TEXT, ".parquet"), read=read, sink=sink)
