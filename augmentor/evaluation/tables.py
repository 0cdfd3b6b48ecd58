"""Mixed tables as numbers that have distances: scaled numeric columns, one-hot categories, missing-value indicators.

Numeric columns are divided by the robust range (5 % to 95 %) of real rows and categories are one-hot / sqrt(2), so that
every column contributes at most about 1 to a squared distance (Gower 1971). A missing number becomes the median of the real
rows beside an indicator; a missing category is a row without a hot column.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Matrix, as_dense

Levels = list[tuple[str, ...] | None]


def encode(
    tables: Mapping[str, tuple[Matrix, Levels]], columns: list[str]
) -> tuple[tuple[str, ...], dict[str, NDArray[np.float32]]]:
    """Encode several tables alike; scales come from the held-out rows where there are any, else from the training rows.

    Args:
        tables: by name, ``(rows, columns)`` with category positions, and the categories of every column (None: numeric).
        columns: names of the columns.

    Returns:
        Names of the encoded columns, and ``(rows, encoded columns)`` of every table.
    """
    dense = {name: as_dense(x).astype(np.float64) for name, (x, _) in tables.items()}
    real = "holdout" if "holdout" in tables else "train"
    names: list[str] = []
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in tables}
    for j, column in enumerate(columns):
        if tables["train"][1][j] is not None:
            values = {name: _strings(dense[name][:, j], levels[j]) for name, (_, levels) in tables.items()}
            seen = sorted({value for some in values.values() for value in some if value})
            names += [f"{column}={value}" for value in seen]
            for name, some in values.items():
                parts[name].append(np.array([[v == s for s in seen] for v in some], dtype=np.float64) / np.sqrt(2))
            continue
        reference = dense[real][:, j]
        reference = reference[np.isfinite(reference)]
        low, middle, high = np.quantile(reference, [0.05, 0.5, 0.95]) if reference.size else (0.0, 0.0, 1.0)
        width = high - low or (np.ptp(reference) if reference.size else 0.0) or 1.0
        gaps = any(np.isnan(x[:, j]).any() for x in dense.values())
        names += [column] + ([f"{column} is missing"] if gaps else [])
        for name, x in dense.items():
            empty = np.isnan(x[:, j])
            parts[name].append((np.where(empty, middle, x[:, j]) / width)[:, None])
            if gaps:
                parts[name].append(empty[:, None] / np.sqrt(2))
    return tuple(names), {name: np.hstack(some).astype(np.float32) for name, some in parts.items()}


def _strings(codes: NDArray[np.float64], levels: tuple[str, ...] | None) -> list[str]:
    known = levels or ()
    return [known[int(code)] if code >= 0 else "" for code in np.nan_to_num(codes, nan=-1.0)]
