"""What the suites share: data with its label, a held-out part, a measured fit, tables."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does, before torch is loaded

import numpy as np
from augmentor_data import path as bundled

from augmentor import Augmentor, __version__, evaluate, read
from augmentor.core.dataset import Dataset
from augmentor.core.registry import MODELS as MODEL_REGISTRY
from augmentor.core.space import Space
from augmentor.evaluation.score import Report
from augmentor.io import convert

RESULTS = Path(__file__).parent / "results"
MODELS = (
    *("bootstrap", "jitter", "mixup", "smote", "gaussian", "copula"),
    *("autoencoder", "cvae", "cgan", "vqvae", "flow", "autoregressive", "diffusion", "flow_matching"),
)


# file, label, extra options of fit
SETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "pbmc3k": ("pbmc3k.h5ad", "celltype", {}),
    "worm_neurons": ("worm_neurons.h5ad", "cluster", {}),
    "cell_mixology": ("cell_mixology.h5ad", "cell_line", {}),
    "golub": ("golub_leukemia.h5ad", "subtype", {}),
    "khan": ("khan_srbct.h5ad", "tumour", {}),
    "khan_csv": ("khan_srbct.csv", "tumour", {}),
    "heart_disease": ("heart_disease.csv", "heart_disease", {}),
    "kang": ("kang_ifnb.h5ad", "condition", {}),
    "cervical": ("cervical_mirna.h5ad", "condition", {}),
    "nci60": ("nci60.h5ad", "tissue", {"min_label_rows": 2}),
    "osmfish": ("osmfish_cortex.h5ad", "cell_type", {}),
    "tcga_brca": ("tcga_brca_multiomics.h5ad", "subtype", {}),
}
BUNDLED = {"pbmc3k": "pbmc3k", "khan": "khan"}


def source(folder: Path | None, name: str) -> Path | None:
    """Where a data set is: in the folder, else bundled, else nowhere."""
    file = None if folder is None else folder / SETS[name][0]
    if file is not None and file.exists():
        return file
    return Path(bundled(BUNDLED[name])) if name in BUNDLED else None


def dataset(folder: Path | None, name: str) -> Dataset | None:
    """A data set with its label, or None where it is not at hand."""
    file = source(folder, name)
    return None if file is None else read(file, label=SETS[name][1])


def pbmc() -> Dataset:
    """Bundled PBMC3k, all genes."""
    return read(bundled("pbmc3k"), label="celltype")


def fitted(data: Any, model: str, seed: int, **options: Any) -> tuple[Augmentor, Dataset, Dataset, float]:
    """Fit a model; return it with its training rows, its held-out rows and the seconds it took."""
    begun = time.perf_counter()
    augmentor = Augmentor(model, seed=seed, device="cpu").fit(data, **options)
    seconds = time.perf_counter() - begun
    train, holdout = augmentor.split(data)
    return augmentor, train, holdout, seconds


def drawn(augmentor: Augmentor, rows: int, seed: int) -> tuple[Dataset, float]:
    """Draw rows; return them as a data set with the seconds it took."""
    begun = time.perf_counter()
    synthetic = augmentor.sample(rows, seed=seed)
    seconds = time.perf_counter() - begun
    label = [column.name for column in augmentor.fitted.schema.labels]
    return convert(synthetic, label=label, space=str(augmentor.fitted.schema.space)), seconds


def only(data: Dataset, features: tuple[str, ...]) -> Dataset:
    """These features, in this order."""
    return data.select([data.schema.features.index(name) for name in features])


def numbers(whole: Dataset) -> Callable[[Dataset], np.ndarray]:
    """How rows of a mixed table are looked at: numbers in units of all rows, their median where missing, and one-hot categories."""
    levels = whole.schema.levels or (None,) * whole.features
    middle, width = np.nanmedian(whole.x, axis=0), np.nanstd(whole.x, axis=0)

    def of(rows: Dataset) -> np.ndarray:
        return np.column_stack(
            [
                (np.where(np.isnan(x), middle[j], x) - middle[j]) / width[j]
                if level is None
                else x[:, None] == np.arange(len(level))
                for j, (x, level) in enumerate(zip(rows.x.T, levels, strict=True))
            ]
        )

    return of


def able(data: Dataset, model: str) -> bool:
    """Whether a model is for such data: mixed tables are not led to other spaces."""
    return (
        model not in MODELS
        or data.schema.space is not Space.MIXED
        or Space.MIXED in MODEL_REGISTRY.get(model).spec.spaces
    )


def judged(synthetic: Dataset, train: Dataset, holdout: Dataset, metrics: Any = "default", seed: int = 0) -> Report:
    """Evaluate against the held-out rows, on the genes that were modelled."""
    train, holdout = (only(rows, synthetic.schema.features) for rows in (train, holdout))
    return evaluate(synthetic, train=train, holdout=holdout, metrics=metrics, seed=seed)


def within_variance_ratio(synthetic: Dataset, train: Dataset) -> float:
    """Median over genes (expressed in a tenth of the rows) of within-label variance, synthetic over training."""
    from augmentor.core.dataset import as_dense

    def within(data: Dataset) -> np.ndarray:
        x = as_dense(data.x).astype(np.float64)
        parts = [x[data.codes[:, 0] == c] for c in np.unique(data.codes[:, 0])]
        return np.average(
            [p.var(axis=0) for p in parts if len(p) > 1], axis=0, weights=[len(p) for p in parts if len(p) > 1]
        )

    seen = np.asarray((train.x != 0).mean(axis=0)).ravel() > 0.1
    theirs = within(train)
    seen &= theirs > 0
    return float(np.median(within(synthetic)[seen] / theirs[seen]))


def measured(command: list[str], folder: str | Path) -> tuple[float, float]:
    """Run a command; return seconds and peak memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed: {process.stderr.read().decode() if process.stderr else ''}")
    return time.perf_counter() - begun, usage.ru_maxrss / 2**10


def environment() -> dict[str, Any]:
    """Where the numbers are from."""
    return {"augmentor": __version__, "python": platform.python_version(), "cores": os.cpu_count()}


def write(name: str, table: str, data: Any, *, indent: int | None = 1) -> None:
    """Write `results/NAME.md` and `.json`; without indent where the latter is large."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(table, encoding="utf-8")
    text = json.dumps(data, indent=indent, separators=(",", ":") if indent is None else None)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def number(value: float | None, digits: int = 3) -> str:
    """Three digits without a leading zero too many; a dash for nothing."""
    return "–" if value is None else f"{value:.{digits}f}"


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
