"""Fresh rows of the same law in the place of the synthetic ones, many times: how often does a score cry out?

python benchmarks/suites/false_alarms.py [--seeds 100] [--rows 400] [--skip embedding_overlap,augmentation_gain]

T, H and S are drawn anew for every seed from one law (negative binomial counts with factors and four labels), so that every
alarm is a false one. METRICS.md allows a score |z| > 3 in 5 of 100 seeds; z = (value - ceiling) / sd, sd from the width of the
95 % interval and the ceiling's. Also counted: flags other than ``uninformative_here``, and verdicts below "close".
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor import evaluate
from augmentor.core.dataset import Dataset
from augmentor.core.random import Stream
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation.score import Score

GENES, LABELS, FACTORS = 300, ("A", "B", "C", "D"), 6
SKIPPED = "embedding_overlap,augmentation_gain,learning_curve"
SIGMA = 3.0


def rows(count: int, seed: int, part: int) -> Dataset:
    """Draw counts from the law; it is the same for all seeds."""
    law = Stream(7).numpy()
    base = law.normal(0.0, 1.0, GENES)
    effect = law.normal(0.0, 1.2, (len(LABELS), GENES)) * (law.random((len(LABELS), GENES)) < 0.15)
    loadings = law.normal(0.0, 0.6, (FACTORS, GENES)) * (law.random((FACTORS, GENES)) < 0.2)
    rng = Stream(seed).child("rows", part).numpy()
    y = np.arange(count) % len(LABELS)
    mu = np.exp(base + effect[y] + rng.normal(size=(count, FACTORS)) @ loadings)
    mu *= 750 * np.exp(rng.normal(0.0, 0.4, (count, 1))) / mu.sum(axis=1, keepdims=True)
    x = rng.poisson(rng.gamma(4.0, mu / 4.0)).astype(np.float32)
    schema = Schema(
        space=Space.COUNTS,
        features=tuple(f"g{i:03d}" for i in range(GENES)),
        labels=(LabelColumn(name="type", categories=LABELS),),
    )
    return Dataset.checked(x, schema, y[:, None].astype(np.int32))


def z(score: Score) -> float | None:
    """Return (value - ceiling) / sd, or None where a score has no spread of its own."""
    if score.value is None or score.ceiling is None:
        return None
    half = 0.0
    if score.interval is not None:
        half = max(score.interval.high - score.value, score.value - score.interval.low)
    sd = float(np.hypot(half / 1.96, score.ceiling.sd))
    return (score.value - score.ceiling.mean) / sd if sd > 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--skip", default=SKIPPED)
    asked = parser.parse_args()
    scores: dict[str, dict[str, list[Any]]] = {}
    verdicts: list[dict[str, str]] = []
    for seed in range(asked.seeds):
        synthetic, train, holdout = (rows(asked.rows, seed, part) for part in range(3))
        report = evaluate(
            synthetic, train=train, holdout=holdout, seed=seed, skip=[name for name in asked.skip.split(",") if name]
        )
        for name, score in report.scores.items():
            found = scores.setdefault(name, {"z": [], "flags": []})
            found["z"].append(z(score))
            found["flags"].append([flag for flag in score.flags if flag != "uninformative_here"])
        verdicts.append({axis: item.verdict for axis, item in report.verdicts.items()})
        loud = [name for name, found in scores.items() if abs(found["z"][-1] or 0.0) > SIGMA]
        flagged = {name: found["flags"][-1] for name, found in scores.items() if found["flags"][-1]}
        print(seed, f"{report.environment['seconds']:.0f} s", "loud:", loud, "flagged:", flagged, flush=True)
        data = {"environment": common.environment(), "rows": asked.rows, "scores": scores, "verdicts": verdicts}
        common.write("false_alarms", table(scores, verdicts, asked.rows), data)


def table(scores: dict[str, dict[str, list[Any]]], verdicts: list[dict[str, str]], count: int) -> str:
    body = []
    for name, found in scores.items():
        values = np.array([value for value in found["z"] if value is not None])
        flagged = sum(map(bool, found["flags"]))
        cells = ["–"] * 3
        if values.size:
            loud = int((np.abs(values) > SIGMA).sum())
            cells = [
                f"{loud}/{values.size}",
                f"{values.mean():+.2f}",
                f"{values.std(ddof=1):.2f}" if len(values) > 1 else "–",
            ]
        body.append([name, *cells, f"{flagged}/{len(found['flags'])}"])
    body.sort(key=lambda row: -int(row[1].partition("/")[0]) if row[1] != "–" else 0)
    words: dict[str, dict[str, int]] = {}
    for told in verdicts:
        for axis, word in told.items():
            words.setdefault(axis, {})[word] = words.get(axis, {}).get(word, 0) + 1
    lines = [
        f"- {axis}: {', '.join(f'{word} {n}' for word, n in sorted(found.items()))}" for axis, found in words.items()
    ]
    return (
        f"# False alarms: fresh rows of the same law, {len(verdicts)} seeds\n\n"
        f"Written by `benchmarks/suites/false_alarms.py`; {count} rows each of T, H and S, {GENES} genes, 4 labels.\n\n"
        + common.markdown(["score", "\\|z\\| > 3", "mean z", "sd z", "flagged"], body)
        + "\nVerdicts:\n\n"
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    main()
