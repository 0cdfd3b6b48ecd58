"""Label combinations never seen in training, against the rows left out; and continuous covariates, against held-out rows.

    python benchmarks/suites/conditions.py --data DIR [--models copula,cvae] [--seeds 3] [--again]

Combinations: every combination of two label columns whose categories also occur elsewhere is left out in turn; models are fitted to the
others and asked for it. `copy` are real rows of the nearest seen combination, `real` half of the rows left out against the other half.
Scores, on log-normalised values of 2,000 genes (mixed tables: scaled numbers, one-hot categories), between the drawn rows and the rows
left out: AUC of a forest (cross-validated) by genes and by 20 components; of the mean change from the nearest seen combination over the
genes, Pearson r with the true change, and the error that is left, ‖predicted − true‖² / ‖true‖² (1 for `copy`).

Covariates: for every gene and covariate the slope within labels of log values, over synthetic and over held-out rows; Pearson r over the
genes and regression slope, beside training against held-out rows.

Runs that `results/conditions.json` already holds are kept, unless `--again`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from augmentor_data.build import annotate
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

from augmentor import Augmentor, read
from augmentor.core.alignment import aligned
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.random import Stream
from augmentor.core.schema import LabelColumn
from augmentor.io import convert

GENES = 2000
FEWEST = 25  # rows of a combination that can be left out


def mixology(folder: Path) -> Dataset:
    """Cell lines x protocols: CEL-seq2 and Drop-seq."""
    return read(folder / "cell_mixology.h5ad", label=["cell_line", "protocol"])


def kang(folder: Path) -> Dataset:
    """Cell types, by the marker genes of PBMC3k within each condition, x control or stimulated."""
    data = read(folder / "kang_ifnb.h5ad", label="condition")
    kinds = np.empty(len(data), dtype=object)
    for code in np.unique(data.codes[:, 0]):
        rows = data.codes[:, 0] == code
        found = annotate(sparse.csr_matrix(data.x[rows]), list(data.schema.features))
        kinds[rows] = [{"Naive CD4 T": "T", "Memory CD4 T": "T", "CD8 T": "T"}.get(kind, kind) for kind in found]
    names = tuple(sorted(set(kinds)))
    column = LabelColumn(name="kind", categories=names)
    codes = np.column_stack([[names.index(kind) for kind in kinds], data.codes[:, 0]]).astype(np.int32)
    return replace(data, codes=codes, schema=data.schema.model_copy(update={"labels": (column, *data.schema.labels)}))


def heart(folder: Path) -> Dataset:
    """Patients, ill or not, x sex: a mixed table."""
    return read(folder / "heart_disease.csv", label=["heart_disease", "gender"])


def logged(data: Dataset, target: float = 1e4) -> np.ndarray:
    """Log-normalised values, dense."""
    x = as_dense(data.x).astype(np.float64)
    return np.log1p(x / row_sums(data.x)[:, None] * target)


def auc(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Cross-validated AUC of a forest that tells equally many rows of a and b apart."""
    rng, n = Stream(seed).numpy(), min(len(a), len(b))
    x = np.concatenate([a[rng.permutation(len(a))[:n]], b[rng.permutation(len(b))[:n]]])
    y = np.repeat([0, 1], n)
    forest = RandomForestClassifier(300, max_features="sqrt", min_samples_leaf=2, random_state=seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return float(roc_auc_score(y, cross_val_predict(forest, x, y, cv=folds, method="predict_proba")[:, 1]))


def scores(drawn: np.ndarray, truth: np.ndarray, nearest: np.ndarray, seed: int) -> list[float]:
    """AUC by genes, AUC by components, r of the change, error left."""
    pca = PCA(20, random_state=0).fit(nearest)  # of rows that no AUC compares, but for `copy`
    change, real = drawn.mean(axis=0) - nearest.mean(axis=0), truth.mean(axis=0) - nearest.mean(axis=0)
    r = float(np.corrcoef(change, real)[0, 1]) if change.std() > 1e-12 else 0.0
    return [
        auc(drawn, truth, seed),
        auc(pca.transform(drawn), pca.transform(truth), seed),
        r,
        float(((change - real) ** 2).sum() / (real**2).sum()),
    ]


def unseen(data: Dataset, models: list[str], seed: int, name: str, known: set[tuple[Any, ...]]) -> Iterator[list[Any]]:
    """Leave out every combination in turn; yield what is not known yet."""
    combinations, which = np.unique(data.codes, axis=0, return_inverse=True)
    models = [model for model in models if common.able(data, model)]
    look = logged if data.schema.levels is None else common.numbers(data)
    counts = np.bincount(which.ravel())
    for c, codes in enumerate(combinations):
        others = np.delete(combinations, c, axis=0)
        alone = any(codes[a] not in others[:, a] for a in range(len(codes)))
        if alone or counts[c] < FEWEST:
            continue
        label = "|".join(column.categories[code] for column, code in zip(data.schema.labels, codes, strict=True))
        wanted = [model for model in models if (name, label, model, seed) not in known]
        rest, left = data.take(which.ravel() != c), data.take(which.ravel() == c)
        for model in wanted:
            augmentor = Augmentor(model, seed=seed).fit(rest, genes=GENES, holdout=0.0, min_label_rows=2)
            fitted = augmentor.fitted
            made = convert(
                augmentor.sample({label: len(left)}, seed=seed),
                label=[column.name for column in data.schema.labels],
                space=str(data.schema.space),
            )
            genes = [rest.schema.features.index(gene) for gene in fitted.schema.features]
            made = aligned(made, rest.schema.select(genes), ours="the data", theirs="the model")
            truth = look(left.select(genes))
            lead = fitted.composed((tuple(int(code) for code in codes),)).lead
            anchor = fitted.layout.combinations[int(lead.anchors[0])]
            nearest = look(rest.take((rest.codes == np.array(anchor)).all(axis=1)).select(genes))
            near = "|".join(column.categories[code] for column, code in zip(data.schema.labels, anchor, strict=True))
            rows = {}
            if model == wanted[0] and (name, label, "real", seed) not in known:
                half = Stream(seed).numpy().permutation(len(truth))
                rows["real"] = scores(truth[half[::2]], truth[half[1::2]], nearest, seed)
                rows["copy"] = scores(nearest, truth, nearest, seed)
            rows[model] = scores(look(made), truth, nearest, seed)
            for kind, found in rows.items():
                yield [name, label, near, len(left), kind, seed, *found]


def slopes(data: Dataset) -> np.ndarray:
    """Slopes ``(covariates, genes)`` of log values within labels, covariates in standard units."""
    x, a = logged(data, 100.0), data.covariates / data.covariates.std(axis=0)
    for code in np.unique(data.codes[:, 0]):
        rows = data.codes[:, 0] == code
        x[rows] -= x[rows].mean(axis=0)
        a[rows] -= a[rows].mean(axis=0)
    return np.linalg.lstsq(a, x, rcond=None)[0]


def covariates(folder: Path, models: list[str], seed: int, known: set[tuple[Any, ...]]) -> Iterator[list[Any]]:
    """Position in the cortex as a covariate of 33 genes; yield what is not known yet."""
    data = read(folder / "osmfish_cortex.h5ad", label="cell_type", covariates=["x", "y"])
    for model in models:
        if ("x", model, seed) in known:
            continue
        augmentor = Augmentor(model, seed=seed).fit(data)
        train, holdout = augmentor.split(data)
        made = convert(augmentor.sample(len(train)), label="cell_type", covariates=["x", "y"])
        found = {model: slopes(made)}
        if model == models[0] and ("x", "real", seed) not in known:
            found["real"] = slopes(train)
        truth = slopes(holdout)
        for kind, b in found.items():
            for i, name in enumerate(("x", "y")):
                h = truth[i]
                yield [name, kind, seed, float(np.corrcoef(b[i], h)[0, 1]), float(b[i] @ h / (h @ h))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", default="copula,gaussian,cvae,flow_matching")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    asked = parser.parse_args()
    models = asked.models.split(",")
    kept = common.RESULTS / "conditions.json"
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() and not asked.again else {}
    left: list[list[Any]] = found.get("unseen", [])
    along: list[list[Any]] = found.get("covariates", [])

    def note(rows: list[list[Any]], row: list[Any]) -> None:
        rows.append(row)
        print(*row, flush=True)
        common.write(
            "conditions",
            tables(left, along),
            {"environment": common.environment(), "unseen": left, "covariates": along},
        )

    for seed in range(asked.seeds):
        for row in covariates(
            asked.data, [m for m in models if m != "copula"], seed, {(r[0], r[1], r[2]) for r in along}
        ):
            note(along, row)
        for name, get in (("cell_mixology", mixology), ("kang", kang), ("heart_disease", heart)):
            for row in unseen(get(asked.data), models, seed, name, {(r[0], r[1], r[4], r[5]) for r in left}):
                note(left, row)


def tables(left: list[list[Any]], along: list[list[Any]]) -> str:
    text = (
        "# Conditions\n\nWritten by `benchmarks/suites/conditions.py`; means over seeds. `real`: rows left out against others of "
        "them. `copy`: real rows of the nearest seen combination.\n\n"
        "## Combinations never seen in training\n\n"
    )
    rows = []
    for key in sorted(dict.fromkeys((row[0], row[1], row[4]) for row in left), key=lambda key: key[:2]):
        own = [row for row in left if (row[0], row[1], row[4]) == key]
        values = np.mean([row[6:] for row in own], axis=0)
        left_out, nearest = (name.replace("|", " / ") for name in (key[1], own[0][2]))
        cells = [common.number(float(v)) for v in values]
        rows.append([key[0], left_out, nearest, str(own[0][3]), key[2], *cells, str(len(own))])
    header = ["data", "left out", "nearest seen", "rows", "", "AUC genes", "AUC PCs", "r of the change", "error left"]
    text += common.markdown([*header, "seeds"], rows)
    rows = []
    for key in dict.fromkeys((row[0], row[1]) for row in along):
        own = [row[3:] for row in along if (row[0], row[1]) == key]
        rows.append([*key, *[common.number(float(v)) for v in np.mean(own, axis=0)], str(len(own))])
    text += "\n## Covariates\n\nosmfish, 33 genes, position x and y in the tissue; `real`: training rows.\n\n"
    return text + common.markdown(["covariate", "", "r with held-out slopes", "size of the slopes", "seeds"], rows)


if __name__ == "__main__":
    main()
