"""Between rows and a latent vector: a stochastic encoder, and a decoder with the likelihood of the rows' space.

    encoder      q(z | x, c) = N(μ(x, c), diag σ²(x, c)),   x log-normalised where it is counts
    counts       x_g ~ NB(mean = s · softmax_g(b_c + W h(z, c, log s)), θ_g · exp(v_g(h)))      s: library size
    continuous   x_g ~ N(b_cg + W_g h(z, c), σ²_g · exp(v_g(h)))
    mixed        numbers as above, categories x_j ~ Categorical(softmax(b_cj + W_j h(z, c)))

What a density in latent space is fitted to, and drawn from, is the vector ``v = (z, log s)`` for counts and ``z`` otherwise: the
library size is modelled jointly with the latent, because a label's deep cells are not its shallow cells with more reads.

Papers: Kingma & Welling 2014, arXiv:1312.6114; Lopez et al. 2018, doi:10.1038/s41592-018-0229-2 (negative binomial decoder).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn import likelihoods
from augmentor.nn.blocks import Perceptron, dropout
from augmentor.nn.conditioning import Batch, batch, conditions, width
from augmentor.nn.mixed import Heads
from augmentor.nn.profiles import label_profiles

AT_ONCE = 1024  # rows encoded at a time
DRAWN_BYTES = 2**21  # of one matrix of rows drawn at a time


class Codec(nn.Module):
    """Encoder and decoder; the decoder's output layers hold one column per feature, or per place of a mixed table.

    Args:
        layout: shapes and space of the rows.
        latent: dimensions of z.
        hidden: width of the hidden layers.
        layers: number of them, in encoder and decoder each.
    """

    def __init__(self, layout: Layout, latent: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.layout = layout
        self.counts = layout.space is Space.COUNTS
        self.heads = Heads(layout) if layout.space is Space.MIXED else None
        outputs, spreads = layout.features, layout.features
        if self.heads is not None:
            outputs, spreads = self.heads.width, len(self.heads.numbers)
        extra = width(layout) + int(self.counts)
        widths = (hidden,) * layers
        self.encoder = Perceptron(outputs + extra, widths)
        self.posterior = nn.Linear(hidden, 2 * latent)
        self.decoder = Perceptron(latent + extra, widths)
        self.centre = nn.Linear(hidden, outputs, bias=False)
        self.bias = nn.Parameter(torch.empty(layout.conditions, outputs))
        self.spread = nn.Linear(hidden, spreads)
        self.size_scale: Tensor
        self.register_buffer("size_scale", torch.empty(2))

    @torch.no_grad()
    def initialise(self, encoded: Encoded) -> None:
        """Output bias = log-profile of each label, scale = spread of each feature; materialised weights are expected."""
        nn.init.zeros_(self.spread.weight)  # dispersion starts at the gene's own
        profile, spread = label_profiles(encoded) if self.heads is None else self.heads.profiles(encoded)
        self.bias.copy_(torch.from_numpy(profile))
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
        x, extra = rows.x if self.heads is None else self.heads.encode(rows.x), rows.c
        if self.counts:
            x = torch.log1p(x / rows.size * self.size_scale[0].exp())
            extra = torch.cat([extra, self.standard_size(rows.size)], dim=1)
        if hidden_share and generator is not None:
            x = dropout(x, hidden_share, generator)
        if noise and generator is not None:
            x = x + noise * torch.randn(x.shape, generator=generator, device=x.device)
        mean, log_variance = self.posterior(self.encoder(torch.cat([x, extra], dim=1))).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 5)

    def decode(self, z: Tensor, c: Tensor, condition: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Centre (mean, or logits of categories) and log spread (dispersion or variance) ``(rows, features)``."""
        if self.counts:
            c = torch.cat([c, self.standard_size(size)], dim=1)
        h = self.decoder(torch.cat([z, c], dim=1))
        # not bias[condition]: threads would add up its gradient in any order
        centre = F.embedding(condition, self.bias) + self.centre(h)
        if self.counts:
            centre = size * torch.softmax(centre, dim=1)
        return centre, self.spread(h)

    def log_likelihood(self, rows: Batch, z: Tensor) -> Tensor:
        """``log p(x | z, c)`` of each row, ``(rows,)``."""
        centre, spread = self.decode(z, rows.c, rows.condition, rows.size)
        if self.heads is not None:
            return self.heads.log_likelihood(rows.x, centre, spread)
        density = likelihoods.negative_binomial if self.counts else likelihoods.gaussian
        return density(rows.x, centre, spread)

    def standard_size(self, size: Tensor) -> Tensor:
        """Log library size with mean 0 and variance 1 over the training rows, ``(rows, 1)``."""
        return (size.log() - self.size_scale[0]) / self.size_scale[1]

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

    def split(self, vectors: NDArray[np.floating], given: Given) -> tuple[NDArray[np.floating], Given]:
        """Take vectors apart: ``z (rows, latent)``, and the conditions with the library sizes that the vectors hold."""
        if not self.counts:
            return vectors, given
        shift, scale = self.size_scale.numpy()
        return vectors[:, :-1], replace(given, size=np.maximum(np.exp(shift + scale * vectors[:, -1]), 1))

    @torch.no_grad()
    def draw(self, z: NDArray[np.floating], given: Given, rng: Stream) -> Matrix:
        """Draw rows ``(rows, features)`` of the likelihood: never its mean, which has a fraction of the variance."""
        size = max(1, DRAWN_BYTES // (4 * self.layout.features))
        generator, parts = rng.numpy(), []
        # a few rows at a time: the dozen intermediate matrices stay in the processor's cache, and out of the memory of long draws
        for start in range(0, max(len(given), 1), size):
            rows = slice(start, start + size)
            parts.append(self._drawn(z[rows], given.take(rows), generator))
        return sparse.vstack(parts, format="csr") if sparse.issparse(parts[0]) else np.concatenate(parts)

    def _drawn(self, z: NDArray[np.floating], given: Given, generator: np.random.Generator) -> Matrix:
        centre, spread = self.decode(
            torch.from_numpy(z.astype(np.float32)),
            conditions(given, self.layout),
            torch.from_numpy(given.condition.astype(np.int64)),
            torch.from_numpy(given.sizes.astype(np.float32))[:, None],
        )
        if self.heads is not None:
            return self.heads.sample(centre, spread.numpy(), generator)
        sample = likelihoods.sample_negative_binomial if self.counts else likelihoods.sample_gaussian
        return sample(centre.numpy(), spread.numpy(), generator)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """``KL(N(μ, σ²) ‖ N(0, 1))`` of every dimension, ``(rows, latent)``."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
