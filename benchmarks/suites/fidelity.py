"""PBMC3k, top 2,000 genes, half the rows held out, several seeds: how hard are synthetic rows to tell from real ones?

python benchmarks/suites/fidelity.py [--seeds 3] [--models copula,cvae,...]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

SCORES = (
    *("discriminator.rf_genes", "discriminator.rf_pcs", "transfer.trtr", "transfer.tstr", "moments.variance"),
    *("correlation.within", "fold_change.slope", "nearest_train.excess"),
)
METRICS = tuple(dict.fromkeys(name.partition(".")[0] for name in SCORES))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", default=",".join(common.MODELS))
    asked = parser.parse_args()
    data = common.pbmc()
    results: dict[str, list[dict[str, float | None]]] = {}
    for model in asked.models.split(","):
        for seed in range(asked.seeds):
            augmentor, train, holdout, seconds = common.fitted(data, model, seed, holdout=0.5, genes=2000)
            synthetic, drawing = common.drawn(augmentor, len(holdout), seed + 1)
            report = common.judged(synthetic, train, holdout, METRICS, seed)
            row: dict[str, float | None] = {"fit_seconds": seconds, "sample_seconds": drawing}
            kept = [train.schema.features.index(gene) for gene in synthetic.schema.features]
            row["variance_ratio"] = common.within_variance_ratio(synthetic, train.select(kept))
            for name in SCORES:
                score = report[name]
                row[name] = score.value
                row[f"{name} ceiling"] = None if score.ceiling is None else score.ceiling.mean
                row[f"{name} floor"] = score.floor
            results.setdefault(model, []).append(row)
            shown = {name: None if row[name] is None else round(row[name], 3) for name in SCORES}
            print(model, seed, shown, f"variance {row['variance_ratio']:.2f}, fit {seconds:.0f} s", flush=True)
            common.write(
                "fidelity", table(results, asked.seeds), {"environment": common.environment(), "results": results}
            )


def table(results: dict[str, list[dict[str, float | None]]], seeds: int) -> str:
    def mean(rows: list[dict[str, float | None]], name: str) -> float | None:
        values = [row[name] for row in rows if row.get(name) is not None]
        return float(np.mean([float(v) for v in values if v is not None])) if values else None

    every = [row for rows in results.values() for row in rows]
    body = []
    for kind in ("ceiling", "floor"):
        body.append([f"*{kind}*", *(common.number(mean(every, f"{name} {kind}")) for name in SCORES), "–", "–"])
    for model, rows in results.items():
        cells = [common.number(mean(rows, name)) for name in SCORES]
        body.append(
            [model, *cells, common.number(mean(rows, "variance_ratio"), 2), common.number(mean(rows, "fit_seconds"), 1)]
        )
    head = ["model", *SCORES, "within-label variance ratio", "fit seconds"]
    intro = f"# PBMC3k x 2,000 genes, half the rows held out, mean over {seeds} seeds\n\nWritten by `benchmarks/suites/fidelity.py`.\n\n"
    return intro + common.markdown(head, body)


if __name__ == "__main__":
    main()
