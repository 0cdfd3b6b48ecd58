"""Mixup within labels: a random convex combination of two training rows of one label.

    continuous   x = λ·x_i + (1 − λ)·x_j                  λ ~ Beta(α, α), i and j of the same label
    log          the same where both are positive; where only one is, its value with the probability of its weight, else 0
    counts       x_g ~ Bin(x_ig, λ) + Bin(x_jg, 1 − λ)    every molecule of i is kept with λ, of j with 1 − λ

Mixing the molecules keeps counts whole and library sizes those of real cells, and averages do not fill the zeros. Unlike SMOTE
any two rows of a label are mixed, so that rows also fall between the states of a label, where there are no real ones; a small α
keeps most rows near one of the two.

Paper: Zhang et al. 2018, arXiv:1710.09412 (there across labels, with mixed labels; here a row needs one).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Spec, State
from augmentor.core.dataset import Matrix
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.rows import Rows


class Mixup:
    """Convex combinations of two rows of a label."""

    spec = Spec(
        spaces=(Space.COUNTS, Space.LOG, Space.CONTINUOUS),
        keeps_rows=True,
        draws_size=True,
        paper="arXiv:1710.09412",
        strengths="At once; counts stay whole, library sizes are those of real cells, and zeros are not filled by "
        "averages.",
        limits="Rows are made of training rows, vary less than real ones, and also fall between the states of a label, "
        "where there are none.",
    )

    class Config(contract.Config):
        """Settings of mixup."""

        alpha: float = Field(
            0.4, gt=0, le=100, description="α: 1 mixes evenly, less stays near one row; rows vary least at large α"
        )

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        self.rows = Rows.empty(layout)

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Mixup:
        """Return an unfitted mixup."""
        return cls(layout, config)

    def estimate(self, encoded: Encoded, rng: Stream) -> None:
        """Keep the training rows, ordered by condition."""
        self.rows = Rows.of(encoded)

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return mixed rows ``(rows, features)``, each of two rows of its own condition."""
        generator = rng.child("pair").numpy()
        first, count = self.rows.segment(given.condition)
        i, j = (first + np.floor(generator.random(len(given)) * count).astype(np.intp) for _ in range(2))
        weight = generator.beta(self.config.alpha, self.config.alpha, len(given))
        if self.layout.space is Space.CONTINUOUS:
            share = weight.astype(np.float32)[:, None]
            return self.rows.x[i] * share + self.rows.x[j] * (1 - share)
        noise, one, other = rng.child("entries").numpy(), *(sparse.csr_matrix(self.rows.x[k]) for k in (i, j))
        if self.layout.space is Space.COUNTS:
            return sparse.csr_matrix(_thinned(one, weight, noise) + _thinned(other, 1 - weight, noise))
        both = sparse.diags(weight) @ one.multiply(other != 0) + sparse.diags(1 - weight) @ other.multiply(one != 0)
        alone = _kept(_only(one, other), weight, noise) + _kept(_only(other, one), 1 - weight, noise)
        return sparse.csr_matrix(both + alone, dtype=np.float32)

    def state(self) -> State:
        """The training rows."""
        return self.rows.state()

    def restore(self, state: State) -> None:
        """Take over the rows."""
        self.rows = Rows.from_state(state, self.layout)


def _thinned(x: sparse.csr_matrix, share: NDArray[np.float64], generator: np.random.Generator) -> sparse.csr_matrix:
    """Keep every molecule with the probability of its row."""
    x = x.copy()
    x.data = generator.binomial(x.data.astype(np.int64), np.repeat(share, np.diff(x.indptr))).astype(np.float32)
    x.eliminate_zeros()
    return x


def _kept(x: sparse.csr_matrix, share: NDArray[np.float64], generator: np.random.Generator) -> sparse.csr_matrix:
    """Keep every entry, as it is, with the probability of its row."""
    x.data = x.data * (generator.random(x.data.size) < np.repeat(share, np.diff(x.indptr)))
    x.eliminate_zeros()
    return x


def _only(x: sparse.csr_matrix, other: sparse.csr_matrix) -> sparse.csr_matrix:
    """Entries where the other is zero."""
    rest = sparse.csr_matrix(x - x.multiply(other != 0))
    rest.eliminate_zeros()
    rest.sort_indices()
    return rest


Model = Mixup
