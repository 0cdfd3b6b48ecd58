"""A reference: many rows of elsewhere (an atlas, another protocol), learned from beside the few rows of one's own.

What separates them from one's own and no biology explains (depth, capture of single genes, chemistry) is estimated from rows of the
same label on both sides and taken out before anything learns from them; see `parts/adaptation.py`. So any model profits, also `auto`.

Labels: rows with a label that the own data have keep it. Rows without one get an inferred one (`unlabelled.py`) after a first
adaptation without regard to labels. Rows of labels that only the reference has are left out: nothing says how they would look here.
Reference rows are never held out, nor counted among one's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Dataset, row_sums
from augmentor.core.errors import LabelError, listed
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.parts.adaptation import Adaptation
from augmentor.unlabelled import join, matched

MOST = 20_000  # reference rows used, a random subset beyond
_ALIEN = -2  # in the place of a label that the own data lack


@dataclass(frozen=True, eq=False)
class Brought:
    """Reference rows as they would have been here.

    Attributes:
        rows: the rows, adapted and labelled, with the features of the own data.
        condition: ``(rows,)`` label combination of each.
        original: the same rows before adaptation.
        record: for the manifest.
    """

    rows: Dataset
    condition: NDArray[np.intp]
    original: Dataset
    record: dict[str, Any]

    def select(self, features: list[int]) -> Brought:
        """Return these features of the rows, in that order."""
        return replace(self, rows=self.rows.select(features), original=self.original.select(features))

    @property
    def sentence(self) -> str:
        """What was used and how it was changed, in words."""
        record = self.record
        size = "" if record["size"] is None else f", library sizes times {record['size']:.2f}"
        unit = "fold" if record["kind"] != "continuous" else "standard deviations"
        out = (
            f"; left out, for labels that the data lack: {listed(record['left_out'], most=6)}"
            if record["left_out"]
            else ""
        )
        more = f"; {record['other_features']} other features of it are not used" if record["other_features"] else ""
        return (
            f"{record['used']} of {record['rows']} reference rows are learned from, adapted to the data{size}: features change by "
            f"{record['change']:.2f} {unit} (median; one in twenty by {record['most']:.2f}){out}{more}"
        )


def bring(
    reference: Dataset,
    own: Dataset,
    condition: NDArray[np.intp],
    combinations: tuple[tuple[int, ...], ...],
    names: list[str],
    rng: Stream,
) -> Brought:
    """Match, label and adapt the rows of a reference.

    Args:
        reference: its rows; label columns of the own data that it lacks are no harm.
        own: training rows.
        condition: ``(rows,)`` label combination of each training row.
        combinations: category positions of every combination.
        names: of the combinations.
        rng: randomness of subset, labels and adaptation.

    Raises:
        SchemaMismatch: features are missing in the reference, or its numbers are of another kind.
        LabelError: nothing of the reference can be used, or the table is mixed.
    """
    if own.schema.space is Space.MIXED:
        raise LabelError(
            "a reference is adapted for expression matrices only, not for mixed tables; leave --reference out, or join the tables."
        )
    there, alien = _positions(reference, own, combinations)
    extra = reference.features - own.features
    rows = matched(reference, own.schema, "the reference")
    usable = there != _ALIEN
    chosen = np.flatnonzero(usable)
    if chosen.size > MOST:
        chosen = np.sort(rng.child("subset").numpy().permutation(chosen)[:MOST])
    if not chosen.size:
        raise LabelError(
            f"no row of the reference has a label of the data: it has {listed(alien, most=6)}, the data {listed(names, most=6)}. "
            "Rename its labels, or leave its label column out so that labels are inferred."
        )
    rows, there = rows.take(chosen), there[chosen]
    given = int((there >= 0).sum())
    if len(combinations) == 1:
        there = np.zeros(len(rows), dtype=np.intp)
    blank = np.flatnonzero(there < 0)
    if blank.size:
        # first without regard to labels, so that labels are inferred from rows that look like ours
        sure = there >= 0
        if sure.any():
            first = Adaptation.of(own, condition, rows.take(sure), there[sure]).general_only()
        else:
            first = Adaptation.of(own, 0 * condition, rows, np.zeros(len(rows), dtype=np.intp))
        near = first.apply(rows.take(blank), np.zeros(blank.size, dtype=np.intp), rng.child("first"))
        pool = replace(near, names=np.array([str(i) for i in blank], dtype=object))
        joined = join(own, condition, combinations, names, pool, rng.child("labels"))
        there[joined.rows.names[len(own) :].astype(np.intp)] = joined.condition[len(own) :]
        rows, there = rows.take(there >= 0), there[there >= 0]
    adaptation = Adaptation.of(own, condition, rows, there)
    here = adaptation.apply(rows, there, rng.child("adapted"))
    whole = row_sums(here.x) > 0 if own.schema.space is Space.COUNTS else np.ones(len(here), dtype=bool)
    here, there, rows = here.take(whole), there[whole], rows.take(whole)
    codes = np.array(combinations, dtype=np.int32).reshape(len(combinations), -1)[there]
    record = {
        "rows": len(reference),
        "used": len(here),
        "labelled": given,
        "labels": {name: int((there == c).sum()) for c, name in enumerate(names)},
        "left_out": alien,
        "other_features": extra,
        **adaptation.record,
    }
    return Brought(replace(here, codes=codes), there, rows, record)


def _positions(
    reference: Dataset, own: Dataset, combinations: tuple[tuple[int, ...], ...]
) -> tuple[NDArray[np.intp], list[str]]:
    """Label combination of every reference row, -1 where it has none, `_ALIEN` where ours lack it; and the names of the latter."""
    columns = {column.name: i for i, column in enumerate(reference.schema.labels)}
    if not own.schema.labels or any(column.name not in columns for column in own.schema.labels):
        return np.full(len(reference), -1, dtype=np.intp), []
    codes = []
    for column in own.schema.labels:
        theirs = reference.schema.labels[columns[column.name]]
        place = {category: i for i, category in enumerate(column.categories)}
        lookup = np.array([*(place.get(category, _ALIEN) for category in theirs.categories), -1])
        codes.append(lookup[reference.codes[:, columns[column.name]]])
    found = np.stack(codes, axis=1)
    known = {combination: c for c, combination in enumerate(combinations)}
    out = np.array(
        [-1 if -1 in row and _ALIEN not in row else known.get(tuple(row), _ALIEN) for row in found.tolist()],
        dtype=np.intp,
    )
    texts = [reference.labels(columns[column.name]) for column in own.schema.labels]
    alien = {"|".join(str(part[i]) for part in texts) for i in np.flatnonzero(out == _ALIEN)}
    return out, sorted(alien)
