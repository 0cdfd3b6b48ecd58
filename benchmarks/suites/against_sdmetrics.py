"""Seconds of an evaluation against SDMetrics' QualityReport, on the same columns, in one run.

    pip install sdmetrics
    python benchmarks/suites/against_sdmetrics.py [--genes 200] [--repeats 3]

PBMC3k's most expressed genes with their cell types as a plain table; half the rows are learned from, half are held out, and a
copula writes as many rows as the table has. Compared are the whole default evaluation, with its ceilings, floors and intervals,
and the three metrics of mixed tables that come nearest to what the report does: a column at a time, and pairs of columns.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import common
import numpy as np
import pandas as pd

from augmentor.core.random import Stream
from augmentor.io import convert

LABEL = "celltype"
ALIKE = ["shape", "contingency", "association"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    real, synthetic = tables(asked.genes)
    print(f"{len(real)} real and {len(synthetic)} synthetic rows, {asked.genes} genes and {LABEL}", flush=True)
    whole = Stream(0).numpy().permutation(len(real))
    train, holdout = (real.iloc[np.sort(rows)] for rows in np.array_split(whole, 2))
    counts = [convert(table, label=LABEL) for table in (synthetic, train, holdout)]
    mixed = [convert(table, label=LABEL, space="mixed") for table in (synthetic, train, holdout)]
    work: dict[str, Callable[[], Any]] = {
        "augmentor, default set": lambda: judged(counts),
        f"augmentor, {', '.join(ALIKE)}": lambda: judged(mixed, metrics=ALIKE),
        "SDMetrics QualityReport": lambda: quality(real, synthetic),
    }
    # the first evaluation of a process compiles the map, which no later one pays for
    common.judged(*counts, metrics=["embedding_overlap"])
    seconds: dict[str, list[list[float]]] = {name: [] for name in work}
    for _ in range(asked.repeats):
        for name, function in work.items():
            begun = time.perf_counter(), time.process_time()
            function()
            seconds[name].append([time.perf_counter() - begun[0], time.process_time() - begun[1]])
            print(name, "{:.2f} s, {:.2f} s of processor".format(*seconds[name][-1]), flush=True)
    middle = {name: np.median(times, axis=0) for name, times in seconds.items()}
    theirs = middle["SDMetrics QualityReport"]
    rows = [[name, *(f"{number:.2f}" for number in (*value, *(value / theirs)))] for name, value in middle.items()]
    intro = (
        "# Evaluation against SDMetrics\n\nWritten by `benchmarks/suites/against_sdmetrics.py`: "
        f"PBMC3k, {asked.genes} genes and the label as a table, {len(real)} real and {len(synthetic)} synthetic rows; "
        f"median of {asked.repeats} in one process.\n\n"
    )
    text = intro + common.markdown(["what", "seconds", "of processor", "times SDMetrics", "of processor"], rows)
    peer = {"sdmetrics": metadata.version("sdmetrics")}
    common.write("against_sdmetrics", text, {"environment": common.environment() | peer, "seconds": seconds})
    print(text)


def tables(genes: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return real rows and as many synthetic ones, over the most expressed genes, with their label."""
    data = common.pbmc()
    top = np.argsort(-np.asarray(data.x.mean(axis=0)).ravel(), kind="stable")[:genes]
    data = data.select(sorted(int(i) for i in top))
    augmentor, *_ = common.fitted(data, "copula", seed=0, genes="all")
    synthetic, _ = common.drawn(augmentor, len(data), seed=0)
    return frame(data), frame(synthetic)


def frame(data: Any) -> pd.DataFrame:
    x = np.asarray(data.x.todense()).astype(np.int64)
    out = pd.DataFrame(x, columns=list(data.schema.features))
    return out.assign(**{LABEL: data.labels().astype(str)})


def judged(sets: list[Any], **options: Any) -> None:
    """Evaluate; a metric that failed cost nothing, so its time is no time."""
    report = common.judged(*sets, **options)
    if report.failed:
        raise SystemExit(f"failed: {'; '.join(f'{item.metric}: {item.error}' for item in report.failed)}")


def quality(real: pd.DataFrame, synthetic: pd.DataFrame) -> float:
    """Return the overall score of SDMetrics' report."""
    with warnings.catch_warnings():
        # the report announces on import that it will move to another package
        warnings.simplefilter("ignore")
        from sdmetrics.reports.single_table import QualityReport

        columns = {name: {"sdtype": "categorical" if name == LABEL else "numerical"} for name in real.columns}
        report = QualityReport()
        report.generate(real, synthetic, {"columns": columns}, verbose=False)
        return float(report.get_score())


if __name__ == "__main__":
    main()
