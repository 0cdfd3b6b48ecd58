"""Likelihoods p(x | parameters): log-probability for training (torch), sampling for drawing (NumPy)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

# exp(±LOG_LIMIT) bounds dispersions and variances: outside, a step on one odd row would overflow float32
LOG_LIMIT = 8.0
INVERTED = 8.0  # mean below which inversion needs few steps
MOST_STEPS = 5000


def negative_binomial(x: Tensor, mean: Tensor, log_dispersion: Tensor) -> Tensor:
    """Log-probability of counts, summed over features: ``(rows,)``.

    log NB(x; μ, θ) = −θ·log(1 + μ/θ) + [x > 0]·( x·log(μ/(μ + θ)) + lgamma(x + θ) − lgamma(θ) − lgamma(x + 1) )

    The bracket vanishes where x = 0, which is most of a single-cell matrix, so the gamma functions are evaluated on
    the non-zero counts only.

    Args:
        x: ``(rows, genes)`` counts.
        mean: ``(rows, genes)`` μ > 0.
        log_dispersion: ``(rows, genes)`` log θ; variance is μ + μ²/θ.
    """
    log_dispersion = log_dispersion.clamp(-LOG_LIMIT, LOG_LIMIT)
    theta = log_dispersion.exp()
    zero_part = -(theta * torch.log1p(mean / theta)).sum(dim=1)
    row, column = torch.nonzero(x, as_tuple=True)
    k, mu, th = x[row, column], mean[row, column], theta[row, column]
    positive = k * (torch.log(mu + 1e-10) - torch.log(mu + th)) + torch.lgamma(k + th) - torch.lgamma(th)
    positive = positive - torch.lgamma(k + 1)
    return zero_part.index_add(0, row, positive)


def sample_negative_binomial(
    mean: NDArray[np.float32], log_dispersion: NDArray[np.float32], generator: np.random.Generator
) -> sparse.csr_matrix:
    """Draw counts ``(rows, genes)``, non-zeros only.

    One uniform number u per entry decides whether it is zero, P(0) = (1 + μ/θ)^−θ; a small count is then found by
    inversion of the same u (the pmf by its recursion), a large mean is drawn as Poisson(Gamma(θ, μ/θ)). Most entries of
    a single-cell matrix end at the first comparison.
    """
    theta = np.exp(np.clip(log_dispersion, -LOG_LIMIT, LOG_LIMIT))
    zero = np.exp(-theta * np.log(1 + mean / theta))
    u = generator.random(mean.shape, dtype=np.float32)
    row, column = np.nonzero(u > zero)
    mu, th = mean[row, column].astype(np.float64), theta[row, column].astype(np.float64)
    small = mu < INVERTED
    counts = np.empty(row.size)
    q = mu[small] / (mu[small] + th[small])
    counts[small] = _inverse(u[row, column][small], zero[row, column][small].astype(np.float64), th[small], q)
    # a large mean has hardly any zeros: those it has were decided by u, the rest is drawn again until positive
    large = np.flatnonzero(~small)
    while large.size:
        counts[large] = generator.poisson(generator.gamma(th[large], mu[large] / th[large]))
        large = large[counts[large] == 0]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(mean)))])
    return sparse.csr_matrix((counts.astype(np.float32), column, indptr), shape=mean.shape)


def _inverse(
    u: NDArray[np.floating], zero: NDArray[np.float64], theta: NDArray[np.float64], q: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Smallest k ≥ 1 with F(k) ≥ u, by pmf(k) = pmf(k − 1)·q·(k − 1 + θ)/k from pmf(0) = ``zero``."""
    k = np.ones(u.size)
    pmf = zero * theta * q
    cdf = zero + pmf
    active = np.flatnonzero(u > cdf)
    step = 1
    while active.size and step < MOST_STEPS:
        step += 1
        pmf[active] *= q[active] * (step - 1 + theta[active]) / step
        cdf[active] += pmf[active]
        k[active] = step
        # float rounding can leave F below u for ever: a vanishing pmf ends the search as well
        active = active[(u[active] > cdf[active]) & (pmf[active] > 1e-14)]
    return k


def gaussian(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log-density of independent Gaussians, summed over features: ``(rows,)``."""
    log_variance = log_variance.clamp(-LOG_LIMIT, LOG_LIMIT)
    return -0.5 * (math.log(2 * math.pi) + log_variance + (x - mean) ** 2 / log_variance.exp()).sum(dim=1)


def sample_gaussian(
    mean: NDArray[np.float32], log_variance: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw independent Gaussians ``(rows, features)``."""
    sd = np.exp(0.5 * np.clip(log_variance, -LOG_LIMIT, LOG_LIMIT))
    return mean + sd * generator.standard_normal(mean.shape, dtype=np.float32)
