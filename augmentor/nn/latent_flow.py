"""A normalizing flow fitted to the vectors of a trained codec: the prior that a VAE is given after its training.

    v = (z, log s) for counts, z otherwise,   z ~ q(z | x, c),   minimise −E log p(v | c)

A stage of its own, whose loss reads the codec and moves the flow only; library size is modelled jointly with z. The flow begins as
the shrunk Gaussian of each condition: with covariances where rows are few, so that they need not be learnt, else with variances.

Papers: Ghosh et al. 2020, arXiv:1903.12436 (density after training); Papamakarios et al. 2017, arXiv:1705.07057 (MAF).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from augmentor.core.contract import Encoded, Given, Layout, Phase, Stage
from augmentor.core.random import Stream
from augmentor.nn.codec import Codec
from augmentor.nn.conditioning import Batch, conditions, width
from augmentor.nn.invertible import Steps
from augmentor.nn.whitening import class_gaussians

STEPS = 2500  # optimiser steps by default
PASSES = 0.2  # passes over the rows, at most, per row, as in the model `flow`
FEW = 10  # rows per dimension below which covariances are estimated, by shrinkage, rather than learnt
PSEUDO_ROWS = 100.0  # at which a condition's own covariance weighs one half


def build(layout: Layout, dimensions: int) -> Steps:
    """An untrained masked autoregressive flow of vectors ``(rows, dimensions)``."""
    return Steps(dimensions, width(layout), layout.conditions, kind="maf", transforms=None, width=64, bins=8)


def begin(steps: Steps, codec: Codec, encoded: Encoded) -> None:
    """Start at the Gaussians of the encoded rows."""
    mean, variance = codec.vectors(encoded)
    start, covariance = class_gaussians(
        mean, variance, encoded.given.condition, encoded.layout.conditions, pseudo_rows=PSEUDO_ROWS
    )
    if len(mean) >= FEW * mean.shape[1]:
        covariance = covariance * np.eye(mean.shape[1])
    steps.start(start, covariance)


def stage(steps: Steps, codec: Codec, layout: Layout, *, epochs: int | None, batch_size: int) -> Stage:
    """The stage that fits the flow by maximum likelihood.

    Args:
        steps: the flow.
        codec: trained; the rows are read through it.
        layout: of the rows.
        epochs: passes over the rows; default by rows.
        batch_size: rows per step.
    """

    def loss(rows: Batch, generator: torch.Generator, progress: float) -> dict[str, Tensor]:
        with torch.no_grad():
            mean, log_variance = codec.encode(rows, 0.0, None)
            v = mean + torch.randn(mean.shape, generator=generator, device=mean.device) * (0.5 * log_variance).exp()
            v = torch.cat([v, codec.standard_size(rows.size)], dim=1) if codec.counts else v
        return {"likelihood": -steps.log_prob(v, rows.c, rows.condition).mean()}

    few = max(5, round(min(STEPS * batch_size / layout.rows, PASSES * layout.rows)))
    phase = Phase("likelihood", steps.parameters, loss, learning_rate=3e-3, weight_decay=1e-2)
    return Stage("flow", steps, (phase,), epochs or few, batch_size, ema=0.99, reads=(codec,))


@torch.no_grad()
def draw(steps: Steps, given: Given, layout: Layout, rng: Stream) -> NDArray[np.float32]:
    """Draw vectors ``(rows, dimensions)``."""
    dimensions = steps.mean.shape[1]
    noise = rng.numpy().standard_normal((len(given), dimensions), dtype=np.float32)
    condition = torch.from_numpy(given.condition.astype(np.int64))
    return steps.inverse(torch.from_numpy(noise), conditions(given, layout), condition).numpy()
