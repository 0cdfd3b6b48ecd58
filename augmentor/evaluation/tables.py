"""Mixed tables: their columns, their values in a common code, and the same rows as numbers that have distances.

Numeric columns are divided by the robust range (5 % to 95 %) of real rows and categories are one-hot / sqrt(2), so that
every column contributes at most about 1 to a squared distance (Gower 1971). A missing number becomes the median of the real
rows beside an indicator; a missing category is a row without a hot column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Matrix, as_dense

Levels = list[tuple[str, ...] | None]
HOT = np.float32(1 / np.sqrt(2))
# Rarer categories of a column share the last place in tables of pairs: more cells than rows say nothing.
MOST_LEVELS = 30
# Most one-hot columns of a table of all pairs; wider tables are compared on some of their columns.
MOST_PLACES = 2000


@dataclass(frozen=True, eq=False)
class Columns:
    """What the columns of all compared sets are.

    Attributes:
        names: column names, sorted.
        levels: categories that occur in any of the sets, sorted; None for a numeric column.
        gaps: ``(columns,)`` whether any of the sets lacks a value there.
        middle: ``(columns,)`` median of the real rows; stands for a missing number in distances.
        width: ``(columns,)`` robust range of the real rows.
    """

    names: tuple[str, ...]
    levels: tuple[tuple[str, ...] | None, ...]
    gaps: NDArray[np.bool_]
    middle: NDArray[np.float64]
    width: NDArray[np.float64]

    @property
    def sizes(self) -> NDArray[np.intp]:
        """Number of categories of every column; 0 for a numeric one."""
        return np.array([0 if level is None else len(level) for level in self.levels], dtype=np.intp)

    @property
    def encoded(self) -> tuple[str, ...]:
        """Names of the encoded columns."""
        out: list[str] = []
        for name, level, gaps in zip(self.names, self.levels, self.gaps, strict=True):
            if level is None:
                out += [name, f"{name} is missing"] if gaps else [name]
            else:
                out += [f"{name}={value}" for value in level]
        return tuple(out)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a mixed table.

    Attributes:
        values: ``(rows, columns)`` float32: numbers as they are, categories as positions in ``columns.levels``; NaN is missing,
            infinity is a text where a number belongs.
        columns: what the columns are.
    """

    values: NDArray[np.float32]
    columns: Columns

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.intp]) -> Table:
        """Return the rows at these positions."""
        return replace(self, values=self.values[rows])

    def joined(self, other: Table) -> Table:
        """Return the rows of both."""
        return replace(self, values=np.concatenate([self.values, other.values]))

    def shuffled(self, y: NDArray[np.intp], rng: np.random.Generator) -> Table:
        """Return the rows with every column shuffled within label ``y``: right margins, no dependence."""
        values = self.values.copy()
        for code in np.unique(y):
            rows = np.flatnonzero(y == code)
            values[rows] = rng.permuted(values[rows], axis=0)
        return replace(self, values=values)

    def centre(self) -> Table:
        """Return one row: means of numbers, most frequent categories, missing where most rows are."""
        row = np.full(self.values.shape[1], np.nan, dtype=np.float32)
        for j, size in enumerate(self.columns.sizes):
            present = self.values[np.isfinite(self.values[:, j]), j]
            if 2 * len(present) >= len(self) and len(present):
                numbers = present.mean(dtype=np.float64)
                row[j] = np.bincount(present.astype(np.intp), minlength=size).argmax() if size else numbers
        return replace(self, values=row[None])

    def encoded(self) -> NDArray[np.float32]:
        """Return ``(rows, encoded columns)``, one for every name of ``columns.encoded``."""
        columns = self.columns
        out = np.zeros((len(self), len(columns.encoded)), dtype=np.float32)
        at = 0
        for j, level in enumerate(columns.levels):
            values = self.values[:, j]
            there = np.isfinite(values)
            if level is None:
                out[:, at] = np.where(there, values, columns.middle[j]) / columns.width[j]
                if columns.gaps[j]:
                    out[:, at + 1] = np.where(there, 0, HOT)
                at += 1 + int(columns.gaps[j])
            else:
                rows = np.flatnonzero(there)
                out[rows, at + values[rows].astype(np.intp)] = HOT
                at += len(level)
        return out


def common(sets: Mapping[str, tuple[Matrix, Levels]], names: list[str]) -> dict[str, Table]:
    """Bring several sets into one code; types are those of the training rows, scales those of the held-out rows if any.

    Args:
        sets: by name (``train`` among them), ``(rows, columns)`` with category positions, and the categories of every column
            (None: numeric).
        names: names of the columns.

    Returns:
        The sets by name, all with the same `Columns`.
    """
    dense = {name: as_dense(x).astype(np.float32) for name, (x, _) in sets.items()}
    levels: Levels = []
    for j in range(len(names)):
        column = {name: (dense[name][:, j], each[j]) for name, (_, each) in sets.items()}
        if sets["train"][1][j] is None:
            levels.append(None)
            for name, (values, texts) in column.items():
                dense[name][:, j] = values if texts is None else _numbers(values, texts)
        else:
            said = {name: _texts(values, texts) for name, (values, texts) in column.items()}
            known = sorted({text for _, its in said.values() for text in its})
            levels.append(tuple(known))
            position = {text: i for i, text in enumerate(known)}
            for name, (which, its) in said.items():
                codes = np.array([*(position[text] for text in its), np.nan], dtype=np.float32)
                dense[name][:, j] = codes[which]
    gaps = np.any([~np.isfinite(values).all(axis=0) for values in dense.values()], axis=0)
    scales = [_scale(dense.get("holdout", dense["train"])[:, j], dense["train"][:, j]) for j in range(len(names))]
    middle, width = np.array(scales).T
    columns = Columns(tuple(names), tuple(levels), gaps, middle, width)
    return {name: Table(values, columns) for name, values in dense.items()}


def _texts(values: NDArray[np.float32], levels: tuple[str, ...] | None) -> tuple[NDArray[np.intp], list[str]]:
    """Return which text every row has (-1: missing) and the texts; a number is the text that it reads as."""
    there = np.isfinite(values)
    found, inverse = np.unique(values[there], return_inverse=True)
    which = np.full(len(values), -1, dtype=np.intp)
    which[there] = inverse
    texts = [f"{value:.7g}" if levels is None else levels[int(value)] for value in found]
    return which, texts


def _numbers(values: NDArray[np.float32], levels: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the numbers that categories read as; infinity for those that are no numbers."""
    read = np.array([*map(_number, levels), np.nan], dtype=np.float32)
    return read[np.nan_to_num(values, nan=-1.0).astype(np.intp)]


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return np.inf
    return value if np.isfinite(value) else np.inf


def _scale(*sets: NDArray[np.float32]) -> tuple[float, float]:
    """Return median and robust range of the first set that varies; a column that never does has range 1."""
    middle = 0.0
    for values in sets:
        present = values[np.isfinite(values)].astype(np.float64)
        if present.size:
            low, middle, high = np.quantile(present, [0.05, 0.5, 0.95])
            width = float(high - low or np.ptp(present))
            if width > 0:
                return float(middle), width
    return float(middle), 1.0


# --- categories against each other, all pairs at once ---------------------------------------------------------------------


def few(sizes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the columns whose sizes add up to at most `MOST_PLACES`: all, or some evenly spaced in the order of names."""
    step = 1
    while sizes[::step].sum() > MOST_PLACES:
        step += 1
    return np.arange(0, len(sizes), step)


def places(codes: NDArray[np.float32], size: int) -> NDArray[np.intp]:
    """Return the place of every category: as it is, or its rank by frequency in ``codes`` where there are too many."""
    if size <= MOST_LEVELS:
        return np.arange(size)
    rank = np.empty(size, dtype=np.intp)
    present = codes[np.isfinite(codes)].astype(np.intp)
    rank[np.argsort(-np.bincount(present, minlength=size), kind="stable")] = np.arange(size)
    return np.minimum(rank, MOST_LEVELS - 1)


def starts(sizes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return where the one-hot columns of every column begin."""
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)


def hot(codes: NDArray[np.intp], sizes: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the one-hot form ``(rows, sum of sizes)`` of codes ``(rows, columns)``; a code of -1 has no hot column."""
    out = np.zeros((len(codes), int(sizes.sum())), dtype=np.float32)
    row, column = np.nonzero(codes >= 0)
    out[row, starts(sizes)[column] + codes[row, column]] = 1
    return out


def blocks(square: NDArray[np.floating], sizes: NDArray[np.intp]) -> NDArray[np.floating]:
    """Return the sum of every block ``(columns, columns)`` of a matrix over one-hot columns; no size may be 0."""
    at = starts(sizes)
    out: NDArray[np.floating] = np.add.reduceat(np.add.reduceat(square, at, axis=0), at, axis=1)
    return out


def cramers_v(joint: NDArray[np.float64], sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return Cramér's V of every pair of columns, corrected for bias; NaN where a column is constant.

    With phi2 the chi-square of an r x k table over n, both margins counted over rows that have both values:

        V = sqrt(max(0, phi2 - (r-1)(k-1)/(n-1)) / min(r' - 1, k' - 1)),    r' = r - (r-1)^2/(n-1), k' alike

    Source: Bergsma, J. Korean Stat. Soc. 42 (2013), doi:10.1016/j.jkss.2012.10.002.

    Args:
        joint: ``(q, q)`` counts of rows that have both of two categories, q the sum of ``sizes``.
        sizes: ``(columns,)`` number of categories, none 0.

    Returns:
        ``(columns, columns)``, symmetric.
    """
    at, owner = starts(sizes), np.repeat(np.arange(len(sizes)), sizes)
    margin = np.add.reduceat(joint, at, axis=1)
    rows = np.add.reduceat(margin, at, axis=0)
    expected = margin[:, owner] * margin[:, owner].T
    phi2 = blocks(np.divide(joint**2, expected, out=np.zeros_like(joint), where=expected > 0), sizes) - 1
    used = np.add.reduceat((margin > 0).astype(np.float64), at, axis=0)
    free = np.maximum(rows - 1, 1)
    most = np.minimum(used - (used - 1) ** 2 / free, (used - (used - 1) ** 2 / free).T) - 1
    strength = np.maximum(phi2 - (used - 1) * (used.T - 1) / free, 0)
    defined = (most > 0) & (rows > 1) & (np.minimum(used, used.T) > 1)
    v = np.sqrt(np.divide(strength, most, out=np.full_like(most, np.nan), where=defined))
    return np.minimum(v, 1.0)
