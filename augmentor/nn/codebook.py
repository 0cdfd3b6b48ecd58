"""Vector quantisation: every position of a latent is replaced by the nearest vector of its codebook.

    k_m = argmin_k ‖z_m − e_mk‖²,   q_m = e_{m,k_m};   forward value q, gradient of z (straight-through)
    N_mk ← γ·N_mk + (1 − γ)·n_mk,   S_mk ← γ·S_mk + (1 − γ)·Σ_{rows with k} z_m,   e_mk = S_mk / N_mk

n_mk is the number of rows of the batch that chose code k at position m: the codebook follows the rows by a running k-means, not by
gradient. A code that hardly any row chooses is dead; it starts again at a row of the batch, and so does every code at the first
step. Only a module in training mode learns; what it learns is in its buffers.

Papers: van den Oord et al. 2017, arXiv:1711.00937 (appendix A: moving averages); Razavi et al. 2019, arXiv:1906.00446;
Dhariwal et al. 2020, arXiv:2005.00341 (restarts of dead codes).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from augmentor.nn.blocks import straight_through

DEAD = 0.05  # a code is dead whose running count is below this part of an even share of the batch


class Codebook(nn.Module):
    """One codebook per position.

    Args:
        positions: positions of a row, M.
        codes: vectors of each codebook, K.
        dimensions: of each vector, D.
        decay: γ of the moving averages.
    """

    def __init__(self, positions: int, codes: int, dimensions: int, decay: float) -> None:
        super().__init__()
        self.positions, self.codes, self.dimensions, self.decay = positions, codes, dimensions, decay
        self.vectors: Tensor
        self.count: Tensor
        self.usage: Tensor
        self.register_buffer("vectors", torch.empty(positions, codes, dimensions))
        self.register_buffer("count", torch.empty(positions, codes))
        self.register_buffer("usage", torch.empty(positions, codes))  # as count, but a restart is no use

    def forward(self, z: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Quantise ``z (rows, M·D)``; in training, first restart dead codes, then follow the rows.

        Returns:
            Quantised latents ``(rows, M·D)`` with the gradient of z, and the commitment ``‖z − sg(q)‖²`` of each row ``(rows,)``.
        """
        if self.training:
            self._restart(z.detach(), generator)
        codes = self.nearest(z)
        q = self.look_up(codes)
        if self.training:
            self._follow(z.detach(), codes)
        return straight_through(q, z), (z - q).square().sum(dim=1)

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """Codes ``(rows, M)`` of latents ``(rows, M·D)``."""
        # ‖z‖² is the same for all codes of a position
        distance = self.vectors.square().sum(dim=2) - 2 * torch.einsum("rmd,mkd->rmk", self._split(z), self.vectors)
        return distance.argmin(dim=2)

    @torch.no_grad()
    def look_up(self, codes: Tensor) -> Tensor:
        """Vectors ``(rows, M·D)`` of codes ``(rows, M)``."""
        return self.vectors[torch.arange(self.positions, device=codes.device), codes].flatten(1)

    def perplexity(self) -> Tensor:
        """exp(entropy of code use) of every position ``(M,)``, from 1 (one code does everything) to K (all alike)."""
        share = self.usage / self.usage.sum(dim=1, keepdim=True).clamp(min=1e-12)
        return torch.special.entr(share).sum(dim=1).exp()

    def _split(self, z: Tensor) -> Tensor:
        return z.view(len(z), self.positions, self.dimensions)

    @torch.no_grad()
    def _restart(self, z: Tensor, generator: torch.Generator) -> None:
        even = len(z) / self.codes
        dead = self.count < DEAD * even
        chosen = torch.randint(len(z), dead.shape, generator=generator, device=z.device)
        rows = self._split(z)[chosen, torch.arange(self.positions, device=z.device)[:, None]]
        self.vectors.copy_(torch.where(dead[:, :, None], rows, self.vectors))
        self.count.copy_(torch.where(dead, torch.full_like(self.count, even), self.count))

    @torch.no_grad()
    def _follow(self, z: Tensor, codes: Tensor) -> None:
        chosen = nn.functional.one_hot(codes, self.codes).to(z.dtype)
        total = self.vectors * self.count[:, :, None]
        n = chosen.sum(dim=0)
        total.lerp_(torch.einsum("rmk,rmd->mkd", chosen, self._split(z)), 1 - self.decay)
        self.count.lerp_(n, 1 - self.decay)
        self.usage.lerp_(n, 1 - self.decay)
        count = self.count[:, :, None]
        self.vectors.copy_(torch.where(count > 0, total / count.clamp(min=1e-12), self.vectors))
