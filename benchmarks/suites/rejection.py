"""Rejection sampling: what it does to rows of a good model, and of one that was trained too little.

    python benchmarks/suites/rejection.py [--seeds 2] [--data DIR] [--sets pbmc3k,khan,osmfish]
                                          [--arms copula,smote,cvae,cgan,"cgan epochs=10"]

Half the rows are held out, 500 genes (osmFISH: its 33, 1,500 cells). ``--reject q`` draws rows again that a classifier of the
training rows takes less for their label than a share q of real rows. As many rows are drawn as are held out.

    accepted           share of the rows that the model draws which are kept, as `fit` reports it
    rf_genes, rf_pcs   forest AUC against held-out rows (0.50: not to be told from them)
    recall             share of held-out rows that lie as near to a drawn row as its 5th neighbour among drawn ones does
    tstr               balanced accuracy on held-out rows of a regression trained on drawn ones
    agreement          balanced accuracy on drawn rows of a regression trained on held-out ones
    variance           within labels, drawn over training rows, median over genes
    components         the same on 20 components of the training rows, where calibration of margins cannot make up for it
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.random import Stream
from augmentor.core.space import Space

SETS = {"pbmc3k": 500, "khan": 500, "osmfish": 33}  # features
ARMS = ("copula", "smote", "cvae", "cgan", "cgan epochs=10")
SHARES = (None, 0.01, 0.05, 0.2)
SCORES = ("rf_genes", "rf_pcs", "recall", "tstr", "agreement", "variance", "components")
ROWS, NEIGHBOURS = 600, 5


def values(data: Dataset) -> np.ndarray:
    x = as_dense(data.x).astype(np.float64)
    return np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e3) if data.schema.space is Space.COUNTS else x


def forest_auc(ours: np.ndarray, theirs: np.ndarray) -> float:
    forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0)
    y = np.repeat([0, 1], [len(ours), len(theirs)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(forest, np.vstack([ours, theirs]), y, cv=folds, scoring="roc_auc").mean())


def within(scores: np.ndarray, codes: np.ndarray) -> float:
    labels = np.unique(codes)
    own = sum(((scores[codes == c] - scores[codes == c].mean(axis=0)) ** 2).sum() for c in labels)
    return float(own) / (len(scores) - len(labels))


def classifier(data: Dataset) -> Any:
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=300)
    return make_pipeline(StandardScaler(), model).fit(values(data), data.codes[:, 0])


def measured(data: Dataset, arm: str, share: float | None, genes: int, seed: int) -> dict[str, float | None]:
    model, *settings = arm.split()
    chosen: dict[str, Any] = {name: int(value) for name, _, value in (s.partition("=") for s in settings)}
    augmentor = common.Augmentor(model, seed=seed, device="cpu", **chosen)
    augmentor.fit(data, holdout=0.5, genes=genes, reject=share)
    kept = [data.schema.features.index(gene) for gene in augmentor.fitted.schema.features]
    train, held = (side.select(kept) for side in augmentor.split(data))
    synthetic, _ = common.drawn(augmentor, len(held), seed + 1)
    some = Stream(seed).numpy().permutation(len(held))[:ROWS]
    ours, theirs = values(synthetic)[some], values(held)[some]
    pca = PCA(20, random_state=0).fit(np.vstack([ours, theirs]))
    mine, yours = pca.transform(ours), pca.transform(theirs)
    radius = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(mine).kneighbors()[0][:, -1]
    distance = ((yours[:, None] - mine[None]) ** 2).sum(axis=2) ** 0.5
    basis = PCA(20, random_state=0).fit(values(train))
    codes, part = synthetic.codes[:, 0], augmentor.fitted.rejection
    spread = [within(basis.transform(values(side)), side.codes[:, 0]) for side in (synthetic, train)]
    return {
        "accepted": None if part is None else part.record["accepted"],
        "rf_genes": forest_auc(ours, theirs),
        "rf_pcs": forest_auc(mine, yours),
        "recall": float((distance <= radius).any(axis=1).mean()),
        "tstr": float(balanced_accuracy_score(held.codes[:, 0], classifier(synthetic).predict(values(held)))),
        "agreement": float(balanced_accuracy_score(codes, classifier(held).predict(values(synthetic)))),
        "variance": common.within_variance_ratio(synthetic, train),
        "components": spread[0] / spread[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--arms", default=",".join(ARMS))
    asked = parser.parse_args()
    results: dict[str, dict[str, dict[str, list[dict[str, float | None]]]]] = {}
    for name in asked.sets.split(","):
        data = common.dataset(asked.data, name)
        if data is None:
            print(f"{name}: left out, not found")
            continue
        if len(data) > 3000:
            data = data.take(np.sort(Stream(0).child(name).numpy().permutation(len(data))[:1500]))
        for arm in asked.arms.split(","):
            own = results.setdefault(name, {}).setdefault(arm, {})
            for seed in range(asked.seeds):
                for share in SHARES:
                    row = measured(data, arm, share, SETS[name], seed)
                    own.setdefault("none" if share is None else f"{share:g}", []).append(row)
                    print(
                        name,
                        arm,
                        share,
                        seed,
                        {k: None if v is None else round(v, 3) for k, v in row.items()},
                        flush=True,
                    )
                common.write(
                    "rejection", table(results, asked.seeds), {"environment": common.environment(), "results": results}
                )


def table(results: dict[str, Any], seeds: int) -> str:
    text = (
        f"# Rejection sampling, mean over {seeds} seeds\n\nWritten by `benchmarks/suites/rejection.py`; its head says what the "
        "columns are.\n"
    )
    head = ["model", "reject", "accepted", *SCORES]
    for name, arms in results.items():
        body = []
        for arm, shares in arms.items():
            for share, rows in shares.items():
                cells = [
                    common.number(None if None in found else float(np.mean(found)))
                    for found in ([row[score] for row in rows] for score in ("accepted", *SCORES))
                ]
                body.append([f"`{arm}`", share, *cells])
        text += f"\n## {name}\n\n{common.markdown(head, body)}"
    return text


if __name__ == "__main__":
    main()
