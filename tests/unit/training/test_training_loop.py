"""The one loop: budgets, early stopping, averages, recovery, limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import toys
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor
from toys import Toy, rows, stage

from augmentor.core.contract import Stage
from augmentor.core.errors import ConfigError, Interrupted, TrainingFailed
from augmentor.core.progress import Progress
from augmentor.core.random import Stream
from augmentor.nn.conditioning import Batch
from augmentor.training.batches import Batches
from augmentor.training.loop import Run, Summary, train


def trained(recipe: Any = None, encoded: Any = None, seed: int = 0, **run: Any) -> tuple[Toy, Summary]:
    """Train a toy from scratch."""
    encoded = rows() if encoded is None else encoded
    toy = Toy(encoded.layout, recipe)
    return toy, train(toy, encoded, Stream(seed).child("fit"), Run(device="cpu", **run))


def test_it_learns() -> None:
    encoded = rows(400, valid=0)
    toy, summary = trained(lambda toy: [stage(toy, epochs=40)], encoded)
    with torch.no_grad():
        means = toy.net(torch.eye(2)).numpy()
    for c in (0, 1):
        assert_allclose(means[c], encoded.x[encoded.given.condition == c].mean(axis=0), atol=0.1)
    losses = [entry["error"] for entry in summary.history]
    assert losses[-1] < 0.5 * losses[0]
    assert summary.stages[0]["epochs"] == 40
    assert summary.stages[0]["stopped"] == "all epochs run"


@pytest.mark.parametrize("recipe", [toys.plain, toys.judged, toys.two_stages, toys.two_phases])
def test_same_stream_same_weights(recipe: Any) -> None:
    (a, first), (b, second), (c, _) = trained(recipe), trained(recipe), trained(recipe, seed=1)
    assert first.history == second.history
    same(a, b)
    assert not np.array_equal(a.state()["net.weight"], c.state()["net.weight"])


def test_history_holds_named_losses_of_every_epoch() -> None:
    _, summary = trained(toys.two_stages)
    assert [(e["stage"], e["epoch"]) for e in summary.history] == [("first", i) for i in (1, 2, 3)] + [
        ("second", i) for i in (1, 2, 3, 4)
    ]
    assert {"error", "gradient.step", "validation"} <= summary.history[0].keys()
    assert {"left", "size", "gradient.left"} <= summary.history[-1].keys()
    assert "validation" not in summary.history[-1]


def test_stages_finish_in_order_and_modules_are_left_ready_to_draw() -> None:
    toy, _ = trained(toys.two_stages)
    assert toy.finished == [1, 2]
    assert not toy.net.training


def test_early_stopping_keeps_the_best_weights() -> None:
    """The validation loss falls until epoch 4 and rises after; weights of epoch 4 must be what is left."""
    seen: list[np.ndarray] = []

    def validate(toy: Toy) -> Any:
        def judge(batch: Batch, generator: torch.Generator) -> float:
            seen.append(toy.net.weight.detach().numpy().copy())
            return abs(len(seen) - 4) + 1.0

        return judge

    toy, summary = trained(lambda toy: [stage(toy, epochs=50, validate=validate(toy), patience=3)])
    assert summary.stages[0]["epochs"] == 8
    assert summary.stages[0]["best_epoch"] == 4
    assert summary.stages[0]["best_validation"] == 1.0
    assert summary.stages[0]["stopped"] == "no better validation loss for 3 epochs"
    assert_array_equal(toy.net.weight.detach().numpy(), seen[3])


def test_the_validation_part_only_judges() -> None:
    encoded = rows()
    spoilt = replace(encoded, x=np.where(encoded.valid[:, None], np.float32(99), encoded.x))
    a, b = (trained(toys.plain, data)[0] for data in (encoded, spoilt))
    same(a, b)


def test_averaged_weights_are_kept() -> None:
    """d = 0.5 over constant steps: the average is the exponentially weighted mean of the weights after each turn."""
    path: list[Tensor] = []

    def loss(toy: Toy) -> Any:
        def measured(batch: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
            path.append(toy.net.weight.detach().clone())
            return toy.loss(batch, generator, progress)

        return measured

    kept, _ = trained(lambda toy: [stage(toy, loss=loss(toy), epochs=3, ema=0.5, schedule="constant")])
    raw, _ = trained(lambda toy: [stage(toy, epochs=3, schedule="constant")])
    average = path[0]
    for weights in [*path[1:], raw.net.weight.detach()]:
        average = 0.5 * average + 0.5 * weights
    assert_allclose(kept.net.weight.detach().numpy(), average.numpy(), rtol=1e-5)


def test_phases_alternate() -> None:
    turns: list[str] = []

    def recipe(toy: Toy) -> list[Stage]:
        (whole,) = toys.two_phases(toy)

        def noted(name: str, loss: Any) -> Any:
            return lambda *arguments: (turns.append(name), loss(*arguments))[1]

        phases = tuple(replace(phase, loss=noted(phase.name, phase.loss)) for phase in whole.phases)
        return [replace(whole, phases=phases, epochs=1)]

    trained(recipe)
    assert turns == ["critic", "critic", "generator"] * (len(turns) // 3)
    assert len(turns) >= 3


# --- losses that are not finite --------------------------------------------------------------------------------------


def failing(times: float, after: int = 7) -> Any:
    """A recipe whose loss is not finite ``times`` times, from the ``after``-th step on."""
    left = [times, after]

    def recipe(toy: Toy) -> list[Stage]:
        def loss(batch: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
            terms = toy.loss(batch, generator, progress)
            left[1] -= 1
            if left[1] < 0 and left[0] > 0:
                left[0] -= 1
                return {"error": terms["error"] * float("nan")}
            return terms

        return [stage(toy, loss=loss, epochs=6)]

    return recipe


def test_one_bad_loss_is_recovered_at_half_the_rate() -> None:
    notes: list[str] = []
    toy, summary = trained(failing(1), listener=lambda p: notes.append(p.note) if p.note else None)
    assert summary.stages[0]["recoveries"] == 1
    assert summary.stages[0]["epochs"] == 6
    assert [entry["epoch"] for entry in summary.history] == [1, 2, 3, 4, 5, 6]
    assert notes == ["loss not finite in epoch 2: went back, halved the rate"]
    assert all(np.isfinite(array).all() for array in toy.state().values())


def test_after_a_recovery_the_rate_is_half() -> None:
    """Without noise, failing at once and going on is training at half the rate from the beginning."""

    def recipe(fails: bool, rate: float) -> Any:
        left = [float("nan")] if fails else []

        def made(toy: Toy) -> list[Stage]:
            def loss(batch: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
                error = ((toy.net(batch.c) - batch.x) ** 2).mean()
                return {"error": error * (left.pop() if left else 1.0)}

            return [stage(toy, loss=loss, learning_rate=rate)]

        return made

    failed, summary = trained(recipe(True, 0.04))
    assert summary.stages[0]["recoveries"] == 1
    same(failed, trained(recipe(False, 0.02))[0])


def test_recoveries_add_up() -> None:
    _, summary = trained(failing(3))
    assert summary.stages[0]["recoveries"] == 3


def test_a_loss_that_stays_bad_is_one_sentence() -> None:
    with pytest.raises(TrainingFailed, match=r"copy did not train: its loss was not finite in epoch 2.*learning_rate"):
        trained(failing(float("inf")), name="copy")


def test_an_infinite_gradient_is_recovered_too() -> None:
    once = [True]

    def recipe(toy: Toy) -> list[Stage]:
        def loss(batch: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
            terms = toy.loss(batch, generator, progress)
            if once and progress > 0.3:
                once.clear()
                return {"error": terms["error"] + (toy.net.weight.sum() * 0).abs().sqrt()}
            return terms

        return [stage(toy, loss=loss)]

    _, summary = trained(recipe)
    assert summary.stages[0]["recoveries"] == 1


# --- limits ----------------------------------------------------------------------------------------------------------


def test_time_limit() -> None:
    """No time is left after the first epoch; the weights reached are kept."""
    toy, summary = trained(lambda toy: [stage(toy, epochs=10**6)], seconds=1e-9)
    assert summary.stages[0]["stopped"] == "time limit reached"
    assert 1 <= summary.stages[0]["epochs"] < 10**5
    assert np.isfinite(toy.state()["net.weight"]).all()


def test_stop_without_a_checkpoint_says_that_nothing_is_written() -> None:
    with pytest.raises(Interrupted, match="stopped in epoch 1 of stage 'only'; nothing was written"):
        trained(stop=lambda: True)


def test_progress_is_told_once_an_epoch() -> None:
    told: list[Progress] = []
    trained(toys.judged, listener=told.append, name="toy")
    assert [(p.task, p.done, p.total, p.unit) for p in told] == [("toy: only", i, 6, "epochs") for i in range(1, 7)]
    assert told[-1].rows == 6 * 80
    assert {"error", "validation"} <= told[0].terms.keys()


@pytest.mark.parametrize("device", ["tpu", "cuda"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ConfigError, match="device"):
        toy = Toy(rows().layout)
        train(toy, rows(), Stream(0), Run(device=device))


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "size", "lengths"), [(80, 16, [16] * 5), (7, 16, [7]), (85, 16, [17] * 5), (20, 16, [20])]
)
def test_batches_are_even_and_hold_every_row_once(n: int, size: int, lengths: list[int]) -> None:
    encoded = rows(n, valid=0)
    batches = Batches(encoded, size, torch.device("cpu"))
    parts = list(batches.epoch(Stream(0)))
    assert [len(part) for part in parts] == lengths
    found = torch.cat([part.x for part in parts]).numpy()
    assert_array_equal(np.sort(found, axis=0), np.sort(encoded.x, axis=0))
    assert not np.array_equal(found, encoded.x)
    assert_array_equal(torch.cat([part.x for part in batches.fixed()]).numpy(), encoded.x)


def test_fewer_rows_than_a_batch_and_a_single_validation_row() -> None:
    _, summary = trained(lambda toy: [stage(toy, batch_size=512, validate=toy.validate)], rows(5, valid=1))
    assert summary.stages[0]["epochs"] == 6


def same(a: Toy, b: Toy) -> None:
    """Assert that two toys hold the same weights."""
    for name, array in a.state().items():
        assert_array_equal(array, b.state()[name], err_msg=name)
