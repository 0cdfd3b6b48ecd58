"""Autoencoder, plain or denoising: a code per row that its decoder can rebuild it from, and a density of the codes per label.

    z = f(x̃, c),   x̃ = x with a share of its entries hidden, or with Gaussian noise, or x itself
    minimise   −log p(x | z, c) + λ·‖z‖²                 p: negative binomial of counts, Gaussian, or the heads of a mixed table
    draw       z (with log s) ~ Σ_k w_ck·N(m_k, C_k) of the label, then x ~ p(x | z, c, s)

There is no noise in the code and no prior in the loss: what a variational autoencoder gets from its KL term comes here from rebuilding
rows out of damaged ones, and from a density that is fitted when training is over. λ only keeps the scale of the codes from drifting.

Papers: Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647; Vincent et al. 2010, JMLR 11:3371 (denoising); Ghosh et al. 2020,
arXiv:1903.12436 (densities of deterministic codes); Eraslan et al. 2019, doi:10.1038/s41467-018-07931-2 (counts).
"""

from __future__ import annotations

from typing import Literal

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
from augmentor.nn import priors
from augmentor.nn.blocks import materialise
from augmentor.nn.codec import Codec
from augmentor.nn.conditioning import Batch
from augmentor.nn.latents import rows_per_step
from augmentor.nn.tensors import into_modules, of_module


class Autoencoder:
    """Deterministic codes with a density per label."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
        standardised=True,
        draws_size=True,
        calibrated=True,
        trained=True,
        covariates=True,
        paper="doi:10.1126/science.1127647",
        strengths="The simplest of the networks: no prior in the loss; counts, continuous values and mixed tables, a "
        "density of codes per label.",
        limits="Codes have no noise of their own: only damaged inputs keep it from learning few rows by heart.",
    )

    class Config(contract.Config):
        """Settings of the autoencoder."""

        latent: int | None = Field(None, ge=1, le=512, description="latent dimensions; default 24, fewer for few rows")
        hidden: int = Field(128, ge=4, le=4096, description="width of encoder and decoder, as in cvae")
        layers: int = Field(1, ge=1, le=4, description="hidden layers of encoder and decoder; one, as in cvae")
        corruption: Literal["mask", "gaussian", "none"] = Field(
            "mask",
            description="how inputs are damaged in training; none is the plain autoencoder, which memorises few rows",
        )
        damage: float = Field(
            0.3,
            ge=0,
            lt=1,
            description="share of entries hidden, or standard deviation of the noise; on PBMC3k .3 drew rows as "
            "good as 0",
        )
        penalty: float = Field(0.01, ge=0, le=10, description="λ: keeps the scale of the codes; much more shrinks them")
        epochs: int | None = Field(
            None,
            ge=1,
            le=100_000,
            description="passes over the training rows; default 120, falling to 40 as rows x features grows beyond "
            "4 million",
        )
        batch_size: int = Field(
            128, ge=2, le=65_536, description="rows per step; fewer where rows are few, so that an epoch has ten steps"
        )
        learning_rate: float = Field(
            2e-3, gt=0, lt=1, description="peak of the one-cycle rate; that of the recipe first tried on PBMC3k"
        )
        weight_decay: float = Field(
            1e-3, ge=0, lt=1, description="decoupled weight decay (AdamW); that of the recipe first tried on PBMC3k"
        )
        cluster_rows: int = Field(
            40, ge=5, description="rows per latent cluster; about as many as make one state of a label"
        )
        pseudo_rows: float = Field(
            30.0,
            ge=0,
            description="shrinkage of cluster covariances towards their label's; at 30 a cluster of 40 rows keeps "
            "four sevenths of its own",
        )

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        self.latent = config.latent or int(np.clip(layout.rows // 12, 2, 24))
        with torch.device("meta"):
            self.net = Codec(layout, self.latent, config.hidden, config.layers)
        self.density: State = {}

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Autoencoder:
        """Return an untrained network."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Initial weights: output bias = log-profile of each label, scale = spread of each feature."""
        materialise(self.net, rng)
        self.net.initialise(encoded)

    def stages(self) -> list[Stage]:
        """One stage, one phase, then the density of the codes."""
        config, work = self.config, np.sqrt(4e6 / (self.layout.rows * self.layout.features))
        phase = Phase(
            "autoencoder",
            self.net.parameters,
            self._loss,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        epochs = config.epochs or int(np.clip(120 * work, 40, 120))
        size = rows_per_step(self.layout, config.batch_size)
        return [Stage("autoencoder", self.net, (phase,), epochs, size, finish=self._fit_density, watch=self._watch)]

    def _loss(self, rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        damage, kind = self.config.damage, self.config.corruption
        z, _ = self.net.encode(
            rows, damage if kind == "mask" else 0.0, generator, noise=damage if kind == "gaussian" else 0.0
        )
        return {
            "reconstruction": -self.net.log_likelihood(rows, z).mean(),
            "penalty": self.config.penalty * z.square().sum(dim=1).mean(),
        }

    def _watch(self, rows: Batch, generator: torch.Generator) -> dict[str, list[float]]:
        """Spread of every code dimension; one near 0 carries nothing."""
        return {"sd per dimension": self.net.encode(rows, 0.0, None)[0].std(dim=0, correction=0).tolist()}

    def _fit_density(self, encoded: Encoded, rng: Stream) -> None:
        codes, _ = self.net.vectors(encoded)
        self.density = priors.fit_clusters(
            codes,
            np.zeros_like(codes),  # codes are without noise
            encoded.given.condition,
            self.layout.conditions,
            rows=self.config.cluster_rows,
            pseudo_rows=self.config.pseudo_rows,
            rng=rng,
            covariates=encoded.given.covariates,
        )

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: a code and a library size of the label, then a draw of the likelihood."""
        return self.net.draw(*self.net.split(self.draw_latents(given, rng.child("latent")), given), rng.child("noise"))

    def draw_latents(self, given: Given, rng: Stream) -> NDArray[np.floating]:
        """Draw codes, with library sizes where rows have them, from the density of each row's label."""
        return priors.draw_clusters(self.density, given.condition, rng, given.covariates)

    def embed(self, encoded: Encoded) -> NDArray[np.float32]:
        """Codes of rows ``(rows, latent)``."""
        return self.net.embed(encoded)

    def denoise(self, encoded: Encoded) -> Matrix:
        """Means of the likelihood of rows ``(rows, features)`` at their own z."""
        return self.net.denoise(encoded)

    def surprise(self, encoded: Encoded) -> NDArray[np.float64]:
        """−log p(x | z, c) per feature ``(rows,)`` at the rows' own z."""
        return self.net.surprise(encoded)

    def between(
        self, vectors: NDArray[np.floating], start: Given, end: Given, weight: NDArray[np.floating], rng: Stream
    ) -> Matrix:
        """Draw rows ``(rows, features)`` from vectors, with conditions between two."""
        return self.net.between(vectors, start, end, weight, rng)

    def state(self) -> State:
        """Network weights and the density of the codes."""
        return {**of_module(self.net, "net."), **{f"density.{name}": array for name, array in self.density.items()}}

    def restore(self, state: State) -> None:
        """Take over weights and density."""
        density = {name.removeprefix("density."): a for name, a in state.items() if name.startswith("density.")}
        weights = {name: array for name, array in state.items() if not name.startswith("density.")}
        into_modules({"net.": self.net}, weights, "the weights of autoencoder")
        self.density = priors.checked(
            density, self.latent + int(self.net.counts), self.layout.conditions, self.layout.covariates
        )


Model = Autoencoder
