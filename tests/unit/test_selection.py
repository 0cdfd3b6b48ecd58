"""model="auto": the better of the candidates on validation rows, with reasons, and never a look at a held-out row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import people
import pytest

from augmentor import io, selection
from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.errors import TrainingFailed
from augmentor.core.progress import Progress
from augmentor.criterion import Loss
from augmentor.fitted import Fitted
from augmentor.preparing import Options, prepare
from augmentor.selection import VETO, Candidate, choose

CELLS = io.from_anndata(people.counts(400), label="celltype")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two quick candidates, one that repeats training rows and one that does not; the rest is as it is."""
    monkeypatch.setattr(selection, "CANDIDATES", ("copula", "gaussian"))


def chosen(data: Dataset, **options: Any) -> tuple[Fitted, list[str]]:
    told: list[Progress] = []
    settings = Options(model="auto", listener=told.append, **options)
    return choose(prepare(data, settings), settings), [p.note for p in told if p.task == "auto" and p.note]


def measured(monkeypatch: pytest.MonkeyPatch, **losses: Candidate | Exception) -> list[str]:
    """Let candidates have been measured so; return the names in the order in which they are tried."""
    tried: list[str] = []

    def measure(name: str, *_: Any) -> Candidate:
        tried.append(name)
        found = losses[name]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(selection, "_measured", measure)
    return tried


def candidate(
    name: str, detectability: float, copying: float = 0.0, lost: float = 0.0, seconds: float = 1.0
) -> Candidate:
    return Candidate(name, Loss(0.5 + detectability, 0.5 - detectability, lost, copying), seconds)


COPIES = candidate("jitter", 0.01, copying=1.0)


@pytest.fixture(scope="module")
def compared() -> tuple[Fitted, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "CANDIDATES", ("copula", "gaussian"))
        return chosen(io.from_anndata(people.counts(700), label="celltype"))


def test_the_choice_is_explained_and_recorded(compared: tuple[Fitted, list[str]]) -> None:
    fitted, notes = compared
    choice = fitted.record["choice"]
    assert fitted.name == choice["chosen"]
    assert notes == [f"{fitted.name} chosen: {choice['reason']}"]
    assert [c["model"] for c in choice["candidates"]] == ["copula", "gaussian", "jitter"]
    for row in choice["candidates"]:
        away = (abs(row["auc_values"] - 0.5) + abs(row["auc_pcs"] - 0.5)) / 2
        assert row["loss"] == pytest.approx(away + row["utility_lost"] + row["copying"] / 2, abs=1e-3)
    assert "validation rows" in choice["reason"] and "fold" not in choice["reason"]


def test_noise_on_training_rows_is_known_for_a_copy(compared: tuple[Fitted, list[str]]) -> None:
    table = {row["model"]: row for row in compared[0].record["choice"]["candidates"]}
    assert table["jitter"]["copying"] > 0.9
    assert compared[0].name != "jitter"


def test_the_chosen_model_is_fitted_to_all_training_rows(compared: tuple[Fitted, list[str]]) -> None:
    assert sum(compared[0].counts) == 560


def test_the_smallest_loss_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, copula=candidate("copula", 0.06), gaussian=candidate("gaussian", 0.3), jitter=COPIES)
    fitted, _ = chosen(CELLS)
    assert fitted.name == "copula"
    assert (
        "smallest loss on" in fitted.record["choice"]["reason"] and "copula 0.060" in fitted.record["choice"]["reason"]
    )


def test_a_lucky_draw_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def drawing(name: str, first: float, later: float) -> Candidate:
        def another(number: int) -> Loss:
            asked.append((name, number))
            return candidate(name, later).loss

        return replace(candidate(name, first), another=another)

    lucky, steady = drawing("copula", 0.08, 0.2), drawing("gaussian", 0.12, 0.12)
    measured(monkeypatch, copula=lucky, gaussian=steady, jitter=COPIES)
    fitted, _ = chosen(CELLS)
    assert fitted.name == "gaussian"
    assert asked == [(name, number) for number in (1, 2, 3) for name in ("copula", "gaussian")]
    rows = {row["model"]: row for row in fitted.record["choice"]["candidates"]}
    assert rows["copula"]["loss"] == pytest.approx((0.08 + 3 * 0.2) / 4) and rows["copula"]["draws"] == 4
    assert rows["jitter"]["draws"] == 1


def test_one_lucky_draw_does_not_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    lucky = replace(candidate("copula", 0.01), another=lambda _: candidate("copula", 0.4).loss)
    tried = measured(monkeypatch, copula=lucky, gaussian=candidate("gaussian", 0.06), jitter=COPIES)
    assert chosen(CELLS)[0].name == "gaussian" and tried == ["copula", "gaussian", "jitter"]


def test_what_a_classifier_loses_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    useless = candidate("copula", 0.0, lost=0.4)
    measured(monkeypatch, copula=useless, gaussian=candidate("gaussian", 0.3), jitter=COPIES)
    assert chosen(CELLS)[0].name == "gaussian"


def test_copies_are_vetoed(monkeypatch: pytest.MonkeyPatch) -> None:
    copies = candidate("copula", 0.0, copying=VETO + 0.01)
    measured(monkeypatch, copula=copies, gaussian=candidate("gaussian", 0.45), jitter=COPIES)
    assert chosen(CELLS)[0].name == "gaussian"


def test_nothing_worse_than_noise_on_training_rows_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = candidate("jitter", 0.02, copying=0.5)
    measured(monkeypatch, copula=candidate("copula", 0.45), gaussian=candidate("gaussian", 0.5), jitter=noise)
    assert chosen(CELLS)[0].name == "jitter"


def test_level_models_are_decided_for_the_one_that_keeps_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, copula=candidate("copula", 0.06), gaussian=candidate("gaussian", 0.07), jitter=COPIES)
    fitted, _ = chosen(CELLS)
    assert fitted.name == "gaussian"
    assert "level with copula" in fitted.record["choice"]["reason"]
    assert "keeps no training rows" in fitted.record["choice"]["reason"]


def test_a_candidate_that_does_not_train_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = TrainingFailed("its loss was not finite")
    measured(monkeypatch, copula=failed, gaussian=candidate("gaussian", 0.2), jitter=COPIES)
    fitted, notes = chosen(CELLS)
    assert fitted.name == "gaussian" and notes[0] == "copula is out: its loss was not finite"


def test_when_half_the_time_is_used_only_the_floor_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 40))
    monkeypatch.setattr(selection.time, "monotonic", lambda: float(next(clock)))
    tried = measured(monkeypatch, copula=candidate("copula", 0.06), gaussian=candidate("gaussian", 0.0), jitter=COPIES)
    fitted, _ = chosen(CELLS, max_seconds=100.0)
    assert tried == ["copula", "jitter"] and fitted.name == "copula"
    assert "not tried, for lack of time: gaussian" in fitted.record["choice"]["reason"]


def test_nothing_is_tried_after_a_model_that_cannot_be_beaten(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = measured(monkeypatch, copula=candidate("copula", 0.04), jitter=COPIES)
    fitted, _ = chosen(CELLS)
    assert tried == ["copula", "jitter"] and fitted.name == "copula"
    assert "as none could be told to be better: gaussian" in fitted.record["choice"]["reason"]


def test_few_rows_judge_in_folds() -> None:
    fitted, _ = chosen(CELLS.take(np.arange(0, 400, 5)))
    assert "in 5 folds" in fitted.record["choice"]["reason"]
    assert len(fitted.record["choice"]["candidates"]) == 3


def test_one_group_is_left_for_training() -> None:
    """Of two donors one is held out; the candidates are then compared on rows of the other."""
    adata = people.counts(400)
    adata.obs["donor"] = np.where(np.arange(400) % 2, "x", "y")
    data = io.from_anndata(adata, label="celltype", group="donor")
    fitted, _ = chosen(data)
    assert len(fitted.record["choice"]["candidates"]) == 3


def test_held_out_rows_are_not_looked_at() -> None:
    held = prepare(CELLS, Options()).split["holdout"].astype(bool)
    x = as_dense(CELLS.x).copy()
    x[held] = 1
    spoilt = replace(CELLS, x=type(CELLS.x)(x))
    tables = [chosen(data)[0].record["choice"]["candidates"] for data in (CELLS, spoilt)]
    for first, second in zip(*tables, strict=True):
        assert {**first, "seconds": 0} == {**second, "seconds": 0}


def test_mixed_tables_are_judged_too() -> None:
    frame = people.table()
    frame.insert(0, "sex", np.where(np.arange(len(frame)) % 2, "f", "m"))
    fitted, _ = chosen(io.from_frame(frame, label="state"))
    assert fitted.name == "copula"
