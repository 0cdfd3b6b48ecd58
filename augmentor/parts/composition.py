"""Label combinations never seen in training: rows of the nearest seen one, led by main effects to where it should be.

    L_cg        counts: log mean of gene g in combination c, smoothed; other spaces: its mean; categories: log share of each
    L_cg      ≈ m_g + Σ_a e_a(c_a)_g                        main effects of the label columns, least squares weighed by rows, small ridge
    Δ_g       = (main effects of the new − of the anchor) − r,  shrunk:  Δ_g·max(0, 1 − Var Δ_g / Δ_g²)
    r           counts: the change of the median gene, which is one of depth; 0 otherwise
    anchor      the seen combination with the smallest Δ
    counts      x'_g = F⁻¹(F(x_g; s·p_g, θ_g); s·p_g·e^(Δ_g + r), θ_g)     F: negative binomial, s: size of the row, p: anchor's shares
    continuous  x'_g = x_g + Δ_g;   log: the same for x_g > 0, never below 0
    mixed       numbers so, as normal scores Φ⁻¹(F(x)), F of all rows; categories of shares p get those of p·e^Δ, and as few
                rows as that takes another category

The anchor keeps what the label columns have to say together; only what changes from it to the new combination is taken from the main
effects. Counts keep their ranks, so that genes keep their dependence, and a gene that the anchor does not express can be turned on. F
jumps at counts: a value is spread uniformly over its jump, and comes back as itself where Δ = 0. Values of log space that are zero
stay zero. Nothing here knows of interactions: what stimulation does to B cells only, and B cells were never seen stimulated, cannot be
known.

Papers: the additive model of two-way layouts (Scheffé, The Analysis of Variance, 1959); Lotfollahi et al. 2019,
doi:10.1038/s41592-019-0494-8 (shifting cells of one condition to another, in latent space).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import ndtr, ndtri
from scipy.stats import nbinom

from augmentor.core.contract import State
from augmentor.core.dataset import Matrix, as_dense, column_moments, row_sums
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.core.state import check_state

SMOOTHING = 50.0  # counts that every combination borrows from all rows
ONE_ROW = 1.0  # rows that the categories of every combination borrow
KNOTS = 1000  # order statistics kept of a number of a mixed table at most
RIDGE = 1e-3
ENOUGH = 50.0  # rows at which a combination weighs half as much as one of very many
F32 = np.float32

Combination = tuple[int, ...]
Levels = tuple[int | None, ...]  # of a mixed table: number of categories of every column, None for a number


@dataclass(frozen=True, eq=False)
class Composition:
    """What is known of every seen combination, enough to compose others.

    Attributes:
        level: ``(conditions, features)`` L: log shares of counts, means of other spaces. A column of categories of a mixed table
            has as many places as categories.
        noise: ``(conditions, features)`` sampling variance of ``level``.
        size: ``(conditions,)`` mean log library size; zeros where rows are no counts.
        dispersion: ``(features,)`` θ of counts; zeros otherwise.
        levels: what the columns of a mixed table are; None for matrices.
        knots: ``(order statistics, numbers)`` of all rows of a mixed table; none of matrices. On their scale values that many rows
            share stay values that many rows share, and none leaves the range.
    """

    level: NDArray[np.float32]
    noise: NDArray[np.float32]
    size: NDArray[np.float32]
    dispersion: NDArray[np.float32]
    levels: Levels | None = None
    knots: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), F32))

    @classmethod
    def of(
        cls, x: Matrix, condition: NDArray[np.intp], conditions: int, space: Space, levels: Levels | None = None
    ) -> Composition:
        """Estimate from training rows ``(rows, features)`` and the combination of each.

        Rows are in the user's units; those of a mixed table, whose ``levels`` are needed, complete, as models see them.
        """
        blocks = [x[condition == c] for c in range(conditions)]
        if levels is not None:
            return cls._of_table(x, blocks, levels)
        if space is not Space.COUNTS:
            moments = [column_moments(block) for block in blocks]
            level = np.stack([mean for mean, _ in moments])
            rows = np.array([[block.shape[0]] for block in blocks])
            within = (np.stack([variance for _, variance in moments]) * rows).sum(axis=0) / rows.sum()
            return cls(
                level.astype(F32), (within / rows).astype(F32), np.zeros(conditions, F32), np.zeros(x.shape[1], F32)
            )
        totals = np.stack([np.asarray(block.sum(axis=0, dtype=np.float64)).ravel() for block in blocks])
        pooled = totals.sum(axis=0) + 0.1
        smooth = totals + SMOOTHING * pooled / pooled.sum()
        level = np.log(smooth / smooth.sum(axis=1, keepdims=True))
        size = np.array([np.log(row_sums(block)).mean() for block in blocks])
        dispersion = _dispersion(blocks, np.exp(level))
        # of a mean of negative binomials: 1 / counts + 1 / (rows · θ)
        noise = 1 / smooth + 1 / (np.array([[block.shape[0]] for block in blocks]) * dispersion)
        return cls(level.astype(F32), noise.astype(F32), size.astype(F32), dispersion.astype(F32))

    @classmethod
    def _of_table(cls, x: NDArray[np.float32], blocks: list[NDArray[np.float32]], levels: Levels) -> Composition:
        rows = np.array([[len(block)] for block in blocks])
        steps = min(len(x), KNOTS)
        level, noise, knots = [], [], []
        for j, categories in enumerate(levels):
            if categories is None:
                knots.append(np.sort(x[:, j])[((np.arange(steps) + 0.5) / steps * len(x)).astype(np.intp)])
                scores = [_scores(block[:, j], knots[-1], np.full(len(block), 0.5)) for block in blocks]
                level.append(np.array([[score.mean()] for score in scores]))
                noise.append(sum(len(score) * score.var() for score in scores) / rows.sum() / rows)
                continue
            counts = np.stack([np.bincount(block[:, j].astype(np.intp), minlength=categories) for block in blocks])
            pooled = (counts.sum(axis=0) + 1) / (counts.sum() + categories)
            smooth = counts + ONE_ROW * pooled
            level.append(np.log(smooth / smooth.sum(axis=1, keepdims=True)))
            noise.append(1 / smooth)
        width = sum(part.shape[1] for part in level)
        return cls(
            np.hstack(level).astype(F32),
            np.hstack(noise).astype(F32),
            np.zeros(len(blocks), F32),
            np.zeros(width, F32),
            levels,
            np.array(knots, dtype=F32).reshape(len(knots), steps).T.copy(),
        )

    def lead(
        self, seen: tuple[Combination, ...], unseen: tuple[Combination, ...], rows: tuple[int, ...], space: Space
    ) -> Lead:
        """Find the anchor of every combination never seen, and how to get from there.

        Args:
            seen: the combinations of training, one per condition.
            unseen: others, of the same categories.
            rows: training rows of each seen combination.
            space: of the rows that are led.
        """
        effects = _main_effects((*seen, *unseen), np.array(rows))
        anchors, moves, sizes = [], [], []
        for weights in effects[len(seen) :]:
            found = []
            for c in range(len(seen)):
                a = weights - effects[c]
                raw, variance, common = a @ self.level, (a**2) @ self.noise, 0.0
                weight = 1 / np.maximum(self.noise.mean(axis=0), 1e-12)
                if space is Space.COUNTS:
                    # what all genes do is a change of depth, not of shares; a gene weighs by how much of it there is
                    weight = np.exp(self.level[c])
                    raw = raw + a @ self.size
                    common = _median(raw, weight)
                raw = raw - common
                move = raw * np.maximum(0, 1 - variance / np.maximum(raw**2, 1e-12))
                found.append((float((weight * move**2).sum()), c, move, common))
            _, anchor, move, size = min(found, key=lambda item: item[:2])
            anchors.append(anchor)
            moves.append(move)
            sizes.append(size)
        return Lead(self, np.array(anchors, dtype=np.intp), np.array(moves, dtype=np.float64), np.array(sizes), space)

    def state(self) -> State:
        """Levels, their noise, sizes and dispersions; of mixed tables also the knots of numbers."""
        knots = {} if self.levels is None else {"knots": self.knots}
        return {"level": self.level, "noise": self.noise, "size": self.size, "dispersion": self.dispersion, **knots}

    @classmethod
    def from_state(cls, state: State, conditions: int, features: int, levels: Levels | None = None) -> Composition:
        """Take over a state of these shapes.

        Raises:
            ArtifactError: names or shapes are wrong.
        """
        features = features if levels is None else sum(k or 1 for k in levels)
        table, row, column = (conditions, features), (conditions,), (features,)
        shapes = {"level": (table, F32), "noise": (table, F32), "size": (row, F32), "dispersion": (column, F32)}
        if levels is not None:
            steps = len(state["knots"]) if "knots" in state else 0
            shapes["knots"] = ((steps, levels.count(None)), F32)
        check_state(shapes, state, "the composition of labels")
        return cls(**state, levels=levels)


@dataclass(frozen=True, eq=False)
class Lead:
    """From the anchors of some combinations never seen to these combinations.

    Attributes:
        known: what is known of the seen combinations.
        anchors: ``(unseen,)`` the seen combination that each starts from.
        moves: ``(unseen, features)`` Δ.
        sizes: ``(unseen,)`` r.
        space: of the rows.
    """

    known: Composition
    anchors: NDArray[np.intp]
    moves: NDArray[np.float64]
    sizes: NDArray[np.float64]
    space: Space

    def apply(self, x: Matrix, which: NDArray[np.intp], rng: Stream) -> Matrix:
        """Lead rows ``(rows, features)`` to combinations ``(rows,)``; a negative one leaves a row as it is."""
        wanted = np.unique(which[which >= 0])
        if not wanted.size:
            return x
        out = np.array(as_dense(x), dtype=np.float64)
        for k in wanted:
            rows = np.flatnonzero(which == k)
            out[rows] = self._one(out[rows], int(k), rng.child(int(k)))
        out = out.astype(x.dtype)
        return sparse.csr_matrix(out) if sparse.issparse(x) else out

    def _one(self, x: NDArray[np.float64], k: int, rng: Stream) -> NDArray[np.float64]:
        move = self.moves[k]
        if self.known.levels is not None:
            return self._one_of_table(x, k, self.known.levels, rng)
        if self.space is Space.CONTINUOUS:
            return x + move
        if self.space is Space.LOG:
            return np.where(x > 0, np.maximum(x + move, 0), 0)
        anchor = np.exp(self.known.level[self.anchors[k]].astype(np.float64))
        genes = np.flatnonzero((move != 0) | (abs(self.sizes[k]) > 1e-6))
        size = x.sum(axis=1, keepdims=True)
        before = size * anchor[genes]
        after = before * np.exp(self.sizes[k] + move[genes])
        theta = np.broadcast_to(self.known.dispersion[genes].astype(np.float64), before.shape)
        values, chance = x[:, genes], theta / (theta + before)
        # most values of sparse counts are zero and stay it: their part of F is a power
        low, high = np.zeros_like(values), chance**theta
        some = values > 0
        low[some] = nbinom.cdf(values[some] - 1, theta[some], chance[some])
        high[some] = low[some] + nbinom.pmf(values[some], theta[some], chance[some])
        # the ends of the interval cannot be inverted
        u = np.clip(low + (high - low) * rng.numpy().random(values.shape), 1e-12, 1 - 1e-12)
        chance = theta / (theta + after)
        moved, some = np.zeros_like(values), u > chance**theta
        moved[some] = nbinom.ppf(u[some], theta[some], chance[some])
        x = x.copy()
        x[:, genes] = moved
        return x

    def _one_of_table(self, x: NDArray[np.float64], k: int, levels: Levels, rng: Stream) -> NDArray[np.float64]:
        x, first, number = x.copy(), 0, 0
        for j, categories in enumerate(levels):
            places = slice(first, first + (categories or 1))
            first, move = places.stop, self.moves[k, places]
            if categories is None:
                knots, number = self.known.knots[:, number], number + 1
                if move[0]:
                    score = _scores(x[:, j], knots, rng.child(j).numpy().random(len(x))) + move[0]
                    x[:, j] = np.interp(ndtr(score) * len(knots) - 0.5, np.arange(len(knots)), knots)
                continue
            before = np.exp(self.known.level[self.anchors[k], places].astype(np.float64))
            after = before * np.exp(move)
            after /= after.sum()
            generator, code = rng.child(j).numpy(), x[:, j].astype(np.intp)
            leaves = generator.random(len(x)) * before[code] >= after[code]
            gain = np.maximum(after - before, 0)
            if leaves.any():
                x[leaves, j] = generator.choice(categories, leaves.sum(), p=gain / gain.sum())
        return x


def _scores(x: NDArray[np.floating], knots: NDArray[np.float32], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Φ⁻¹(F(x)) of numbers; ``place`` in [0, 1] says where in the step of F that equal numbers share."""
    left, right = np.searchsorted(knots, x, "left"), np.searchsorted(knots, x, "right")
    return np.asarray(ndtri(np.clip(left + place * (right - left), 0.5, len(knots) - 0.5) / len(knots)))


def _main_effects(combinations: tuple[Combination, ...], rows: NDArray[np.integer]) -> NDArray[np.float64]:
    """``(combinations, seen)``: the weights of the seen combinations, which come first, in the fitted main effects of each.

    What a combination weighs grows with its rows, and levels off: the more there are, the less is it their number that is wrong.
    """
    codes, weight = np.array(combinations), rows / (rows + ENOUGH)
    design = np.hstack(
        [np.ones((len(codes), 1)), *[np.eye(codes[:, a].max() + 1)[codes[:, a]] for a in range(codes.shape[1])]]
    )
    known = design[: len(rows)]
    ridge = RIDGE * np.eye(design.shape[1])
    ridge[0, 0] = 0  # the mean is not shrunk
    weighed = known.T * weight
    return np.asarray(design @ np.linalg.solve(weighed @ known + ridge, weighed))


def _median(values: NDArray[np.float64], weight: NDArray[np.floating]) -> float:
    """Weighted median."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weight[order], dtype=np.float64)
    return float(values[order[np.searchsorted(share, share[-1] / 2)]])


def _dispersion(blocks: list[Matrix], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """θ ``(features,)`` of a negative binomial by moments within combinations, at each row's own size."""
    excess, squared = np.zeros(share.shape[1]), np.zeros(share.shape[1])
    for block, p in zip(blocks, share, strict=True):
        size = row_sums(block)
        square = block.multiply(block) if sparse.issparse(block) else block**2
        total = np.asarray(block.sum(axis=0, dtype=np.float64)).ravel()
        # E x² = sp + (sp)²(1 + 1/θ)
        excess += np.asarray(square.sum(axis=0, dtype=np.float64)).ravel() - total - (size**2).sum() * p**2
        squared += (size**2).sum() * p**2
    return np.asarray(np.clip((squared + 1e-3) / (np.maximum(excess, 0) + 1e-3), 0.05, 100))
