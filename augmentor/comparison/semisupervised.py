"""What a sceptic does with rows without a label, no synthetic row in it.

    pca_all_rows      a classifier of the labelled rows on components of all rows
    label_spreading   labels diffuse over the nearest-neighbour graph of all rows, on these components; another row takes
                      the mean of its 15 nearest (Zhou et al. 2004); the same whatever the learner
    self_training     that classifier labels what it is sure of (0.8) and is fitted again, up to ten times (Yarowsky 1995)
    inferred_labels   labelled rows and those that augmentor gave a label, each used with the probability of that label:
                      what generators learn from, without a generator

Labels weigh the same in all of them. Components keep their variances, as they come out of a PCA.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.comparison import learners
from augmentor.comparison.learners import Fit
from augmentor.comparison.part import Part
from augmentor.core.random import Stream

PCA, SPREADING, SELF, INFERRED = "pca_all_rows", "label_spreading", "self_training", "inferred_labels"
ARMS = (PCA, SPREADING, SELF, INFERRED)
NEIGHBOURS, ALPHA, STEPS = 15, 0.8, 100
SURE, ROUNDS = 0.8, 10


@dataclass(frozen=True, eq=False)
class Spread:
    """Labels of a graph's rows, read by rows outside it.

    Attributes:
        classes_: labels.
        near: finds the nearest rows of the graph.
        shares: ``(rows of the graph, labels)``.
    """

    classes_: NDArray[np.intp]
    near: Any
    shares: NDArray[np.float64]

    def predict_proba(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of the nearest rows' labels ``(rows, labels)``."""
        found: NDArray[np.float64] = self.shares[self.near.kneighbors(x, return_distance=False)].mean(axis=1)
        return found


def train(
    arm: str, kind: str, part: Part, labels: int, stream: Stream, *, penalty: float, trees: int = learners.TREES
) -> Fit:
    """Train the classifier of an arm.

    Args:
        arm: one of `ARMS`.
        kind: lr, rf or gb.
        part: labelled training rows, and rows without a label.
        labels: number of labels.
        stream: randomness of forests.
        penalty: inverse penalty per row of the regression on inferred labels; the others have that of one in all, which
            suits components in the units of the first.
        trees: trees of a forest.
    """
    if arm == INFERRED:
        rows = part.seen.joined(part.inferred)
        return learners.train(kind, rows, labels, stream, real=len(rows), penalty=penalty, weighted=True, trees=trees)
    z, others = part.around.of(part.seen.x), part.around.of(part.others.x)
    x, y = np.concatenate([z, others]), np.concatenate([part.y, part.others.y])
    prior = np.bincount(part.y, minlength=labels) / len(part.y)
    if arm == SPREADING:
        return Fit(kind, _spread(x, y), part.around, prior)
    model = learners.estimator(kind, None, stream, inverse=1.0, weighted=True, trees=trees)
    if arm == SELF and len(others):
        from sklearn.semi_supervised import SelfTrainingClassifier

        with learners.hushed():
            return Fit(
                kind, SelfTrainingClassifier(model, threshold=SURE, max_iter=ROUNDS).fit(x, y), part.around, prior
            )
    with learners.hushed():
        return Fit(kind, model.fit(z, part.y), part.around, prior)


def _spread(x: NDArray[np.float64], y: NDArray[np.intp]) -> Spread:
    from sklearn.neighbors import NearestNeighbors
    from sklearn.semi_supervised import LabelSpreading

    few = min(NEIGHBOURS, len(x) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows that no label reaches are divided by zero
        model = LabelSpreading(kernel="knn", n_neighbors=few, alpha=ALPHA, max_iter=STEPS).fit(x, y)
    classes = np.asarray(model.classes_, dtype=np.intp)
    shares = np.nan_to_num(model.label_distributions_, nan=1 / len(classes))
    return Spread(classes, NearestNeighbors(n_neighbors=few).fit(x), shares)
