"""Normalizing flow: rows are noise led through invertible steps, so that the density of a row is exact.

    y₀ = Σ_c^(−½)·(u − μ_c),   y_k = f_k(y_{k−1}; c),   log p(u | c) = log N(y_K; 0, I) + Σ_k log |det ∂y_k / ∂y_{k−1}|
    minimise    −E log p(u | c)                      (maximum likelihood)
    draw        y_K ~ N(0, I), then every step inverted

    nice        y_b = x_b + t(x_a, c), at the end y ← exp(s)·y                     half the coordinates move the other half
    realnvp     y_b = exp(s(x_a, c))·x_b + t(x_a, c)
    maf         y_i = exp(s_i(x_<i, c))·x_i + t_i(x_<i, c)                         density in one pass, drawing in d
    iaf         x_i = exp(s_i(y_<i, c))·y_i + t_i(y_<i, c)                         drawing in one pass; i, j: groups
    nsf         y_i = rational-quadratic spline of x_i with knots (x_<i, c)        as maf, margins of any shape

Every f_k starts as the identity, so the flow starts as the shrunk Gaussian of each condition (`nn/whitening.py`) and learns what
that misses: little where rows are few. Continuous rows ``(rows, features)`` of few features are modelled themselves (u = x); wide
rows and counts are modelled as vectors u of a latent space (`nn/latents.py`).

Papers: Dinh et al. 2014, arXiv:1410.8516 (NICE); Dinh et al. 2016, arXiv:1605.08803 (RealNVP); Papamakarios et al. 2017,
arXiv:1705.07057 (MAF); Kingma et al. 2016, arXiv:1606.04934 (IAF); Durkan et al. 2019, arXiv:1906.04032 (NSF). Steps: zuko.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Phase, Spec, Stage, State
from augmentor.core.dataset import Matrix
from augmentor.core.errors import ConfigError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.blocks import materialise
from augmentor.nn.conditioning import Batch, batch, conditions, width
from augmentor.nn.invertible import Kind, Steps
from augmentor.nn.latents import Latents, rows_per_step
from augmentor.nn.tensors import into_modules, of_modules
from augmentor.nn.whitening import class_gaussians

STEPS = 2500  # optimiser steps of the flow by default
PASSES = 0.2  # passes over the rows, at most, per row: few rows are soon learnt by heart, and too few to hold some out
FEW = 10  # rows per dimension below which correlations are estimated once, by shrinkage, rather than learnt


class Flow:
    """Conditional normalizing flow on few features, or on the vectors of a codec."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
        standardised=True,
        draws_size=True,
        calibrated=True,
        trained=True,
        covariates=True,
        paper="arXiv:1912.02762",
        strengths="Exact log-density of rows of few features, far above a Gaussian mixture per label on held-out rows "
        "(breast cancer: 3.7 of −8.9 nats per row with maf).",
        limits="Wide rows and counts only as latent vectors of a codec, without an exact density of rows; maf and nsf "
        "draw in a pass per dimension.",
    )

    class Config(contract.Config):
        """Settings of the flow."""

        kind: Kind = Field(
            "maf", description="which invertible steps; maf and nsf are likeliest on held-out rows, and maf is faster"
        )
        most_features: int = Field(
            64,
            ge=0,
            le=512,
            description="features up to which continuous rows are modelled themselves, with exact density; maf "
            "takes a pass each to draw",
        )
        transforms: int | None = Field(
            None,
            ge=1,
            le=32,
            description="invertible steps; default 5, and 2 for nsf, whose steps bend margins at once",
        )
        width: int = Field(
            64,
            ge=4,
            le=4096,
            description="width of the two hidden layers that give a step's parameters; half the codec's, as "
            "dimensions are few",
        )
        bins: int = Field(8, ge=2, le=64, description="bins of a spline (nsf); as in the paper")
        start: Literal["auto", "diagonal", "gaussian"] = Field(
            "auto",
            description="where the flow starts: means and variances of each label, or their covariances too; auto: "
            "covariances where rows are fewer than ten times the dimensions",
        )
        pseudo_rows: float = Field(
            100.0, gt=0, description="κ: rows at which a label's own covariance weighs one half where the flow starts"
        )
        latent: int | None = Field(None, ge=1, le=512, description="latent dimensions; default 24, fewer for few rows")
        hidden: int = Field(128, ge=4, le=4096, description="width of the codec's encoder and decoder; as in cvae")
        beta: float = Field(0.2, ge=0, le=100, description="KL weight of the codec; small, as the density comes after")
        dropout: float = Field(
            0.15,
            ge=0,
            lt=1,
            description="share of encoder inputs hidden at each step, so that few rows are not learnt by heart",
        )
        epochs: int | None = Field(
            None, ge=1, le=100_000, description="passes over the rows in each stage; default: by rows and features"
        )
        batch_size: int = Field(
            128, ge=2, le=65_536, description="rows per step; fewer where rows are few, so that an epoch has ten steps"
        )
        learning_rate: float = Field(
            3e-3, gt=0, lt=1, description="peak of the one-cycle rate of the flow; usual for AdamW, not tuned"
        )
        weight_decay: float = Field(
            1e-2, ge=0, lt=1, description="decoupled weight decay of the flow; the default of AdamW"
        )

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        self.latents: Latents | None = None
        if layout.space is not Space.CONTINUOUS or layout.features > config.most_features:
            with torch.device("meta"):
                self.latents = Latents(layout, config.latent, config.hidden)
        self.dimensions = self.latents.dimensions if self.latents else layout.features
        self.net = Steps(
            self.dimensions,
            width(layout),
            layout.conditions,
            kind=config.kind,
            transforms=config.transforms,
            width=config.width,
            bins=config.bins,
        )
        self.batch_size = rows_per_step(layout, config.batch_size)
        self.epochs = config.epochs or max(5, round(min(STEPS * self.batch_size / layout.rows, PASSES * layout.rows)))

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Flow:
        """Return an untrained flow, with an untrained codec where the rows are wide."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Initial weights; the flow of features starts as the Gaussian of each label of the training part."""
        self.net.initialise(rng.child("flow"))
        if self.latents is None:
            own = encoded.take(np.flatnonzero(~encoded.valid))
            self._start(np.asarray(own.x), None, own.given.condition)
            return
        materialise(self.latents, rng.child("latents"))
        self.latents.codec.initialise(encoded)

    def _start(self, x: NDArray[Any], variance: NDArray[Any] | None, condition: NDArray[np.intp]) -> None:
        mean, covariance = class_gaussians(
            x, variance, condition, self.layout.conditions, pseudo_rows=self.config.pseudo_rows
        )
        few = len(x) < FEW * self.dimensions
        if self.config.start == "diagonal" or (self.config.start == "auto" and not few):
            covariance = covariance * np.eye(self.dimensions)
        self.net.start(mean, covariance)

    def stages(self) -> list[Stage]:
        """The codec where there is one, then the flow."""
        config, stages = self.config, []
        if self.latents is not None:
            stages.append(
                self.latents.stage(
                    beta=config.beta,
                    dropout=config.dropout,
                    epochs=config.epochs,
                    batch_size=config.batch_size,
                    finish=self._start_in_latents,
                )
            )
        phase = Phase(
            "likelihood",
            self.net.parameters,
            lambda rows, generator, progress: {"likelihood": self._loss(rows, generator)},
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        flow = Stage(
            "flow",
            self.net,
            (phase,),
            self.epochs,
            self.batch_size,
            validate=lambda rows, generator: float(self._loss(rows, generator)),
            patience=max(10, self.epochs // 5) if self.latents is None else None,
            ema=0.99,
            reads=() if self.latents is None else (self.latents,),
        )
        return [*stages, flow]

    def _start_in_latents(self, encoded: Encoded, rng: Stream) -> None:
        assert self.latents is not None
        self._start(*self.latents.moments(encoded), encoded.given.condition)

    def _loss(self, rows: Batch, generator: torch.Generator) -> Tensor:
        u = rows.x if self.latents is None else self.latents.of(rows, generator)
        return -self.net.log_prob(u, rows.c, rows.condition).mean()

    @torch.no_grad()
    def log_prob(self, encoded: Encoded) -> NDArray[np.float32]:
        """Exact log-density ``(rows,)`` of rows in the model's space, in nats.

        Raises:
            ConfigError: the rows are wide or counts, and only their latent vectors have a density.
        """
        if self.latents is not None:
            raise ConfigError(
                "this flow models latent vectors, so the density of a row is not known exactly; a flow of continuous "
                f"rows of at most {self.config.most_features} features (--set most_features=...) knows it."
            )
        rows = batch(encoded)
        return self.net.log_prob(rows.x, rows.c, rows.condition).numpy()

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: noise through the inverted steps, then the likelihood of the codec, if any."""
        u = self.draw_latents(given, rng.child("latent"))
        return u if self.latents is None else self.latents.draw(u, given, rng.child("noise"))

    @torch.no_grad()
    def draw_latents(self, given: Given, rng: Stream) -> NDArray[np.floating]:
        """Lead noise through the inverted steps, to vectors of the codec or to rows ``(rows, dimensions)``."""
        noise = rng.numpy().standard_normal((len(given), self.dimensions), dtype=np.float32)
        condition = torch.from_numpy(given.condition.astype(np.int64))
        u: NDArray[np.float32] = self.net.inverse(
            torch.from_numpy(noise), conditions(given, self.layout), condition
        ).numpy()
        return u

    def embed(self, encoded: Encoded) -> NDArray[np.float32]:
        """z of rows ``(rows, latent)``: the posterior mean of the codec."""
        return self._coded().embed(encoded)

    def denoise(self, encoded: Encoded) -> Matrix:
        """Means of the likelihood of rows ``(rows, features)`` at their own z."""
        return self._coded().codec.denoise(encoded)

    def surprise(self, encoded: Encoded) -> NDArray[np.float64]:
        """−log p of rows per feature ``(rows,)``: exact where rows are modelled themselves, else given their own z."""
        if self.latents is not None:
            return self.latents.codec.surprise(encoded)
        return -self.log_prob(encoded).astype(np.float64) / self.layout.features

    def between(
        self, vectors: NDArray[np.floating], start: Given, end: Given, weight: NDArray[np.floating], rng: Stream
    ) -> Matrix:
        """Draw rows ``(rows, features)`` from vectors, with conditions between two."""
        return self._coded().between(vectors, start, end, weight, rng)

    def _coded(self) -> Latents:
        if self.latents is None:
            raise ConfigError(
                f"this flow models the {self.layout.features} features themselves and has no latent space; fit it with --set "
                "most_features=0, or another model with a latent space (cvae, autoencoder)."
            )
        return self.latents

    def _modules(self) -> dict[str, nn.Module]:
        return {"flow.": self.net} | ({} if self.latents is None else {"latents.": self.latents})

    def state(self) -> State:
        """Weights of the flow and of the codec."""
        return of_modules(self._modules())

    def restore(self, state: State) -> None:
        """Take over the weights."""
        into_modules(self._modules(), state, "the weights of flow")


Model = Flow
