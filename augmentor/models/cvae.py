"""Conditional variational autoencoder: a latent per row, a decoder per condition, counts or continuous values out.

    z ~ q(z | x, c) = N(μ_φ(x, c), diag σ²_φ(x, c))
    counts       x_g ~ NB(mean = s · softmax_g(b_c + W h(z, c, log s)), θ_g · exp(v_g(h)))      s: library size
    continuous   x_g ~ N(b_cg + W_g h(z, c), σ²_g · exp(v_g(h)))
    minimise     −E_q[log p(x | z, c)] + β·KL(q ‖ N(0, I))                                       (negative ELBO at β = 1)

β rises over the first part of training. Afterwards the prior is replaced by a density fitted to the encoded training
rows, per label, jointly with log library size (see `nn/priors.py`), because the aggregated posterior of a label is far
from N(0, I). Rows are drawn from the likelihood, never its mean.

Papers: Kingma & Welling 2014, arXiv:1312.6114; Sohn et al. 2015 (conditional); Higgins et al. 2017 (β);
Lopez et al. 2018, doi:10.1038/s41592-018-0229-2 (negative binomial decoder); Ghosh et al. 2020 (ex-post density).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Phase, Spec, Stage, State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn import likelihoods, priors
from augmentor.nn.blocks import Perceptron, dropout, materialise
from augmentor.nn.conditioning import Batch, batch, conditions, width
from augmentor.nn.profiles import label_profiles
from augmentor.nn.tensors import into_module, of_module


class Cvae:
    """Conditional VAE with an ex-post latent density."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS),
        standardised=True,
        draws_size=True,
        calibrated=True,
        trained=True,
        paper="arXiv:1312.6114",
    )

    class Config(contract.Config):
        """Settings of the conditional VAE."""

        latent: int | None = Field(None, ge=1, le=512, description="latent dimensions; default 24, fewer for few rows")
        hidden: int = Field(
            128, ge=4, le=4096, description="width of encoder and decoder; 256 drew no better rows on PBMC3k"
        )
        layers: int = Field(1, ge=1, le=4, description="hidden layers of encoder and decoder")
        beta: float = Field(1.0, ge=0, le=100, description="weight of the KL term; 1 is the ELBO, others a beta-VAE")
        warmup: float = Field(0.2, ge=0, le=1, description="share of training over which beta rises from 0")
        dropout: float = Field(0.15, ge=0, lt=1, description="share of encoder inputs hidden at each step")
        epochs: int | None = Field(
            None,
            ge=1,
            le=100_000,
            description="passes over the training rows; default 120, falling to 40 as rows x features grows beyond 4 million",
        )
        batch_size: int = Field(128, ge=2, le=65_536, description="rows per step, fewer when the data has fewer")
        learning_rate: float = Field(2e-3, gt=0, lt=1, description="peak of the one-cycle rate")
        weight_decay: float = Field(1e-3, ge=0, lt=1, description="decoupled weight decay (AdamW)")
        patience: int | None = Field(
            None,
            ge=1,
            description="epochs without a better validation ELBO after which to stop; default: never, because the ELBO is "
            "best long before drawn rows are (PBMC3k: AUC on PCs .80 at its best epoch, .59 after all)",
        )
        prior: Literal["clusters", "standard"] = Field(
            "clusters", description="latent density: clusters of the encoded rows, or the standard normal of the ELBO"
        )
        cluster_rows: int = Field(40, ge=5, description="rows per latent cluster")
        pseudo_rows: float = Field(30.0, ge=0, description="shrinkage of cluster covariances towards their label's")

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        self.counts = layout.space is Space.COUNTS
        self.latent = config.latent or int(np.clip(layout.rows // 12, 2, 24))
        work = np.sqrt(4e6 / (layout.rows * layout.features))
        self.epochs = config.epochs or int(np.clip(120 * work, 40, 120))
        with torch.device("meta"):
            self.net = _Network(layout, config, self.latent)
        self.density: State = {}

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Cvae:
        """Return an untrained network; its weights take no memory until `initialise` or `restore`."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Initial weights: output bias = log-profile of each label, scale = spread of each feature."""
        materialise(self.net, rng)
        with torch.no_grad():
            nn.init.zeros_(self.net.spread.weight)  # dispersion starts at the gene's own
            profile, spread = label_profiles(encoded)
            self.net.bias.copy_(torch.from_numpy(profile))
            self.net.spread.bias.copy_(torch.from_numpy(spread))
            if self.counts:
                logs = np.log(encoded.given.sizes)
                self.net.size_scale.copy_(torch.tensor([logs.mean(), max(logs.std(), 1e-3)]))

    def stages(self) -> list[Stage]:
        """One stage, one phase, then the ex-post density."""
        phase = Phase(
            "elbo",
            self.net.parameters,
            self._loss,
            learning_rate=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )
        return [
            Stage(
                "vae",
                self.net,
                (phase,),
                self.epochs,
                min(self.config.batch_size, max(16, self.layout.rows // 10)),
                validate=lambda rows, generator: float(sum(self._loss(rows, generator, 1.0).values())),
                patience=self.config.patience,
                finish=self._fit_density,
            )
        ]

    def _loss(self, rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        hidden_share = self.config.dropout if self.net.training else 0.0
        mean, log_variance = self.net.encode(rows, hidden_share, generator)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        centre, spread = self.net.decode(mean + noise * (0.5 * log_variance).exp(), rows.c, rows.condition, rows.size)
        density = likelihoods.negative_binomial if self.counts else likelihoods.gaussian
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
        beta = self.config.beta * min(1.0, progress / self.config.warmup) if self.config.warmup else self.config.beta
        return {"reconstruction": -density(rows.x, centre, spread).mean(), "kl": beta * kl.mean()}

    def _fit_density(self, encoded: Encoded, rng: Stream) -> None:
        if self.config.prior == "standard":
            return
        mean, variance = self.encode(encoded)
        if self.counts:  # library size is modelled jointly with the latent
            shift, scale = self.net.size_scale.numpy()
            size = ((np.log(encoded.given.sizes) - shift) / scale)[:, None]
            mean, variance = np.hstack([mean, size]), np.hstack([variance, np.zeros_like(size)])
        self.density = priors.fit_clusters(
            mean,
            variance,
            encoded.given.condition,
            self.layout.conditions,
            rows=self.config.cluster_rows,
            pseudo_rows=self.config.pseudo_rows,
            rng=rng,
        )

    @torch.no_grad()
    def encode(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Posterior means and variances ``(rows, latent)`` of rows."""
        parts = []
        for start in range(0, len(encoded), 1024):
            rows = batch(encoded.take(np.arange(start, min(start + 1024, len(encoded)))))
            parts.append(self.net.encode(rows, 0.0, None))
        mean, log_variance = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        return mean, np.exp(log_variance)

    @torch.no_grad()
    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: latent, then parameters, then a draw of the likelihood."""
        size = given.sizes
        if self.config.prior == "clusters":
            z = priors.draw_clusters(self.density, given.condition, rng.child("latent"))
            if self.counts:
                shift, scale = self.net.size_scale.numpy()
                size = np.maximum(np.exp(shift + scale * z[:, -1]), 1)
                z = z[:, :-1]
        else:
            z = rng.child("latent").numpy().standard_normal((len(given), self.latent))
        centre, spread = self.net.decode(
            torch.from_numpy(z.astype(np.float32)),
            conditions(given, self.layout),
            torch.from_numpy(given.condition.astype(np.int64)),
            torch.from_numpy(size.astype(np.float32))[:, None],
        )
        sample = likelihoods.sample_negative_binomial if self.counts else likelihoods.sample_gaussian
        return sample(centre.numpy(), spread.numpy(), rng.child("noise").numpy())

    def state(self) -> State:
        """Network weights and the latent density."""
        return {**of_module(self.net, "net."), **{f"density.{name}": array for name, array in self.density.items()}}

    def restore(self, state: State) -> None:
        """Take over weights and density."""
        into_module(
            self.net, {k: v for k, v in state.items() if not k.startswith("density.")}, "the weights of cvae", "net."
        )
        self.net.eval()
        dimensions = self.latent + int(self.counts)
        density = {name.removeprefix("density."): a for name, a in state.items() if name.startswith("density.")}
        if self.config.prior == "clusters":
            density = priors.checked(density, dimensions, self.layout.conditions)
        self.density = density


class _Network(nn.Module):
    """Encoder and decoder; the decoder's output layers hold one column per feature."""

    def __init__(self, layout: Layout, config: Cvae.Config, latent: int) -> None:
        super().__init__()
        self.counts = layout.space is Space.COUNTS
        extra = width(layout) + int(self.counts)
        widths = (config.hidden,) * config.layers
        self.encoder = Perceptron(layout.features + extra, widths)
        self.posterior = nn.Linear(config.hidden, 2 * latent)
        self.decoder = Perceptron(latent + extra, widths)
        self.centre = nn.Linear(config.hidden, layout.features, bias=False)
        self.bias = nn.Parameter(torch.empty(layout.conditions, layout.features))
        self.spread = nn.Linear(config.hidden, layout.features)
        self.size_scale: Tensor
        self.register_buffer("size_scale", torch.empty(2))

    def encode(self, rows: Batch, hidden_share: float, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance ``(rows, latent)``."""
        x, extra = rows.x, rows.c
        if self.counts:
            x = torch.log1p(x / rows.size * self.size_scale[0].exp())
            extra = torch.cat([extra, self._log_size(rows.size)], dim=1)
        if hidden_share and generator is not None:
            x = dropout(x, hidden_share, generator)
        mean, log_variance = self.posterior(self.encoder(torch.cat([x, extra], dim=1))).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 5)

    def decode(self, z: Tensor, c: Tensor, condition: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Centre (mean) and log spread (dispersion or variance) ``(rows, features)``."""
        if self.counts:
            c = torch.cat([c, self._log_size(size)], dim=1)
        h = self.decoder(torch.cat([z, c], dim=1))
        # not bias[condition]: threads would add up its gradient in any order
        centre = F.embedding(condition, self.bias) + self.centre(h)
        if self.counts:
            centre = size * torch.softmax(centre, dim=1)
        return centre, self.spread(h)

    def _log_size(self, size: Tensor) -> Tensor:
        return (size.log() - self.size_scale[0]) / self.size_scale[1]


Model = Cvae
