"""Classifiers, their probabilities, and the scores of those on real rows.

    lr   logistic regression on up to 30 components of its rows, inverse penalty tuned on real rows
    rf   60 trees (25 where only a choice is made) on the 200 most variable genes, at most 1,000 rows to a tree
    gb   40 rounds of boosted trees of 8 leaves on up to 30 components of its rows

More rows must not mean more training: the penalty of the regression is per real row (rows that are only repeated change
nothing), a tree sees at most 1,000 rows, and boosting has a fixed number of rounds.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from augmentor.comparison.features import Components, Rows
from augmentor.core.random import Stream

NAMES = {"lr": "logistic regression", "rf": "random forest", "gb": "gradient boosting"}
PENALTIES = (0.001, 0.01, 0.1, 1.0)
TREES, INNER_TREES, LEAF, FOREST_GENES, TREE_ROWS = 60, 25, 2, 200, 1000
ROUNDS, LEAVES, BOOSTED_LEAF = 40, 8, 5
# scikit-learn takes many labels among few rows for a regression; ours are labels
MANY_LABELS = "The number of unique classes is greater than"
# the smallest probability that a logarithm is taken of
TINY = 1e-6

Codes = NDArray[np.intp]
METRICS = ("balanced_accuracy", "macro_f1", "auroc", "auprc", "brier")


@dataclass(frozen=True, eq=False)
class Fit:
    """A trained classifier.

    Attributes:
        kind: lr, rf or gb.
        model: the estimator.
        components: of the rows it learned from; None for forests, which see genes.
        prior: ``(labels,)`` label frequencies of the rows it learned from.
    """

    kind: str
    model: Any
    components: Components | None
    prior: NDArray[np.float64]

    def probabilities(self, rows: Rows) -> NDArray[np.float64]:
        """Return ``(rows, labels)``; zero for labels that the training rows lack."""
        out = np.zeros((len(rows), len(self.prior)))
        out[:, np.asarray(self.model.classes_, dtype=np.intp)] = self.model.predict_proba(_seen(rows, self.components))
        return out


def train(
    kind: str,
    rows: Rows,
    labels: int,
    stream: Stream,
    *,
    real: int,
    penalty: float = 0.1,
    weighted: bool = False,
    trees: int = TREES,
) -> Fit:
    """Train a classifier.

    Args:
        kind: lr, rf or gb.
        rows: training rows, real first.
        labels: number of labels.
        stream: randomness of forests.
        real: how many of the rows are real.
        penalty: inverse penalty of the logistic regression.
        weighted: whether every label weighs the same.
        trees: trees of a forest.
    """
    components = None if kind == "rf" else rows.components
    model = estimator(kind, len(rows), stream, inverse=penalty * real / len(rows), weighted=weighted, trees=trees)
    with hushed():
        model.fit(_seen(rows, components), rows.y)
    return Fit(kind, model, components, np.bincount(rows.y, minlength=labels) / len(rows))


def estimator(kind: str, rows: int | None, stream: Stream, *, inverse: float, weighted: bool, trees: int) -> Any:
    """Return an untrained classifier of scikit-learn.

    Args:
        kind: lr, rf or gb.
        rows: how many rows it will learn from; None if that is not known, then a tree sees as many as there are.
        stream: randomness of forests.
        inverse: inverse penalty of the logistic regression.
        weighted: whether every label weighs the same.
        trees: trees of a forest.
    """
    weight = "balanced" if weighted else None
    if kind == "lr":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=inverse, class_weight=weight, max_iter=300)
    if kind == "rf":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(
            trees,
            min_samples_leaf=LEAF,
            class_weight=weight,
            max_samples=None if rows is None else min(TREE_ROWS, rows),
            random_state=stream.integer(),
        )
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=BOOSTED_LEAF,
        early_stopping=False,
        class_weight=weight,
        random_state=stream.integer(),
    )


@contextmanager
def hushed() -> Iterator[None]:
    """Silence what scikit-learn says while a classifier trains on few rows of many labels."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # an optimum reached to fewer digits than asked for classifies just as well
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", MANY_LABELS)
        yield


def called(probabilities: NDArray[np.float64], prior: NDArray[np.float64], power: float) -> NDArray[np.intp]:
    """Call the label of largest p_c / π_c^power: 0 is the plain maximum, 1 takes the label frequencies out.

    With two labels this is the threshold ½ (power 0) to the frequency of the label (power 1).
    """
    divisor = np.where(prior > 0, prior, 1.0) ** power
    return np.asarray(np.argmax(probabilities / divisor, axis=1), dtype=np.intp)


def accuracy(truth: Codes, calls: Codes) -> float:
    """Balanced accuracy: mean recall over the labels that have rows."""
    present = np.unique(truth)
    return float(np.mean([np.mean(calls[truth == code] == code) for code in present]))


def scores(truth: Codes, probabilities: NDArray[np.float64], calls: Codes) -> dict[str, float]:
    """Return every score of `METRICS` on test rows.

    Balanced accuracy and macro-F1 are of the calls; AUROC and AUPRC one label against the rest, mean over labels that have
    rows; Brier is ½ Σ_c (p_c − 1[c])², mean over rows, in [0, 1] and the usual one with two labels. A score that the rows do
    not define (a single label) is NaN.
    """
    labels = probabilities.shape[1]
    hot = truth[:, None] == np.arange(labels)
    n, calls_n = hot.sum(axis=0), np.bincount(calls, minlength=labels)
    right = np.bincount(truth[truth == calls], minlength=labels)
    present = n > 0
    told = [code for code in np.flatnonzero(present) if n[code] < len(truth)]
    return {
        "balanced_accuracy": float((right[present] / n[present]).mean()),
        "macro_f1": float((2 * right[present] / (n + calls_n)[present]).mean()),
        "auroc": _mean([_auroc(hot[:, c], probabilities[:, c]) for c in told]),
        "auprc": _mean([_auprc(hot[:, c], probabilities[:, c]) for c in told]),
        "brier": float(0.5 * np.square(probabilities - hot).sum(axis=1).mean()),
    }


def log_loss(truth: Codes, probabilities: NDArray[np.float64]) -> float:
    """Mean −ln p of the true label."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], TINY)).mean())


def _seen(rows: Rows, components: Components | None) -> NDArray[Any]:
    return rows.x[:, :FOREST_GENES] if components is None else components.of(rows.x)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _auroc(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Probability that a row of the label scores higher than another row, ties one half, from ranks."""
    n = int(truth.sum())
    return (float(rankdata(score)[truth].sum()) - n * (n + 1) / 2) / (n * (len(truth) - n))


def _auprc(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Average precision: Σ (recall_k − recall_{k−1})·precision_k over the distinct scores, from the highest."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    right = np.cumsum(truth[order])[last]
    return float((np.diff(right, prepend=0) * right / (last + 1)).sum() / right[-1])
