"""Small real data for the battery, the way it fits a model to them, and what it measures of rows."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import augmentor_data
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from augmentor import io
from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.fitted import Fitted
from augmentor.fitting import fit
from augmentor.preparing import Options, prepare
from augmentor.preprocess import chain, genes

CELLS = {"Naive CD4 T": 100, "B": 80, "CD14+ Mono": 80, "NK": 38, "Platelet": 2}
FEWEST = 20  # rows of a label from which its moments are compared

# settings that make a fit of the battery fast, by whether the model is trained
FAST: dict[bool, dict[str, Any]] = {True: {"epochs": 15}, False: {}}
FASTEST: dict[bool, dict[str, Any]] = {True: {"epochs": 2}, False: {}}


@lru_cache
def small(name: str) -> Dataset:
    """Return the small data set of a space.

    ``counts``: 300 cells x 120 genes of PBMC3k, sparse, one label with 2 rows. ``log``: the same, log-normalised.
    ``continuous``: 83 tumours x 60 genes of Khan, dense. ``wide``: ``counts`` with 2,000 genes. ``mixed``: see `table`.
    """
    if name == "mixed":
        return io.from_frame(table(), label=["diagnosis", "skin"])
    if name == "log":
        counts = small("counts")
        schema = counts.schema.model_copy(update={"space": Space.LOG, "dtype": "float32", "integer": False})
        return Dataset.checked(sparse.csr_matrix(logged(counts)), schema, counts.codes)
    if name == "continuous":
        whole = io.read(augmentor_data.path("khan"), label="tumour")
        return whole.select(genes.select(whole, 60))
    whole = io.read(augmentor_data.path("pbmc3k"), label="celltype")
    labels = whole.labels()
    rows = np.concatenate([np.flatnonzero(labels == label)[:n] for label, n in CELLS.items()])
    cells = whole.take(np.sort(rows))
    return cells.select(genes.select(cells, 2000 if name == "wide" else 120))


def table() -> pd.DataFrame:
    """Breast tumours of scikit-learn as a clinic would keep them: 300 rows of numbers, whole numbers, flags, categories and gaps."""
    from sklearn.datasets import load_breast_cancer

    whole = load_breast_cancer(as_frame=True)
    real, rng = whole.frame.iloc[:300].reset_index(drop=True), np.random.default_rng(0)
    shape = pd.qcut(real["mean compactness"], 3, labels=["round", "oval", "star, ragged"]).astype(object)
    return pd.DataFrame(
        {
            "radius": real["mean radius"],
            "texture": real["mean texture"].mask(rng.random(300) < 0.15),
            "area": np.rint(real["mean area"]).astype(np.int64),
            "symmetry": real["mean symmetry"].round(2).astype(np.float32),
            "concavity": np.where(real["mean concavity"] < 0.06, 0, real["mean concavity"]),
            "grade": pd.qcut(real["worst texture"], 4, labels=False) + 1,
            "nodes": pd.Series(rng.poisson(1 + real["worst area"] / 400).astype(float)).mask(rng.random(300) < 0.1),
            "large": real["worst area"] > real["worst area"].median(),
            "shape": shape.mask(rng.random(300) < 0.1, None),
            "stage": pd.cut(real["worst radius"], [0, 13, 17, 22, 99], labels=["I", "II", "III", "IV"], ordered=True),
            "site": rng.choice(["left", "right"], 300),
            "skin": np.where(real["worst smoothness"] > real["worst smoothness"].median(), "rough", "smooth"),
            "diagnosis": whole.target_names[real["target"]],
        }
    )


def settings(model: str, table: dict[bool, dict[str, Any]]) -> dict[str, Any]:
    """Fast settings, as far as the model has them."""
    kind = MODELS.get(model)
    return {name: value for name, value in table[kind.spec.trained].items() if name in kind.Config.model_fields}


def fit_to(dataset: Dataset, model: str, table: dict[bool, dict[str, Any]] = FASTEST, **options: Any) -> Fitted:
    """Fit a model to all rows of a data set."""
    chosen = Options(model=model, settings=settings(model, table), holdout=0.0, device="cpu", **options)
    return fit(prepare(dataset, chosen), chosen)


@lru_cache
def fitted(model: str, data: str) -> Fitted:
    """The battery's fit of a model to one of its data sets; fitted once, and never changed by a test."""
    return fit_to(small(data), model, FAST)


@lru_cache
def bare(model: str, data: str) -> Fitted:
    """The same without marginal calibration, so that what is measured was learnt by the model."""
    return fit_to(small(data), model, FAST, calibrate=False)


def encoded(model: str, data: str) -> Encoded:
    """The data in the space of a model, as `fit` gives it."""
    dataset, kind = small(data), MODELS.get(model)
    size = row_sums(dataset.x) if dataset.schema.space is Space.COUNTS else None
    steps, x = chain.Chain.fit(chain.plan(dataset, kind.spec), dataset.x, size, dataset.schema.space)
    combinations, condition = np.unique(dataset.codes, axis=0, return_inverse=True)
    layout = Layout(
        space=steps.space,
        features=x.shape[1],
        categories=tuple(len(column.categories) for column in dataset.schema.labels),
        combinations=tuple(tuple(int(code) for code in codes) for codes in combinations),
        rows=len(dataset),
        levels=steps.levels,
    )
    given = Given(condition.ravel().astype(np.intp), dataset.codes, np.zeros((len(dataset), 0)), size)
    return Encoded(x, given, np.zeros(len(dataset), dtype=bool), layout)


def changed(dataset: Dataset, values: NDArray[np.float32]) -> Dataset:
    """The data set with other values of the same features."""
    x = io.from_arrays(values, space=str(dataset.schema.space)).x
    return replace(dataset, x=type(dataset.x)(x) if dataset.schema.sparse else x)


def logged(dataset: Dataset) -> NDArray[np.float64]:
    """Rows on the scale on which they are compared: counts log-normalised to 1,000, others as they are.

    Columns of a mixed table: numbers in units of their spread, categories one-hot, and an indicator of missing values.
    """
    x = as_dense(dataset.x).astype(np.float64)
    if dataset.schema.space is Space.MIXED:
        spread = dict(zip(small("mixed").schema.features, np.nanstd(small("mixed").x, axis=0), strict=True))
        parts = [np.isnan(x)]
        for values, name, levels in zip(x.T, dataset.schema.features, dataset.schema.levels or (), strict=True):
            number = np.nan_to_num(values[:, None]) / spread[name]
            parts.append(number if levels is None else values[:, None] == np.arange(len(levels)))
        return np.hstack(parts).astype(np.float64)
    return np.log1p(x / x.sum(axis=1, keepdims=True) * 1000) if dataset.schema.space is Space.COUNTS else x


def moments(x: NDArray[np.float64], codes: NDArray[np.int32]) -> dict[str, NDArray[np.float64]]:
    """Class means, variances and zero shares, ``(labels, features)`` each, in the order of the codes present."""
    parts = [x[codes == code] for code in np.unique(codes)]
    return {
        "means": np.stack([part.mean(axis=0) for part in parts]),
        "variances": np.stack([part.var(axis=0) for part in parts]),
        "zeros": np.stack([(part == 0).mean(axis=0) for part in parts]),
    }


def margins(dataset: Dataset, classes: NDArray[np.intp]) -> dict[str, NDArray[np.float64]]:
    """Deciles of numbers in units of their spread, shares of categories and of missing values: one row per class."""
    spread = np.nanstd(small("mixed").x, axis=0)
    numbers, shares, missing = [], [], []
    for part in (dataset.x[classes == c] for c in np.unique(classes)):
        missing.append(np.isnan(part).mean(axis=0))
        columns = list(zip(part.T, spread, dataset.schema.levels or (), strict=True))
        tenths = np.arange(0.1, 0.95, 0.1)
        numbers.append([np.nanquantile(v, tenths) / sd for v, sd, levels in columns if levels is None])
        shares.append(np.hstack([[(v == k).mean() for k in range(len(levels))] for v, _, levels in columns if levels]))
    return {"numbers": np.array(numbers), "categories": np.array(shares), "missing": np.array(missing)}


def frequent(dataset: Dataset) -> Dataset:
    """The rows of labels with enough rows to be compared."""
    _, inverse, counts = np.unique(dataset.codes, axis=0, return_inverse=True, return_counts=True)
    return dataset.take(counts[inverse.ravel()] >= FEWEST)
