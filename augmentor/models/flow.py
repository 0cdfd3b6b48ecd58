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

import math
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.transforms import AdditiveTransform, ComposedTransform, MonotonicAffineTransform, MonotonicRQSTransform

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Phase, Spec, Stage, State
from augmentor.core.dataset import Matrix
from augmentor.core.errors import ConfigError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.blocks import materialise
from augmentor.nn.conditioning import Batch, batch, conditions, width
from augmentor.nn.latents import Latents, rows_per_step
from augmentor.nn.tensors import into_modules, of_modules
from augmentor.nn.whitening import class_gaussians

STEPS = 2500  # optimiser steps of the flow by default
PASSES = 0.2  # passes over the rows, at most, per row: few rows are soon learnt by heart, and too few to hold some out
FEW = 10  # rows per dimension below which correlations are estimated once, by shrinkage, rather than learnt
IAF_PASSES = 4  # groups of coordinates within a step of iaf: its training inverts every step, one pass per group
SLOPE = 0.05  # an affine step scales by 0.05 to 20: wider, and one odd row is inverted to infinity


class Flow:
    """Conditional normalizing flow on few features, or on the vectors of a codec."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
        standardised=True,
        draws_size=True,
        calibrated=True,
        trained=True,
        paper="arXiv:1912.02762",
    )

    class Config(contract.Config):
        """Settings of the flow."""

        kind: Literal["nice", "realnvp", "maf", "iaf", "nsf"] = Field("maf", description="which invertible steps")
        most_features: int = Field(
            64,
            ge=0,
            le=512,
            description="features up to which continuous rows are modelled themselves, with exact density",
        )
        transforms: int | None = Field(
            None,
            ge=1,
            le=32,
            description="invertible steps; default 5, and 2 for nsf, whose steps bend margins at once",
        )
        width: int = Field(
            64, ge=4, le=4096, description="width of the two hidden layers that give a step's parameters"
        )
        bins: int = Field(8, ge=2, le=64, description="bins of a spline (nsf)")
        start: Literal["auto", "diagonal", "gaussian"] = Field(
            "auto",
            description="where the flow starts: means and variances of each label, or their covariances too; auto: covariances "
            "where rows are fewer than ten times the dimensions",
        )
        pseudo_rows: float = Field(
            100.0, gt=0, description="κ: rows at which a label's own covariance weighs one half where the flow starts"
        )
        latent: int | None = Field(None, ge=1, le=512, description="latent dimensions; default 24, fewer for few rows")
        hidden: int = Field(128, ge=4, le=4096, description="width of the codec's encoder and decoder")
        beta: float = Field(0.2, ge=0, le=100, description="KL weight of the codec; small, as the density comes after")
        dropout: float = Field(0.15, ge=0, lt=1, description="share of encoder inputs hidden at each step")
        epochs: int | None = Field(
            None, ge=1, le=100_000, description="passes over the rows in each stage; default: by rows and features"
        )
        batch_size: int = Field(128, ge=2, le=65_536, description="rows per step, fewer when the data has fewer")
        learning_rate: float = Field(3e-3, gt=0, lt=1, description="peak of the one-cycle rate of the flow")
        weight_decay: float = Field(1e-2, ge=0, lt=1, description="decoupled weight decay of the flow (AdamW)")

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        self.latents: Latents | None = None
        if layout.space is not Space.CONTINUOUS or layout.features > config.most_features:
            with torch.device("meta"):
                self.latents = Latents(layout, config.latent, config.hidden)
        self.dimensions = self.latents.dimensions if self.latents else layout.features
        self.net = _Steps(self.dimensions, width(layout), layout.conditions, config)
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

    @torch.no_grad()
    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: noise through the inverted steps, then the likelihood of the codec, if any."""
        noise = rng.child("latent").numpy().standard_normal((len(given), self.dimensions), dtype=np.float32)
        condition = torch.from_numpy(given.condition.astype(np.int64))
        u = self.net.inverse(torch.from_numpy(noise), conditions(given, self.layout), condition).numpy()
        return u if self.latents is None else self.latents.draw(u, given, rng.child("noise"))

    def _modules(self) -> dict[str, nn.Module]:
        return {"flow.": self.net} | ({} if self.latents is None else {"latents.": self.latents})

    def state(self) -> State:
        """Weights of the flow and of the codec."""
        return of_modules(self._modules())

    def restore(self, state: State) -> None:
        """Take over the weights."""
        into_modules(self._modules(), state, "the weights of flow")


class _Steps(nn.Module):
    """p(u | c) of ``(rows, d)``: whitening by the condition's Gaussian, then zuko's transforms."""

    def __init__(self, d: int, c: int, conditions: int, config: Flow.Config) -> None:
        super().__init__()
        self.mean: Tensor
        self.whiten: Tensor
        self.colour: Tensor
        self.log_det: Tensor
        self.register_buffer("mean", torch.zeros(conditions, d))
        self.register_buffer("whiten", torch.eye(d).repeat(conditions, 1, 1))
        self.register_buffer("colour", torch.eye(d).repeat(conditions, 1, 1))
        self.register_buffer("log_det", torch.zeros(conditions))
        with _Unfilled():
            self.steps = nn.ModuleList(
                _step(d, c, i, config) for i in range(config.transforms or (2 if config.kind == "nsf" else 5))
            )
        self.log_scale = nn.Parameter(torch.zeros(d)) if config.kind == "nice" else None

    def initialise(self, rng: Stream) -> None:
        """LeCun-uniform hidden layers; last layers of zeros, so that every step is the identity. Masks stay as they are."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.zero_()
                if parameter.dim() == 2 and name.endswith("weight"):
                    bound = 1 / math.sqrt(parameter.shape[1])
                    parameter.uniform_(-bound, bound, generator=rng.child(name).torch())
            for step in self.steps:
                hyper = getattr(getattr(step, "transform", step), "hyper", None)  # none: one feature without label
                if hyper is not None:
                    hyper[-1].weight.zero_()

    def start(self, mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
        """Begin at these Gaussians; the symmetric root leaves every coordinate as near to itself as whitening can."""
        values, vectors = np.linalg.eigh(covariance)
        root = np.sqrt(values)[:, None, :]
        turned = vectors.transpose(0, 2, 1)
        for buffer, array in (
            (self.mean, mean),
            (self.whiten, (vectors / root) @ turned),
            (self.colour, (vectors * root) @ turned),
            (self.log_det, -0.5 * np.log(values).sum(axis=1)),
        ):
            buffer.copy_(torch.from_numpy(array.astype(np.float32)))

    def log_prob(self, u: Tensor, c: Tensor, condition: Tensor) -> Tensor:
        """Log-density ``(rows,)``."""
        y, change = self.forward(u, c, condition)
        return change - 0.5 * (y.square() + math.log(2 * math.pi)).sum(dim=1)

    def forward(self, u: Tensor, c: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Rows to noise ``(rows, d)``, with the log-determinant of the Jacobian ``(rows,)``."""
        y = torch.einsum("nij,nj->ni", self.whiten[condition], u - self.mean[condition])
        y, change = self._composed(c).call_and_ladj(y)
        change = change + self.log_det[condition]
        if self.log_scale is not None:
            y, change = y * self.log_scale.exp(), change + self.log_scale.sum()
        return y, change

    def inverse(self, y: Tensor, c: Tensor, condition: Tensor) -> Tensor:
        """Noise ``(rows, d)`` to rows."""
        if self.log_scale is not None:
            y = y * (-self.log_scale).exp()
        y = self._composed(c).inv(y)
        return torch.einsum("nij,nj->ni", self.colour[condition], y) + self.mean[condition]

    def _composed(self, c: Tensor) -> Any:
        context = c if c.shape[1] else None
        return ComposedTransform(*(step(context) for step in self.steps))


class _Unfilled(TorchFunctionMode):
    """Within it, layers are built without drawing initial weights from the global generator: `initialise` gives them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init" or func is torch.Tensor.uniform_:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs) if func is not torch.randn else torch.zeros(*args, **kwargs)


def _step(d: int, c: int, position: int, config: Flow.Config) -> nn.Module:
    """Step number ``position``; coordinates change their roles from step to step."""
    shapes: list[tuple[int, ...]]
    if config.kind == "nice":
        univariate, shapes = AdditiveTransform, [()]
    elif config.kind == "nsf":
        univariate = MonotonicRQSTransform
        shapes = [(config.bins,), (config.bins,), (config.bins - 1,)]
    else:
        univariate, shapes = partial(MonotonicAffineTransform, slope=SLOPE), [(), ()]
    common: dict[str, Any] = {
        "features": d,
        "context": c,
        "univariate": univariate,
        "shapes": shapes,
        "hidden_features": (config.width, config.width),
        "activation": nn.Tanh,
    }
    if config.kind in ("nice", "realnvp"):
        return GeneralCouplingTransform(mask=torch.arange(d) % 2 == position % 2, **common)
    order = torch.arange(d) if position % 2 == 0 else torch.arange(d).flip(0)
    passes = IAF_PASSES if config.kind == "iaf" else None
    step = MaskedAutoregressiveTransform(order=order, passes=passes, **common)
    return step.inv if config.kind == "iaf" else step


Model = Flow
