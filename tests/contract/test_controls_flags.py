"""Beyond real rows: which controls may be called sharpened, and which only look better because they say less or vary more.

A score declares with ``sharpens=False`` that rows without noise never bring it beyond its ceiling; the sharpened controls of
METRICS.md section 3 hold it to that, and the weakened ones show what does.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from factor_rows import Bench, Rows, dataset, z

from augmentor.core.registry import METRICS
from augmentor.evaluation import assemble
from augmentor.evaluation.run import _flagged, evaluate
from augmentor.evaluation.score import Report, Score, ScoreSpec

SIGMA = 3.0
NAMES = ("coexpression", "differential", "modules", "nearest_train", "precision_recall")
DECLARED = {spec.name: spec for name in METRICS.names() for spec in METRICS.get(name)().scores if not spec.sharpens}


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assemble, "FULL_HALVES", 8)
        yield Bench(800)


def _report(bench: Bench, control: str) -> Report:
    return bench.report(control, NAMES, full=True)


def _good(score: Score) -> float:
    """How many standard deviations better than real rows."""
    return z(score) if score.spec.goal == "maximize" else -z(score)


def _stretched(rows: Rows) -> Rows:
    """Rows half as far again from the mean of their label."""
    x, y = rows
    out = x.copy()
    for code in np.unique(y):
        centre = x[y == code].mean(axis=0)
        out[y == code] = np.maximum(np.rint(centre + 1.5 * (x[y == code] - centre)), 0.0)
    return out, y


def test_few_scores_are_no_sign_of_sharpening() -> None:
    """What is flagged less stands here by name, so that a new one is a decision."""
    assert set(DECLARED) == {
        *("differential.fpr", "differential.ppv", "coexpression.edge_precision", "precision_recall.recall"),
        *("modules.z_density", "modules.z_connectivity"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("control", ["denoised", "decoder", "shrunk"])
def test_they_fall_with_sharpening(bench: Bench, control: str) -> None:
    report = _report(bench, control)
    told = [report[name] for name in DECLARED if report[name].value is not None]
    assert len(told) >= 4
    for score in told:
        assert _good(score) < SIGMA, f"{score.name}: z = {_good(score):.1f}"
        assert not {"beyond_real", "sharpened?", "memorisation?"} & set(score.flags)
    assert any("sharpened?" in score.flags or "memorisation?" in score.flags for score in report.scores.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("control", "name"),
    [
        ("permuted", "differential.fpr"),
        ("permuted", "modules.z_connectivity"),
        ("halved", "differential.fpr"),
        ("flat", "coexpression.edge_precision"),
    ],
)
def test_rows_that_say_less_are_neither_sharp_nor_copies(bench: Bench, control: str, name: str) -> None:
    """Lost labels, lost effects and added noise keep a score from being wrong; that is no sign of too little noise."""
    report = _report(bench, control)
    flags = {word for score in report.scores.values() for word in score.flags}
    assert not flags & {"sharpened?", "memorisation?"}
    assert _good(report[name]) > SIGMA and "beyond_real" in report[name].flags


@pytest.mark.slow
def test_rows_that_vary_too_much_are_not_sharp(bench: Bench) -> None:
    """They reach every held-out row, which recall takes for a merit."""
    real = [dataset(*bench.sets[name]) for name in ("train", "holdout")]
    report = evaluate(dataset(*_stretched(bench.sets["fresh"])), *real, metrics=("precision_recall", "moments"))
    assert _good(report["precision_recall.recall"]) > 2
    assert "over_dispersed" in report["moments.variance"].flags
    assert not {word for score in report.scores.values() for word in score.flags} & {"sharpened?", "memorisation?"}


@pytest.mark.parametrize("exchangeable", [True, False])
def test_the_flag_follows_the_declaration(exchangeable: bool) -> None:
    """Also where training and held-out rows differ, which silences nothing but the word for copies."""
    spec = next(spec for spec in METRICS.get("differential")().scores if spec.name == "differential.tpr")
    scores = {
        "sharp": _score(spec.model_copy(update={"name": "sharp", "sharpens": True})),
        "quiet": _score(spec.model_copy(update={"name": "quiet", "sharpens": False})),
        "level": _score(spec.model_copy(update={"name": "level", "sharpens": False})),
    }
    found = _flagged(scores, {"sharp": 4.0, "quiet": 4.0, "level": 2.0}, exchangeable=exchangeable)
    assert {name: score.flags for name, score in found.items()} == {
        "sharp": ("sharpened?",),
        "quiet": ("beyond_real",),
        "level": (),
    }


def _score(spec: ScoreSpec) -> Score:
    return Score(spec=spec, value=0.9, normalised=1.2)
