"""What a stage watches reaches the history and nothing else; what it finds of itself reaches the user and the summary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from numpy.testing import assert_array_equal
from toys import Toy, rows, stage

from augmentor.core.contract import Judgement, Stage
from augmentor.core.errors import Interrupted
from augmentor.core.random import Stream
from augmentor.training import watching
from augmentor.training.loop import Run, Summary, train

Recipe = Callable[[Toy], list[Stage]]


def trained(recipe: Recipe, n: int = 96, **run: Any) -> tuple[Toy, Summary]:
    encoded = rows(n)
    toy = Toy(encoded.layout, recipe)
    return toy, train(toy, encoded, Stream(0).child("fit"), Run(device="cpu", identity="mine", **run))


def watched(toy: Toy, seen: list[tuple[int, bool, bool]] | None = None, **more: Any) -> list[Stage]:
    """As `toys.judged`, watched: noise is drawn, and the weights are looked at."""

    def watch(batch: Any, generator: torch.Generator) -> dict[str, float | list[float]]:
        if seen is not None:
            seen.append((len(batch), toy.net.training, torch.is_grad_enabled()))
        noise = torch.randn(batch.x.shape, generator=generator)
        return {"noise": float(noise.mean()), "weights": toy.net.weight.sum(dim=1).tolist(), "rows": len(batch)}

    return [stage(toy, validate=toy.validate, patience=50, ema=0.9, watch=watch, **more)]


def test_watching_changes_no_byte() -> None:
    """Weights, losses and the validation loss are those of the same training unwatched; averaged weights included."""
    plain, expected = trained(toys.judged)
    toy, summary = trained(watched)
    for name, array in plain.state().items():
        assert_array_equal(array, toy.state()[name], err_msg=name)
    assert [
        {k: v for k, v in entry.items() if not k.startswith("watch")} for entry in summary.history
    ] == expected.history
    assert summary.stages == expected.stages


def test_the_history_holds_what_was_watched_on_training_and_on_validation_rows() -> None:
    _, summary = trained(watched)
    first, last = summary.history[0], summary.history[-1]
    assert first["watch.rows"] == 80 and first["watch_validation.rows"] == 16
    assert len(first["watch.weights"]) == 5 and first["watch.weights"] != last["watch.weights"]
    # the same noise every time, another for validation rows: what changes is the weights alone
    assert first["watch.noise"] == last["watch.noise"] != first["watch_validation.noise"]
    _, unjudged = trained(lambda toy: [stage(toy, watch=lambda batch, generator: {"rows": len(batch)})])
    assert not any(key.startswith("watch_validation") for entry in unjudged.history for key in entry)


def test_it_is_watched_in_evaluation_mode_without_gradients_with_the_weights_that_would_be_kept() -> None:
    seen: list[tuple[int, bool, bool]] = []
    toy, summary = trained(lambda toy: watched(toy, seen, epochs=1))
    assert seen == [(80, False, False), (16, False, False)]
    # one epoch: its averaged weights are the best, and are what was kept
    np.testing.assert_allclose(summary.history[0]["watch.weights"], toy.state()["net.weight"].sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize(("n", "every"), [(96, 24), (1016, 6), (20_016, 1)])
def test_at_most_five_rows_are_watched_for_a_hundred_that_are_trained_on(n: int, every: int) -> None:
    """Besides the first and the last epoch: what bounds its cost, since a watched row takes no backward pass and no step."""
    encoded = rows(n)
    toy = Toy(encoded.layout)
    own = stage(toy, validate=toy.validate, watch=lambda batch, generator: {}, epochs=48)
    training, validation = encoded.take(np.flatnonzero(~encoded.valid)), encoded.take(np.flatnonzero(encoded.valid))
    watch = watching.Watch(own, training, validation, torch.device("cpu"), Stream(0))
    looked = [epoch for epoch in range(1, 49) if watch.due(epoch)]
    assert watch.every == every and looked[0] == 1 and looked[-1] == 48
    count = sum(map(len, watch.parts.values()))
    assert count <= 2 * watching.ROWS
    assert (len(looked) - 2) * count <= 0.05 * 48 * len(training)


def test_resumed_is_uninterrupted_when_watched(tmp_path: Path) -> None:
    whole, expected = trained(watched)
    left = [11]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    with pytest.raises(Interrupted):
        trained(watched, checkpoint=tmp_path / "run", stop=stop)
    again, summary = trained(watched, checkpoint=tmp_path / "run", resume=True)
    assert_array_equal(whole.state()["net.weight"], again.state()["net.weight"])
    assert summary.history == expected.history


def test_gradient_norms_and_rates_of_every_phase() -> None:
    _, summary = trained(toys.two_phases)
    for entry in summary.history:
        for phase in ("critic", "generator"):
            assert 0 < entry[f"gradient.{phase}"] <= entry[f"gradient_largest.{phase}"]
            assert entry[f"rate.{phase}"] == 0.02  # a constant schedule
    _, cycle = trained(toys.plain)
    rates = [entry["rate.step"] for entry in cycle.history]
    assert max(rates) <= 0.05 and rates[0] < max(rates) > rates[-1]


def test_norms_are_those_before_clipping() -> None:
    def steep(toy: Toy) -> list[Stage]:
        return [
            stage(toy, loss=lambda batch, generator, progress: {"error": 1e4 * toy.loss(batch, generator, 0)["error"]})
        ]

    _, summary = trained(steep)
    assert summary.history[0]["gradient.step"] > 100  # clipped to 10


def test_what_a_stage_finds_of_itself_is_told_and_summed_up() -> None:
    told: list[str] = []

    def judge(encoded: Any, rng: Stream) -> Judgement:
        return Judgement(
            {"on": "training rows", "recall": [0.1234567, None]}, (("nothing of {labels}", (0, 1)), ("else", ()))
        )

    def recipe(toy: Toy) -> list[Stage]:
        return [stage(toy, judge=judge, finish=lambda encoded, rng: toy.finished.append(1))]

    _, summary = trained(recipe, labels=("{B}", "NK"), listener=lambda progress: told.append(progress.note))
    assert summary.stages[0]["judged"] == {"on": "training rows", "recall": [0.123457, None]}
    assert summary.stages[0]["findings"] == ["nothing of {B}, NK", "else"]
    assert [note for note in told if note] == ["model: nothing of {B}, NK", "model: else"]
    _, unjudged = trained(toys.plain)
    assert "judged" not in unjudged.stages[0]
