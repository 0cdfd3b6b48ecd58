"""The picture of the detectors: one curve for the synthetic rows, and a band of all draws of real rows behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from augmentor.core.dataset import Dataset
from augmentor.core.schema import Schema
from augmentor.core.space import Space
from augmentor.evaluation.metrics import discriminator
from augmentor.evaluation.report import figures, readings
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Report

ROWS, GENES = 140, 12


def rows(seed: int, shift: float = 0.0, n: int = ROWS) -> Dataset:
    schema = Schema(space=Space.CONTINUOUS, features=tuple(f"g{i}" for i in range(GENES)), labels=())
    x = np.random.default_rng(seed).normal(size=(n, GENES))
    x[:, 0] += shift
    return Dataset.checked(x.astype(np.float32), schema, np.zeros((n, 0), dtype=np.int64))


@pytest.fixture(scope="module")
def report() -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discriminator, "TREES", 10)
        found = evaluate(rows(1, 1.5), rows(2), rows(3), metrics=("discriminator",))
    assert not found.failed
    return found


def test_the_band_holds_every_draw_of_real_rows(report: Report) -> None:
    data = report.figures["roc"]
    score = report[data["score"]]
    assert data["score"] == "discriminator.rf_genes"
    assert data["ceiling_draws"] == score.ceiling.draws == 3
    assert data["ceiling_auc"] == pytest.approx(np.mean(score.detail["ceiling_draws"]))
    low, middle, high = (np.array(data[f"ceiling_{end}"]) for end in ("low", "tpr", "high"))
    assert len(low) == len(data["ceiling_fpr"]) == len(data["fpr"]) == 101
    assert (low <= middle + 1e-5).all() and (middle <= high + 1e-5).all() and (low < high).any()
    for curve in (low, middle, high):
        assert (np.diff(curve) >= -1e-9).all() and curve[-1] == 1.0
    # real rows cannot be told from real rows: the diagonal runs through the band or close to it; a shift leaves it far below
    assert np.abs(np.trapezoid(middle, data["ceiling_fpr"]) - 0.5) < 0.12
    made = np.interp(0.3, data["fpr"], data["tpr"])
    assert made > np.interp(0.3, data["ceiling_fpr"], high)


def test_the_band_is_drawn_behind_the_curve_and_said(report: Report) -> None:
    (axis,) = figures.draw(report, "roc").axes
    (band,) = axis.collections
    points = band.get_paths()[0].vertices
    data = report.figures["roc"]
    at = np.isclose(points[:, 0], 0.5)
    assert set(np.round(points[at, 1], 5)) == {round(data["ceiling_low"][50], 5), round(data["ceiling_high"][50], 5)}
    assert band.get_zorder() < max(line.get_zorder() for line in axis.get_lines())
    assert "3 draws of real rows" in [text.get_text() for text in axis.get_legend().get_texts()]
    reading = readings.read(report, "roc")
    assert "the band holds 3 draws" in reading.sentence and "shaded band" in reading.alt


def test_one_draw_is_a_line_and_no_band(report: Report) -> None:
    data = {key: value for key, value in report.figures["roc"].items() if key not in ("ceiling_low", "ceiling_high")}
    plain = report.model_copy(update={"figures": {"roc": data | {"ceiling_draws": 1}}})
    (axis,) = figures.draw(plain, "roc").axes
    assert not axis.collections and len(axis.get_lines()) == 3
    assert "band" not in readings.read(plain, "roc").sentence


@pytest.mark.parametrize("missing", ["synthetic", "real"])
def test_without_a_value_the_next_detector_is_shown(missing: str) -> None:
    """In a small or quick evaluation there is no forest on genes."""
    curve = {"fpr": [0.0, 1.0], "tpr": [0.0, 1.0]}
    there = discriminator.Measured(0.6, figure=curve)
    none = discriminator.Measured.none("few rows")
    made: dict[str, Any] = {"discriminator.lr_pcs": there}
    real: dict[str, Any] = {"discriminator.lr_pcs": there}
    (made if missing == "synthetic" else real)["discriminator.rf_pcs"] = none
    (real if missing == "synthetic" else made)["discriminator.rf_pcs"] = there
    measured: Mapping[str, Any] = {"synthetic": [made], "ceiling": [real], "ceiling draws": [real]}
    found = discriminator.Metric().figures(None, measured)  # type: ignore[arg-type]
    assert found["roc"]["score"] == "discriminator.lr_pcs" and "ceiling_low" not in found["roc"]
    assert not discriminator.Metric().figures(None, {"synthetic": [made]})  # type: ignore[arg-type]
