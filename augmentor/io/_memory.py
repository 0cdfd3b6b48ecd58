"""Objects in memory: AnnData, data frames and arrays into a `Dataset`, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Dataset, as_dense, as_matrix
from augmentor.core.errors import DataError, LabelError, listed
from augmentor.core.schema import Column, ColumnKind, LabelColumn, Schema
from augmentor.core.space import Space, detect, summarise
from augmentor.io._assemble import Elsewhere, Tables, assemble, column_of
from augmentor.io._columns import decode_label, encode_label
from augmentor.io._format import Options
from augmentor.io._frames import SYNTHETIC, column_order, var_frame
from augmentor.io._store import PROBE, by_count, no_layer, no_raw, no_x
from augmentor.io._store_write import restored

if TYPE_CHECKING:
    import anndata
    import pandas as pd

FLAGS = ("False", "True")


def annotated(adata: anndata.AnnData, options: Options, what: str) -> Dataset:
    """Return the data set of an AnnData object."""
    if adata.isbacked:
        adata = adata.to_memory()
    layers = sorted(str(name) for name in adata.layers)
    var: Any = adata.var
    x: Any
    if options.layer is not None:
        if options.layer not in layers:
            raise DataError(no_layer(options.layer, layers, what))
        x = adata.layers[options.layer]
    elif options.use_raw:
        if adata.raw is None:
            raise DataError(no_raw(layers, what))
        x, var = adata.raw.X, adata.raw.var
    else:
        x = adata.X
    if x is None:
        raise DataError(no_x(layers, what))
    x = _numeric(x, what)

    def elsewhere() -> list[Elsewhere]:
        others: list[tuple[str, str, Any]] = [
            (f"layers['{name}']", f"--layer {name}", adata.layers[name]) for name in sorted(layers, key=by_count)
        ]
        if adata.raw is not None:
            others.append(("raw", "--use-raw", adata.raw.X))
        return [
            Elsewhere(detect(summarise(_numeric(matrix[:PROBE], what))).space, name, option)
            for name, option, matrix in others
            if matrix.dtype.kind in "biuf"
        ]

    tables = Tables(obs=adata.obs, var=var, dtype=str(x.dtype), sparse=bool(sparse.issparse(x)), elsewhere=elsewhere)
    return assemble(x, tables, options, what)


def framed(df: pd.DataFrame, options: Options, what: str, *, text_index: bool = False) -> Dataset:
    """Return the data set of a data frame with rows as samples: label columns, features, and perhaps a name column.

    Args:
        df: samples x columns.
        options: which columns are labels, covariates and group; all others are features.
        what: how messages call it.
        text_index: whether the index certainly holds the sample names.
    """
    import pandas as pd

    if options.layer is not None or options.use_raw:
        asked = f"--layer {options.layer}" if options.layer is not None else "--use-raw"
        raise DataError(f"{what} is a table and holds one matrix only; leave out {asked}.")
    if len(df) == 0:
        raise DataError(f"{what} has 0 rows; at least 2 labelled rows are needed.")
    df = df.set_axis([str(name) for name in df.columns], axis=1)
    # the column of names must be known before columns are looked up, so that "not a column" never lists it
    roles = (*options.label, *options.covariates, *([options.group] if options.group else []))
    default = isinstance(df.index, pd.RangeIndex) and not text_index
    if default and df.shape[1] and _names_rows(df.iloc[:, 0], str(df.columns[0]), roles):
        df = df.set_axis(pd.Index(df.iloc[:, 0].astype(str)), axis=0).iloc[:, 1:]
    for option, names in (
        ("--label", options.label),
        ("--covariate", options.covariates),
        ("--group", (options.group,) if options.group else ()),
        *((option, (name,)) for name, option in options.typed.items()),
    ):
        for name in names:
            column_of(df, name, option, what, "")
    annotation = [
        name in roles or (name == SYNTHETIC and df.dtypes.iloc[i] == np.dtype(bool))
        for i, name in enumerate(df.columns)
    ]
    obs, table = df.loc[:, annotation], df.loc[:, [not flag for flag in annotation]]
    if table.shape[1] == 0:
        raise DataError(
            f"{what} has 0 features: every column is a label or a name; at least 1 number column is needed."
        )
    x, dtype, features = _values(table, options, what)
    levels = tuple(feature.level for feature in features)
    categorical = sum(level is not None for level in levels)
    mixed = categorical > 0 or options.space == Space.MIXED
    var = pd.DataFrame(index=pd.Index(table.columns, dtype=object))
    kinds = tuple(feature.kind for feature in features)
    if mixed:
        var["dtype"] = np.array(kinds, dtype=object)
        if any(feature.kind == "category" or feature.ordered for feature in features):
            var["ordered"] = [feature.ordered for feature in features]
            var["category"] = np.array([feature.category for feature in features], dtype=object)
    notes: tuple[str, ...] = ()
    if categorical:
        texts = [str(n) for n, level in zip(table.columns, levels, strict=True) if level is not None]
        notes = (f"{what}: categories are {listed(texts)}.",)
    tables = Tables(
        obs=obs,
        var=var,
        dtype=dtype,
        sparse=bool(sparse.issparse(x)),
        dtypes=None if mixed or len(set(kinds)) == 1 else kinds,
        levels=levels if mixed else None,
        before={str(df.columns[i]): i - sum(annotation[:i]) for i, flag in enumerate(annotation) if flag},
        place="",
        notes=notes,
    )
    return assemble(x, tables, replace(options, transpose=False), what)


def arrayed(x: Any, y: Any, feature_names: Sequence[str] | None, label: str, options: Options, what: str) -> Dataset:
    """Return the data set of a matrix and a vector of labels."""
    import pandas as pd

    if isinstance(x, pd.DataFrame):
        table = x if feature_names is None else x.set_axis(list(feature_names), axis=1)
        if y is None:
            return framed(table, options, what)
        _same_length(len(y), len(x), what)
        name = _label_name(y, label)
        series = pd.Series(y if not isinstance(y, pd.Series) else y.array, index=x.index, name=name)
        asked = replace(options, label=(name,))
        return framed(pd.concat([table, series], axis=1), asked, what)
    x = _numeric(x, what)
    if x.ndim != 2:
        raise DataError(f"{what} must have two dimensions, rows and features; it has {x.ndim}. Reshape it.")
    names = [f"x{i}" for i in range(x.shape[1])] if feature_names is None else [str(name) for name in feature_names]
    if len(names) != x.shape[1]:
        raise DataError(f"{what} has {x.shape[1]} columns but {len(names)} feature names.")
    obs = pd.DataFrame(index=pd.RangeIndex(x.shape[0]).astype(str))
    if y is not None:
        _same_length(len(y), x.shape[0], what)
        name = _label_name(y, label)
        obs[name] = pd.Series(y if not isinstance(y, pd.Series) else y.array).array
        options = replace(options, label=(name,))
    tables = Tables(
        obs=obs,
        var=pd.DataFrame(index=pd.Index(names, dtype=object)),
        dtype=str(x.dtype),
        sparse=bool(sparse.issparse(x)),
        place="",
    )
    return assemble(x, tables, options, what)


def to_anndata(dataset: Dataset, *, uns: dict[str, Any] | None = None) -> anndata.AnnData:
    """Return an AnnData with the user's dtype, sparsity, label types and var."""
    import anndata

    schema = dataset.schema
    if any(level is not None for level in schema.levels or ()):
        raise DataError("a mixed table with text columns does not fit into AnnData; use to_frame.")
    x: Any = dataset.x
    if schema.sparse:
        x = sparse.csr_matrix(x)
        x = sparse.csr_matrix((restored(x.data, schema.dtype), x.indices, x.indptr), shape=x.shape)
    else:
        x = restored(as_dense(x), schema.dtype)
    return anndata.AnnData(X=x, obs=_obs(dataset), var=var_frame(schema), uns=dict(uns or {}))


def to_frame(dataset: Dataset) -> pd.DataFrame:
    """Return a data frame, rows as samples: features, labels and covariates in the user's types and order, then other annotation."""
    import pandas as pd

    features = pd.DataFrame(
        dict(enumerate(feature_columns(dataset.schema, as_dense(dataset.x)))),
        index=pd.Index(dataset.names, dtype=object),
    )
    told, more = _roles(dataset), _annotation(dataset)
    columns = pd.concat([told, features.set_axis(list(dataset.schema.features), axis=1)], axis=1)
    return pd.concat([columns.iloc[:, column_order(dataset.schema)], more], axis=1)


def feature_columns(schema: Schema, x: NDArray[np.float32]) -> list[Any]:
    """Return the features of rows ``(rows, features)`` one by one, each in the user's type."""
    import pandas as pd

    columns = np.ascontiguousarray(x.T)
    if schema.levels is None:
        kinds = schema.dtypes or (schema.dtype,) * len(columns)
        return [restored(values, kind) for values, kind in zip(columns, kinds, strict=True)]
    kinds = schema.var.get("dtype", Column(kind="string", values=(schema.dtype,) * len(schema.features))).values
    nothing = (None,) * len(schema.features)
    ordered, category = (schema.var[name].values if name in schema.var else nothing for name in ("ordered", "category"))
    found: list[Any] = []
    for values, *told in zip(columns, schema.levels, kinds, ordered, category, strict=True):
        feature = _Feature(*told)
        missing = np.isnan(values)
        if feature.level is not None:
            found.append(feature.decoded(np.where(missing, -1, np.nan_to_num(values)).astype(np.int32)))
        elif np.dtype(feature.kind).kind in "iu" and missing.any():
            found.append(pd.array(np.rint(values.astype(np.float64)), dtype="Int64"))
        else:
            found.append(restored(values, feature.kind))
    return found


def _obs(dataset: Dataset) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([_roles(dataset), _annotation(dataset)], axis=1)


def _roles(dataset: Dataset) -> pd.DataFrame:
    """Labels, then covariates."""
    import pandas as pd

    columns: dict[str, Any] = {
        label.name: decode_label(label, dataset.codes[:, i]) for i, label in enumerate(dataset.schema.labels)
    }
    columns |= {name: dataset.covariates[:, i] for i, name in enumerate(dataset.schema.covariates)}
    return pd.DataFrame(columns, index=pd.Index(dataset.names, dtype=object))


def _annotation(dataset: Dataset) -> pd.DataFrame:
    """What else is known of the rows."""
    import pandas as pd

    roles = {label.name for label in dataset.schema.labels} | set(dataset.schema.covariates)
    columns = {name: values for name, values in dataset.extra.items() if name not in roles}
    return pd.DataFrame(columns, index=pd.Index(dataset.names, dtype=object))


def _names_rows(first: pd.Series[Any], name: str, roles: tuple[str, ...]) -> bool:
    """Whether the first column of a table holds the names of the samples."""
    import pandas as pd

    if name in roles:
        return False
    if name == "" or name.startswith("Unnamed: 0"):
        return True
    return not pd.api.types.is_numeric_dtype(first.dtype) and bool(first.notna().all()) and first.is_unique


@dataclass(frozen=True)
class _Feature:
    """What a feature column of a mixed table is.

    Attributes:
        level: its categories, None for a number.
        kind: ``object`` (text), ``bool``, ``category``, or the dtype of its numbers, which may be categories.
        ordered: for ``category`` only.
        category: kind of the categories of a ``category``.
    """

    level: tuple[str, ...] | None
    kind: str
    ordered: bool | None = False
    category: ColumnKind | None = "string"

    def decoded(self, codes: NDArray[np.int32]) -> Any:
        """Return categories in the user's type; a code of -1 is missing."""
        words: dict[str, ColumnKind] = {"object": "string", "bool": "bool", "category": "category"}
        number: ColumnKind = "float" if self.kind.startswith("float") else "int"
        kind = words.get(self.kind, number)
        dtype = self.kind if self.kind not in words else ""
        column = LabelColumn(
            name="",
            categories=self.level or (),
            kind=kind,
            ordered=bool(self.ordered),
            category_kind=self.category or "string",
            dtype=dtype,
        )
        return decode_label(column, codes)


def _values(table: pd.DataFrame, options: Options, what: str) -> tuple[Any, str, list[_Feature]]:
    """Return float32 values ``(rows, features)``, the common dtype of the numbers, and what every column is."""
    import pandas as pd

    dtypes = list(table.dtypes)
    if all(isinstance(dtype, pd.SparseDtype) for dtype in dtypes):
        accessor: Any = table.sparse
        x = sparse.csr_matrix(accessor.to_coo())
        return x, str(x.dtype), [_Feature(None, str(x.dtype))] * len(dtypes)
    plain = all(isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in dtypes)
    if plain and not options.categorical and not options.ordered:
        common = str(np.result_type(*set(dtypes)))
        return table.to_numpy(dtype=np.float32), common, [_Feature(None, str(dtype)) for dtype in dtypes]
    x = np.empty(table.shape, dtype=np.float32)
    features: list[_Feature] = []
    for position, name in enumerate(table.columns):
        column: Any = table.iloc[:, position]
        if name in options.categorical or name in options.ordered:
            x[:, position], feature = _as_category(str(name), column, options.ordered.get(str(name)), what)
        else:
            asked = name in options.numeric
            x[:, position], feature = _inferred(
                str(name), _as_number(str(name), column, what) if asked else column, what
            )
        features.append(feature)
    numbers = [np.dtype(feature.kind) for feature in features if feature.level is None]
    return x, str(np.result_type(*set(numbers))) if numbers else "float64", features


def _inferred(name: str, column: Any, what: str) -> tuple[NDArray[np.floating], _Feature]:
    """Return a column by its type: numbers as they are, flags, texts and categories as positions in their categories."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.float32, na_value=np.nan), _Feature(None, str(column.dtype).lower())
    label, codes = encode_label(name, column)
    if label.kind in ("int", "float"):
        kind = "float64" if label.kind == "float" else "int64"
        return pd.to_numeric(column).to_numpy(dtype=np.float32, na_value=np.nan), _Feature(None, kind)
    if label.kind == "bool":
        true = column.to_numpy(dtype=object, na_value=False) == True  # noqa: E712
        return np.where(codes < 0, np.nan, true), _Feature(FLAGS, "bool")
    if label.kind == "string":
        _refuse_broken_numbers(name, label.categories, codes, what)
    kind = "object" if label.kind == "string" else label.kind
    return np.where(codes < 0, np.nan, codes), _Feature(label.categories, kind, label.ordered, label.category_kind)


def _as_category(
    name: str, column: Any, order: tuple[str, ...] | None, what: str
) -> tuple[NDArray[np.floating], _Feature]:
    """Return any column as positions in its categories, which are in the order given, else that of their values."""
    label, codes = encode_label(name, column)
    levels, kind = label.categories, label.kind
    if kind == "float":
        # as texts of float32, which is what they are from here on: 1 and not 1.0
        levels = tuple(f"{float(text):.7g}" for text in levels)
    if order is not None:
        unknown = [text for text in levels if text not in order]
        if unknown:
            raise DataError(
                f"--ordered '{name}' does not name all values of that column of {what}: {listed(unknown)} "
                f"{'is' if len(unknown) == 1 else 'are'} not among {listed(order)}. Give every value once, lowest first."
            )
        position = np.array([*(order.index(text) for text in levels), -1], dtype=np.int32)
        codes, levels = position[codes], order
    dtype = {"string": "object", "bool": "bool", "category": "category"}.get(kind)
    own = dtype or label.dtype or f"{kind}64"
    feature = _Feature(levels, own, label.ordered or order is not None, label.category_kind)
    return np.where(codes < 0, np.nan, codes), feature


def _as_number(name: str, column: Any, what: str) -> Any:
    """Return a column of texts or categories that read as numbers as numbers, or refuse it."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column.dtype):
        raise DataError(f"--numeric '{name}' of {what} holds True and False, which are categories; leave it out.")
    plain = column.astype(object)
    numbers = pd.to_numeric(plain, errors="coerce")
    bad = plain[numbers.isna() & ~plain.isna()]
    if len(bad):
        raise DataError(
            f"--numeric '{name}' of {what} must hold numbers; {len(bad)} of {len(plain)} values are not (first: "
            f"'{bad.iloc[0]}'). Correct them, leave them empty if they are missing, or leave --numeric {name} out."
        )
    return numbers


def _refuse_broken_numbers(name: str, texts: tuple[str, ...], codes: NDArray[np.int32], what: str) -> None:
    """Refuse a column of numbers with a few words in between, which nobody means to be categories."""
    import pandas as pd

    if not texts:
        return
    words = np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce").isna())
    bad = words[codes[codes >= 0]]
    if 0 < bad.sum() <= bad.size / 2:
        first = texts[int(np.flatnonzero(words)[0])]
        raise DataError(
            f"column '{name}' of {what} mixes numbers with text ('{first}'; {int(bad.sum())} of {bad.size} values are "
            f"not numbers). Correct these cells, leave them empty if they are missing, or pass --categorical {name}."
        )


def _numeric(x: Any, what: str) -> Any:
    """Return a matrix or array of numbers, or refuse it."""
    if not sparse.issparse(x):
        x = np.asarray(x)
    if x.dtype.kind not in "biuf":
        try:
            return x.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{what} must hold numbers; it holds values of type {x.dtype} ({error}).") from error
    return x if not sparse.issparse(x) or x.dtype != bool else as_matrix(x).astype(bool)


def _same_length(labels: int, rows: int, what: str) -> None:
    if labels != rows:
        raise LabelError(f"{what} has {rows} rows but there are {labels} labels; each row needs one.")


def _label_name(y: Any, default: str) -> str:
    name = getattr(y, "name", None)
    return default if name is None else str(name)
