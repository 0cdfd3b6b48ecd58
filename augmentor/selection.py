"""model="auto": candidates are fitted without a validation part, judged on it, and the better one is kept, with reasons.

The criterion is small and fixed. For the synthetic rows S of a candidate and the validation rows V, label-matched:

    detectability = ½·(|AUC_values − ½| + |AUC_PCs − ½|)

AUC: a random forest's cross-validated area under the ROC curve for telling S from V, on log-normalised (or given) values
and on their principal components; 0 is indistinguishable. Differences below `TIE` are noise: then the model that keeps
no training rows is preferred, because it copies less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor import splitting
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.progress import Progress
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.fitted import Fitted
from augmentor.fitting import Options, Prepared, fit, without
from augmentor.preprocess import genes
from augmentor.sampling import LabelPlan, draw

CANDIDATES = ("copula", "cvae")
VALID_SHARE = 0.2
FEWEST = 40  # validation rows below which an AUC says nothing
TIE = 0.02
WIDTH = 2000  # candidates are compared on this many features at most; the choice is then fitted to all of them
ROWS = 500


@dataclass(frozen=True)
class Candidate:
    """What was measured of a model."""

    model: str
    auc_values: float
    auc_pcs: float
    seconds: float

    @property
    def detectability(self) -> float:
        """Mean distance of both AUCs from one half."""
        return 0.5 * (abs(self.auc_values - 0.5) + abs(self.auc_pcs - 0.5))


def choose(prepared: Prepared, options: Options) -> Fitted:
    """Fit the candidates, keep the better one, and record table and reason in its manifest."""
    name, reason, table = _judge(prepared, options)
    options.listener(Progress("auto", note=f"{name} chosen: {reason}"))
    choice = {"chosen": name, "reason": reason, "candidates": [_row(c) for c in table]}
    return fit(prepared, replace(options, model=name), choice=choice)


def _judge(prepared: Prepared, options: Options) -> tuple[str, str, list[Candidate]]:
    space = prepared.train.schema.space
    able = [name for name in CANDIDATES if _accepts(name, space)]
    if len(able) == 1:
        return able[0], f"the only candidate for {space} data", []
    rng = Stream(options.seed).child("auto")
    judges = splitting.part(
        prepared.condition, VALID_SHARE, rng.child("valid"), splitting.several(prepared.train.groups)
    )
    if judges.sum() < FEWEST:
        return (
            "copula",
            f"only {int(judges.sum())} validation rows could be set aside (fewer than {FEWEST}), too few to compare models; "
            "with few rows the simple model is safer",
            [],
        )
    rest = without(prepared, judges)
    if set(rest.condition) != set(prepared.condition):
        return "copula", "the groups are too few to set whole ones aside for a comparison", []
    valid, labels = prepared.train.take(judges), prepared.condition[judges]
    if prepared.train.features > WIDTH:
        kept = genes.select(rest.train, WIDTH)
        rest, valid = replace(rest, train=rest.train.select(kept)), valid.select(kept)
    table = []
    for name in able:
        quick = replace(options, model=name, checkpoint=None, resume=False, settings={})
        if options.max_seconds is not None:
            quick = replace(quick, max_seconds=options.max_seconds / 3)
        fitted = fit(rest, quick)
        synthetic = draw(fitted, LabelPlan(tuple(int(n) for n in np.bincount(labels, minlength=len(fitted.counts)))), 0)
        auc = detect(synthetic, valid, rng.child("forest"))
        table.append(Candidate(name, *auc, seconds=fitted.record["wall_seconds"]))
    best = min(table, key=lambda c: c.detectability)
    tied = [c for c in table if c.detectability - best.detectability < TIE]
    lean = next((c for c in tied if not MODELS.get(c.model).spec.keeps_rows), best)
    scores = ", ".join(f"{c.model} {c.detectability:.3f} (AUC {c.auc_values:.2f} / {c.auc_pcs:.2f})" for c in table)
    if lean.model != best.model:
        return lean.model, f"level with {best.model} in detectability ({scores}) and keeps no training rows", table
    return best.model, f"least detectable against {len(valid)} validation rows ({scores}; 0 = indistinguishable)", table


def detect(synthetic: Dataset, valid: Dataset, rng: Stream) -> tuple[float, float]:
    """AUC of a forest on values and on principal components; the same number of rows of every label on both sides."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    generator = rng.numpy()
    ours, theirs = _matched(synthetic, valid, generator)
    x = np.vstack([_values(synthetic.take(ours)), _values(valid.take(theirs))])
    y = np.repeat([0, 1], [len(ours), len(theirs)])
    folds = StratifiedKFold(5, shuffle=True, random_state=rng.integer())

    def auc(features: NDArray[np.floating]) -> float:
        forest = RandomForestClassifier(100, min_samples_leaf=3, random_state=rng.integer())
        return float(cross_val_score(forest, features, y, cv=folds, scoring="roc_auc").mean())

    components = min(20, len(y) // 4, x.shape[1])
    # fitted on the union of both sides: on one side alone it would tell them apart by itself
    return auc(x), auc(PCA(components, random_state=rng.integer()).fit_transform(x))


def _matched(a: Dataset, b: Dataset, generator: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    chosen: tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]] = ([], [])
    share = min(1.0, ROWS / len(b))
    keys = [np.unique(np.vstack([a.codes, b.codes]), axis=0, return_inverse=True)[1].ravel()]
    first, second = keys[0][: len(a)], keys[0][len(a) :]
    for key in np.unique(second):
        mine, yours = np.flatnonzero(first == key), np.flatnonzero(second == key)
        n = max(1, int(share * min(mine.size, yours.size)))
        chosen[0].append(generator.permutation(mine)[:n])
        chosen[1].append(generator.permutation(yours)[:n])
    return np.concatenate(chosen[0]), np.concatenate(chosen[1])


def _values(dataset: Dataset) -> NDArray[np.float32]:
    if dataset.schema.space is not Space.COUNTS:
        return as_dense(dataset.x)
    return np.log1p(as_dense(dataset.x) / row_sums(dataset.x)[:, None] * 1e4).astype(np.float32)


def _accepts(name: str, space: Space) -> bool:
    return space is not Space.MIXED or Space.MIXED in MODELS.get(name).spec.spaces


def _row(candidate: Candidate) -> dict[str, Any]:
    return {
        "model": candidate.model,
        "auc_values": round(candidate.auc_values, 4),
        "auc_pcs": round(candidate.auc_pcs, 4),
        "detectability": round(candidate.detectability, 4),
        "seconds": candidate.seconds,
    }
