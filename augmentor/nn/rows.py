"""Training rows kept by a model, ordered by condition, dense or sparse: shared by bootstrap, SMOTE and copula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.contract import Encoded, Layout, State
from augmentor.core.dataset import Matrix, as_matrix
from augmentor.core.errors import ArtifactError
from augmentor.core.state import check_state


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one condition after those of another.

    Attributes:
        x: ``(rows, features)``.
        bounds: ``(conditions + 1,)``; condition c owns rows ``bounds[c]:bounds[c + 1]``.
    """

    x: Matrix
    bounds: NDArray[np.int64]

    @classmethod
    def empty(cls, layout: Layout) -> Rows:
        """No rows yet."""
        return cls(np.zeros((0, layout.features), np.float32), np.zeros(layout.conditions + 1, np.int64))

    @classmethod
    def of(cls, encoded: Encoded) -> Rows:
        """Order the training rows by condition."""
        condition = encoded.given.condition
        order = np.argsort(condition, kind="stable")
        counts = np.bincount(condition, minlength=encoded.layout.conditions)
        return cls(as_matrix(encoded.x[order]), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    def segment(self, condition: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row and number of rows of each condition asked for."""
        return self.bounds[condition], self.bounds[condition + 1] - self.bounds[condition]

    def state(self) -> State:
        """Rows as CSR parts or as one dense array, and the bounds."""
        if sparse.issparse(self.x):
            return {
                "data": self.x.data,
                "indices": self.x.indices.astype(np.int32),
                "indptr": self.x.indptr.astype(np.int64),
                "bounds": self.bounds,
            }
        return {"dense": self.x, "bounds": self.bounds}

    @classmethod
    def from_state(cls, state: State, layout: Layout) -> Rows:
        """Rebuild; a state that does not fit the layout is refused."""
        bounds_shape = ((layout.conditions + 1,), np.int64)
        if "dense" in state:
            check_state(
                {"dense": ((None, layout.features), np.float32), "bounds": bounds_shape}, state, "the kept rows"
            )
            x: Matrix = state["dense"]
        else:
            lengths = {"data": np.float32, "indices": np.int32, "indptr": np.int64}
            check_state(
                {**{k: ((None,), d) for k, d in lengths.items()}, "bounds": bounds_shape}, state, "the kept rows"
            )
            parts = (state["data"], state["indices"], state["indptr"])
            try:
                x = sparse.csr_matrix(parts, shape=(len(parts[2]) - 1, layout.features))
                x.check_format(full_check=True)
            except ValueError as error:
                raise ArtifactError(f"the kept rows are not a sparse matrix ({error}). Fit the model again.") from None
        bounds = state["bounds"]
        if bounds[0] != 0 or bounds[-1] != x.shape[0] or np.any(np.diff(bounds) < 0):
            raise ArtifactError("tensor 'bounds' does not order the kept rows by label. Fit the model again.")
        return cls(x, bounds)
