"""Jitter: training rows of a label drawn again, with a little noise.

    counts       x′_g = ⌊x_g·exp(τ·η_g) + u_g⌋     for x_g > 0; zeros stay zeros     η ~ N(0, 1), u ~ U(0, 1)
    log          x′_g = max(x_g + τ·σ_g·η_g, 0)    for x_g > 0; zeros stay zeros
    continuous   x′_g = x_g + τ·σ_g·η_g            σ_g: standard deviation within labels, pooled

The augmentation that everybody can write in a line, and therefore the one that a model has to beat. Its rows are training rows
in all but a few digits: see the copying scores.

Source: noise injection, Bishop 1995, "Training with noise is equivalent to Tikhonov regularization", doi:10.1162/neco.1995.7.1.108.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Spec, State
from augmentor.core.dataset import Matrix, column_moments
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.core.state import check_state
from augmentor.nn.rows import Rows


class Jitter:
    """Rows of a label, drawn with replacement, plus noise."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.LOG, Space.CONTINUOUS),
        keeps_rows=True,
        draws_size=True,
        paper="doi:10.1162/neco.1995.7.1.108",
        strengths="At once, for any number of rows and labels of two rows; what everybody can write in a line, to be "
        "beaten.",
        limits="Its rows are training rows in all but a few digits: no new combination of values, and nothing is "
        "hidden.",
    )

    class Config(contract.Config):
        """Settings of jitter."""

        scale: float = Field(
            0.1, ge=0, le=10, description="τ: noise in standard deviations; a tenth is what most people add"
        )

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        self.rows = Rows.empty(layout)
        self.spread: NDArray[np.float32] = np.zeros(0, np.float32)

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Jitter:
        """Return an unfitted jitter."""
        return cls(layout, config)

    def estimate(self, encoded: Encoded, rng: Stream) -> None:
        """Keep the training rows and the spread of every feature within labels."""
        self.rows = Rows.of(encoded)
        counts, variance = np.diff(self.rows.bounds), np.zeros(self.layout.features)
        for c in np.flatnonzero(counts):
            own = self.rows.x[self.rows.bounds[c] : self.rows.bounds[c + 1]]
            variance += counts[c] * column_moments(own)[1] / counts.sum()
        self.spread = np.sqrt(variance).astype(np.float32)

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return a random training row of each condition asked for plus noise, ``(rows, features)``."""
        first, count = self.rows.segment(given.condition)
        chosen = first + np.floor(rng.child("row").numpy().random(len(given)) * count).astype(np.intp)
        x, noise = self.rows.x[chosen], rng.child("noise").numpy()
        if self.layout.space is Space.CONTINUOUS:
            return x + self.config.scale * self.spread * noise.standard_normal(x.shape, dtype=np.float32)
        x = sparse.csr_matrix(x)
        step = self.config.scale * noise.standard_normal(x.data.size)
        if self.layout.space is Space.COUNTS:
            x.data = np.floor(x.data * np.exp(step) + noise.random(x.data.size)).astype(np.float32)
        else:
            x.data = np.maximum(x.data + self.spread[x.indices] * step, 0).astype(np.float32)
        x.eliminate_zeros()
        return x

    def state(self) -> State:
        """The training rows and the spread."""
        return {**self.rows.state(), "spread": self.spread}

    def restore(self, state: State) -> None:
        """Take over rows and spread."""
        state = dict(state)
        spread = {"spread": state.pop("spread")} if "spread" in state else {}
        check_state({"spread": ((self.layout.features,), np.float32)}, spread, "the noise of jitter")
        self.spread = spread["spread"]
        self.rows = Rows.from_state(state, self.layout)


Model = Jitter
