"""Conditional flow matching in latent space: a velocity field that carries noise to the encoded rows of a condition.

    u₀ ~ N(0, I),  u₁ = standardised (z, log s) of a row,  u_t = (1 − t)·u₀ + t·u₁
    minimise    E_t ‖w_θ(u_t, t, c) − (u₁ − u₀)‖²                    (t ~ U(0, 1))
    draw        du/dt = w_θ(u, t, c) from t = 0 to 1 by Heun's method, then x ~ p(x | z, c, s)

With ``pairing = optimal`` noise and rows of a batch are matched, within condition, so that their squared distances are smallest:
paths cross less and are straighter. The library size is a coordinate of the vector that flows, so it is drawn jointly with the
state of the cell. Labels can be weighed, all at once or column by column: `nn/guidance.py`.

Papers: Lipman et al. 2023, arXiv:2210.02747; Tong et al. 2024, arXiv:2302.00482 (minibatch optimal transport); Ho & Salimans 2022,
arXiv:2207.12598 (guidance); Palma et al. 2025, arXiv:2407.11734 (flow matching of counts in latent space).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Phase, Spec, Stage, State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.blocks import materialise
from augmentor.nn.conditioning import Batch, conditions
from augmentor.nn.guidance import GuidedField, field_epochs
from augmentor.nn.latents import Latents, rows_per_step
from augmentor.nn.tensors import into_modules, of_module


class FlowMatching:
    """Conditional flow matching on the vectors of a codec."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
        standardised=True,
        draws_size=True,
        calibrated=True,
        trained=True,
        covariates=True,
        paper="arXiv:2210.02747",
        strengths="As diffusion, with fewer and straighter steps: 20 of Heun's method; labels can be weighed; library "
        "size is drawn with the state.",
        limits="It draws latent vectors, so it is never better than its codec; two trainings, and 40 passes of the "
        "field to draw.",
    )

    class Config(contract.Config):
        """Settings of flow matching."""

        latent: int | None = Field(None, ge=1, le=512, description="latent dimensions; default 24, fewer for few rows")
        hidden: int = Field(128, ge=4, le=4096, description="width of the codec's encoder and decoder; as in cvae")
        beta: float = Field(0.2, ge=0, le=100, description="KL weight of the codec; small, as the density comes after")
        dropout: float = Field(
            0.15,
            ge=0,
            lt=1,
            description="share of encoder inputs hidden at each step, so that few rows are not learnt by heart",
        )
        width: int = Field(128, ge=4, le=4096, description="width of the velocity field; as wide as the codec")
        blocks: int = Field(
            3,
            ge=1,
            le=16,
            description="residual blocks of the velocity field; a few, as it sees at most 25 numbers by default",
        )
        pairing: Literal["independent", "optimal"] = Field(
            "independent",
            description="how noise and rows of a batch are paired within a condition; independent has no bias of "
            "small batches",
        )
        hide: float = Field(
            0.1,
            ge=0,
            lt=1,
            description="share of rows with hidden labels in training, for guidance; as in Ho & Salimans 2022",
        )
        guidance: float = Field(1.0, ge=0, le=20, description="γ; 1 draws p(x | c), more exaggerates the labels")
        guidance_by: tuple[Annotated[float, Field(ge=0, le=20)], ...] | None = Field(
            None, description="a weight for each label column, in their order, in the place of guidance"
        )
        steps: int = Field(
            20, ge=1, le=1000, description="steps of Heun's method when drawing; few, as its paths are nearly straight"
        )
        epochs: int | None = Field(
            None,
            ge=1,
            le=100_000,
            description="passes over the rows in each of the two stages; default: by rows and features",
        )
        batch_size: int = Field(
            128, ge=2, le=65_536, description="rows per step; fewer where rows are few, so that an epoch has ten steps"
        )
        learning_rate: float = Field(
            2e-3, gt=0, lt=1, description="peak of the one-cycle rate of the field; usual for AdamW, not tuned"
        )

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        with torch.device("meta"):
            self.latents = Latents(layout, config.latent, config.hidden)
            self.field = GuidedField(
                layout,
                self.latents.dimensions,
                width=config.width,
                blocks=config.blocks,
                guidance=config.guidance,
                guidance_by=config.guidance_by,
            )
        self.batch_size = rows_per_step(layout, config.batch_size)
        self.epochs = config.epochs or field_epochs(layout, self.batch_size)

    @classmethod
    def build(cls, layout: Layout, config: Config) -> FlowMatching:
        """Return an untrained codec and field."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Initial weights of both networks."""
        materialise(self.latents, rng.child("latents"))
        self.latents.codec.initialise(encoded)
        materialise(self.field, rng.child("field"))

    def stages(self) -> list[Stage]:
        """The codec, then the velocity field on its vectors."""
        config = self.config
        codec = self.latents.stage(
            beta=config.beta, dropout=config.dropout, epochs=config.epochs, batch_size=config.batch_size
        )
        phase = Phase("velocity", self.field.parameters, self._loss, learning_rate=config.learning_rate)
        return [
            codec,
            Stage("field", self.field, (phase,), self.epochs, self.batch_size, ema=0.995, reads=(self.latents,)),
        ]

    def _loss(self, rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        end = self.latents.of(rows, generator)
        start = torch.randn(end.shape, generator=generator, device=end.device)
        if self.config.pairing == "optimal":
            start = start[_paired(start, end, rows.condition)]
        t = torch.rand(len(rows), 1, generator=generator, device=end.device)
        seen = self.field.hidden(len(rows), self.config.hide, generator)
        velocity = self.field((1 - t) * start + t * end, t, rows.c, seen)
        return {"velocity": (velocity - (end - start)).square().mean()}

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: noise carried along the field, then a draw of the likelihood."""
        return self.latents.draw(self.draw_latents(given, rng.child("latent")), given, rng.child("noise"))

    @torch.no_grad()
    def draw_latents(self, given: Given, rng: Stream) -> NDArray[np.floating]:
        """Carry noise along the field to vectors ``(rows, dimensions)``."""
        noise = rng.numpy().standard_normal((len(given), self.latents.dimensions), dtype=np.float32)
        c, u = conditions(given, self.layout), torch.from_numpy(noise)
        step = 1 / self.config.steps
        for i in range(self.config.steps):
            first = self._velocity(u, i * step, c)
            second = self._velocity(u + step * first, (i + 1) * step, c)
            u = u + 0.5 * step * (first + second)
        return u.numpy()

    def _velocity(self, u: Tensor, time: float, c: Tensor) -> Tensor:
        return self.field.guided(u, torch.full((len(u), 1), time), c)

    def embed(self, encoded: Encoded) -> NDArray[np.float32]:
        """z of rows ``(rows, latent)``: the posterior mean."""
        return self.latents.embed(encoded)

    def denoise(self, encoded: Encoded) -> Matrix:
        """Means of the likelihood of rows ``(rows, features)`` at their own z."""
        return self.latents.codec.denoise(encoded)

    def surprise(self, encoded: Encoded) -> NDArray[np.float64]:
        """−log p(x | z, c) per feature ``(rows,)`` at the rows' own z."""
        return self.latents.codec.surprise(encoded)

    def between(
        self, vectors: NDArray[np.floating], start: Given, end: Given, weight: NDArray[np.floating], rng: Stream
    ) -> Matrix:
        """Draw rows ``(rows, features)`` from vectors, with conditions between two."""
        return self.latents.between(vectors, start, end, weight, rng)

    def state(self) -> State:
        """Weights of the codec and of the field."""
        return {**of_module(self.latents, "latents."), **of_module(self.field, "field.")}

    def restore(self, state: State) -> None:
        """Take over the weights."""
        into_modules({"latents.": self.latents, "field.": self.field}, state, "the weights of flow_matching")


def _paired(start: Tensor, end: Tensor, condition: Tensor) -> NDArray[np.intp]:
    """Rows of ``start`` in the order in which they lie nearest, in total, to the rows of ``end`` of the same condition."""
    order, owner = np.arange(len(end)), condition.cpu().numpy()
    cost = torch.cdist(end, start).square().cpu().numpy()
    for c in np.unique(owner):
        own = np.flatnonzero(owner == c)
        order[own] = own[linear_sum_assignment(cost[np.ix_(own, own)])[1]]
    return order


Model = FlowMatching
