"""Network bricks, built on the meta device (no memory, no global randomness) and initialised from a stream."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from augmentor.core.random import Stream


class Perceptron(nn.Module):
    """Linear → LayerNorm → activation, once per hidden width."""

    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Linear(inputs, width), nn.LayerNorm(width), nn.SiLU()]
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.outputs = inputs

    def forward(self, x: Tensor) -> Tensor:
        """``(rows, inputs)`` to ``(rows, widths[-1])``."""
        return self.layers(x)


def dropout(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Zero a share of the entries and scale up the rest; the randomness is an argument, unlike `nn.Dropout`'s."""
    if share == 0:
        return x
    keep = torch.rand(x.shape, generator=generator, device=x.device) >= share
    return x * keep / (1 - share)


def materialise(module: nn.Module, rng: Stream) -> None:
    """Give a module built on the meta device its initial weights (LeCun-uniform linear layers, unit norms)."""
    module.to_empty(device="cpu")
    for name, part in module.named_modules():
        generator = rng.child(name).torch()
        if isinstance(part, nn.Linear):
            bound = 1 / math.sqrt(part.in_features)
            nn.init.uniform_(part.weight, -bound, bound, generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
        else:
            for parameter in part.parameters(recurse=False):
                nn.init.zeros_(parameter)
            for buffer in part.buffers(recurse=False):
                buffer.zero_()


def straight_through(sample: Tensor, mean: Tensor) -> Tensor:
    """Straight-through estimator: the value of ``sample``, the gradient of ``mean`` (Bengio et al. 2013)."""
    return mean + (sample - mean).detach()


class Waves(nn.Module):
    """A number in [0, 1] as sines and cosines of ``count`` frequencies: how a network sees time."""

    def __init__(self, count: int = 16) -> None:
        super().__init__()
        self.count = count

    def forward(self, t: Tensor) -> Tensor:
        """``(rows, 1)`` to ``(rows, 2 · count)``."""
        angle = t * (math.pi * torch.arange(1, self.count + 1, device=t.device))
        return torch.cat([angle.sin(), angle.cos()], dim=1)


class Residual(nn.Module):
    """Residual perceptron whose every block sees the condition: ``h ← h + W₂ silu(W₁ norm(h) + C c)``."""

    def __init__(self, inputs: int, conditions: int, outputs: int, *, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(blocks))
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.condition = nn.ModuleList(nn.Linear(conditions, width, bias=False) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.leave = nn.Linear(width, outputs)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """``(rows, inputs)`` and ``(rows, conditions)`` to ``(rows, outputs)``."""
        h = self.enter(x)
        for norm, first, condition, second in zip(self.norms, self.first, self.condition, self.second, strict=True):
            h = h + second(nn.functional.silu(first(norm(h)) + condition(c)))
        return self.leave(h)
