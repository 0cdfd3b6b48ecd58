"""model="auto": the better of the candidates on validation rows, with reasons, and never a look at a held-out row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import people
import pytest

from augmentor import io, selection
from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.progress import Progress
from augmentor.core.random import Stream
from augmentor.fitted import Fitted
from augmentor.fitting import Options, prepare
from augmentor.selection import Candidate, choose, detect

CELLS = io.from_anndata(people.counts(400), label="celltype")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two quick candidates, one that repeats training rows and one that does not; the rest is as it is."""
    monkeypatch.setattr(selection, "CANDIDATES", ("copula", "gaussian"))


def chosen(data: Dataset, **options: Any) -> tuple[Fitted, list[str]]:
    told: list[Progress] = []
    settings = Options(model="auto", listener=told.append, **options)
    return choose(prepare(data, settings), settings), [p.note for p in told if p.task == "auto"]


@pytest.fixture(scope="module")
def compared() -> tuple[Fitted, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "CANDIDATES", ("copula", "gaussian"))
        return chosen(CELLS)


def test_the_choice_is_explained_and_recorded(compared: tuple[Fitted, list[str]]) -> None:
    fitted, notes = compared
    choice = fitted.record["choice"]
    assert fitted.name == choice["chosen"]
    assert notes == [f"{fitted.name} chosen: {choice['reason']}"]
    assert [c["model"] for c in choice["candidates"]] == ["copula", "gaussian"]
    for candidate in choice["candidates"]:
        away = abs(candidate["auc_values"] - 0.5) + abs(candidate["auc_pcs"] - 0.5)
        assert candidate["detectability"] == pytest.approx(away / 2, abs=1e-3)
    assert "AUC" in choice["reason"]


def test_the_chosen_model_is_fitted_to_all_training_rows(compared: tuple[Fitted, list[str]]) -> None:
    assert sum(compared[0].counts) == 320


def test_the_less_detectable_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    aucs = iter([(0.55, 0.55), (0.95, 0.9)])
    monkeypatch.setattr(selection, "detect", lambda *_: next(aucs))
    fitted, _ = chosen(CELLS)
    assert fitted.name == "copula"
    assert "least detectable against 63 validation rows (copula 0.050" in fitted.record["choice"]["reason"]


def test_one_group_is_left_for_training() -> None:
    """Of two donors one is held out; the candidates are then compared on rows of the other."""
    adata = people.counts(400)
    adata.obs["donor"] = np.where(np.arange(400) % 2, "x", "y")
    data = io.from_anndata(adata, label="celltype", group="donor")
    fitted, _ = chosen(data)
    assert len(fitted.record["choice"]["candidates"]) == 2


def test_held_out_rows_are_not_looked_at(compared: tuple[Fitted, list[str]]) -> None:
    held = prepare(CELLS, Options()).split["holdout"].astype(bool)
    x = as_dense(CELLS.x).copy()
    x[held] = 1
    spoilt, _ = chosen(replace(CELLS, x=type(CELLS.x)(x)))
    for first, second in zip(*(f.record["choice"]["candidates"] for f in (compared[0], spoilt)), strict=True):
        assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_few_rows_are_not_compared() -> None:
    fitted, _ = chosen(CELLS.take(np.arange(0, 400, 5)))
    assert fitted.name == "copula"
    assert "too few to compare models" in fitted.record["choice"]["reason"]


def test_level_models_are_decided_for_the_one_that_keeps_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    aucs = iter([(0.55, 0.55), (0.56, 0.56)])
    monkeypatch.setattr(selection, "detect", lambda *_: next(aucs))
    fitted, _ = chosen(CELLS)
    assert fitted.name == "gaussian"
    assert "level with copula in detectability" in fitted.record["choice"]["reason"]
    assert "keeps no training rows" in fitted.record["choice"]["reason"]


def test_mixed_tables_have_one_candidate() -> None:
    frame = people.table()
    frame.insert(0, "sex", np.where(np.arange(len(frame)) % 2, "f", "m"))
    fitted, _ = chosen(io.from_frame(frame, label="state"))
    assert fitted.name == "copula"
    assert fitted.record["choice"]["reason"] == "the only candidate for mixed data"


def test_detectability_is_the_mean_distance_from_one_half() -> None:
    assert Candidate("a", 0.6, 0.3, 1.0).detectability == pytest.approx(0.15)


def test_real_rows_are_not_told_from_real_rows_and_noise_is() -> None:
    """AUC of 200 real against 200 real rows: 0.5 with a standard error of 0.03; four of them, 1 alarm in 10,000."""
    half = np.arange(400) % 2 == 0
    real, other = CELLS.take(half), CELLS.take(~half)
    for auc in detect(real, other, Stream(0)):
        assert abs(auc - 0.5) < 0.12
    noisy = replace(real, x=type(real.x)(as_dense(real.x) + 3))
    assert detect(noisy, other, Stream(0))[0] > 0.95
