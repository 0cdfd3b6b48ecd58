"""Classifiers of labels: trained on one set of rows, judged on real ones.

Everything a learner fits -- genes, scaling, components, its penalty -- it fits on its training rows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from augmentor.core.random import Stream
from augmentor.evaluation.pair import Side
from augmentor.evaluation.rows import Sample
from augmentor.evaluation.spaces import Basis

PENALTIES = (0.001, 0.01, 0.1, 1.0)
TREES, LEAF, FOREST_GENES = 60, 2, 300
LEARNERS = ("lr", "rf")
# scikit-learn takes many labels among few rows for a regression; ours are labels
MANY_LABELS = "The number of unique classes is greater than"

Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Votes:
    """Predictions for real rows.

    Attributes:
        truth: ``(rows,)`` label positions.
        called: ``(rows,)`` predicted positions.
        labels: number of labels.
    """

    truth: Codes
    called: Codes
    labels: int

    @property
    def recalls(self) -> NDArray[np.float64]:
        """Share of the rows of each label that is called right; NaN for a label without rows."""
        n = np.bincount(self.truth, minlength=self.labels)
        right = np.bincount(self.truth[self.truth == self.called], minlength=self.labels)
        return np.divide(right, n, out=np.full(self.labels, np.nan), where=n > 0)

    @property
    def accuracy(self) -> float:
        """Balanced accuracy: mean recall over the labels that have rows."""
        return float(np.nanmean(self.recalls))

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the labels that have rows."""
        n = np.bincount(self.truth, minlength=self.labels)
        calls = np.bincount(self.called, minlength=self.labels)
        right = np.bincount(self.truth[self.truth == self.called], minlength=self.labels)
        return float(np.mean((2 * right / np.maximum(n + calls, 1))[n > 0]))

    @property
    def confusion(self) -> list[list[int]]:
        """Rows of each label (row) by the label they are called (column)."""
        table = np.zeros((self.labels, self.labels), dtype=int)
        np.add.at(table, (self.truth, self.called), 1)
        return table.tolist()

    def sd(self, values: NDArray[np.float64] | None = None) -> float:
        """Return the standard deviation, over test rows, of a mean per label averaged over labels.

        Args:
            values: ``(rows,)`` one number per test row; whether the call is right if None.
        """
        values = (self.truth == self.called).astype(np.float64) if values is None else values
        present = np.unique(self.truth)
        total = 0.0
        for code in present:
            some = values[self.truth == code]
            # one row more of either kind: a label whose few rows are all right is not known exactly
            more = np.concatenate([some, [some.mean() - 0.5, some.mean() + 0.5]])
            total += float(np.var(more, ddof=1)) / len(some)
        return float(np.sqrt(total)) / len(present)


@dataclass(frozen=True, eq=False)
class Learner:
    """A trained classifier.

    Attributes:
        kind: lr (logistic regression on 30 components) or rf (forest on 300 genes).
        basis: genes, scaling and components of the training rows.
        model: the estimator.
        scale: ``(components,)`` standard deviations of the training rows.
        penalty: inverse penalty of the logistic regression, chosen by three-fold cross-validation.
        validation: balanced accuracy of that cross-validation; None for forests.
    """

    kind: str
    basis: Basis
    model: object
    scale: NDArray[np.float64]
    penalty: float | None = None
    validation: float | None = None

    def votes(self, rows: Sample, labels: int) -> Votes:
        """Classify rows."""
        x = _features(self.kind, Side(rows, self.basis)) / self.scale
        return Votes(rows.y, np.asarray(self.model.predict(x), dtype=np.intp), labels)  # type: ignore[attr-defined]


def trained(kind: str, rows: Sample, basis: Basis, stream: Stream, penalty: float | None = None) -> Learner:
    """Train a classifier of labels.

    Args:
        kind: lr or rf.
        rows: training rows.
        basis: genes, scaling and components, fitted on these rows.
        stream: randomness of folds and forests.
        penalty: inverse penalty; tuned on the training rows if None.
    """
    x = _features(kind, Side(rows, basis))
    if kind == "rf":
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            TREES, min_samples_leaf=LEAF, class_weight="balanced", random_state=stream.integer(), n_jobs=-1
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", MANY_LABELS)
            # threads add up the votes of trees in no fixed order, and the last bit decides ties
            return Learner(kind, basis, forest.fit(x, rows.y).set_params(n_jobs=1), np.ones(x.shape[1]))
    spread = x.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    x = x / scale
    validation = None
    if penalty is None:
        penalty, validation = _tuned(x, rows.y, stream)
    return Learner(kind, basis, _logistic(x, rows.y, penalty), scale, penalty, validation)


def _features(kind: str, side: Side) -> NDArray[np.float64]:
    return side.log[:, :FOREST_GENES].astype(np.float64) if kind == "rf" else side.pcs


def _logistic(x: NDArray[np.float64], y: Codes, penalty: float) -> object:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # an optimum reached to fewer digits than asked for classifies just as well
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", MANY_LABELS)
        return LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000).fit(x, y)


def _tuned(x: NDArray[np.float64], y: Codes, stream: Stream) -> tuple[float, float | None]:
    """Return the inverse penalty of best balanced accuracy over three stratified folds, and that accuracy."""
    order = stream.child("tune").numpy().permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(len(y), dtype=np.intp)
    fold[order] = np.arange(len(y)) % 3
    labels = int(y.max()) + 1
    called = {penalty: np.full(len(y), -1) for penalty in PENALTIES}
    for i in range(3):
        fit, test = np.flatnonzero(fold != i), np.flatnonzero(fold == i)
        if len(np.unique(y[fit])) < 2 or not len(test):
            return 0.1, None
        for penalty in PENALTIES:
            called[penalty][test] = _logistic(x[fit], y[fit], penalty).predict(x[test])  # type: ignore[attr-defined]
    scores = {penalty: Votes(y, calls, labels).accuracy for penalty, calls in called.items()}
    best = max(scores, key=lambda penalty: (scores[penalty], -penalty))
    return best, scores[best]
