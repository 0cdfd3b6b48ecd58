"""model="auto": candidates are fitted without some training rows, judged by those, and the best is kept, with reasons.

The loss (`criterion.py`) is 0 for fresh real rows. Bootstrap + noise (`jitter`) always runs: it loses nothing but copies
everything, so that its loss is near ½, and a model that does worse than that is never returned. Candidates whose copying exceeds
`VETO` are out, except where nothing else is left. Losses closer than `TIE` are noise: then the model that keeps no training rows
is preferred.

With many rows one validation part of a fifth judges; with few (fewer than `ENOUGH` such rows) five folds do in turn, so
that simple models win on small data by evidence and not by a rule. Candidates run in order of promise until half the time is used
or one is so good that no better one could be told from it. What one draw says of a candidate is noisy (158 validation rows: a standard
deviation of .02 to .05), so that those near the best, and those that seem so good, are judged by `DRAWS` draws where one part judges.
Where there are covariates, only models that know them run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor import splitting
from augmentor.comparison.splits import folded
from augmentor.core.contract import Spec
from augmentor.core.errors import TrainingFailed
from augmentor.core.progress import Progress
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.schema import Schema
from augmentor.core.space import Space
from augmentor.criterion import VETO, Loss, Trial, averaged
from augmentor.fitted import Fitted
from augmentor.fitting import fit
from augmentor.preparing import Options, Prepared, without
from augmentor.preprocess import genes
from augmentor.sampling import LabelPlan, draw

# in order of promise: strongest cheap model first, then the deep ones, then what is good for tiny data
CANDIDATES = ("copula", "flow", "cvae", "gaussian", "flow_matching", "smote", "mixup")
FLOOR = "jitter"
VALID_SHARE = 0.2
ENOUGH = 100  # validation rows from which one part judges well enough
FOLDS = 5
TIMES = 4  # drawn rows per validation row in a fold, where these are few
KEEP = 2  # rows of a label that a candidate always sees
TIE = 0.02
CLOSE = 0.1  # loss behind the best within which more draws are judged
DRAWS = 4
GOOD = 0.05  # loss below which a better model could not be told from it by so few rows
SECONDS = 300.0
JUDGED = 0.6  # share of the time after which no further draw is judged; fits end at half of it
WIDTH = 2000  # candidates are compared on this many features at most; the choice is then fitted to all of them


@dataclass(frozen=True)
class Candidate:
    """A model that was tried.

    Attributes:
        model: its name.
        loss: of its drawn rows, the mean over draws.
        seconds: time that fitting and judging the first draw took.
        another: judges another draw of it, by number; None where several folds have judged.
        draws: draws that were judged, in each fold.
    """

    model: str
    loss: Loss
    seconds: float
    another: Callable[[int], Loss] | None = None
    draws: int = 1

    @property
    def unsure(self) -> bool:
        """Whether more draws would say more."""
        return self.another is not None and self.draws < DRAWS

    def again(self) -> Candidate:
        """The candidate with one more draw in its loss."""
        assert self.another is not None
        mean = averaged([*[self.loss] * self.draws, self.another(self.draws)])
        return replace(self, loss=mean, draws=self.draws + 1)


def choose(prepared: Prepared, options: Options) -> Fitted:
    """Try the candidates, keep the best, fit it to all training rows, and record table and reason in its manifest."""
    started = time.monotonic()
    name, reason, table = _judge(prepared, options, started)
    options.listener(Progress("auto", note=f"{name} chosen: {reason}"))
    choice = {"chosen": name, "reason": reason, "candidates": [_row(c) for c in table]}
    del table  # the last fit needs the memory of the fitted candidates
    if options.max_seconds is not None:
        left = max(options.max_seconds - (time.monotonic() - started), 0.2 * options.max_seconds)
        options = replace(options, max_seconds=left)
    return fit(prepared, replace(options, model=name), choice=choice)


def _judge(prepared: Prepared, options: Options, started: float) -> tuple[str, str, list[Candidate]]:
    able = [name for name in (*CANDIDATES, FLOOR) if _can(MODELS.get(name).spec, prepared.train.schema)]
    trials = _trials(prepared, Stream(options.seed).child("auto"))
    if not trials:
        return able[0], "no row can be set aside to compare models by (labels of two rows, or too few groups)", []
    budget = options.max_seconds or SECONDS
    table: list[Candidate] = []
    untried: list[str] = []
    for name in sorted(able, key=lambda name: name == FLOOR):  # the floor always runs, last
        spent = time.monotonic() - started
        if name != FLOOR and table and (spent > budget / 2 or min(c.loss.total for c in table) < GOOD):
            untried.append(name)
            continue
        # a trained candidate may use up what is left of its half
        limit = max(budget / 2 - spent, 1.0) / len(trials) if MODELS.get(name).spec.trained else None
        try:
            found = _measured(name, trials, replace(options, max_seconds=limit))
        except TrainingFailed as error:
            options.listener(Progress("auto", note=f"{name} is out: {error}"))
            continue
        while total(found) < GOOD and found.unsure:
            found = found.again()
        table.append(found)
        options.listener(Progress("auto", len(table), len(able), "candidates", {name: found.loss.total}))
    table = _near_ones_again(table, started + JUDGED * budget)
    fit_to = [c for c in table if c.loss.copying <= VETO] or table
    best = min(fit_to, key=total)
    tied = [c for c in fit_to if total(c) - total(best) < TIE]
    lean = min((c for c in tied if not MODELS.get(c.model).spec.keeps_rows), key=total, default=best)
    rows = sum(len(trial.valid) for _, trial in trials)
    how = f"{rows} validation rows" + (f" in {len(trials)} folds" if len(trials) > 1 else "")
    losses = ", ".join(f"{c.model} {total(c):.3f}" for c in sorted(table, key=total))
    why = "as none could be told to be better" if any(total(c) < GOOD for c in table) else "for lack of time"
    skipped = f"; not tried, {why}: {', '.join(untried)}" if untried else ""
    if lean.model != best.model:
        return (
            lean.model,
            f"level with {best.model} on {how} and keeps no training rows (loss: {losses}{skipped})",
            table,
        )
    return best.model, f"smallest loss on {how} ({losses}; 0 = like fresh real rows{skipped})", table


def _near_ones_again(table: list[Candidate], until: float) -> list[Candidate]:
    """Judge more draws of the candidates near the best, the same number of each, while there is time."""
    for draws in range(1, DRAWS):
        best = min(total(c) for c in table)
        near = [c.model for c in table if total(c) - best < CLOSE]
        if len(near) < 2 or time.monotonic() > until:
            break
        table = [c.again() if c.model in near and c.unsure and c.draws == draws else c for c in table]
    return table


def total(candidate: Candidate) -> float:
    """What the choice is made by; smaller is better."""
    return candidate.loss.total


def _can(spec: Spec, schema: Schema) -> bool:
    """Whether a model is for such data: everything but a mixed table is led to a space of its own."""
    return (schema.space is not Space.MIXED or schema.space in spec.spaces) and (
        spec.covariates or not schema.covariates
    )


def _trials(prepared: Prepared, rng: Stream) -> list[tuple[Prepared, Trial]]:
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
        times = 1 if len(masks) == 1 else TIMES
        out.append((rest, Trial(rest.train, prepared.train.take(mask), rng.child("trial", i), times)))
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


def _measured(name: str, trials: list[tuple[Prepared, Trial]], options: Options) -> Candidate:
    """Fit a candidate in every trial and judge what it draws."""
    begun, fits = time.monotonic(), []
    # candidates are compared as they are; rejection would hide what is wrong with one, and take time
    quick = replace(options, model=name, checkpoint=None, resume=False, settings={}, reject=None)
    for rest, trial in trials:
        fitted = fit(rest, quick)
        counts = np.bincount(rest.condition, minlength=len(fitted.counts))
        fits.append((fitted, trial, LabelPlan(tuple(int(n) for n in counts))))

    def judged(number: int) -> Loss:
        return averaged([trial.judge(draw(fitted, plan, number), number) for fitted, trial, plan in fits])

    loss = judged(0)
    return Candidate(name, loss, round(time.monotonic() - begun, 1), judged if len(fits) == 1 else None)


def _row(candidate: Candidate) -> dict[str, Any]:
    loss = candidate.loss
    return {
        "model": candidate.model,
        "loss": round(loss.total, 4),
        "auc_values": round(loss.auc_values, 4),
        "auc_pcs": round(loss.auc_pcs, 4),
        "utility_lost": round(loss.utility_lost, 4),
        "copying": round(max(loss.copying, 0.0), 4),
        "seconds": candidate.seconds,
        "draws": candidate.draws,
    }
