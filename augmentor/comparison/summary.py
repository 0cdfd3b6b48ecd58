"""From finished splits to what is said of them: means, paired gains, verdicts, the learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.comparison import curve as learning
from augmentor.comparison import learners as classifiers
from augmentor.comparison import verdict
from augmentor.comparison.arms import SIMPLE
from augmentor.comparison.protocol import ORACLE, PLAIN, Design, Split
from augmentor.comparison.result import Arm, Baseline, Kind, Verdict
from augmentor.core.errors import listed

Points = list[list[tuple[float, float]]]


@dataclass(frozen=True)
class Setting:
    """A design, and how often and on which rows it is carried out.

    Attributes:
        design: what is compared.
        folds: folds of each repeat.
        repeats: repeats.
        per_label: most training rows per label; None for all.
        most_rows: most training rows, and most test rows.
        max_time: seconds after which no further split is begun.
        seed: root of all randomness.
    """

    design: Design
    folds: int = 5
    repeats: int = 5
    per_label: int | None = None
    most_rows: int = 2000
    max_time: float | None = None
    seed: int = 0


def decisive(judged: Sequence[Split], kinds: Sequence[str]) -> str:
    """Return the learner with the best balanced accuracy on real rows in the inner folds; of equals the first."""
    return max(kinds, key=lambda kind: round(float(np.mean([split.inner[kind] for split in judged])), 9))


def summarised(
    judged: Sequence[Split], points: Points, setting: Setting, names: Sequence[str], warnings: Sequence[str]
) -> dict[str, Any]:
    """Return what a `Comparison` says of finished splits: arms, baselines, verdicts, learning curve."""
    design, decides = setting.design, decisive(judged, setting.design.learners)
    tested = np.sum([split.tested for split in judged], axis=0) / (len(judged) / setting.folds)
    # every row is tested once in a repeat; a split divides the rows by n_test to the rest
    ratio = 1.0 / (setting.folds - 1)
    lacking = []
    if len(judged) < verdict.FEWEST_SPLITS:
        lacking.append(f"{len(judged)} splits are fewer than {verdict.FEWEST_SPLITS}")
    rare = [f"{name} {n:.0f}" for name, n in zip(names, tested, strict=True) if round(n) < verdict.FEWEST_TESTED]
    if rare:
        lacking.append(f"fewer than {verdict.FEWEST_TESTED} test rows of a label ({listed(rare)})")
    train_rows = np.mean([split.trained.sum() for split in judged])
    sets = "1 synthetic set" if design.seeds == 1 else f"{design.seeds} synthetic sets"
    rests = f"{train_rows:.0f} real training rows of {len(names)} labels, {len(judged)} splits and {sets} in each"
    known = {
        arm: [split.knowledge[arm] for split in judged if arm in split.knowledge]
        for arm in design.generators
        if arm != "duplicate"
    }
    nearer = {arm: [one.nearer for one in found] for arm, found in known.items()}
    copies = {arm: [one.copies for one in found] for arm, found in known.items()}
    leaking = [arm for arm in known if verdict.leaks(nearer[arm], copies[arm], ratio)]
    arms: list[Arm] = []
    verdicts: dict[str, Verdict] = {}
    baselines: dict[str, Baseline] = {}
    differences: dict[str, dict[str, tuple[float, ...]]] = {}
    for kind in design.learners:
        base = _table([split.judged[kind, split.plain[kind].arm].scores for split in judged])
        real = _table([split.judged[kind, PLAIN[0]].scores for split in judged])
        policies = [split.plain[kind].arm for split in judged]
        baselines[kind] = Baseline(
            learner=kind,
            scores=_means(base),
            inner=float(np.mean([split.inner[kind] for split in judged])),
            chosen={name: policies.count(name) for name in PLAIN if name in policies},
        )
        gains: dict[str, dict[str, NDArray[np.float64]]] = {}
        oracle = [ORACLE] if all((kind, ORACLE) in split.judged for split in judged) else []
        for arm in [*PLAIN, *design.generators, *oracle]:
            each = [split.judged[kind, arm] for split in judged]
            table = _table([one.scores for one in each])
            change = {metric: table[metric] - base[metric] for metric in classifiers.METRICS}
            makes = arm in design.generators
            if makes:
                gains[arm] = change
            used = [one.policy.ratio for one in each if makes and one.policy.ratio]
            arms.append(
                Arm(
                    learner=kind,
                    arm=arm,
                    kind=_kind(arm),
                    scores=_means(table),
                    gains={metric: verdict.gain(_defined(d), ratio) for metric, d in change.items()},
                    over_real=verdict.gain(table[verdict.PRIMARY] - real[verdict.PRIMARY], ratio),
                    ratio=float(np.median(used)) if used else 0.0,
                    used=len(used),
                    seed_sd=float(np.mean([one.seed_sd for one in each])),
                    split_sd=float(np.std(change[verdict.PRIMARY], ddof=1)) if len(each) > 1 else 0.0,
                    nearer=float(np.mean(nearer[arm])) if nearer.get(arm) else None,
                    copies=float(np.mean(copies[arm])) if copies.get(arm) else None,
                    leak=arm in leaking,
                    verdict=verdict.word(_all_defined(change), ratio, enough=not lacking)
                    if makes and arm not in leaking
                    else None,
                )
            )
        differences[kind] = {
            arm: tuple(float(d) for d in np.round(found[verdict.PRIMARY], 12)) for arm, found in gains.items()
        }
        typical = {arm.arm: arm.ratio for arm in arms if arm.learner == kind}
        verdicts[kind] = verdict.overall(
            kind,
            {arm: _all_defined(found) for arm, found in gains.items()},
            ratio,
            base=float(np.mean(base[verdict.PRIMARY])),
            policy=max(baselines[kind].chosen, key=lambda name: baselines[kind].chosen[name]),
            ratios=typical,
            leaking=leaking,
            lacking=lacking,
            rests_on=rests,
        )
    answer = verdicts[decides]
    trained = np.mean([split.trained for split in judged], axis=0)
    per_label = float(trained[trained > 0].mean())
    return {
        "tested": {name: round(float(n)) for name, n in zip(names, tested, strict=True)},
        "verdict": answer,
        "verdicts": verdicts,
        "baselines": baselines,
        "arms": tuple(arms),
        "curve": learning.read(decides, points, per_label, answer.arm, answer.gain),
        "differences": differences,
        "warnings": tuple(warnings),
    }


def _kind(arm: str) -> Kind:
    if arm in PLAIN:
        return "plain"
    return "oracle" if arm == ORACLE else "simple" if arm in SIMPLE else "model"


def _table(scores: Sequence[Mapping[str, float]]) -> dict[str, NDArray[np.float64]]:
    return {metric: np.array([one[metric] for one in scores]) for metric in classifiers.METRICS}


def _means(table: Mapping[str, NDArray[np.float64]]) -> dict[str, float | None]:
    return {name: float(np.nanmean(v)) if np.isfinite(v).any() else None for name, v in table.items()}


def _defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences where both sides are defined; AUROC is not where a test part has one label."""
    kept = values[np.isfinite(values)]
    return kept if kept.size else np.zeros(1)


def _all_defined(table: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    return {name: _defined(values) for name, values in table.items()}
