"""Autoregressive network: every feature given the ones before it, so that the likelihood of a row is exact.

    p(x | c) = Π_i p(x_i | x_<i, c)         in an order in which correlated features are neighbours (leaves of a hierarchical clustering)
    nade     h = masked layers of (x, c): a unit of degree k sees x_<k; feature i reads the units of degree ≤ i
    rnn      h_t = GRU(h_{t−1}, block t − 1 of the features, c); the features of block t read h_t

Heads, parameters from h, K components with weights π_k; ℓ_ci + Σ_{j<i} S_ij·x_j is the label's baseline with a linear regression
on all the features before (within a block of ``rnn`` too), to which h adds:

    gaussian, logistic     Σ_k π_k·N or Logistic(x_i; ℓ_ci + Σ_j S_ij x_j + σ_i·a_k(h), σ_i·exp(b_k(h)))
    negative_binomial      Σ_k π_k·NB(x_i; log mean = ℓ_ci + Σ_j S_ij log(1 + x_j) + a_k(h), log dispersion = v_i + b_k(h))
    categorical            P(x_i = k) = π_k(h) for k < L, and π_L(h)·(1 − q)·q^(k − L) for k ≥ L: no count is impossible

ℓ, S and σ start at the shrunk Gaussian of `nn/whitening.py` (continuous) or at the label's means (counts). Rows ``(rows, features)``
of few features are modelled themselves, counts by their probability mass; wide rows as vectors of a latent space (`nn/latents.py`).

Papers: Larochelle & Murray 2011 (NADE); Uria et al. 2013, arXiv:1306.0186 (mixtures); Germain et al. 2015, arXiv:1502.03509 (masks);
Salimans et al. 2017, arXiv:1701.05517 (logistic mixtures); Cho et al. 2014, arXiv:1406.1078 (GRU).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from scipy.special import ndtri
from torch import Tensor, nn
from torch.nn import functional as F

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Phase, Spec, Stage, State
from augmentor.core.dataset import Matrix, as_dense
from augmentor.core.errors import ConfigError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.blocks import materialise
from augmentor.nn.conditioning import Batch, batch, conditions, width
from augmentor.nn.latents import Latents, rows_per_step
from augmentor.nn.ordered import Masked, Recurrent, clustered, draw_categorical, log_categorical
from augmentor.nn.profiles import label_profiles
from augmentor.nn.tensors import into_modules, of_modules
from augmentor.nn.whitening import class_gaussians

STEPS = 2500  # optimiser steps of the network by default
PASSES = 0.2  # passes over the rows, at most, per row: few rows are soon learnt by heart, and too few to hold some out
FEW = 10  # rows per dimension below which correlations are estimated once, by shrinkage, rather than learnt
APART = 0.5  # how far the components of a mixture start from each other, in standard deviations
NARROWEST, WIDEST = -5.0, 3.0  # log scale of a component: narrower, and a value seen twice has any density
LOG_RATE, LOG_DISPERSION = 14.0, 8.0  # bounds of a count's log mean and log dispersion


class Autoregressive:
    """Masked or recurrent network of conditionals, on few features or on the vectors of a codec."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
        standardised=True,
        draws_size=True,
        calibrated=True,
        trained=True,
        covariates=True,
        paper="arXiv:1502.03509",
        strengths="Exact probability of counts of few features, above every flow on held-out rows (osmFISH: −71.8 of "
        "−73.8 nats per row); continuous rows too.",
        limits="Below the flows on continuous rows (breast cancer: −1.6 of 3.7 nats per row); wide rows only as latent "
        "vectors; draws feature by feature.",
    )

    class Config(contract.Config):
        """Settings of the autoregressive network."""

        kind: Literal["nade", "rnn"] = Field(
            "nade",
            description="masked network, or GRU over blocks of features; nade takes a quarter of the seconds of rnn",
        )
        head: Literal["auto", "gaussian", "logistic", "negative_binomial", "categorical"] = Field(
            "auto", description="law of a value given those before; auto: gaussian, negative_binomial for counts"
        )
        most_features: int = Field(
            64,
            ge=0,
            le=512,
            description="features up to which rows are modelled themselves, with exact likelihood; each takes a "
            "pass when drawing",
        )
        components: int = Field(
            4, ge=1, le=64, description="components of a mixture head; a few, for margins with more than one mode"
        )
        levels: int = Field(
            24,
            ge=1,
            le=1024,
            description="L, counts with a probability of their own (categorical); higher ones have a geometric tail",
        )
        width: int = Field(128, ge=4, le=4096, description="hidden units of the network; as wide as the codec")
        block: int | None = Field(None, ge=1, le=512, description="features per step of rnn; default: 32 steps at most")
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
            3e-3, gt=0, lt=1, description="peak of the one-cycle rate of the network; usual for AdamW, not tuned"
        )
        weight_decay: float = Field(
            1e-2, ge=0, lt=1, description="decoupled weight decay of the network; the default of AdamW"
        )

    def __init__(self, layout: Layout, config: Config) -> None:
        counts = layout.space is Space.COUNTS
        self.layout, self.config = layout, config
        # rows of a mixed table have no order in which one kind of head would describe them all
        wide = layout.features > config.most_features or layout.space is Space.MIXED
        self.discrete = counts and not wide
        head = ("negative_binomial" if self.discrete else "gaussian") if config.head == "auto" else config.head
        if (head in ("negative_binomial", "categorical")) != self.discrete:
            known = "negative_binomial or categorical" if self.discrete else "gaussian or logistic"
            raise ConfigError(f"head '{head}' does not describe these values; use {known} (or auto).")
        with torch.device("meta"):
            self.latents = Latents(layout, config.latent, config.hidden) if wide else None
            d = self.latents.dimensions if self.latents else layout.features
            self.net = _Conditionals(d, width(layout), layout.conditions, head, config)
        self.batch_size = rows_per_step(layout, config.batch_size)
        self.epochs = config.epochs or max(5, round(min(STEPS * self.batch_size / layout.rows, PASSES * layout.rows)))

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Autoregressive:
        """Return an untrained network, with an untrained codec where the rows are wide."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Order of the features and initial weights."""
        materialise(self.net, rng.child("net"))
        self.net.initialise(rng.child("net"))
        if self.latents is not None:
            materialise(self.latents, rng.child("latents"))
            self.latents.codec.initialise(encoded)
            return
        own = encoded.take(np.flatnonzero(~encoded.valid))
        x = as_dense(own.x).astype(np.float64)
        self.net.order.copy_(torch.from_numpy(clustered(np.log1p(x) if self.discrete else x)))
        if self.discrete:
            self.net.start_counts(x, own)
        else:
            self.net.start(x, None, own.given.condition)

    def stages(self) -> list[Stage]:
        """The codec where there is one, then the network."""
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
        network = Stage(
            "conditionals",
            self.net,
            (phase,),
            self.epochs,
            self.batch_size,
            validate=lambda rows, generator: float(self._loss(rows, generator)),
            patience=max(10, self.epochs // 5) if self.latents is None else None,
            ema=0.99,
            reads=() if self.latents is None else (self.latents,),
        )
        return [*stages, network]

    def _start_in_latents(self, encoded: Encoded, rng: Stream) -> None:
        assert self.latents is not None
        self.net.start(*self.latents.moments(encoded), encoded.given.condition)

    def _loss(self, rows: Batch, generator: torch.Generator) -> Tensor:
        x = rows.x if self.latents is None else self.latents.of(rows, generator)
        return -self.net.log_prob(x, rows.c, rows.condition).mean()

    @torch.no_grad()
    def log_prob(self, encoded: Encoded) -> NDArray[np.float32]:
        """Exact log-density, of counts the log-probability, ``(rows,)`` of rows in the model's space, in nats.

        Raises:
            ConfigError: the rows are wide, and only their latent vectors have a density.
        """
        if self.latents is not None:
            raise ConfigError(
                "this network models latent vectors, so the likelihood of a row is not known exactly; one of rows of at "
                f"most {self.config.most_features} features (--set most_features=...) knows it."
            )
        rows = batch(encoded)
        return self.net.log_prob(rows.x, rows.c, rows.condition).numpy()

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``, drawn feature after feature, all rows at once."""
        x = self.draw_latents(given, rng.child("latent"))
        if self.latents is not None:
            return self.latents.draw(x, given, rng.child("noise"))
        return sparse.csr_matrix(x) if self.discrete else x

    @torch.no_grad()
    def draw_latents(self, given: Given, rng: Stream) -> NDArray[np.floating]:
        """Draw vectors of the codec, or rows, ``(rows, dimensions)`` coordinate after coordinate."""
        condition = torch.from_numpy(given.condition.astype(np.int64))
        return self.net.draw(conditions(given, self.layout), condition, rng.numpy())

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
                f"this network models the {self.layout.features} features themselves and has no latent space; fit it with --set "
                "most_features=0, or another model with a latent space (cvae, autoencoder)."
            )
        return self.latents

    def _modules(self) -> dict[str, nn.Module]:
        return {"net.": self.net} | ({} if self.latents is None else {"latents.": self.latents})

    def state(self) -> State:
        """Order, weights of the network and of the codec."""
        return of_modules(self._modules())

    def restore(self, state: State) -> None:
        """Take over the weights."""
        into_modules(self._modules(), state, "the weights of autoregressive")


class _Conditionals(nn.Module):
    """The conditionals of ``(rows, d)``; ``m`` numbers from the network for every feature."""

    def __init__(self, d: int, c: int, conditions: int, head: str, config: Autoregressive.Config) -> None:
        super().__init__()
        self.d, self.head, self.components, self.levels = d, head, config.components, config.levels
        categorical = head == "categorical"
        self.counts = categorical or head == "negative_binomial"
        self.m = config.levels + 2 if categorical else 3 * config.components
        self.order: Tensor
        self.register_buffer("order", torch.empty(d, dtype=torch.int64))
        self.base = nn.Parameter(torch.empty(conditions, d * self.m if categorical else d))
        self.skip = None if categorical else nn.Parameter(torch.empty(d, d))
        self.scale = None if categorical else nn.Parameter(torch.empty(d))
        self.trunk: Masked | Recurrent
        if config.kind == "nade":
            self.trunk = Masked(d, c, self.m, width=config.width)
        else:
            self.trunk = Recurrent(d, c, self.m, width=config.width, block=config.block)

    @torch.no_grad()
    def initialise(self, rng: Stream) -> None:
        """Components side by side and an order, until the rows give better ones; materialised weights are expected."""
        self.order.copy_(torch.arange(self.d))
        self.trunk.initialise(rng)
        if self.head != "categorical":
            k = self.components
            apart = torch.from_numpy(APART * ndtri((np.arange(k) + 0.5) / k)).float()
            narrower = 0.5 * (1 - apart.square().mean()).log()
            unit = math.log(math.sqrt(3) / math.pi) if self.head == "logistic" else 0.0
            own = torch.stack([torch.zeros(k), apart, (narrower + unit).expand(k)])
            self.trunk.bias.copy_(own.ravel().repeat(self.d, 1))

    @torch.no_grad()
    def start(self, x: NDArray[Any], variance: NDArray[Any] | None, condition: NDArray[np.intp]) -> None:
        """Begin at the Gaussian with the label's mean and the pooled covariance L·Lᵀ: S = I − diag(L)·L⁻¹, σ = diag(L)."""
        assert self.skip is not None and self.scale is not None
        order = self.order.numpy()
        mean, covariance = class_gaussians(x, variance, condition, len(self.base), pseudo_rows=1e9)
        if len(x) >= FEW * self.d:
            covariance = covariance * np.eye(self.d)
        factor = np.linalg.cholesky(covariance[0][np.ix_(order, order)])
        skip = np.eye(self.d) - np.diag(factor)[:, None] * np.linalg.inv(factor)
        self.skip.copy_(torch.from_numpy(skip))
        self.base.copy_(torch.from_numpy(mean[:, order] @ (np.eye(self.d) - skip).T))
        self.scale.copy_(torch.from_numpy(np.log(np.diag(factor))))

    @torch.no_grad()
    def start_counts(self, x: NDArray[np.float64], encoded: Encoded) -> None:
        """Begin at the counts of each label on their own: their mean and dispersion, or their frequencies."""
        order, condition = self.order.numpy(), encoded.given.condition
        if self.scale is not None:
            profile, dispersion = label_profiles(encoded)
            size = [np.log(encoded.given.sizes[condition == c].mean()) for c in range(len(self.base))]
            self.base.copy_(torch.from_numpy((profile + np.array(size)[:, None])[:, order]))
            self.scale.copy_(torch.from_numpy(dispersion[order]))
            return
        kept = np.minimum(x[:, order], self.levels).astype(np.intp)
        pooled = (kept[:, :, None] == np.arange(self.levels + 1)).mean(axis=0) + 1e-3
        start = np.zeros((len(self.base), self.d, self.m))
        for c in range(len(self.base)):
            own = (kept[condition == c][:, :, None] == np.arange(self.levels + 1)).sum(axis=0)
            start[c, :, :-1] = np.log(own + 5 * pooled)
        excess = np.maximum(x[:, order] - self.levels, 0).sum(axis=0) + 1
        start[:, :, -1] = np.log(excess / ((kept == self.levels).sum(axis=0) + 1))  # q / (1 − q) = mean excess
        self.base.copy_(torch.from_numpy(start.reshape(len(self.base), -1)))

    def log_prob(self, x: Tensor, c: Tensor, condition: Tensor) -> Tensor:
        """Log-likelihood ``(rows,)``."""
        x = x[:, self.order]
        seen = x.log1p() if self.counts else x
        base = F.embedding(condition, self.base)  # not base[condition]: see nn/codec.py
        raw = self.trunk(seen, c)
        if self.skip is None:
            return log_categorical(x, base.view_as(raw) + raw, self.levels).sum(dim=1)
        location = base + seen @ self.skip.tril(-1).T
        return self._mixture(x, location, self.scale, raw).sum(dim=1)

    def _split(self, location: Tensor, scale: Any, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, centres and log-spreads ``(..., K)`` of a mixture."""
        weight, a, b = raw.unflatten(-1, (3, self.components)).unbind(-2)
        location, scale = location[..., None], scale[..., None]
        if self.counts:
            centre, spread = (
                (location + a).clamp(-LOG_RATE, LOG_RATE),
                (scale + b).clamp(-LOG_DISPERSION, LOG_DISPERSION),
            )
        else:
            centre, spread = location + scale.exp() * a, (scale + b).clamp(NARROWEST, WIDEST)
        return weight.log_softmax(dim=-1), centre, spread

    def _mixture(self, x: Tensor, location: Tensor, scale: Any, raw: Tensor) -> Tensor:
        """Log-likelihood of every value ``(rows, d)``."""
        weight, centre, spread = self._split(location, scale, raw)
        x = x[..., None]
        if self.counts:
            theta = spread.exp()
            total = torch.logaddexp(centre, spread)
            own = theta * (spread - total) + x * (centre - total)
            own = own + torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1)
        else:
            z = (x - centre) * (-spread).exp()
            normal = self.head == "gaussian"
            own = -0.5 * (z.square() + math.log(2 * math.pi)) if normal else -z.abs() - 2 * F.softplus(-z.abs())
            own = own - spread
        return torch.logsumexp(weight + own, dim=-1)

    def draw(self, c: Tensor, condition: Tensor, generator: np.random.Generator) -> NDArray[np.float32]:
        """Draw ``(rows, d)``: one feature at a time given those drawn."""
        n = len(c)
        base = F.embedding(condition, self.base)
        x, seen = torch.zeros(n, self.d), torch.zeros(n, self.d)
        memory: Any = None
        for i in range(self.d):
            raw, memory = self.trunk.at(i, seen, c, memory)
            u = torch.from_numpy(generator.random((n, 2)))
            if self.skip is None or self.scale is None:
                value = draw_categorical(base.view(n, self.d, self.m)[:, i] + raw, u, self.levels)
            else:
                location = base[:, i] + seen[:, :i] @ self.skip[i, :i]
                weight, centre, spread = self._split(location, self.scale[i], raw)
                chosen = (u[:, :1] > weight.double().exp().cumsum(dim=1)[:, :-1]).sum(dim=1, keepdim=True)
                centre, spread = (part.gather(1, chosen)[:, 0] for part in (centre, spread))
                value = self._draw(centre, spread, u[:, 1], generator)
            x[:, i] = value.float()
            seen[:, i] = x[:, i].log1p() if self.counts else x[:, i]
        out = np.empty((n, self.d), dtype=np.float32)
        out[:, self.order.numpy()] = x.numpy()
        return out

    def _draw(self, centre: Tensor, spread: Tensor, u: Tensor, generator: np.random.Generator) -> Tensor:
        if self.counts:
            theta = spread.double().exp().numpy()
            rate = generator.gamma(theta, centre.double().exp().numpy() / theta)
            return torch.from_numpy(generator.poisson(rate))
        u = u.clamp(1e-12, 1 - 1e-12)
        return centre + spread.exp() * (torch.special.ndtri(u) if self.head == "gaussian" else torch.logit(u))


Model = Autoregressive
