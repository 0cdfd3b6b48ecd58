"""UMAP overlap: do synthetic and held-out rows of a label cover the same area of a map fitted on neither?

One reference map is fitted on rows that are not compared (H_fit, or a half of T set aside); synthetic, real and ceiling
rows are all transformed into it, so that none has the advantage of having shaped it. Per label the overlap coefficient
``sum_cells min(p, q)`` of two Gaussian kernel densities on a 128 x 128 grid over the range of the held-out rows plus 10 %,
both with the bandwidth of the held-out rows; mass outside the grid counts as not overlapping. The detail has the mixing of
neighbours on the map, as `mixing` has it in components, and the label that overlaps least. UMAP distorts densities: a
picture with a number, never a verdict.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.columns import rounded
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.metrics.mixing import NEIGHBOURS, other_share
from augmentor.evaluation.pair import Pair, Side, distances
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.spaces import Basis

FIT_ROWS, MAPPED_ROWS, SHOWN_ROWS = 1000, 2000, 1500
GRID = 128
# With fewer fitting rows a map of neighbourhoods means nothing; the first two components are used and named.
LEAST_FIT = 50

OVERLAP = ScoreSpec(
    name="embedding_overlap",
    axis="fidelity",
    title="UMAP overlap",
    meaning="Overlap of synthetic and held-out rows of a label on a map that was fitted on neither.",
    goal="maximize",
    ideal=None,
    bounds=(0.0, 1.0),
    floor="independent",
    formula="mean over labels of sum min(p_S, p_H) of kernel densities on a reference UMAP (15 neighbours, 30 PCs)",
    catches="labels in the wrong place, lost groups",
    misses="whatever the map distorts; no verdict rests on it",
    citation="McInnes et al. 2018; overlap coefficient",
    interval="subsample",
)

Points = NDArray[np.float64]


class Metric:
    """Overlap on a reference map."""

    scores = (OVERLAP,)
    setup = Setup(rows="mapped", draws=4, alternate=True, floors="named", order=2)

    def __init__(self) -> None:
        # maps and mapped rows by identity of bases and sides, which the frame keeps alive
        self._maps: dict[int, Any] = {}
        self._points: dict[int, tuple[Side, Points]] = {}

    def measure(self, pair: Pair) -> Measures:
        """Return the mean overlap over labels."""
        synthetic, real = self.points(pair.synthetic), self.points(pair.real)
        detail: dict[str, Any] = {"map": "UMAP" if self._map(pair.basis) is not None else "PC 1 and 2"}
        if pair.arm == "synthetic" and pair.principal:
            detail |= _mixing(synthetic, real)
        if len(pair.labels) < 2:
            return {OVERLAP.name: Measured(overlap(synthetic, real), detail=detail)}
        per_label = {}
        for label, part in pair.each_label():
            code = pair.labels.index(label)
            per_label[label] = (
                None if part is None else overlap(synthetic[pair.synthetic.y == code], real[pair.real.y == code])
            )
        few = all(value is None for value in per_label.values())
        known = {label: value for label, value in per_label.items() if value is not None}
        if known:
            detail["worst_label"] = min(known, key=lambda label: known[label])
        pooled = overlap(synthetic, real)
        return {OVERLAP.name: Measured.over_labels(pooled, per_label, fallback=few, detail=detail)}

    def figures(self, frame: Frame, measured: Mapping[str, list[Measures]]) -> dict[str, dict[str, Any]]:
        """Return the mapped rows of the first fold, both kinds in one shuffled order."""
        pair = frame.pair("mapped", "synthetic", 0)
        points = np.concatenate([self.points(pair.synthetic), self.points(pair.real)])
        origin = np.repeat(["synthetic", "real"], [len(pair.synthetic), len(pair.real)])
        label = np.array(pair.labels)[np.concatenate([pair.synthetic.y, pair.real.y])]
        order = pair.stream.child("figure").numpy().permutation(len(points))[: 2 * SHOWN_ROWS]
        figure = {"x": rounded(points[order, 0]), "y": rounded(points[order, 1])}
        return {"umap": figure | {"label": label[order].tolist(), "origin": origin[order].tolist()}}

    def points(self, side: Side) -> Points:
        """Return ``(rows, 2)`` coordinates on the reference map of the side's basis."""
        root, rows = side.origin()
        if id(root) not in self._points:
            reducer = self._map(root.basis)
            if reducer is None:
                points = root.pcs[:, :2] if root.pcs.shape[1] > 1 else np.column_stack([root.pcs, 0 * root.pcs])
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    points = np.asarray(reducer.transform(root.pcs[:MAPPED_ROWS]), dtype=np.float64)
            self._points[id(root)] = root, points
        return self._points[id(root)][1][rows]

    def _map(self, basis: Basis) -> Any:
        """Return the fitted map of a basis, or None where there are too few rows for one."""
        if id(basis) not in self._maps:
            pcs = Side(basis.fit, basis).pcs
            self._maps[id(basis)] = _reference(pcs[:FIT_ROWS], seed=int(basis.digest[:7], 16))
        return self._maps[id(basis)]


def _reference(pcs: Points, *, seed: int) -> Any:
    if len(pcs) < LEAST_FIT or pcs.shape[1] < 3:
        return None
    with warnings.catch_warnings():
        # importing umap warns of parts that need tensorflow, fitting of graphs that fall apart: both are of no consequence
        warnings.simplefilter("ignore")
        from umap.umap_ import UMAP

        fitted = UMAP(n_neighbors=15, min_dist=0.3, n_epochs=200, random_state=seed, n_jobs=1).fit(pcs)
        # for few fitted rows, new ones are compared with all of them one by one in Python, unless by a metric that
        # scikit-learn knows by name
        fitted._input_distance_func = "euclidean"
        return fitted


def _mixing(synthetic: Points, real: Points) -> dict[str, float]:
    """Return the mixing of neighbours on the map around synthetic and around real rows; 1 means well mixed."""
    k = min(NEIGHBOURS, min(len(synthetic), len(real)) // 5)
    if k < 1:
        return {}
    between = distances(synthetic, real)
    return {
        "mixing_synthetic": other_share(distances(synthetic, synthetic), between, k),
        "mixing_real": other_share(distances(real, real), between.T, k),
    }


def overlap(a: Points, b: Points) -> float:
    """Return the overlap of two clouds of points, by kernel densities with the bandwidth of ``b`` (Scott)."""
    low, high = b.min(axis=0), b.max(axis=0)
    margin = 0.1 * np.maximum(high - low, 1e-9)
    edges = [np.linspace(low[i] - margin[i], high[i] + margin[i], GRID + 1) for i in range(2)]
    cell = np.array([edge[1] - edge[0] for edge in edges])
    width = np.maximum(b.std(axis=0, ddof=1) * len(b) ** (-1 / 6), 1e-12) / cell
    return float(np.minimum(_density(a, edges, width), _density(b, edges, width)).sum())


def _density(points: Points, edges: list[NDArray[np.float64]], width: NDArray[np.float64]) -> Points:
    from scipy.ndimage import gaussian_filter

    counts = np.histogram2d(points[:, 0], points[:, 1], bins=edges)[0] / len(points)
    return gaussian_filter(counts, sigma=width, mode="constant")
