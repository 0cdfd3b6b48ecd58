"""A few rows of one's own and many of another protocol or condition: what does a reference give, and what does adapting it?

    python benchmarks/suites/reference.py --data DIR [--tasks dropseq,...] [--rows 5,10,20] [--seeds 3] [--model copula]

    dropseq          cell lines by Drop-seq are one's own, those by CEL-seq2 the reference (cell_mixology)
    dropseq shallow  the same, all cells thinned to 300 counts, where cell lines are hard to tell
    celseq2 shallow  the other way round, 300 counts, the three lines that both have
    kang             stimulated PBMC are one's own, unstimulated ones the reference; no cell types, all rows are learned as one kind

Of every label ``n`` rows are one's own (kang: 3 n rows in all), the other rows of the same protocol test. 1,000 genes.

Macro-F1 on the test rows of a logistic regression on log-normalised, standardised values (C = 0.01, labels weigh the same):

    real only         one's own rows
    as it is          own rows and the reference rows as they are
    adapted           own rows, and 300 per label drawn from own and adapted reference rows (`bootstrap --reference`)
    MODEL             own rows and 100 synthetic rows per label, the model fitted to own rows
    MODEL reference   the same, fitted with --reference
    spreading         label spreading over components of own rows, the reference as it is and the test rows (it sees those)

Forest AUC against test rows, as many of each label (0.50: not to be told from them): of the reference as it is, of `bootstrap --reference`
(mostly adapted reference rows), and of the model without and with a reference.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor import Augmentor, io, read
from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.random import Stream

TASKS = ("dropseq", "dropseq shallow", "celseq2 shallow", "kang")
GENES, EACH, SHALLOW = 1000, 100, 300
F1 = ("real only", "as it is", "adapted", "model", "model reference", "spreading")
AUC = ("as it is", "adapted", "model", "model reference")
Values = NDArray[np.float64]


def thinned(data: Dataset, total: int) -> Dataset:
    """Every cell with at most this many counts."""
    x = sparse.csr_matrix(data.x, copy=True)
    share = np.minimum(total / np.asarray(x.sum(axis=1)).ravel(), 1)
    x.data = Stream(0).child("thinned").numpy().binomial(x.data.astype(int), np.repeat(share, np.diff(x.indptr)))
    x = x.astype(np.float32)
    x.eliminate_zeros()
    return replace(data, x=x)


def sides(folder: Path, task: str) -> tuple[Dataset, Dataset]:
    """Rows of here and of the reference."""
    if task == "kang":
        data = read(folder / "kang_ifnb.h5ad", label="condition")
        name = data.labels().astype(str)
        data = replace(
            data, schema=data.schema.model_copy(update={"labels": ()}), codes=np.zeros((len(data), 0), np.int32)
        )
        here = name == "stim"
    else:
        data = read(folder / "cell_mixology.h5ad", label="cell_line", group="protocol")
        here = data.groups.astype(str) == task.split()[0]  # type: ignore[union-attr]
        both = set(data.codes[here, 0]) & set(data.codes[~here, 0])
        shared = np.isin(data.codes[:, 0], list(both))
        data, here = data.take(shared), here[shared]
        data = replace(data, groups=None)
        data = thinned(data, SHALLOW) if "shallow" in task else data
    kept = set(Augmentor("bootstrap").fit(replace(data, groups=None), genes=GENES, holdout=0.0).fitted.schema.features)
    data = data.select([i for i, gene in enumerate(data.schema.features) if gene in kept])
    seen = np.asarray(data.x.sum(axis=1)).ravel() > 0
    data, here = data.take(seen), here[seen]
    return data.take(here), data.take(~here)


def values(data: Dataset) -> Values:
    x = as_dense(data.x).astype(np.float64)
    return np.log1p(x / np.maximum(x.sum(axis=1, keepdims=True), 1) * 1e4)


def labels(data: Dataset) -> NDArray[np.int32]:
    return data.codes[:, 0] if data.schema.labels else np.zeros(len(data), np.int32)


def score(parts: list[Dataset], test: Dataset) -> float:
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=300)
    x, y = np.vstack([values(part) for part in parts]), np.concatenate([labels(part) for part in parts])
    calls = make_pipeline(StandardScaler(), model).fit(x, y).predict(values(test))
    return float(f1_score(labels(test), calls, average="macro"))


def spreading(own: Dataset, reference: Dataset, test: Dataset) -> float:
    x = PCA(30, random_state=0).fit_transform(np.vstack([values(side) for side in (own, reference, test)]))
    y = np.concatenate([labels(own), labels(reference), np.full(len(test), -1)])
    model = LabelSpreading(kernel="knn", n_neighbors=15, alpha=0.8, max_iter=100)
    with np.errstate(invalid="ignore", divide="ignore"):
        calls = np.nan_to_num(model.fit(x, y).label_distributions_)[-len(test) :].argmax(axis=1)
    return float(f1_score(labels(test), model.classes_[calls], average="macro"))


def told_apart(rows: Dataset, test: Dataset, seed: int) -> float:
    generator, ours, theirs = Stream(seed).numpy(), [], []
    for c in np.unique(labels(test)):
        mine, yours = (generator.permutation(np.flatnonzero(labels(side) == c)) for side in (rows, test))
        n = min(len(mine), len(yours), EACH)
        ours.append(mine[:n])
        theirs.append(yours[:n])
    a, b = np.concatenate(ours), np.concatenate(theirs)
    x = np.vstack([values(rows)[a], values(test)[b]])
    forest = RandomForestClassifier(200, min_samples_leaf=3, random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(forest, x, np.repeat([0, 1], [len(a), len(b)]), cv=folds, scoring="roc_auc").mean())


def drawn(model: str, own: Dataset, reference: Dataset | None, seed: int, each: int = EACH) -> Dataset:
    fitted = Augmentor(model, seed=seed, device="cpu").fit(own, reference=reference, holdout=0.0)
    kinds = [column.name for column in own.schema.labels]
    made = fitted.sample(dict.fromkeys(fitted.labels, each if kinds else 3 * each))
    return io.convert(made, label=kinds or None, space="counts")


def measured(here: Dataset, reference: Dataset, model: str, n: int, seed: int) -> dict[str, float]:
    rng, y = Stream(seed).child("own").numpy(), labels(here)
    each = n if here.schema.labels else 3 * n
    own = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:each] for c in np.unique(y)])
    few, test = here.take(np.sort(own)), here.take(np.setdiff1d(np.arange(len(here)), own))
    made = {
        "as it is": reference,
        "adapted": drawn("bootstrap", few, reference, seed, 3 * EACH),
        "model": drawn(model, few, None, seed),
        "model reference": drawn(model, few, reference, seed),
    }
    out = {f"auc {name}": told_apart(rows, test, seed) for name, rows in made.items()}
    if here.schema.labels:
        out |= {f"f1 {name}": score([few, rows], test) for name, rows in made.items()}
        out |= {"f1 real only": score([few], test), "f1 spreading": spreading(few, reference, test)}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--rows", default="5,10,20")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--model", default="copula")
    asked = parser.parse_args()
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    for task in asked.tasks.split(","):
        here, reference = sides(asked.data, task)
        for n in map(int, asked.rows.split(",")):
            for seed in range(asked.seeds):
                row = measured(here, reference, asked.model, n, seed)
                results.setdefault(task, {}).setdefault(str(n), []).append(row)
                print(task, n, seed, {name: round(value, 3) for name, value in row.items()}, flush=True)
            record: dict[str, Any] = {"environment": common.environment(), "model": asked.model, "results": results}
            common.write("reference", table(results, asked.model, asked.seeds), record)


def table(results: dict[str, Any], model: str, seeds: int) -> str:
    text = (
        f"# A reference, mean over {seeds} seeds\n\nWritten by `benchmarks/suites/reference.py`; its head says what the rows of the "
        f"tables are; the model is `{model}`.\n"
    )
    for kind, names, title in (("f1", F1, "Macro-F1 on test rows"), ("auc", AUC, "Forest AUC against test rows")):
        cells = [
            (f"{task}, {n}", found)
            for task, own in results.items()
            for n, found in own.items()
            if f"{kind} model" in found[0]
        ]
        body = [
            [name, *(common.number(float(np.mean([row[f"{kind} {name}"] for row in found]))) for _, found in cells)]
            for name in names
        ]
        text += f"\n## {title}\n\n{common.markdown(['', *(head for head, _ in cells)], body)}"
    return text


if __name__ == "__main__":
    main()
