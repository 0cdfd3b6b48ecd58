"""Planted outliers: which of them does `score` find, and how often does it cry out at rows like those it learned from?

python benchmarks/suites/anomalies.py [--models cvae,autoencoder] [--seeds 2] [--genes 500]

One label is left out, and 30 % of the other rows are set aside (`fit` holds 20 % of the rest out, as always). Planted, among the
rows set aside, whose own scores are what the area under the ROC compares with:

    left out     rows of the label that was left out, judged under their most likely label (as are the rows set aside, here)
    shuffled     a fifth of the features permuted within the row
    doublet      the sum of two cells of different labels (of log-ratios their mean), under the label of the first
    thinned      the same, thinned to half the counts: as deep as one cell
    mislabelled  rows under another label

Beside them: reconstruction error of as many principal components as the model has latents, and an isolation forest on these, both of
log-normalised counts (or standardised values) of the same training rows, neither of which looks at labels. False alarms: the share of
rows set aside that are outliers at the threshold of 1 %; beside it, what the threshold from the training rows would have given.
A second fit has learned from outliers (2 % of the training rows, of the three kinds that need no other label): found among those rows?
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor import Augmentor
from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.random import Stream
from augmentor.core.space import Space

LEFT_OUT = {"pbmc3k": "NK", "khan": "NB"}
KINDS = ("left out", "shuffled", "doublet", "thinned", "mislabelled")
PARTS = 0.3
SPOILT = 0.02


def with_values(rows: Dataset, x: np.ndarray) -> Dataset:
    """The rows with other values."""
    values = x.astype(np.float32)
    return replace(rows, x=sparse.csr_matrix(values) if sparse.issparse(rows.x) else values)


def shuffled(rows: Dataset, rng: np.random.Generator) -> Dataset:
    """A fifth of the features of every row permuted."""
    x = as_dense(rows.x).copy()
    for row in x:
        chosen = rng.choice(len(row), len(row) // 5, replace=False)
        row[chosen] = row[rng.permutation(chosen)]
    return with_values(rows, x)


def doublets(rows: Dataset, rng: np.random.Generator, *, thin: bool = False) -> Dataset:
    """Two rows of different labels in one, under the label of the first."""
    first, second = rng.permutation(len(rows)), rng.permutation(len(rows))
    apart = rows.codes[first, 0] != rows.codes[second, 0]
    first, second = first[apart], second[apart]
    x = as_dense(rows.x)
    both = x[first] + x[second]
    if rows.schema.space is not Space.COUNTS:
        both = both / 2
    elif thin:
        both = rng.binomial(both.astype(np.int64), 0.5)
    kept = both.sum(axis=1) != 0
    return with_values(rows.take(first[kept]), both[kept])


def mislabelled(rows: Dataset, rng: np.random.Generator) -> Dataset:
    """The rows under other labels that occur."""
    known, codes = np.unique(rows.codes[:, 0]), rows.codes.copy()
    for row in codes:
        row[0] = rng.choice(known[known != row[0]])
    return replace(rows, codes=codes)


def unlabelled(rows: Dataset) -> Dataset:
    """The rows without a label."""
    return replace(rows, schema=rows.schema.model_copy(update={"labels": ()}), codes=rows.codes[:, :0])


def divided(whole: Dataset, name: str, rng: np.random.Generator) -> tuple[Dataset, Dataset, Dataset]:
    """Rows to fit to, rows set aside, and rows of the label that was left out."""
    labels = whole.labels()
    aside = np.zeros(len(whole), dtype=bool)
    for label in sorted(set(labels)):
        own = rng.permutation(np.flatnonzero(labels == label))
        aside[own[: int(PARTS * len(own))]] = True
    lost = labels == LEFT_OUT[name]
    return whole.take(~aside & ~lost), whole.take(aside & ~lost), whole.take(lost)


def planted(aside: Dataset, lost: Dataset, rng: np.random.Generator) -> dict[str, Dataset]:
    """The outliers of every kind."""
    found = {"left out": unlabelled(lost), "shuffled": shuffled(aside, rng), "doublet": doublets(aside, rng)}
    if aside.schema.space is Space.COUNTS:
        found["thinned"] = doublets(aside, rng, thin=True)
    return found | {"mislabelled": mislabelled(aside, rng)}


def spoilt(train: Dataset, rng: np.random.Generator) -> tuple[Dataset, np.ndarray]:
    """Training rows of which a few are outliers, and which ones."""
    many = max(3, int(SPOILT * len(train)))
    chosen = rng.permutation(len(train))[:many]
    bad = [shuffled, doublets, mislabelled]
    x, codes, marks = as_dense(train.x).copy(), train.codes.copy(), np.zeros(len(train), dtype=bool)
    for i, row in enumerate(chosen):
        pair = np.append(row, rng.permutation(np.flatnonzero(train.codes[:, 0] != train.codes[row, 0]))[:1])
        made = bad[i % 3](train.take(pair), rng)
        if len(made):
            x[row], codes[row], marks[row] = as_dense(made.x)[0], made.codes[0], True
    return replace(with_values(train, x), codes=codes), marks


def seen(rows: Dataset) -> np.ndarray:
    """Rows as the baselines see them."""
    x = as_dense(rows.x).astype(np.float64)
    return np.log1p(x / x.sum(axis=1, keepdims=True) * 1e4) if rows.schema.space is Space.COUNTS else x


def auroc(normal: np.ndarray, odd: np.ndarray) -> float:
    """Area under the ROC of odd rows against normal ones."""
    truth = np.repeat([0, 1], [len(normal), len(odd)])
    return float(roc_auc_score(truth, np.concatenate([normal, odd])))


def baselines(train: Dataset, sets: dict[str, Dataset], aside: Dataset, seed: int) -> dict[str, dict[str, float]]:
    """AUROC of reconstruction from principal components and of an isolation forest."""
    x = seen(train)
    mean, sd = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6) if train.schema.space is not Space.COUNTS else 1.0
    pca = PCA(min(24, len(train) // 2), svd_solver="randomized", random_state=seed).fit((x - mean) / sd)
    forest = IsolationForest(n_estimators=300, random_state=seed).fit(pca.transform((x - mean) / sd))

    def error(rows: Dataset) -> np.ndarray:
        values = (seen(rows) - mean) / sd
        return np.square(values - pca.inverse_transform(pca.transform(values))).sum(axis=1)

    def lonely(rows: Dataset) -> np.ndarray:
        return -forest.score_samples(pca.transform((seen(rows) - mean) / sd))

    return {
        name: {kind: auroc(scored(aside), scored(rows)) for kind, rows in sets.items()}
        for name, scored in (("PCA error", error), ("isolation forest", lonely))
    }


def judged(name: str, model: str, seed: int, genes: int) -> dict[str, Any]:
    """Everything for one data set, model and seed."""
    whole, label = common.dataset(None, name), common.SETS[name][1]
    assert whole is not None
    rng = Stream(seed).numpy()
    train, aside, lost = divided(whole, name, rng)
    if train.schema.space is Space.COUNTS:
        strongest = np.argsort(-seen(train).var(axis=0), kind="stable")[:genes]
        train, aside, lost = (rows.select(sorted(strongest.tolist())) for rows in (train, aside, lost))
    sets = planted(aside, lost, rng)
    augmentor = Augmentor(model, seed=seed, device="cpu").fit(train, label=label)
    found = augmentor.score(aside)
    free = augmentor.score(unlabelled(aside))
    scores = {kind: augmentor.score(rows)["score"].to_numpy() for kind, rows in sets.items()}
    naive = augmentor.fitted.reference.threshold(0.99, seen=True)  # type: ignore[union-attr]
    areas = {
        kind: auroc((free if kind == "left out" else found)["score"].to_numpy(), own) for kind, own in scores.items()
    }
    bad, marks = spoilt(train, rng)
    again = Augmentor(model, seed=seed, device="cpu").fit(bad, label=label)
    own = again.score(bad)
    kept = own["trained"].to_numpy()
    inside = own["score"].to_numpy()
    return {
        "auroc": areas,
        "false_alarms": float(found["outlier"].mean()),
        "false_alarms_of_training_threshold": float((found["score"] > naive).mean()),
        "labels_found": float((free["label"].to_numpy() == found["label"].to_numpy()).mean()),
        "learned_from": auroc(inside[kept & ~marks], inside[kept & marks]) if (kept & marks).any() else None,
        "rows": {"train": len(train), "aside": len(aside)},
        "baselines": baselines(train, sets, aside, seed),
    }


def mean(values: list[float | None]) -> str:
    """Mean over seeds."""
    known = [value for value in values if value is not None]
    return common.number(float(np.mean(known)) if known else None)


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="autoencoder,cvae")
    parser.add_argument("--sets", default="pbmc3k,khan")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--genes", type=int, default=500)
    args = parser.parse_args()
    results: dict[str, Any] = {"environment": common.environment()}
    text = f"""# Planted outliers, {args.seeds} seeds, {args.genes} genes of PBMC3k and all of Khan

Written by `benchmarks/suites/anomalies.py`, whose first lines say what is planted and compared. Area under the ROC (1 is perfect, .5 is
chance); false alarms among new rows at the threshold of 1 %, and what the training rows' own threshold would have given.

"""
    header = ["data", "method", *KINDS, "learned from", "false alarms", "by training threshold"]
    lines = []
    for name in args.sets.split(","):
        for model in args.models.split(","):
            runs = [judged(name, model, seed, args.genes) for seed in range(args.seeds)]
            results[f"{name}.{model}"] = runs
            cells = [mean([run["auroc"].get(kind) for run in runs]) for kind in KINDS]
            alarms = [
                mean([run[key] for run in runs]) for key in ("false_alarms", "false_alarms_of_training_threshold")
            ]
            lines.append([name, f"`{model}`", *cells, mean([run["learned_from"] for run in runs]), *alarms])
        for baseline in ("PCA error", "isolation forest"):
            cells = [mean([run["baselines"][baseline].get(kind) for run in runs]) for kind in KINDS]
            lines.append([name, baseline, *cells, "–", "–", "–"])
    common.write("anomalies", text + common.markdown(header, lines), results)


if __name__ == "__main__":
    main()
