"""Learnt latent priors: their densities integrate to one, their KL is the closed form where there is one, and draws obey them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.distributions import Independent, Normal, kl_divergence

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.errors import ArtifactError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.core.state import check_state
from augmentor.nn import latent_priors, latent_sizes
from augmentor.nn.blocks import materialise
from augmentor.nn.codec import Codec
from augmentor.nn.conditioning import Batch, batch
from augmentor.nn.latent_priors import LabelPrior, MixturePrior

ROWS, LATENT = 90, 2
CONDITION = np.repeat([0, 1, 2], [60, 28, 2])


def rows(covariates: int = 0) -> Encoded:
    """Counts of three labels, of sizes that vary."""
    generator = Stream(0).numpy()
    x = (1 + generator.poisson(generator.gamma(3, 1, (ROWS, 1)) * np.array([1, 2, 4, 8, 2]))).astype(np.float32)
    values = generator.normal(size=(ROWS, covariates))
    given = Given(CONDITION, CONDITION[:, None].astype(np.int32), values, x.sum(axis=1).astype(np.float64))
    layout = Layout(
        space=Space.COUNTS,
        features=5,
        categories=(3,),
        combinations=((0,), (1,), (2,)),
        covariates=covariates,
        rows=ROWS,
    )
    return Encoded(x, given, np.zeros(ROWS, dtype=bool), layout)


def made(kind: str, encoded: Encoded, components: int = 6) -> tuple[LabelPrior | MixturePrior, Codec]:
    """A prior away from its beginning, and a codec with random weights."""
    with torch.device("meta"):
        codec = Codec(encoded.layout, LATENT, 8, 1)
        if kind == "label":
            prior: LabelPrior | MixturePrior = LabelPrior(encoded.layout, LATENT)
        else:
            prior = MixturePrior(encoded.layout, LATENT, components, codec.seen if kind == "vamp" else None)
    materialise(codec, Stream(1))
    codec.initialise(encoded)
    materialise(prior, Stream(2))
    prior.initialise(encoded, codec, Stream(2))
    noise = Stream(3).torch()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter += 0.04 * torch.randn(parameter.shape, generator=noise)
        codec.posterior.weight.copy_(0.7 * torch.randn(codec.posterior.weight.shape, generator=noise))
    return prior.double().eval(), codec.double().eval()


def taken(encoded: Encoded, row: int, times: int) -> Batch:
    """One row many times over, in float64."""
    own = batch(encoded.take(np.full(times, row)))
    return Batch(own.x.double(), own.c.double(), own.condition, own.size.double())


@torch.no_grad()
def log_density(prior: LabelPrior | MixturePrior, codec: Codec, z: torch.Tensor, given: Batch) -> torch.Tensor:
    """log p(z | c) from the KL of a posterior that is the standard normal: log q(z) − (log q(z) − log p(z))."""
    if isinstance(prior, LabelPrior):
        narrow = torch.full_like(z, -40.0)  # a point: KL = −entropy − log p(z)
        entropy = 0.5 * (np.log(2 * np.pi) + 1 - 40.0) * LATENT
        return -prior.kl(z, narrow, z, given, codec).sum(dim=1) - entropy
    zero = torch.zeros_like(z)
    log_q = Independent(Normal(zero, zero + 1), 1).log_prob(z)
    return log_q - prior.kl(zero, zero, z, given, codec)[:, 0]


@pytest.mark.parametrize("covariates", [0, 2])
@pytest.mark.parametrize("kind", ["label", "mixture", "vamp"])
def test_densities_integrate_to_one(kind: str, covariates: int) -> None:
    encoded = rows(covariates)
    prior, codec = made(kind, encoded)
    side = torch.linspace(-14, 14, 281, dtype=torch.float64)
    z = torch.cartesian_prod(side, side)
    for row in (0, 70, 89):
        log_p = log_density(prior, codec, z, taken(encoded, row, len(z)))
        assert_allclose(float(log_p.exp().sum()) * 0.1**2, 1, rtol=1e-3)


@pytest.mark.parametrize("covariates", [0, 2])
def test_label_kl_is_that_of_torch(covariates: int) -> None:
    encoded = rows(covariates)
    prior, codec = made("label", encoded)
    assert isinstance(prior, LabelPrior)
    given, noise = taken(encoded, 70, 5), Stream(4).torch()
    mean, log_variance = (torch.randn((5, LATENT), generator=noise, dtype=torch.float64) for _ in range(2))
    found = prior.kl(mean, log_variance, mean, given, codec)
    _, centres, variances = prior.gaussians(codec)
    centre = centres[1] + (given.c[:, -covariates:] @ prior.shift if prior.shift is not None else 0)
    expected = kl_divergence(
        Normal(mean, (0.5 * log_variance).exp()), Normal(centre.expand(5, -1), (0.5 * variances[1]).exp())
    )
    assert_allclose(found.detach(), expected.detach(), rtol=1e-10)


@torch.no_grad()
def test_monte_carlo_kl_of_one_gaussian_is_the_closed_form() -> None:
    """A mixture whose components are equal is one Gaussian; 200,000 draws, five standard errors."""
    encoded, n = rows(), 200_000
    prior, codec = made("mixture", encoded)
    assert isinstance(prior, MixturePrior)
    assert prior.mean is not None
    assert prior.log_variance is not None
    prior.mean.copy_(prior.mean[:1].expand_as(prior.mean))
    prior.log_variance.copy_(prior.log_variance[:1].expand_as(prior.log_variance))
    _, centre, variance = prior.gaussians(codec)
    mean, log_variance = (
        torch.tensor([[0.4, -1.0]], dtype=torch.float64),
        torch.tensor([[-1.0, 0.3]], dtype=torch.float64),
    )
    z = mean + (0.5 * log_variance).exp() * torch.randn((n, LATENT), generator=Stream(5).torch(), dtype=torch.float64)
    given = taken(encoded, 0, n)
    exact = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(centre[:1], (0.5 * variance[:1]).exp()))
    found = prior.kl(mean, log_variance, z, given, codec)[:, 0]
    assert_allclose(found.mean(), exact.sum(), atol=5 * float(found.std()) / np.sqrt(n))
    margins = prior.by_dimension(mean, log_variance, z, given, codec)
    assert_allclose(margins.sum(dim=1), found, rtol=1e-8)  # of independent dimensions the margins are all there is
    assert_allclose(margins.mean(dim=0), exact[0], atol=5 * float(margins.std(dim=0).max()) / np.sqrt(n))


@torch.no_grad()
def test_kl_of_a_mixture_from_itself_is_zero_on_average() -> None:
    encoded, n = rows(), 100_000
    prior, codec = made("mixture", encoded)
    given = Given(np.ones(n, dtype=np.intp), np.ones((n, 1), np.int32), np.zeros((n, 0)))
    z = torch.from_numpy(latent_priors.draw(latent_priors.frozen(prior, codec), given, Stream(6)))
    log_p = log_density(prior, codec, z, taken(encoded, 70, n))
    weight, centre, variance = prior.gaussians(codec)
    parts = Independent(Normal(centre, (0.5 * variance).exp()), 1).log_prob(z[:, None]) + weight[1]
    assert_allclose(log_p, torch.logsumexp(parts, dim=1), rtol=1e-8)


@pytest.mark.parametrize("kind", ["label", "mixture", "vamp"])
def test_draws_have_the_moments_of_their_label(kind: str) -> None:
    """100,000 draws per label: means within five standard errors, variances within 3 %."""
    encoded, n = rows(2), 100_000
    prior, codec = made(kind, encoded)
    state = latent_priors.frozen(prior, codec)
    check_state(latent_priors.shapes(prior, encoded.layout, LATENT), state, "the latent density")
    assert_allclose(state["weight"].sum(axis=1), 1)
    v = np.array([0.5, -2.0])
    for c in range(3):
        given = Given(np.full(n, c), np.full((n, 1), c, np.int32), np.tile(v, (n, 1)))
        z = latent_priors.draw(state, given, Stream(7))
        mean = state["weight"][c] @ state["mean"]
        variance = state["weight"][c] @ (state["mean"] ** 2 + state["sd"] ** 2) - mean**2
        assert_allclose(z.mean(axis=0), mean + v @ state["slope"], atol=5 * np.sqrt(variance.max() / n))
        assert_allclose(z.var(axis=0), variance, rtol=0.03)
        assert_array_equal(z[:10], latent_priors.draw(state, given.take(slice(0, n)), Stream(7))[:10])


@pytest.mark.parametrize("kind", ["label", "mixture", "vamp"])
def test_gradients_reach_every_parameter_of_the_prior_and_of_the_encoder(kind: str) -> None:
    encoded = rows(2)
    prior, codec = made(kind, encoded)
    own = batch(encoded)
    own = Batch(own.x.double(), own.c.double(), own.condition, own.size.double())
    mean, log_variance = codec.encode(own, 0.0, None)
    z = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=Stream(5).torch(), dtype=torch.float64)
    prior.kl(mean, log_variance, z, own, codec).mean().backward()
    for name, parameter in [*prior.named_parameters(), *codec.posterior.named_parameters()]:
        assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name


def test_a_label_prior_begins_as_the_standard_normal() -> None:
    encoded = rows()
    prior = LabelPrior(encoded.layout, LATENT)
    materialise(prior, Stream(0))
    mean, log_variance = torch.tensor([[0.3, -2.0]]), torch.tensor([[0.5, -1.0]])
    with torch.device("meta"):
        codec = Codec(encoded.layout, LATENT, 8, 1)
    found = prior.kl(mean, log_variance, mean, batch(encoded.take(np.array([0]))), codec)
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(torch.zeros(2), torch.ones(2)))
    assert_allclose(found.detach(), expected, rtol=1e-5)


def test_pseudo_inputs_begin_among_the_rows_of_their_label_and_are_read_by_the_encoder() -> None:
    encoded = rows()
    with torch.device("meta"):
        codec = Codec(encoded.layout, LATENT, 8, 1)
        prior = MixturePrior(encoded.layout, LATENT, 6, codec.seen)
    materialise(codec, Stream(1))
    codec.initialise(encoded)
    materialise(prior, Stream(2))
    prior.initialise(encoded, codec, Stream(2))
    assert prior.pseudo is not None
    seen = codec.inputs(batch(encoded))
    owner = latent_priors.owners(np.bincount(CONDITION), 6)
    for k, c in enumerate(owner):
        own = seen[torch.from_numpy(c == CONDITION)]
        assert bool(
            (
                (prior.pseudo[k] >= own.min(dim=0).values - 1e-5) & (prior.pseudo[k] <= own.max(dim=0).values + 1e-5)
            ).all()
        )
    assert not any(bool((row == seen).all(dim=1).any()) for row in prior.pseudo[owner != 2])
    log_weight, mean, _ = prior.gaussians(codec)
    assert_allclose(mean.detach(), codec.read(prior.pseudo)[0].detach())
    assert (log_weight.argmax(dim=1).numpy() == [0, 1, 2]).all()


@pytest.mark.parametrize("components", [3, 4, 20])
def test_components_are_shared_out_by_rows(components: int) -> None:
    owner = latent_priors.owners(np.array([60, 28, 2]), components)
    counts = np.bincount(owner, minlength=3)
    assert len(owner) == components
    assert (counts >= 1).all()
    assert abs(counts[0] - 1 - (components - 3) * 60 / 90) < 1


def test_sizes_follow_the_latent_as_in_the_encoded_rows() -> None:
    """log s = 6 + c + 0.5·z₁ − 0.3·v + 0.2·e: drawn with z from the same law, sizes have its slopes, spread and mean."""
    generator, n = Stream(8).numpy(), 4000
    condition = np.repeat([0, 1], n // 2)
    z, v = generator.normal(size=(n, 2)), generator.normal(size=(n, 1))
    posterior = np.full((n, 2), 0.2)
    logs = 6 + condition + 0.5 * z[:, 0] - 0.3 * v[:, 0] + 0.2 * generator.normal(size=n)
    given = Given(condition, condition[:, None].astype(np.int32), v, np.exp(logs))
    state = latent_sizes.fit(z, np.zeros_like(z), given, 2)
    assert_allclose(state["size.slope"], [0.5, 0, -0.3], atol=0.02)
    assert_allclose(state["size.share"], 0.2 / np.sqrt(0.25 + 0.09 + 0.04), atol=0.02)
    order = np.concatenate([generator.permutation(n // 2), n // 2 + generator.permutation(n // 2)])
    independent = Given(
        condition, given.codes, v, np.exp(logs[order])
    )  # the size model: right margins, no relation to z
    found = np.log(latent_sizes.drawn(state, z, independent).sizes)
    for c in (0, 1):
        own = condition == c
        assert_allclose(found[own].mean(), logs[own].mean(), atol=0.03)
        assert_allclose(found[own].std(), logs[own].std(), rtol=0.05)
        assert_allclose(np.corrcoef(found[own], z[own, 0])[0, 1], np.corrcoef(logs[own], z[own, 0])[0, 1], atol=0.03)
    wide = latent_sizes.fit(z, posterior, given, 2)
    assert_allclose(wide["size.slope"][0], 0.5 / 1.2, atol=0.02)  # z is drawn wider than the means that were seen
    drawn = latent_sizes.drawn(wide, z + np.sqrt(posterior) * generator.normal(size=z.shape), independent)
    assert_allclose(np.log(drawn.sizes)[condition == 0].std(), logs[condition == 0].std(), rtol=0.05)


def test_sizes_without_relation_to_the_latent_stay_the_size_models() -> None:
    generator = Stream(9).numpy()
    condition = np.repeat([0, 1, 2], [900, 500, 1])
    n = len(condition)
    given = Given(condition, condition[:, None].astype(np.int32), np.zeros((n, 0)), np.exp(generator.normal(7, 0.4, n)))
    z = generator.normal(size=(n, 2))
    state = latent_sizes.fit(z, np.zeros_like(z), given, 3)
    assert_allclose(state["size.share"], 1, atol=0.02)
    assert_allclose(latent_sizes.drawn(state, z, given).sizes, given.sizes, rtol=0.2)


def test_a_state_of_other_shapes_is_refused() -> None:
    encoded = rows()
    prior, codec = made("mixture", encoded)
    state = latent_priors.frozen(prior, codec)
    wanted = latent_priors.shapes(prior, encoded.layout, LATENT) | latent_sizes.shapes(encoded.layout, LATENT)
    with pytest.raises(ArtifactError, match=r"3 missing \('size.slope'"):
        check_state(wanted, state, "the latent density")
