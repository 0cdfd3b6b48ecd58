"""Annotation columns: from pandas into the vocabulary of `core.schema`, and back with the user's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from augmentor.core.errors import LabelError
from augmentor.core.schema import Column, ColumnKind, LabelColumn

if TYPE_CHECKING:
    import pandas as pd

# how missing values look once a tool has turned them into text; no biologist names a class so
MISSING = frozenset({"", "nan", "NaN", "<NA>"})


def encode_label(name: str, values: pd.Series[Any]) -> tuple[LabelColumn, NDArray[np.int32]]:
    """Return a label column and its codes ``(rows,)``.

    A categorical keeps all its categories in their order; any other column gets its values sorted. Missing values,
    also those spelled as an empty text or ``nan``, have code -1.
    """
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        kind, dtype, levels = _typed(pd.Series(values.cat.categories))
        texts = [_text(level, kind) for level in levels]
        kept = [i for i, text in enumerate(texts) if text not in MISSING]
        position = np.full(len(texts) + 1, -1, dtype=np.int32)
        position[kept] = np.arange(len(kept))
        column = LabelColumn(
            name=name,
            categories=tuple(texts[i] for i in kept),
            kind="category",
            ordered=bool(values.cat.ordered),
            category_kind=kind,
            dtype=dtype,
        )
        codes = position[values.cat.codes.to_numpy()]
    else:
        kind, dtype, plain = _typed(values)
        missing = np.asarray(pd.isna(plain))
        if kind == "string":
            plain = np.array([None if gone else str(v) for v, gone in zip(plain, missing, strict=True)], dtype=object)
            missing = missing | np.array([v in MISSING for v in plain])
        codes = np.full(len(plain), -1, dtype=np.int32)
        found, inverse = np.unique(plain[~missing], return_inverse=True)
        codes[~missing] = inverse
        column = LabelColumn(name=name, categories=tuple(_text(v, kind) for v in found), kind=kind, dtype=dtype)
    if len(set(column.categories)) < len(column.categories):
        raise LabelError(f"label '{name}' has different categories that read the same as text; rename them.")
    return column, codes


def decode_label(column: LabelColumn, codes: NDArray[np.int32]) -> Any:
    """Return the user's values of a label column, ready for a data frame: array, categorical or nullable array."""
    import pandas as pd

    if column.kind == "category":
        levels = pd.Index(_plain(column.categories, column.category_kind, column.dtype))
        return pd.Categorical.from_codes(codes, categories=levels, ordered=column.ordered)
    values = _plain(column.categories, column.kind, column.dtype)
    missing = codes < 0
    if not missing.any():
        return values[codes]
    filled = np.empty(len(codes), dtype=object)
    filled[~missing] = values[codes[~missing]]
    if column.kind == "float":
        filled[missing] = np.nan
        return filled.astype(column.dtype or "float64")
    filled[missing] = None
    if column.kind == "string":
        return filled
    return pd.array(filled, dtype="boolean" if column.kind == "bool" else "Int64")


def encode_column(values: pd.Series[Any]) -> Column:
    """Return a column of `var` as plain values, with what is needed to write it back as it was."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        kind, dtype, levels = _typed(pd.Series(values.cat.categories))
        categories = tuple(_scalar(level, kind) for level in levels)
        codes = values.cat.codes.to_numpy()
        return Column(
            kind="category",
            values=tuple(None if code < 0 else categories[code] for code in codes),
            categories=categories,
            ordered=bool(values.cat.ordered),
            dtype=dtype,
        )
    kind, dtype, plain = _typed(values)
    missing = np.asarray(pd.isna(plain))
    listed = tuple(None if gone else _scalar(v, kind) for v, gone in zip(plain, missing, strict=True))
    return Column(kind=kind, values=listed, dtype=dtype)


def decode_column(column: Column) -> Any:
    """Return the values of a `var` column, ready for a data frame."""
    import pandas as pd

    if column.kind == "category":
        levels = pd.Index(_array(column.categories or (), column.dtype))
        return pd.Categorical(list(column.values), categories=levels, ordered=column.ordered)
    if column.kind == "string":
        return np.array(column.values, dtype=object)
    if column.kind == "float":
        filled = [np.nan if v is None else v for v in column.values]
        return np.array(filled, dtype=column.dtype or "float64")
    if None in column.values:
        return pd.array(list(column.values), dtype="boolean" if column.kind == "bool" else "Int64")
    return np.array(column.values, dtype="bool" if column.kind == "bool" else column.dtype or "int64")


def carried(values: pd.Series[Any]) -> NDArray[Any]:
    """Return any column as a NumPy array to be carried along: numbers and flags as they are, the rest as objects."""
    import pandas as pd

    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
        return values.to_numpy()
    array = values.astype(object).to_numpy(copy=True)
    array[np.asarray(pd.isna(array))] = None
    return cast("NDArray[Any]", array)


def retyped(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of texts as whole numbers, numbers or flags if, and only if, every text is one.

    ``01`` is a name, not a number: texts that would not come back as they were stay texts.
    """
    import pandas as pd

    present = texts.dropna()
    if present.empty:
        return texts
    unique = [str(v) for v in present.unique()]
    if all(v.lower() in ("true", "false") for v in unique):
        return texts.map(lambda v: v.lower() == "true", na_action="ignore")
    numbers = pd.to_numeric(pd.Series(unique), errors="coerce")
    if numbers.isna().any() or any(v != v.strip() or _padded(v) for v in unique):
        return texts
    whole = all(v.lstrip("+-").isdigit() for v in unique)
    column = pd.to_numeric(texts)
    return column.astype("Int64") if whole and texts.isna().any() else column


def _padded(text: str) -> bool:
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()


def _typed(values: pd.Series[Any]) -> tuple[ColumnKind, str, NDArray[Any]]:
    """Return kind, dtype name ('' for the default) and plain values (objects where something is missing)."""
    import pandas as pd

    types = pd.api.types
    dtype = values.dtype
    if dtype == np.dtype(object):
        inferred = types.infer_dtype(values, skipna=True)
        target = {"boolean": "boolean", "integer": "Int64", "floating": "float64", "mixed-integer-float": "float64"}
        if inferred in target and values.notna().any():
            values = values.astype(target[inferred])  # type: ignore[call-overload]
            dtype = values.dtype
    if types.is_bool_dtype(dtype):
        return "bool", "", values.to_numpy(dtype=object if values.isna().any() else bool)
    if types.is_integer_dtype(dtype):
        name = str(dtype).lower()
        gaps = bool(values.isna().any())
        return "int", "" if name == "int64" or gaps else name, values.to_numpy(dtype=object if gaps else name)
    if types.is_float_dtype(dtype):
        name = str(dtype).lower()
        return "float", "" if name == "float64" else name, values.to_numpy(dtype=name, na_value=np.nan)
    return "string", "", values.astype(object).to_numpy()


def _text(value: Any, kind: ColumnKind) -> str:
    # str of a NumPy scalar is the shortest text that gives the same scalar again
    return str(bool(value)) if kind == "bool" else str(int(value)) if kind == "int" else str(value)


def _scalar(value: Any, kind: ColumnKind) -> Any:
    return {"bool": bool, "int": int, "float": float}.get(kind, str)(value)


def _plain(texts: tuple[str, ...], kind: ColumnKind, dtype: str) -> NDArray[Any]:
    if kind == "bool":
        return np.array([text == "True" for text in texts], dtype=bool)
    if kind == "int":
        return np.array([int(text) for text in texts], dtype=dtype or "int64")
    if kind == "float":
        return np.array([float(text) for text in texts], dtype=dtype or "float64")
    return np.array(texts, dtype=object)


def _array(values: tuple[Any, ...], dtype: str) -> NDArray[Any]:
    if dtype:
        return np.array(values, dtype=dtype)
    array = np.array(values)
    return array if array.dtype.kind in "bif" else np.array(values, dtype=object)
