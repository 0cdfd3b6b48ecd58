"""Rows of a reference changed to what they would have been here, by as much as rows of the same label on both sides prove.

    counts       K_cg ~ Poisson(E_cg · exp(δ_g + δ_cg)),  E_cg = N_c · r_cg,  δ_g ~ N(0, τ²),  δ_cg ~ N(0, σ²)
    log          the same of sums in units of their variance-to-mean ratio
    continuous   mean here - mean there = s_g · (δ_g + δ_cg) + noise;  log of the ratio of spreads, shrunk alike

K: counts here of label c and gene g, N their total, r the profile of the label in the reference, s the spread within labels; τ and σ
by EM over all genes (empirical Bayes), and evidence weighed by how much cells of a label scatter. A gene that is hardly seen stays as
it is in the reference. With m = S · exp(δ_g + δ_cg), S the ratio of library sizes of equal labels, counts become counts:

    m < 1    x' ~ Binomial(x, m)                                                        (thinning)
    m > 1    x' = x + Poisson((m - 1) λ),  λ | x ~ Gamma(θ + x) · μ / (θ + μ)           (exact if x is negative binomial)

μ: what the label's profile lets expect at the row's depth, θ = 1 / dispersion of the gene. Log values are scaled (zeros stay zeros),
continuous ones shifted, and scaled about the mean of their label.

Papers: Johnson et al. 2007, doi:10.1093/biostatistics/kxj037 (empirical Bayes of batch effects); McCarthy et al. 2012,
doi:10.1093/nar/gks042 (evidence from counts of scattering samples).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Dataset, Matrix, as_dense, as_matrix, row_sums
from augmentor.core.random import Stream
from augmentor.core.space import Space

ROUNDS = 20  # of EM
NEWTON = 6
STEEP = 5.0  # largest log ratio of a gene: a factor of 150
DISPERSION = (0.02, 5.0)
RELIABLE = 100  # counts of a gene from which its own dispersion counts for half
BLOCK = 512

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Adaptation:
    """How rows of a reference change.

    Attributes:
        space: what the numbers are.
        general: ``(features,)`` δ_g: log factors, or shifts in standard units.
        special: ``(labels, features)`` δ_cg on top.
        size: factor S of library sizes; 1 where there are none.
        profile: ``(labels, features)`` profile of counts, or mean, of every label in the reference.
        spread: ``(features,)`` dispersion of counts; standard deviation within labels of other rows.
        stretch: ``(features,)`` factor of deviations from the label's mean (continuous).
    """

    space: Space
    general: Values
    special: Values
    size: float
    profile: Values
    spread: Values
    stretch: Values

    @classmethod
    def of(cls, own: Dataset, here: NDArray[np.intp], reference: Dataset, there: NDArray[np.intp]) -> Adaptation:
        """Estimate from rows of both sides and their labels ``here``, ``there`` (those of both sides count)."""
        space, labels = own.schema.space, int(max(here.max(), there.max())) + 1
        ours, theirs = _Sums.of(own.x, here, labels, space), _Sums.of(reference.x, there, labels, space)
        shared = (ours.rows > 0) & (theirs.rows > 0)
        if not shared.any():
            shared, ours, theirs = np.ones(1, bool), ours.pooled(), theirs.pooled()
        inner = _Sums.within([ours, theirs], space)
        one, other = ours.take(shared), theirs.take(shared)
        special = np.zeros((labels, own.features))
        stretch = np.ones(own.features)
        if space is Space.CONTINUOUS:
            spread = np.where(inner > 0, np.sqrt(inner), 1.0)
            distance = (one.mean - other.mean) / spread
            noise = (1 / one.rows + 1 / other.rows)[:, None] * np.ones(own.features)
            general = _normal(distance, noise, together=True)
            special[: shared.size][shared] = _normal(distance - general, noise, together=False)
            stretch = _stretch(ours, theirs)
            size, profile = 1.0, theirs.mean
        else:
            unit = 1.0 if space is Space.COUNTS else np.where(inner > 0, inner, 1.0)
            # a feature that no reference row of the label shows may still be there: half a count of the pooled profile
            base = theirs.total.sum(axis=0) + 0.5
            profile = (theirs.total + base / base.sum()) / (theirs.total.sum(axis=1, keepdims=True) + 1)
            if space is Space.COUNTS:
                seen, expected = one.total, one.total.sum(axis=1, keepdims=True) * profile[shared]
                spread = inner
                loose = spread * (1 / one.rows + 1 / other.rows)[:, None] + 1 / (other.total + 0.5)
            else:
                seen, expected = one.total / unit, one.rows[:, None] * other.mean / unit
                spread = np.sqrt(np.maximum(inner, 0))
                loose = 1 / (other.total / unit + 0.5)
            general = _poisson(seen, expected, loose, together=True)
            rest = _poisson(seen, expected * np.exp(general), loose, together=False)
            special[: shared.size][shared] = rest
            size = 1.0
        found = cls(space, general, special, size, profile, spread, stretch)
        return replace(found, size=_size(found, own, here, reference, there)) if space is Space.COUNTS else found

    def general_only(self) -> Adaptation:
        """Return the same for rows of which no label is known: with one profile, and nothing special to labels."""
        return replace(self, special=0 * self.special[:1], profile=self.profile.mean(axis=0, keepdims=True))

    def apply(self, rows: Dataset, label: NDArray[np.intp], rng: Stream) -> Dataset:
        """Return reference rows as they would have been here.

        Args:
            rows: the rows, with the features of the own data.
            label: ``(rows,)`` their labels.
            rng: randomness of thinning and adding.
        """
        blocks: list[Matrix] = []
        for start in range(0, len(rows), BLOCK):
            part, c = rows.x[start : start + BLOCK], label[start : start + BLOCK]
            log = self.general + self.special[c]
            if self.space is Space.COUNTS:
                blocks.append(self._counts(part, c, self.size * np.exp(log), rng.child("block", start)))
            elif self.space is Space.LOG:
                blocks.append(as_dense(part) * np.exp(log))
            else:
                middle = self.profile[c]
                blocks.append(middle + (as_dense(part) - middle) * self.stretch + self.spread * log)
            if sparse.issparse(rows.x):
                blocks[-1] = sparse.csr_matrix(blocks[-1])
        joined = sparse.vstack(blocks, format="csr") if sparse.issparse(rows.x) else np.concatenate(blocks)
        return replace(rows, x=as_matrix(joined))

    def _counts(self, part: Matrix, label: NDArray[np.intp], factor: Values, rng: Stream) -> Values:
        generator, x = rng.numpy(), as_dense(part).astype(np.int64)
        out = generator.binomial(x, np.minimum(factor, 1.0)).astype(np.float64)
        theta, mean = 1 / self.spread, x.sum(axis=1, keepdims=True) * self.profile[label]
        row, column = np.nonzero((factor > 1) & (mean > 0))
        shape, mu = theta[column] + x[row, column], mean[row, column]
        rate = generator.gamma(shape) * mu / (theta[column] + mu)
        out[row, column] += generator.poisson((factor[row, column] - 1) * rate)
        return out

    @property
    def record(self) -> dict[str, Any]:
        """How strong the adaptation is."""
        steps = np.abs(self.general + self.special[np.abs(self.special).sum(axis=1) > 0]).ravel()
        steps = np.abs(self.general) if not steps.size else steps
        if self.space is not Space.CONTINUOUS:
            steps = np.exp(steps)
        return {
            "kind": str(self.space),
            "size": round(self.size, 3) if self.space is Space.COUNTS else None,
            "change": round(float(np.median(steps)), 3),
            "most": round(float(np.quantile(steps, 0.95)), 3),
        }


@dataclass(frozen=True, eq=False)
class _Sums:
    """Rows, totals, means and squared deviations per label."""

    rows: Values
    total: Values
    mean: Values
    squares: Values

    @classmethod
    def of(cls, x: Matrix, label: NDArray[np.intp], labels: int, space: Space) -> _Sums:
        rows = np.bincount(label, minlength=labels).astype(np.float64)
        which = sparse.csr_matrix((np.ones(len(label)), (label, np.arange(len(label)))), shape=(labels, len(label)))
        total = which @ x
        total = np.asarray(total.todense() if sparse.issparse(total) else total, dtype=np.float64)
        scaled = x
        if space is Space.COUNTS:
            # at the mean depth of all rows of this side
            size = row_sums(x)
            scaled = sparse.csr_matrix(x).multiply((size.mean() / np.maximum(size, 1))[:, None]).tocsr()
        mean = which @ scaled
        mean = np.asarray(mean.todense() if sparse.issparse(mean) else mean, dtype=np.float64)
        mean /= np.maximum(rows, 1)[:, None]
        power = scaled.multiply(scaled) if sparse.issparse(scaled) else np.asarray(scaled, dtype=np.float64) ** 2
        square = which @ power
        square = np.asarray(square.todense() if sparse.issparse(square) else square, dtype=np.float64)
        return cls(rows, total, mean, np.maximum(square - rows[:, None] * mean**2, 0))

    def take(self, labels: NDArray[np.bool_]) -> _Sums:
        return _Sums(self.rows[labels], self.total[labels], self.mean[labels], self.squares[labels])

    def pooled(self) -> _Sums:
        mean = (self.rows[:, None] * self.mean).sum(axis=0, keepdims=True) / self.rows.sum()
        return _Sums(
            self.rows.sum(keepdims=True),
            self.total.sum(axis=0, keepdims=True),
            mean,
            self.squares.sum(axis=0, keepdims=True),
        )

    @staticmethod
    def within(sides: list[_Sums], space: Space) -> Values:
        """Spread within labels of both sides: variance, for log values over the mean, for counts dispersion (variance - mean) / mean²."""
        free = sum(float(np.maximum(side.rows - 1, 0).sum()) for side in sides)
        variance = np.sum([side.squares.sum(axis=0) for side in sides], axis=0) / max(free, 1.0)
        if space is Space.CONTINUOUS:
            return np.asarray(variance)
        weight = sum(side.rows.sum() for side in sides)
        mean = np.sum([(side.rows[:, None] * side.mean).sum(axis=0) for side in sides], axis=0) / weight
        if space is Space.LOG:
            return np.asarray(variance / np.maximum(mean, 1e-12))
        second = np.sum([(side.rows[:, None] * side.mean**2).sum(axis=0) for side in sides], axis=0) / weight
        own = (variance - mean) / np.maximum(second, 1e-12)
        usual = float((variance - mean).sum() / max(second.sum(), 1e-12))
        # of a gene with few counts the dispersion is that of all
        trust = weight * mean / (weight * mean + RELIABLE)
        return np.asarray(np.clip(trust * own + (1 - trust) * usual, *DISPERSION))


def _poisson(seen: Values, expected: Values, loose: Values, *, together: bool) -> Values:
    """MAP log ratios of counts ``(labels, features)``, δ ~ N(0, τ²), τ by EM; one per feature if ``together``.

    Args:
        seen: counts here.
        expected: counts expected from the reference.
        loose: variance of the log ratio beyond Poisson: cells of a label scatter, and the reference is finite.
        together: one ratio for all labels.
    """
    weight = 1 / (1 + expected * loose)

    def add(values: Values) -> Values:
        return values.sum(axis=0) if together else values

    delta, tau = np.zeros_like(add(seen)), 0.25
    for _ in range(ROUNDS):
        for _ in range(NEWTON):
            fitted = expected * np.exp(delta)
            slope = add(weight * (seen - fitted)) - delta / tau
            delta = np.clip(delta + np.clip(slope / (add(weight * fitted) + 1 / tau), -1, 1), -STEEP, STEEP)
        sure = add(weight * expected * np.exp(delta))
        tau = max(float(np.average(delta**2 + 1 / (sure + 1 / tau), weights=sure + 1e-9)), 1e-6)
    return delta


def _normal(distance: Values, noise: Values, *, together: bool) -> Values:
    """Posterior means of shifts ``(labels, features)``, δ ~ N(0, τ²), τ by EM; one per feature if ``together``."""
    precision = (1 / noise).sum(axis=0) if together else 1 / noise
    seen = (distance / noise).sum(axis=0) if together else distance / noise
    tau = 1.0
    for _ in range(ROUNDS):
        delta = seen / (precision + 1 / tau)
        tau = max(float(np.mean(delta**2 + 1 / (precision + 1 / tau))), 1e-6)
    return np.asarray(seen / (precision + 1 / tau))


def _stretch(ours: _Sums, theirs: _Sums) -> Values:
    """Ratio of spreads within labels, here over there, shrunk to the usual one."""
    free = [float(np.maximum(side.rows - 1, 0).sum()) for side in (ours, theirs)]
    if min(free) < 2:
        return np.ones(ours.mean.shape[1])
    variance = [side.squares.sum(axis=0) / n for side, n in zip((ours, theirs), free, strict=True)]
    whole = (variance[0] > 0) & (variance[1] > 0)
    log = np.zeros(whole.size)
    log[whole] = 0.5 * np.log(variance[0][whole] / variance[1][whole])
    usual = float(np.median(log[whole])) if whole.any() else 0.0
    noise = np.full((1, whole.size), 0.5 / free[0] + 0.5 / free[1])
    shrunk = _normal((log - usual)[None], noise, together=True)
    return np.where(whole, np.exp(usual + shrunk), 1.0)


def _size(
    found: Adaptation, own: Dataset, here: NDArray[np.intp], reference: Dataset, there: NDArray[np.intp]
) -> float:
    """Factor that gives adapted rows the library sizes of own rows of the same label (mean of logs)."""
    ours = np.log(row_sums(own.x))
    factor = np.exp(found.general + found.special)
    theirs = np.zeros(len(reference))
    for c in np.unique(there):
        theirs[there == c] = np.log(np.maximum(np.asarray(reference.x[there == c] @ factor[c]).ravel(), 1e-9))
    shared = np.intersect1d(here, there)
    if not shared.size:
        return float(np.exp(ours.mean() - theirs.mean()))
    # labels weigh by how many rows both sides have of them
    weight = [1 / (1 / (here == c).sum() + 1 / (there == c).sum()) for c in shared]
    steps = [ours[here == c].mean() - theirs[there == c].mean() for c in shared]
    return float(np.exp(np.average(steps, weights=weight)))
