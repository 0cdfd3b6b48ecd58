"""Rows without a label: what they are probably, and how many of them a model may learn from.

A row joins the training rows of its most probable label with that probability (see `parts/labelling.py`), so that doubtful rows
are used less, but also used: with only the certain ones a label would lose its edges, and a classifier trained on it too (PBMC3k,
3 labelled cells per type: macro-F1 .90, with p⁴ .89, with p⁸ .86; worm neurons .87, .84, .76). Labels of labelled rows are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.alignment import aligned
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.errors import LabelError, listed
from augmentor.core.random import Stream
from augmentor.core.schema import Schema
from augmentor.core.space import Space
from augmentor.parts.labelling import responsibilities
from augmentor.preprocess import genes
from augmentor.preprocess.numbers import Numbers

WIDTH = 1000  # most variable features that labels are inferred from
MOST = 20_000  # unlabelled rows used, a random subset beyond


@dataclass(frozen=True, eq=False)
class Joined:
    """Labelled rows followed by the unlabelled ones that were given a label.

    Attributes:
        rows: the rows, all labelled.
        condition: ``(rows,)`` label combination of each.
        inferred: ``(rows,)`` True for rows whose label was inferred.
        record: for the manifest: rows offered, and per label rows used and the mean probability of their label.
    """

    rows: Dataset
    condition: NDArray[np.intp]
    inferred: NDArray[np.bool_]
    record: dict[str, Any]


def join(
    labelled: Dataset,
    condition: NDArray[np.intp],
    combinations: tuple[tuple[int, ...], ...],
    names: list[str],
    pool: Dataset,
    rng: Stream,
) -> Joined:
    """Infer the labels of a pool of rows and add those that are certain enough.

    Args:
        labelled: training rows with labels.
        condition: ``(rows,)`` their label combination.
        combinations: category positions of every combination.
        names: names of the combinations, for the record.
        pool: rows without labels, of the same features.
        rng: randomness of the subset, the components and the choice.

    Raises:
        LabelError: there is one label only: nothing can be inferred.
    """
    if len(combinations) < 2:
        raise LabelError(
            f"{len(pool)} rows have no label and there is only one label ('{names[0]}') to infer: they could be anything. "
            "Drop them, or label them."
        )
    offered = len(pool)
    if offered > MOST:
        pool = pool.take(np.sort(rng.child("subset").numpy().permutation(offered)[:MOST]))
    values = _comparable(labelled, pool)
    codes = np.concatenate([condition, np.full(len(pool), -1)])
    numbers = labelled.schema.space is not Space.MIXED
    found = responsibilities(values, codes, len(combinations), rng.child("labels"), gaussian=numbers)
    share = found[len(labelled) :]
    best, certainty = share.argmax(axis=1), share.max(axis=1)
    used = np.flatnonzero(rng.child("used").numpy().random(len(pool)) < certainty)
    given = best[used].astype(np.intp)
    combination = np.array(combinations, dtype=np.int32).reshape(len(combinations), -1)
    added = replace(pool.take(used), codes=combination[given])
    labels = {
        name: {
            "labelled": int((condition == c).sum()),
            "inferred": int((given == c).sum()),
            "certainty": round(float(certainty[used][given == c].mean()), 3) if (given == c).any() else None,
        }
        for c, name in enumerate(names)
    }
    return Joined(
        rows=stacked(labelled, added),
        condition=np.concatenate([condition, given]),
        inferred=np.repeat([False, True], [len(labelled), len(added)]),
        record={"offered": offered, "used": len(added), "labels": labels},
    )


def sentence(record: dict[str, Any]) -> str:
    """Say in words what was inferred."""
    parts = [
        f"{name} {own['labelled']} + {own['inferred']}" + (f" ({own['certainty']:.2f})" if own["inferred"] else "")
        for name, own in record["labels"].items()
    ]
    return (
        f"{record['used']} of {record['offered']} rows without a label are learned from, with inferred labels; labelled + inferred "
        f"rows (mean certainty): {listed(parts, most=12)}"
    )


def gathered(own: Dataset | None, more: Dataset | None, labelled: Dataset, held: NDArray[np.bool_]) -> Dataset | None:
    """Rows without labels, of the data itself and of elsewhere; none of a group that is held out."""
    if own is not None and own.groups is not None and labelled.groups is not None:
        own = own.take(~np.isin(own.groups.astype(str), labelled.groups[held].astype(str)))
    other = None if more is None else matched(more, labelled.schema, "the unlabelled data")
    parts = [part for part in (own, other) if part is not None and len(part)]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else stacked(*parts)


def matched(pool: Dataset, schema: Schema, what: str) -> Dataset:
    """Return rows with the features of a schema, in its order, and no labels.

    Raises:
        SchemaMismatch: features are missing, the numbers are of another kind, or categories are unknown.
    """
    rows = aligned(pool, schema, ours="the labelled rows", theirs=what)
    blank = np.full((len(rows), len(schema.labels)), -1, dtype=np.int32)
    # what else is known of these rows has no place in the labelled file's annotation
    return replace(rows, schema=schema, codes=blank, groups=None, extra={})


def stacked(first: Dataset, second: Dataset) -> Dataset:
    """Rows of one schema, one set after the other, with their groups if both have them; annotation is left behind."""
    groups = None
    if first.groups is not None and second.groups is not None:
        groups = np.concatenate([first.groups, second.groups])
    x = [first.x, second.x]
    return replace(
        first,
        x=sparse.vstack(x, format="csr")
        if sparse.issparse(first.x)
        else np.concatenate([as_dense(part) for part in x]),
        codes=np.concatenate([first.codes, second.codes]),
        covariates=np.concatenate([first.covariates, second.covariates]),
        names=np.concatenate([first.names, second.names]),
        groups=groups,
        extra={},
    )


def _comparable(first: Dataset, second: Dataset) -> NDArray[np.float32]:
    """The most variable features of both sets ``(rows, ≤ 1,000)``, log-normalised where they are counts; all of a mixed table."""
    both = stacked(first, second)
    if both.schema.space is Space.MIXED:
        return Numbers.fit(both.x, both.schema.levels).of(both.x)
    size = row_sums(both.x) if both.schema.space is Space.COUNTS else None
    both = both.select(genes.select(both, WIDTH)) if both.features > WIDTH else both
    x = as_dense(both.x)
    return x if size is None else np.log1p(x / size[:, None] * np.median(size)).astype(np.float32)
