"""Conditional variational autoencoder: a latent per row, a decoder per condition; counts, continuous values or mixed tables.

    z ~ q(z | x, c) = N(μ_φ(x, c), diag σ²_φ(x, c)),   h = h(z, c), and of log s for counts of library size s
    counts       x_g ~ NB(mean = s · softmax_g(b_c + W h), θ_g · exp(v_g(h)));  zinb, poisson, bernoulli: `nn/likelihoods.py`
    continuous   x_g ~ N(b_cg + W_g h, σ²_g · exp(v_g(h)))
    mixed        numbers as above, categories x_j ~ Categorical(softmax(b_cj + W_j h))
    minimise     −E_q[log p(x | z, c)] + β·Σ_j max(λ, E_x KL(q(z_j) ‖ p(z_j)))      (negative ELBO at β = 1, λ = 0)

β rises over the first part of training; λ are the free bits of each latent dimension (in nats). Without a label there is one
condition, and this is the plain VAE. Rows are drawn from the likelihood, never its mean. The priors p(z | c) in training and in draws:

    clusters   N(0, I), then small Gaussians fitted to the encoded rows of each label, jointly with log s (`nn/priors.py`)
    flow       N(0, I), then a normalizing flow fitted to the same vectors in a second stage (`nn/latent_flow.py`)
    label, mixture, vamp   learnt with the ELBO (`nn/latent_priors.py`), log s then by regression on z (`nn/latent_sizes.py`)
    standard   N(0, I) throughout, where log s belongs to the label and not to z, as in the ELBO of p(x | s, c)

The first two replace the prior because the aggregated posterior of a label is far from N(0, I).

Papers: Kingma & Welling 2014, arXiv:1312.6114; Sohn et al. 2015 (conditional); Higgins et al. 2017 (β); Kingma et al. 2016,
arXiv:1606.04934 (free bits); Lopez et al. 2018, doi:10.1038/s41592-018-0229-2 (negative binomial decoder); Ghosh et al. 2020,
arXiv:1903.12436 (ex-post density); Tomczak & Welling 2018, arXiv:1705.07120 (VampPrior).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Phase, Spec, Stage, State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.core.state import check_state
from augmentor.nn import latent_flow, latent_priors, latent_sizes, likelihoods, priors
from augmentor.nn.blocks import materialise
from augmentor.nn.codec import Codec, gaussian_kl
from augmentor.nn.conditioning import Batch
from augmentor.nn.tensors import into_modules, of_modules


class Cvae:
    """Conditional VAE; its likelihood and its latent prior are parts."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
        standardised=True,
        draws_size=True,
        calibrated=True,
        trained=True,
        covariates=True,
        paper="arXiv:1312.6114",
        strengths="Counts, values and mixed tables; on PBMC3k rows as hard to tell as those of copula (AUC .55 on genes) "
        "with fewer copies (excess .16, copula .40).",
        limits="Half a minute of training at 1,319 x 2,000, more for more; from 50 tumours its rows vary less than "
        "real ones (.78 of .92) and lie near training rows (excess .87).",
    )

    class Config(contract.Config):
        """Settings of the conditional VAE."""

        likelihood: likelihoods.Name | None = Field(
            None,
            description="of counts nb (default), zinb, poisson, or bernoulli for 0/1 data; of continuous values "
            "gaussian; mixed tables have one per column",
        )
        latent: int | None = Field(None, ge=1, le=512, description="latent dimensions; default 24, fewer for few rows")
        hidden: int = Field(
            128, ge=4, le=4096, description="width of encoder and decoder; 256 drew no better rows on PBMC3k"
        )
        layers: int = Field(
            1,
            ge=1,
            le=4,
            description="hidden layers of encoder and decoder; one made good rows from 1,316 cells (PBMC3k)",
        )
        beta: float = Field(1.0, ge=0, le=100, description="weight of the KL term; 1 is the ELBO, others a beta-VAE")
        warmup: float = Field(
            0.2,
            ge=0,
            le=1,
            description="share of training over which beta rises from 0, so that latents are in use before the KL "
            "term weighs on them",
        )
        free_bits: float = Field(
            0.0,
            ge=0,
            le=10,
            description="λ: nats of KL that a latent dimension has for free; default 0, because dimensions that the "
            "ELBO closes cost nothing where the density is fitted afterwards",
        )
        dropout: float = Field(
            0.15,
            ge=0,
            lt=1,
            description="share of encoder inputs hidden at each step, so that few rows are not learnt by heart",
        )
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
        patience: int | None = Field(
            None,
            ge=1,
            description="epochs without a better validation ELBO after which to stop; default: never, because the "
            "ELBO is best long before drawn rows are (PBMC3k: AUC on PCs .80 at its best epoch, .59 after all)",
        )
        prior: Literal["clusters", "standard", "label", "mixture", "vamp", "flow"] = Field(
            "clusters",
            description="latent density: fitted after training to the encoded rows (clusters, flow), learnt with "
            "the ELBO (label, mixture, vamp), or the standard normal",
        )
        components: int | None = Field(
            None,
            ge=1,
            le=2000,
            description="of the priors mixture and vamp, at least one per label; default one per cluster_rows rows, "
            "at most 100",
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
        self.counts = layout.space is Space.COUNTS
        self.latent = config.latent or int(np.clip(layout.rows // 12, 2, 24))
        work = np.sqrt(4e6 / (layout.rows * layout.features))
        self.epochs = config.epochs or int(np.clip(120 * work, 40, 120))
        components = config.components or min(max(layout.rows // config.cluster_rows, 1), 100)
        with torch.device("meta"):
            self.net = Codec(layout, self.latent, config.hidden, config.layers, config.likelihood)
            self.learnt = latent_priors.learnt(config.prior, self.net, components)
        self.flow = None
        if config.prior == "flow":
            self.flow = latent_flow.build(layout, self.latent + int(self.counts))
        self.density: State = {}

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Cvae:
        """Return an untrained network; its weights take no memory until `initialise` or `restore`."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Initial weights: output bias = log-profile of each label, scale = spread of each feature."""
        materialise(self.net, rng)
        self.net.initialise(encoded)
        if self.learnt is not None:
            materialise(self.learnt, rng.child("prior"))
            self.learnt.initialise(encoded, self.net, rng.child("prior"))
        if self.flow is not None:
            self.flow.initialise(rng.child("flow"))

    def stages(self) -> list[Stage]:
        """The VAE, then its latent density; a flow is fitted in a stage of its own."""
        config = self.config
        batch_size = min(config.batch_size, max(16, self.layout.rows // 10))
        module = self.net if self.learnt is None else nn.ModuleDict({"net": self.net, "prior": self.learnt})
        phase = Phase(
            "elbo",
            module.parameters,
            self._loss,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        vae = Stage(
            "vae",
            module,
            (phase,),
            self.epochs,
            batch_size,
            validate=lambda rows, generator: float(sum(self._loss(rows, generator, 1.0).values())),
            patience=config.patience,
            finish=self._fit_density,
            watch=self.watch,
        )
        if self.flow is None:
            return [vae]
        return [
            vae,
            latent_flow.stage(self.flow, self.net, self.layout, epochs=config.epochs, batch_size=batch_size),
        ]

    def _loss(self, rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        config, training = self.config, self.net.training
        mean, log_variance = self.net.encode(rows, config.dropout if training else 0.0, generator)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z = mean + noise * (0.5 * log_variance).exp()
        if self.learnt is None:
            kl = gaussian_kl(mean, log_variance)
        else:
            kl = self.learnt.kl(mean, log_variance, z, rows, self.net)
        # free bits of a mixture are shared by all dimensions, because its KL is not a sum over them
        free = config.free_bits * self.latent / kl.shape[1] if training else 0.0
        kl = kl.mean(dim=0).clamp_min(free).sum() if free else kl.sum(dim=1).mean()
        beta = config.beta * min(1.0, progress / config.warmup) if config.warmup else config.beta
        return {"reconstruction": -self.net.log_likelihood(rows, z).mean(), "kl": beta * kl}

    def watch(self, rows: Batch, generator: torch.Generator) -> dict[str, list[float]]:
        """For `Stage.watch`: mean KL from the prior in every latent dimension; one near 0 carries nothing."""
        if self.learnt is None:
            return self.net.watch(rows, generator)
        mean, log_variance = self.net.encode(rows, 0.0, None)
        z = mean + torch.randn(mean.shape, generator=generator, device=mean.device) * (0.5 * log_variance).exp()
        kl = self.learnt.by_dimension(mean, log_variance, z, rows, self.net)
        return {"kl per dimension": kl.mean(dim=0).tolist()}

    def _fit_density(self, encoded: Encoded, rng: Stream) -> None:
        if self.config.prior == "standard":
            return
        if self.flow is not None:
            latent_flow.begin(self.flow, self.net, encoded)
            return
        mean, variance = self.net.vectors(encoded)
        if self.learnt is not None:
            self.density = latent_priors.frozen(self.learnt, self.net)
            if self.counts:
                z = slice(0, self.latent)
                self.density |= latent_sizes.fit(mean[:, z], variance[:, z], encoded.given, self.layout.conditions)
            return
        self.density = priors.fit_clusters(
            mean,
            variance,
            encoded.given.condition,
            self.layout.conditions,
            rows=self.config.cluster_rows,
            pseudo_rows=self.config.pseudo_rows,
            rng=rng,
            covariates=encoded.given.covariates,
        )

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: latent, then parameters, then a draw of the likelihood."""
        return self.net.draw(*self._latents(given, rng.child("latent")), rng.child("noise"))

    def _latents(self, given: Given, rng: Stream) -> tuple[NDArray[np.floating], Given]:
        """Draw z ``(rows, latent)``, and the library sizes that belong to it, from the prior of each row's label."""
        if self.config.prior == "standard":
            return rng.numpy().standard_normal((len(given), self.latent)), given
        if self.learnt is not None:
            z = latent_priors.draw(self.density, given, rng)
            return z, latent_sizes.drawn(self.density, z, given) if self.counts else given
        if self.flow is not None:
            return self.net.split(latent_flow.draw(self.flow, given, self.layout, rng), given)
        return self.net.split(priors.draw_clusters(self.density, given.condition, rng, given.covariates), given)

    def draw_latents(self, given: Given, rng: Stream) -> NDArray[np.floating]:
        """Draw z, with library sizes where rows have them, from the prior of each row's label."""
        return self.net.joined(*self._latents(given, rng))

    def embed(self, encoded: Encoded) -> NDArray[np.float32]:
        """z of rows ``(rows, latent)``: the posterior mean."""
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
        """Network weights and the latent density; of a learnt prior only its Gaussians."""
        return {**of_modules(self._modules()), **{f"density.{name}": array for name, array in self.density.items()}}

    def _modules(self) -> dict[str, nn.Module]:
        return {"net.": self.net} | ({} if self.flow is None else {"flow.": self.flow})

    def restore(self, state: State) -> None:
        """Take over weights and density."""
        density = {name.removeprefix("density."): a for name, a in state.items() if name.startswith("density.")}
        weights = {name: array for name, array in state.items() if not name.startswith("density.")}
        into_modules(self._modules(), weights, "the weights of cvae")
        if self.config.prior == "clusters":
            dimensions = self.latent + int(self.counts)
            priors.checked(density, dimensions, self.layout.conditions, self.layout.covariates)
        else:
            shapes = {} if self.learnt is None else latent_priors.shapes(self.learnt, self.layout, self.latent)
            if self.learnt is not None and self.counts:
                shapes |= latent_sizes.shapes(self.layout, self.latent)
            check_state(shapes, density, "the latent density")
        self.density = density


Model = Cvae
