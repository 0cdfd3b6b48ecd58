"""Draws of the likelihoods in NumPy: counts as sparse rows, of which only the non-zeros are worked on.

    count       u ~ U(0, 1):  0 where u ≤ P(0), else the smallest k with F(k) ≥ u,   p(k) = p(k − 1)·(a + b·(k − 1))/k
                nb        P(0) = (1 + μ/θ)^−θ,   a = b·θ,   b = μ/(μ + θ)
                poisson   P(0) = e^−μ,           a = μ,     b = 0
    large mean  Poisson(g),  g ~ Gamma(θ, μ/θ) or μ, until it is positive

Paper: Panjer 1981, doi:10.1017/S0515036100006796 (the recursion).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

# exp(±LOG_LIMIT) bounds dispersions and variances: outside, a step on one odd row would overflow float32
LOG_LIMIT = 8.0
INVERTED = 8.0  # mean below which inversion needs few steps
MOST_STEPS = 5000


def sample_negative_binomial(
    mean: NDArray[np.float32], log_dispersion: NDArray[np.float32], generator: np.random.Generator
) -> sparse.csr_matrix:
    """Draw counts ``(rows, genes)`` of mean μ and log dispersion log θ."""
    theta = np.exp(np.clip(log_dispersion, -LOG_LIMIT, LOG_LIMIT))
    return _counts(generator.random(mean.shape, dtype=np.float32), mean, theta, generator)


def sample_zero_inflated(
    mean: NDArray[np.float32],
    log_dispersion: NDArray[np.float32],
    dropout: NDArray[np.float32],
    generator: np.random.Generator,
) -> sparse.csr_matrix:
    """Draw counts ``(rows, genes)``; ``dropout`` is the logit of π. Below π, u is a zero; above it, (u − π)/(1 − π) is uniform."""
    theta = np.exp(np.clip(log_dispersion, -LOG_LIMIT, LOG_LIMIT))
    odds = np.exp(np.clip(dropout, -80, 80))  # π/(1 − π)
    u = generator.random(mean.shape, dtype=np.float32)
    return _counts(u * (1 + odds) - odds, mean, theta, generator)


def sample_poisson(mean: NDArray[np.float32], generator: np.random.Generator) -> sparse.csr_matrix:
    """Draw counts ``(rows, genes)`` of mean μ."""
    return _counts(generator.random(mean.shape, dtype=np.float32), mean, None, generator)


def sample_bernoulli(logit: NDArray[np.float32], generator: np.random.Generator) -> sparse.csr_matrix:
    """Draw zeros and ones ``(rows, features)``."""
    u = generator.random(logit.shape, dtype=np.float32)
    odds = np.exp(np.clip(logit, -80, 80))
    return sparse.csr_matrix(u * (1 + odds) < odds, dtype=np.float32)


def sample_gaussian(
    mean: NDArray[np.float32], log_variance: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw independent Gaussians ``(rows, features)``."""
    sd = np.exp(0.5 * np.clip(log_variance, -LOG_LIMIT, LOG_LIMIT))
    return mean + sd * generator.standard_normal(mean.shape, dtype=np.float32)


def _counts(
    u: NDArray[np.float32], mean: NDArray[np.float32], theta: NDArray[np.float32] | None, generator: np.random.Generator
) -> sparse.csr_matrix:
    """Draw counts ``(rows, genes)`` with one uniform number per entry; Poisson without a dispersion.

    Most entries of a single-cell matrix end at the first comparison.
    """
    zero = np.exp(-mean if theta is None else -theta * np.log(1 + mean / theta))
    row, column = np.nonzero(u > zero)
    mu = mean[row, column].astype(np.float64)
    th = None if theta is None else theta[row, column].astype(np.float64)
    small = mu < INVERTED
    ratio = np.zeros(mu.size) if th is None else mu / (mu + th)
    first = mu if th is None else ratio * th
    counts = np.empty(row.size)
    start = zero[row, column][small].astype(np.float64)
    counts[small] = _inverse(u[row, column][small], start, first[small], ratio[small])
    # a large mean has hardly any zeros: those it has were decided by u, the rest is drawn again until positive
    large = np.flatnonzero(~small)
    while large.size:
        rate = mu[large] if th is None else generator.gamma(th[large], mu[large] / th[large])
        counts[large] = generator.poisson(rate)
        large = large[counts[large] == 0]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(mean)))])
    return sparse.csr_matrix((counts.astype(np.float32), column, indptr), shape=mean.shape)


def _inverse(
    u: NDArray[np.floating], zero: NDArray[np.float64], first: NDArray[np.float64], ratio: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Smallest k ≥ 1 with F(k) ≥ u, by p(k) = p(k − 1)·(first + ratio·(k − 1))/k from p(0) = ``zero``."""
    k = np.ones(u.size)
    pmf = zero * first
    cdf = zero + pmf
    active = np.flatnonzero(u > cdf)
    step = 1
    while active.size and step < MOST_STEPS:
        step += 1
        pmf[active] *= (first[active] + ratio[active] * (step - 1)) / step
        cdf[active] += pmf[active]
        k[active] = step
        # float rounding can leave F below u for ever: a vanishing pmf ends the search as well
        active = active[(u[active] > cdf[active]) & (pmf[active] > 1e-14)]
    return k
