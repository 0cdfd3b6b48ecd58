"""Gene sets: do pathways, taken as the mean of their genes, vary and vary together as in real rows?

The score of a row for a set is the mean z-value of the set's genes, ``z = (LOG - mean)/sd`` with mean and sd of the fitting rows.
Where a set is named after a gene of the data, it is read as a regulator (TF) with its targets, and the cosines of Viñas et al.
(2022) are computed: of the TF-target and of the target-target correlations in S and H, weighted by their number; within labels
here, pooled over labels there. Other sets have no such scores: a regulator cannot be guessed from a list of genes.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Matrix, as_dense
from augmentor.core.space import Space
from augmentor.evaluation.columns import Vector, ks_and_w1, pearson, variances
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.metrics.coexpression import correlated
from augmentor.evaluation.metrics.correlation import usable
from augmentor.evaluation.pair import Pair, Side
from augmentor.evaluation.score import Floor, Goal, ScoreSpec
from augmentor.evaluation.spaces import Basis

# Genes of a set that must vary in the data, and most sets: those whose scores vary most.
LEAST_GENES, MOST_SETS = 5, 300
NONE_GIVEN = "needs gene sets (--gene-sets FILE.gmt)"
NO_REGULATOR = "no gene set is named after a gene of the data"


def _spec(
    part: str,
    title: str,
    meaning: str,
    formula: str,
    catches: str,
    misses: str,
    *,
    goal: Goal = "maximize",
    low: float = -1.0,
    floor: Floor = "independent",
    citation: str = "this project",
) -> ScoreSpec:
    return ScoreSpec(
        name=f"gene_sets.{part}",
        axis="biology",
        title=title,
        meaning=meaning,
        goal=goal,
        ideal=0.0 if goal == "minimize" else None,
        bounds=(low, None if goal == "minimize" else 1.0),
        floor=floor,
        formula=formula,
        catches=catches,
        misses=misses,
        citation=citation,
        interval="subsample",
        full=True,
    )


PARTS = {
    "set_w1": _spec(
        "set_w1",
        "gene-set activity",
        "Distance between the distributions of pathway activity in synthetic and held-out rows, in standard deviations.",
        "W1 of mean-z scores / sd on the fitting rows, mean over sets; per label, unweighted mean",
        "shifted or flattened pathways, lost co-variation within a set",
        "dependence between sets",
        goal="minimize",
        low=0.0,
    ),
    "set_correlation": _spec(
        "set_correlation",
        "relations between gene sets",
        "How well correlations between pathways within labels repeat those of held-out rows; compare with the ceiling.",
        "r over pairs of sets of the correlations of their scores in S and H, label means removed",
        "lost relations between pathways",
        "genes within a set; sets that share genes correlate in any rows",
    ),
    "s_tftg": _spec(
        "s_tftg",
        "regulator-target correlations (S_tftg)",
        "Whether regulators correlate with their targets as in held-out rows; for gene sets named after a gene.",
        "cosine of the TF-target correlations in S and H, mean over TFs weighted by targets, label means removed",
        "lost regulation",
        "the overall strength of correlations",
        citation="Viñas et al. 2022",
    ),
    "s_tgtg": _spec(
        "s_tgtg",
        "target-target correlations (S_tgtg)",
        "Whether targets of one regulator correlate with each other as in held-out rows; for gene sets named after a gene.",
        "cosine of the target-target correlations in S and H, mean over TFs weighted by pairs, label means removed",
        "lost co-regulation",
        "the overall strength of correlations",
        citation="Viñas et al. 2022",
    ),
}


@dataclass(frozen=True, eq=False)
class Sets:
    """Gene sets over the genes of the data.

    Attributes:
        names: names of the sets.
        members: positions of each set's genes.
        weights: ``(genes, sets)`` sparse: LOG values times these, minus `offset`, are the scores.
        offset: ``(sets,)``.
        spread: ``(sets,)`` standard deviation of the scores on the fitting rows.
    """

    names: list[str]
    members: list[NDArray[np.intp]]
    weights: sparse.csc_matrix
    offset: Vector
    spread: Vector

    def scores(self, x: Matrix) -> Vector:
        """Return the scores ``(rows, sets)`` of rows in LOG space."""
        product = x @ self.weights if sparse.issparse(x) else (self.weights.T @ x.T).T
        return np.asarray(product.toarray() if sparse.issparse(product) else product) - self.offset


class Metric:
    """Activity of gene sets."""

    scores = tuple(PARTS.values())
    setup = Setup(
        alternate=True, floors="named", spaces=tuple(space for space in Space if space is not Space.MIXED), order=2
    )

    def __init__(self) -> None:
        self._sets: WeakKeyDictionary[Basis, Sets] = WeakKeyDictionary()

    def measure(self, pair: Pair) -> Measures:
        """Score the rows of both sides and compare."""
        if not pair.asked.gene_sets:
            return {spec.name: Measured.none(NONE_GIVEN) for spec in self.scores}
        if pair.basis not in self._sets:
            self._sets[pair.basis] = prepared(pair)
        sets = self._sets[pair.basis]
        if not sets.names:
            reason = f"no gene set has {LEAST_GENES} genes that vary in these rows"
            return {spec.name: Measured.none(reason) for spec in self.scores}
        ours, theirs = (sets.scores(side.log_all) for side in (pair.synthetic, pair.real))
        far: dict[str, float | None] = {}
        for label, part in pair.each_label():
            code = pair.labels.index(label)
            own = ours[pair.synthetic.y == code], theirs[pair.real.y == code]
            far[label] = None if part is None else _far(sets, *own)
        detail = {"sets": len(sets.names), "given": len(pair.asked.gene_sets)}
        rows = usable(pair)
        out = {
            PARTS["set_w1"].name: Measured.over_labels(
                _far(sets, ours, theirs), far, fallback=not any(v is not None for v in far.values()), detail=detail
            )
        }
        if rows is None:
            return out | {
                spec.name: Measured.none("too few rows within labels") for spec in self.scores if spec.name not in out
            }
        assert rows.whole is not None
        kept = ((ours[rows.whole[1]], rows.synthetic.y), (theirs[rows.whole[2]], rows.real.y))
        within = [_within(scores, y) for scores, y in kept]
        tftg, tgtg = regulation(sets, rows)
        for name, value, missing in (
            ("set_correlation", structure(within), "fewer than three gene sets vary"),
            ("s_tftg", tftg, NO_REGULATOR),
            ("s_tgtg", tgtg, NO_REGULATOR),
        ):
            out[PARTS[name].name] = Measured(value, detail=detail, reason=None if value is not None else missing)
        return out


def prepared(pair: Pair) -> Sets:
    """Match the sets with the genes of the data, and find what their scores need on the fitting rows."""
    place = {gene: i for i, gene in enumerate(pair.genes)}
    values = pair.fit.log_all
    mean, variance = variances(values)
    names, members = [], []
    for name in sorted(pair.asked.gene_sets):
        genes = np.unique([place[gene] for gene in pair.asked.gene_sets[name] if gene in place]).astype(np.intp)
        genes = genes[variance[genes] > 0]
        if len(genes) >= LEAST_GENES:
            names.append(name)
            members.append(genes)
    sets = _weighed(names, members, mean, variance)
    if not names:
        return sets
    spread = np.round(sets.scores(values).std(axis=0), 10)
    kept = np.sort(np.argsort(-spread, kind="stable")[:MOST_SETS])
    kept = kept[spread[kept] > 0]
    chosen = _weighed([names[i] for i in kept], [members[i] for i in kept], mean, variance)
    return Sets(chosen.names, chosen.members, chosen.weights, chosen.offset, spread[kept])


def _weighed(names: list[str], members: list[NDArray[np.intp]], mean: Vector, variance: Vector) -> Sets:
    rows = np.concatenate(members) if members else np.zeros(0, dtype=np.intp)
    columns = np.repeat(np.arange(len(members)), [len(genes) for genes in members])
    size = np.array([len(genes) for genes in members], dtype=np.float64)
    data = 1.0 / (np.sqrt(variance[rows]) * size[columns])
    weights = sparse.csc_matrix((data, (rows, columns)), shape=(len(mean), len(members)))
    return Sets(names, members, weights, weights.T @ mean, np.ones(len(members)))


def _far(sets: Sets, ours: Vector, theirs: Vector) -> float:
    return float(np.mean(ks_and_w1(ours, theirs)[1] / sets.spread))


def structure(scores: list[Vector]) -> float | None:
    """Return the correlation of the set-set correlations of two tables of scores ``(rows, sets)``."""
    if scores[0].shape[1] < 3:
        return None
    upper = np.triu_indices(scores[0].shape[1], 1)
    ours, theirs = (correlated(table)[upper].astype(np.float64) for table in scores)
    return pearson(ours, theirs)


def regulation(sets: Sets, rows: Pair) -> tuple[float | None, float | None]:
    """Return the weighted cosines of TF-target and of target-target correlations over the sets named after a gene."""
    place = {gene: i for i, gene in enumerate(rows.genes)}
    columns = [_columns(side) for side in (rows.synthetic, rows.real)]
    direct, mutual = [], []
    for name, genes in zip(sets.names, sets.members, strict=True):
        targets = genes[genes != place[name]] if name in place else genes[:0]
        if not len(targets):
            continue
        block = np.append(targets, place[name])
        tables = [
            correlated(_within(as_dense(x[:, block]), side.y))
            for x, side in zip(columns, (rows.synthetic, rows.real), strict=True)
        ]
        direct.append((len(targets), _cosine(*(table[-1, :-1] for table in tables))))
        upper = np.triu_indices(len(targets), 1)
        mutual.append((len(upper[0]), _cosine(*(table[upper] for table in tables))))
    return _weighted(direct), _weighted(mutual)


def _columns(side: Side) -> Matrix:
    return sparse.csc_matrix(side.log_all) if sparse.issparse(side.log_all) else side.log_all


def _within(values: NDArray[np.floating], y: NDArray[np.intp]) -> Vector:
    """Return values minus the mean of their label."""
    out = values.astype(np.float64)
    for code in np.unique(y):
        out[y == code] -= out[y == code].mean(axis=0)
    return out


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float | None:
    """Cosine of two vectors; 0 where one of them is zero: genes that do not vary correlate with nothing."""
    if not len(a):
        return None
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length > 0 else 0.0


def _weighted(found: list[tuple[int, float | None]]) -> float | None:
    kept = [(n, value) for n, value in found if value is not None]
    total = sum(n for n, _ in kept)
    return sum(n * value for n, value in kept) / total if total else None
