"""Rejection sampling: rows that a classifier of real rows does not take for their label are drawn again.

    p(c | x)     multinomial logistic regression on whitened principal components of the training rows
    threshold    t_c = q-quantile of p(c | x) over real training rows of label c, each judged by a classifier that did not see it
    accepted     x, drawn for label c, with p(c | x) ≥ t_c; otherwise drawn again, `ROUNDS` times at most, and the best is kept

So q is the share of *real* rows of a label that would be rejected themselves: where labels overlap the threshold is low, where
they are apart it is high. A row is only ever replaced by another row of its label: rows per label stay exact.

Rows are judged as the model draws them, before marginal calibration, which then learns the margins of accepted rows. The other way
round the wrong rows would have been mapped into the margins of their label, and the right ones pushed aside, before anybody looked;
and what rejection takes from the margins (it prefers typical rows) would stay taken.

It removes what a model draws on the wrong side of a border between labels, and with it some of what real rows do there: rows become
more typical of their label and vary less.

Papers: von Neumann 1951 (rejection); Azadi et al. 2019, arXiv:1810.06758 (of what a discriminator finds wrong); Razavi et al. 2019,
arXiv:1906.00446 (a classifier of real images rejects samples of a VQ-VAE).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import softmax

from augmentor.core.contract import Encoded, Given, Layout, State
from augmentor.core.dataset import Matrix, as_dense, row_sums
from augmentor.core.random import Stream
from augmentor.core.space import Space

ROUNDS = 10
FOLDS = 5
COMPONENTS = 50
WIDTH = 1000  # features whose label means differ most, which the classifier sees
ROWS = 20_000  # training rows that it learns from, of all labels alike; a random subset beyond
SOFT = 1e-2  # added to the spread of log-normalised counts: of genes that are nearly never seen it is mostly noise
FAR = 10.0  # standard deviations beyond which a value says no more
TRIAL, TRIAL_EACH = 1000, (20, 100)  # rows of the trial, and bounds for a label's

# of `tried`: names in the record, and words for them
SCORES = (
    ("detectability", "forest AUC against training rows, labels seen"),
    ("agreement", "share whose nearest training rows are of their label"),
    ("spread", "variance within labels"),
)

Draw = Callable[[Given, Stream], Matrix]


@dataclass(frozen=True)
class View:
    """Rows of a model's space as a classifier sees them: counts log-normalised, categories one-hot, others as they are.

    Attributes:
        total: library size that counts are brought to; None for other rows.
        levels: number of categories of every feature, None for a number; None where all are numbers.
    """

    total: float | None
    levels: tuple[int | None, ...] | None

    @classmethod
    def of(cls, layout: Layout, x: Matrix) -> View:
        """Return the view of rows ``(rows, features)`` of this layout."""
        return cls(float(np.median(row_sums(x))) if layout.space is Space.COUNTS else None, layout.levels)

    def __call__(self, x: Matrix) -> Matrix:
        """Return ``(rows, columns)``, sparse if ``x`` is."""
        if self.levels is not None:
            dense = as_dense(x)
            parts = [
                dense[:, [j]] if level is None else np.rint(dense[:, [j]]) == np.arange(level)
                for j, level in enumerate(self.levels)
            ]
            return np.hstack(parts).astype(np.float32)
        if self.total is None:
            return x
        factor = self.total / np.maximum(row_sums(x), 1.0)
        if not sparse.issparse(x):
            return np.log1p(x * factor[:, None]).astype(np.float32)
        out = sparse.csr_matrix(x, dtype=np.float32, copy=True)
        out.data = np.log1p(out.data * np.repeat(factor, np.diff(out.indptr))).astype(np.float32)
        return out


@dataclass(frozen=True, eq=False)
class Classifier:
    """Multinomial logistic regression on whitened principal components of standardised columns.

    Attributes:
        columns: ``(columns,)`` positions of the columns seen.
        mean: ``(columns,)``.
        scale: ``(columns,)``.
        weight: ``(columns, labels)``, components and coefficients in one.
        bias: ``(labels,)``.
    """

    columns: NDArray[np.int64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def fit(cls, x: Matrix, condition: NDArray[np.intp], labels: int, soft: float, rng: Stream) -> Classifier:
        """Fit to rows ``(rows, columns)``; a label without a row gets probability 0."""
        from sklearn.decomposition import PCA
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        columns = _telling(x, condition)
        dense = as_dense(x[:, columns]).astype(np.float64)
        scale = dense.std(axis=0) + soft
        found = cls(columns, dense.mean(axis=0), np.where(scale > 0, scale, 1.0), np.zeros((0, 0)), np.zeros(0))
        weight, bias = np.zeros((columns.size, labels)), np.full(labels, -np.inf)
        present = np.unique(condition)
        if present.size == 1:
            bias[present] = 0
            return cls(columns, found.mean, found.scale, weight, bias)
        z = found.standardised(x)
        centre = z.mean(axis=0)
        components = min(COMPONENTS, len(z) - 1, z.shape[1])
        pca = PCA(components, svd_solver="randomized", random_state=rng.integer()).fit(z)
        basis = pca.components_.T / np.sqrt(np.maximum(pca.explained_variance_, 1e-12))
        model = LogisticRegression(class_weight="balanced", max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # separable rows have no optimum, only a direction
            model.fit((z - centre) @ basis, condition)
        # of two labels scikit-learn keeps the second's weights only
        two = present.size == 2
        coefficients = np.vstack([0 * model.coef_, model.coef_]) if two else model.coef_
        intercept = np.append(0 * model.intercept_, model.intercept_) if two else model.intercept_
        weight[:, present] = basis @ coefficients.T
        bias[present] = intercept - centre @ weight[:, present]
        return cls(columns, found.mean, found.scale, weight, bias)

    def standardised(self, x: Matrix) -> NDArray[np.float64]:
        """Return the columns seen, in units of their spread, ``(rows, columns)``."""
        dense = as_dense(x[:, self.columns]).astype(np.float64)
        return np.asarray(np.clip((dense - self.mean) / self.scale, -FAR, FAR))

    def __call__(self, x: Matrix) -> NDArray[np.float64]:
        """p(label | x), ``(rows, labels)``."""
        return np.asarray(softmax(self.standardised(x) @ self.weight + self.bias, axis=1))


def _telling(x: Matrix, condition: NDArray[np.intp]) -> NDArray[np.int64]:
    """Columns whose label means vary most, all labels alike; at most `WIDTH`, ascending."""
    if x.shape[1] <= WIDTH:
        return np.arange(x.shape[1])
    means = np.stack([np.asarray(x[condition == c].mean(axis=0)).ravel() for c in np.unique(condition)])
    return np.sort(np.argsort(-means.var(axis=0), kind="stable")[:WIDTH])


class Rejection:
    """A classifier of real rows, and for every label the probability below which a row is drawn again."""

    def __init__(
        self, view: View, classifier: Classifier, threshold: NDArray[np.float64], record: dict[str, Any] | None = None
    ) -> None:
        self.view, self.classifier, self.threshold, self.record = view, classifier, threshold, record or {}

    @classmethod
    def fit(cls, encoded: Encoded, share: float, rng: Stream) -> Rejection:
        """Learn p(label | x) from the training rows, and from each fifth, left out of it, what real rows get.

        Args:
            encoded: training rows of two labels or more, in the model's space.
            share: share of real rows of a label that are rejected at most, in (0, 1).
            rng: randomness of the folds and the components, and of the subset of very many rows.
        """
        layout, whole = encoded.layout, encoded.given.condition
        each = max(ROWS // layout.conditions, FOLDS)
        own = [rng.child("rows", c).numpy().permutation(np.flatnonzero(whole == c)) for c in range(layout.conditions)]
        rows = np.concatenate([members[:each] for members in own])
        fold = np.concatenate([np.arange(len(members[:each])) % FOLDS for members in own])
        condition, view = whole[rows], View.of(layout, encoded.x)
        x = view(encoded.x[rows])
        soft = SOFT if layout.space in (Space.COUNTS, Space.LOG) else 0.0
        unseen = np.zeros(rows.size)
        for k in np.unique(fold):
            out = fold == k
            apart = Classifier.fit(x[~out], condition[~out], layout.conditions, soft, rng.child("fold", k))
            unseen[out] = apart(x[out])[np.arange(out.sum()), condition[out]]
        # a label of a single row is unknown to the classifier that did not see it: probability 0, and nothing is rejected
        threshold = [np.quantile(unseen[condition == c], share, method="lower") for c in range(layout.conditions)]
        found = Classifier.fit(x, condition, layout.conditions, soft, rng.child("all"))
        return cls(view, found, np.array(threshold), {"share": share})

    def probability(self, x: Matrix, condition: NDArray[np.intp]) -> NDArray[np.float64]:
        """p(own label | x), ``(rows,)``."""
        return self.classifier(self.view(x))[np.arange(len(condition)), condition]

    def draw(self, propose: Draw, given: Given, rng: Stream) -> Matrix:
        """Draw one row for each condition; rows below the threshold of their label are proposed again, the best of each is kept.

        Args:
            propose: the model, ``propose(given, rng)``.
            given: conditions of the rows ``(rows,)``; a row that is drawn again keeps its conditions and library size.
            rng: the stream of these rows; the first proposals are those that the model would have drawn without rejection.
        """
        x = propose(given, rng)
        pieces, source = [x], np.arange(len(given))
        best, least = self.probability(x, given.condition), self.threshold[given.condition]
        held = len(given)
        for k in range(1, ROUNDS + 1):
            short = np.flatnonzero(best < least)
            if not short.size:
                break
            more = propose(given.take(short), rng.child("proposal", k))
            found = self.probability(more, given.condition[short])
            better = np.flatnonzero(found > best[short])
            pieces.append(more[better])
            source[short[better]] = held + np.arange(better.size)
            best[short[better]] = found[better]
            held += better.size
        joined = sparse.vstack(pieces, format="csr") if sparse.issparse(x) else np.concatenate(pieces)
        return joined[source]

    def tried(self, encoded: Encoded, names: list[str], propose: Draw, rng: Stream) -> Rejection:
        """Return the same with a record of what it does to rows of a model: share accepted per label, and scores before and after.

        The scores are of rows as the model draws them, before calibration, against as many training rows of every label.

        Args:
            encoded: training rows.
            names: of the conditions.
            propose: the model.
            rng: randomness of rows and scores.
        """
        condition = encoded.given.condition
        each = int(np.clip(TRIAL // len(names), *TRIAL_EACH))
        members = [np.flatnonzero(condition == c) for c in range(len(names))]
        chosen = np.concatenate([rng.child("given", c).numpy().choice(own, each) for c, own in enumerate(members)])
        given = encoded.given.take(chosen)
        # one stream: accepted rows of the first are the same in the second
        first, last = (draw(given, rng.child("draw")) for draw in (propose, lambda g, r: self.draw(propose, g, r)))
        passed = self.probability(first, given.condition) >= self.threshold[given.condition]
        accepted = {name: round(float(passed[given.condition == c].mean()), 3) for c, name in enumerate(names)}
        real = np.concatenate([rng.child("real", c).numpy().permutation(own)[:each] for c, own in enumerate(members)])
        drawn = np.concatenate([np.flatnonzero(given.condition == c)[: own.size] for c, own in enumerate(members)])
        sides = [self.classifier.standardised(self.view(x)) for x in (encoded.x[real], first[drawn], last[drawn])]
        weights = np.bincount(condition, minlength=len(names)) / len(condition)
        record = {
            **self.record,
            "accepted": round(float(np.dot(list(accepted.values()), weights)), 3),
            "accepted_per_label": accepted,
            **_change(sides, condition[real], given.condition[drawn], rng),
        }
        return Rejection(self.view, self.classifier, self.threshold, record)

    @property
    def notes(self) -> tuple[str, str]:
        """What `tried` found, in words: how many rows are accepted, and what that does to scores."""
        record, per_label = self.record, self.record["accepted_per_label"]
        least = min(per_label, key=lambda name: per_label[name])
        changes = ", ".join(
            f"{what} {record['before'][name]:.2f} -> {record['after'][name]:.2f}" for name, what in SCORES
        )
        return (
            f"rejection at {record['share']:g}: {record['accepted']:.0%} of the rows that the model draws are accepted "
            f"(least: {least}, {per_label[least]:.0%}), the others are drawn again; of real rows {1 - record['share']:.0%} would be",
            f"what rejection changes, before calibration: {changes}",
        )

    def state(self) -> State:
        """Thresholds, and the classifier with its view."""
        of = self.classifier
        state: State = {"threshold": self.threshold, "columns": of.columns, "mean": of.mean, "scale": of.scale}
        state |= {"weight": of.weight, "bias": of.bias}
        if self.view.total is not None:
            state["total"] = np.array(self.view.total)
        return state

    @classmethod
    def from_state(cls, state: State, layout: Layout, record: dict[str, Any]) -> Rejection:
        """Rebuild from `state`."""
        total = float(state["total"]) if "total" in state else None
        classifier = Classifier(*(state[name] for name in ("columns", "mean", "scale", "weight", "bias")))
        return cls(View(total, layout.levels), classifier, state["threshold"], record)


def _change(
    sides: list[NDArray[np.float64]], real: NDArray[np.intp], drawn: NDArray[np.intp], rng: Stream
) -> dict[str, dict[str, float]]:
    """Three scores of drawn rows before and after rejection, on components of all of them.

    Args:
        sides: training rows, rows before, rows after, each ``(rows, columns)``.
        real: ``(rows,)`` labels of the training rows.
        drawn: ``(rows,)`` labels of the drawn rows.
        rng: randomness of components, folds and trees.
    """
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    components = min(20, *np.vstack(sides).shape)
    scores = PCA(components, svd_solver="randomized", random_state=rng.integer()).fit_transform(np.vstack(sides))
    theirs, *ours = np.split(scores, np.cumsum([len(side) for side in sides])[:-1])
    folds = StratifiedKFold(min(3, len(theirs)), shuffle=True, random_state=rng.integer())
    label = np.eye(int(real.max()) + 1)
    near = KNeighborsClassifier(min(10, len(theirs))).fit(theirs, real)

    def within(rows: NDArray[np.float64], label: NDArray[np.intp]) -> float:
        return float(sum((rows[label == c].var(axis=0) * (label == c).sum()).sum() for c in np.unique(label)))

    def measured(rows: NDArray[np.float64]) -> dict[str, float]:
        forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=rng.integer())
        y = np.repeat([0, 1], [len(theirs), len(rows)])
        # the forest sees labels too: rows that are good, but of another label, are found by nothing else
        seen = np.hstack([np.vstack([theirs, rows]), label[np.concatenate([real, drawn])]])
        auc = cross_val_score(forest, seen, y, cv=folds, scoring="roc_auc").mean()
        agreement = float((near.predict(rows) == drawn).mean())
        spread = within(rows, drawn) / max(within(theirs, real), 1e-12)
        return {"detectability": round(float(auc), 3), "agreement": round(agreement, 3), "spread": round(spread, 3)}

    before, after = (measured(rows) for rows in ours)
    return {"before": before, "after": after}
