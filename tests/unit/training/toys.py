"""Tiny trained models on which every promise of the loop can be seen, and the data they are trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Phase, Spec, Stage, State
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.blocks import materialise
from augmentor.nn.conditioning import Batch
from augmentor.nn.tensors import into_module, of_module

Loss = Callable[[Batch, torch.Generator, float], dict[str, Tensor]]


def rows(n: int = 96, features: int = 5, valid: int = 16, seed: int = 0) -> Encoded:
    """Return Gaussian rows of two labels; the last ``valid`` of them only judge."""
    generator = Stream(seed).child("rows").numpy()
    condition = np.arange(n) % 2
    x = (generator.normal(size=(n, features)) + 2 * condition[:, None]).astype(np.float32)
    layout = Layout(space=Space.CONTINUOUS, features=features, categories=(2,), combinations=((0,), (1,)), rows=n)
    given = Given(condition, condition[:, None].astype(np.int32), np.zeros((n, 0)))
    return Encoded(x, given, np.arange(n) >= n - valid, layout)


class Toy:
    """Means per label, learnt by a linear layer; the stages are an argument, so that a test can bend them."""

    spec = Spec(spaces=(Space.CONTINUOUS,), trained=True)

    class Config(contract.Config):
        """No settings."""

    def __init__(self, layout: Layout, recipe: Callable[[Toy], list[Stage]] | None = None) -> None:
        self.layout = layout
        self.recipe = recipe or plain
        with torch.device("meta"):
            self.net, self.second = nn.Linear(2, layout.features), nn.Linear(2, layout.features)
        self.finished: list[int] = []

    @classmethod
    def build(cls, layout: Layout, config: Any) -> Toy:
        """Return an untrained toy."""
        return cls(layout)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Random weights from the stream."""
        materialise(self.net, rng.child("net"))
        materialise(self.second, rng.child("second"))

    def stages(self) -> list[Stage]:
        """The recipe's."""
        return self.recipe(self)

    def draw(self, given: Given, rng: Stream) -> np.ndarray:
        """Not drawn from in these tests."""
        raise NotImplementedError

    def loss(self, batch: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        """Squared error against a noisy target, so that the noise stream matters."""
        noise = 0.1 * torch.randn(batch.x.shape, generator=generator)
        return {"error": ((self.net(batch.c) - batch.x + noise) ** 2).mean()}

    def second_loss(self, batch: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        """The second layer learns what the first has left."""
        with torch.no_grad():
            left = batch.x - self.net(batch.c)
        return {"left": ((self.second(batch.c) - left) ** 2).mean(), "size": 1e-3 * self.second.weight.abs().sum()}

    def validate(self, batch: Batch, generator: torch.Generator) -> float:
        """The loss as it stands."""
        return float(self.loss(batch, generator, 1.0)["error"])

    def state(self) -> State:
        """Both layers."""
        return {**of_module(self.net, "net."), **of_module(self.second, "second.")}

    def restore(self, state: State) -> None:
        """Both layers."""
        for prefix, net in (("net.", self.net), ("second.", self.second)):
            into_module(net, {k: v for k, v in state.items() if k.startswith(prefix)}, "the toy", prefix)


def stage(toy: Toy, *, loss: Loss | None = None, name: str = "only", epochs: int = 6, **more: Any) -> Stage:
    """One stage, one phase on the first layer."""
    phase = Phase("step", toy.net.parameters, loss or toy.loss, learning_rate=more.pop("learning_rate", 0.05))
    return Stage(name, toy.net, (phase,), epochs, batch_size=more.pop("batch_size", 16), **more)


def plain(toy: Toy) -> list[Stage]:
    """One stage without validation."""
    return [stage(toy)]


def judged(toy: Toy) -> list[Stage]:
    """One stage with validation, averaged weights and patience."""
    return [stage(toy, validate=toy.validate, patience=50, ema=0.9)]


def two_stages(toy: Toy) -> list[Stage]:
    """The second layer after the first, with something to fit in between."""
    second = Phase("left", toy.second.parameters, toy.second_loss, learning_rate=0.05)
    return [
        stage(toy, name="first", epochs=3, validate=toy.validate, finish=lambda encoded, rng: toy.finished.append(1)),
        Stage("second", toy.second, (second,), 4, batch_size=16, finish=lambda encoded, rng: toy.finished.append(2)),
    ]


def two_phases(toy: Toy) -> list[Stage]:
    """Both layers in turn, the second twice as often."""
    both = nn.ModuleDict({"net": toy.net, "second": toy.second})
    phases = (
        Phase("critic", toy.second.parameters, toy.second_loss, steps=2, learning_rate=0.02, betas=(0.5, 0.9)),
        Phase("generator", toy.net.parameters, toy.loss, learning_rate=0.02, betas=(0.5, 0.9)),
    )
    return [Stage("game", both, phases, 6, batch_size=16, schedule="constant", ema=0.95)]
