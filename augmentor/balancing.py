"""Real rows topped up with synthetic ones until every label is as frequent as the largest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from augmentor.core.dataset import Dataset, missing_labels
from augmentor.core.errors import LabelError, SchemaMismatch, listed
from augmentor.core.schema import Schema
from augmentor.fitted import Fitted
from augmentor.sampling import LabelPlan, concatenate, draw


def in_terms_of(fitted: Fitted, dataset: Dataset) -> Dataset:
    """Return real rows with the model's features, in its order, and its label columns, categories in its order.

    Raises:
        SchemaMismatch: the data lacks features of the model, or is in another space.
        LabelError: a label column or one of its values is unknown to the model, or a label is missing.
    """
    schema = fitted.schema
    missing_labels(dataset)
    dataset = in_features_of(fitted, dataset)
    codes = np.empty((len(dataset), len(schema.labels)), dtype=np.int32)
    for position, column in enumerate(schema.labels):
        theirs = dataset.schema.label(column.name)
        found = dataset.codes[:, dataset.schema.labels.index(theirs)]
        known = {code: column.code(theirs.categories[code]) for code in np.unique(found)}
        codes[:, position] = [known[code] for code in found]
    return replace(dataset, codes=codes, schema=schema)


def in_features_of(fitted: Fitted, dataset: Dataset) -> Dataset:
    """Return rows with the model's features, in its order, found by name; their labels are as they were.

    Raises:
        SchemaMismatch: the data lacks features of the model, or is in another space.
    """
    schema = fitted.schema
    if dataset.schema.space is not schema.space:
        raise SchemaMismatch(
            f"the model holds {schema.space} data, but the data is {dataset.schema.space}; pass space=."
        )
    if dataset.schema.features != schema.features:
        where = {name: i for i, name in enumerate(dataset.schema.features)}
        if any(name not in where for name in schema.features):
            schema.require_features(dataset.schema, ours="the model", theirs="the data")
        dataset = dataset.select([where[name] for name in schema.features])
    return _in_categories(dataset, schema)


def _in_categories(dataset: Dataset, schema: Schema) -> Dataset:
    """Return rows of a mixed table whose categories have the positions that they have in the model."""
    if schema.levels is None or dataset.schema.levels == schema.levels:
        return dataset
    x = np.array(dataset.x)
    for position, (name, known, theirs) in enumerate(
        zip(schema.features, schema.levels, dataset.schema.levels or (None,) * len(schema.features), strict=True)
    ):
        if (known is None) != (theirs is None):
            kinds = ("numbers", "categories")
            raise SchemaMismatch(
                f"column '{name}' holds {kinds[theirs is not None]}, but the model learned it as {kinds[known is not None]}; "
                "read it alike (--categorical, --numeric)."
            )
        if known is None or theirs is None:
            continue
        unknown = [level for level in theirs if level not in known]
        if unknown:
            raise SchemaMismatch(
                f"column '{name}' has {len(unknown)} categories that the model does not know ({listed(unknown, most=3)})."
            )
        given = np.isfinite(x[:, position])
        place = np.array([known.index(level) for level in theirs], dtype=np.float32)
        x[given, position] = place[x[given, position].astype(np.intp)]
    return replace(dataset, x=x)


def shortfall(fitted: Fitted, dataset: Dataset) -> LabelPlan:
    """Synthetic rows that lift every label of real rows (see `in_terms_of`) to its largest.

    Raises:
        LabelError: there is one label only.
    """
    if not fitted.schema.labels or len(fitted.conditions) < 2:
        raise LabelError("the label has 1 value; balancing needs at least 2.")
    position = {codes: c for c, codes in enumerate(fitted.layout.combinations)}
    counts = np.zeros(len(position), dtype=int)
    for codes, n in zip(*np.unique(dataset.codes, axis=0, return_counts=True), strict=True):
        key = tuple(int(code) for code in codes)
        if key in position:
            counts[position[key]] = n
    return LabelPlan(tuple(int(n) for n in counts.max() - counts))


def balanced(fitted: Fitted, dataset: Dataset, seed: int) -> Dataset:
    """Append synthetic rows to real ones (see `in_terms_of`); ``extra["synthetic"]`` says which are which."""
    wanted = shortfall(fitted, dataset)
    real = replace(dataset, extra={"synthetic": np.zeros(len(dataset), dtype=bool)})
    if wanted.total == 0:
        return real
    made = draw(fitted, wanted, seed)
    flags = np.repeat([False, True], [len(real), len(made)])
    return replace(concatenate([real, made]), extra={"synthetic": flags})
