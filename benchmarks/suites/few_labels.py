"""A few labelled rows and many without a label: what do they give a classifier, with and without synthetic rows?

    python benchmarks/suites/few_labels.py [--data DIR] [--sets pbmc3k,worm_neurons] [--models copula,gaussian,...]
                                           [--labelled 3,5,10] [--seeds 6] [--again]

Half the rows of every label test. Of the other half ``n`` rows of a label are labelled and the rest is not. Every classifier is a
logistic regression on the 1,000 most variable genes (log-normalised, standardised on its training rows; all columns of a
mixed table, categories one-hot), unless it says otherwise; generators add 100 rows per label. Macro-F1 on the test rows, mean over seeds.

    real only         the labelled rows (as many of each label, so that class weights change nothing)
    PCA of all rows   the regression on 50 components of labelled and unlabelled rows
    label spreading   on the neighbour graph of 30 such components; test rows take the mean of their 15 neighbours
    self-training     the regression on components, which labels what it is sure of (0.8) and is fitted again
    MODEL             real and synthetic rows, the generator fitted to the labelled rows
    MODEL + rows      the generator fitted to the labelled and the unlabelled rows; `bootstrap + rows` are unlabelled rows
                      themselves with the label that augmentor infers

Arms that `results/few_labels.json` already holds are kept, unless `--again`; one seed of everything is measured first.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor import Augmentor, io
from augmentor.core.alignment import aligned
from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.random import Stream
from augmentor.core.space import Space

SETS = ("pbmc3k", "worm_neurons", "cell_mixology", "heart_disease")
MODELS = ("bootstrap", "gaussian", "copula", "cvae", "flow_matching", "auto")
GENES, EACH, COMPONENTS, GRAPH, NEIGHBOURS = 1000, 100, 50, 30, 15
Values = NDArray[np.float64]
Codes = NDArray[np.intp]


def divided(y: Codes, labelled: int, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of labelled and of test rows; the others have no label."""
    rng = Stream(seed).child("few labels").numpy()
    known, test = np.zeros(len(y), dtype=bool), np.zeros(len(y), dtype=bool)
    for code in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == code))
        test[rows[: len(rows) // 2]] = True
        known[rows[len(rows) // 2 :][:labelled]] = True
    return known, test


def regression() -> LogisticRegression:
    return LogisticRegression(class_weight="balanced", max_iter=1000)


def standardised(x: Values, y: Codes, test: Values) -> Codes:
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-2
    return regression().fit((x - mean) / scale, y).predict((test - mean) / scale)


class Task:
    """One division of a data set."""

    def __init__(self, data: Dataset, labelled: int, seed: int) -> None:
        self.data, self.seed = data, seed
        self.y = data.codes[:, 0].astype(np.intp)
        self.known, self.test = divided(self.y, labelled, seed)
        self.names = data.schema.labels[0].categories
        self.total = float(np.median(np.asarray(data.x.sum(axis=1)).ravel()))
        self.values = self.logged if data.schema.levels is None else common.numbers(data)
        x, pool = self.values(data), ~self.test
        self.own, self.held = x[self.known], x[self.test]
        self.rows, self.codes = x[pool], np.where(self.known[pool], self.y[pool], -1)

    def logged(self, rows: Dataset) -> Values:
        """Log-normalised where rows are counts."""
        x = as_dense(rows.x).astype(np.float64)
        if self.data.schema.space is not Space.COUNTS:
            return x
        return np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * self.total)

    def score(self, calls: Codes) -> float:
        """Macro-F1 of calls for the test rows."""
        return float(f1_score(self.y[self.test], calls, average="macro"))

    def without_synthesis(self) -> dict[str, float]:
        """The arms of somebody who does not believe in synthetic rows."""
        components = PCA(min(COMPONENTS, self.rows.shape[1]), random_state=0).fit(self.rows)
        rows, held = components.transform(self.rows), components.transform(self.held)
        scale, known = rows[:, 0].std() / 10, self.codes >= 0
        out = {"real only": self.score(standardised(self.own, self.y[self.known], self.held))}
        plain = regression().fit(rows[known] / scale, self.codes[known])
        out["PCA of all rows"] = self.score(plain.predict(held / scale))
        spread = LabelSpreading(kernel="knn", n_neighbors=NEIGHBOURS, alpha=0.8, max_iter=100)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.nan_to_num(spread.fit(rows[:, :GRAPH], self.codes).label_distributions_)
        near = (
            NearestNeighbors(n_neighbors=NEIGHBOURS)
            .fit(rows[:, :GRAPH])
            .kneighbors(held[:, :GRAPH], return_distance=False)
        )
        out["label spreading"] = self.score(shares[near].mean(axis=1).argmax(axis=1))
        trained = SelfTrainingClassifier(regression(), threshold=0.8).fit(rows / scale, self.codes)
        out["self-training"] = self.score(trained.predict(held / scale))
        out["all labelled"] = self.score(standardised(self.rows, self.y[~self.test], self.held))
        return out

    def partly_labelled(self) -> Dataset:
        """All rows but the test rows, as a user has them: most without a label."""
        return replace(self.data.take(~self.test), codes=self.codes[:, None].astype(np.int32))

    def with_synthesis(self, model: str, *, unlabelled: bool) -> float:
        """Macro-F1 of the regression on labelled and synthetic rows."""
        rows = self.partly_labelled()
        rows = rows if unlabelled else rows.take(rows.codes[:, 0] >= 0)
        fitted = Augmentor(model, seed=self.seed).fit(rows, holdout=0.0)
        schema = self.data.schema
        made = io.convert(
            fitted.sample(dict.fromkeys(self.names, EACH)), label=schema.labels[0].name, space=str(schema.space)
        )
        made = aligned(made, schema, ours="the data", theirs="the model")
        code = np.array([self.names.index(name) for name in made.labels()])
        x, y = np.vstack([self.own, self.values(made)]), np.concatenate([self.y[self.known], code])
        return self.score(standardised(x, y, self.held))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--labelled", default="3,5,10")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    asked = parser.parse_args()
    kept = common.RESULTS / "few_labels.json"
    results: Results = json.loads(kept.read_text(encoding="utf-8"))["results"] if kept.exists() else {}
    if asked.again:
        results = {key: own for key, own in results.items() if key.split()[0] not in asked.sets.split(",")}
    sets = {name: data for name in asked.sets.split(",") if (data := common.dataset(asked.data, name)) is not None}
    for name, data in sets.items():
        # chosen as `fit` chooses them
        genes = set(Augmentor("bootstrap").fit(data, genes=GENES, holdout=0.0).fitted.schema.features)
        sets[name] = data.select([i for i, gene in enumerate(data.schema.features) if gene in genes])
    for seed, (name, data), labelled in product(range(asked.seeds), sets.items(), map(int, asked.labelled.split(","))):
        own = results.setdefault(f"{name} {labelled}", {})
        measure(Task(data, labelled, seed), [m for m in asked.models.split(",") if common.able(data, m)], own)
        print(name, labelled, seed, {arm: round(v[seed], 3) for arm, v in own.items() if len(v) > seed}, flush=True)
        common.write("few_labels", table(results), {"environment": common.environment(), "results": results})


# "data set, labelled rows of a label" -> arm -> macro-F1 by seed
Results = dict[str, dict[str, list[float]]]


def measure(task: Task, models: list[str], own: dict[str, list[float]]) -> None:
    """Add what this division gives to the arms that do not have it yet."""
    if len(own.get("all labelled", [])) <= task.seed:
        for arm, value in task.without_synthesis().items():
            own.setdefault(arm, []).append(value)
    for model in models:
        for unlabelled in (False, True):
            values = own.setdefault(f"{model} + rows" if unlabelled else model, [])
            if len(values) == task.seed:
                values.append(task.with_synthesis(model, unlabelled=unlabelled))


def table(results: dict[str, dict[str, list[float]]]) -> str:
    arms = list(dict.fromkeys(arm for own in results.values() for arm in own))
    body = []
    for arm in arms:
        cells = [own.get(arm, []) for own in results.values()]
        counts = sorted({len(v) for v in cells})
        seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        body.append([arm, *(common.number(float(np.mean(v)) if v else None) for v in cells), seeds])
    intro = (
        "Macro-F1 on held-out rows, mean over seeds (the first ones, where there are fewer); columns: data set and labelled "
        "rows per label; see `benchmarks/suites/few_labels.py` for the arms.\n\n"
    )
    return intro + common.markdown(["arm", *results, "seeds"], body)


if __name__ == "__main__":
    main()
