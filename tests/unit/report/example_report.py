"""A realistic finished evaluation, made from a seeded generator: what the writers of reports are tested on."""

from __future__ import annotations

from typing import Any

import numpy as np

from augmentor.core.random import Stream
from augmentor.evaluation.score import (
    Ceiling,
    Failed,
    Interval,
    LabelValue,
    Report,
    Rows,
    Score,
    ScoreSpec,
    Verdict,
    Warned,
)

LABELS = ("CD4 T cells", "CD14+ Monocytes", "B cells", "CD8 T cells", "NK cells", "Dendritic cells")
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>\"&'",
    "{{ 7*7 }} $x^2$ [red]bold[/red]",
    "_line\nbreak \x1b[31m",
)

# name, axis, title, goal, ideal, floor, headline, value, ceiling, floor value, per label
_SCORES: tuple[tuple[Any, ...], ...] = (
    ("moments.mean", "fidelity", "Gene means", "maximize", 1, "means", False, 0.996, 0.999, 0.999, True),
    ("moments.variance", "fidelity", "Dispersion ratio", "target", 1, "means", True, 0.91, 1.0, 0.0, True),
    ("zeros.difference", "fidelity", "Zero fraction", "minimize", 0, "means", False, 0.021, 0.008, 0.41, True),
    ("library_size.ks", "fidelity", "Library size", "minimize", 0, None, False, 0.06, 0.04, None, True),
    ("divergence.js", "fidelity", "Jensen–Shannon", "minimize", 0, "means", False, 0.034, 0.019, 0.62, True),
    ("correlation.within", "fidelity", "Co-expression", "maximize", None, "independent", True, 0.21, 0.34, 0.0, True),
    ("mmd", "fidelity", "MMD²", "minimize", 0, "independent", False, 0.0007, -0.0002, 0.0041, False),
    ("precision_recall.recall", "fidelity", "Recall", "maximize", None, "independent", True, 0.84, 0.9, 0.6, True),
    ("discriminator.rf_genes", "fidelity", "Forest, genes", "target", 0.5, "independent", True, 0.71, 0.49, 0.9, True),
    ("discriminator.rf_pcs", "fidelity", "Forest, PCs", "target", 0.5, "independent", True, 0.58, 0.5, 0.75, True),
    ("embedding_overlap", "fidelity", "UMAP overlap", "maximize", None, "independent", False, 0.8, 0.88, 0.31, True),
    ("fold_change.slope", "biology", "Fold-change slope", "target", 1, "permuted", True, 0.78, 1.0, 0.02, True),
    ("fold_change.agreement", "biology", "Fold-change r", "maximize", None, "permuted", False, 0.97, 0.98, 0.1, True),
    ("transfer.trtr", "utility", "Real to real", "maximize", 1, None, False, 0.912, None, None, True),
    ("transfer.tstr", "utility", "Synthetic to real", "maximize", None, "permuted", True, 0.895, 0.91, 0.14, True),
    ("transfer.trts", "utility", "Real to synthetic", "maximize", None, "permuted", False, 0.94, 0.91, 0.15, True),
    ("nearest_train.excess", "privacy", "Copies", "target", 0, None, True, 0.02, -0.01, None, True),
    ("duplicates", "privacy", "Verbatim rows", "minimize", 0, None, False, 0.0, 0.0, None, False),
)

# name, title, value, detail of the scores that pictures of usefulness are drawn from
_USEFUL: tuple[tuple[str, str, float, dict[str, Any]], ...] = (
    ("augmentation_gain", "Gain", 0.005, {"rf": {"gain": 0.004, "sd": 0.026}}),
    (
        "learning_curve.worth",
        "Worth in rows",
        37.0,
        {
            "rows": [25, 50, 100, 200, 400],
            "balanced_accuracy": [0.61, 0.7, 0.77, 0.82, 0.85],
            "sd": [0.04, 0.03, 0.02, 0.01, None],
            "draws": 10,
            "fit": {"a": 0.1, "b": 2.2, "c": 0.6},
            "gain": 0.01,
            "gain_sd": 0.008,
            "low": 12.0,
            "high": 80.0,
        },
    ),
)


def example(*, hostile: bool = False, labels: tuple[str, ...] = LABELS, rows: int = 900, genes: int = 300) -> Report:
    """Return a report with headline and other scores, flags, warnings, a failure, a skip and every figure."""
    names = (*labels, *HOSTILE) if hostile else labels
    rng = Stream(0).child("example report").numpy()
    scores = {spec[0]: _score(spec, names, rng) for spec in _SCORES}
    skipped = scores["embedding_overlap"].spec.model_copy(update={"name": "frechet", "title": "Fréchet distance"})
    scores["frechet"] = Score(spec=skipped, value=None, skipped="needs 10 rows per dimension (300), found 120")
    spec = scores["transfer.tstr"].spec.model_copy(update={"headline": False, "floor": None})
    for name, title, value, detail in _USEFUL:
        own = spec.model_copy(update={"name": name, "title": title})
        found = Interval(low=value - 0.05, high=value + 0.05, method="paired")
        scores[name] = Score(spec=own, value=value, interval=found, detail=detail)
    counts = {label: int(30 + 400 * 0.6**index) for index, label in enumerate(names)}
    sets = {
        name: Rows(rows=sum(counts.values()), genes=genes, labels=counts, digest=f"{index}f3a9c", name=f"{name}.h5ad")
        for index, name in enumerate(("synthetic", "train", "holdout"))
    }
    return Report(
        augmentor="0.1.0",
        created="2026-11-21T09:30:00+00:00",
        seed=0,
        label="celltype",
        command="augment evaluate synthetic.h5ad --real expr.h5ad --label celltype",
        data=sets,
        space={"policy": "disjoint", "kind": "counts", "genes": genes, "pcs": 30, "digest": "9b1c", "folds": 2},
        arms=("synthetic", "ceiling", "independent", "permuted", "means"),
        warnings=(
            Warned(code="no_groups", text="No groups were given: rows of one donor may stand on both sides."),
            Warned(code="attenuated", text=f"Effects of '{names[-1]}' are attenuated.", affects=("fold_change.slope",)),
        ),
        verdicts={
            "fidelity": Verdict(
                verdict="distinguishable",
                sentence="A random forest tells synthetic from held-out rows with AUC 0.71; real rows score 0.49.",
            ),
            "biology": Verdict(verdict="close", sentence="Fold changes have 78 % of their real size."),
            "utility": Verdict(verdict="like real", sentence="A classifier reaches 98 % of what real rows teach it."),
            "privacy": Verdict(
                verdict="no leak found by these attacks", sentence="Rows are no closer to training than to held-out."
            ),
            "augmentation": Verdict(
                verdict="not enough evidence",
                sentence="One synthetic set gives one paired split; run compare to refit the model on each split.",
            ),
        },
        scores=scores,
        failed=(Failed(metric="hubness", error=f"ValueError: no neighbours for {names[-1]}"),),
        figures=_figures(names, rows, genes, rng),
        environment={
            "versions": {"python": "3.11.2", "numpy": "2.4.6"},
            "cpu": "2 cores",
            "seconds": 61.5,
        },
    )


def _score(row: tuple[Any, ...], labels: tuple[str, ...], rng: np.random.Generator) -> Score:
    name, axis, title, goal, ideal, floor, headline, value, ceiling, floor_value, per_label = row
    spec = ScoreSpec(
        name=name,
        axis=axis,
        title=title,
        meaning=f"{title}: what synthetic rows reach beside what real rows reach in their place.",
        goal=goal,
        ideal=ideal,
        floor=floor,
        formula="mean over labels of |S − H| / sd_H",
        catches="lost genes, wrong scale",
        misses="dependence between genes",
        citation="Lopez-Paz & Oquab 2017",
        interval="subsample",
        headline=headline,
    )
    spread = 0.02 + 0.04 * abs(value)
    values = {label: LabelValue(value=float(value + spread * rng.standard_normal()), n=200) for label in labels}
    if per_label:
        values[labels[-1]] = LabelValue(value=None, n=7, reason="7 rows, at least 25 are needed")
    normalised = None
    if ceiling is not None and floor_value is not None:
        target = ideal if goal == "target" else 0.0
        low, high, own = ((abs(x - target) if goal == "target" else x) for x in (floor_value, ceiling, value))
        normalised = (own - low) / (high - low) if high != low else None
    return Score(
        spec=spec,
        value=value,
        ceiling=None if ceiling is None else Ceiling(mean=ceiling, sd=0.01, draws=5),
        floors={} if floor is None else {floor: floor_value},
        per_label=values if per_label else {},
        interval=Interval(low=value - spread / 2, high=value + spread / 2, method="delete-half subsampling, R = 5"),
        normalised=normalised,
        flags=("attenuated",) if name == "fold_change.slope" else (),
        n_used=600,
        space="30 PCs of log-normalised counts",
        seconds=0.8,
        detail={
            "worst_genes": ["MALAT1", "LYZ"],
            "p": 0.005,
            "resampled": [[float(value + spread / 4 * rng.standard_normal()) for _ in range(3)] for _ in range(2)],
        },
    )


def _figures(labels: tuple[str, ...], rows: int, genes: int, rng: np.random.Generator) -> dict[str, dict[str, Any]]:
    code = rng.choice(len(labels), size=2 * rows, p=_shares(len(labels)))
    centre = 9 * np.stack([np.cos(np.arange(len(labels)) * 2.4), np.sin(np.arange(len(labels)) * 2.4)], axis=1)
    centre *= (0.4 + 0.6 * np.arange(len(labels)) / len(labels))[:, None]
    place = centre[code] + rng.standard_normal((2 * rows, 2)) * [1.2, 0.8]
    mean = rng.gamma(0.6, 0.8, genes)
    sd = 0.3 * np.sqrt(mean) + 0.05 * rng.random(genes)
    some = 60
    loadings = rng.standard_normal((some, 4)) * (rng.random((some, 4)) < 0.3)
    real = _correlation(loadings, 1.0)
    change = rng.standard_normal((3, 200))
    edges = np.linspace(6.5, 9.5, 41)
    fpr = np.linspace(0, 1, 60)
    return {
        "umap": {
            "x": place[:, 0].tolist(),
            "y": place[:, 1].tolist(),
            "label": [labels[i] for i in code],
            "origin": ["real"] * rows + ["synthetic"] * rows,
        },
        "moments": {
            "genes": [f"GENE{i}" for i in range(genes)],
            "mean_real": mean.tolist(),
            "mean_synthetic": (mean * rng.normal(1, 0.06, genes)).tolist(),
            "sd_real": sd.tolist(),
            "sd_synthetic": (0.93 * sd * rng.normal(1, 0.08, genes)).tolist(),
            "mean_ceiling": (mean * rng.normal(1, 0.03, genes)).tolist(),
            "sd_ceiling": (sd * rng.normal(1, 0.04, genes)).tolist(),
        },
        "correlation": {
            "genes": [f"GENE{i}" for i in range(some)],
            "real": real.tolist(),
            "synthetic": (0.7 * real + 0.3 * np.eye(some)).tolist(),
        },
        "fold_change": {
            "genes": [f"GENE{i}" for i in range(200)] * 3,
            "label": [label for label in labels[:3] for _ in range(200)],
            "real": change.ravel().tolist(),
            "synthetic": (0.78 * change + 0.1 * rng.standard_normal((3, 200))).ravel().tolist(),
            "slope": 0.78,
            "ceiling_slope": 1.0,
        },
        "roc": {
            "fpr": fpr.tolist(),
            "tpr": (fpr**0.4).tolist(),
            "auc": 0.71,
            "ceiling_fpr": fpr.tolist(),
            "ceiling_tpr": (fpr**1.02).tolist(),
            "ceiling_auc": 0.49,
            "ceiling_low": (fpr**1.12).tolist(),
            "ceiling_high": (fpr**0.93).tolist(),
            "ceiling_draws": 3,
        },
        "library_size": _histograms(edges, real=rng.normal(8, 0.35, 900), synthetic=rng.normal(8.02, 0.3, 900)),
        "zeros": _histograms(np.linspace(0.75, 1, 31), real=rng.beta(60, 6, 900), synthetic=rng.beta(70, 7, 900)),
        "nearest": _histograms(
            np.linspace(0, 12, 41),
            synthetic_train=rng.gamma(20, 0.3, 900),
            synthetic_holdout=rng.gamma(21, 0.3, 900),
            holdout_train=rng.gamma(22, 0.28, 900),
        ),
        "prdc": {
            "names": ["precision", "recall", "density", "coverage"],
            "synthetic": [0.95, 0.84, 1.08, 0.88],
            "ceiling": [0.92, 0.9, 1.01, 0.95],
            "floor": [0.7, 0.6, 0.5, 0.55],
        },
    }


def _histograms(edges: np.ndarray, **values: np.ndarray) -> dict[str, Any]:
    counts = {name: np.histogram(item, bins=edges, density=True)[0].tolist() for name, item in values.items()}
    return {"edges": edges.tolist(), **counts}


def _correlation(loadings: np.ndarray, scale: float) -> np.ndarray:
    covariance = scale * loadings @ loadings.T + np.eye(len(loadings))
    spread = np.sqrt(np.diag(covariance))
    return covariance / np.outer(spread, spread)


def _shares(n: int) -> np.ndarray:
    shares = 0.75 ** np.arange(n)
    return shares / shares.sum()
