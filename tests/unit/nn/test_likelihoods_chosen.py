"""The likelihoods that can be chosen: log-probabilities against scipy.stats in float64, draws against the pmf, where they apply."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse, stats

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.errors import ConfigError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn import draws, likelihoods
from augmentor.nn.likelihoods import LIKELIHOODS, chosen

N = 100_000


def parameters(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts of which most are zero, means, log dispersions, logits of dropout: ``(50, 8)`` each."""
    generator = Stream(seed).numpy()
    mean = np.exp(generator.uniform(-6, 6, (50, 8)))
    x = generator.poisson(mean * generator.exponential(1, mean.shape)) * (generator.random(mean.shape) < 0.6)
    x[:10] = 0
    return x.astype(np.float64), mean, generator.uniform(-3, 5, (50, 8)), generator.uniform(-6, 4, (50, 8))


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays]


def zinb_pmf(x: np.ndarray, mean: float, theta: float, logit: float) -> np.ndarray:
    share = 1 / (1 + np.exp(-logit))
    return share * (x == 0) + (1 - share) * stats.nbinom.pmf(x, theta, theta / (theta + mean))


def test_zero_inflated_is_the_mixture_of_scipy() -> None:
    x, mean, log_dispersion, dropout = parameters(0)
    theta, share = np.exp(log_dispersion), 1 / (1 + np.exp(-dropout))
    log_nb = stats.nbinom.logpmf(x, theta, theta / (theta + mean))
    expected = np.where(x == 0, np.log(share + (1 - share) * np.exp(log_nb)), np.log1p(-share) + log_nb).sum(axis=1)
    found = likelihoods.zero_inflated(*tensors(x, mean, log_dispersion, dropout))
    assert_allclose(found.numpy(), expected, rtol=1e-6)  # 1e-10 guards log(mean)


def test_poisson_is_that_of_scipy() -> None:
    x, mean, _, _ = parameters(1)
    expected = stats.poisson.logpmf(x, mean).sum(axis=1)
    assert_allclose(likelihoods.poisson(*tensors(x, mean)).numpy(), expected, rtol=1e-6)


def test_bernoulli_is_that_of_scipy() -> None:
    x, _, _, logit = parameters(2)
    x = (x > 0).astype(np.float64)
    expected = stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-logit))).sum(axis=1)
    assert_allclose(likelihoods.bernoulli(*tensors(x, logit)).numpy(), expected, rtol=1e-12)


def test_without_dropout_zero_inflated_is_negative_binomial() -> None:
    x, mean, log_dispersion, dropout = parameters(3)
    found = likelihoods.zero_inflated(*tensors(x, mean, log_dispersion, np.full_like(dropout, -700)))
    assert_allclose(found, likelihoods.negative_binomial(*tensors(x, mean, log_dispersion)), rtol=1e-12)


def test_probabilities_of_counts_sum_to_one() -> None:
    x = torch.arange(0, 3000, dtype=torch.float64)[:, None]
    mean, log_dispersion, dropout = (torch.full_like(x, value) for value in (40.0, 0.5, -0.4))
    for log_p in (
        likelihoods.zero_inflated(x, mean, log_dispersion, dropout),
        likelihoods.poisson(x, mean),
        likelihoods.bernoulli(x[:2], dropout[:2]),
    ):
        assert_allclose(float(log_p.exp().sum()), 1, rtol=1e-9)


def test_gradients_are_the_numerical_ones() -> None:
    x, mean, log_dispersion, dropout = (tensor[10:13, :3] for tensor in tensors(*parameters(4)))
    mean, log_dispersion = mean.clamp(0.1, 50), log_dispersion.clamp(-1, 2)
    free = [tensor.contiguous().requires_grad_() for tensor in (mean, log_dispersion, dropout)]
    assert torch.autograd.gradcheck(lambda m, d, a: likelihoods.zero_inflated(x, m, d, a), free)
    assert torch.autograd.gradcheck(lambda m: likelihoods.poisson(x, m), free[:1])
    assert torch.autograd.gradcheck(lambda a: likelihoods.bernoulli((x > 0).double(), a), free[2:])


@pytest.mark.parametrize("dropout", [-200.0, 200.0])
def test_extreme_dropout_stays_finite(dropout: float) -> None:
    x, mean = torch.tensor([[0.0, 3, 500]]), torch.tensor([[1e-8, 2, 900]], requires_grad=True)
    logit = torch.full_like(x, dropout, requires_grad=True)
    total = likelihoods.zero_inflated(x, mean, torch.zeros_like(x), logit).sum()
    total.backward()
    assert torch.isfinite(total)
    assert all(t.grad is not None and bool(torch.isfinite(t.grad).all()) for t in (mean, logit))


@pytest.mark.parametrize("mean", [0.05, 0.7, 6.0, 30.0])
def test_drawn_counts_have_the_pmf(mean: float) -> None:
    """Chi-square of 100,000 draws on the counts expected 10 times or more; p > 1e-4 for nine tests of a fixed seed."""
    theta, logit = 1.7, -0.6
    full = {
        name: np.full((N, 1), value, np.float32) for name, value in (("m", mean), ("t", np.log(theta)), ("d", logit))
    }
    made = {
        "nb": draws.sample_negative_binomial(full["m"], full["t"], Stream(0).numpy()),
        "zinb": draws.sample_zero_inflated(full["m"], full["t"], full["d"], Stream(1).numpy()),
        "poisson": draws.sample_poisson(full["m"], Stream(2).numpy()),
    }
    k = np.arange(2000)
    laws = {
        "nb": stats.nbinom.pmf(k, theta, theta / (theta + mean)),
        "zinb": zinb_pmf(k, mean, theta, logit),
        "poisson": stats.poisson.pmf(k, mean),
    }
    for name, drawn in made.items():
        assert sparse.issparse(drawn)
        assert drawn.dtype == np.float32
        assert (drawn.data > 0).all(), "only non-zeros are stored"
        found = np.bincount(drawn.toarray().ravel().astype(int), minlength=len(k))
        often = N * laws[name] >= 10
        found, expected = found[often], N * laws[name][often]
        rest = [N - found.sum()], [N - expected.sum()]
        found, expected = np.append(found, rest[0]), np.append(expected, rest[1])
        keep = expected > 0.5
        assert stats.chisquare(found[keep], expected[keep], sum_check=False).pvalue > 1e-4, name


def test_drawn_ones_have_their_probability() -> None:
    logit = np.array([[-200, -3, 0, 2, 200]], np.float32).repeat(N, 0)
    drawn = draws.sample_bernoulli(logit, Stream(3).numpy())
    assert sparse.issparse(drawn)
    assert set(drawn.data.tolist()) == {1.0}
    share = 1 / (1 + np.exp(-logit[0].astype(np.float64)))
    assert_allclose(drawn.toarray().mean(axis=0), share, atol=5 * 0.5 / np.sqrt(N))
    assert_array_equal(drawn.toarray()[:, [0, 4]].mean(axis=0), [0, 1])


KNOWN = [(space, name) for space, known in LIKELIHOODS.items() for name in known]


def rows(space: Space, *, binary: bool) -> Encoded:
    """200 rows x 4 features of two labels, the second with larger values."""
    generator, condition = Stream(9).numpy(), np.repeat([0, 1], 100)
    x = generator.poisson(np.array([0.3, 1, 2, 4]) * (1 + condition[:, None])).astype(np.float32)
    x = np.minimum(x, 1) if binary else x
    given = Given(condition, condition[:, None].astype(np.int32), np.zeros((200, 0)), x.sum(axis=1) + 1.0)
    layout = Layout(space=space, features=4, categories=(2,), combinations=((0,), (1,)), rows=200)
    matrix = sparse.csr_matrix(x) if space is Space.COUNTS else x
    return Encoded(matrix, given, np.zeros(200, dtype=bool), layout)


@pytest.mark.parametrize(("space", "name"), KNOWN)
def test_every_likelihood_begins_at_its_labels_and_draws_its_mean(space: Space, name: likelihoods.Name) -> None:
    """20,000 draws at the beginning of label 1: the mean within five standard errors, the log-probability that of its function."""
    encoded = rows(space, binary=name == "bernoulli")
    law = chosen(encoded.layout, name)
    profile, spread = law.profiles(encoded)
    assert profile.shape == (2, law.width)
    assert spread.shape == (law.spreads,)
    size = torch.full((20_000, 1), float(np.exp(np.log(encoded.given.sizes).mean())))
    centre = law.centre(torch.from_numpy(profile)[[1]].expand(20_000, -1), size)
    spreads = torch.from_numpy(spread).expand(20_000, -1).contiguous()
    made = law.sample(centre.contiguous(), spreads, Stream(4).numpy())
    made = made.toarray() if sparse.issparse(made) else made
    expected = law.mean(centre, spreads)[0].numpy()
    assert_allclose(made.mean(axis=0), expected, atol=5 * float(made.std(axis=0).max()) / np.sqrt(20_000))
    x = torch.from_numpy(made[:50])
    assert law.log_prob(x, centre[:50], spreads[:50]).shape == (50,)
    assert bool(torch.isfinite(law.log_prob(x, centre[:50], spreads[:50])).all())


def test_zeros_of_another_origin_begin_few() -> None:
    _, spread = chosen(rows(Space.COUNTS, binary=False).layout, "zinb").profiles(rows(Space.COUNTS, binary=False))
    assert (1 / (1 + np.exp(-spread[4:])) < 0.06).all()


def test_ones_begin_at_the_share_of_the_label() -> None:
    encoded = rows(Space.COUNTS, binary=True)
    logit, _ = chosen(encoded.layout, "bernoulli").profiles(encoded)
    real = np.stack([encoded.x[encoded.given.condition == c].toarray().mean(axis=0) for c in (0, 1)])
    assert_allclose(1 / (1 + np.exp(-logit)), real, atol=0.02)  # two rows of the pooled share beside a hundred


def test_bernoulli_refuses_counts_above_one() -> None:
    encoded = rows(Space.COUNTS, binary=False)
    many = int((encoded.x.data > 1).sum())
    with pytest.raises(ConfigError, match=f"needs counts of 0 and 1, but {many} are larger"):
        chosen(encoded.layout, "bernoulli").profiles(encoded)


@pytest.mark.parametrize(
    ("space", "name", "words"),
    [
        (Space.COUNTS, "gaussian", "'gaussian' does not describe counts values; use nb, zinb, poisson, bernoulli"),
        (Space.CONTINUOUS, "nb", "'nb' does not describe continuous values; use gaussian"),
        (Space.CONTINUOUS, "bernoulli", "a 0/1 matrix is counts: --space counts"),
    ],
)
def test_a_likelihood_of_another_space_is_refused(space: Space, name: likelihoods.Name, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen(rows(space, binary=True).layout, name)


def test_the_default_is_the_first_of_the_space() -> None:
    assert isinstance(chosen(rows(Space.COUNTS, binary=True).layout, None), likelihoods.NegativeBinomial)
    assert isinstance(chosen(rows(Space.CONTINUOUS, binary=True).layout, None), likelihoods.Gaussian)
