"""The autoregressive network is exact: probabilities sum to one, no feature sees a later one, drawing and likelihood are one law."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import stats

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import as_dense
from augmentor.core.errors import ConfigError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.models.autoregressive import Autoregressive
from augmentor.nn.whitening import class_gaussians
from augmentor.training.loop import Run, train

STEP = 0.05
VALUES = [("nade", "gaussian"), ("nade", "logistic"), ("rnn", "gaussian"), ("rnn", "logistic")]
PMFS = [("nade", "negative_binomial"), ("nade", "categorical"), ("rnn", "negative_binomial"), ("rnn", "categorical")]


def encoded(x: NDArray[Any], condition: NDArray[np.intp] | None = None, space: Space = Space.CONTINUOUS) -> Encoded:
    """Rows of labels 0, 1, ..., every eighth of them for validation."""
    n = len(x)
    condition = np.zeros(n, dtype=np.intp) if condition is None else condition
    labels = int(condition.max()) + 1
    size = x.sum(axis=1).astype(np.float64) if space is Space.COUNTS else None
    given = Given(condition, condition[:, None].astype(np.int32), np.zeros((n, 0)), size)
    layout = Layout(
        space=space,
        features=x.shape[1],
        categories=(labels,),
        combinations=tuple((c,) for c in range(labels)),
        rows=n,
    )
    return Encoded(x.astype(np.float32), given, np.arange(n) % 8 == 0, layout)


def of_label(data: Encoded, label: int) -> Encoded:
    """The same rows, all of one label."""
    condition = np.full(len(data), label, dtype=np.intp)
    return replace(data, given=replace(data.given, condition=condition, codes=condition[:, None].astype(np.int32)))


def fitted(data: Encoded, **settings: Any) -> Autoregressive:
    model = Autoregressive.build(data.layout, Autoregressive.Config(**settings))
    train(model, data, Stream(0), Run(device="cpu"))
    return model


def perturbed(data: Encoded, **settings: Any) -> Autoregressive:
    """An untrained network whose every weight does something."""
    model = Autoregressive.build(data.layout, Autoregressive.Config(width=24, **settings))
    model.initialise(data, Stream(0))
    noise = Stream(1).torch()
    with torch.no_grad():
        for parameter in model.net.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=noise)
    return model


def ring(n: int, seed: int) -> NDArray[np.float64]:
    """A noisy circle: no Gaussian, and the second coordinate has two places given the first."""
    rng = Stream(seed).numpy()
    angle = 2 * np.pi * rng.random(n)
    return 1.4 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.15 * rng.normal(size=(n, 2))


def rates(n: int, seed: int) -> NDArray[np.int64]:
    """Two counts that share a rate, one of them often zero, and one of their own."""
    rng = Stream(seed).numpy()
    rate = rng.gamma(1.5, 1.0, n)
    return np.stack([rng.poisson(2 * rate), rng.poisson(0.4 * rate), rng.poisson(3.0, n)], axis=1) + np.array([0, 0, 1])


CONTINUOUS = encoded(Stream(3).numpy().normal(size=(80, 7)) @ np.triu(np.ones((7, 7))), np.arange(80) % 3)
COUNTS = encoded(rates(80, 3), np.arange(80) % 2, Space.COUNTS)


@pytest.mark.parametrize(("kind", "head"), VALUES)
def test_density_integrates_to_one(kind: str, head: str) -> None:
    """A sum over a grid of 0.05 standard units; components are far wider than that after so little training."""
    x = ring(240, 0)
    model = fitted(encoded(x, np.arange(240) % 2), kind=kind, head=head, epochs=20, width=32, block=1)
    side = np.arange(-10, 10, STEP)
    plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    for label in (0, 1):
        log = model.log_prob(of_label(encoded(plane, np.arange(len(plane)) % 2), label))
        assert np.exp(log.astype(np.float64)).sum() * STEP**2 == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("kind", "head"), PMFS)
def test_probabilities_of_all_counts_sum_to_one(kind: str, head: str) -> None:
    """Over 0 .. 150 of two genes of small means, what lies beyond is below a thousandth."""
    model = fitted(encoded(rates(160, 0)[:, [0, 2]], space=Space.COUNTS), kind=kind, head=head, epochs=10, levels=6)
    pairs = np.stack(np.meshgrid(np.arange(151), np.arange(151)), axis=-1).reshape(-1, 2)
    total = np.exp(model.log_prob(encoded(pairs, space=Space.COUNTS)).astype(np.float64)).sum()
    assert total == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("settings", [{"kind": "nade"}, {"kind": "rnn", "block": 1}, {"kind": "rnn", "block": 3}])
def test_no_feature_depends_on_a_later_one(settings: dict[str, Any]) -> None:
    """The conditionals' numbers for feature i have zero derivative by x_j, j ≥ i (a block of rnn: by its own block)."""
    net = perturbed(CONTINUOUS, **settings).net.double()
    c = torch.eye(3, dtype=torch.float64)[[1]]
    x = torch.from_numpy(np.asarray(CONTINUOUS.x[:1])).double()
    jacobian = torch.autograd.functional.jacobian(lambda row: net.trunk(row, c)[0], x)[:, :, 0].abs().sum(dim=1)
    block = settings.get("block", 1)
    allowed = np.arange(7)[:, None] // block > np.arange(7) // block
    assert (jacobian.numpy()[~allowed] == 0).all()
    assert (jacobian.numpy()[allowed] > 0).all()


@pytest.mark.parametrize("settings", [{"kind": "nade"}, {"kind": "rnn", "block": 1}, {"kind": "rnn", "block": 3}])
def test_one_feature_at_a_time_is_all_at_once(settings: dict[str, Any]) -> None:
    """What drawing asks the network for, step by step, are the numbers that the likelihood is computed from."""
    net = perturbed(CONTINUOUS, **settings).net
    x, c = torch.from_numpy(np.asarray(CONTINUOUS.x)), torch.eye(3)[CONTINUOUS.given.condition]
    memory: Any = None
    with torch.no_grad():
        whole = net.trunk(x, c)
        for i in range(7):
            seen = torch.where(torch.arange(7) < i, x, torch.zeros_like(x))
            one, memory = net.trunk.at(i, seen, c, memory)
            assert_allclose(one.numpy(), whole[:, i].numpy(), atol=1e-5)


@pytest.mark.parametrize(("kind", "head"), VALUES)
def test_log_prob_is_that_of_the_jacobian_by_autograd(kind: str, head: str) -> None:
    """The distribution functions F_i(x_i | x_<i) carry rows to uniforms; log |det ∂F/∂x| is the log-density."""
    model = perturbed(CONTINUOUS, kind=kind, head=head)
    found, net = model.log_prob(CONTINUOUS), model.net.double()
    for i in range(5):
        c = torch.eye(3, dtype=torch.float64)[CONTINUOUS.given.condition[[i]]]
        condition = torch.from_numpy(CONTINUOUS.given.condition[[i]])

        def uniform(row: torch.Tensor, c: torch.Tensor = c, condition: torch.Tensor = condition) -> torch.Tensor:
            x = row[None, net.order]
            location = net.base[condition] + x @ net.skip.tril(-1).T
            weight, centre, spread = net._split(location, net.scale, net.trunk(x, c))
            z = (x[..., None] - centre) / spread.exp()
            below = torch.special.ndtr(z) if head == "gaussian" else torch.sigmoid(z)
            return (weight.exp() * below).sum(dim=-1)[0]

        x = torch.from_numpy(np.asarray(CONTINUOUS.x)[i]).double()
        determinant = torch.linalg.slogdet(torch.autograd.functional.jacobian(uniform, x)).logabsdet
        assert found[i] == pytest.approx(float(determinant), abs=2e-3)


def test_negative_binomial_head_is_scipys() -> None:
    model = perturbed(COUNTS, components=1)
    net, x = model.net, torch.from_numpy(np.asarray(COUNTS.x))
    c, condition = torch.eye(2)[COUNTS.given.condition], torch.from_numpy(COUNTS.given.condition)
    with torch.no_grad():
        ordered = x[:, net.order]
        location = net.base[condition] + ordered.log1p() @ net.skip.tril(-1).T
        _, centre, spread = net._split(location, net.scale, net.trunk(ordered.log1p(), c))
    mean, theta = centre[..., 0].exp().numpy(), spread[..., 0].exp().numpy()
    expected = stats.nbinom.logpmf(ordered.numpy(), theta, theta / (theta + mean)).sum(axis=1)
    assert_allclose(model.log_prob(COUNTS), expected, rtol=1e-3, atol=5e-3)


def test_starts_at_the_shrunk_gaussian() -> None:
    """With one component and few rows: mean of the label, pooled covariance."""
    few = CONTINUOUS.take(np.arange(40))
    model = Autoregressive.build(few.layout, Autoregressive.Config(components=1))
    model.initialise(few, Stream(0))
    own, condition = ~few.valid, few.given.condition
    mean, covariance = class_gaussians(few.x[own], None, condition[own], 3, pseudo_rows=1e9)
    expected = [
        stats.multivariate_normal(mean[c], covariance[c]).logpdf(x) for x, c in zip(few.x, condition, strict=True)
    ]
    assert_allclose(model.log_prob(few), expected, atol=5e-3)


@pytest.mark.parametrize(("kind", "head"), PMFS)
def test_drawn_counts_follow_the_likelihood(kind: str, head: str) -> None:
    """6,000 drawn pairs against the probabilities of all pairs, in cells of 20 and more expected: p > 1e-4."""
    model = fitted(encoded(rates(160, 0)[:, [0, 2]], space=Space.COUNTS), kind=kind, head=head, epochs=10, levels=6)
    given = encoded(np.ones((6000, 2)), space=Space.COUNTS).given
    drawn = as_dense(model.draw(given, Stream(2))).astype(int)
    pairs = np.stack(np.meshgrid(np.arange(40), np.arange(40), indexing="ij"), axis=-1).reshape(-1, 2)
    expected = 6000 * np.exp(model.log_prob(encoded(pairs, space=Space.COUNTS)).astype(np.float64))
    inside = (drawn < 40).all(axis=1)
    found = np.bincount(drawn[inside, 0] * 40 + drawn[inside, 1], minlength=1600)
    often = expected >= 20
    observed = np.append(found[often], 6000 - found[often].sum())
    assert stats.chisquare(observed, np.append(expected[often], 6000 - expected[often].sum())).pvalue > 1e-4


def test_learns_what_a_gaussian_cannot() -> None:
    """A circle: a held-out row gains more than half a nat over the Gaussian."""
    x, fresh = ring(800, 0), ring(400, 1)
    model = fitted(encoded(x), epochs=60)
    reference = stats.multivariate_normal(x.mean(axis=0), np.cov(x.T)).logpdf(fresh).mean()
    assert model.log_prob(encoded(fresh)).mean() > reference + 0.5


def test_correlated_features_stand_side_by_side() -> None:
    """Pairs (0, 3), (1, 4), (2, 5) of twins: each stands beside its own."""
    rng = Stream(8).numpy()
    z = rng.normal(size=(200, 3))
    x = np.hstack([z, z + 0.1 * rng.normal(size=z.shape)])
    model = Autoregressive.build(encoded(x).layout, Autoregressive.Config())
    model.initialise(encoded(x), Stream(0))
    place = np.argsort(model.net.order.numpy())
    assert (np.abs(place[:3] - place[3:]) == 1).all()


def test_heads_belong_to_their_values() -> None:
    with pytest.raises(ConfigError, match="gaussian or logistic"):
        Autoregressive.build(CONTINUOUS.layout, Autoregressive.Config(head="categorical"))
    with pytest.raises(ConfigError, match="negative_binomial or categorical"):
        Autoregressive.build(COUNTS.layout, Autoregressive.Config(head="logistic"))


def test_wide_rows_have_no_exact_likelihood() -> None:
    wide = encoded(rates(60, 0), space=Space.COUNTS)
    model = fitted(wide, epochs=1, most_features=2)
    assert any(name.startswith("latents.") for name in model.state())
    with pytest.raises(ConfigError, match="most_features"):
        model.log_prob(wide)
