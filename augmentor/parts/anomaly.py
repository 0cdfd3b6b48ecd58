"""How odd a row looks to a model: its surprise beyond what its label and depth explain, placed among rows in the same position.

    surprise    u = −log p(x | c) / features, as the model defines it (`core.contract.Scores`)
    expected    û(c, s) = a_c + b·l + d·l²,   l = standardised log library size; a_c shrunk to their mean; without counts a_c only
    score       u − û(c, s)
    threshold   the ⌈(n + 1)·q⌉-th smallest score of the n reference rows (split conformal prediction)

A cell with more counts has less likely counts, whatever it is, so surprise by itself finds deep cells. û is fitted to the training
rows, of which there are many. A network rebuilds the rows it has seen far better than others: a threshold from the training rows
flags 40 to 97 % of new ones (`benchmarks/results/anomalies.md`). So there are two references: new rows are placed among the
rows that `fit` held out, and rows that the model learned from among the training rows. If new rows are exchangeable with the held-out
ones, at most 1 − q of them lie above the threshold. Fewer reference rows than 1/(1 − q) − 1 cannot say where that is: then it is the
one-sided prediction bound of a Gaussian, and at least their largest score.

Paper: Vovk et al. 2005, Algorithmic Learning in a Random World (conformal prediction); Lei et al. 2018, arXiv:1604.04173 (split).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from augmentor.core.contract import Given, State
from augmentor.core.errors import ArtifactError
from augmentor.core.state import Shape, check_state

PSEUDO_ROWS = 5.0  # rows at which a label's own level weighs one half
MOST = 5000  # scores of either reference that are kept
SHAPES = {"level": (None,), "slope": (2,), "depth": (2,), "trained": (None,), "held": (None,)}


@dataclass(frozen=True, eq=False)
class Reference:
    """What surprise is expected, and the scores of rows that were learned from and of rows that were not.

    Attributes:
        level: ``(conditions,)`` a_c.
        slope: ``(2,)`` b and d; zeros without library sizes.
        depth: ``(2,)`` mean and standard deviation of log library sizes.
        trained: ``(m,)`` scores of the training rows, ascending.
        held: ``(n,)`` scores of the held-out rows, ascending; none where none were held out.
    """

    level: NDArray[np.float64]
    slope: NDArray[np.float64]
    depth: NDArray[np.float64]
    trained: NDArray[np.float64]
    held: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        surprise: NDArray[np.float64],
        given: Given,
        conditions: int,
        held: tuple[NDArray[np.float64], Given] | None = None,
    ) -> Reference:
        """Fit to the surprise of training rows ``(rows,)``; ``held`` is that of held-out rows, with their conditions."""
        logs = np.log(given.sizes)
        depth = np.array([logs.mean(), max(float(logs.std()), 1e-3)])
        design = np.zeros((len(given), 3 + conditions))
        design[:, 0] = 1
        design[:, 1:3] = 0 if given.size is None else _powers(logs, depth)
        design[np.arange(len(given)), 3 + given.condition] = 1
        # labels are deviations from a common level, each shrunk as if it had so many rows more; what is not there has no weight
        penalty = np.diag([1e-6, 1e-3, 1e-3, *np.full(conditions, PSEUDO_ROWS)])
        found: NDArray[np.float64] = np.linalg.solve(design.T @ design + penalty, design.T @ surprise).astype(
            np.float64
        )
        none: NDArray[np.float64] = np.zeros(0)
        expected = cls(found[0] + found[3:], found[1:3], depth, none, none)
        trained = _kept(expected.score(surprise, given))
        return replace(expected, trained=trained, held=none if held is None else _kept(expected.score(*held)))

    def score(self, surprise: NDArray[np.float64], given: Given) -> NDArray[np.float64]:
        """Surprise beyond what is expected of the row's label and depth, ``(rows,)``."""
        expected = self.level[given.condition]
        if given.size is not None:
            expected = expected + _powers(np.log(given.sizes), self.depth) @ self.slope
        return surprise - expected

    def quantile(self, scores: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Share of the reference rows that score less ``(rows,)``; ``seen`` says which rows were learned from."""
        return np.where(seen, *(np.searchsorted(own, scores) / max(own.size, 1) for own in (self.trained, self.held)))

    def threshold(self, share: float, *, seen: bool = False) -> float:
        """Score that at most ``1 − share`` of rows like the reference rows exceed."""
        scores = self.trained if seen else self.held
        n = scores.size
        rank = int(np.ceil((n + 1) * share - 1e-9))
        if rank <= n:
            return float(scores[max(rank, 1) - 1])
        if n < 2:
            return float("inf")
        bound = stats.t.ppf(share, n - 1) * scores.std(ddof=1) * np.sqrt(1 + 1 / n)
        return max(float(scores[-1]), float(scores.mean() + bound))

    def state(self) -> State:
        """Everything fitted."""
        return {name: getattr(self, name) for name in SHAPES}

    @classmethod
    def from_state(cls, state: State, conditions: int) -> Reference:
        """Rebuild from `state`.

        Raises:
            ArtifactError: names, shapes or types are wrong, or the scores are not in order.
        """
        shapes: dict[str, Shape] = {name: (shape, np.float64) for name, shape in SHAPES.items()}
        check_state(shapes | {"level": ((conditions,), np.float64)}, state, "the reference of anomaly scores")
        if any(np.any(np.diff(state[name]) < 0) for name in ("trained", "held")):
            raise ArtifactError("the reference of anomaly scores is not in order. Fit the model again.")
        return cls(**state)


def _kept(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores in order, or as many of their quantiles as are kept."""
    if scores.size > MOST:
        return np.asarray(np.quantile(scores, np.linspace(0, 1, MOST)), dtype=np.float64)
    return np.sort(scores)


def _powers(logs: NDArray[np.float64], depth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standardised log sizes and their squares ``(rows, 2)``; beyond three deviations a parabola says nothing true."""
    standard = np.clip((logs - depth[0]) / depth[1], -3, 3)
    return np.column_stack([standard, standard**2])
