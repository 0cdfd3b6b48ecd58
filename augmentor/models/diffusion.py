"""Latent diffusion: encoded rows drowned in noise step by step, and a network that takes the noise away again, given the labels.

    u_t = α_t·u₀ + σ_t·ε,   α_t² = ᾱ_t,  σ_t² = 1 − ᾱ_t,   ε ~ N(0, I),  t = 1 … 1000,   u₀ = standardised (z, log s) of a row
    minimise   E_t ‖f_θ(u_t, t, c) − target‖²,   target ε (``noise``) or v = α_t·ε − σ_t·u₀ (``v``)
    draw       û₀ and ε̂ from f_θ(u_t, t, c), then for a few times t > t' > …, down to u₀ (DDIM)
               u_t' = α_t'·û₀ + √(σ_t'² − s²)·ε̂ + s·ξ,   s = η·(σ_t'/σ_t)·√(1 − ᾱ_t/ᾱ_t'),   ξ ~ N(0, I)

The library size is a coordinate of the vector, so it is drawn jointly with the state of the cell; rows are drawn from the codec's
likelihood. η = 0 is deterministic given the first noise, η = 1 the ancestral sampler of DDPM on the same times. Weights of labels:
`nn/guidance.py`.

Papers: Ho et al. 2020, arXiv:2006.11239 (DDPM, linear schedule); Nichol & Dhariwal 2021, arXiv:2102.09672 (cosine schedule); Song et
al. 2021, arXiv:2010.02502 (DDIM, η); Salimans & Ho 2022, arXiv:2202.00512 (v); Rombach et al. 2022, arXiv:2112.10752 (latents).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
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

TIMES = 1000  # of the noising process
REACH = 6.0  # û₀ is kept within so many standard deviations: at high noise a small error of ε̂ is a large one of û₀


class Diffusion:
    """Conditional diffusion on the vectors of a codec."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
        standardised=True,
        draws_size=True,
        calibrated=True,
        trained=True,
        covariates=True,
        paper="arXiv:2006.11239",
        strengths="Labels can be weighed when drawing, each column by itself, also in combinations; library size is drawn "
        "with the state of a cell.",
        limits="It draws latent vectors, so it is never better than its codec; two trainings, and 50 passes of the "
        "network to draw.",
    )

    class Config(contract.Config):
        """Settings of diffusion."""

        latent: int | None = Field(None, ge=1, le=512, description="latent dimensions; default 24, fewer for few rows")
        hidden: int = Field(128, ge=4, le=4096, description="width of the codec's encoder and decoder; as in cvae")
        beta: float = Field(0.2, ge=0, le=100, description="KL weight of the codec; small, as the density comes after")
        dropout: float = Field(
            0.15,
            ge=0,
            lt=1,
            description="share of encoder inputs hidden at each step, so that few rows are not learnt by heart",
        )
        width: int = Field(128, ge=4, le=4096, description="width of the denoising network; as wide as the codec")
        blocks: int = Field(
            3,
            ge=1,
            le=16,
            description="residual blocks of the denoising network; a few, as it sees at most 25 numbers by default",
        )
        schedule: Literal["cosine", "quadratic", "linear"] = Field(
            "cosine",
            description="how noise grows with time; cosine leaves more of a row in the middle (Nichol & Dhariwal 2021)",
        )
        prediction: Literal["v", "noise"] = Field(
            "v", description="what the network predicts; v has the same scale at every time (Salimans & Ho 2022)"
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
            50, ge=1, le=TIMES, description="steps of DDIM when drawing; few cost little quality (Song et al. 2021)"
        )
        eta: float = Field(
            0.0,
            ge=0,
            le=1,
            description="η; noise put back at each step, 0 none, 1 as much as DDPM; with few steps 0 is best (Song "
            "et al. 2021)",
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
            2e-3, gt=0, lt=1, description="peak of the one-cycle rate of the network; usual for AdamW, not tuned"
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
        self.kept = torch.from_numpy(signal(config.schedule)).float()
        self.batch_size = rows_per_step(layout, config.batch_size)
        self.epochs = config.epochs or field_epochs(layout, self.batch_size)

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Diffusion:
        """Return an untrained codec and network."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Initial weights of both networks."""
        materialise(self.latents, rng.child("latents"))
        self.latents.codec.initialise(encoded)
        materialise(self.field, rng.child("field"))

    def stages(self) -> list[Stage]:
        """The codec, then the denoising network on its vectors."""
        config = self.config
        codec = self.latents.stage(
            beta=config.beta, dropout=config.dropout, epochs=config.epochs, batch_size=config.batch_size
        )
        phase = Phase("denoising", self.field.parameters, self._loss, learning_rate=config.learning_rate)
        return [
            codec,
            Stage("field", self.field, (phase,), self.epochs, self.batch_size, ema=0.995, reads=(self.latents,)),
        ]

    def _loss(self, rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        start = self.latents.of(rows, generator)
        noise = torch.randn(start.shape, generator=generator, device=start.device)
        time = torch.randint(1, TIMES + 1, (len(rows), 1), generator=generator, device=start.device)
        a, s = self._mix(time)
        seen = self.field.hidden(len(rows), self.config.hide, generator)
        predicted = self.field(a * start + s * noise, time / TIMES, rows.c, seen)
        target = noise if self.config.prediction == "noise" else a * noise - s * start
        return {self.config.prediction: (predicted - target).square().mean()}

    def _mix(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """α and σ at times ``(rows, 1)`` of 0 to 1000."""
        kept = self.kept.to(time.device)[time]
        return kept.sqrt(), (1 - kept).sqrt()

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: noise taken away in few steps, then a draw of the likelihood."""
        return self.latents.draw(self.draw_latents(given, rng.child("latent")), given, rng.child("noise"))

    @torch.no_grad()
    def draw_latents(self, given: Given, rng: Stream) -> NDArray[np.floating]:
        """Take the noise away from noise: vectors ``(rows, dimensions)``."""
        shape = (len(given), self.latents.dimensions)
        noise = rng.numpy()
        c, u = conditions(given, self.layout), torch.from_numpy(noise.standard_normal(shape, dtype=np.float32))
        times = np.rint(np.linspace(TIMES, 0, self.config.steps + 1)).astype(np.int64)
        for now, after in pairwise(times):
            t = torch.full((len(given), 1), int(now))
            predicted = self.field.guided(u, t / TIMES, c)
            u = self._step(u, predicted, t, torch.full_like(t, int(after)), noise)
        return u.numpy()

    def _step(self, u: Tensor, predicted: Tensor, now: Tensor, after: Tensor, noise: np.random.Generator) -> Tensor:
        """One step of DDIM from the times ``now`` to ``after``, ``(rows, 1)`` each."""
        (a, s), (a_after, s_after) = self._mix(now), self._mix(after)
        start = a * u - s * predicted if self.config.prediction == "v" else (u - s * predicted) / a
        start = start.clamp(-REACH, REACH)
        found = (u - a * start) / s  # the noise that goes with this start
        fresh = self.config.eta * s_after / s * (1 - (a / a_after) ** 2).clamp(min=0).sqrt()
        u = a_after * start + (s_after**2 - fresh**2).clamp(min=0).sqrt() * found
        if self.config.eta == 0:
            return u
        return u + fresh * torch.from_numpy(noise.standard_normal(u.shape, dtype=np.float32))

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
        """Weights of the codec and of the network."""
        return {**of_module(self.latents, "latents."), **of_module(self.field, "field.")}

    def restore(self, state: State) -> None:
        """Take over the weights."""
        into_modules({"latents.": self.latents, "field.": self.field}, state, "the weights of diffusion")


def signal(schedule: str) -> NDArray[np.float64]:
    """ᾱ_t, the share of variance that is still the row's, at the times 0 to 1000: from 1 to (nearly) 0.

    ``cosine`` is ᾱ_t = cos²(π/2 · (t/T + s)/(1 + s)), relative to t = 0, s = 0.008, with β_t ≤ 0.999; the others are
    ᾱ_t = Π (1 − β_i) with β, or √β (``quadratic``), linear in i. Their ends leave ᾱ_T < 10⁻⁴: drawing starts from pure noise.
    """
    if schedule == "cosine":
        angle = (np.linspace(0, 1, TIMES + 1) + 0.008) / 1.008 * np.pi / 2
        beta = np.minimum(1 - (np.cos(angle[1:]) / np.cos(angle[:-1])) ** 2, 0.999)
    elif schedule == "quadratic":
        beta = np.linspace(0.0001**0.5, 0.03**0.5, TIMES) ** 2
    else:
        beta = np.linspace(0.0001, 0.02, TIMES)
    return np.concatenate([[1.0], np.cumprod(1 - beta)])


Model = Diffusion
