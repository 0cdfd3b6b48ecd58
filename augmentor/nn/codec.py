"""Between rows and a latent vector: a stochastic encoder, and a decoder with the likelihood of the rows' space.

    encoder      q(z | x, c) = N(μ(x, c), diag σ²(x, c)),   x log-normalised where it is counts
    decoder      h = h(z, c), and of log s for counts of library size s
    counts       x_g ~ NB(mean = s · softmax_g(b_c + W h), θ_g · exp(v_g(h))), or another of `nn/likelihoods.py`
    continuous   x_g ~ N(b_cg + W_g h, σ²_g · exp(v_g(h)))
    mixed        numbers as above, categories x_j ~ Categorical(softmax(b_cj + W_j h))

What a density in latent space is fitted to, and drawn from, is the vector ``v = (z, log s)`` for counts and ``z`` otherwise: the
library size is modelled jointly with the latent, because a label's deep cells are not its shallow cells with more reads.

Papers: Kingma & Welling 2014, arXiv:1312.6114; Lopez et al. 2018, doi:10.1038/s41592-018-0229-2 (negative binomial decoder).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import Matrix
from augmentor.core.errors import ConfigError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn import likelihoods
from augmentor.nn.blocks import Perceptron, dropout
from augmentor.nn.conditioning import Batch, batch, conditions, width
from augmentor.nn.mixed import Heads

AT_ONCE = 1024  # rows encoded at a time
SEEN_BYTES = 2**24  # of one matrix of rows encoded and decoded at a time
DRAWN_BYTES = 2**21  # of one matrix of rows drawn at a time

Through = Callable[[Tensor], Tensor]


class Codec(nn.Module):
    """Encoder and decoder; the decoder's output layers hold one column per feature, or per place of a mixed table.

    Args:
        layout: shapes and space of the rows.
        latent: dimensions of z.
        hidden: width of the hidden layers.
        layers: number of them, in encoder and decoder each.
        likelihood: of the rows; None for the first of their space (negative binomial of counts, Gaussian of continuous values).

    Raises:
        ConfigError: the likelihood does not describe the rows.
    """

    def __init__(
        self, layout: Layout, latent: int, hidden: int, layers: int, likelihood: likelihoods.Name | None = None
    ) -> None:
        super().__init__()
        self.layout = layout
        self.counts = layout.space is Space.COUNTS
        self.heads: Heads | None = None
        if layout.space is Space.MIXED:
            if likelihood is not None:
                raise ConfigError(
                    f"likelihood '{likelihood}' cannot be chosen for a mixed table: its numbers are Gaussian, its categories and "
                    "flags categorical; leave likelihood out."
                )
            self.heads = Heads(layout)
        self.likelihood: likelihoods.Likelihood = self.heads or likelihoods.chosen(layout, likelihood)
        outputs, spreads = self.likelihood.width, self.likelihood.spreads
        extra = width(layout) + int(self.counts)
        widths = (hidden,) * layers
        self.seen = outputs + extra  # inputs of the encoder
        self.encoder = Perceptron(self.seen, widths)
        self.posterior = nn.Linear(hidden, 2 * latent)
        self.decoder = Perceptron(latent + extra, widths)
        self.centre = nn.Linear(hidden, outputs, bias=False)
        self.bias = nn.Parameter(torch.empty(layout.conditions, outputs))
        self.spread = nn.Linear(hidden, spreads) if spreads else None
        self.size_scale: Tensor
        self.register_buffer("size_scale", torch.empty(2))

    @torch.no_grad()
    def initialise(self, encoded: Encoded) -> None:
        """Output bias = log-profile of each label, scale = spread of each feature; materialised weights are expected."""
        profile, spread = self.likelihood.profiles(encoded)
        self.bias.copy_(torch.from_numpy(profile))
        if self.spread is not None:
            nn.init.zeros_(self.spread.weight)  # dispersion starts at the gene's own
            self.spread.bias.copy_(torch.from_numpy(spread))
        if self.counts:
            logs = np.log(encoded.given.sizes)
            self.size_scale.copy_(torch.tensor([logs.mean(), max(logs.std(), 1e-3)]))

    def encode(
        self, rows: Batch, hidden_share: float, generator: torch.Generator | None, *, noise: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance ``(rows, latent)``.

        Args:
            rows: what is encoded.
            hidden_share: share of the inputs that is hidden.
            generator: randomness of what is hidden and of noise; None for neither.
            noise: standard deviation of Gaussian noise on the inputs (log-normalised where they are counts).
        """
        x, extra = self._seen(rows)
        if hidden_share and generator is not None:
            x = dropout(x, hidden_share, generator)
        if noise and generator is not None:
            x = x + noise * torch.randn(x.shape, generator=generator, device=x.device)
        return self.read(torch.cat([x, extra], dim=1))

    def inputs(self, rows: Batch) -> Tensor:
        """What the encoder sees of rows ``(rows, inputs)``: features, conditions, of counts the standard log size."""
        return torch.cat(self._seen(rows), dim=1)

    def read(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean and log-variance ``(rows, latent)`` of such inputs."""
        mean, log_variance = self.posterior(self.encoder(inputs)).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 5)

    def _seen(self, rows: Batch) -> tuple[Tensor, Tensor]:
        x, extra = rows.x if self.heads is None else self.heads.encode(rows.x), rows.c
        if self.counts:
            x = torch.log1p(x / rows.size * self.size_scale[0].exp())
            extra = torch.cat([extra, self.standard_size(rows.size)], dim=1)
        return x, extra

    def decode(self, z: Tensor, c: Tensor, condition: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Centre (mean or logits) ``(rows, width)`` and spread (log dispersion or variance) ``(rows, spreads)`` of the likelihood.

        ``condition`` is a position ``(rows,)``, or weights ``(rows, conditions)`` for rows between labels.
        """
        if self.counts:
            c = torch.cat([c, self.standard_size(size)], dim=1)
        h = self.decoder(torch.cat([z, c], dim=1))
        centre = self._base(condition) + self.centre(h)
        return self.likelihood.centre(centre, size), h[:, :0] if self.spread is None else self.spread(h)

    def _base(self, condition: Tensor) -> Tensor:
        if condition.is_floating_point():
            return condition @ self.bias
        return F.embedding(condition, self.bias)  # not bias[condition]: threads would add up its gradient in any order

    def log_likelihood(self, rows: Batch, z: Tensor) -> Tensor:
        """``log p(x | z, c)`` of each row, ``(rows,)``."""
        centre, spread = self.decode(z, rows.c, rows.condition, rows.size)
        return self.likelihood.log_prob(rows.x, centre, spread)

    def standard_size(self, size: Tensor) -> Tensor:
        """Log library size with mean 0 and variance 1 over the training rows, ``(rows, 1)``."""
        return (size.log() - self.size_scale[0]) / self.size_scale[1]

    def watch(self, rows: Batch, generator: torch.Generator) -> dict[str, list[float]]:
        """For `Stage.watch`: mean KL of every latent dimension; one near 0 carries nothing (Burda et al. 2016, arXiv:1509.00519)."""
        return {"kl per dimension": gaussian_kl(*self.encode(rows, 0.0, None)).mean(dim=0).tolist()}

    @torch.no_grad()
    def vectors(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Means and variances ``(rows, latent + 1 for counts)`` of the vectors of rows; a size has no variance."""
        parts = []
        for start in range(0, len(encoded), AT_ONCE):
            rows = batch(encoded.take(np.arange(start, min(start + AT_ONCE, len(encoded)))))
            parts.append(self.encode(rows, 0.0, None))
        mean, log_variance = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        variance = np.exp(log_variance)
        if self.counts:
            shift, scale = self.size_scale.numpy()
            size = ((np.log(encoded.given.sizes) - shift) / scale)[:, None]
            mean, variance = np.hstack([mean, size]), np.hstack([variance, np.zeros_like(size)])
        return mean, variance

    @torch.no_grad()
    def rebuilt(
        self, encoded: Encoded, through: Through | None = None
    ) -> Iterator[tuple[Batch, Tensor, Tensor, Tensor]]:
        """Yield blocks of rows with their z (posterior mean), and centre and spread of the likelihood there.

        Args:
            encoded: the rows.
            through: what z goes through before it is decoded (a codebook).
        """
        size = int(np.clip(SEEN_BYTES // (4 * self.layout.features), 16, AT_ONCE))
        for start in range(0, len(encoded), size):
            rows = batch(encoded.take(np.arange(start, min(start + size, len(encoded)))))
            z, _ = self.encode(rows, 0.0, None)
            z = z if through is None else through(z)
            yield rows, z, *self.decode(z, rows.c, rows.condition, rows.size)

    def embed(self, encoded: Encoded, through: Through | None = None) -> NDArray[np.float32]:
        """z of rows ``(rows, latent)``: what their conditions (and library sizes) leave to be said."""
        return np.concatenate([z.numpy() for _, z, _, _ in self.rebuilt(encoded, through)])

    def denoise(self, encoded: Encoded, through: Through | None = None) -> NDArray[np.float32]:
        """Means of the likelihood of rows ``(rows, features)`` at their own z, conditions and library sizes."""
        blocks = self.rebuilt(encoded, through)
        return np.concatenate([self.likelihood.mean(centre, spread).numpy() for _, _, centre, spread in blocks])

    def surprise(self, encoded: Encoded, through: Through | None = None) -> NDArray[np.float64]:
        """−log p(x | z, c) of rows at their own z, per feature, ``(rows,)``: how badly they are rebuilt."""
        blocks = self.rebuilt(encoded, through)
        likely = [self.likelihood.log_prob(rows.x, centre, spread).double() for rows, _, centre, spread in blocks]
        return -torch.cat(likely).numpy() / self.layout.features

    def between(
        self, vectors: NDArray[np.floating], start: Given, end: Given, weight: NDArray[np.floating], rng: Stream
    ) -> Matrix:
        """Draw rows from vectors ``(rows, latent + 1 for counts)``, conditions and output biases ``(1 − w)·start + w·end``.

        The bias of a label is in the natural parameter of the likelihood (log rate, mean, logit), so that profiles mix on that scale.
        """
        z, given = self.split(vectors, start)
        return self.draw(z, given, rng, towards=(end, weight))

    def split(self, vectors: NDArray[np.floating], given: Given) -> tuple[NDArray[np.floating], Given]:
        """Take vectors apart: ``z (rows, latent)``, and the conditions with the library sizes that the vectors hold."""
        if not self.counts:
            return vectors, given
        shift, scale = self.size_scale.numpy()
        return vectors[:, :-1], replace(given, size=np.maximum(np.exp(shift + scale * vectors[:, -1]), 1))

    def joined(self, z: NDArray[np.floating], given: Given) -> NDArray[np.floating]:
        """Put z ``(rows, latent)`` and the library sizes of counts together, as vectors that `split` takes apart."""
        if not self.counts:
            return z
        shift, scale = self.size_scale.numpy()
        return np.column_stack([z, (np.log(given.sizes) - shift) / scale])

    @torch.no_grad()
    def draw(
        self,
        z: NDArray[np.floating],
        given: Given,
        rng: Stream,
        *,
        towards: tuple[Given, NDArray[np.floating]] | None = None,
    ) -> Matrix:
        """Draw rows ``(rows, features)`` of the likelihood: never its mean, which has a fraction of the variance.

        Args:
            z: latents ``(rows, latent)``.
            given: conditions of the rows.
            rng: randomness of the draws.
            towards: other conditions, and for every row how far it is on the way there, from 0 to 1.
        """
        block = max(1, DRAWN_BYTES // (4 * self.layout.features))
        generator, parts = rng.numpy(), []
        # a few rows at a time: the dozen intermediate matrices stay in the processor's cache, and out of the memory of long draws
        for start in range(0, max(len(given), 1), block):
            rows = slice(start, start + block)
            c, condition = self._told(given.take(rows))
            if towards is not None:
                w = torch.from_numpy(towards[1][rows].astype(np.float32))[:, None]
                c_end, end = self._told(towards[0].take(rows))
                c, condition = torch.lerp(c, c_end, w), torch.lerp(self._one_hot(condition), self._one_hot(end), w)
            size = torch.from_numpy(given.sizes[rows].astype(np.float32))[:, None]
            outputs = self.decode(torch.from_numpy(z[rows].astype(np.float32)), c, condition, size)
            parts.append(self.likelihood.sample(*outputs, generator))
        return sparse.vstack(parts, format="csr") if sparse.issparse(parts[0]) else np.concatenate(parts)

    def _told(self, given: Given) -> tuple[Tensor, Tensor]:
        """Condition inputs ``(rows, width)`` and positions ``(rows,)``."""
        return conditions(given, self.layout), torch.from_numpy(given.condition.astype(np.int64))

    def _one_hot(self, condition: Tensor) -> Tensor:
        return F.one_hot(condition, self.layout.conditions).float()


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """``KL(N(μ, σ²) ‖ N(0, 1))`` of every dimension, ``(rows, latent)``."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
