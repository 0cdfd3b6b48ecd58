"""Likelihoods against scipy.stats in float64, and what is sampled against the moments it should have."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats

from augmentor.core.dataset import as_dense
from augmentor.core.random import Stream
from augmentor.nn import likelihoods


def grid(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = Stream(seed).numpy()
    mean = np.exp(generator.uniform(-6, 7, (50, 8)))
    log_dispersion = generator.uniform(-3, 5, (50, 8))
    x = generator.poisson(mean * generator.exponential(1, mean.shape)).astype(np.float64)
    x[:10] = 0
    return x, mean, log_dispersion


def test_negative_binomial_is_that_of_scipy() -> None:
    x, mean, log_dispersion = grid(0)
    theta = np.exp(log_dispersion)
    expected = stats.nbinom.logpmf(x, theta, theta / (theta + mean)).sum(axis=1)
    found = likelihoods.negative_binomial(*map(torch.from_numpy, (x, mean, log_dispersion)))
    # 1e-10 guards log(mean), so means of 1e-3 differ in the seventh digit
    assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_negative_binomial_sums_to_one() -> None:
    x = torch.arange(0, 3000, dtype=torch.float64)[:, None]
    log_p = likelihoods.negative_binomial(x, torch.full_like(x, 40.0), torch.full_like(x, 0.5))
    assert_allclose(float(log_p.exp().sum()), 1, rtol=1e-9)


def test_negative_binomial_gradient_is_the_numerical_one() -> None:
    x, mean, log_dispersion = (torch.from_numpy(a[:3, :3]) for a in grid(1))
    mean, log_dispersion = mean.clamp(0.1, 50).requires_grad_(), log_dispersion.clamp(-1, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, d: likelihoods.negative_binomial(x, m, d), (mean, log_dispersion))


@pytest.mark.parametrize("log_dispersion", [-1e6, 1e6])
def test_extreme_dispersions_stay_finite(log_dispersion: float) -> None:
    x = torch.tensor([[0.0, 3, 500]])
    mean = torch.tensor([[1e-8, 2, 900]], requires_grad=True)
    total = likelihoods.negative_binomial(x, mean, torch.full_like(x, log_dispersion)).sum()
    total.backward()
    assert torch.isfinite(total)
    assert mean.grad is not None
    assert torch.isfinite(mean.grad).all()


def test_gaussian_is_that_of_scipy() -> None:
    generator = Stream(2).numpy()
    x, mean, log_variance = (
        generator.normal(size=(20, 5)),
        generator.normal(size=(20, 5)),
        generator.uniform(-5, 5, (20, 5)),
    )
    expected = stats.norm.logpdf(x, mean, np.exp(0.5 * log_variance)).sum(axis=1)
    assert_allclose(likelihoods.gaussian(*map(torch.from_numpy, (x, mean, log_variance))).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(("mean", "theta"), [(0.2, 0.5), (5, 2), (100, 10)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sampled_counts_have_mean_variance_and_zeros(mean: float, theta: float, dtype: type) -> None:
    """100,000 draws: five standard errors, so 1 false alarm in a million (fixed seed)."""
    n = 100_000
    full = np.full((n, 1), mean, dtype), np.full((n, 1), np.log(theta), dtype)
    drawn = as_dense(likelihoods.sample_negative_binomial(*full, Stream(0).numpy()))
    assert drawn.dtype == np.float32
    law = stats.nbinom(theta, theta / (theta + mean))
    assert_allclose(drawn.mean(), law.mean(), atol=5 * law.std() / np.sqrt(n))
    spread = np.sqrt((law.stats("k") + 2) / n) * law.var()
    assert_allclose(drawn.var(), law.var(), atol=5 * spread)
    assert_allclose((drawn == 0).mean(), law.pmf(0), atol=5 * np.sqrt(0.25 / n))


def test_sampled_gaussians_have_mean_and_variance() -> None:
    n = 100_000
    drawn = likelihoods.sample_gaussian(
        np.full((n, 1), 3, np.float32), np.full((n, 1), np.log(4), np.float32), Stream(1).numpy()
    )
    assert drawn.dtype == np.float32
    assert_allclose(drawn.mean(), 3, atol=5 * 2 / np.sqrt(n))
    assert_allclose(drawn.var(), 4, rtol=5 * np.sqrt(2 / n))
