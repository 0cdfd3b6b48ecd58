"""Real rows topped up with synthetic ones until every label is as frequent as the largest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from augmentor.core.alignment import aligned
from augmentor.core.dataset import Dataset, missing_labels
from augmentor.core.errors import LabelError
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
    dataset = aligned(dataset, schema, ours="the model", theirs="the data")
    codes = np.empty((len(dataset), len(schema.labels)), dtype=np.int32)
    for position, column in enumerate(schema.labels):
        theirs = dataset.schema.label(column.name)
        found = dataset.codes[:, dataset.schema.labels.index(theirs)]
        known = {code: column.code(theirs.categories[code]) for code in np.unique(found)}
        codes[:, position] = [known[code] for code in found]
    return replace(dataset, codes=codes, schema=schema)


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
