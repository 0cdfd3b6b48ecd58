"""Networks in which feature i of ``(rows, d)`` is described by ``m`` numbers that depend on the features before it only.

    Masked      two hidden layers; a unit of degree k sees x_<k, and feature i reads the units of degree ≤ i
    Recurrent   h_t = GRU(h_{t−1}, block t − 1 of the features); the features of block t read h_t

Built on the meta device; `blocks.materialise` and then `initialise` give them weights. Output weights and biases start at zero.

Papers: Germain et al. 2015, arXiv:1502.03509 (masks); Cho et al. 2014, arXiv:1406.1078 (GRU).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from torch import Tensor, nn
from torch.nn import functional as F

from augmentor.core.random import Stream

AT_ONCE = 512  # features in one clustering
POWER = 20  # steps of a power iteration
STEPS = 32  # of a recurrent network, by default: more features are taken in blocks


class Masked(nn.Module):
    """Two masked hidden layers (MADE)."""

    def __init__(self, d: int, c: int, m: int, *, width: int) -> None:
        super().__init__()
        self.d, self.m, self.width = d, m, width
        self.enter, self.inner = nn.Linear(d, width), nn.Linear(width, width)
        self.condition = nn.ModuleList(nn.Linear(c, width, bias=False) for _ in range(2 if c else 0))
        self.weight = nn.Parameter(torch.empty(d, m, width))
        self.bias = nn.Parameter(torch.empty(d, m))

    def initialise(self, rng: Stream) -> None:
        """Output weights stay zero: the network begins at what its caller begins at."""

    def _hidden(self, seen: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        feature = torch.arange(self.d, device=seen.device)
        degree = torch.arange(self.width, device=seen.device) * self.d // self.width  # spread evenly over 0 .. d − 1
        first = F.linear(seen, self.enter.weight * (degree[:, None] > feature), self.enter.bias)
        if len(self.condition):
            first = first + self.condition[0](c)
        h = torch.tanh(first)
        second = F.linear(h, self.inner.weight * (degree[:, None] >= degree), self.inner.bias)
        if len(self.condition):
            second = second + self.condition[1](c)
        return h + torch.tanh(second), degree

    def forward(self, seen: Tensor, c: Tensor) -> Tensor:
        """``(rows, d, m)``; feature i sees ``seen[:, :i]``."""
        h, degree = self._hidden(seen, c)
        reads = torch.arange(self.d, device=seen.device)[:, None] >= degree
        flat = (self.weight * reads[:, None]).flatten(0, 1)
        return F.linear(h, flat).unflatten(1, (self.d, self.m)) + self.bias

    def at(self, i: int, seen: Tensor, c: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """``(rows, m)`` of feature i alone."""
        h, degree = self._hidden(seen, c)
        return F.linear(h, self.weight[i] * (degree <= i), self.bias[i]), None


class Recurrent(nn.Module):
    """A GRU over blocks of features, every block with input and output weights of its own."""

    def __init__(self, d: int, c: int, m: int, *, width: int, block: int | None = None) -> None:
        super().__init__()
        self.d, self.block = d, block or math.ceil(d / STEPS)
        self.steps = math.ceil(d / self.block)
        self.begin = nn.Linear(c, width) if c else None
        self.enter = nn.Parameter(torch.empty(self.steps, self.block, width))
        self.place = nn.Parameter(torch.empty(self.steps, width))
        self.gru = nn.GRU(width, width, batch_first=True)
        self.weight = nn.Parameter(torch.empty(d, m, width))
        self.bias = nn.Parameter(torch.empty(d, m))

    def initialise(self, rng: Stream) -> None:
        """Uniform input and recurrent weights; output weights stay zero."""
        with torch.no_grad():
            parts = {"enter": self.enter, "place": self.place, **dict(self.gru.named_parameters())}
            for name, parameter in parts.items():
                bound = 1 / math.sqrt(self.gru.hidden_size if name != "enter" else self.block)
                parameter.uniform_(-bound, bound, generator=rng.child("gru", name).torch())

    def _inputs(self, seen: Tensor, c: Tensor) -> Tensor:
        """What the GRU is fed ``(rows, steps, width)``: at step t the block before t, its place and the condition."""
        blocks = F.pad(seen, (0, self.steps * self.block - self.d)).unflatten(1, (self.steps, self.block))
        fed = torch.einsum("ntb,tbw->ntw", blocks, self.enter)
        fed = F.pad(fed, (0, 0, 1, 0))[:, :-1] + self.place
        return fed if self.begin is None else fed + self.begin(c)[:, None]

    def forward(self, seen: Tensor, c: Tensor) -> Tensor:
        """``(rows, d, m)``; feature i sees the blocks before its own."""
        h = self.gru(self._inputs(seen, c))[0].repeat_interleave(self.block, dim=1)[:, : self.d]
        return torch.einsum("ndw,dmw->ndm", h, self.weight) + self.bias

    def at(self, i: int, seen: Tensor, c: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """``(rows, m)`` of feature i alone; the GRU moves on at the first feature of a block."""
        if i % self.block == 0:
            t = i // self.block
            memory = self.gru(self._inputs(seen, c)[:, t : t + 1], memory)[1]
        return F.linear(memory[0], self.weight[i], self.bias[i]), memory


def clustered(x: NDArray[np.floating]) -> NDArray[np.int64]:
    """Order of the features of ``(rows, d)``: leaves of an average-linkage clustering with distance 1 − |correlation|.

    More than 512 features are first halved, and halved again, at the median of the leading principal direction of their own
    correlations (Boley 1998, principal direction divisive partitioning), because a linkage takes d² memory.
    """
    spread = x.std(axis=0)
    z = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return _halved(z, np.arange(x.shape[1], dtype=np.int64))


def _halved(z: NDArray[np.floating], features: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order of these columns of standardised rows."""
    d = len(features)
    if d < 3:
        return features
    own = z[:, features]
    if d <= AT_ONCE:
        distance = 1 - np.abs(own.T @ own / len(own))[np.triu_indices(d, 1)]
        return features[leaves_list(linkage(distance.clip(0), "average", optimal_ordering=True))]
    own = own - own.mean(axis=1, keepdims=True)
    direction = own.mean(axis=1) + own[:, 0]
    for _ in range(POWER):  # power iteration: the leading left singular vector, near enough to divide by
        direction = own @ (own.T @ direction)
        direction /= max(float(np.linalg.norm(direction)), 1e-12)
    order = np.argsort(own.T @ direction, kind="stable")
    return np.concatenate([_halved(z, features[np.sort(half)]) for half in (order[: d // 2], order[d // 2 :])])


def log_categorical(x: Tensor, raw: Tensor, levels: int) -> Tensor:
    """Log-probability of every count ``(rows, d)``: a category of its own below ``levels``, a geometric tail from there."""
    own = raw[..., :-1].log_softmax(dim=-1).gather(-1, x.clamp(max=levels).long()[..., None])[..., 0]
    odds = raw[..., -1]  # log q / (1 − q)
    tail = F.logsigmoid(-odds) + (x - levels) * F.logsigmoid(odds)
    return own + torch.where(x >= levels, tail, torch.zeros_like(tail))


def draw_categorical(raw: Tensor, u: Tensor, levels: int) -> Tensor:
    """Invert the distribution function of `log_categorical` at ``u[:, 0]``, of its tail at ``u[:, 1]``."""
    below = raw[:, :-1].double().softmax(dim=1).cumsum(dim=1)[:, :-1]
    k = (u[:, :1] > below).sum(dim=1).double()
    excess = (u[:, 1].clamp_min(1e-12).log() / F.logsigmoid(raw[:, -1].double())).floor()
    return torch.where(k >= levels, k + excess.clamp(max=1e6), k)
