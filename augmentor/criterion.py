"""The criterion of `auto`: how far drawn rows are from rows that their model did not see, in one number.

For drawn rows S of a candidate, validation rows V that it did not see, and the rows T that it did:

    loss = detectability + utility lost + ½·copying
    detectability   ½·(|AUC_values − ½| + |AUC_PCs − ½|)       a forest telling S from V, the same number of every label
    utility lost    max(0, accuracy(T → V) − accuracy(S → V))  balanced accuracy of a regression trained on T, or on S
    copying         max(0, excess), excess = (σ − π)/(1 − π)   σ: share of S nearer to T than to V, π = |T| / (|T| + |V|)

All three are 0 for fresh real rows. It is small and fixed on purpose: it is computed for every candidate within a user's time limit.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.evaluation.pair import distances
from augmentor.preprocess.numbers import Numbers

ROWS = 500
VETO = 0.6  # copying above which a model is no choice


@dataclass(frozen=True)
class Loss:
    """What was measured of drawn rows.

    Attributes:
        auc_values: AUC of telling drawn from validation rows by their values.
        auc_pcs: the same by principal components.
        utility_lost: balanced accuracy lost by training on drawn rows instead of real ones.
        copying: excess share of drawn rows that lie nearer to the rows that the model saw.
    """

    auc_values: float
    auc_pcs: float
    utility_lost: float
    copying: float

    @property
    def detectability(self) -> float:
        """Mean distance of both AUCs from one half."""
        return 0.5 * (abs(self.auc_values - 0.5) + abs(self.auc_pcs - 0.5))

    @property
    def total(self) -> float:
        """What the choice is made by; smaller is better."""
        return self.detectability + self.utility_lost + 0.5 * max(0.0, self.copying)


def averaged(losses: Sequence[Loss]) -> Loss:
    """Mean over trials, trial by trial: the rows that judge one are learned from in the others."""
    parts = ("auc_values", "auc_pcs", "utility_lost", "copying")
    return Loss(*(float(np.mean([getattr(loss, part) for loss in losses])) for part in parts))


@dataclass(frozen=True, eq=False)
class Trial:
    """A division of real rows: a candidate sees ``seen`` and is judged by ``valid``.

    Attributes:
        seen: what is fitted.
        valid: rows that judge, and only judge.
        stream: randomness of this trial.
        times: drawn rows per validation row that detectors see: more than one where validation rows are few.
    """

    seen: Dataset
    valid: Dataset
    stream: Stream
    times: int = 1

    def judge(self, drawn: Dataset, number: int = 0) -> Loss:
        """Loss of drawn rows; each draw of a candidate is judged with randomness of its own ``number``."""
        stream = self.stream.child("draw", number) if number else self.stream
        lost = max(0.0, self._attainable - self._accuracy(drawn))
        values, components = detect(drawn, self.valid, stream.child("forest"), times=self.times)
        return Loss(values, components, lost, self._copying(drawn, stream))

    @cached_property
    def _attainable(self) -> float:
        """Balanced accuracy on the validation rows of a regression trained on the rows that candidates see."""
        return self._accuracy(self.seen)

    def _accuracy(self, rows: Dataset) -> float:
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        own, truth = _combined(rows, self.valid)
        present = np.unique(truth)
        if present.size < 2 or np.unique(own).size < 2:
            return 1.0
        x, scale = _numbers(rows, self.valid), StandardScaler()
        model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=200)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            calls = model.fit(scale.fit_transform(x[: len(rows)]), own).predict(scale.transform(x[len(rows) :]))
        return float(np.mean([(calls[truth == c] == c).mean() for c in present]))

    def _copying(self, drawn: Dataset, stream: Stream) -> float:
        """Excess share of drawn rows that lie nearer to the rows that were learned from than to the validation rows."""
        from sklearn.decomposition import PCA

        some = drawn.take(np.sort(stream.child("copying").numpy().permutation(len(drawn))[:ROWS]))
        # all rows that were learned from: copies of those left out would look like fresh rows
        sides = (some, self.seen, self.valid)
        x = _numbers(*sides)
        # components of all sides: of one alone, that one would lie nearest to itself
        scores = PCA(min(20, *x.shape), random_state=stream.integer()).fit_transform(x).astype(np.float64)
        own, seen, unseen = np.split(scores, np.cumsum([len(side) for side in sides])[:-1])
        near = [distances(own, other).min(axis=1) for other in (seen, unseen)]
        share = float(np.mean((near[0] < near[1]) + 0.5 * (near[0] == near[1])))
        expected = len(seen) / (len(seen) + len(unseen))
        return (share - expected) / (1 - expected)


def detect(drawn: Dataset, valid: Dataset, rng: Stream, *, times: int = 1) -> tuple[float, float]:
    """AUC of a forest on values and on principal components, telling drawn from validation rows.

    Args:
        drawn: drawn rows.
        valid: validation rows.
        rng: randomness of choice, folds and trees.
        times: drawn rows per validation row, of every label: more than one where validation rows are few.
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    ours, theirs = _matched(drawn, valid, rng.numpy(), times)
    x = _numbers(drawn.take(ours), valid.take(theirs))
    y = np.repeat([0, 1], [len(ours), len(theirs)])
    folds = StratifiedKFold(min(5, len(theirs)), shuffle=True, random_state=rng.integer())

    def auc(features: NDArray[np.floating]) -> float:
        forest = RandomForestClassifier(100, min_samples_leaf=3, class_weight="balanced", random_state=rng.integer())
        return float(cross_val_score(forest, features, y, cv=folds, scoring="roc_auc").mean())

    components = min(20, len(y) // 4, x.shape[1])
    # fitted on the union of both sides: on one side alone it would tell them apart by itself
    return auc(x), auc(PCA(components, random_state=rng.integer()).fit_transform(x))


def _matched(
    a: Dataset, b: Dataset, generator: np.random.Generator, times: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    chosen: tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]] = ([], [])
    share = min(1.0, ROWS / len(b))
    first, second = _combined(a, b)
    for key in np.unique(second):
        mine, yours = np.flatnonzero(first == key), np.flatnonzero(second == key)
        n = max(1, int(share * min(mine.size, yours.size)))
        chosen[0].append(generator.permutation(mine)[: times * n])
        chosen[1].append(generator.permutation(yours)[:n])
    return np.concatenate(chosen[0]), np.concatenate(chosen[1])


def _combined(a: Dataset, b: Dataset) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Label combination of the rows of both sides, numbered alike."""
    number = np.unique(np.vstack([a.codes, b.codes]), axis=0, return_inverse=True)[1].ravel()
    return number[: len(a)], number[len(a) :]


def _numbers(*sides: Dataset) -> NDArray[np.float32]:
    """Rows of all sides as numbers; columns of a mixed table in standard units."""
    schema = sides[0].schema
    if schema.space is not Space.MIXED:
        return np.vstack([_values(side) for side in sides])
    x = np.vstack([side.x for side in sides])
    out = Numbers.fit(x, schema.levels).of(x)
    return ((out - out.mean(axis=0)) / np.where(out.std(axis=0) > 0, out.std(axis=0), 1)).astype(np.float32)


def _values(dataset: Dataset) -> NDArray[np.float32]:
    if dataset.schema.space is not Space.COUNTS:
        return as_dense(dataset.x)
    return np.log1p(as_dense(dataset.x) / row_sums(dataset.x)[:, None] * 1e4).astype(np.float32)
