"""From measures of pairs to scores: ceiling, floors, interval, normalised value and flags."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from scipy import stats

from augmentor.core.errors import listed
from augmentor.core.space import Space
from augmentor.evaluation.arms import FLOORS
from augmentor.evaluation.columns import average
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Flagging, Measured, Measures, Metric, Setup
from augmentor.evaluation.pair import Asked, Pair
from augmentor.evaluation.score import Ceiling, Interval, LabelValue, Score, ScoreSpec

BOOTSTRAPS = 100
FULL_HALVES = 20
# Halves of fewer rows are another statistic: fewer neighbours, other classifiers.
HALVED_ROWS = 20
MOSTLY = 0.8
# Fewer matched rows than this cannot be compared.
FEWEST_ROWS = 4
# Draws of the ceiling in a quick evaluation.
QUICK_DRAWS = 3
NO_HOLDOUT = "needs held-out rows"
NO_TIME = "time budget"

# values per fold, one list entry per draw
Draws = dict[int, list[Measures]]


@runtime_checkable
class Brief(Protocol):
    """A metric that leaves out some of its scores where only the minimum set is wanted."""

    quick: ClassVar[frozenset[str]]


@dataclass(frozen=True)
class Outcome:
    """A metric after all its runs.

    Attributes:
        scores: by name, in the order of the specs.
        measured: measures by arm, fold by fold, for the figures; ``ceiling draws`` holds all draws of real rows.
        z: how far each score lies above its ceiling in the good direction, in standard deviations.
    """

    scores: dict[str, Score]
    measured: dict[str, list[Measures]]
    z: dict[str, float]


def run(metric: Metric, frame: Frame, deadline: float = math.inf) -> Outcome:
    """Measure every arm and put the scores together.

    Args:
        metric: what to measure.
        frame: the rows.
        deadline: reading of ``time.perf_counter`` by which the metric must be done; judged from its first measure, it is
            skipped rather than begun where it would not be.
    """
    start = time.perf_counter()
    refusal = _refusal(metric, frame)
    if not refusal and start < deadline < math.inf:
        metric.measure(_pair(metric, frame, "synthetic", 0))
        once, start = time.perf_counter() - start, time.perf_counter()
        refusal = NO_TIME if start + once * _measures(metric, frame) > deadline else None
    elif start >= deadline:
        refusal = NO_TIME
    if refusal:
        return Outcome(
            {spec.name: Score(spec=spec, value=None, skipped=refusal) for spec in _specs(metric, frame.asked)},
            {},
            {},
        )
    setup, folds = metric.setup, range(len(frame.folds(metric.setup.rows)))
    count = max(setup.halves, FULL_HALVES) if frame.asked.full and setup.halves else setup.halves
    pairs = [_pair(metric, frame, "synthetic", fold) for fold in folds]
    synthetic = {fold: [metric.measure(pairs[fold])] for fold in folds}
    ceiling = _ceiling(metric, frame)
    floors = _floors(metric, frame)
    specs = _specs(metric, frame.asked)
    intervals = {spec.interval for spec in specs}
    halves = _draws(metric, [(i % len(pairs), pairs[i % len(pairs)], "half", i) for i in range(count)], intervals)
    boots = _draws(metric, [(i % len(pairs), pairs[i % len(pairs)], "boot", i) for i in range(BOOTSTRAPS)], intervals)
    seconds = time.perf_counter() - start
    scores, z = {}, {}
    for spec in specs:
        resampled = {"subsample": halves, "bootstrap": boots, "none": {}}[spec.interval]
        score, z[spec.name] = _score(spec, frame, pairs[0], synthetic, ceiling, floors, resampled)
        score = score.model_copy(update={"seconds": round(seconds / len(specs), 3)})
        if isinstance(metric, Flagging) and score.value is not None:
            score = score.model_copy(update={"flags": (*score.flags, *metric.flags(score))})
        scores[spec.name] = score
    measured = {"synthetic": [runs[0] for runs in synthetic.values()]}
    if ceiling:
        measured["ceiling"] = [runs[0] for runs in ceiling.values()]
        measured["ceiling draws"] = [measures for runs in ceiling.values() for measures in runs]
    measured |= {arm: [runs[0] for runs in draws.values()] for arm, draws in floors.items()}
    return Outcome(scores, measured, z)


def _pair(metric: Metric, frame: Frame, arm: str, fold: int, draw: int = 0) -> Pair:
    pair = frame.pair(metric.setup.rows, arm, fold, draw)
    if metric.setup.most is None or frame.asked.full:
        return pair
    return pair.fewer(metric.setup.most // 2 if frame.asked.quick else metric.setup.most)


def _measured(metric: Metric, frame: Frame, arm: str, fold: int, draw: int = 0) -> Measures:
    """Measure rows that are measured once only, and keep nothing large of them."""
    measures = metric.measure(_pair(metric, frame, arm, fold, draw))
    frame.pair(metric.setup.rows, arm, fold, draw).forget()
    return measures


def _measures(metric: Metric, frame: Frame) -> int:
    """How often a metric measures, about."""
    setup, specs = metric.setup, _specs(metric, frame.asked)
    folds = len(frame.folds(setup.rows))
    draws = _count(setup, frame.asked)
    ceilings = draws if setup.alternate else draws * folds
    every = setup.floors == "all" and not frame.asked.quick
    floors = 0 if setup.rows in ("all", "copies") else len(FLOORS) if every else 1
    resampled = {"subsample": setup.halves, "bootstrap": BOOTSTRAPS, "none": 0}
    return folds * (1 + floors) + ceilings + sum(resampled[kind] for kind in {spec.interval for spec in specs})


def _count(setup: Setup, asked: Asked) -> int:
    """How many draws make the ceiling."""
    return min(setup.draws, QUICK_DRAWS) if asked.quick else setup.draws


def wanted(metric: Metric, *, full: bool, quick: bool = False) -> list[ScoreSpec]:
    """Return the scores to compute: without ``full`` those of a mixed file not marked so, of a `Brief` one its own if ``quick``."""
    if quick and isinstance(metric, Brief):
        return [spec for spec in metric.scores if spec.name in metric.quick]
    plain = [spec for spec in metric.scores if full or not spec.full]
    return plain or list(metric.scores)


def _specs(metric: Metric, asked: Asked) -> list[ScoreSpec]:
    return wanted(metric, full=asked.full, quick=asked.quick)


def _refusal(metric: Metric, frame: Frame) -> str | None:
    if frame.data.space not in metric.setup.spaces:
        return f"means something for {listed(metric.setup.spaces)} only, not for {frame.data.space}"
    if frame.halved and all(spec.needs_holdout for spec in metric.scores):
        return NO_HOLDOUT
    if metric.setup.labelled and not frame.data.labelled:
        return "needs at least two labels"
    if metric.setup.covariates and not frame.data.covariates:
        return "needs continuous covariates in all sets (--covariate)"
    if metric.setup.rows in ("matched", "distinct", "mapped"):
        pair = frame.pair(metric.setup.rows, "synthetic", 0)
        n = min(len(pair.synthetic), len(pair.real))
        if n < FEWEST_ROWS:
            kind = "distinct " if metric.setup.rows == "distinct" else ""
            return f"only {n} {kind}rows of the same labels on both sides; at least {FEWEST_ROWS} are needed"
    return None


def _ceiling(metric: Metric, frame: Frame) -> Draws:
    setup = metric.setup
    folds = list(range(len(frame.folds(setup.rows))))
    draws = _count(setup, frame.asked)
    if setup.rows == "copies":
        folds, draws = [fold for fold in folds if frame.folds("copies")[fold].fresh is not None], 1
    elif setup.rows == "all" or (setup.rows == "training" and len(frame.data.synthetic) > MOSTLY * len(frame.train)):
        # draws of (nearly) all training rows are one and the same
        draws = min(draws, 1)
    out: Draws = {}
    for i in range(draws):
        for fold in [folds[i % len(folds)]] if setup.alternate and folds else folds:
            out.setdefault(fold, []).append(_measured(metric, frame, "ceiling", fold, i))
    return out


def _floors(metric: Metric, frame: Frame) -> dict[str, Draws]:
    if metric.setup.rows in ("all", "copies"):
        return {}
    named = {spec.floor for spec in _specs(metric, frame.asked)}
    every = frame.asked.full or (metric.setup.floors == "all" and not frame.asked.quick)
    arms = [arm for arm in FLOORS if every or arm in named]
    if not frame.data.labelled and "permuted" in arms:
        arms.remove("permuted")
    folds = range(1 if metric.setup.alternate else len(frame.folds(metric.setup.rows)))
    return {arm: {fold: [_measured(metric, frame, arm, fold)] for fold in folds} for arm in arms}


def _draws(metric: Metric, plan: Sequence[tuple[int, Pair, str, int]], intervals: AbstractSet[str]) -> Draws:
    out: Draws = {}
    for fold, pair, kind, i in plan:
        if kind == "half" and "subsample" in intervals:
            out.setdefault(fold, []).append(metric.measure(pair.half(i)))
            pair.half(i).forget()
        if kind == "boot" and "bootstrap" in intervals:
            out.setdefault(fold, []).append(metric.measure(pair.resampled(i)))
    return out


def _score(
    spec: ScoreSpec,
    frame: Frame,
    pair: Pair,
    synthetic: Draws,
    ceilings: Draws,
    floors: Mapping[str, Draws],
    resampled: Draws,
) -> tuple[Score, float]:
    measures = [runs[0][spec.name] for runs in synthetic.values()]
    value = average(item.value for item in measures)
    if frame.halved and spec.needs_holdout:
        return Score(spec=spec, value=None, skipped=NO_HOLDOUT), 0.0
    ceiling = _ceiling_of(spec.name, ceilings)
    floor_values = {arm: average(_values(draws, spec.name)) for arm, draws in floors.items()}
    common: dict[str, Any] = {
        "spec": spec,
        "ceiling": ceiling,
        "floors": floor_values,
        "n_used": len(pair.synthetic),
        "space": space_text(frame),
        "detail": _detail(spec.name, measures, ceilings, resampled),
    }
    if value is None:
        reason = next((item.reason for item in measures if item.reason), "not defined on these rows")
        return Score(value=None, skipped=reason, **common), 0.0
    half_width, sd, method = _spread(spec, measures, resampled)
    interval = None if half_width is None else _bounded(spec, value, half_width, method)
    floor = floor_values.get(spec.floor) if spec.floor else None
    normalised, flags = _normalised(spec, value, ceiling, floor)
    # the interval of a few draws is wider than their standard deviation says
    z = _z(spec, value, sd if half_width is None else half_width / 1.96, ceiling)
    if frame.halved:
        flags = (*flags, "no_holdout")
    score = Score(
        value=value,
        per_label=_per_label(measures, pair),
        interval=interval,
        normalised=normalised,
        flags=flags,
        **common,
    )
    return score, z


def _values(draws: Draws, name: str) -> list[float | None]:
    return [measure[name].value for runs in draws.values() for measure in runs]


def _ceiling_of(name: str, ceilings: Draws) -> Ceiling | None:
    by_fold = [[v for v in (m[name].value for m in runs) if v is not None] for runs in ceilings.values()]
    by_fold = [values for values in by_fold if values]
    if not by_fold:
        return None
    own = average(m[name].sd for runs in ceilings.values() for m in runs) or 0.0
    sd = max(_pooled_sd(by_fold) / np.sqrt(len(by_fold)), own)
    mean = float(np.mean([np.mean(values) for values in by_fold]))
    return Ceiling(mean=mean, sd=float(sd), draws=sum(map(len, by_fold)))


def _pooled_sd(groups: list[list[float]]) -> float:
    """Standard deviation within groups: folds have levels of their own."""
    squares = sum(float(np.square(np.asarray(g) - np.mean(g)).sum()) for g in groups)
    freedom = sum(len(g) - 1 for g in groups)
    return float(np.sqrt(squares / freedom)) if freedom > 0 else 0.0


def _spread(spec: ScoreSpec, measures: list[Measured], resampled: Draws) -> tuple[float | None, float, str]:
    """Return half the width of the 95 % interval, the standard deviation of the value, and the method."""
    own = [item for item in measures if item.sd is not None]
    if own:
        sd = float(np.sqrt(np.mean([item.sd**2 for item in own if item.sd is not None]) / len(own)))
        return 1.96 * sd, sd, own[0].method
    groups = [[v for v in (m[spec.name].value for m in runs) if v is not None] for runs in resampled.values()]
    groups = [values for values in groups if len(values) > 1]
    freedom = sum(len(g) - 1 for g in groups)
    if freedom < 2:
        return None, 0.0, ""
    # folds compare disjoint held-out rows; their average varies less than one of them
    sd = _pooled_sd(groups) / np.sqrt(len(groups))
    count = sum(len(g) for g in groups)
    if spec.interval == "bootstrap":
        method = f"stratified bootstrap of rows, {count} draws"
    else:
        method = f"random halves without replacement, {count} draws"
    return float(stats.t.ppf(0.975, freedom) * sd), float(sd), method


def _bounded(spec: ScoreSpec, value: float, half_width: float, method: str) -> Interval:
    low, high = spec.bounds
    return Interval(
        low=max(value - half_width, -np.inf if low is None else low),
        high=min(value + half_width, np.inf if high is None else high),
        method=method,
    )


def _normalised(
    spec: ScoreSpec, value: float, ceiling: Ceiling | None, floor: float | None
) -> tuple[float | None, tuple[str, ...]]:
    if ceiling is None or floor is None:
        return None, ()
    v, c, f = value, ceiling.mean, floor
    if spec.goal == "target" and spec.ideal is not None:
        v, c, f = abs(v - spec.ideal), abs(c - spec.ideal), abs(f - spec.ideal)
    worse = c - f if spec.goal == "maximize" else f - c
    # a floor that is as good as real rows, or better, says that the score does not see what it breaks
    if worse <= max(2 * ceiling.sd, 1e-12):
        return None, ("uninformative_here",)
    return (v - f) / (c - f), ()


def _z(spec: ScoreSpec, value: float, sd: float, ceiling: Ceiling | None) -> float:
    """Return by how many standard deviations a score is better than its ceiling; 0 for targets and without interval."""
    if ceiling is None or spec.goal == "target" or sd == 0.0:
        return 0.0
    total = float(np.hypot(sd, ceiling.sd))
    difference = value - ceiling.mean if spec.goal == "maximize" else ceiling.mean - value
    return difference / total if total > 0 else 0.0


def _per_label(measures: list[Measured], pair: Pair) -> dict[str, LabelValue]:
    labels = sorted({label for item in measures for label in item.per_label})
    counts = pair.counts
    out = {}
    for label in labels:
        value = average(item.per_label.get(label) for item in measures)
        n = counts.get(label, 0)
        out[label] = LabelValue(value=value, n=n, reason=None if value is not None else f"too few rows ({n})")
    return out


def _detail(name: str, measures: list[Measured], ceilings: Draws, resampled: Draws) -> dict[str, object]:
    detail = dict(measures[0].detail)
    if len(measures) > 1:
        detail["folds"] = [item.value for item in measures]
    draws = _values(ceilings, name)
    if draws:
        detail["ceiling_draws"] = draws
    if resampled and all(item.sd is None for item in measures):
        # by fold; two evaluations of the same seed resample the same real rows, so their differences pair draw by draw
        detail["resampled"] = [[measure[name].value for measure in runs] for runs in resampled.values()]
    return detail


def space_text(frame: Frame) -> str:
    """Return in words how rows were prepared: policy and units."""
    units = "log1p of normalised counts" if frame.data.space is Space.COUNTS else str(frame.data.space)
    return f"{frame.policy}; {units}"
