"""model="auto": candidates are fitted without some training rows, judged by those, and the best is kept, with reasons.

The criterion is small and fixed. For drawn rows S of a candidate, validation rows V that it did not see, and the rows T it did:

    loss = detectability + utility lost + ½·copying
    detectability   ½·(|AUC_values − ½| + |AUC_PCs − ½|)       a forest telling S from V, the same number of every label
    utility lost    max(0, accuracy(T → V) − accuracy(S → V))  balanced accuracy of a regression trained on T, or on S
    copying         max(0, excess), excess = (σ − π)/(1 − π)   σ: share of S nearer to T than to V, π = |T| / (|T| + |V|)

All three are 0 for fresh real rows. Bootstrap + noise (`jitter`) always runs: it loses nothing but copies everything, so that its
loss is near ½, and a model that does worse than that is never returned. Candidates whose copying exceeds `VETO` are out, except
where nothing else is left. Losses closer than `TIE` are noise: then the model that keeps no training rows is preferred.

With many rows one validation part of a fifth judges; with few (fewer than `ENOUGH` such rows) five folds do in turn, so
that simple models win on small data by evidence and not by a rule. Candidates run in order of promise until half the time is used
or one is so good that no better one could be told from it. Where there are covariates, only models that know them run.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from augmentor import splitting
from augmentor.comparison.splits import folded
from augmentor.core.contract import Spec
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.errors import TrainingFailed
from augmentor.core.progress import Progress
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.schema import Schema
from augmentor.core.space import Space
from augmentor.evaluation.pair import distances
from augmentor.fitted import Fitted
from augmentor.fitting import fit
from augmentor.preparing import Options, Prepared, without
from augmentor.preprocess import genes
from augmentor.sampling import LabelPlan, draw

# in order of promise: strongest cheap model first, then the deep ones, then what is good for tiny data
CANDIDATES = ("copula", "cvae", "gaussian", "flow_matching", "smote", "mixup")
FLOOR = "jitter"
VALID_SHARE = 0.2
ENOUGH = 100  # validation rows from which one part judges well enough
FOLDS = 5
TIMES = 4  # drawn rows per validation row in a fold, where these are few
KEEP = 2  # rows of a label that a candidate always sees
TIE = 0.02
GOOD = 0.05  # loss below which a better model could not be told from it by so few rows
VETO = 0.6
SECONDS = 300.0
WIDTH = 2000  # candidates are compared on this many features at most; the choice is then fitted to all of them
ROWS = 500


@dataclass(frozen=True)
class Candidate:
    """What was measured of a model.

    Attributes:
        model: its name.
        auc_values: AUC of telling drawn from validation rows by their values.
        auc_pcs: the same by principal components.
        utility_lost: balanced accuracy lost by training on drawn rows instead of real ones.
        copying: excess share of drawn rows that lie nearer to the rows that the model saw.
        seconds: time that fitting and judging took.
    """

    model: str
    auc_values: float
    auc_pcs: float
    utility_lost: float
    copying: float
    seconds: float

    @property
    def detectability(self) -> float:
        """Mean distance of both AUCs from one half."""
        return 0.5 * (abs(self.auc_values - 0.5) + abs(self.auc_pcs - 0.5))

    @property
    def loss(self) -> float:
        """What the choice is made by; smaller is better."""
        return self.detectability + self.utility_lost + 0.5 * self.copying


@dataclass(frozen=True, eq=False)
class Trial:
    """A division of the training rows: a candidate sees ``rest`` and is judged by ``valid``.

    Attributes:
        rest: what is fitted.
        valid: rows that judge, and only judge.
        label: ``(rows,)`` their label combination.
        stream: randomness of this trial.
    """

    rest: Prepared
    valid: Dataset
    label: NDArray[np.intp]
    stream: Stream


def choose(prepared: Prepared, options: Options) -> Fitted:
    """Try the candidates, keep the best, fit it to all training rows, and record table and reason in its manifest."""
    started = time.monotonic()
    name, reason, table = _judge(prepared, options, started)
    options.listener(Progress("auto", note=f"{name} chosen: {reason}"))
    choice = {"chosen": name, "reason": reason, "candidates": [_row(c) for c in table]}
    if options.max_seconds is not None:
        left = max(options.max_seconds - (time.monotonic() - started), 0.2 * options.max_seconds)
        options = replace(options, max_seconds=left)
    return fit(prepared, replace(options, model=name), choice=choice)


def _judge(prepared: Prepared, options: Options, started: float) -> tuple[str, str, list[Candidate]]:
    able = [name for name in (*CANDIDATES, FLOOR) if _can(MODELS.get(name).spec, prepared.train.schema)]
    trials = _trials(prepared, Stream(options.seed).child("auto"))
    if not trials:
        return able[0], "no row can be set aside to compare models by (labels of two rows, or too few groups)", []
    reference = _reference(trials)
    budget = options.max_seconds or SECONDS
    table: list[Candidate] = []
    untried: list[str] = []
    for name in sorted(able, key=lambda name: name == FLOOR):  # the floor always runs, last
        spent = time.monotonic() - started
        if name != FLOOR and table and (spent > budget / 2 or min(c.loss for c in table) < GOOD):
            untried.append(name)
            continue
        # a trained candidate may use up what is left of its half
        limit = max(budget / 2 - spent, 1.0) / len(trials) if MODELS.get(name).spec.trained else None
        try:
            found = _measured(name, trials, reference, replace(options, max_seconds=limit))
        except TrainingFailed as error:
            options.listener(Progress("auto", note=f"{name} is out: {error}"))
            continue
        table.append(found)
        options.listener(Progress("auto", len(table), len(able), "candidates", {name: found.loss}))
    fit_to = [c for c in table if c.copying <= VETO] or table
    best = min(fit_to, key=lambda c: c.loss)
    tied = [c for c in fit_to if c.loss - best.loss < TIE]
    lean = min((c for c in tied if not MODELS.get(c.model).spec.keeps_rows), key=lambda c: c.loss, default=best)
    rows = sum(len(trial.valid) for trial in trials)
    how = f"{rows} validation rows" + (f" in {len(trials)} folds" if len(trials) > 1 else "")
    losses = ", ".join(f"{c.model} {c.loss:.3f}" for c in sorted(table, key=lambda c: c.loss))
    why = "as none could be told to be better" if any(c.loss < GOOD for c in table) else "for lack of time"
    skipped = f"; not tried, {why}: {', '.join(untried)}" if untried else ""
    if lean.model != best.model:
        return (
            lean.model,
            f"level with {best.model} on {how} and keeps no training rows (loss: {losses}{skipped})",
            table,
        )
    return best.model, f"smallest loss on {how} ({losses}; 0 = like fresh real rows{skipped})", table


def _can(spec: Spec, schema: Schema) -> bool:
    """Whether a model is for such data: everything but a mixed table is led to a space of its own."""
    return (schema.space is not Space.MIXED or schema.space in spec.spaces) and (
        spec.covariates or not schema.covariates
    )


def _trials(prepared: Prepared, rng: Stream) -> list[Trial]:
    """One validation part where a fifth of the rows is enough, else folds; none where a label or group cannot be divided."""
    if prepared.train.features > WIDTH and prepared.train.schema.space is not Space.MIXED:
        # the same features in every trial, chosen by all training rows: drawn and validation rows had no different part in it
        prepared = replace(prepared, train=prepared.train.select(genes.select(prepared.train, WIDTH)))
    groups = splitting.several(prepared.train.groups)
    if len(prepared.condition) * VALID_SHARE >= ENOUGH:
        masks = [splitting.part(prepared.condition, VALID_SHARE, rng.child("valid"), groups)]
    else:
        folds = min(FOLDS, len(prepared.condition)) if groups is None else min(FOLDS, len(set(groups.tolist())))
        fold = folded(prepared.condition, groups, folds, rng.child("folds"))
        masks = [_sparing(fold == i, prepared.condition, groups is None) for i in range(folds)]
    out = []
    for i, mask in enumerate(masks):
        rest = without(prepared, mask)
        if not mask.any() or set(rest.condition) != set(prepared.condition):
            continue
        valid, label = prepared.train.take(mask), prepared.condition[mask]
        out.append(Trial(rest, valid, label, rng.child("trial", i)))
    return out


def _sparing(mask: NDArray[np.bool_], condition: NDArray[np.intp], may: bool) -> NDArray[np.bool_]:
    """Leave `KEEP` rows of every label to learn from; whole groups are not divided for that."""
    mask = mask.copy()
    for c in np.unique(condition[mask]) if may else ():
        rows = np.flatnonzero(condition == c)
        short = KEEP - int((~mask[rows]).sum())
        if short > 0:
            mask[rows[mask[rows]][:short]] = False
    return mask


def _measured(name: str, trials: list[Trial], reference: list[float], options: Options) -> Candidate:
    """Fit a candidate in every trial and judge what it draws."""
    begun, aucs, losses, copies = time.monotonic(), [], [], []
    # candidates are compared as they are; rejection would hide what is wrong with one, and take time
    quick = replace(options, model=name, checkpoint=None, resume=False, settings={}, reject=None)
    for trial, accuracy in zip(trials, reference, strict=True):
        fitted = fit(trial.rest, quick)
        counts = np.bincount(trial.rest.condition, minlength=len(fitted.counts))
        drawn = draw(fitted, LabelPlan(tuple(int(n) for n in counts)), 0)
        label = _position(drawn, trial.rest)
        losses.append(max(0.0, accuracy - _accuracy(drawn, label, trial)))
        copies.append(_copying(drawn, trial))
        # trial by trial: the rows that judge one are learned from in the others
        aucs.append(detect(drawn, trial.valid, trial.stream.child("forest"), times=1 if len(trials) == 1 else TIMES))
    values, components = (float(auc) for auc in np.mean(aucs, axis=0))
    lost, copied = float(np.mean(losses)), max(0.0, float(np.mean(copies)))
    return Candidate(name, values, components, lost, copied, seconds=round(time.monotonic() - begun, 1))


def _reference(trials: list[Trial]) -> list[float]:
    """Balanced accuracy on the validation rows of a regression trained on the real rows of every trial."""
    return [_accuracy(trial.rest.train, trial.rest.condition, trial) for trial in trials]


def _accuracy(rows: Dataset, label: NDArray[np.intp], trial: Trial) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    present = np.unique(trial.label)
    if present.size < 2 or np.unique(label).size < 2:
        return 1.0
    x, scale = _numbers(rows, trial.valid), StandardScaler()
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        calls = model.fit(scale.fit_transform(x[: len(rows)]), label).predict(scale.transform(x[len(rows) :]))
    return float(np.mean([(calls[trial.label == c] == c).mean() for c in present]))


def _copying(drawn: Dataset, trial: Trial) -> float:
    """Excess share of drawn rows that lie nearer to the rows that were learned from than to the validation rows."""
    from sklearn.decomposition import PCA

    some = drawn.take(np.sort(trial.stream.child("copying").numpy().permutation(len(drawn))[:ROWS]))
    # all rows that were learned from: copies of those left out would look like fresh rows
    sides = (some, trial.rest.train, trial.valid)
    x = _numbers(*sides)
    # components of all sides: of one alone, that one would lie nearest to itself
    scores = PCA(min(20, *x.shape), random_state=trial.stream.integer()).fit_transform(x).astype(np.float64)
    own, seen, unseen = np.split(scores, np.cumsum([len(side) for side in sides])[:-1])
    near = [distances(own, other).min(axis=1) for other in (seen, unseen)]
    share = float(np.mean((near[0] < near[1]) + 0.5 * (near[0] == near[1])))
    expected = len(seen) / (len(seen) + len(unseen))
    return (share - expected) / (1 - expected)


def _position(drawn: Dataset, prepared: Prepared) -> NDArray[np.intp]:
    """Label combination of drawn rows."""
    where = {codes: c for c, codes in enumerate(prepared.combinations)}
    return np.array([where[tuple(codes)] for codes in drawn.codes.tolist()], dtype=np.intp)


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
    keys = [np.unique(np.vstack([a.codes, b.codes]), axis=0, return_inverse=True)[1].ravel()]
    first, second = keys[0][: len(a)], keys[0][len(a) :]
    for key in np.unique(second):
        mine, yours = np.flatnonzero(first == key), np.flatnonzero(second == key)
        n = max(1, int(share * min(mine.size, yours.size)))
        chosen[0].append(generator.permutation(mine)[: times * n])
        chosen[1].append(generator.permutation(yours)[:n])
    return np.concatenate(chosen[0]), np.concatenate(chosen[1])


def _numbers(*sides: Dataset) -> NDArray[np.float32]:
    """Rows of all sides as numbers; columns of a mixed table one-hot in standard units, with indicators of missing values."""
    schema = sides[0].schema
    if schema.space is not Space.MIXED:
        return np.vstack([_values(side) for side in sides])
    from augmentor.nn.table import Places

    x = np.vstack([side.x for side in sides])
    levels = schema.levels or (None,) * x.shape[1]
    gone = np.isnan(x)
    middle = np.where(gone, 0, x).sum(axis=0) / np.maximum((~gone).sum(axis=0), 1)
    filled = np.where(gone, np.where([level is None for level in levels], middle, -1), x).astype(np.float32)
    out = np.hstack([Places(tuple(None if level is None else len(level) for level in levels)).hot(filled), gone])
    return ((out - out.mean(axis=0)) / np.where(out.std(axis=0) > 0, out.std(axis=0), 1)).astype(np.float32)


def _values(dataset: Dataset) -> NDArray[np.float32]:
    if dataset.schema.space is not Space.COUNTS:
        return as_dense(dataset.x)
    return np.log1p(as_dense(dataset.x) / row_sums(dataset.x)[:, None] * 1e4).astype(np.float32)


def _row(candidate: Candidate) -> dict[str, Any]:
    return {
        "model": candidate.model,
        "loss": round(candidate.loss, 4),
        "auc_values": round(candidate.auc_values, 4),
        "auc_pcs": round(candidate.auc_pcs, 4),
        "utility_lost": round(candidate.utility_lost, 4),
        "copying": round(candidate.copying, 4),
        "seconds": candidate.seconds,
    }
