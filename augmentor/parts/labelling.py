"""Labels of unlabelled rows, by the consensus of three methods on two views of all rows.

    view        first principal components of the values, and of the standardised values
    regression  logistic regression on the labelled rows                                p₁(c | x)
    spreading   labels diffuse over the nearest-neighbour graph of all rows             p₂(c | x)
    mixture     one Gaussian per label by EM over all rows, its mean shrunk to the
                labelled mean, its covariance nearly all the pooled one; labelled
                rows fixed                                                              p₃(c | x)
    consensus   p(c | x) ∝ Π_methods Π_views p(c | x)^{1/4}                            (views first, then methods)
    rounds      a regression on the values themselves, fitted to rows drawn by the
                consensus, joins it as a fourth method; three times                     p₄(c | x)

The three err differently: regression knows nothing of the unlabelled rows' shape, spreading nothing of distances beyond the graph,
the mixture insists on ellipses. Where they agree the label is nearly always right. The consensus is what trains generators of
a label: with 3 labelled cells per type its rows lift a classifier further than any of the three does.

Papers: Zhou et al. 2004, "Learning with local and global consistency" (spreading); Nigam et al. 2000, doi:10.1023/A:1007692713085
(EM from labelled and unlabelled rows).
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading

from augmentor.core.random import Stream

Probabilities = NDArray[np.float64]

COMPONENTS = 50  # seen by the regression
GRAPH = 30  # components in which neighbours are near
NEIGHBOURS = 15
MIXTURES = (8, 15)  # components of the mixtures: few rows of a label say little about many
# Where rows are few, components beyond two for every label are seen only if so many rows of a label stand behind each: EM finds
# clusters in noise (3 labelled rows per label, macro-F1 of the inferred labels without and with: Golub .77 and .84, cervical
# miRNA .66 and .90, TCGA breast cancer .86 and .92)
PER_COMPONENT = 8
STEPS = 30  # of EM
ROUNDS = 3
DRAWN = 100
# Rows per component for which the pooled covariance counts in every label: with covariances of their own, labels that began alike
# swallow their neighbours in EM (3 labelled cells per type: macro-F1 of the inferred labels of PBMC3k .84 with 2, .89 with 100)
POOLED = 100
LEAST = 1e-3  # a method that is certain of the wrong label must not silence the others


def responsibilities(
    x: NDArray[np.floating], codes: NDArray[np.integer], labels: int, rng: Stream, *, gaussian: bool = True
) -> Probabilities:
    """Probability of every label for every row.

    Args:
        x: ``(rows, features)`` comparable values: log-normalised counts, or values as they are.
        codes: ``(rows,)`` label of each row, -1 where it is missing; every label occurs.
        labels: number of labels.
        rng: randomness of the principal components.
        gaussian: whether rows of a label may be taken for a Gaussian; False leaves the mixture out. Places of categories are
            none: EM finds the categories (heart disease with 3 labelled rows per label: macro-F1 .70 with, .74 without).

    Returns:
        ``(rows, labels)``, rows sum to 1; labelled rows have their label with probability 1.
    """
    known = codes >= 0
    certain = np.eye(labels)[codes[known]]
    methods: dict[str, list[Probabilities]] = {"regression": [], "spreading": [], "mixture": []}
    centred = np.asarray(x, dtype=np.float64) - x.mean(axis=0)
    scale = centred.std(axis=0) + 1e-2
    for name, view in (("values", centred), ("standardised", np.clip(centred / scale, -10, 10))):
        components = min(COMPONENTS, *(n - 1 if n > 1 else 1 for n in view.shape))
        scores = PCA(components, svd_solver="randomized", random_state=rng.child(name).integer()).fit_transform(view)
        methods["regression"].append(_regression(scores, codes, known))
        methods["spreading"].append(_spreading(scores[:, :GRAPH], codes, labels))
        most = min(components, max(2 * labels, len(x) // (PER_COMPONENT * labels)))
        for d in sorted({min(d, most) for d in MIXTURES}) if gaussian else ():
            methods["mixture"].append(_mixture(scores[:, :d], known, certain, codes))
    agreed = [_consensus(views) for views in methods.values() if views]
    found = _agreement(agreed, known, certain)
    for i in range(ROUNDS):
        again = _values_regression(centred / scale, found, rng.child("round", i))
        found = _agreement([*agreed, again], known, certain)
    return found


def _agreement(methods: list[Probabilities], known: NDArray[np.bool_], certain: Probabilities) -> Probabilities:
    """Consensus of methods; the square root keeps a method's confidence in itself from deciding alone."""
    found = _consensus([np.sqrt(p) for p in methods])
    found[known] = certain
    return found


def _values_regression(x: NDArray[np.float64], share: Probabilities, rng: Stream) -> Probabilities:
    """Regression on standardised values, fitted to `DRAWN` pairs of rows of every label, drawn by p² and averaged."""
    generator, labels, best = rng.numpy(), share.shape[1], share.argmax(axis=1)
    rows = []
    for c in range(labels):
        weight = np.where(best == c, share[:, c] ** 2, 0)
        one, other = (generator.choice(len(x), DRAWN, p=weight / weight.sum()) for _ in range(2))
        u = generator.random((DRAWN, 1))
        rows.append(u * x[one] + (1 - u) * x[other])
    model = LogisticRegression(C=10 / x.shape[1], max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(np.vstack(rows), np.repeat(np.arange(labels), DRAWN)).predict_proba(x)


def _consensus(several: list[Probabilities]) -> Probabilities:
    """Geometric mean, normalised per row."""
    mean = np.exp(np.mean([np.log(np.clip(p, LEAST**2, None)) for p in several], axis=0))
    return mean / mean.sum(axis=1, keepdims=True)


def _regression(scores: NDArray[np.float64], codes: NDArray[np.integer], known: NDArray[np.bool_]) -> Probabilities:
    scaled = 10 * scores / max(scores[:, 0].std(), 1e-12)
    model = LogisticRegression(class_weight="balanced", max_iter=2000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # separable rows have no optimum, only a direction
        return model.fit(scaled[known], codes[known]).predict_proba(scaled)


def _spreading(scores: NDArray[np.float64], codes: NDArray[np.integer], labels: int) -> Probabilities:
    model = LabelSpreading(kernel="knn", n_neighbors=min(NEIGHBOURS, len(scores) - 1), alpha=0.8, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows that no label reaches are divided by zero
        model.fit(scores, codes)
    return np.nan_to_num(model.label_distributions_, nan=1 / labels)


def _mixture(
    scores: NDArray[np.float64], known: NDArray[np.bool_], certain: Probabilities, codes: NDArray[np.integer]
) -> Probabilities:
    n, d = scores.shape
    labels = certain.shape[1]
    first = np.stack([scores[codes == c].mean(axis=0) for c in range(labels)])
    mean, weight = first.copy(), np.full(labels, 1 / labels)
    spread = np.diag(scores.var(axis=0) * 0.3 + 1e-9)
    covariance = np.repeat(spread[None], labels, axis=0)
    share = np.zeros((n, labels))
    for _ in range(STEPS):
        for c in range(labels):
            factor = np.linalg.cholesky(covariance[c])
            z = solve_triangular(factor, (scores - mean[c]).T, lower=True)
            share[:, c] = np.log(weight[c]) - np.log(np.diag(factor)).sum() - 0.5 * (z**2).sum(axis=0)
        share = np.exp(share - share.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        share[known] = certain
        rows = share.sum(axis=0)
        weight = (rows + 1) / (rows + 1).sum()
        mean = (share.T @ scores + 5 * first) / (rows + 5)[:, None]
        own = np.stack([((scores - mean[c]) * share[:, [c]]).T @ (scores - mean[c]) for c in range(labels)])
        pooled = own.sum(axis=0) / n
        weight_of_pooled = POOLED * d
        covariance = (own + weight_of_pooled * pooled) / (rows + weight_of_pooled)[:, None, None]
        covariance += 1e-6 * np.trace(pooled) / d * np.eye(d)
    return share
