"""Flow matching: its pairing and its integrator where the answer is known; the guidance it shares with diffusion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.errors import ConfigError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.models import flow_matching
from augmentor.models.diffusion import Diffusion
from augmentor.models.flow_matching import FlowMatching
from augmentor.nn.blocks import materialise
from augmentor.nn.conditioning import conditions
from augmentor.nn.guidance import GuidedField
from augmentor.training.loop import Run, train

LAYOUT = Layout(
    space=Space.CONTINUOUS,
    features=4,
    categories=(2, 3),
    combinations=((0, 0), (0, 2), (1, 1)),
    covariates=1,
    rows=60,
)
GIVEN = Given(
    np.array([2, 0, 1, 0, 2]),
    np.array([[1, 1], [0, 0], [0, 2], [0, 0], [1, 1]], dtype=np.int32),
    np.linspace(-1, 1, 5)[:, None],
)
C = conditions(GIVEN, LAYOUT)
U, T = torch.randn(5, 2, generator=torch.Generator().manual_seed(1)), torch.full((5, 1), 0.3)


def field(**settings: Any) -> GuidedField:
    """An untrained field of two dimensions; the same weights whatever the settings."""
    with torch.device("meta"):
        made = GuidedField(LAYOUT, 2, width=16, blocks=2, **settings)
    materialise(made, Stream(0))
    return made


def seen(*columns: bool) -> Tensor:
    return torch.tensor(columns).expand(5, 2)


def test_paired_noise_is_nearest_within_its_condition() -> None:
    generator = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 40, 3, generator=generator)
    condition = torch.arange(40) % 3
    order = flow_matching._paired(start, end, condition)
    assert sorted(order) == list(range(40))
    assert (condition[order] == condition).all()
    cost = (start[order] - end).square().sum()
    assert cost < (start - end).square().sum()
    for i, j in ((0, 3), (4, 7), (5, 38)):  # no exchange of two rows of a condition is nearer
        swapped = order.copy()
        swapped[[i, j]] = order[[j, i]]
        assert (start[swapped] - end).square().sum() >= cost


@pytest.mark.parametrize("steps", [1, 7])
def test_heun_is_exact_for_velocities_linear_in_time(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """du/dt = 3 + 2t carries every point by 3 + 1."""
    model = FlowMatching.build(LAYOUT, FlowMatching.Config(latent=2, steps=steps))
    monkeypatch.setattr(model.field, "guided", lambda u, t, c: (3 + 2 * t).expand_as(u))
    monkeypatch.setattr(model.latents, "draw", lambda vectors, given, rng: vectors)
    noise = Stream(4).child("latent").numpy().standard_normal((5, 2), dtype=np.float32)
    assert_allclose(model.draw(GIVEN, Stream(4)), noise + 4, rtol=1e-5)


def test_a_gaussian_is_reached_along_its_exact_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise and N(m, d²) in independent pairs: E[u₁ − u₀ | u_t] is known. Five standard errors of 2,000 rows."""
    m, d = 1.0, 0.5
    model = FlowMatching.build(LAYOUT, FlowMatching.Config(latent=2))

    def exact(u: Tensor, t: Tensor, c: Tensor) -> Tensor:
        return m + (t * d**2 - (1 - t)) / (t**2 * d**2 + (1 - t) ** 2) * (u - t * m)

    monkeypatch.setattr(model.field, "guided", exact)
    monkeypatch.setattr(model.latents, "draw", lambda vectors, given, rng: vectors)
    rows = np.asarray(model.draw(GIVEN.take(np.arange(2000) % 5), Stream(0)))
    assert_allclose(rows.mean(axis=0), m, atol=5 * d / np.sqrt(2000))
    assert_allclose(rows.std(axis=0), d, rtol=0.08)


# --- guidance -------------------------------------------------------------------------------------------------------


def test_a_hidden_label_changes_nothing_and_a_covariate_is_never_hidden() -> None:
    made = field()
    other = conditions(Given(GIVEN.condition, 1 - GIVEN.codes.clip(0, 1), GIVEN.covariates), LAYOUT)
    assert not torch.equal(made(U, T, C, seen(True, True)), made(U, T, other, seen(True, True)))
    assert torch.equal(made(U, T, C, seen(False, False)), made(U, T, other, seen(False, False)))
    first = other.clone()
    first[:, :2] = C[:, :2]  # the first column's labels, another second column
    assert torch.equal(made(U, T, C, seen(True, False)), made(U, T, first, seen(True, False)))
    warmer = C.clone()
    warmer[:, -1] += 1
    assert not torch.equal(made(U, T, C, seen(False, False)), made(U, T, warmer, seen(False, False)))


def test_guidance_of_one_is_the_prediction_given_all_labels() -> None:
    assert torch.equal(field().guided(U, T, C), field()(U, T, C, seen(True, True)))


def test_guidance_leads_away_from_what_no_label_says() -> None:
    made = field(guidance=3.0)
    free, whole = made(U, T, C, seen(False, False)), made(U, T, C, seen(True, True))
    assert_allclose(made.guided(U, T, C).detach(), (free + 3 * (whole - free)).detach(), atol=1e-6)


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 0.0), (0.5, 2.0)])
def test_every_column_has_a_weight_of_its_own(weights: tuple[float, float]) -> None:
    made = field(guidance_by=weights)
    free = made(U, T, C, seen(False, False))
    alone = made(U, T, C, seen(True, False)), made(U, T, C, seen(False, True))
    wanted = free + sum(w * (one - free) for w, one in zip(weights, alone, strict=True))
    assert_allclose(made.guided(U, T, C).detach(), wanted.detach(), atol=1e-6)


def test_training_hides_what_guidance_asks_for() -> None:
    """A share of the rows sees none or one of two columns, a third each; five standard errors of 9,000 rows."""
    patterns = field().hidden(9000, 0.3, torch.Generator().manual_seed(0)).tolist()
    for pattern, share in (([True, True], 0.7), ([True, False], 0.1), ([False, True], 0.1), ([False, False], 0.1)):
        assert abs(patterns.count(pattern) / 9000 - share) < 5 * np.sqrt(share * (1 - share) / 9000)


def test_one_column_is_hidden_for_the_whole_share() -> None:
    layout = LAYOUT.model_copy(update={"categories": (3,), "combinations": ((0,), (1,), (2,))})
    made = GuidedField(layout, 2, width=8, blocks=1)
    patterns = made.hidden(5000, 0.2, torch.Generator().manual_seed(0))
    assert patterns.shape == (5000, 1)
    assert abs(float(patterns.float().mean()) - 0.8) < 5 * np.sqrt(0.16 / 5000)


@pytest.mark.parametrize("kind", [FlowMatching, Diffusion])
def test_a_weight_is_needed_for_every_column(kind: Any) -> None:
    with pytest.raises(ConfigError, match="1 weights for 2 label columns"):
        kind.build(LAYOUT, kind.Config(guidance_by=(2.0,)))
    assert kind.build(LAYOUT, kind.Config(guidance_by=(2.0, 1.0))).field.guidance_by == (2.0, 1.0)


@pytest.mark.parametrize("kind", [FlowMatching, Diffusion])
def test_a_muted_column_no_longer_says_anything(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    """Column a moves the first coordinate by ±1, b the second: 200 rows of (a, b) = (1, 1), weighed in three ways.

    The smallest distance between what is expected and the bound is 0.2 for a share (six standard errors of 200 rows at 1/2).
    """
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[np.arange(400) % 4]
    generator = np.random.Generator(np.random.SFC64(5))
    x = (2 * codes - 1 + 0.2 * generator.normal(size=(400, 2))).astype(np.float32)
    layout = Layout(
        space=Space.CONTINUOUS, features=2, categories=(2, 2), combinations=((0, 0), (0, 1), (1, 0), (1, 1)), rows=400
    )
    given = Given(np.arange(400) % 4, codes.astype(np.int32), np.zeros((400, 0)))
    model = kind.build(layout, kind.Config(latent=2, hide=0.5, width=64, blocks=2, epochs=80))
    field = model.stages()[1:]
    monkeypatch.setattr(model, "stages", lambda: field)
    monkeypatch.setattr(model.latents, "of", lambda rows, generator: rows.x)
    monkeypatch.setattr(model.latents, "draw", lambda vectors, given, rng: vectors)
    train(model, Encoded(x, given, np.zeros(400, dtype=bool), layout), Stream(0), Run(device="cpu"))
    wanted = given.take(np.arange(3, 400, 4).repeat(2))
    for weights, first, second in (((1.0, 1.0), 1.0, 1.0), ((1.0, 0.0), 1.0, 0.5), ((0.0, 1.0), 0.5, 1.0)):
        monkeypatch.setattr(model.field, "guidance_by", weights)
        positive = (np.asarray(model.draw(wanted, Stream(1))) > 0).mean(axis=0)
        assert_allclose(positive, (first, second), atol=0.2)
