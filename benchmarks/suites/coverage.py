"""Does cgan cover every label? PBMC3k, its 2,000 most variable genes, half the rows held out; both architectures, all three games.

    python benchmarks/suites/coverage.py [--architectures mlp,conv] [--losses hinge] [--seeds 0,1]

Recall of a label: share of its held-out rows that lie where synthetic rows of it lie (`precision_recall.recall`, nearest neighbours in
30 PCs); coverage the other way round. Ceiling: real training rows in the place of the synthetic ones. A label is covered where its
recall is above half its ceiling.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor import evaluate
from augmentor.core.dataset import Dataset

GENES = 2000
PARTS = ("recall", "coverage")
POOLED = ("discriminator.rf_genes", "discriminator.rf_pcs", "transfer.tstr", "moments.variance")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", default="mlp,conv")
    parser.add_argument("--losses", default="non-saturating,hinge,wgan-gp")
    parser.add_argument("--seeds", default="0")
    asked = parser.parse_args()
    results: list[dict[str, Any]] = []
    for architecture in asked.architectures.split(","):
        for loss in asked.losses.split(","):
            for seed in map(int, asked.seeds.split(",")):
                results.append(one(architecture, loss, seed))
                print(results[-1], flush=True)
                common.write("coverage", table(results), {"environment": common.environment(), "results": results})


def one(architecture: str, loss: str, seed: int) -> dict[str, Any]:
    from augmentor import Augmentor

    data = common.pbmc()
    augmentor = Augmentor("cgan", seed=seed, device="cpu", architecture=architecture, loss=loss)
    augmentor.fit(data, holdout=0.5, genes=GENES)
    train, holdout = augmentor.split(data)
    synthetic, _ = common.drawn(augmentor, len(holdout), seed + 1)
    kept = [train.schema.features.index(gene) for gene in synthetic.schema.features]
    train, holdout = train.select(kept), holdout.select(kept)
    report = common.judged(
        synthetic, train, holdout, ("precision_recall", "discriminator", "transfer", "moments"), seed
    )
    found, best = per_label(report), per_label(ceiling(train, holdout, seed))
    record = augmentor.fitted.record
    (stage,) = record["training"]["stages"]
    shares = [found["recall"][label] / best["recall"][label] for label in found["recall"] if label in best["recall"]]
    return {
        "architecture": architecture,
        "loss": loss,
        "seed": seed,
        "fit_seconds": record["wall_seconds"],
        "epochs": stage["epochs"],
        "kept": stage["best_epoch"],
        "lowest_share_of_ceiling": round(min(shares), 3),
        "labels": {
            label: {part: [round(found[part][label], 3), round(best[part][label], 3)] for part in PARTS}
            for label in found["recall"]
        },
        "too_few_rows": sorted(set(report["precision_recall.recall"].per_label) - set(found["recall"])),
        "scores": {name: report[name].value for name in POOLED},
        "findings": stage["findings"],
    }


def ceiling(train: Dataset, holdout: Dataset, seed: int) -> Any:
    """Real training rows in the place of the synthetic ones."""
    return evaluate(train, train=train, holdout=holdout, metrics=("precision_recall",), seed=seed)


def per_label(report: Any) -> dict[str, dict[str, float]]:
    return {
        part: {
            label: item.value
            for label, item in report[f"precision_recall.{part}"].per_label.items()
            if item.value is not None
        }
        for part in PARTS
    }


def table(results: list[dict[str, Any]]) -> str:
    labels = list(results[0]["labels"])
    text = "# Does cgan cover every label?\n\nWritten by `benchmarks/suites/coverage.py`: PBMC3k, 2,000 genes, half the rows held out.\n"
    text += (
        "Recall of every label, and in brackets that of real training rows. A label is covered above half of that.\n"
    )
    if results[0]["too_few_rows"]:
        text += f"Too few held-out rows to judge: {', '.join(results[0]['too_few_rows'])}.\n"
    head = [
        "architecture",
        "loss",
        "seed",
        *labels,
        "lowest share",
        "AUC genes",
        "AUC PCs",
        "TSTR",
        "variance",
        "reported",
        "epochs",
        "fit s",
    ]
    body = [
        [
            *(item["architecture"], item["loss"], str(item["seed"])),
            *(
                f"{item['labels'][label]['recall'][0]:.2f} ({item['labels'][label]['recall'][1]:.2f})"
                for label in labels
            ),
            f"{item['lowest_share_of_ceiling']:.2f}",
            *(common.number(item["scores"][name], 2) for name in POOLED),
            str(len(item["findings"])),
            str(item["epochs"]),
            f"{item['fit_seconds']:.0f}",
        ]
        for item in results
    ]
    return f"{text}\n{common.markdown(head, body)}"


if __name__ == "__main__":
    main()
