"""Conditional variational autoencoder: a latent per row, a decoder per condition; counts, continuous values or mixed tables.

    z ~ q(z | x, c) = N(μ_φ(x, c), diag σ²_φ(x, c))
    counts       x_g ~ NB(mean = s · softmax_g(b_c + W h(z, c, log s)), θ_g · exp(v_g(h)))      s: library size
    continuous   x_g ~ N(b_cg + W_g h(z, c), σ²_g · exp(v_g(h)))
    mixed        numbers as above, categories x_j ~ Categorical(softmax(b_cj + W_j h(z, c)))
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
from pydantic import Field
from torch import Tensor

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Phase, Spec, Stage, State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn import priors
from augmentor.nn.blocks import materialise
from augmentor.nn.codec import Codec, gaussian_kl
from augmentor.nn.conditioning import Batch
from augmentor.nn.tensors import into_module, of_module


class Cvae:
    """Conditional VAE with an ex-post latent density."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
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
            self.net = Codec(layout, self.latent, config.hidden, config.layers)
        self.density: State = {}

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Cvae:
        """Return an untrained network; its weights take no memory until `initialise` or `restore`."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Initial weights: output bias = log-profile of each label, scale = spread of each feature."""
        materialise(self.net, rng)
        self.net.initialise(encoded)

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
        z = mean + noise * (0.5 * log_variance).exp()
        kl = gaussian_kl(mean, log_variance).sum(dim=1)
        beta = self.config.beta * min(1.0, progress / self.config.warmup) if self.config.warmup else self.config.beta
        return {"reconstruction": -self.net.log_likelihood(rows, z).mean(), "kl": beta * kl.mean()}

    def _fit_density(self, encoded: Encoded, rng: Stream) -> None:
        if self.config.prior == "standard":
            return
        mean, variance = self.net.vectors(encoded)
        self.density = priors.fit_clusters(
            mean,
            variance,
            encoded.given.condition,
            self.layout.conditions,
            rows=self.config.cluster_rows,
            pseudo_rows=self.config.pseudo_rows,
            rng=rng,
        )

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: latent, then parameters, then a draw of the likelihood."""
        if self.config.prior == "clusters":  # library size is modelled jointly with the latent
            vectors = priors.draw_clusters(self.density, given.condition, rng.child("latent"))
            z, given = self.net.split(vectors, given)
        else:
            z = rng.child("latent").numpy().standard_normal((len(given), self.latent))
        return self.net.draw(z, given, rng.child("noise"))

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


Model = Cvae
