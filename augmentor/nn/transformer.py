"""A causal transformer: what stands at place t sees places 0..t, all at once in training, one by one when drawing.

    h ← h + O·softmax(Q h·(K h)ᵀ/√d + mask)·V h,   h ← h + W₂ silu(W₁ norm(h))          (pre-norm blocks)

Paper: Vaswani et al. 2017, arXiv:1706.03762; Radford et al. 2019 (pre-norm).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

Cache = list[tuple[Tensor, Tensor]]  # keys and values of the places before, per block


class CausalTransformer(nn.Module):
    """Blocks of causal self-attention.

    Args:
        width: of every place; a multiple of ``heads``.
        heads: attention heads.
        blocks: number of blocks.
    """

    def __init__(self, width: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """Lead new places ``(rows, new, width)`` through the blocks.

        Args:
            h: the new places; all of them in training, the next one when drawing.
            cache: what an earlier call returned for the places before.

        Returns:
            The new places ``(rows, new, width)``, and the cache that includes them.
        """
        kept: Cache = []
        for position, block in enumerate(self.blocks):
            h, own = block(h, None if cache is None else cache[position])
            kept.append(own)
        return self.norm(h), kept


class _Block(nn.Module):
    """Attention, then a perceptron, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, h: Tensor, before: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """New places, and keys and values ``(rows, heads, places, width / heads)`` of all places."""
        rows, new, width = h.shape
        parts = self.project(self.first_norm(h)).view(rows, new, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if before is not None:
            key, value = torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2)
        places = key.shape[2]
        score = query @ key.transpose(2, 3) / math.sqrt(width // self.heads)
        later = torch.ones(new, places, dtype=torch.bool, device=h.device).triu(places - new + 1)
        seen = score.masked_fill(later, -math.inf).softmax(dim=3) @ value
        h = h + self.merge(seen.transpose(1, 2).reshape(rows, new, width))
        h = h + self.narrow(nn.functional.silu(self.widen(self.second_norm(h))))
        return h, (key, value)
