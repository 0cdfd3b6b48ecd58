"""Do drawn rows lie where the real rows of their label lie? What a generator that plays a game must ask itself.

    recall_c      share of n real rows of label c within the distance of some drawn row of c to its k-th drawn neighbour
    coverage_c    share of n real rows of label c with a drawn row of c within the distance to their k-th real neighbour
    spread_c      Σ_j Var(drawn)_j / Σ_j Var(real)_j

in the leading principal components; both shares beside their ceiling, n other real rows of c in the place of drawn ones.
Rows that are all alike have no recall, though they may lie in the midst of a label and cover it; rows far off have no coverage. A label is
judged on validation rows beside as many training rows, or, where it has fewer than 20 of those, on one half of all its rows beside the
other.

Papers: Kynkäänniemi et al. 2019, arXiv:1904.06991 (recall); Naeem et al. 2020, arXiv:2002.09797 (coverage).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from augmentor.core.contract import Encoded, Given, Judgement
from augmentor.core.random import Stream

COMPONENTS = 20
NEIGHBOURS = 5
FEWEST = 12  # rows on one side of a label: with so few, real rows would be reported for 1 of 250 labels, with 20 for none of 800
ENOUGH = 20  # validation rows of a label to judge by
MOST = 2000  # rows on one side in all
SENTENCES = {  # and the share of the ceiling below which they are said
    "recall": (
        0.5,
        "drawn rows of {labels} vary too little: they reach {share} of what real rows reach (mode collapse)",
    ),
    # rows are judged before their margins are calibrated, which brings back those that are only beside the real ones
    "coverage": (
        0.3,
        "drawn rows of {labels} lie elsewhere: near {share} of the real rows that other real rows lie near",
    ),
}


@dataclass(frozen=True, eq=False)
class Sides:
    """Rows to judge by: ``one`` real, ``other`` real and as many, label by label; positions among the encoded rows.

    Attributes:
        one: what should be reached.
        other: what reaches it where rows are real.
        unseen: conditions whose ``one`` are validation rows.
        together: whether no label has enough rows, and all are judged as one.
    """

    one: NDArray[np.intp]
    other: NDArray[np.intp]
    unseen: NDArray[np.bool_]
    together: bool


def sides(encoded: Encoded, rng: Stream) -> Sides:
    """Choose the rows by which every label is judged."""
    layout, condition = encoded.layout, encoded.given.condition
    most = max(FEWEST, MOST // layout.conditions)
    together = np.bincount(condition, minlength=layout.conditions).max() < 2 * FEWEST
    least = 1 if together else FEWEST
    one, other, unseen = [], [], np.zeros(layout.conditions, dtype=bool)
    for c in range(layout.conditions):
        rows = rng.child("sides", c).numpy().permutation(np.flatnonzero(condition == c))
        held = encoded.valid[rows]
        unseen[c] = held.sum() >= ENOUGH
        first, second = (rows[held], rows[~held]) if unseen[c] else (rows[::2], rows[1::2])
        n = min(len(first), len(second), most)
        if n >= least:
            one.append(first[:n])
            other.append(second[:n])
    empty = [np.zeros(0, dtype=np.intp)]
    return Sides(np.concatenate(one or empty), np.concatenate(other or empty), unseen, together)


def covering(
    encoded: Encoded,
    draw: Callable[[Given, Stream], NDArray[np.floating]],
    seen: Callable[[NDArray[np.intp]], NDArray[np.floating]],
    rng: Stream,
) -> Judgement:
    """Judge the rows that a generator draws, label by label.

    Args:
        encoded: all training rows.
        draw: draws rows for conditions, in the form of ``seen``.
        seen: encoded rows at these positions as ``(rows, features)`` of comparable scale.
        rng: randomness of the choice of rows and of the draw.
    """
    conditions, chosen = encoded.layout.conditions, sides(encoded, rng)
    names = ("recall", "coverage", "recall ceiling", "coverage ceiling", "spread")
    found: dict[str, list[float | None]] = {name: [None] * (1 if chosen.together else conditions) for name in names}
    facts: dict[str, str | Sequence[float | None]] = {"judged on": _rows_named(chosen), **found}
    if len(chosen.one) < FEWEST:
        return Judgement(facts)
    given = encoded.given.take(chosen.other)
    parts = _components([seen(chosen.one), seen(chosen.other), draw(given, rng.child("draw"))], rng)
    group = np.zeros(len(given), dtype=np.intp) if chosen.together else given.condition
    for c in np.unique(group).tolist():
        one, other, drawn = (part[group == c] for part in parts)
        real = float(np.concatenate([one, other]).var(axis=0).sum())
        values = (*shares(one, drawn), *shares(one, other), float(drawn.var(axis=0).sum()) / max(real, 1e-12))
        for name, value in zip(names, values, strict=True):
            found[name][c] = value
    return Judgement(facts, _findings(found, together=chosen.together))


def shares(real: NDArray[np.floating], rows: NDArray[np.floating]) -> tuple[float, float]:
    """Recall and coverage of real rows by as many other ones, both ``(n, dimensions)``."""
    k = min(NEIGHBOURS, len(real) - 1)
    # position 0 of a sorted row is the row itself
    around_real, around_rows = (np.partition(cdist(side, side), k, axis=1)[:, k] for side in (real, rows))
    gaps = cdist(real, rows)
    return float((gaps <= around_rows).any(axis=1).mean()), float((gaps <= around_real[:, None]).any(axis=1).mean())


def _components(parts: list[NDArray[np.floating]], rng: Stream) -> list[NDArray[np.floating]]:
    """Parts in the principal components of all of them: components of some rows would be wider for those than for others."""
    from sklearn.utils.extmath import randomized_svd

    rows = np.concatenate(parts)
    mean = rows.mean(axis=0)
    rank = min(COMPONENTS, rows.shape[1], len(rows) - 1)
    _, _, axes = randomized_svd(rows - mean, rank, random_state=rng.child("components").integer())
    return [(part - mean) @ axes.T for part in parts]


def _rows_named(chosen: Sides) -> str:
    if chosen.together:
        return "training rows, all labels together"
    if chosen.unseen.all():
        return "validation rows"
    if not chosen.unseen.any():
        return "training rows"
    return f"validation rows, training rows of labels with fewer than {ENOUGH} of those"


def _findings(found: dict[str, list[float | None]], *, together: bool) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """A sentence for every share that is far below its ceiling, with the conditions it is about."""
    told: list[tuple[str, tuple[int, ...]]] = []
    for name, (least, sentence) in SENTENCES.items():
        pairs = zip(found[name], found[f"{name} ceiling"], strict=True)
        low = {
            c: value / top for c, (value, top) in enumerate(pairs) if value is not None and top and value < least * top
        }
        if low:
            text = sentence.replace("{share}", _range(list(low.values())))
            told.append((text.replace("{labels}", "all labels"), ()) if together else (text, tuple(low)))
    return tuple(told)


def _range(shares: list[float]) -> str:
    low, high = (f"{100 * value:.0f}" for value in (min(shares), max(shares)))
    return f"{low} %" if low == high else f"{low} to {high} %"
