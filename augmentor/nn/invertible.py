"""Invertible steps between vectors and noise: the density of a vector is exact, and drawing is the steps inverted.

    y₀ = Σ_c^(−½)·(u − μ_c),   y_k = f_k(y_{k−1}; c),   log p(u | c) = log N(y_K; 0, I) + Σ_k log |det ∂y_k / ∂y_{k−1}|

The kinds of f_k (nice, realnvp, maf, iaf, nsf) are those of `models/flow.py`. Every f_k starts as the identity, so the flow starts as
the Gaussian of each condition that `Steps.start` is given. Steps: zuko.

Paper: Papamakarios et al. 2021, arXiv:1912.02762.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from zuko.flows.autoregressive import MaskedAutoregressiveTransform
from zuko.flows.coupling import GeneralCouplingTransform
from zuko.transforms import AdditiveTransform, ComposedTransform, MonotonicAffineTransform, MonotonicRQSTransform

from augmentor.core.random import Stream

IAF_PASSES = 4  # groups of coordinates within a step of iaf: its training inverts every step, one pass per group
SLOPE = 0.05  # an affine step scales by 0.05 to 20: wider, and one odd row is inverted to infinity

Kind = Literal["nice", "realnvp", "maf", "iaf", "nsf"]


class Steps(nn.Module):
    """p(u | c) of ``(rows, d)``: whitening by the condition's Gaussian, then zuko's transforms.

    Args:
        d: dimensions of u.
        c: condition inputs, see `nn.conditioning.width`.
        conditions: number of conditions.
        kind: which steps.
        transforms: how many; by default 5, and 2 for nsf, whose steps bend margins at once.
        width: of the two hidden layers that give a step's parameters.
        bins: of a spline (nsf).
    """

    def __init__(
        self, d: int, c: int, conditions: int, *, kind: Kind, transforms: int | None, width: int, bins: int
    ) -> None:
        super().__init__()
        self.mean: Tensor
        self.whiten: Tensor
        self.colour: Tensor
        self.log_det: Tensor
        self.register_buffer("mean", torch.zeros(conditions, d))
        self.register_buffer("whiten", torch.eye(d).repeat(conditions, 1, 1))
        self.register_buffer("colour", torch.eye(d).repeat(conditions, 1, 1))
        self.register_buffer("log_det", torch.zeros(conditions))
        with _Unfilled():
            self.steps = nn.ModuleList(
                _step(d, c, i, kind, width, bins) for i in range(transforms or (2 if kind == "nsf" else 5))
            )
        self.log_scale = nn.Parameter(torch.zeros(d)) if kind == "nice" else None

    def initialise(self, rng: Stream) -> None:
        """LeCun-uniform hidden layers; last layers of zeros, so that every step is the identity. Masks stay as they are."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                parameter.zero_()
                if parameter.dim() == 2 and name.endswith("weight"):
                    bound = 1 / math.sqrt(parameter.shape[1])
                    parameter.uniform_(-bound, bound, generator=rng.child(name).torch())
            for step in self.steps:
                hyper = getattr(getattr(step, "transform", step), "hyper", None)  # none: one feature without label
                if hyper is not None:
                    hyper[-1].weight.zero_()

    def start(self, mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
        """Begin at these Gaussians; the symmetric root leaves every coordinate as near to itself as whitening can."""
        values, vectors = np.linalg.eigh(covariance)
        root = np.sqrt(values)[:, None, :]
        turned = vectors.transpose(0, 2, 1)
        for buffer, array in (
            (self.mean, mean),
            (self.whiten, (vectors / root) @ turned),
            (self.colour, (vectors * root) @ turned),
            (self.log_det, -0.5 * np.log(values).sum(axis=1)),
        ):
            buffer.copy_(torch.from_numpy(array.astype(np.float32)))

    def log_prob(self, u: Tensor, c: Tensor, condition: Tensor) -> Tensor:
        """Log-density ``(rows,)``."""
        y, change = self.forward(u, c, condition)
        return change - 0.5 * (y.square() + math.log(2 * math.pi)).sum(dim=1)

    def forward(self, u: Tensor, c: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Rows to noise ``(rows, d)``, with the log-determinant of the Jacobian ``(rows,)``."""
        y = torch.einsum("nij,nj->ni", self.whiten[condition], u - self.mean[condition])
        y, change = self._composed(c).call_and_ladj(y)
        change = change + self.log_det[condition]
        if self.log_scale is not None:
            y, change = y * self.log_scale.exp(), change + self.log_scale.sum()
        return y, change

    def inverse(self, y: Tensor, c: Tensor, condition: Tensor) -> Tensor:
        """Noise ``(rows, d)`` to rows."""
        if self.log_scale is not None:
            y = y * (-self.log_scale).exp()
        y = self._composed(c).inv(y)
        return torch.einsum("nij,nj->ni", self.colour[condition], y) + self.mean[condition]

    def _composed(self, c: Tensor) -> Any:
        context = c if c.shape[1] else None
        return ComposedTransform(*(step(context) for step in self.steps))


class _Unfilled(TorchFunctionMode):
    """Within it, layers are built without drawing initial weights from the global generator: `initialise` gives them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init" or func is torch.Tensor.uniform_:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs) if func is not torch.randn else torch.zeros(*args, **kwargs)


def _step(d: int, c: int, position: int, kind: Kind, width: int, bins: int) -> nn.Module:
    """Step number ``position``; coordinates change their roles from step to step."""
    shapes: list[tuple[int, ...]]
    if kind == "nice":
        univariate, shapes = AdditiveTransform, [()]
    elif kind == "nsf":
        univariate = MonotonicRQSTransform
        shapes = [(bins,), (bins,), (bins - 1,)]
    else:
        univariate, shapes = partial(MonotonicAffineTransform, slope=SLOPE), [(), ()]
    common: dict[str, Any] = {
        "features": d,
        "context": c,
        "univariate": univariate,
        "shapes": shapes,
        "hidden_features": (width, width),
        "activation": nn.Tanh,
    }
    if kind in ("nice", "realnvp"):
        return GeneralCouplingTransform(mask=torch.arange(d) % 2 == position % 2, **common)
    order = torch.arange(d) if position % 2 == 0 else torch.arange(d).flip(0)
    passes = IAF_PASSES if kind == "iaf" else None
    step = MaskedAutoregressiveTransform(order=order, passes=passes, **common)
    return step.inv if kind == "iaf" else step
