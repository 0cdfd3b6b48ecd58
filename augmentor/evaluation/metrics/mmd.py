"""Maximum mean discrepancy between synthetic and held-out rows, unbiased, in PC space.

``MMD2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(s_i, s_j) - 2 mean k(x_i, s_j)``, k the mean of five Gaussian kernels
``exp(-|.|^2 / (a h))``, a in {1/4, 1/2, 1, 2, 4}, h the median squared distance among the fitting rows: one h for all arms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.pair import Pair, distances
from augmentor.evaluation.score import ScoreSpec

PERMUTATIONS = 200
# Rows from which the bandwidth is taken.
BANDWIDTH_ROWS = 1000

MMD = ScoreSpec(
    name="mmd",
    axis="fidelity",
    title="maximum mean discrepancy",
    meaning="Kernel distance to held-out rows; 0 on average for real rows, and below 0 by chance.",
    goal="minimize",
    ideal=0.0,
    bounds=(None, None),
    floor="independent",
    formula="unbiased MMD^2, mean of 5 Gaussian kernels around the median squared distance of the fitting rows, 30 PCs",
    catches="shifted or missing groups of rows",
    misses="fine detail, noise of single counts",
    citation="Gretton et al. 2012",
    interval="subsample",
)

Table = NDArray[np.float64]


class Metric:
    """Kernel two-sample distance."""

    scores = (MMD,)
    setup = Setup(rows="distinct")

    def measure(self, pair: Pair) -> Measures:
        """Return the discrepancy, per label too, and for the whole synthetic set a permutation p-value."""
        width = bandwidth(pair)
        if width <= 0:
            return {MMD.name: Measured.none("the fitting rows do not vary")}
        kernels = _kernels(pair, width)
        value = discrepancy(*kernels)
        per_label = {
            label: None if part is None else discrepancy(*_kernels(part, width)) for label, part in pair.each_label()
        }
        detail = {"bandwidth": width, "mean_kernel": float(kernels[2].mean())}
        if pair.arm == "synthetic" and pair.principal:
            detail["p_value"] = _p_value(*kernels, value, pair.stream.child("mmd").numpy())
        return {MMD.name: Measured(value, per_label, detail=detail)}


def bandwidth(pair: Pair) -> float:
    """Return the median squared distance among the fitting rows (real rows where they are fitted on together)."""
    root = pair if pair.whole is None else pair.whole[0]
    pcs = (root.fit if pair.policy == "disjoint" else root.real).pcs[:BANDWIDTH_ROWS]
    squared = np.square(distances(pcs, pcs))
    return float(np.median(squared[np.triu_indices(len(pcs), 1)])) if len(pcs) > 1 else 0.0


def kernel(gaps: Table, width: float) -> Table:
    """Return the mean of the five kernels of distances; each is the square of the one before."""
    one = np.exp(-np.square(gaps) / (4.0 * width))
    total = one.copy()
    for _ in range(4):
        one = np.square(one)
        total += one
    return total / 5.0


def discrepancy(within_a: Table, within_b: Table, between: Table) -> float:
    """Return the unbiased squared discrepancy of kernel matrices."""
    m, n = between.shape
    a = (within_a.sum() - np.trace(within_a)) / (m * (m - 1))
    b = (within_b.sum() - np.trace(within_b)) / (n * (n - 1))
    return float(a + b - 2.0 * between.mean())


def _kernels(pair: Pair, width: float) -> tuple[Table, Table, Table]:
    gaps = (pair.synthetic.distances, pair.real.distances, pair.distances)
    return kernel(gaps[0], width), kernel(gaps[1], width), kernel(gaps[2], width)


def _p_value(a: Table, b: Table, between: Table, value: float, rng: np.random.Generator) -> float:
    """Share of random relabellings of the rows that give at least this discrepancy."""
    joint = np.block([[a, between], [between.T, b]])
    m, n = between.shape
    diagonal = np.diag(joint)
    inside = np.zeros((m + n, PERMUTATIONS))
    for i in range(PERMUTATIONS):
        inside[rng.permutation(m + n)[:m], i] = 1.0
    outside = 1.0 - inside
    image = joint @ inside
    within_a = (inside * image).sum(axis=0) - diagonal @ inside
    cross = (outside * image).sum(axis=0)
    within_b = (outside * (joint.sum(axis=1)[:, None] - image)).sum(axis=0) - diagonal @ outside
    null = within_a / (m * (m - 1)) + within_b / (n * (n - 1)) - 2.0 * cross / (m * n)
    return float((1 + (null >= value).sum()) / (1 + PERMUTATIONS))
