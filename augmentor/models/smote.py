"""SMOTE: a point on the line between a training row and one of its nearest neighbours of the same label.

    x = x_i + u·(x_j − x_i),   u ~ U(0, 1),   j among the k nearest neighbours of i within the label

Mixed tables (SMOTE-NC): numbers as above; a category is the most frequent one among i and its neighbours (``categories =
majority``, the paper's rule), or that of i or j, of j with probability u (``drawn``). For neighbours, numbers are divided by their
standard deviation within labels, and a different category counts as much as a difference of one: the paper's median deviation.

Counts are interpolated on the log-normalised scale. Rows lie between training rows, so they vary less than real ones
and sit close to them.

Paper: Chawla et al., SMOTE: synthetic minority over-sampling technique, JAIR 16 (2002), doi:10.1613/jair.953.
"""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from augmentor.core import contract
from augmentor.core.contract import Encoded, Given, Layout, Spec, State
from augmentor.core.dataset import Matrix
from augmentor.core.errors import ArtifactError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.rows import Rows
from augmentor.nn.table import Places


class Smote:
    """Interpolation between neighbours within a label."""

    spec = Spec(
        spaces=(Space.LOG, Space.CONTINUOUS, Space.MIXED),
        keeps_rows=True,
        paper="doi:10.1613/jair.953",
        strengths="At once, from two rows of a label on, mixed tables too; a classifier learns from its rows as from real "
        "ones (PBMC3k: .89 of .90).",
        limits="Rows lie between neighbours: half the variance within labels (.52), told apart by a forest (AUC .85 on "
        "PBMC3k), nearest to training rows nearly always (excess .97). --calibrate gives the margins back: AUC .57 instead "
        "of .79 with a fifth held out.",
    )

    class Config(contract.Config):
        """Settings of SMOTE."""

        neighbours: int = Field(
            5, ge=1, le=1000, description="k; five as in the paper, a label with fewer rows uses all its other rows"
        )
        categories: Literal["drawn", "majority"] = Field(
            "drawn",
            description="categories of a mixed table: of the row or its neighbour by chance, or the majority of all "
            "neighbours, which "
            "loses rare ones (heart disease, three splits: shape .875 and .839 of .887, error of associations .11 and .17 of .10)",
        )

    def __init__(self, layout: Layout, config: Config) -> None:
        self.layout, self.config = layout, config
        self.rows = Rows.empty(layout)
        self.neighbours: NDArray[np.int32] = np.zeros((0, config.neighbours), np.int32)
        self.places = None if layout.levels is None else Places(layout.levels)

    @classmethod
    def build(cls, layout: Layout, config: Config) -> Smote:
        """Return an unfitted SMOTE."""
        return cls(layout, config)

    def estimate(self, encoded: Encoded, rng: Stream) -> None:
        """Keep the rows and find every row's neighbours within its condition."""
        self.rows = Rows.of(encoded)
        x = self.rows.x if self.places is None else self._comparable(self.places)
        self.neighbours = np.zeros((len(encoded), self.config.neighbours), np.int32)
        for first, last in zip(self.rows.bounds[:-1], self.rows.bounds[1:], strict=True):
            k = min(self.config.neighbours, int(last - first) - 1)
            if k < 1:
                self.neighbours[first:last] = first  # a single row has no neighbour: it is repeated
                continue
            block = x[first:last]
            near = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(block).kneighbors(return_distance=False)
            # fewer than k others: repeat them in turn, so that every one stays equally likely
            self.neighbours[first:last] = first + near[:, np.arange(self.config.neighbours) % k]

    def _comparable(self, places: Places) -> NDArray[np.float32]:
        """Rows of a mixed table at places where they have Euclidean distances: two categories are 1 apart."""
        x, bounds = self.rows.x[:, places.numbers].astype(np.float64), self.rows.bounds
        centre = [x[first:last].mean(axis=0) for first, last in itertools.pairwise(bounds)]
        sd = (x - np.repeat(centre, np.diff(bounds), axis=0)).std(axis=0)
        out = places.hot(self.rows.x)
        out[:, : len(sd)] /= np.where(sd > 0, sd, 1)
        out[:, len(sd) :] /= np.sqrt(2)
        return out

    def draw(self, given: Given, rng: Stream) -> Matrix:
        """Return interpolated rows ``(rows, features)``, each from its own condition."""
        first, count = self.rows.segment(given.condition)
        i, j, u = np.empty(len(given), np.intp), np.empty(len(given), np.intp), np.empty(len(given), np.float32)
        for c in np.unique(given.condition):
            rows = np.flatnonzero(given.condition == c)
            # a stream per label: what is asked of one leaves the draws of another as they are
            generator = rng.child("label", int(c)).numpy()
            i[rows] = first[rows] + np.floor(generator.random(rows.size) * count[rows]).astype(np.intp)
            j[rows] = self.neighbours[i[rows], generator.integers(self.config.neighbours, size=rows.size)]
            u[rows] = generator.random(rows.size)
        if sparse.issparse(self.rows.x):
            return sparse.csr_matrix(sparse.diags(1 - u) @ self.rows.x[i] + sparse.diags(u) @ self.rows.x[j])
        out: NDArray[np.float32] = self.rows.x[i] * (1 - u)[:, None] + self.rows.x[j] * u[:, None]
        if self.places is not None:
            self._categories(out, self.places, i, j, rng.child("categories"), u)
        return out

    def _categories(
        self,
        out: NDArray[np.float32],
        places: Places,
        i: NDArray[np.intp],
        j: NDArray[np.intp],
        rng: Stream,
        u: NDArray[np.float32],
    ) -> None:
        """Fill the categories of drawn rows between rows ``i`` and their neighbours ``j``."""
        generator = rng.numpy()
        for k, columns in places.blocks:
            if self.config.categories == "drawn":
                theirs = generator.random((len(i), len(columns))) < u[:, None]
                out[:, columns] = np.where(theirs, self.rows.x[np.ix_(j, columns)], self.rows.x[np.ix_(i, columns)])
                continue
            around = np.column_stack([i, self.neighbours[i]])
            votes = (self.rows.x[around][:, :, columns, None] == np.arange(k)).sum(axis=1)
            # ties are broken at random
            out[:, columns] = (votes + 0.5 * generator.random(votes.shape)).argmax(axis=2)

    def state(self) -> State:
        """The training rows and their neighbours."""
        return {**self.rows.state(), "neighbours": self.neighbours}

    def restore(self, state: State) -> None:
        """Take over rows and neighbours."""
        state = dict(state)
        neighbours = state.pop("neighbours", None)
        self.rows = Rows.from_state(state, self.layout)
        shape = (self.rows.x.shape[0], self.config.neighbours)
        if neighbours is None or neighbours.shape != shape or (neighbours.size and neighbours.max() >= shape[0]):
            found = "missing" if neighbours is None else f"{neighbours.shape}"
            raise ArtifactError(f"tensor 'neighbours' should be {shape} of row positions, but it is {found}.")
        self.neighbours = neighbours


Model = Smote
