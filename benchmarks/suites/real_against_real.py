"""Real rows in the place of synthetic ones score at their ceiling, and broken ones at their floor, on every data set.

    python benchmarks/suites/real_against_real.py [--data DIR] [--seeds 3]

Every data set is divided by label into training (40 %), held-out (30 %) and fresh rows (30 %). Judged are the fresh rows (`real`)
and the fresh rows with every feature shuffled within its label (`shuffled`).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.random import Stream

SETS = ("pbmc3k", "worm_neurons", "cell_mixology", "golub", "khan", "tcga_brca")
SCORES = (
    *("discriminator.rf_genes", "discriminator.rf_pcs", "discriminator.lr_pcs"),
    *("precision_recall.precision", "precision_recall.recall", "precision_recall.density", "precision_recall.coverage"),
    *("mmd", "correlation.within"),
)
METRICS = tuple(dict.fromkeys(name.partition(".")[0] for name in SCORES))


def times(rows: int) -> int:
    """How many times more divisions few rows are measured on: their scores vary most."""
    return 1 if rows >= 2000 else 5 if rows >= 500 else 20


def parts(data: Dataset, stream: Stream) -> tuple[Dataset, Dataset, Dataset]:
    """Training, held-out and fresh rows; every label is divided alike."""
    rng = stream.numpy()
    order = rng.permutation(len(data))
    order = order[np.argsort(data.codes[order, 0], kind="stable")]
    role = np.empty(len(data), dtype=int)
    role[order] = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])[np.arange(len(data)) % 10]
    train, holdout, fresh = (data.take(np.flatnonzero(role == i)) for i in range(3))
    return train, holdout, fresh


def shuffled(data: Dataset, stream: Stream) -> Dataset:
    """Every feature shuffled within label."""
    rng, x = stream.numpy(), np.array(as_dense(data.x))
    for code in np.unique(data.codes[:, 0]):
        rows = np.flatnonzero(data.codes[:, 0] == code)
        x[rows] = rng.permuted(x[rows], axis=0)
    return replace(data, x=sparse.csr_matrix(x) if sparse.issparse(data.x) else x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    body: list[list[str]] = []
    results: dict[str, Any] = {}
    for name in asked.sets.split(","):
        data = common.dataset(asked.data, name)
        if data is None:
            print(f"{name} is not there", flush=True)
            continue
        found: dict[str, dict[str, list[tuple[float | None, float | None, float | None]]]] = {}
        # the scores of few rows vary most
        for seed in range(asked.seeds * times(len(data))):
            stream = Stream(seed).child("real against real", name)
            train, holdout, fresh = parts(data, stream.child("parts"))
            for kind, judged in (("real", fresh), ("shuffled", shuffled(fresh, stream.child("shuffle")))):
                report = common.judged(judged, train, holdout, METRICS, seed)
                for score in SCORES:
                    item = report.scores[score]
                    ceiling = None if item.ceiling is None else item.ceiling.mean
                    found.setdefault(kind, {}).setdefault(score, []).append((item.value, ceiling, item.floor))
        for kind, scores in found.items():
            cells = []
            for score in SCORES:
                value, ceiling, floor = (_mean([row[i] for row in scores[score]]) for i in range(3))
                cells.append(f"{common.number(value)} ({common.number(ceiling)}; {common.number(floor)})")
            body.append([name, kind, *cells])
            print(*body[-1], flush=True)
        results[name] = found
        intro = (
            f"# Real against real\n\nWritten by `benchmarks/suites/real_against_real.py`, mean of {asked.seeds} seeds "
            f"({times(1000) * asked.seeds} for fewer than 2,000 rows, {times(1) * asked.seeds} for fewer than 500). "
            "In brackets the ceiling and the floor. A dash is a score withheld for too few rows.\n\n"
        )
        table = common.markdown(["data", "judged", *SCORES], body)
        common.write("real_against_real", intro + table, {"environment": common.environment(), "results": results})


def _mean(values: list[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


if __name__ == "__main__":
    main()
