"""Guidance: a field over places and times that sees labels, trained with labels hidden so that they can be weighed when drawing.

    one weight             f_γ = f_∅ + γ·(f_c − f_∅)              p_γ(u | c) ∝ p(u)·(p(u | c) / p(u))^γ
    a weight per column    f_w = f_∅ + Σ_a w_a·(f_a − f_∅)         p_w(u | c) ∝ p(u)·Π_a (p(u | c_a) / p(u))^w_a

f is what the network predicts (a velocity, noise), c all labels of a row, c_a the label of column a, ∅ none: a prediction is affine
in the score, with coefficients that depend on time only, so combining predictions combines scores. γ = 1 is p(u | c) itself. Weights
w_a = 1 are p(u | c) where the columns are independent given u, and a way to stress one column and mute another everywhere. Every p
is also given the covariates, which are never hidden. (At times between noise and data the products hold approximately.)

What is weighed is the latent vector. A codec that sees the labels itself keeps what it says of them, and calibration leads every
label's margins back to the training margins: a weight other than 1 changes which states of a label are drawn, and how often.

Papers: Ho & Salimans 2022, arXiv:2207.12598 (classifier-free guidance); Liu et al. 2022, arXiv:2206.01714 (composition).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from augmentor.core.contract import Layout
from augmentor.core.errors import ConfigError
from augmentor.nn.blocks import Residual, Waves
from augmentor.nn.conditioning import width

# Optimiser steps of a field by default: its loss is noisy and its network small, but it comes ever nearer to the single rows.
# PBMC3k draws rows as good after 4,000 as after 6,000 (AUC on genes .53 and .54, on components .57 and .58); 58 tumours (Khan)
# as good after 1,000 as after 3,000.
LEAST, MOST, PER_ROW = 1000, 4000, 20


class GuidedField(nn.Module):
    """A residual network of a place u, a time t in [0, 1] and a condition whose label columns may be hidden one by one.

    Args:
        layout: label columns and covariates.
        dimensions: of u, and of what is predicted.
        width: of the network.
        blocks: residual blocks of the network.
        guidance: γ, the weight of all labels together.
        guidance_by: w_a, a weight per label column, in the place of γ.

    Raises:
        ConfigError: ``guidance_by`` has another length than there are label columns.
    """

    def __init__(
        self,
        layout: Layout,
        dimensions: int,
        *,
        width: int,
        blocks: int,
        guidance: float = 1.0,
        guidance_by: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        if guidance_by is not None and len(guidance_by) != len(layout.categories):
            raise ConfigError(
                f"guidance_by has {len(guidance_by)} weights for {len(layout.categories)} label columns; give one per column."
            )
        self.layout, self.guidance, self.guidance_by = layout, guidance, guidance_by
        self.waves = Waves()
        self.net = Residual(dimensions, _inputs(layout, self.waves), dimensions, width=width, blocks=blocks)

    def forward(self, u: Tensor, t: Tensor, c: Tensor, seen: Tensor) -> Tensor:
        """Prediction ``(rows, dimensions)``.

        Args:
            u: ``(rows, dimensions)``.
            t: ``(rows, 1)``.
            c: ``(rows, width)`` conditions, see `conditioning.conditions`.
            seen: ``(rows, label columns)`` which labels the network sees; it is told which.
        """
        shown = [seen[:, [a]].expand(-1, k) for a, k in enumerate(self.layout.categories)]
        shown.append(torch.ones(len(u), self.layout.covariates, dtype=torch.bool, device=u.device))
        return self.net(u, torch.cat([self.waves(t), c * torch.cat(shown, dim=1), seen.to(c.dtype)], dim=1))

    def hidden(self, rows: int, share: float, generator: torch.Generator) -> Tensor:
        """Which labels are seen in training, ``(rows, label columns)``: for a share of the rows none or a single one of several.

        These are the patterns that guidance asks for; hiding columns independently would rarely show them.
        """
        columns = len(self.layout.categories)
        whole = torch.rand(rows, 1, generator=generator, device=generator.device) >= share
        # position `columns`, or any position where there is one column: none
        single = torch.randint(columns + 1, (rows, 1), generator=generator, device=generator.device)
        alone = torch.arange(columns, device=generator.device) == single
        return whole | (alone if columns > 1 else torch.zeros_like(alone))

    def guided(self, u: Tensor, t: Tensor, c: Tensor) -> Tensor:
        """Prediction ``(rows, dimensions)`` with the labels weighed."""
        columns = len(self.layout.categories)
        rows = torch.ones(len(u), columns, dtype=torch.bool, device=u.device)
        if not columns or (self.guidance_by is None and self.guidance == 1):
            return self(u, t, c, rows)
        free = self(u, t, c, ~rows)
        if self.guidance_by is None:
            return free + self.guidance * (self(u, t, c, rows) - free)
        out = free
        for a, weight in enumerate(self.guidance_by):
            alone = rows & (torch.arange(columns, device=u.device) == a)
            out = out + weight * (self(u, t, c, alone) - free)
        return out


def _inputs(layout: Layout, waves: Waves) -> int:
    return 2 * waves.count + width(layout) + len(layout.categories)


def field_epochs(layout: Layout, batch_size: int) -> int:
    """Passes over the rows by which a field is trained by default."""
    return max(40, round(np.clip(PER_ROW * layout.rows, LEAST, MOST) * batch_size / layout.rows))
