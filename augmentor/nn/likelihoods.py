"""Likelihoods p(x | parameters): log-probability for training (torch), sampling for drawing (NumPy)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# exp(±LOG_LIMIT) bounds dispersions and variances: outside, a step on one odd row would overflow float32
LOG_LIMIT = 8.0


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
) -> NDArray[np.float32]:
    """Draw counts ``(rows, genes)`` as a gamma–Poisson mixture: λ ~ Gamma(θ, μ/θ), x ~ Poisson(λ)."""
    theta = np.exp(np.clip(log_dispersion, -LOG_LIMIT, LOG_LIMIT))
    rate = generator.standard_gamma(theta, dtype=np.float32) if theta.dtype == np.float32 else generator.gamma(theta)
    rate *= mean / theta
    return generator.poisson(rate).astype(np.float32)


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
