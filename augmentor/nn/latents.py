"""The latent space in which a density is learnt: a codec trained first, its vectors in standard units.

    v = (z, log s) for counts, z otherwise,   z ~ q(z | x, c);   u = (v − m) / d,   m and d over the training rows

Models that differ only in how they learn p(u | c) share everything else: training of the codec (a VAE with a small β, because
the density is fitted afterwards), the vectors of rows, and the way back.

Papers: Rombach et al. 2022, arXiv:2112.10752 (latent diffusion); Vahdat et al. 2021, arXiv:2106.05931.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augmentor.core.contract import Encoded, Given, Layout, Phase, Stage
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.nn.codec import Codec, gaussian_kl
from augmentor.nn.conditioning import Batch

WARMUP = 0.2  # share of training over which β rises


class Latents(nn.Module):
    """A codec and the standard units of its vectors.

    Args:
        layout: shapes and space of the rows.
        latent: dimensions of z; by default 24, fewer for few rows.
        hidden: width of the codec's hidden layers.
    """

    def __init__(self, layout: Layout, latent: int | None, hidden: int) -> None:
        super().__init__()
        self.layout = layout
        self.latent = latent or int(np.clip(layout.rows // 12, 2, 24))
        self.codec = Codec(layout, self.latent, hidden, 1)
        self.dimensions = self.latent + int(self.codec.counts)
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.empty(self.dimensions))
        self.register_buffer("scale", torch.empty(self.dimensions))

    def stage(
        self,
        *,
        beta: float,
        dropout: float,
        epochs: int | None,
        batch_size: int,
        finish: Callable[[Encoded, Stream], None] | None = None,
    ) -> Stage:
        """The stage that trains the codec by its ELBO with weight ``beta`` on the KL term.

        Args:
            beta: weight of the KL term.
            dropout: share of encoder inputs hidden at each step.
            epochs: passes over the rows; by default 120, falling to 40 as rows x features grows beyond 4 million.
            batch_size: rows per step at most.
            finish: what else to fit once the codec stands.
        """

        def loss(rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
            mean, log_variance = self.codec.encode(rows, dropout if self.training else 0.0, generator)
            noise = torch.randn(mean.shape, generator=generator, device=mean.device)
            likelihood = self.codec.log_likelihood(rows, mean + noise * (0.5 * log_variance).exp())
            kl = gaussian_kl(mean, log_variance).sum(dim=1).mean()
            return {"reconstruction": -likelihood.mean(), "kl": beta * min(1.0, progress / WARMUP) * kl}

        def finished(encoded: Encoded, rng: Stream) -> None:
            self._standardise(encoded)
            if finish is not None:
                finish(encoded, rng)

        work = np.sqrt(4e6 / (self.layout.rows * self.layout.features))
        return Stage(
            "codec",
            self,
            (Phase("elbo", self.codec.parameters, loss, learning_rate=2e-3, weight_decay=1e-3),),
            epochs or int(np.clip(120 * work, 40, 120)),
            rows_per_step(self.layout, batch_size),
            finish=finished,
            watch=self.codec.watch,
        )

    @torch.no_grad()
    def _standardise(self, encoded: Encoded) -> None:
        mean, variance = self.codec.vectors(encoded)
        self.shift.copy_(torch.from_numpy(mean.mean(axis=0)))
        self.scale.copy_(torch.from_numpy(np.sqrt(mean.var(axis=0) + variance.mean(axis=0)).clip(1e-3)))

    def moments(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Means and variances ``(rows, dimensions)`` of the vectors of rows, in standard units."""
        mean, variance = self.codec.vectors(encoded)
        shift, scale = self.shift.numpy(), self.scale.numpy()
        return (mean - shift) / scale, variance / scale**2

    @torch.no_grad()
    def of(self, rows: Batch, generator: torch.Generator) -> Tensor:
        """Vectors of rows in standard units, drawn from the posterior: ``(rows, dimensions)``."""
        mean, log_variance = self.codec.encode(rows, 0.0, None)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        v = mean + noise * (0.5 * log_variance).exp()
        if self.codec.counts:
            v = torch.cat([v, self.codec.standard_size(rows.size)], dim=1)
        return (v - self.shift) / self.scale

    def draw(self, vectors: NDArray[np.floating], given: Given, rng: Stream) -> Matrix:
        """Draw rows ``(rows, features)`` from vectors in standard units."""
        z, given = self.codec.split(self._own_units(vectors), given)
        return self.codec.draw(z, given, rng)

    def between(
        self, vectors: NDArray[np.floating], start: Given, end: Given, weight: NDArray[np.floating], rng: Stream
    ) -> Matrix:
        """Draw rows from vectors in standard units, with conditions between two; see `Codec.between`."""
        return self.codec.between(self._own_units(vectors), start, end, weight, rng)

    def embed(self, encoded: Encoded) -> NDArray[np.float32]:
        """z of rows ``(rows, latent)`` in standard units, without the library size."""
        z = slice(0, self.latent)
        return (self.codec.embed(encoded) - self.shift.numpy()[z]) / self.scale.numpy()[z]

    def _own_units(self, vectors: NDArray[np.floating]) -> NDArray[np.floating]:
        return vectors * self.scale.numpy() + self.shift.numpy()


def rows_per_step(layout: Layout, batch_size: int) -> int:
    """Rows per step: at least ten steps an epoch where rows are few, but never fewer than 16 rows."""
    return min(batch_size, max(16, layout.rows // 10))
