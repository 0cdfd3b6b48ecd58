"""Gene modules: do groups of genes that vary together in real rows still do so, and around the same genes?

Modules are found on the fitting rows: average linkage of ``1 - |r|`` within labels, cut where the mean |r| between the groups
to be joined falls below ``3/sqrt(n)``, three standard deviations of the r of independent genes; at least 10 genes. Density of a
module: mean |r| of its pairs. Connectivity: Pearson's r, over its genes, of their summed |r| to the module in S and in H. Each is
stated as ``Z = (value - mean)/sd`` over random modules of the same size; below 2 there is no evidence of the module, above 10 it
is strong, and large modules reach larger Z (Langfelder, Luo, Oldham & Horvath 2011, with one statistic of each kind). kME of a
gene: its correlation with the first principal component of its module.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.evaluation.columns import Vector, pearson
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.metrics.coexpression import Table, links
from augmentor.evaluation.metrics.correlation import LEAST_LABEL
from augmentor.evaluation.pair import ENOUGH, Pair
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.spaces import Basis

LEAST_GENES = 10
PERMUTATIONS = 100
DEVIATIONS = 3.0
CITATION = "Langfelder, Luo, Oldham & Horvath 2011"


def _spec(part: str, title: str, meaning: str, formula: str, catches: str, misses: str, *, unit: bool) -> ScoreSpec:
    return ScoreSpec(
        name=f"modules.{part}",
        axis="biology",
        title=title,
        meaning=meaning,
        goal="maximize",
        ideal=None,
        bounds=(-1.0, 1.0) if unit else (None, None),
        floor="independent",
        formula=f"{formula}; modules of H_fit, {'mean' if unit else 'median'} over modules; label means removed, up to 1,000 genes",
        catches=catches,
        misses=misses,
        citation=CITATION,
        interval="subsample",
        full=True,
        # less noise strengthens random modules as well as real ones; a Z beyond the ceiling has other causes, such as wrong labels
        sharpens=unit,
    )


PARTS = {
    "kme": _spec(
        "kme",
        "module membership (kME)",
        "Whether the genes at the centre of a module are those of held-out rows.",
        "Pearson r over a module's genes of their correlation with its first component in S and in H",
        "modules that turn around other genes",
        "how strong modules are",
        unit=True,
    ),
    "z_density": _spec(
        "z_density",
        "modules kept (density Z)",
        "Whether genes of a real module vary together; below 2 no evidence, above 10 strong; compare with the ceiling.",
        f"Z of mean |r| within the module in S against {PERMUTATIONS} random modules",
        "modules that are lost",
        "the order of genes in a module; depends on the size of modules",
        unit=False,
    ),
    "z_connectivity": _spec(
        "z_connectivity",
        "modules kept (connectivity Z)",
        "Whether the most connected genes of a module are those of held-out rows; below 2 no evidence, above 10 strong.",
        f"Z of Pearson r over genes of intramodular connectivity in S and H against {PERMUTATIONS} random modules",
        "modules whose hubs change",
        "how strong modules are; depends on the size of modules",
        unit=False,
    ),
}

Modules = list[NDArray[np.intp]]


class Metric:
    """Preservation of gene modules."""

    scores = tuple(PARTS.values())
    setup = Setup(
        alternate=True, floors="named", spaces=tuple(space for space in Space if space is not Space.MIXED), order=2
    )

    def __init__(self) -> None:
        self._modules: WeakKeyDictionary[Basis, Modules] = WeakKeyDictionary()

    def measure(self, pair: Pair) -> Measures:
        """Find the modules once per space, and how they fare in both sides."""
        codes = np.array([i for i, n in enumerate(pair.counts.values()) if n >= LEAST_LABEL], dtype=np.intp)
        if min(np.isin(side.y, codes).sum() for side in (pair.synthetic, pair.real)) < ENOUGH:
            few = f"fewer than {ENOUGH} rows in labels of at least {LEAST_LABEL}"
            return {spec.name: Measured.none(few) for spec in self.scores}
        if pair.basis not in self._modules:
            fit = pair.fit
            enough = np.flatnonzero(fit.sample.counts(len(pair.labels)) >= LEAST_LABEL)
            self._modules[pair.basis] = modules(np.abs(links(fit, enough)), int(np.isin(fit.y, enough).sum()))
        found = self._modules[pair.basis]
        if not found:
            reason = f"no {LEAST_GENES} genes vary together in the fitting rows"
            return {spec.name: Measured.none(reason) for spec in self.scores}
        ours, theirs = (links(side, codes) for side in (pair.synthetic, pair.real))
        membership = [kme_agreement(ours, theirs, module) for module in found]
        density, connectivity = preservation(np.abs(ours), np.abs(theirs), found, pair.stream.child("modules"))
        both = (density + connectivity) / 2
        detail = {
            "sizes": [len(module) for module in found],
            "z_summary": [round(float(z), 3) for z in both],
            "no_evidence": int((both < 2).sum()),
            "strong": int((both > 10).sum()),
        }
        present = [value for value in membership if value is not None]
        kme = float(np.mean(present)) if present else None
        return {
            PARTS["kme"].name: Measured(
                kme, detail={"sizes": detail["sizes"]}, reason=None if present else "no module varies"
            ),
            PARTS["z_density"].name: Measured(float(np.median(density)), detail=detail),
            PARTS["z_connectivity"].name: Measured(float(np.median(connectivity))),
        }


def modules(strength: Table, rows: int) -> Modules:
    """Return the genes of every module in a table of |r| that was computed from so many rows."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(strength) < LEAST_GENES:
        return []
    gaps = 1.0 - np.maximum(strength, strength.T)
    np.fill_diagonal(gaps, 0.0)
    tree = linkage(squareform(np.clip(gaps, 0.0, 1.0), checks=False), method="average")
    of = fcluster(tree, 1.0 - DEVIATIONS / np.sqrt(rows), criterion="distance")
    return [np.flatnonzero(of == i) for i in np.flatnonzero(np.bincount(of) >= LEAST_GENES)]


def kme_agreement(synthetic: Table, real: Table, module: NDArray[np.intp]) -> float | None:
    """Return Pearson's r of the genes' correlations with the module's first component; its sign is arbitrary."""
    ours, theirs = (kme(table[np.ix_(module, module)]) for table in (synthetic, real))
    return pearson(ours if ours @ theirs >= 0 else -ours, theirs)


def kme(block: Table) -> Vector:
    """Return the correlation of every gene with the first component of standardised values: ``sqrt(l) v`` of R = V L V'."""
    from scipy.linalg import eigh

    matrix = block.astype(np.float64)
    np.fill_diagonal(matrix, 1.0)
    value, vector = eigh(matrix, subset_by_index=(len(matrix) - 1, len(matrix) - 1))
    return np.asarray(np.sqrt(value[0]) * vector[:, 0])


def preservation(synthetic: Table, real: Table, found: Modules, stream: Stream) -> tuple[Vector, Vector]:
    """Return density Z and connectivity Z of every module, from tables of |r|."""
    rng = stream.numpy()
    # names of genes are dealt anew: random modules are as large as the real ones and as disjoint
    dealt = rng.permuted(np.tile(np.arange(len(real)), (PERMUTATIONS, 1)), axis=1)
    ends = np.cumsum([len(module) for module in found])
    z = []
    for module, end in zip(found, ends, strict=True):
        groups = np.concatenate([module[None], dealt[:, end - len(module) : end]])
        ours, theirs = (_connectivity(table, groups) for table in (synthetic, real))
        density = ours.mean(axis=1) / (len(module) - 1)
        z.append([_z(density), _z(_row_correlations(ours, theirs))])
    scores = np.array(z, dtype=np.float64)
    return scores[:, 0], scores[:, 1]


def _connectivity(table: Table, groups: NDArray[np.intp]) -> Vector:
    """Return each gene's summed |r| to the other genes of its group, ``(groups, genes of a group)``."""
    return np.stack([table[np.ix_(group, group)].sum(axis=0, dtype=np.float64) for group in groups])


def _row_correlations(a: Vector, b: Vector) -> Vector:
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    length = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), length, out=np.zeros(len(a)), where=length > 1e-12)


def _z(values: Vector) -> float:
    """Standardise the first value by the others."""
    spread = float(values[1:].std(ddof=1))
    return float(values[0] - values[1:].mean()) / spread if spread > 1e-12 else 0.0
