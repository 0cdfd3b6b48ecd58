"""A comparison made by hand, small enough to be drawn in a moment."""

from __future__ import annotations

from typing import Any

from augmentor.comparison.result import (
    Arm,
    Baseline,
    Comparison,
    Curve,
    CurvePoint,
    Gain,
    Kind,
    Protocol,
    Verdict,
    Word,
)

HOSTILE = "<img src=x onerror=alert(1)>"
METRICS = ("balanced_accuracy", "macro_f1", "auroc", "auprc", "brier")
KINDS: dict[str, Kind] = {
    "real_only": "plain",
    "class_weight": "plain",
    "tuned_threshold": "plain",
    "duplicate": "simple",
    "smote": "simple",
    "copula": "model",
    "oracle_more_real": "oracle",
}


def example(answer: Word = "augment", *, hostile: bool = False, curve: bool = True) -> Comparison:
    """Return a comparison of seven arms and two learners; a hostile one names an arm, a label and the data as markup."""
    kinds = KINDS | ({HOSTILE: "model"} if hostile else {})
    best = Gain(mean=0.031, low=0.012, high=0.05, wins=8, ties=2, losses=0)
    verdicts = {
        learner: Verdict(
            verdict=answer,
            sentence=f"{answer.capitalize()}: copula, by +0.031 [-0.012, +0.050]; changes within ±0.01 count as none.",
            learner=learner,
            arm="copula",
            ratio=2.0,
            gain=best,
            delta=0.01,
        )
        for learner in ("lr", "rf")
    }
    points = tuple(CurvePoint(rows=n, score=0.95 - 0.6 * n**-0.7, sd=0.02, splits=10) for n in (3.0, 6.0, 12.0, 24.0))
    read = Curve(
        learner="lr",
        points=points,
        limit=0.95,
        height=0.6,
        exponent=0.7,
        rows=12.0,
        arm="copula",
        worth=7.5,
        low=2.0,
        high=None,
        sentence="copula at 12 real rows per label is worth +7.5 real rows per label [+2.0, more than the data can show].",
    )
    arms = [_arm(learner, name, kind, best) for learner in ("lr", "rf") for name, kind in kinds.items()]
    scores: dict[str, Any] = dict.fromkeys(METRICS, 0.9)
    return Comparison(
        augmentor="0.1.0",
        created="2026-01-01T00:00:00+00:00",
        seconds=12.0,
        seed=0,
        command="augment compare expr.h5ad --label state",
        name=HOSTILE if hostile else "expr.h5ad",
        label="state",
        space="counts",
        rows=60,
        genes=1000,
        labels={HOSTILE if hostile else "T": 40, "B": 20},
        tested={HOSTILE if hostile else "T": 40, "B": 20},
        protocol=Protocol(
            folds=5,
            repeats=2,
            splits=10,
            inner=3,
            ratios=(0.0, 1.0, 2.0),
            seeds=3,
            learners=("rf", "lr"),
            models=("copula",),
            genes=500,
            per_label=12,
            group="donor",
            most_rows=2000,
            train_rows=24.0,
            test_rows=12.0,
            classifiers=100,
            generators=50,
        ),
        verdict=verdicts["lr"],
        verdicts=verdicts,
        baselines={
            learner: Baseline(learner=learner, scores=scores, inner=0.9, chosen={"real_only": 7, "class_weight": 3})
            for learner in ("lr", "rf")
        },
        arms=tuple(arms),
        curve=read if curve else None,
        differences={},
        warnings=(HOSTILE,) if hostile else (),
        environment={"python": "3.11", "versions": {"numpy": "2.0"}},
    )


def _arm(learner: str, name: str, kind: Kind, best: Gain) -> Arm:
    none = Gain(mean=0.0, low=0.0, high=0.0, wins=0, ties=10, losses=0)
    unbounded = Gain(mean=-0.02, low=None, high=None, wins=1, ties=5, losses=4)
    gain = best if name == "copula" else unbounded if name == "smote" else none
    word: Word = "augment" if name == "copula" else "do not augment"
    return Arm(
        learner=learner,
        arm=name,
        kind=kind,
        scores=dict.fromkeys(METRICS, 0.8) | {"auroc": None if name == "smote" else 0.9},
        gains=dict.fromkeys(METRICS, gain),
        ratio=2.0 if name == "copula" else 0.0,
        used=6 if name == "copula" else 0,
        nearer=-0.1 if kind in ("simple", "model") else None,
        copies=0.0 if kind in ("simple", "model") else None,
        leak=name == HOSTILE,
        verdict=None if kind in ("plain", "oracle") or name == HOSTILE else word,
    )
