"""Rows of one data set in the terms of another: the same features in the same order, categories at the same positions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from augmentor.core.dataset import Dataset
from augmentor.core.errors import SchemaMismatch, listed
from augmentor.core.schema import Schema


def aligned(rows: Dataset, schema: Schema, *, ours: str, theirs: str) -> Dataset:
    """Return rows with the features of a schema, found by name; their labels are as they were.

    Args:
        rows: rows that hold these features, in any order and beside others.
        schema: whose features.
        ours: how messages call what has the schema.
        theirs: how they call the rows.

    Raises:
        SchemaMismatch: features are missing, numbers are in another space, or categories are unknown.
    """
    if rows.schema.space is not schema.space:
        raise SchemaMismatch(
            f"{theirs} holds {rows.schema.space} data, but {ours} {schema.space}; both must be of one kind. Convert one of "
            "them, or say which it is (--space, space=)."
        )
    if rows.schema.features != schema.features:
        where = {name: i for i, name in enumerate(rows.schema.features)}
        missing = [name for name in schema.features if name not in where]
        if missing:
            raise SchemaMismatch(
                f"{theirs} lacks {len(missing)} of the {len(schema.features)} features of {ours} ({listed(missing, most=3)}); it "
                "must hold the same features, others may stand beside them."
            )
        rows = rows.select([where[name] for name in schema.features])
    return _in_categories(rows, schema, ours, theirs)


def _in_categories(rows: Dataset, schema: Schema, ours: str, theirs: str) -> Dataset:
    """Return rows of a mixed table whose categories have the positions that they have in a schema."""
    if schema.levels is None or rows.schema.levels == schema.levels:
        return rows
    x = np.array(rows.x)
    found = rows.schema.levels or (None,) * len(schema.features)
    for position, (name, known, own) in enumerate(zip(schema.features, schema.levels, found, strict=True)):
        if (known is None) != (own is None):
            kinds = ("numbers", "categories")
            raise SchemaMismatch(
                f"column '{name}' of {theirs} holds {kinds[own is not None]}, but {kinds[known is not None]} in {ours}; read it "
                "alike (--categorical, --numeric)."
            )
        if known is None or own is None:
            continue
        unknown = [level for level in own if level not in known]
        if unknown:
            raise SchemaMismatch(
                f"column '{name}' of {theirs} has {len(unknown)} categories that are unknown in {ours} ({listed(unknown, most=3)}); "
                "rename them, or leave these rows out."
            )
        given = np.isfinite(x[:, position])
        place = np.array([known.index(level) for level in own], dtype=np.float32)
        x[given, position] = place[x[given, position].astype(np.intp)]
    return replace(rows, x=x)


def widened(rows: Dataset, other: Schema) -> Dataset:
    """Return rows of a mixed table whose columns also know the categories that another table has, behind their own.

    Columns of ordered categories stay as they are: nobody said where others belong.
    """
    schema = rows.schema
    if schema.levels is None or other.levels is None:
        return rows
    theirs = dict(zip(other.features, other.levels, strict=True))
    ordered = schema.var["ordered"].values if "ordered" in schema.var else (False,) * len(schema.features)
    levels = tuple(
        own if own is None or fixed else (*own, *(level for level in theirs.get(name) or () if level not in own))
        for name, own, fixed in zip(schema.features, schema.levels, ordered, strict=True)
    )
    return replace(rows, schema=schema.model_copy(update={"levels": levels}))
