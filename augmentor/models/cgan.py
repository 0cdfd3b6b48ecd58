"""Conditional generative adversarial network: a generator per condition, a critic that compares rows and labels.

    counts       log r = log s + log softmax(b_c + A ε + W h(ε, c, log s)) + σ_g·η_g,   x_g ~ Poisson(r_g)      s: library size
    continuous   x_g = b_cg + A_g ε + W_g h(ε, c) + σ_g·η_g                             ε, η ~ N(0, I)
    mixed        numbers as above, x_j = argmax_k(b_cjk + A_jk ε + W_jk h(ε, c) + γ_jk)  γ ~ Gumbel
    critic       D(x, c) = v·φ(x) + ⟨E c, φ(x)⟩          (label projection; φ sees the spread within the batch)

    non-saturating   min_D softplus(−D(x)) + softplus(D(x̃)) + γ/2·‖∇D(x)‖²      min_G softplus(−D(x̃))
    hinge            min_D max(0, 1 − D(x)) + max(0, 1 + D(x̃)) + γ/2·‖∇D(x)‖²   min_G −D(x̃)
    wgan-gp          min_D D(x̃) − D(x) + 10·(‖∇D(x̂)‖ − 1)²                      min_G −D(x̃)

Counts reach the critic as counts, for real and drawn rows alike: the Poisson draw passes its gradient straight through to
the rate, so that the critic cannot win by noticing fractions. Categories reach it one-hot in the same way, with the
gradient of the relaxed (Gumbel-softmax) choice. The generator starts as a factor model (label profiles, the leading
factors A of the residuals within labels, independent noise) and plays from there: on a few thousand cells that start is
most of its quality. Its weights are averaged (EMA), and the epoch is kept whose rows lie nearest to the validation rows
in energy distance. What is kept is judged label by label (`nn/covering.py`): a collapse is reported, not hidden.

``architecture = conv`` replaces h W by transposed convolutions over the features in the order of a hierarchical clustering, and the
first layer of the critic by the mirror image (`nn/convolutions.py`); profiles, factors and noise stay.

Papers: Goodfellow et al. 2014, arXiv:1406.2661; Mescheder et al. 2018, arXiv:1801.04406 (R1 penalty); Gulrajani et al.
2017, arXiv:1704.00028 (WGAN-GP); Miyato & Koyama 2018, arXiv:1802.05637 (projection); Karras et al. 2018,
arXiv:1710.10196 (minibatch deviation); Radford et al. 2016, arXiv:1511.06434 (DCGAN); Jang et al. 2017,
arXiv:1611.01144 (Gumbel-softmax); Marouf et al. 2020, doi:10.1038/s41467-019-14018-z (scGAN).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Judgement, Layout, Phase, Spec, Stage, State
from augmentor.core.dataset import Matrix, as_dense
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.blocks import Perceptron, dropout, materialise, straight_through
from augmentor.nn.conditioning import Batch, conditions, width
from augmentor.nn.convolutions import Down, Up
from augmentor.nn.covering import covering
from augmentor.nn.mixed import Heads
from augmentor.nn.ordered import clustered
from augmentor.nn.profiles import label_factors, label_profiles, value_moments
from augmentor.nn.tensors import into_module, of_module

ORDERED_ROWS = 2000  # rows by which features are clustered, at most
ADVICE = "train longer (--set epochs, patience), at a lower --set learning_rate, or use --model copula or cvae"


class Cgan:
    """Conditional GAN on counts, continuous values or mixed tables."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
        standardised=True,
        calibrated=True,
        trained=True,
        covariates=True,
        paper="arXiv:1406.2661",
        strengths="Rows as hard to tell on genes as those of cvae (PBMC3k: AUC .56), few copies (excess .13); judges its "
        "own rows label by label and reports a collapse.",
        limits="It starts as a factor model, and on a few thousand cells that start is most of its quality; "
        "correlations within labels halve (.04 of .08), and from 50 to 90 rows it reaches few of the real ones "
        "(recall .52 to .67).",
    )

    class Config(contract.Config):
        """Settings of the conditional GAN."""

        loss: Literal["non-saturating", "hinge", "wgan-gp"] = Field(
            "non-saturating",
            description="the game that is played; the first one published, as all three draw rows alike (PBMC3k: AUC .55 to .57)",
        )
        noise: int = Field(
            32, ge=1, le=1024, description="dimensions of the generator's noise; at most as many factors are its start"
        )
        architecture: Literal["mlp", "conv"] = Field(
            "mlp",
            description="layers of both players: dense, or convolutions over features in clustered order; dense ones are as good "
            "on PBMC3k and take less time",
        )
        hidden: int = Field(
            128, ge=4, le=4096, description="width of generator and critic; conv: twice the channels of its coarse end"
        )
        penalty: float = Field(
            1.0, ge=0, description="γ of the R1 gradient penalty (wgan-gp: the factor 10 is multiplied); 1 is not tuned"
        )
        critic_steps: int = Field(
            2, ge=1, le=20, description="critic steps per generator step; more than one, so that the critic stays ahead"
        )
        dropout: float = Field(
            0.2, ge=0, lt=1, description="share of inputs hidden from the critic: it memorises few rows"
        )
        epochs: int = Field(
            100, ge=1, le=100_000, description="passes over the training rows at most; patience mostly ends it before"
        )
        batch_size: int = Field(
            128, ge=2, le=65_536, description="rows per step; fewer where rows are few, so that an epoch has ten steps"
        )
        learning_rate: float = Field(
            1e-3,
            gt=0,
            lt=1,
            description="Adam's rate for both players; critic_steps, not the rate, gives the critic its lead",
        )
        ema: float = Field(
            0.99, ge=0, lt=1, description="decay of the weight average that is kept: about the last hundred steps"
        )
        patience: int = Field(
            30,
            ge=1,
            description="epochs without a smaller validation distance before it stops; few rows measure it badly",
        )

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        self.counts = layout.space is Space.COUNTS
        self.heads = Heads(layout) if layout.space is Space.MIXED else None
        with torch.device("meta"):
            self.net = _Players(layout, config, self.heads)

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Cgan:
        """Return an untrained pair of networks."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Initial weights: the generator starts as a factor model around the profile of each label."""
        materialise(self.net, rng)
        profile, spread = label_profiles(encoded) if self.heads is None else self.heads.profiles(encoded)
        placed = encoded if self.heads is None else self.heads.placed(encoded)
        mean, sd = value_moments(placed)
        generator, critic = self.net.generator, self.net.critic
        with torch.no_grad():
            generator.bias.copy_(torch.from_numpy(profile))
            # counts: excess variance θ⁻¹ as log-normal noise; continuous: the features' own spread
            factors = label_factors(placed, self.config.noise, rng.child("factors"))
            explained = (factors**2).sum(axis=1)[: len(spread)]
            if self.heads is not None:
                # a share p moves by p(1 − p) times its logit; one-hot inputs are of one scale as they are
                share = mean[len(spread) :, None]
                factors[len(spread) :] /= np.maximum(share * (1 - share), 0.1)
                sd[len(spread) :] = 1
            total = np.log1p(np.exp(-spread)) if self.counts else np.exp(spread)
            log_sd = 0.5 * np.log(np.maximum(total - explained, 0.05 * total))
            generator.linear.weight.copy_(torch.from_numpy(factors))
            generator.log_sd.copy_(torch.from_numpy(log_sd.astype(np.float32)))
            critic.shift.copy_(torch.from_numpy(mean))
            critic.scale.copy_(torch.from_numpy(sd))
            if self.counts:
                logs = np.log(encoded.given.sizes)
                size_scale = torch.tensor([logs.mean(), max(logs.std(), 1e-3)])
                generator.size_scale.copy_(size_scale)
                critic.size_scale.copy_(size_scale)
            if isinstance(generator.body, Up) and isinstance(critic.first, Down):  # conv
                own = rng.child("order").numpy().permutation(np.flatnonzero(~encoded.valid))[:ORDERED_ROWS]
                some = encoded.take(np.sort(own))
                order = torch.from_numpy(clustered(self._view(some.x, some.given)))
                generator.body.initialise(order)
                critic.first.initialise(order)
            elif isinstance(generator.out, nn.Linear):
                nn.init.zeros_(generator.out.weight)

    def stages(self) -> list[Stage]:
        """One stage of two phases in turn: critic, then generator."""
        rate, betas = self.config.learning_rate, (0.5, 0.9)
        critic = Phase(
            "critic",
            self.net.critic.parameters,
            self._critic_loss,
            self.config.critic_steps,
            learning_rate=rate,
            betas=betas,
        )
        generator = Phase(
            "generator", self.net.generator.parameters, self._generator_loss, learning_rate=rate, betas=betas
        )
        return [
            Stage(
                "gan",
                self.net,
                (critic, generator),
                self.config.epochs,
                min(self.config.batch_size, max(16, self.layout.rows // 10)),
                schedule="constant",
                validate=self._distance,
                patience=self.config.patience,
                ema=self.config.ema,
                judge=self._judge,
                watch=self._watch,
            )
        ]

    def _critic_loss(self, rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        critic = self.net.critic
        with torch.no_grad():
            fake = self._generate(rows, generator)
        real_in, fake_in = (critic.features(x, rows.size).detach() for x in (self._real(rows), fake))
        hide = self.config.dropout
        if self.config.loss == "wgan-gp":
            mix = torch.rand(len(rows), 1, generator=generator, device=fake_in.device)
            at = (mix * real_in + (1 - mix) * fake_in).requires_grad_(True)
            slope = self._slope(critic(at, rows.c), at)
            penalty = 10 * self.config.penalty * (slope.norm(dim=1) - 1).square().mean()
            gap = critic(dropout(fake_in, hide, generator), rows.c) - critic(dropout(real_in, hide, generator), rows.c)
            return {"critic": gap.mean(), "penalty": penalty}
        real_in.requires_grad_(True)
        on_real = critic(dropout(real_in, hide, generator), rows.c)
        on_fake = critic(dropout(fake_in, hide, generator), rows.c)
        penalty = 0.5 * self.config.penalty * self._slope(on_real, real_in).square().sum(dim=1).mean()
        if self.config.loss == "hinge":
            game = F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()
        else:
            game = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        return {"critic": game, "penalty": penalty}

    def _generator_loss(self, rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        critic = self.net.critic
        fake = critic.features(self._generate(rows, generator), rows.size)
        score = critic(dropout(fake, self.config.dropout, generator), rows.c)
        return {"generator": F.softplus(-score).mean() if self.config.loss == "non-saturating" else -score.mean()}

    @staticmethod
    def _slope(score: Tensor, at: Tensor) -> Tensor:
        return torch.autograd.grad(score.sum(), at, create_graph=True)[0]

    def _real(self, rows: Batch) -> Tensor:
        """Rows in the form in which they are generated."""
        return rows.x if self.heads is None else self.heads.encode(rows.x)

    def _generate(self, rows: Batch, generator: torch.Generator) -> Tensor:
        """Rows for the conditions of a batch; counts and categories pass gradients straight through their draw."""
        device = rows.c.device
        epsilon = torch.randn(len(rows), self.config.noise, generator=generator, device=device)
        eta = torch.randn(len(rows), self.net.generator.width, generator=generator, device=device)
        if self.heads is not None:
            eta = self.heads.gumbel(eta)
        values = self.net.generator(epsilon, eta, rows.c, rows.condition, rows.size)
        if self.heads is not None:
            return self.heads.relaxed(values)
        return straight_through(torch.poisson(values.detach(), generator), values) if self.counts else values

    @torch.no_grad()
    def _distance(self, rows: Batch, generator: torch.Generator) -> float:
        """Energy distance 2·E‖x − y‖ − E‖x − x′‖ − E‖y − y′‖ of drawn and validation rows of the same labels."""
        critic = self.net.critic
        real, fake = (critic.features(x, rows.size) for x in (self._real(rows), self._generate(rows, generator)))
        n = max(len(rows), 2)
        within = (torch.pdist(real).sum() + torch.pdist(fake).sum()) * 2 / (n * (n - 1))
        return float(2 * torch.cdist(real, fake).mean() - within)

    def _watch(self, rows: Batch, generator: torch.Generator) -> dict[str, float]:
        """Mean score of real minus drawn rows, share of such pairs that the critic orders rightly, variance drawn over real."""
        critic = self.net.critic
        real, fake = (critic.features(x, rows.size) for x in (self._real(rows), self._generate(rows, generator)))
        on_real, on_fake = critic(real, rows.c), critic(fake, rows.c)
        return {
            "critic gap": float(on_real.mean() - on_fake.mean()),
            "critic right": float((on_real[:, None] > on_fake).float().mean()),
            "variance ratio": float(
                fake.var(dim=0, correction=0).sum() / real.var(dim=0, correction=0).sum().clamp(min=1e-12)
            ),
        }

    def _judge(self, encoded: Encoded, rng: Stream) -> Judgement:
        """Look at rows drawn of every label, before calibration."""

        def seen(rows: NDArray[np.intp]) -> NDArray[np.float32]:
            own = encoded.take(rows)
            return self._view(own.x, own.given)

        found = covering(encoded, lambda given, own: self._view(self.draw(given, own), given), seen, rng)
        return replace(found, findings=tuple((f"{text}; {ADVICE}", labels) for text, labels in found.findings))

    @torch.no_grad()
    def _view(self, x: Matrix, given: Given) -> NDArray[np.float32]:
        """Rows in the model's space as they are judged ``(rows, places)``: counts log-normalised, values in standard units."""
        critic = self.net.critic
        values = torch.from_numpy(np.ascontiguousarray(as_dense(x), dtype=np.float32))
        size = torch.from_numpy(given.sizes.astype(np.float32))[:, None]
        seen = critic.features(values if self.heads is None else self.heads.encode(values), size)
        return (seen * critic.scale if self.counts else seen).numpy()

    @torch.no_grad()
    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: noise through the generator, counts by a Poisson draw."""
        noise = rng.child("noise").numpy()
        epsilon = noise.standard_normal((len(given), self.config.noise), dtype=np.float32)
        eta = torch.from_numpy(noise.standard_normal((len(given), self.net.generator.width), dtype=np.float32))
        values = self.net.generator(
            torch.from_numpy(epsilon),
            eta if self.heads is None else self.heads.gumbel(eta),
            conditions(given, self.layout),
            torch.from_numpy(given.condition.astype(np.int64)),
            torch.from_numpy(given.sizes.astype(np.float32))[:, None],
        )
        if self.heads is not None:
            return self.heads.decode(values)
        if not self.counts:
            return values.numpy()
        return sparse.csr_matrix(rng.child("poisson").numpy().poisson(values.numpy()).astype(np.float32))

    def state(self) -> State:
        """Weights of both networks."""
        return of_module(self.net)

    def restore(self, state: State) -> None:
        """Take over the weights."""
        into_module(self.net, state, "the weights of cgan")
        self.net.eval()


class _Players(nn.Module):
    """Generator and critic side by side."""

    def __init__(self, layout: Layout, config: Cgan.Config, heads: Heads | None) -> None:
        super().__init__()
        self.generator = _Generator(layout, config, heads)
        self.critic = _Critic(layout, config, self.generator.width)


class _Generator(nn.Module):
    """Noise and condition to rates (counts), values, or values and logits (the places of a mixed table)."""

    def __init__(self, layout: Layout, config: Cgan.Config, heads: Heads | None) -> None:
        super().__init__()
        self.counts = layout.space is Space.COUNTS
        self.width = layout.features if heads is None else heads.width
        self.numbers = layout.features if heads is None else len(heads.numbers)
        inputs = config.noise + width(layout) + int(self.counts)
        conv = config.architecture == "conv"
        self.body = Up(inputs, self.width, config.hidden) if conv else Perceptron(inputs, (config.hidden,) * 2)
        self.out = nn.Identity() if conv else nn.Linear(config.hidden, self.width, bias=False)
        self.linear = nn.Linear(config.noise, self.width, bias=False)
        self.bias = nn.Parameter(torch.empty(layout.conditions, self.width))
        self.log_sd = nn.Parameter(torch.empty(self.numbers))
        self.size_scale: Tensor
        self.register_buffer("size_scale", torch.empty(2))

    def forward(self, epsilon: Tensor, eta: Tensor, c: Tensor, condition: Tensor, size: Tensor) -> Tensor:
        """``(rows, width)``."""
        parts = [epsilon, c]
        if self.counts:
            parts.append((size.log() - self.size_scale[0]) / self.size_scale[1])
        # not bias[condition]: threads would add up its gradient in any order
        centre = F.embedding(condition, self.bias) + self.linear(epsilon) + self.out(self.body(torch.cat(parts, dim=1)))
        sd = self.log_sd.clamp(-6, 1).exp()
        if not self.counts:
            d = self.numbers
            return centre + (sd * eta if d == self.width else torch.cat([sd * eta[:, :d], eta[:, d:]], dim=1))
        # − σ²/2 keeps the mean of the log-normal noise at one
        return size * torch.softmax(centre, dim=1) * torch.exp((sd * eta - 0.5 * sd**2).clamp(max=6))


class _Critic(nn.Module):
    """Projection critic on standardised (log-normalised) rows."""

    def __init__(self, layout: Layout, config: Cgan.Config, inputs: int) -> None:
        super().__init__()
        self.counts = layout.space is Space.COUNTS
        conv = config.architecture == "conv"
        self.first = Down(inputs, config.hidden) if conv else nn.Linear(inputs, config.hidden)
        self.second = nn.Linear(config.hidden + 1, config.hidden)
        self.score = nn.Linear(config.hidden, 1)
        self.project = nn.Linear(max(width(layout), 1), config.hidden, bias=False)
        for name, size in (("shift", inputs), ("scale", inputs), ("size_scale", 2)):
            self.register_buffer(name, torch.empty(size))
        self.shift: Tensor
        self.scale: Tensor
        self.size_scale: Tensor

    def features(self, x: Tensor, size: Tensor) -> Tensor:
        """What the critic sees: log-normalised counts (or values), in standard units."""
        if self.counts:
            x = torch.log1p(x / size * self.size_scale[0].exp())
        return (x - self.shift) / self.scale

    def forward(self, seen: Tensor, c: Tensor) -> Tensor:
        """Score ``(rows,)``: large for rows that look real for their condition."""
        h = F.leaky_relu(self.first(seen), 0.2)
        # the mean spread over the batch: rows that are all alike give themselves away
        spread = (h.var(dim=0, unbiased=False) + 1e-8).sqrt().mean().expand(len(h), 1)
        h = F.leaky_relu(self.second(torch.cat([h, spread], dim=1)), 0.2)
        score = self.score(h).squeeze(1)
        return score + (self.project(c) * h).sum(dim=1) if c.shape[1] else score


Model = Cgan
