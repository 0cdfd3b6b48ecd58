"""One-dimensional convolutions over features in an order in which neighbours belong together: up from a vector, down to one.

    up      h₀ = W z as (places, channels);  h_{i+1} = silu(norm(T_i h_i)), four times the places, half the channels;  x = T_n h_n
    down    the mirror image: four neighbours become one place, with twice the channels;  then one vector of all places

T_i is a transposed convolution of kernel 12 and stride 4, written as the matrix product it is: a place and its two neighbours give four
places. So gradients are sums in one order on every device, which the library kernels of convolutions do not promise. The norm divides by
the root mean square over the channels of a place. The order of the features is a buffer: set it before use.

Papers: Radford et al. 2016, arXiv:1511.06434 (DCGAN); Shi et al. 2016, arXiv:1609.05158 (transposed convolution as sub-pixel product);
Karras et al. 2018, arXiv:1710.10196 (norm).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STRIDE = 4
COARSE = 64  # places at most at the coarse end
FEWEST = 8  # channels at the fine end at least


def shape(features: int, hidden: int) -> tuple[int, list[int]]:
    """Places at the coarse end, and channels from the coarse to the fine end."""
    steps = max(1, math.ceil(math.log(max(features / COARSE, 1), STRIDE)))
    return math.ceil(features / STRIDE**steps), [max(FEWEST, hidden >> (i + 1)) for i in range(steps)]


class Up(nn.Module):
    """From ``(rows, inputs)`` to ``(rows, features)``; the last layer starts at zero.

    Args:
        inputs: length of the vectors.
        features: numbers of a row.
        hidden: twice the channels of the coarse end.
    """

    def __init__(self, inputs: int, features: int, hidden: int) -> None:
        super().__init__()
        self.places, channels = shape(features, hidden)
        self.enter = nn.Linear(inputs, self.places * channels[0])
        wide = [*channels, 1]
        self.layers = nn.ModuleList(nn.Linear(3 * a, STRIDE * b) for a, b in pairwise(wide))
        self.place: Tensor
        self.register_buffer("place", torch.empty(features, dtype=torch.int64))

    def initialise(self, order: Tensor) -> None:
        """Take over the order of the features, a permutation ``(features,)``, and start at zero."""
        self.place.copy_(order.argsort())
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Features in the caller's own order."""
        h = self.enter(z).unflatten(1, (self.places, -1))
        for layer in self.layers:
            h = layer(_with_neighbours(F.silu(_norm(h))))
            h = h.unflatten(2, (STRIDE, -1)).flatten(1, 2)
        return h[:, :, 0].index_select(1, self.place)


class Down(nn.Module):
    """From ``(rows, features)`` to ``(rows, hidden)``.

    Args:
        features: numbers of a row.
        hidden: length of the vectors, and twice the channels of the coarse end.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        places, channels = shape(features, hidden)
        self.spare = places * STRIDE ** len(channels) - features
        wide = [1, *reversed(channels)]
        self.layers = nn.ModuleList(nn.Linear(3 * STRIDE * a, b) for a, b in pairwise(wide))
        self.leave = nn.Linear(places * channels[0], hidden)
        self.order: Tensor
        self.register_buffer("order", torch.empty(features, dtype=torch.int64))

    def initialise(self, order: Tensor) -> None:
        """Take over the order of the features, a permutation ``(features,)``."""
        self.order.copy_(order)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of rows whose features are in the caller's own order."""
        h = F.pad(x.index_select(1, self.order), (0, self.spare))[:, :, None]
        for layer in self.layers:
            h = F.leaky_relu(layer(_with_neighbours(h.unflatten(1, (-1, STRIDE)).flatten(2))), 0.2)
        return self.leave(h.flatten(1))


def _with_neighbours(h: Tensor) -> Tensor:
    """``(rows, places, channels)`` to ``(rows, places, 3 · channels)``: the place before, itself, the place after; zeros at the ends."""
    padded = F.pad(h, (0, 0, 1, 1))
    return torch.cat([padded[:, :-2], h, padded[:, 2:]], dim=2)


def _norm(h: Tensor) -> Tensor:
    return h * torch.rsqrt(h.square().mean(dim=2, keepdim=True) + 1e-8)
