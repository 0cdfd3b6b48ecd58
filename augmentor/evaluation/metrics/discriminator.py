"""Can a classifier tell synthetic rows from held-out ones (classifier two-sample test)?

Five stratified folds in which equal rows stay together; the score is the mean of the folds' AUCs, raw: never
max(AUC, 1 - AUC). 0.5 = told apart no better than by guessing. A linear detector is blind to lost dependence between
genes, a forest is not; with fewer than 50 rows a side only a ridge regression on at most 10 components is fitted. For the
synthetic rows the detail names the genes that the forest found most telling. A full evaluation adds gradient-boosted trees, a
quick one looks at components only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.core.random import Stream
from augmentor.evaluation.columns import auc, average, rounded
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.folds import balanced_folds
from augmentor.evaluation.pair import ENOUGH, Pair
from augmentor.evaluation.score import Score, ScoreSpec

FOLDS = 5
TREES = 100
QUICK_TREES = 50
# Within a label rows are few, and so are the trees that they can feed.
LABEL_TREES = 50
BOOSTED_TREES = 60
# Genes named as the most telling ones.
TOLD = 10
FOREST_GENES, LINEAR_GENES = 500, 1000
SMALL, SMALL_PCS, SMALL_REPEATS = 50, 10, 10
# Most rows a side, but in a full evaluation: a forest of twice as many takes more than twice as long.
MOST_ROWS = 1000
# Real rows against real rows, fewer than this on a side, cannot fill five folds.
FEWEST = 10


def _spec(name: str, what: str, headline: bool, misses: str, full: bool = False) -> ScoreSpec:
    return ScoreSpec(
        name=f"discriminator.{name}",
        axis="fidelity",
        title=f"detector: {what}",
        meaning=f"AUC of a {what} that tells synthetic from held-out rows; 0.5 means that it cannot.",
        goal="target",
        ideal=0.5,
        bounds=(0.0, 1.0),
        floor="independent",
        formula="mean over 5 stratified folds, equal rows kept together, of the fold's AUC; label-matched rows",
        catches="whatever the classifier can see",
        misses=misses,
        citation="Lopez-Paz & Oquab 2017",
        interval="subsample",
        headline=headline,
        full=full,
    )


COPIES = "copies of training rows"
SPECS = {
    "rf_genes": _spec("rf_genes", "forest on genes", True, COPIES),
    "rf_pcs": _spec("rf_pcs", "forest on components", True, COPIES),
    "lr_genes": _spec("lr_genes", "linear model on genes", False, f"{COPIES}; dependence between genes"),
    "lr_pcs": _spec("lr_pcs", "linear model on components", False, f"{COPIES}; dependence between genes"),
    "hgb_genes": _spec("hgb_genes", "boosted trees on genes", False, COPIES, full=True),
    "hgb_pcs": _spec("hgb_pcs", "boosted trees on components", False, COPIES, full=True),
}
LEAK = 0.45


class Metric:
    """Detectors: forest, logistic regression and boosted trees, on genes and on principal components."""

    scores = tuple(SPECS.values())
    setup = Setup(order=0, draws=3, alternate=True, halves=6, floors="named", most=MOST_ROWS)
    quick = frozenset({SPECS["rf_pcs"].name, SPECS["lr_pcs"].name})

    def measure(self, pair: Pair) -> Measures:
        """Return the AUC of each detector on the pair."""
        n = min(len(pair.synthetic), len(pair.real))
        judged = pair.arm == "synthetic" and pair.principal
        if n < FEWEST:
            return {spec.name: Measured.none(f"only {n} rows a side; {FEWEST} are needed") for spec in self.scores}
        task = _Task(pair)
        if n < SMALL:
            out = {spec.name: Measured.none(f"only {n} rows a side; {SMALL} are needed") for spec in self.scores}
            return out | {SPECS["lr_pcs"].name: task.small(permute=judged)}
        pcs = task.pcs
        detectors = {"rf_pcs": ("rf", pcs), "lr_pcs": ("lr", pcs)}
        if not pair.asked.quick:
            genes = task.genes
            detectors |= {"rf_genes": ("rf", genes[:, :FOREST_GENES]), "lr_genes": ("lr", genes[:, :LINEAR_GENES])}
        if pair.asked.full:
            detectors |= {"hgb_genes": ("hgb", genes[:, :FOREST_GENES]), "hgb_pcs": ("hgb", pcs)}
        out = {}
        for name, (learner, x) in detectors.items():
            told = pair.selected if judged and name == "rf_genes" else ()
            found = task.run(learner, x, names=told)
            if judged and pair.fold == 0 and len(pair.labels) > 1:
                # a detector that sees all labels at once takes a row under a wrong label for a right one
                found = replace(found, per_label=task.within(learner, x))
            out[SPECS[name].name] = found
        return out

    def flags(self, score: Score) -> tuple[str, ...]:
        """Notice rows that are closer to held-out rows than chance: they were made from them."""
        if score.value is None or score.interval is None or score.ceiling is None or score.value >= LEAK:
            return ()
        margin = np.hypot(score.interval.high - score.value, 3 * score.ceiling.sd)
        return ("leak_or_copy",) if score.value + margin < 0.5 else ()

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return the receiver operating curves of the forest on genes (on components where that is not available).

        Those of all draws of real rows make a band: their mean, smallest and largest height at every false-positive rate.
        """
        for name in ("rf_genes", "rf_pcs", "lr_pcs"):
            key = SPECS[name].name
            made = measured["synthetic"][0].get(key)
            real = [one[key] for one in measured.get("ceiling draws", ()) if key in one and one[key].value is not None]
            if made is not None and made.value is not None and real:
                heights = np.array([one.figure["tpr"] for one in real])
                figure: dict[str, Any] = {"score": key, **made.figure, "auc": made.value}
                figure |= {
                    "ceiling_fpr": real[0].figure["fpr"],
                    "ceiling_tpr": rounded(heights.mean(axis=0)),
                    "ceiling_auc": average(one.value for one in real),
                    "ceiling_draws": len(real),
                }
                if len(real) > 1:
                    figure |= {
                        "ceiling_low": rounded(heights.min(axis=0)),
                        "ceiling_high": rounded(heights.max(axis=0)),
                    }
                return {"roc": figure}
        return {}


class _Task:
    """Judged rows (1) against real rows (0)."""

    def __init__(self, pair: Pair):
        a, b = pair.synthetic, pair.real
        self.labels = pair.labels
        self.stream: Stream = pair.stream.child("discriminator")
        self.target = np.repeat([1, 0], [len(a), len(b)])
        self.label = np.concatenate([a.y, b.y])
        self.groups = _groups(pair)
        self.trees = QUICK_TREES if pair.asked.quick else TREES
        self._folds: dict[int, list[tuple[NDArray[np.intp], NDArray[np.intp]]]] = {}
        self._sides = a, b
        self.pcs = np.concatenate([a.pcs, b.pcs]).astype(np.float32)

    @property
    def genes(self) -> NDArray[np.float32]:
        """``(rows, genes)`` LOG values, most variable gene first."""
        return np.concatenate([side.log for side in self._sides])

    def folds(self, repeat: int = 0) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Split by label and origin, equal rows (and groups) together."""
        if repeat not in self._folds:
            rng = self.stream.child("folds", repeat).numpy()
            fold = balanced_folds(self.label, self.target, self.groups, rng, folds=FOLDS)
            self._folds[repeat] = [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(FOLDS)]
        return self._folds[repeat]

    def run(self, learner: str, x: NDArray[np.float32], *, names: Sequence[str] = ()) -> Measured:
        """Return the mean of the folds' AUCs; with ``names``, also the most telling columns."""
        aucs: list[float] = []
        telling = np.zeros(x.shape[1])
        votes = np.full(len(self.target), np.nan)
        for i, (fit, test) in enumerate(self.folds()):
            if len(np.unique(self.target[test])) < 2 or len(np.unique(self.target[fit])) < 2:
                continue
            vote, importance = _fitted(learner, x[fit], self.target[fit], self.stream.child(learner, i), self.trees)
            votes[test] = vote(x[test])
            telling += importance
            aucs.append(self._auc(test, votes))
        if not aucs:
            return Measured.none("equal rows leave no fold with both kinds")
        seen = ~np.isnan(votes)
        detail: dict[str, Any] = {"fold_aucs": aucs, "recalls": _recalls(self.target[seen], votes[seen])}
        if names:
            top = np.argsort(-telling, kind="stable")[:TOLD]
            detail["most_telling"] = {names[i]: float(telling[i] / len(aucs)) for i in top if telling[i] > 0}
        return Measured(
            float(np.mean(aucs)),
            detail=detail,
            figure=_curve(self.target[seen], votes[seen]),
        )

    def within(self, learner: str, x: NDArray[np.float32]) -> dict[str, float | None]:
        """Return the mean AUC of detectors that are trained and tested on the rows of one label only, by label."""
        out: dict[str, float | None] = {}
        votes = np.zeros(len(self.target))
        for code, label in enumerate(self.labels):
            own = self.label == code
            if not own.any():
                continue
            aucs = []
            for i, (fit, test) in enumerate(
                self.folds() if np.bincount(self.target[own], minlength=2).min() >= ENOUGH else ()
            ):
                fit, test = fit[own[fit]], test[own[test]]
                if len(np.unique(self.target[test])) == 2 == len(np.unique(self.target[fit])):
                    vote, _ = _fitted(
                        learner, x[fit], self.target[fit], self.stream.child(learner, "label", label, i), LABEL_TREES, 1
                    )
                    votes[test] = vote(x[test])
                    aucs.append(self._auc(test, votes))
            out[label] = float(np.mean(aucs)) if aucs else None
        return out

    def _auc(self, rows: NDArray[np.intp], votes: NDArray[np.float64]) -> float:
        judged = self.target[rows] == 1
        return auc(votes[rows[judged]], votes[rows[~judged]])

    def small(self, *, permute: bool) -> Measured:
        """Ridge regression on few components, 10 times repeated 5-fold; on demand with a permutation p-value."""
        x = self.pcs[:, :SMALL_PCS].astype(np.float64)
        folds = [self.folds(repeat) for repeat in range(SMALL_REPEATS)]
        votes = np.zeros(len(self.target))

        def mean_auc(target: NDArray[np.intp], repeats: int) -> float:
            found = []
            for fit, test in (pair for splits in folds[:repeats] for pair in splits):
                if len(np.unique(target[test])) == 2 and len(np.unique(target[fit])) == 2:
                    votes[test] = _ridge(x[fit], target[fit], x[test])
                    judged = target[test] == 1
                    found.append(auc(votes[test[judged]], votes[test[~judged]]))
            return float(np.mean(found)) if found else 0.5

        value = mean_auc(self.target, SMALL_REPEATS)
        figure = _curve(self.target, votes)
        detail: dict[str, Any] = {"learner": "ridge on components"}
        if permute:
            rng = self.stream.child("permutation").numpy()
            null = np.array([mean_auc(rng.permutation(self.target), 1) for _ in range(100)])
            detail["p_value"] = float((1 + (null >= mean_auc(self.target, 1)).sum()) / (1 + len(null)))
        return Measured(value, detail=detail, figure=figure)


def _ridge(x: NDArray[np.float64], target: NDArray[np.intp], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fitted response of ``rows``, 1 for judged and -1 for real, penalty as large as the number of rows."""
    centre, y = x.mean(axis=0), 2.0 * target - 1.0
    scale = x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    z = (x - centre) / scale
    weights = np.linalg.solve(z.T @ z + len(x) * np.eye(x.shape[1]), z.T @ (y - y.mean()))
    return ((rows - centre) / scale) @ weights


def _groups(pair: Pair) -> NDArray[np.intp]:
    """Return what must stay in one fold: equal rows, and rows of one group where groups are given."""
    keys = np.concatenate([pair.synthetic.sample.hashes, pair.real.sample.hashes])
    group = np.unique(keys, return_inverse=True)[1]
    named = pair.real.sample.groups
    if named is None:
        return group
    names = [f"row {g}" for g in group[: len(pair.synthetic)]] + [f"group {name}" for name in named]
    if pair.synthetic.sample.groups is not None:
        names[: len(pair.synthetic)] = [f"group {name}" for name in pair.synthetic.sample.groups]
    # with fewer groups than folds the rows themselves are all that can be kept together
    return np.unique(names, return_inverse=True)[1] if len(np.unique(named)) >= FOLDS else group


Vote = Callable[[NDArray[np.float32]], NDArray[np.float64]]


def _fitted(
    learner: str, x: NDArray[np.float32], target: NDArray[np.intp], stream: Stream, trees: int, jobs: int = -1
) -> tuple[Vote, NDArray[np.float64]]:
    """Return a function from rows to how synthetic they look, and how much each column tells (zeros if unknown)."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if learner == "rf":
        forest = RandomForestClassifier(
            trees,
            min_samples_leaf=5,
            class_weight="balanced",
            random_state=stream.integer(),
            n_jobs=jobs,
        )
        # the forest's threads race for the process's warning filters and can leave them empty: put them back
        with warnings.catch_warnings():
            forest.fit(x, target)
        # threads add up the votes of trees in no fixed order, and the last bit decides ties
        forest.set_params(n_jobs=1)
        return lambda rows: forest.predict_proba(rows)[:, 1], forest.feature_importances_
    unknown = np.zeros(x.shape[1])
    if learner == "hgb":
        # folds are balanced as they are; class weights would only make this six times as slow
        boosted = HistGradientBoostingClassifier(
            max_iter=BOOSTED_TREES,
            max_bins=31,
            max_leaf_nodes=8,
            early_stopping=False,
            random_state=stream.integer(),
        ).fit(x, target)
        return lambda rows: boosted.decision_function(rows), unknown
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=500)
    with warnings.catch_warnings():
        # an optimum reached to fewer digits than asked for ranks rows just as well
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.transform(x), target)
    return lambda rows: model.decision_function(scaler.transform(rows)), unknown


def _recalls(target: NDArray[np.intp], votes: NDArray[np.float64]) -> dict[str, float]:
    """Return the share of each kind on its side of the median vote: a constant vote shows as 1 and 0."""
    called = votes > np.median(votes)
    return {"synthetic": float(called[target == 1].mean()), "real": float((~called)[target == 0].mean())}


def _curve(target: NDArray[np.intp], votes: NDArray[np.float64]) -> dict[str, list[float]]:
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(target, votes)
    grid = np.linspace(0, 1, 101)
    return {"fpr": rounded(grid), "tpr": rounded(np.interp(grid, fpr, tpr))}
