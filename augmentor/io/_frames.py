"""Data frames in the user's own types, from the vocabulary of `core`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from augmentor.core.errors import DataError
from augmentor.core.schema import Schema
from augmentor.io._columns import decode_column, decode_label
from augmentor.io._format import Rows

if TYPE_CHECKING:
    import pandas as pd

SYNTHETIC = "synthetic"


def var_frame(schema: Schema) -> pd.DataFrame:
    """Return the annotation of the features as it was in the user's file."""
    import pandas as pd

    index = pd.Index(np.array(schema.features, dtype=object), name=schema.index)
    return pd.DataFrame({name: decode_column(column) for name, column in schema.var.items()}, index=index)


def column_order(schema: Schema) -> list[int]:
    """Return the positions, among labels, covariates and features one after the other, in the order of the user's table."""
    roles = [*(label.name for label in schema.labels), *schema.covariates]
    named = list(schema.before)
    # a feature stands behind the columns that stood before it; those between the same features keep the order of the table
    places = [(schema.before[name], 0, named.index(name)) if name in named else (0, 0, 0) for name in roles]
    places += [(i, 1, 0) for i in range(len(schema.features))]
    return sorted(range(len(places)), key=places.__getitem__)


def obs_frame(schema: Schema, rows: Rows) -> pd.DataFrame:
    """Return labels, covariates and the synthetic flag of rows, in types that every file format can hold."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for position, label in enumerate(schema.labels):
        codes = rows.codes[:, position]
        if label.kind in ("int", "bool") and (codes < 0).any():
            raise DataError(
                f"label '{label.name}' is missing in {int((codes < 0).sum())} rows, which a column of {label.kind} "
                "cannot say. Give these rows a label first."
            )
        values = decode_label(label, codes)
        if label.kind == "string" and (codes < 0).any():
            values = np.where(codes < 0, "", values)
        columns[label.name] = values
    for position, name in enumerate(schema.covariates):
        columns[name] = rows.covariates[:, position]
    columns[SYNTHETIC] = rows.synthetic
    return pd.DataFrame(columns, index=pd.Index(rows.names, dtype=object))
