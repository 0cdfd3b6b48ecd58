"""The parts of `cvae`: likelihoods and latent priors on PBMC3k (2,000 genes), on its 0/1 version, and on Khan's tumours.

python benchmarks/suites/cvae_parts.py [--seed 0] [--sets pbmc3k,pbmc3k_detected,khan] [--resume]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor import Augmentor

SCORES = (
    *("discriminator.rf_genes", "discriminator.rf_pcs", "correlation.within", "precision_recall.recall"),
    *("transfer.trtr", "transfer.tstr", "moments.variance", "fold_change.slope", "nearest_train.excess"),
)
METRICS = tuple(dict.fromkeys(name.partition(".")[0] for name in SCORES))
PRIORS = ("clusters", "flow", "label", "mixture", "vamp", "standard")
ALIVE = 0.1  # nats of KL from which a latent dimension is taken to carry something

# data set -> settings of cvae
CASES: dict[str, list[dict[str, Any]]] = {
    "pbmc3k": [
        *({"likelihood": "nb", "prior": prior} for prior in PRIORS),
        *({"likelihood": likelihood, "prior": "clusters"} for likelihood in ("zinb", "poisson")),
    ],
    "pbmc3k_detected": [{"likelihood": likelihood, "prior": "clusters"} for likelihood in ("nb", "bernoulli")],
    "khan": [{"likelihood": "gaussian", "prior": prior} for prior in PRIORS],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", default=",".join(CASES))
    parser.add_argument(
        "--resume", action="store_true", help="keep the rows that are in the results, and add the others"
    )
    asked = parser.parse_args()
    stored = common.RESULTS / "cvae_parts.json"
    results: list[dict[str, Any]] = (
        json.loads(stored.read_text())["results"] if asked.resume and stored.exists() else []
    )
    for name in asked.sets.split(","):
        data = common.dataset(None, name.partition("_")[0])
        assert data is not None
        if name == "pbmc3k_detected":
            data = replace(data, x=(data.x > 0).astype("float32"))
        options = {"holdout": 0.5 if len(data) > 400 else 0.3, "genes": 2000}
        for case in CASES[name]:
            if any(row.items() >= {"set": name, **case}.items() for row in results):
                continue
            augmentor = Augmentor("cvae", seed=asked.seed, device="cpu", **case).fit(data, **options)
            train, holdout = augmentor.split(data)
            synthetic, drawing = common.drawn(augmentor, len(holdout), asked.seed + 1)
            report = common.judged(synthetic, train, holdout, METRICS, asked.seed)
            row: dict[str, Any] = {"set": name, **case, "fit_seconds": augmentor.fitted.record["wall_seconds"]}
            row["sample_seconds"] = drawing
            kl = [
                entry["watch.kl per dimension"]
                for entry in augmentor.fitted.history
                if "watch.kl per dimension" in entry
            ]
            row["kl"], row["alive"] = sum(kl[-1]), sum(value > ALIVE for value in kl[-1])
            for score in SCORES:
                found = report[score]
                row[score] = found.value
                row[f"{score} ceiling"] = None if found.ceiling is None else found.ceiling.mean
            results.append(row)
            shown = {score: None if row[score] is None else round(row[score], 3) for score in SCORES}
            print(name, case, shown, f"alive {row['alive']}, fit {row['fit_seconds']:.0f} s", flush=True)
            common.write(
                "cvae_parts", table(results, asked.seed), {"environment": common.environment(), "results": results}
            )


def table(results: list[dict[str, Any]], seed: int) -> str:
    parts = [
        f"# Likelihoods and latent priors of cvae, seed {seed}\n\nWritten by `benchmarks/suites/cvae_parts.py`. "
        "PBMC3k and its 0/1 version: 2,000 genes, half the rows held out; Khan: 2,000 genes, 30 %. One run each, so differences of a "
        "few hundredths are chance; seconds are those of a machine with other work, and compare nothing. A latent "
        f"dimension is alive from {ALIVE} nats of KL.\n"
    ]
    head = ["likelihood", "prior", *SCORES, "KL", "alive", "fit seconds"]
    for name in dict.fromkeys(row["set"] for row in results):
        rows = [row for row in results if row["set"] == name]
        body = [["*ceiling*", "", *(common.number(rows[0][f"{score} ceiling"]) for score in SCORES), "–", "–", "–"]]
        for row in rows:
            body.append(
                [
                    row["likelihood"],
                    row["prior"],
                    *(common.number(row[score]) for score in SCORES),
                    *(common.number(row["kl"], 1), str(row["alive"]), common.number(row["fit_seconds"], 1)),
                ]
            )
        parts.append(f"## {name}\n\n{common.markdown(head, body)}")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
