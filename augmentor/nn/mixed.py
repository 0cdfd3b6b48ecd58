"""Mixed heads: what a network sees of a mixed table, and the likelihood of numbers and categories side by side.

    number      x_j ~ N(μ_j, σ²_j)
    category    x_j ~ Categorical(softmax(a_j)),   a_j the outputs at the places of column j

The outputs of a decoder stand at the places of `nn.table.Places`: μ of the numbers, then the logits of each category.

Papers: Nazábal et al. 2020, arXiv:1807.03653 (heads per type); Jang et al. 2017, arXiv:1611.01144 (relaxed categories).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from augmentor.core.contract import Encoded, Layout
from augmentor.core.space import Space
from augmentor.nn import likelihoods
from augmentor.nn.blocks import straight_through
from augmentor.nn.profiles import label_profiles
from augmentor.nn.table import Places

SMOOTHING = 2.0  # rows borrowed from all labels for the share of a category in one
TEMPERATURE = 0.5  # of relaxed categories


class Heads(Places):
    """Inputs, `nn.likelihoods.Likelihood` and draws of the rows of a layout in MIXED space."""

    def __init__(self, layout: Layout) -> None:
        super().__init__((None,) * layout.features if layout.levels is None else layout.levels)

    def encode(self, x: Tensor) -> Tensor:
        """Rows ``(rows, features)`` at their places ``(rows, width)``: numbers as they are, categories one-hot."""
        parts = [x[:, torch.from_numpy(self.numbers).to(x.device)]]
        for k, columns in self.blocks:
            codes = x[:, torch.from_numpy(columns).to(x.device)].long()
            parts.append(F.one_hot(codes, k).flatten(1).to(x.dtype))
        return torch.cat(parts, dim=1)

    def decode(self, places: Tensor) -> NDArray[np.float32]:
        """Rows ``(rows, features)`` from places ``(rows, width)``: of each category the largest."""
        out = np.empty((len(places), self.columns), dtype=np.float32)
        numbers, *blocks = places.split(self.widths, dim=1)
        out[:, self.numbers] = numbers.numpy()
        for (k, columns), block in zip(self.blocks, blocks, strict=True):
            out[:, columns] = block.unflatten(1, (len(columns), k)).argmax(dim=2).numpy()
        return out

    @property
    def spreads(self) -> int:
        """log σ² of every number."""
        return len(self.numbers)

    def centre(self, raw: Tensor, size: Tensor) -> Tensor:
        """μ of the numbers, logits of the categories."""
        return raw

    def log_prob(self, x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        """``log p(x)`` of each row ``(rows,)``, summed over columns; ``spread`` is ``log σ²`` of the numbers."""
        numbers, *hot = self.encode(x).split(self.widths, dim=1)
        mean, *logits = centre.split(self.widths, dim=1)
        total = likelihoods.gaussian(numbers, mean, spread)
        for (k, columns), truth, block in zip(self.blocks, hot, logits, strict=True):
            log_share = F.log_softmax(block.unflatten(1, (len(columns), k)), dim=2).flatten(1)
            total = total + (truth * log_share).sum(dim=1)
        return total

    def mean(self, centre: Tensor, spread: Tensor) -> Tensor:
        """Means of the numbers and the most likely categories ``(rows, features)``."""
        return torch.from_numpy(self.decode(centre))

    def sample(self, centre: Tensor, spread: Tensor, generator: np.random.Generator) -> NDArray[np.float32]:
        """Draw rows ``(rows, features)`` of the likelihood."""
        normal = torch.from_numpy(generator.standard_normal((len(centre), self.width), dtype=np.float32))
        noise = self.gumbel(normal)
        sd = np.exp(0.5 * np.clip(spread.numpy(), -likelihoods.LOG_LIMIT, likelihoods.LOG_LIMIT))
        noise[:, : len(self.numbers)] *= torch.from_numpy(sd)
        return self.decode(centre + noise)

    def gumbel(self, normal: Tensor) -> Tensor:
        """Normal noise ``(rows, width)``, at the places of categories as Gumbel noise: of logits with it, the largest wins."""
        d = len(self.numbers)
        u = torch.special.ndtr(normal[:, d:].double()).clamp(1e-12, 1 - 1e-12)
        return torch.cat([normal[:, :d], -torch.log(-torch.log(u)).to(normal.dtype)], dim=1)

    def relaxed(self, places: Tensor) -> Tensor:
        """Logits with Gumbel noise as one-hot categories, whose gradient is that of a softmax; numbers as they are."""
        numbers, *blocks = places.split(self.widths, dim=1)
        parts = [numbers]
        for (k, columns), block in zip(self.blocks, blocks, strict=True):
            logits = block.unflatten(1, (len(columns), k))
            hard = F.one_hot(logits.detach().argmax(dim=2), k).to(logits.dtype)
            parts.append(straight_through(hard, torch.softmax(logits / TEMPERATURE, dim=2)).flatten(1))
        return torch.cat(parts, dim=1)

    def placed(self, encoded: Encoded) -> Encoded:
        """Training rows at their places, as rows of continuous values."""
        layout = encoded.layout.model_copy(update={"space": Space.CONTINUOUS, "features": self.width, "levels": None})
        return replace(encoded, x=self.hot(encoded.x), layout=layout)

    def profiles(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Means of numbers and log shares of categories in every condition ``(conditions, width)``, log variances ``(numbers,)``."""
        mean, spread = label_profiles(self.placed(encoded))
        d, x = len(self.numbers), self.hot(encoded.x)
        rows = np.bincount(encoded.given.condition, minlength=encoded.layout.conditions)[:, None]
        pooled = (x[:, d:].sum(axis=0) + 0.1) / (len(x) + 0.1)
        share = (rows * mean[:, d:] + SMOOTHING * pooled) / (rows + SMOOTHING)
        return np.concatenate([mean[:, :d], np.log(share)], axis=1, dtype=np.float32), spread[:d]
