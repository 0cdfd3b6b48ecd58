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
from augmentor.comparison.design import ORACLE, PLAIN, Design
from augmentor.comparison.protocol import Split
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
        labelled: training rows per label that keep their label, where the others lose it; None for all.
        most_rows: most training rows, and most test rows.
        max_time: seconds after which no further split is begun.
        seed: root of all randomness.
    """

    design: Design
    folds: int = 5
    repeats: int = 5
    per_label: int | None = None
    labelled: int | None = None
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
    beside = np.mean([split.pool for split in judged])
    others = f", {beside:.0f} without a label beside them" if design.unlabelled else ""
    rests = (
        f"{train_rows:.0f} real training rows of {len(names)} labels{others}, {len(judged)} splits and {sets} in each"
    )
    known = {
        arm: [split.knowledge[arm] for split in judged if arm in split.knowledge]
        for arm in design.makers
        if arm != "duplicate"
    }
    nearer = {arm: [one.nearer for one in found] for arm, found in known.items()}
    copies = {arm: [one.copies for one in found] for arm, found in known.items()}
    repeated = [split.repeated for split in judged]
    # who holds test rows among its unlabelled rows knows them, whatever it does with them
    holds = bool(design.unlabelled) and verdict.leaks([], repeated, ratio)
    leaking = [
        arm for arm in known if verdict.leaks(nearer[arm], copies[arm], ratio) or (holds and arm in design.taught)
    ]
    arms: list[Arm] = []
    verdicts: dict[str, Verdict] = {}
    baselines: dict[str, Baseline] = {}
    differences: dict[str, dict[str, tuple[float, ...]]] = {}
    rivals: dict[str, Baseline] = {}
    for kind in design.learners:
        base, baselines[kind] = _comparator(judged, kind)
        rival, against = _rival(judged, kind, design, base)
        rivals[kind] = baselines[kind] if rival is None else _of_rival(judged, kind, rival, against)
        real = _table([split.judged[kind, PLAIN[0]].scores for split in judged])
        beyond: dict[str, dict[str, NDArray[np.float64]]] = {}
        oracle = [ORACLE] if all((kind, ORACLE) in split.judged for split in judged) else []
        for arm in [*PLAIN, *design.generators, *oracle, *design.unlabelled, *design.taught]:
            each = [split.judged[kind, arm] for split in judged]
            table = _table([one.scores for one in each])
            change = {metric: table[metric] - base[metric] for metric in classifiers.METRICS}
            makes = arm in design.makers
            if makes:
                beyond[arm] = _beyond(judged, kind, arm, table, against, None if arm in design.taught else rival)
            used = [one.policy.ratio for one in each if makes and one.policy.ratio]
            leak = arm in leaking or (holds and design.pooled(arm))
            arms.append(
                Arm(
                    learner=kind,
                    arm=arm,
                    kind=_kind(arm, design),
                    pooled=design.pooled(arm),
                    scores=_means(table),
                    gains={metric: verdict.gain(_defined(d), ratio) for metric, d in change.items()},
                    beyond=verdict.gain(beyond[arm][verdict.PRIMARY], ratio) if makes and design.unlabelled else None,
                    over_real=verdict.gain(table[verdict.PRIMARY] - real[verdict.PRIMARY], ratio),
                    ratio=float(np.median(used)) if used else 0.0,
                    used=len(used),
                    seed_sd=float(np.mean([one.seed_sd for one in each])),
                    split_sd=float(np.std(change[verdict.PRIMARY], ddof=1)) if len(each) > 1 else 0.0,
                    nearer=float(np.mean(nearer[arm])) if nearer.get(arm) else None,
                    copies=float(np.mean(copies[arm])) if copies.get(arm) else None,
                    leak=leak,
                    verdict=verdict.word(beyond[arm], ratio, enough=not lacking) if makes and not leak else None,
                )
            )
        differences[kind] = {
            arm: tuple(float(d) for d in np.round(found[verdict.PRIMARY], 12)) for arm, found in beyond.items()
        }
        verdicts[kind] = verdict.overall(
            kind,
            beyond,
            ratio,
            base=float(np.mean(against[verdict.PRIMARY])),
            policy=_mostly(rivals[kind]),
            ratios={arm.arm: arm.ratio for arm in arms if arm.learner == kind},
            leaking=leaking,
            lacking=lacking,
            rests_on=rests,
            beside=verdict.Beside(
                {metric: _defined(against[metric] - base[metric]) for metric in classifiers.METRICS},
                base=float(np.mean(base[verdict.PRIMARY])),
                taught=tuple(design.taught),
                arms=len(design.unlabelled),
                holds=holds,
            )
            if design.unlabelled
            else None,
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
        "rivals": rivals if design.unlabelled else {},
        # with unlabelled rows, what they are worth in labelled ones is the question
        "curve": learning.read(decides, points, per_label, answer.arm, answer.gain)
        if answer.help is None
        else learning.read(decides, points, per_label, learning.OTHERS, answer.help.gain),
        "differences": differences,
        "warnings": tuple(warnings),
    }


def _comparator(judged: Sequence[Split], kind: str) -> tuple[dict[str, NDArray[np.float64]], Baseline]:
    """Return the scores on every split of the plain policy that its inner folds chose, and what is said of it."""
    policies = [split.plain[kind].arm for split in judged]
    table = _table([split.judged[kind, arm].scores for split, arm in zip(judged, policies, strict=True)])
    return table, Baseline(
        learner=kind,
        scores=_means(table),
        inner=float(np.mean([split.inner[kind] for split in judged])),
        chosen={name: policies.count(name) for name in PLAIN if name in policies},
    )


def _rival(
    judged: Sequence[Split], kind: str, design: Design, base: Mapping[str, NDArray[np.float64]]
) -> tuple[str | None, Mapping[str, NDArray[np.float64]]]:
    """Return what synthetic rows have to beat, and its scores: the best arm that uses unlabelled rows and makes none.

    The best on the test rows: inner folds of a few labelled rows cannot tell these arms apart, and who synthesises has to beat
    all of them. None is the comparator without such rows, if it is better still; of equals the simplest.
    """
    tables: dict[str | None, Mapping[str, NDArray[np.float64]]] = {None: base}
    tables |= {arm: _table([split.judged[kind, arm].scores for split in judged]) for arm in design.unlabelled}
    best = max(tables, key=lambda arm: round(float(np.mean(tables[arm][verdict.PRIMARY])), 9))
    return best, tables[best]


def _of_rival(judged: Sequence[Split], kind: str, rival: str, scores: Mapping[str, NDArray[np.float64]]) -> Baseline:
    inner = float(np.mean([split.reached[kind][rival] for split in judged]))
    return Baseline(learner=kind, scores=_means(scores), inner=inner, chosen={rival: len(judged)})


def _beyond(
    judged: Sequence[Split],
    kind: str,
    arm: str,
    table: Mapping[str, NDArray[np.float64]],
    against: Mapping[str, NDArray[np.float64]],
    rival: str | None,
) -> dict[str, NDArray[np.float64]]:
    """Return what an arm adds to what it has to beat.

    Where that is an arm that uses unlabelled rows and this one does not, it adds nothing on splits whose inner folds prefer the
    other, or no synthetic rows.
    """
    ahead = np.array(
        [
            rival is None
            or (split.judged[kind, arm].policy.ratio > 0 and split.reached[kind][arm] > split.reached[kind][rival])
            for split in judged
        ]
    )
    return {name: _defined(np.where(ahead, table[name] - against[name], 0.0)) for name in classifiers.METRICS}


def _mostly(base: Baseline) -> str:
    return max(base.chosen, key=lambda name: base.chosen[name])


def _kind(arm: str, design: Design) -> Kind:
    if arm in PLAIN:
        return "plain"
    if arm in design.unlabelled:
        return "unlabelled"
    return "oracle" if arm == ORACLE else "simple" if arm in SIMPLE else "model"


def _table(scores: Sequence[Mapping[str, float]]) -> dict[str, NDArray[np.float64]]:
    return {metric: np.array([one[metric] for one in scores]) for metric in classifiers.METRICS}


def _means(table: Mapping[str, NDArray[np.float64]]) -> dict[str, float | None]:
    return {name: float(np.nanmean(v)) if np.isfinite(v).any() else None for name, v in table.items()}


def _defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences where both sides are defined; AUROC is not where a test part has one label."""
    kept = values[np.isfinite(values)]
    return kept if kept.size else np.zeros(1)
