"""Co-expression network: are genes linked that are linked in real rows, and only those?

Correlations are within labels: LOG values minus the label's mean, at most 1,000 genes. Two networks per side: pairs with |r| above
a threshold, where a generator that correlates everything has recall 1 and precision near the share of pairs that are linked at
all; and the 2 x genes strongest pairs, equally dense on both sides, which asks only which pairs these are.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from augmentor.evaluation.columns import spearman
from augmentor.evaluation.contract import EXPRESSION, Measured, Measures, Setup
from augmentor.evaluation.metrics.correlation import LEAST_LABEL, residual
from augmentor.evaluation.pair import ENOUGH, Pair, Side
from augmentor.evaluation.score import ScoreSpec

STRONG, STRONGER = 0.5, 0.7
# Real networks of fewer links than this say nothing on links.
LEAST_LINKS = 10
# Genes of the network of a single label, whose fewer rows bear less.
LABEL_GENES = 300


def _spec(part: str, title: str, meaning: str, formula: str, catches: str, misses: str, low: float = 0.0) -> ScoreSpec:
    return ScoreSpec(
        name=f"coexpression.{part}",
        axis="biology",
        title=title,
        meaning=meaning,
        goal="maximize",
        ideal=None,
        bounds=(low, 1.0),
        floor="independent",
        formula=formula,
        catches=catches,
        misses=misses,
        interval="subsample",
        sharpens=part != "edge_precision",  # less noise links more pairs, and more of them wrongly
    )


WITHIN = "r of LOG values minus label means; up to 1,000 genes"
PARTS = {
    "edge_precision": _spec(
        "edge_precision",
        "links that are real",
        "Share of the gene pairs linked (|r| > 0.5 within labels) in synthetic rows that are linked in held-out rows.",
        f"|S and H| / |S|, links |r| > 0.5, {WITHIN}",
        "invented links; for a network that links everything it is the share of pairs linked in H",
        "lost links",
    ),
    "edge_recall": _spec(
        "edge_recall",
        "links found again",
        "Share of the gene pairs linked (|r| > 0.5 within labels) in held-out rows that synthetic rows link too.",
        f"|S and H| / |H|, links |r| > 0.5, {WITHIN}",
        "lost or weakened links",
        "invented links: a network that links everything scores 1",
    ),
    "edge_f1": _spec(
        "edge_f1",
        "links, lost or invented",
        "Agreement of the gene pairs linked (|r| > 0.5 within labels) with those of held-out rows.",
        f"2 |S and H| / (|S| + |H|), links |r| > 0.5, {WITHIN}",
        "lost and invented links",
        "links below the threshold",
    ),
    "top_edges": _spec(
        "top_edges",
        "strongest links",
        "Share of the strongest gene-gene links of held-out rows that are among as many strongest links of synthetic rows.",
        f"overlap of the K pairs of largest |r|, K = 2 x genes (at most 10 % of pairs), {WITHIN}; per label 300 genes",
        "other links than real ones, also where all are weakened",
        "the strength of links (see edge_recall)",
    ),
    "hubs": _spec(
        "hubs",
        "hub genes",
        "Whether the genes with many strong links are those of held-out rows.",
        f"Spearman's rho over genes of the number of links among the K strongest pairs, {WITHIN}; per label 300 genes",
        "other hubs, a network without hubs",
        "which genes a hub is linked to",
        low=-1.0,
    ),
}

Table = NDArray[np.float32]
Network = NDArray[np.bool_]


class Metric:
    """Networks of correlated genes."""

    scores = tuple(PARTS.values())
    setup = Setup(spaces=EXPRESSION, floors="named")

    def __init__(self) -> None:
        # every arm meets the same held-out rows
        self._real: WeakKeyDictionary[Side, dict[bytes, Table]] = WeakKeyDictionary()

    def measure(self, pair: Pair) -> Measures:
        """Compare the networks of rows in labels whose mean can be removed."""
        codes = np.array([i for i, n in enumerate(pair.counts.values()) if n >= LEAST_LABEL], dtype=np.intp)
        if min(np.isin(side.y, codes).sum() for side in (pair.synthetic, pair.real)) < ENOUGH:
            few = f"fewer than {ENOUGH} rows in labels of at least {LEAST_LABEL}"
            return {spec.name: Measured.none(few) for spec in self.scores}
        known = self._real.setdefault(pair.real, {})
        if codes.tobytes() not in known:
            known[codes.tobytes()] = links(pair.real, codes)
        ours, theirs = links(pair.synthetic, codes), known[codes.tobytes()]
        if len(theirs) < 5:
            return {spec.name: Measured.none("needs at least 5 genes") for spec in self.scores}
        np.abs(ours, out=ours)
        theirs = np.abs(theirs)
        out = self._thresholded(ours, theirs)
        per_label = {label: None if part is None else _label(part) for label, part in pair.each_label()}
        top, hubs = strongest(ours, theirs)
        for name, i, value in (("top_edges", 0, top), ("hubs", 1, hubs)):
            labels = {label: None if found is None else found[i] for label, found in per_label.items()}
            reason = None if value is not None else "no gene has more links than another"
            out[PARTS[name].name] = Measured(value, labels, detail={"genes": len(ours)}, reason=reason)
        return out

    def _thresholded(self, ours: Table, theirs: Table) -> dict[str, Measured]:
        found, more = (agreement(ours > cut, theirs > cut) for cut in (STRONG, STRONGER))
        linked = {
            "synthetic": int(np.count_nonzero(ours > STRONG)) // 2,
            "real": int(np.count_nonzero(theirs > STRONG)) // 2,
        }
        base_rate = linked["real"] / (theirs.size - len(theirs)) * 2
        out = {}
        for name, value in found.items():
            if linked["real"] < LEAST_LINKS:
                out[PARTS[name].name] = Measured.none(
                    f"fewer than {LEAST_LINKS} pairs with |r| > {STRONG} in real rows"
                )
                continue
            detail = {"links": linked, "base_rate": base_rate, f"above_{STRONGER}": more[name]}
            reason = None if value is not None else f"no pair of genes has |r| > {STRONG} in synthetic rows"
            out[PARTS[name].name] = Measured(value, detail=detail, reason=reason)
        return out


def links(side: Side, codes: NDArray[np.intp]) -> Table:
    """Return correlations of genes within labels ``(genes, genes)``, 0 on the diagonal and for a gene that is constant."""
    rows = np.flatnonzero(np.isin(side.y, codes))
    return correlated(residual(side if len(rows) == len(side) else side.take(rows)))


def correlated(values: NDArray[np.floating]) -> Table:
    """Return Pearson correlations of columns, 0 on the diagonal and for a constant column."""
    z = values.astype(np.float32)
    z -= z.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->j", z, z))
    z /= np.where(length > 1e-4, length, np.inf)
    out: Table = z.T @ z
    np.fill_diagonal(out, 0.0)
    return out


def agreement(synthetic: Network, real: Network) -> dict[str, float | None]:
    """Return precision, recall and F1 of the links of one symmetric network against another."""
    shared, ours, theirs = (int(np.count_nonzero(links)) // 2 for links in (synthetic & real, synthetic, real))
    return {
        "edge_precision": shared / ours if ours else None,
        "edge_recall": shared / theirs if theirs else None,
        "edge_f1": 2 * shared / (ours + theirs) if theirs else None,
    }


def strongest(synthetic: Table, real: Table) -> tuple[float | None, float | None]:
    """Return the overlap of the strongest links of two tables of |r|, and Spearman's rho of the genes' degrees."""
    genes = len(real)
    count = max(1, min(2 * genes, genes * (genes - 1) // 20))
    networks = []
    for table in (synthetic, real):
        # every pair stands in the table twice
        least = np.partition(table, table.size - 2 * count, axis=None)[-2 * count]
        networks.append((table >= least) & (table > 0))
    found = agreement(networks[0], networks[1])
    degrees = [network.sum(axis=0).astype(np.float64) for network in networks]
    return found["edge_f1"], spearman(degrees[0], degrees[1])


def _label(part: Pair) -> tuple[float | None, float | None]:
    ours, theirs = (np.abs(correlated(side.log[:, :LABEL_GENES])) for side in (part.synthetic, part.real))
    return strongest(ours, theirs) if len(theirs) >= 5 else (None, None)
