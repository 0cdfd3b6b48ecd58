"""Every model on every data set: all scores with ceiling and floors, seconds and peak memory.

    python benchmarks/suites/quality.py [--data DIR] [--sets pbmc3k,khan] [--models copula,cvae]

Each (data set, model) runs in a process of its own, so that its peak memory is its own. Data sets that are neither in
DIR nor bundled are left out and named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

SETS = ("pbmc3k", "cell_mixology", "golub", "khan", "khan_csv", "nci60", "tcga_brca")
SHOWN = (
    *(
        "discriminator.rf_genes",
        "discriminator.rf_pcs",
        "correlation.within",
        "moments.variance",
        "precision_recall.recall",
    ),
    *("fold_change.slope", "transfer.trtr", "transfer.tstr", "mmd", "nearest_train.excess"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with the data sets; without it, the bundled ones")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--models", default=",".join(common.MODELS))
    parser.add_argument("--one", nargs=3, metavar=("SET", "MODEL", "OUT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.data, *asked.one)
        return
    results: dict[str, dict[str, Any]] = {}
    for name in asked.sets.split(","):
        if common.source(asked.data, name) is None:
            print(f"{name}: left out, not found")
            continue
        for model in asked.models.split(","):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "result.json"
                data = ["--data", str(asked.data)] if asked.data else []
                call = [sys.executable, __file__, *data, "--one", name, model, str(out)]
                done = subprocess.run(call, capture_output=True, text=True, check=False)
                found = json.loads(out.read_text()) if out.exists() else {"error": done.stderr.strip().splitlines()[-1]}
            results.setdefault(name, {})[model] = found
            scores = {s: found["scores"][s]["value"] for s in SHOWN} if "scores" in found else found
            print(name, model, scores, flush=True)
            common.write("quality", tables(results), {"environment": common.environment(), "results": results})


def one(folder: Path | None, name: str, model: str, out: str) -> None:
    import resource

    options = common.SETS[name][2]
    data = common.dataset(folder, name)
    assert data is not None
    holdout_share = 0.2 if len(data) > 500 else 0.4
    augmentor, train, holdout, fit_seconds = common.fitted(data, model, 0, holdout=holdout_share, **options)
    synthetic, sample_seconds = common.drawn(augmentor, max(len(holdout), 500), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    report = common.judged(synthetic, train, holdout)
    found = {
        "rows": len(data),
        "features": data.features,
        "train": len(train),
        "holdout": len(holdout),
        "fit_seconds": round(fit_seconds, 2),
        "rows_per_second": round(len(synthetic) / sample_seconds),
        "peak_memory_mb": round(peak),
        "verdicts": {axis: item.verdict for axis, item in report.verdicts.items()},
        "scores": {
            key: {
                "value": score.value,
                "ceiling": None if score.ceiling is None else score.ceiling.mean,
                "floors": score.floors,
                "normalised": score.normalised,
                "flags": score.flags,
                "skipped": score.skipped,
            }
            for key, score in report.scores.items()
        },
    }
    Path(out).write_text(json.dumps(found), encoding="utf-8")


def tables(results: dict[str, dict[str, Any]]) -> str:
    text = "# Every model on every data set\n\nWritten by `benchmarks/suites/quality.py`; all scores are in `quality.json`.\n"
    text += (
        "Ceiling: real training rows in the place of synthetic ones. Floor: the one that the score is normalised by.\n"
    )
    for name, models in results.items():
        sound = {model: found for model, found in models.items() if "scores" in found}
        if not sound:
            continue
        first = next(iter(sound.values()))
        text += f"\n## {name} ({first['rows']} x {first['features']}; {first['train']} training, {first['holdout']} held-out rows)\n\n"
        scores = [s for s in SHOWN if s in first["scores"]]
        body = [["*ceiling*", *(common.number(first["scores"][s]["ceiling"]) for s in scores), *["–"] * 3]]
        for floor in ("independent", "permuted", "means"):
            body.append(
                [
                    f"*floor: {floor}*",
                    *(common.number(first["scores"][s]["floors"].get(floor)) for s in scores),
                    *["–"] * 3,
                ]
            )
        for model, found in sound.items():
            cells = [common.number(found["scores"][s]["value"]) for s in scores]
            cost = [f"{found['fit_seconds']:.1f}", str(found["rows_per_second"]), str(found["peak_memory_mb"])]
            body.append([model, *cells, *cost])
        text += common.markdown(["model", *scores, "fit s", "rows/s", "peak MB"], body)
    return text


if __name__ == "__main__":
    main()
