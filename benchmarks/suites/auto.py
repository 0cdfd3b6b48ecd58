"""What `auto` chooses on every labelled data set, and what the best choice would have been.

    python benchmarks/suites/auto.py [--data DIR] [--sets pbmc3k,khan] [--models copula,cvae,...] [--seeds 2] [--again]

`auto` and every model are fitted to the same training rows and judged by the criterion of `auto` (`augmentor/criterion.py`) on the
rows held out, which it did not see when it chose: loss = detectability + utility lost + half the copying. Models that copy more
than `auto` would accept are no choice.

    ceiling  the loss of the training rows themselves, their copying left aside: chance alone
    floor    the loss of rows with the right margins and nothing else: every column of the training rows permuted
    regret   (loss of the choice - least loss) / (floor - ceiling)

Runs that `results/auto.json` already holds are kept, unless `--again`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.random import Stream
from augmentor.criterion import VETO, Loss, Trial, averaged

SETS = tuple(name for name in common.SETS if name != "khan_csv")
# those that `auto` may choose
MODELS = ("jitter", "mixup", "smote", "gaussian", "copula", "flow", "cvae", "flow_matching")
WIDE = 2000  # features modelled at most
# data set -> model -> seed -> what one run found
Results = dict[str, dict[str, dict[str, dict[str, Any]]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    asked = parser.parse_args()
    kept = common.RESULTS / "auto.json"
    results: Results = json.loads(kept.read_text(encoding="utf-8"))["results"] if kept.exists() else {}
    for seed in range(asked.seeds):
        for name in asked.sets.split(","):
            data = common.dataset(asked.data, name)
            if data is None:
                print(f"{name} is not at hand", flush=True)
                continue
            for model in ("ceiling", "floor", "auto", *asked.models.split(",")):
                own = results.setdefault(name, {}).setdefault(model, {})
                if (str(seed) in own and not asked.again) or not common.able(data, model):
                    continue
                own[str(seed)] = measure(name, data, model, seed)
                print(name, model, seed, own[str(seed)], flush=True)
                common.write("auto", table(results), {"environment": common.environment(), "results": results})


def measure(name: str, data: Dataset, model: str, seed: int) -> dict[str, Any]:
    """Loss of one model, or of a reference, on the rows held out."""
    options = common.SETS[name][2] | {"holdout": 0.2 if len(data) > 500 else 0.4}
    if data.features > WIDE:
        options["genes"] = WIDE
    fitting = "bootstrap" if model in ("ceiling", "floor") else model
    augmentor, train, holdout, seconds = common.fitted(data, fitting, seed, **options)
    train, holdout = (common.only(rows, augmentor.fitted.schema.features) for rows in (train, holdout))
    if model == "ceiling":
        drawn = train
    elif model == "floor":
        drawn = margins(train, Stream(seed).child("floor"))
    else:
        drawn, _ = common.drawn(augmentor, max(len(train), 500), seed + 1)
    # few rows judge with more drawn rows beside each
    trial = Trial(train, holdout, Stream(seed).child("judge"), times=1 if len(holdout) >= 100 else 4)
    loss = trial.judge(drawn)
    loss = replace(loss, copying=0.0) if model == "ceiling" else loss
    found = {**asdict(loss), "seconds": round(seconds, 1), "train": len(train), "holdout": len(holdout)}
    choice = augmentor.fitted.record.get("choice")
    return found | ({"chosen": choice["chosen"], "reason": choice["reason"]} if choice else {})


def margins(data: Dataset, rng: Stream) -> Dataset:
    """Every column permuted: neither labels nor other columns know anything of it."""
    generator = rng.numpy()
    x = generator.permuted(as_dense(data.x), axis=0)
    return replace(data, x=sparse.csr_matrix(x) if sparse.issparse(data.x) else x)


def table(results: Results) -> str:
    body, shares = [], []
    for name, models in results.items():
        losses = {model: mean(runs) for model, runs in models.items() if runs}
        if not {"ceiling", "floor", "auto"} <= set(losses):
            continue
        choices = {
            m: loss for m, loss in losses.items() if m not in ("ceiling", "floor", "auto") and loss.copying <= VETO
        }
        best = min(choices, key=lambda m: choices[m].total, default=None)
        if best is None:
            continue
        least = min(choices[best].total, losses["auto"].total)
        width = losses["floor"].total - losses["ceiling"].total
        shares.append((losses["auto"].total - least) / width)
        runs = list(models["auto"].values())
        body.append(
            [
                name,
                f"{runs[0]['train']} / {runs[0]['holdout']}",
                ", ".join(sorted({run["chosen"] for run in runs})),
                best,
                *parts(losses["auto"]),
                common.number(losses["auto"].total),
                common.number(least),
                f"{common.number(losses['ceiling'].total)} to {common.number(losses['floor'].total)}",
                f"{shares[-1]:.1%}",
                f"{np.mean([run['seconds'] for run in runs]):.0f}",
                str(len(runs)),
            ]
        )
    header = [
        *("data set", "training / held-out rows", "chosen", "best", "AUC values", "AUC PCs", "utility lost", "copying"),
        *("loss of auto", "least loss", "ceiling to floor", "regret", "fit s", "seeds"),
    ]
    text = (
        "# What `auto` chooses\n\nWritten by `benchmarks/suites/auto.py`, where every column is explained; means over seeds. "
        f"Mean regret: {np.mean(shares):.1%} of the range between ceiling and floor.\n\n"
        if shares
        else ""
    )
    text += common.markdown(header, body)
    text += "\n## Loss of every model\n\n"
    names = [
        m for m in dict.fromkeys(m for models in results.values() for m in models) if m not in ("ceiling", "floor")
    ]
    rows = []
    for name, models in results.items():
        cells = [mean(models[m]) if models.get(m) else None for m in names]
        rows.append(
            [name, *("–" if c is None else common.number(c.total) + " (copies)" * (c.copying > VETO) for c in cells)]
        )
    return text + common.markdown(["data set", *names], rows)


def parts(loss: Loss) -> list[str]:
    return [common.number(part) for part in (loss.auc_values, loss.auc_pcs, loss.utility_lost, loss.copying)]


def mean(runs: dict[str, dict[str, Any]]) -> Loss:
    keys = ("auc_values", "auc_pcs", "utility_lost", "copying")
    return averaged([Loss(*(run[key] for key in keys)) for run in runs.values()])


if __name__ == "__main__":
    main()
