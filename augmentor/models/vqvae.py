"""Vector-quantised VAE: several discrete codes per row, an autoregressive transformer over them, counts or values out.

    z ~ N(μ(x, c), diag σ²(x, c)) in M positions of D dimensions,   k_m = argmin_k ‖z_m − e_mk‖²,   q = (e_{1,k_1}, …, e_{M,k_M})
    minimise    −log p(x | q, c, s) + λ·‖z − sg(q)‖² + β·KL(N(μ, σ²) ‖ N(0, I))              (straight-through: ∂q/∂z = I)
    then        p(b, k | c) = p(b | c)·Π_m p(k_m | k_<m, s, c)                               (b: bin of the library size s)
    draw        b, s within b, k_1, k_2, …, then x ~ p(x | q, c, s)                          (negative binomial or Gaussian)

Codebooks follow the rows by moving averages, and dead codes start again (`nn/codebook.py`). The KL term holds the encoder in
the codebook's range and makes it admit what it does not know: its noise turns into neighbouring codes, so that codes number the
training rows less well, and the transformer sees other codes of a row at every step. β = 0 is the VQ-VAE as published. What
quantisation takes from a row is in the decoder's dispersion, which is learnt behind the codes.

``levels = 2``: M/2 top codes, of 2·D dimensions each, then M bottom codes of what the top codes leave over; q is their sum, and every
bottom code is drawn given all top codes. Codes are drawn given the size itself, not its bin.

Papers: van den Oord et al. 2017, arXiv:1711.00937; Razavi et al. 2019, arXiv:1906.00446 (VQ-VAE-2); Lee et al. 2022, arXiv:2203.01941
(codes of residuals); Takida et al. 2022, arXiv:2205.07547 (stochastic quantisation).
"""

from __future__ import annotations

from dataclasses import replace
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
from augmentor.nn.blocks import materialise, straight_through
from augmentor.nn.codebook import Codebook
from augmentor.nn.codec import Codec, gaussian_kl
from augmentor.nn.conditioning import Batch, conditions, width
from augmentor.nn.latents import WARMUP, rows_per_step
from augmentor.nn.tensors import into_modules, of_module
from augmentor.nn.transformer import Cache, CausalTransformer

STEPS = 1200  # optimiser steps of the prior by default
HEADS = 4
KNOTS = 8  # knots of the quantile function of log size within each bin


class Vqvae:
    """VQ-VAE with one codebook per position and a causal transformer as its prior."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.CONTINUOUS, Space.MIXED),
        standardised=True,
        draws_size=True,
        calibrated=True,
        trained=True,
        covariates=True,
        paper="arXiv:1711.00937",
        strengths="Discrete codes, of which a transformer learns how they go together: states with probabilities of their "
        "own rather than one cloud.",
        limits="Two trainings, the second on codes that few rows give little evidence of; drawing goes code by code.",
    )

    class Config(contract.Config):
        """Settings of the VQ-VAE."""

        positions: int | None = Field(None, ge=1, le=256, description="codes of a row; default 12, fewer for few rows")
        codes: int | None = Field(
            None, ge=2, le=4096, description="codes to choose from; default 32, fewer for few rows"
        )
        dimensions: int = Field(
            2, ge=1, le=64, description="dimensions of a code's vector; few, so that 32 codes fill them"
        )
        levels: Literal[1, 2] = Field(
            1, description="2: top codes, and bottom codes of what they leave over; 1, as rows have few codes"
        )
        hidden: int = Field(128, ge=4, le=4096, description="width of encoder and decoder; as in cvae")
        beta: float = Field(
            0.5,
            ge=0,
            le=100,
            description="weight of the KL term; 0 is the VQ-VAE as published. On 58 tumours (Khan) rows drawn at "
            "0.2 covered fewer real ones and lay nearer to the training rows; on PBMC3k 1 had a worse AUC on PCs (.61) than 0.5 (.58)",
        )
        commitment: float = Field(
            0.25, ge=0, le=100, description="weight that draws latents to their codes; as in the paper"
        )
        decay: float = Field(
            0.95,
            ge=0,
            lt=1,
            description="decay of the moving averages that are the codebook; at 0.99 it trails the encoder of a few "
            "rows",
        )
        dropout: float = Field(
            0.15,
            ge=0,
            lt=1,
            description="share of encoder inputs hidden at each step, so that few rows are not learnt by heart",
        )
        sizes: int = Field(
            16, ge=1, le=1024, description="bins of the library size, fewer for few rows; at least 20 rows in each"
        )
        width: int = Field(
            64,
            ge=4,
            le=4096,
            multiple_of=HEADS,
            description="width of the transformer; half the codec's, as it sees a dozen tokens",
        )
        blocks: int = Field(2, ge=1, le=16, description="blocks of the transformer; two, as it sees a dozen tokens")
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
            2e-3, gt=0, lt=1, description="peak of the one-cycle rate of both stages; as in cvae"
        )

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        with torch.device("meta"):
            self.net = _Quantised(layout, config)
            self.prior = _Prior(self.net, layout, config)
        self.batch_size = rows_per_step(layout, config.batch_size)
        work = np.sqrt(4e6 / (layout.rows * layout.features))
        self.epochs = (
            config.epochs or int(np.clip(120 * work, 40, 120)),
            config.epochs or max(40, round(STEPS * self.batch_size / layout.rows)),
        )

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Vqvae:
        """Return an untrained codec and prior."""
        return cls(layout, config)

    def initialise(self, encoded: Encoded, rng: Stream) -> None:
        """Initial weights; the codebooks are filled from the first batch."""
        materialise(self.net, rng.child("net"))
        self.net.codec.initialise(encoded)
        materialise(self.prior, rng.child("prior"))
        self.prior.initialise(encoded)

    def stages(self) -> list[Stage]:
        """Codec and codebooks, then the transformer on the codes."""
        rate, size = self.config.learning_rate, self.batch_size
        codec = Phase("codec", self.net.parameters, self._codec_loss, learning_rate=rate, weight_decay=1e-3)
        prior = Phase("prior", self.prior.parameters, self._prior_loss, learning_rate=rate, weight_decay=1e-3)
        return [
            Stage("codec", self.net, (codec,), self.epochs[0], size, watch=self._watch),
            Stage(
                "prior",
                self.prior,
                (prior,),
                self.epochs[1],
                size,
                ema=0.99,
                reads=(self.net,),
            ),
        ]

    def _codec_loss(self, rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        z, mean, log_variance = self.net.encode(rows, self.config.dropout, generator)
        q, commitment = self.net.quantise(z, generator)
        return {
            "reconstruction": -self.net.codec.log_likelihood(rows, q).mean(),
            "commitment": self.config.commitment * commitment.mean(),
            "kl": self.config.beta * min(1.0, progress / WARMUP) * gaussian_kl(mean, log_variance).sum(dim=1).mean(),
        }

    def _watch(self, rows: Batch, generator: torch.Generator) -> dict[str, float | list[float]]:
        """Codes in use, exp(entropy), of each level and at every position of it, and KL of every latent dimension."""
        found: dict[str, float | list[float]] = {}
        for name, book in self.net.levels():
            used = book.perplexity()
            found |= {f"perplexity of {name}": float(used.mean()), f"perplexity of {name} per position": used.tolist()}
        return {**found, **self.net.codec.watch(rows, generator)}

    def _prior_loss(self, rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        net = self.net
        with torch.no_grad():
            codes = net.codes(net.encode(rows, 0.0, generator)[0])
            seen = list(net.vectors(codes))
            if self.prior.counts:
                seen.insert(0, net.codec.standard_size(rows.size))
                codes = torch.cat([self.prior.bin(rows.size), codes], dim=1)
        terms = self.prior(seen, rows.c, codes)
        size = {"size": terms[0]} if self.prior.counts else {}
        return {**size, "codes": torch.stack(terms[len(size) :]).sum()}

    @torch.no_grad()
    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return rows ``(rows, features)``: size, then code after code, then a draw of the likelihood."""
        u = torch.from_numpy(rng.child("codes").numpy().random((len(given), self.prior.tokens), dtype=np.float32))
        c, tables = conditions(given, self.layout), self.net.tables()
        seen, cache, latent = None, None, []
        for token in range(self.prior.tokens):
            logits, cache = self.prior.next(token, seen, c, cache)
            # inversion; rounding may leave the last cumulated probability below u
            chosen = (logits.softmax(dim=1).cumsum(dim=1) < u[:, [token]]).sum(dim=1).clamp(max=logits.shape[1] - 1)
            if self.prior.counts and token == 0:
                size = self.prior.size(chosen.numpy(), rng.child("size").numpy().random(len(given)))
                given = replace(given, size=size)
                seen = self.net.codec.standard_size(torch.from_numpy(size.astype(np.float32))[:, None])
            else:
                seen = tables[token - int(self.prior.counts)][chosen]
                latent.append(seen)
        return self.net.codec.draw(self.net.merged(latent).numpy(), given, rng.child("noise"))

    def embed(self, encoded: Encoded) -> NDArray[np.float32]:
        """Vectors of the codes of rows ``(rows, M·D)``."""
        return self.net.codec.embed(encoded, self.net.nearest)

    def denoise(self, encoded: Encoded) -> Matrix:
        """Means of the likelihood of rows ``(rows, features)`` at their own codes."""
        return self.net.codec.denoise(encoded, self.net.nearest)

    def surprise(self, encoded: Encoded) -> NDArray[np.float64]:
        """−log p(x | q, c) per feature ``(rows,)`` at the rows' own codes."""
        return self.net.codec.surprise(encoded, self.net.nearest)

    def state(self) -> State:
        """Weights and codebooks of the codec, weights of the prior."""
        return {**of_module(self.net, "net."), **of_module(self.prior, "prior.")}

    def restore(self, state: State) -> None:
        """Take over the weights."""
        into_modules({"net.": self.net, "prior.": self.prior}, state, "the weights of vqvae")


class _Quantised(nn.Module):
    """Encoder, codebooks, decoder. With two levels ``q`` is the sum of top and bottom vectors."""

    def __init__(self, layout: Layout, config: Vqvae.Config) -> None:
        super().__init__()
        positions = config.positions or int(np.clip(layout.rows // 24, 1, 12))
        positions += positions % config.levels  # two bottom positions to a top one
        codes = config.codes or int(np.clip(layout.rows // 8, 4, 32))
        self.codec = Codec(layout, positions * config.dimensions, config.hidden, 1)
        self.books = nn.ModuleDict()
        if config.levels == 2:
            self.books["top"] = Codebook(positions // 2, codes, 2 * config.dimensions, config.decay)
        name = "bottom" if config.levels == 2 else "codes"
        self.books[name] = Codebook(positions, codes, config.dimensions, config.decay)

    def levels(self) -> list[tuple[str, Codebook]]:
        """Name and codebooks of every level, top before bottom."""
        return [(name, book) for name, book in self.books.items() if isinstance(book, Codebook)]

    def encode(self, rows: Batch, hidden_share: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Latents ``(rows, M·D)`` drawn from the posterior, and its means and log-variances."""
        mean, log_variance = self.codec.encode(rows, hidden_share if self.training else 0.0, generator)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + noise * (0.5 * log_variance).exp(), mean, log_variance

    def quantise(self, z: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Quantised latents with the gradient of ``z``, and the commitment ``(rows,)`` summed over levels."""
        left, commitment = z, torch.zeros(len(z), device=z.device)
        for _, book in self.levels():
            q, distance = book(left, generator)
            left, commitment = left - q.detach(), commitment + distance
        return straight_through(z - left, z), commitment

    def codes(self, z: Tensor) -> Tensor:
        """Codes ``(rows, all positions)``, top before bottom."""
        found = []
        for _, book in self.levels():
            found.append(book.nearest(z))
            z = z - book.look_up(found[-1])
        return torch.cat(found, dim=1)

    def nearest(self, z: Tensor) -> Tensor:
        """Latents ``(rows, M·D)`` as the vectors of their nearest codes."""
        return self.merged(self.vectors(self.codes(z)))

    def tables(self) -> list[Tensor]:
        """Vectors ``(codes, dimensions)`` of every position, top before bottom."""
        return [table for _, book in self.levels() for table in book.vectors]

    def vectors(self, codes: Tensor) -> list[Tensor]:
        """Vectors ``(rows, dimensions)`` of every position."""
        return [table[own] for table, own in zip(self.tables(), codes.T, strict=True)]

    def merged(self, vectors: list[Tensor]) -> Tensor:
        """Latents ``(rows, M·D)`` of the vectors of every position: the levels side by side, then added."""
        level, parts = torch.cat(vectors, dim=1), len(self.books)
        return torch.stack(level.chunk(parts, dim=1)).sum(dim=0)


class _Prior(nn.Module):
    """Causal transformer over (size bin, codes): place t sees the condition and the vectors of the tokens before it."""

    def __init__(self, net: _Quantised, layout: Layout, config: Vqvae.Config) -> None:
        super().__init__()
        self.counts = layout.space is Space.COUNTS
        self.bins = min(config.sizes, max(1, layout.rows // 20))
        kinds = [table.shape for table in net.tables()]
        if self.counts:
            kinds.insert(0, torch.Size((self.bins, 1)))
        self.tokens = len(kinds)
        self.start = nn.Linear(width(layout) + 1, config.width, bias=False)
        self.enter = nn.ModuleList(nn.Linear(dimensions, config.width) for _, dimensions in kinds[:-1])
        self.body = CausalTransformer(config.width, HEADS, config.blocks)
        self.leave = nn.ModuleList(nn.Linear(config.width, choices) for choices, _ in kinds)
        self.knots: Tensor
        self.register_buffer("knots", torch.empty(self.bins * KNOTS + 1))

    def initialise(self, encoded: Encoded) -> None:
        """Quantiles of the log library size."""
        levels = np.linspace(0, 1, len(self.knots))
        self.knots.copy_(torch.from_numpy(np.quantile(np.log(encoded.given.sizes), levels)))

    def bin(self, size: Tensor) -> Tensor:
        """Bin ``(rows, 1)`` of library sizes ``(rows, 1)``."""
        return torch.searchsorted(self.knots[KNOTS:-1:KNOTS].contiguous(), size.log(), right=True)

    def size(self, chosen: NDArray[np.int64], within: NDArray[np.float64]) -> NDArray[np.float64]:
        """Library sizes ``(rows,)`` of bins and of places within them, in [0, 1)."""
        knots = self.knots.double().numpy()
        return np.maximum(np.exp(np.interp((chosen + within) * KNOTS, np.arange(len(knots)), knots)), 1)

    def forward(self, seen: list[Tensor], c: Tensor, wanted: Tensor) -> list[Tensor]:
        """Mean cross-entropy of every token, given the vectors of all tokens and their codes ``(rows, tokens)``."""
        start = self._start(c)
        places = [start] + [start + enter(v) for enter, v in zip(self.enter, seen[:-1], strict=True)]
        h, _ = self.body(torch.stack(places, dim=1))
        return [F.cross_entropy(leave(h[:, t]), wanted[:, t]) for t, leave in enumerate(self.leave)]

    def next(self, token: int, seen: Tensor | None, c: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        """Logits ``(rows, choices)`` of a token, given the vector of the one before and the cache of the others."""
        h = self._start(c)
        if seen is not None:
            h = h + self.enter[token - 1](seen)
        h, cache = self.body(h[:, None], cache)
        return self.leave[token](h[:, 0]), cache

    def _start(self, c: Tensor) -> Tensor:
        return self.start(torch.cat([c, torch.ones(len(c), 1, device=c.device)], dim=1))


Model = Vqvae
