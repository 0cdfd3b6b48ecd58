"""Every model on every data set: all scores with ceiling and floors, seconds and peak memory.

    python benchmarks/suites/quality.py [--data DIR] [--sets pbmc3k,khan] [--models copula,cvae,auto] [--seeds 3] [--again]

Each (data set, model, seed) runs in a process of its own, so that its peak memory is its own, and is another division of the rows.
Runs that `results/quality.json` already holds are kept, unless `--again`. Data sets that are neither in DIR nor bundled are left out
and named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor.core.registry import METRICS

SETS = ("pbmc3k", "cell_mixology", "khan", "golub", "tcga_brca", "heart_disease")
GENES = {"pbmc3k": 2000, "cell_mixology": 2000}
# those that a data set has: a mixed table has scores of its own
SHOWN = (
    *(
        "discriminator.rf_genes",
        "discriminator.rf_pcs",
        "correlation.within",
        "moments.variance",
        "precision_recall.recall",
    ),
    *(
        "shape.columns",
        "contingency.tables",
        "fold_change.slope",
        "transfer.trtr",
        "transfer.tstr",
        "mmd",
        "nearest_train.excess",
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with the data sets; without it, the bundled ones")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--models", default=",".join(common.MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    parser.add_argument("--one", nargs=4, metavar=("SET", "MODEL", "SEED", "OUT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.data, *asked.one)
        return
    kept = common.RESULTS / "quality.json"
    results: Results = json.loads(kept.read_text(encoding="utf-8"))["results"] if kept.exists() else {}
    for seed in map(str, range(asked.seeds)):  # one seed of everything first
        for name in asked.sets.split(","):
            data = common.dataset(asked.data, name)
            if data is None:
                print(f"{name}: left out, not found")
                continue
            for model in asked.models.split(","):
                if not asked.again and "scores" in results.get(name, {}).get(model, {}).get(seed, {}):
                    continue
                if not common.able(data, model):
                    continue
                found = run(asked.data, name, model, seed)
                results.setdefault(name, {}).setdefault(model, {})[seed] = found
                scores = (
                    {s: found["scores"][s]["value"] for s in SHOWN if s in found["scores"]}
                    if "scores" in found
                    else found
                )
                print(name, model, seed, scores, flush=True)
                document = {"environment": common.environment(), "results": results}
                common.write("quality", tables(results), document, indent=None)
                digest(results)


# data set -> model -> seed -> what one run found
Results = dict[str, dict[str, dict[str, dict[str, Any]]]]


def run(folder: Path | None, name: str, model: str, seed: str) -> dict[str, Any]:
    """One run in a process of its own; what went wrong, where something did."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "result.json"
        data = ["--data", str(folder)] if folder else []
        call = [sys.executable, __file__, *data, "--one", name, model, seed, str(out)]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        return json.loads(out.read_text()) if out.exists() else {"error": done.stderr.strip().splitlines()[-1]}


def one(folder: Path | None, name: str, model: str, seed: str, out: str) -> None:
    import resource

    options = common.SETS[name][2] | ({"genes": GENES[name]} if name in GENES else {})
    data = common.dataset(folder, name)
    assert data is not None
    holdout_share = 0.2 if len(data) > 500 else 0.4
    augmentor, train, holdout, fit_seconds = common.fitted(data, model, int(seed), holdout=holdout_share, **options)
    synthetic, sample_seconds = common.drawn(augmentor, max(len(holdout), 500), int(seed) + 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    report = common.judged(synthetic, train, holdout, seed=int(seed))
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
                "value": rounded(score.value),
                "ceiling": None if score.ceiling is None else rounded(score.ceiling.mean),
                "floors": {floor: rounded(value) for floor, value in score.floors.items()},
                "normalised": rounded(score.normalised),
            }
            | ({"flags": score.flags} if score.flags else {})
            | ({"skipped": score.skipped} if score.skipped else {})
            for key, score in report.scores.items()
        },
    }
    if choice := augmentor.fitted.record["choice"]:
        found["chosen"] = choice["chosen"]
    Path(out).write_text(json.dumps(found), encoding="utf-8")


def means(runs: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Means over the seeds of a model on a data set, None where no run went well."""
    sound = [found for found in runs.values() if "scores" in found]
    if not sound:
        return None

    def mean(values: list[Any]) -> float | None:
        present = [value for value in values if value is not None]
        return float(np.mean(present)) if present else None

    scores = {}
    for key in sound[0]["scores"]:
        items = [found["scores"][key] for found in sound if key in found["scores"]]
        floors = {floor: mean([item["floors"].get(floor) for item in items]) for floor in items[0]["floors"]}
        scores[key] = {part: mean([item[part] for item in items]) for part in ("value", "ceiling", "normalised")} | {
            "floors": floors
        }
    cost = {key: mean([found[key] for found in sound]) for key in ("fit_seconds", "rows_per_second", "peak_memory_mb")}
    sizes = {key: sound[0][key] for key in ("rows", "features", "train", "holdout")}
    return {**sizes, **cost, "seeds": len(sound), "scores": scores}


def digest(results: Results) -> None:
    """Write what `augment models show` tells of every model: value, ceiling and normalising floor of the scores shown here."""
    floors = {spec.name: spec.floor for metric in METRICS.names() for spec in METRICS.get(metric).scores}
    sets = {}
    for name, models in results.items():
        sound = {model: found for model, runs in models.items() if model in common.MODELS and (found := means(runs))}
        if not sound:
            continue
        first = next(iter(sound.values()))
        sets[name] = {key: first[key] for key in ("rows", "features", "train", "holdout")} | {
            "models": {
                model: {
                    "fit_seconds": round(found["fit_seconds"], 2),
                    "scores": {
                        score: [
                            rounded(item["value"], 3),
                            rounded(item["ceiling"], 3),
                            rounded(item["floors"].get(floors[score]), 3),
                        ]
                        for score, item in found["scores"].items()
                        if score in SHOWN and item["value"] is not None
                    },
                }
                for model, found in sound.items()
            }
        }
    document = json.dumps({"environment": common.environment(), "sets": sets}, indent=1)
    (Path(__file__).parents[2] / "augmentor" / "models" / "measured.json").write_text(document + "\n", encoding="utf-8")


def rounded(value: float | None, digits: int = 5) -> float | None:
    return None if value is None else round(value, digits)


def tables(results: Results) -> str:
    text = "# Every model on every data set\n\nWritten by `benchmarks/suites/quality.py`; all scores are in `quality.json`.\n"
    text += (
        "Ceiling: real training rows in the place of synthetic ones. Floor: the one that the score is normalised by. "
        "Means over the seeds.\n"
    )
    for name, models in results.items():
        sound = {model: found for model, runs in models.items() if (found := means(runs))}
        if not sound:
            continue
        first = next(iter(sound.values()))
        text += f"\n## {name} ({first['rows']} x {first['features']}; {first['train']} training, {first['holdout']} held-out rows)\n\n"
        scores = [s for s in SHOWN if s in first["scores"]]
        body = [["*ceiling*", *(common.number(first["scores"][s]["ceiling"]) for s in scores), *["–"] * 4]]
        for floor in ("independent", "permuted", "means"):
            cells = [common.number(first["scores"][s]["floors"].get(floor)) for s in scores]
            body.append([f"*floor: {floor}*", *cells, *["–"] * 4])
        for model, found in sound.items():
            cells = [common.number(found["scores"][s]["value"]) for s in scores]
            cost = [f"{found['fit_seconds']:.1f}", f"{found['rows_per_second']:.0f}", f"{found['peak_memory_mb']:.0f}"]
            body.append([model, *cells, *cost, str(found["seeds"])])
        text += common.markdown(["model", *scores, "fit s", "rows/s", "peak MB", "seeds"], body)
        for model, runs in models.items():
            notes = {seed: found.get("error") or found.get("chosen") for seed, found in runs.items()}
            text += "".join(f"\n{model}, seed {seed}: {note}\n" for seed, note in notes.items() if note)
    return text


if __name__ == "__main__":
    main()
