"""The flow is exact: its density integrates to one, its steps are inverted, its Jacobian is the one that autograd finds."""

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
from augmentor.core.errors import ConfigError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.models.flow import Flow
from augmentor.nn.whitening import class_gaussians
from augmentor.training.loop import Run, train

STEP = 0.05
KINDS = ("nice", "realnvp", "maf", "iaf", "nsf")


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


def fitted(data: Encoded, **settings: Any) -> Flow:
    model = Flow.build(data.layout, Flow.Config(**settings))
    train(model, data, Stream(0), Run(device="cpu"))
    return model


def perturbed(data: Encoded, **settings: Any) -> Flow:
    """An untrained flow whose every step does something."""
    model = Flow.build(data.layout, Flow.Config(width=16, **settings))
    model.initialise(data, Stream(0))
    noise = Stream(1).torch()
    with torch.no_grad():
        for parameter in model.net.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=noise)
    return model


def moons(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Two half circles with noise, in standard units, a label each: nothing that a Gaussian could follow."""
    rng = Stream(seed).numpy()
    angle, label = np.pi * rng.random(n), np.arange(n) % 2
    x = np.stack([np.cos(angle) + label, np.sin(angle) * (1 - 2 * label) + 0.5 * label], axis=1)
    return (x + 0.1 * rng.normal(size=(n, 2)) - [0.5, 0.25]) / [0.87, 0.5], label.astype(np.intp)


def grid(label: int) -> Encoded:
    """The plane in steps of `STEP`, all of one of two labels."""
    side = np.arange(-8, 8, STEP)
    x = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    plane = encoded(x, np.ones(len(x), dtype=np.intp))
    condition = np.full(len(x), label, dtype=np.intp)
    given = Given(condition, condition[:, None].astype(np.int32), np.zeros((len(x), 0)))
    return replace(plane, given=given)


FEATURES = encoded(Stream(3).numpy().normal(size=(64, 6)) @ np.triu(np.ones((6, 6))), np.arange(64) % 3)


@pytest.mark.parametrize("kind", KINDS)
def test_density_integrates_to_one(kind: str) -> None:
    """A sum over a grid of 0.05 standard units; its error for a density as smooth as these is far below a hundredth."""
    x, label = moons(240, 0)
    model = fitted(encoded(x, label), kind=kind, epochs=30, width=32)
    for c in (0, 1):
        density = np.exp(model.log_prob(grid(c)).astype(np.float64))
        assert density.sum() * STEP**2 == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_inverse_undoes_forward(kind: str) -> None:
    model = perturbed(FEATURES, kind=kind)
    x = torch.from_numpy(np.asarray(FEATURES.x))
    c, condition = torch.eye(3)[FEATURES.given.condition], torch.from_numpy(FEATURES.given.condition)
    with torch.no_grad():
        noise, _ = model.net(x, c, condition)
        assert (noise - x).abs().max() > 0.5
        assert_allclose(model.net.inverse(noise, c, condition).numpy(), x.numpy(), atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_is_that_of_the_jacobian_by_autograd(kind: str) -> None:
    """log N(f(x)) + log |det ∂f/∂x|, the Jacobian row by row in double precision."""
    model = perturbed(FEATURES, kind=kind)
    found = model.log_prob(FEATURES)
    net = model.net.double()
    for i in range(5):
        c = torch.eye(3, dtype=torch.float64)[FEATURES.given.condition[[i]]]
        condition = torch.from_numpy(FEATURES.given.condition[[i]])

        def forward(row: torch.Tensor, c: torch.Tensor = c, condition: torch.Tensor = condition) -> torch.Tensor:
            return net(row[None], c, condition)[0][0]

        x = torch.from_numpy(np.asarray(FEATURES.x)[i]).double()
        jacobian = torch.autograd.functional.jacobian(forward, x)
        normal = stats.norm.logpdf(forward(x).detach().numpy()).sum()
        assert found[i] == pytest.approx(normal + float(torch.linalg.slogdet(jacobian).logabsdet), abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_starts_at_the_gaussian_of_each_label(kind: str) -> None:
    model = Flow.build(FEATURES.layout, Flow.Config(kind=kind, start="gaussian"))
    model.initialise(FEATURES, Stream(0))
    own = ~FEATURES.valid
    condition = FEATURES.given.condition
    mean, covariance = class_gaussians(FEATURES.x[own], None, condition[own], 3, pseudo_rows=100)
    expected = [
        stats.multivariate_normal(mean[c], covariance[c]).logpdf(x)
        for x, c in zip(np.asarray(FEATURES.x, dtype=np.float64), condition, strict=True)
    ]
    assert_allclose(model.log_prob(FEATURES), expected, atol=2e-3)


def test_learns_what_a_gaussian_cannot() -> None:
    """Half circles: a held-out row gains more than half a nat over the Gaussian of its label."""
    x, label = moons(800, 0)
    fresh = encoded(*moons(400, 1))
    model = fitted(encoded(x, label), kind="nsf", epochs=60)
    gaussian = [stats.multivariate_normal(x[label == c].mean(axis=0), np.cov(x[label == c].T)) for c in (0, 1)]
    reference = np.mean([gaussian[c].logpdf(row) for row, c in zip(fresh.x, fresh.given.condition, strict=True)])
    assert model.log_prob(fresh).mean() > reference + 0.5


def test_drawn_rows_are_as_likely_as_real_ones() -> None:
    """Drawing and density are one law: mean log-density of 2,000 drawn rows against that of fresh rows of the same flow.

    Both estimate −entropy from independent draws, so five standard errors: 1 false alarm in a million.
    """
    x, label = moons(400, 0)
    model = fitted(encoded(x, label), kind="maf", epochs=40)
    data = encoded(np.zeros((2000, 2)), np.arange(2000) % 2)
    rows = model.draw(data.given, Stream(4))
    expected, spread = [], []
    for c in (0, 1):
        log = model.log_prob(grid(c)).astype(np.float64)
        weight = np.exp(log) * STEP**2
        expected.append((weight * log).sum())
        spread.append((weight * log**2).sum() - expected[-1] ** 2)
    found = model.log_prob(Encoded(rows, data.given, data.valid, data.layout)).mean(dtype=np.float64)
    assert abs(found - np.mean(expected)) < 5 * np.sqrt(np.mean(spread) / 2000) + 0.02


def test_wide_rows_and_counts_have_no_exact_density() -> None:
    counts = encoded(Stream(5).numpy().poisson(3.0, size=(40, 5)) + 1, space=Space.COUNTS)
    model = fitted(counts, epochs=1)
    assert any(name.startswith("latents.") for name in model.state())
    with pytest.raises(ConfigError, match="most_features"):
        model.log_prob(counts)


def test_class_gaussians_shrink_to_the_pooled_one() -> None:
    """Labels without rows of their own get the pooled covariance; weight of a label's own rows grows with them."""
    rng = Stream(6).numpy()
    x = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) @ np.array([[1, 0.9], [0, 0.44]])])
    label = np.repeat([0, 1], 300)
    mean, covariance = class_gaussians(x, None, label, 3, pseudo_rows=1e-3)
    assert_allclose(covariance[1], np.cov(x[300:].T), rtol=0.02, atol=0.01)
    assert_allclose(mean[2], x.mean(axis=0))
    pooled = class_gaussians(x, None, label, 3, pseudo_rows=1e9)[1]
    assert_allclose(pooled[0], pooled[1], rtol=1e-4, atol=1e-5)
    assert_allclose(covariance[2], pooled[0], rtol=1e-4, atol=1e-5)
