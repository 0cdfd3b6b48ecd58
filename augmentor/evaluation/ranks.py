"""Mann-Whitney tests of all genes for all labels, from one ranking of the rows; zeros share one rank and are never sorted.

With R the sum of a label's ranks among n rows, n1 of them its own: ``U = R - n1 (n1 + 1)/2`` and ``AUC = U/(n1 n2)``. The
two-sided p-value is that of ``z = (|U - n1 n2/2| - 1/2)/sd``, ``sd^2 = n1 n2/12 (n + 1 - sum(t^3 - t)/(n (n - 1)))``, t the
sizes of the ties (Mann & Whitney 1947; Lehmann 1975). Because a label and the rest are all rows, one ranking serves every label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from augmentor.core.dataset import Matrix
from augmentor.evaluation.columns import Vector
from augmentor.evaluation.pair import Pair, Side

# Rows of a label without which nothing is tested.
LEAST = 5
# Values that are sorted at a time.
CELLS = 4_000_000

Ints = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class RankTests:
    """One test per contrast and gene.

    Attributes:
        auc: ``(contrasts, genes)`` probability that a value of the label exceeds one of the others, ties half.
        sd: ``(contrasts, genes)`` standard deviation of U without an effect; 0 where the gene does not vary.
        pairs: ``(contrasts,)`` n1 n2.
    """

    auc: Vector
    sd: Vector
    pairs: Vector

    @property
    def p(self) -> Vector:
        """``(contrasts, genes)`` two-sided p-values, with continuity correction; 1 for a gene that does not vary."""
        shift = np.maximum(np.abs(self.auc - 0.5) * self.pairs[:, None] - 0.5, 0.0)
        z = np.divide(shift, self.sd, out=np.zeros_like(shift), where=self.sd > 0)
        return np.asarray(2.0 * special.ndtr(-z))


@dataclass(frozen=True, eq=False)
class Contrasts:
    """The same contrasts on both sides of a pair, from equally many rows per label.

    Attributes:
        labels: label of each contrast.
        synthetic: tests among the judged rows.
        real: tests among the held-out rows.
        rows: rows of each label on either side.
    """

    labels: tuple[str, ...]
    synthetic: RankTests
    real: RankTests
    rows: dict[str, int]


def contrasts(pair: Pair) -> Contrasts | str:
    """Test every label against all others in LOG space, or against the control label; or say why there is nothing to test.

    Args:
        pair: rows to compare; labels with fewer than 5 rows on a side are left out on both.
    """
    sizes = np.array([n if n >= LEAST else 0 for n in pair.counts.values()], dtype=np.intp)
    codes = np.flatnonzero(sizes)
    control = None if pair.asked.control is None else pair.labels.index(pair.asked.control)
    if len(codes) < 2:
        return f"fewer than two labels have {LEAST} rows on both sides"
    if control is not None and not sizes[control]:
        return f"fewer than {LEAST} rows of the control label '{pair.asked.control}'"
    kept = [int(code) for code in codes if code != control]
    return Contrasts(
        labels=tuple(pair.labels[code] for code in kept),
        synthetic=_tested(pair.synthetic, sizes, kept, control),
        real=_tested(pair.real, sizes, kept, control),
        rows={pair.labels[code]: int(sizes[code]) for code in codes},
    )


# Two metrics test the same sides, and every arm meets the same held-out rows; results die with their rows.
_TESTED: WeakKeyDictionary[Side, dict[Any, RankTests]] = WeakKeyDictionary()


def _tested(side: Side, sizes: Ints, codes: list[int], control: int | None) -> RankTests:
    known = _TESTED.setdefault(side, {})
    key = (sizes.tobytes(), control)
    if key not in known:
        known[key] = _test(side, sizes, codes, control)
    return known[key]


def _test(side: Side, sizes: Ints, codes: list[int], control: int | None) -> RankTests:
    # rows are in the order of their hashes: the first of a label are as good as random ones
    rows = {int(code): np.flatnonzero(side.y == code)[: sizes[code]] for code in np.flatnonzero(sizes)}
    if control is None:
        return _on(side, [rows[code] for code in codes])
    pairs = [_on(side, [rows[code], rows[control]]) for code in codes]
    return RankTests(*(np.stack([getattr(test, name)[0] for test in pairs]) for name in ("auc", "sd", "pairs")))


def _on(side: Side, groups: list[Ints]) -> RankTests:
    y = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    return mann_whitney(side.log_all[np.concatenate(groups)], y, len(groups))


def mann_whitney(x: Matrix, groups: Ints, count: int) -> RankTests:
    """Test every group of rows against all other rows, gene by gene.

    Args:
        x: ``(rows, genes)`` dense or CSR.
        groups: ``(rows,)`` group of each row, from 0.
        count: number of groups, each with rows and not all of them.

    Returns:
        Tests with one contrast per group.
    """
    n, genes = x.shape
    # float32 whatever comes in: the sorting key has 32 bits for a value
    columns = sparse.csc_matrix(x, dtype=np.float32) if sparse.issparse(x) else np.asarray(x, dtype=np.float32)
    width = max(1, CELLS // max(1, n))
    blocks = [_rank_sums(columns[:, start : start + width], groups, count) for start in range(0, genes, width)]
    sums, ties = (np.concatenate(parts, axis=-1) for parts in zip(*blocks, strict=True))
    own = np.bincount(groups, minlength=count).astype(np.float64)
    pairs = own * (n - own)
    auc = (sums - (own * (own + 1) / 2)[:, None]) / pairs[:, None]
    spread = np.maximum(n + 1 - ties / (n * (n - 1)), 0.0)
    return RankTests(auc, np.sqrt(pairs[:, None] / 12 * spread), pairs)


def _rank_sums(block: Matrix, groups: Ints, count: int) -> tuple[Vector, Vector]:
    """Return the sums of ranks ``(groups, genes)`` and the tie terms ``sum(t^3 - t)`` ``(genes,)``."""
    n, genes = block.shape
    if sparse.issparse(block):
        gene, group, values = np.repeat(np.arange(genes), np.diff(block.indptr)), groups[block.indices], block.data
    else:
        gene, group, values = np.repeat(np.arange(genes), n), np.tile(groups, genes), block.T.ravel()
    stored = values != 0
    if not stored.all():
        gene, group, values = gene[stored], group[stored], values[stored]
    filled = np.bincount(gene, minlength=genes)
    zeros = n - filled
    # one integer holds gene, value and group in this order of weight, so that one sort of integers does everything
    shift = np.uint64(max(1, int(count - 1).bit_length()))
    bits = values.view(np.uint32)
    bits = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    key = (gene.astype(np.uint64) << np.uint64(32)) | bits
    key <<= shift
    key |= group.astype(np.uint64)
    key.sort()
    group = (key & np.uint64((1 << int(shift)) - 1)).astype(np.intp)
    key >>= shift
    # the sort keeps genes together, so `gene` still names the gene of every entry; runs of one value are ties
    new = np.ones(len(key), dtype=bool)
    np.not_equal(key[1:], key[:-1], out=new[1:])
    first = np.flatnonzero(new)
    ties = np.diff(first, append=len(key))
    of = gene[first]
    rank = first - (np.cumsum(filled) - filled)[of] + (ties + 1) / 2
    negative = (key[first] >> np.uint64(31)) & np.uint64(1) == 0
    rank[~negative] += zeros[of[~negative]]
    zero_rank = np.bincount(of[negative], weights=ties[negative], minlength=genes) + (zeros + 1) / 2
    place = group * genes + gene
    size = count * genes
    by_place = np.bincount(place, weights=np.repeat(rank, ties), minlength=size)
    sums = np.asarray(by_place, dtype=np.float64).reshape(count, genes)
    own = np.bincount(place, minlength=size).reshape(count, genes)
    sums += (np.bincount(groups, minlength=count)[:, None] - own) * zero_rank
    tied = ties > 1
    cubes = ties[tied].astype(np.float64)
    term = np.bincount(of[tied], weights=cubes**3 - cubes, minlength=genes)
    return sums, term + zeros.astype(np.float64) ** 3 - zeros
