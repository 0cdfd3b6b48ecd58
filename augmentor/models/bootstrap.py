"""Bootstrap: training rows drawn again, with replacement, within their label.

The honest trivial baseline. Its rows are perfect, and none is new: every fidelity score is at its ceiling, every
copying score at its worst.

    x ~ (1/n_c) Σ_{i in label c} δ(x − x_i)

Paper: B. Efron, Bootstrap methods: another look at the jackknife, Ann. Statist. 7 (1979), doi:10.1214/aos/1176344552.
"""

from __future__ import annotations

import numpy as np

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Spec, State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.rows import Rows


class Bootstrap:
    """Rows of a label, drawn with replacement."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.LOG, Space.CONTINUOUS, Space.MIXED),
        keeps_rows=True,
        draws_size=True,
        strengths="Every row is a real one, so no model beats its fidelity: it shows what a score is worth, at no cost.",
        limits="It copies: all its rows are training rows (excess of copies 1.00 on every data set), and nothing in "
        "them is new.",
    )

    class Config(contract.Config):
        """No settings."""

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        self.rows = Rows.empty(layout)

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Bootstrap:
        """Return an unfitted bootstrap."""
        return cls(layout, config)

    def estimate(self, encoded: Encoded, rng: Stream) -> None:
        """Keep the training rows, ordered by condition."""
        self.rows = Rows.of(encoded)

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return a random training row of each condition asked for, ``(rows, features)``."""
        first, count = self.rows.segment(given.condition)
        chosen = first + np.floor(rng.numpy().random(len(given)) * count).astype(np.intp)
        return self.rows.x[chosen]

    def state(self) -> State:
        """The training rows."""
        return self.rows.state()

    def restore(self, state: State) -> None:
        """Take over the rows."""
        self.rows = Rows.from_state(state, self.layout)


Model = Bootstrap
