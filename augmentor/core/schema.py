"""What a data set is made of: features, label columns, space; compared by content, described in words.

A schema travels from the input file through the artifact to the synthetic file, so that the rows that come out carry
the genes, the order, the categories and the types of the rows that went in.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from augmentor.core.errors import LabelError, SchemaMismatch, did_you_mean, listed
from augmentor.core.space import Space

ColumnKind = Literal["string", "category", "int", "float", "bool"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)


class Column(_Frozen):
    """One annotation column (of `var`), as plain JSON: enough to write it back with its type.

    Attributes:
        kind: type of the values; ``category`` keeps its categories in order.
        values: one entry per row; ``None`` is missing.
        categories: for ``category`` only, all categories in order.
        ordered: for ``category`` only.
        dtype: NumPy dtype name of ``int`` and ``float`` values, empty for the 64-bit default.
    """

    kind: ColumnKind
    values: tuple[Any, ...]
    categories: tuple[Any, ...] | None = None
    ordered: bool = False
    dtype: str = ""


class LabelColumn(_Frozen):
    """A label column: strings inside augmentor, the user's type outside.

    Attributes:
        name: column name.
        categories: category names in the user's order, as strings.
        kind: type of the column in the user's file, restored on output.
        ordered: whether the user's categorical was ordered.
        category_kind: for ``category`` only, type of the categories themselves (clusters numbered 0, 1, 2 are ``int``).
        dtype: NumPy dtype name of ``int`` and ``float`` values, empty for the 64-bit default.
    """

    name: str
    categories: tuple[str, ...]
    kind: ColumnKind = "category"
    ordered: bool = False
    category_kind: ColumnKind = "string"
    dtype: str = ""

    def code(self, category: str) -> int:
        """Return the position of a category; an unknown one is refused with the known ones listed."""
        try:
            return self.categories.index(category)
        except ValueError:
            raise LabelError(
                f"'{category}' is not a value of label '{self.name}'."
                f"{did_you_mean(category, self.categories)} Known: {listed(self.categories, most=30)}."
            ) from None


class Schema(_Frozen):
    """Features, labels and space of a data set.

    Attributes:
        space: what the numbers are.
        features: feature (gene) names in order, unique.
        labels: label columns, possibly none.
        covariates: names of continuous covariates.
        dtype: NumPy dtype name of X in the user's file.
        sparse: whether X was stored sparse.
        integer: whether every value of X is whole.
        dtypes: for tables of CONTINUOUS numbers, NumPy dtype name of each feature where they differ; whole numbers stay whole.
        levels: for MIXED tables, per feature its category names, or None for a numeric feature.
        before: for tables, how many features stood before each label and covariate column, so that rows are written in that order.
        var: annotation columns of the features.
        index: name of the feature index, if it had one.
    """

    space: Space
    features: tuple[str, ...]
    labels: tuple[LabelColumn, ...] = ()
    covariates: tuple[str, ...] = ()
    dtype: str = "float32"
    sparse: bool = False
    integer: bool = False
    dtypes: tuple[str, ...] | None = None
    levels: tuple[tuple[str, ...] | None, ...] | None = None
    before: dict[str, int] = {}
    var: dict[str, Column] = {}
    index: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Schema:
        if self.levels is not None and len(self.levels) != len(self.features):
            raise ValueError(f"{len(self.levels)} levels for {len(self.features)} features")
        if self.dtypes is not None and len(self.dtypes) != len(self.features):
            raise ValueError(f"{len(self.dtypes)} dtypes for {len(self.features)} features")
        for name, column in self.var.items():
            if len(column.values) != len(self.features):
                raise ValueError(
                    f"var column {name!r} has {len(column.values)} values for {len(self.features)} features"
                )
        return self

    @property
    def whole(self) -> tuple[int, ...]:
        """Positions of the features that are whole numbers by their own dtype, among others that are not."""
        return tuple(i for i, dtype in enumerate(self.dtypes or ()) if np.dtype(dtype).kind in "iu")

    @property
    def digest(self) -> str:
        """SHA-256 of space, feature names and label categories: equal digests mean interchangeable rows."""
        text = "\x1e".join(
            [self.space, "\x1f".join(self.features), *("\x1f".join((c.name, *c.categories)) for c in self.labels)]
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def label(self, name: str) -> LabelColumn:
        """Return a label column by name; an unknown one is refused."""
        for column in self.labels:
            if column.name == name:
                return column
        known = [column.name for column in self.labels]
        raise LabelError(f"'{name}' is not a label of this data.{did_you_mean(name, known)} Labels: {listed(known)}.")

    def require_features(self, other: Schema, *, ours: str, theirs: str) -> None:
        """Refuse another schema whose feature set differs, naming what is missing on either side."""
        if self.features == other.features:
            return
        mine, yours = set(self.features), set(other.features)
        missing = [name for name in self.features if name not in yours]
        extra = [name for name in other.features if name not in mine]
        if missing or extra:
            parts = []
            if missing:
                parts.append(f"{theirs} lacks {len(missing)} of {len(mine)} features ({listed(missing, most=3)})")
            if extra:
                parts.append(f"{theirs} has {len(extra)} features that {ours} lacks ({listed(extra, most=3)})")
            raise SchemaMismatch(
                f"{ours} and {theirs} must hold the same features: {'; '.join(parts)}. Select common ones."
            )
        duplicates = len(self.features) - len(mine)
        if duplicates:
            raise SchemaMismatch(f"{ours} has {duplicates} duplicate feature names; make them unique.")

    def select(self, positions: list[int]) -> Schema:
        """Return the schema of a subset of features, in the order given."""
        var = {
            name: column.model_copy(update={"values": tuple(column.values[i] for i in positions)})
            for name, column in self.var.items()
        }
        return self.model_copy(
            update={
                "features": tuple(self.features[i] for i in positions),
                "dtypes": None if self.dtypes is None else tuple(self.dtypes[i] for i in positions),
                "levels": None if self.levels is None else tuple(self.levels[i] for i in positions),
                "before": {name: sum(i < n for i in positions) for name, n in self.before.items()},
                "var": var,
            }
        )
