"""Diffusion: its schedules, the sampler on a distribution whose denoiser is known, and a label with two states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import as_dense
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.models.diffusion import TIMES, Diffusion, signal
from augmentor.nn.blocks import materialise
from augmentor.training.loop import Run, train

LAYOUT = Layout(space=Space.CONTINUOUS, features=4, categories=(2,), combinations=((0,), (1,)), rows=60)
MEAN, SPREAD = torch.tensor([1.0, -0.5]), torch.tensor([0.3, 1.2])  # of a distribution in latent space


def given(rows: int) -> Given:
    code = np.arange(rows) % 2
    return Given(code, code[:, None].astype(np.int32), np.zeros((rows, 0)))


def built(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Diffusion:
    """A model whose network is the exact denoiser of N(MEAN, SPREAD²), and whose rows are its vectors."""
    model = Diffusion.build(LAYOUT, Diffusion.Config(latent=2, **settings))
    materialise(model.latents, Stream(0))
    kept = torch.from_numpy(signal(model.config.schedule))

    def exact(u: torch.Tensor, t: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        share = kept[(t * TIMES).round().long()]
        a, s = share.sqrt(), (1 - share).sqrt()
        start = MEAN + a * SPREAD**2 / (a**2 * SPREAD**2 + s**2) * (u - a * MEAN)
        noise = (u - a * start) / s
        return (noise if model.config.prediction == "noise" else a * noise - s * start).float()

    monkeypatch.setattr(model.field, "guided", exact)
    monkeypatch.setattr(model.latents, "draw", lambda vectors, given, rng: vectors)
    return model


@pytest.mark.parametrize("schedule", ["cosine", "quadratic", "linear"])
def test_schedule_goes_from_rows_to_noise(schedule: str) -> None:
    kept = signal(schedule)
    assert kept.shape == (TIMES + 1,)
    assert kept[0] == 1
    assert (np.diff(kept) < 0).all()
    assert 0 < kept[-1] < 1e-4


def test_schedules_are_those_of_their_papers() -> None:
    half = np.cos((0.5 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert_allclose(signal("cosine")[TIMES // 2], half)
    beta = 1 - signal("linear")[1:] / signal("linear")[:-1]
    assert_allclose(np.diff(beta), np.diff(beta)[0], rtol=1e-6)
    root = np.sqrt(1 - signal("quadratic")[1:] / signal("quadratic")[:-1])
    assert_allclose(np.diff(root), np.diff(root)[0], rtol=1e-6)


@pytest.mark.parametrize("schedule", ["cosine", "quadratic", "linear"])
@pytest.mark.parametrize("prediction", ["v", "noise"])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_few_steps_draw_the_distribution_of_an_exact_denoiser(
    monkeypatch: pytest.MonkeyPatch, schedule: str, prediction: str, eta: float
) -> None:
    """Means within five standard errors of 4,000 rows and spreads within a tenth, discretisation included."""
    model = built(monkeypatch, schedule=schedule, prediction=prediction, eta=eta, steps=100)
    rows = np.asarray(model.draw(given(4000), Stream(1)))
    assert_allclose(rows.mean(axis=0), MEAN, atol=5 * 1.2 / np.sqrt(4000))
    assert_allclose(rows.std(axis=0), SPREAD, rtol=0.1)


def test_one_step_is_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """From pure noise nothing is known of a row: what one step takes it for is the mean of all."""
    rows = np.asarray(built(monkeypatch, steps=1).draw(given(200), Stream(1)))
    assert_allclose(rows, np.tile(MEAN, (200, 1)), atol=0.05)


def test_without_eta_the_first_noise_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The map from noise to rows is then monotone for a Gaussian, and with η = 1 the first noise is soon forgotten."""
    first = Stream(1).child("latent").numpy().standard_normal((1000, 2), dtype=np.float32)
    for eta, low, high in ((0.0, 0.999, 1.001), (1.0, -0.2, 0.2)):
        rows = np.asarray(built(monkeypatch, steps=50, eta=eta).draw(given(1000), Stream(1)))
        assert low < np.corrcoef(first[:, 0], rows[:, 0])[0, 1] < high


def test_v_and_noise_are_the_same_step() -> None:
    u, start, noise = torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    steps = []
    for prediction in ("v", "noise"):
        model = Diffusion.build(LAYOUT, Diffusion.Config(latent=2, prediction=prediction))
        now, after = torch.full((8, 1), 500), torch.full((8, 1), 400)
        a, s = model._mix(now)
        target = a * noise - s * start if prediction == "v" else noise
        steps.append(model._step(a * start + s * noise, target, now, after, np.random.default_rng(0)))
    a, s = model._mix(after)
    assert_allclose(steps[0], steps[1], atol=1e-5)
    assert_allclose(steps[0], a * start + s * noise, atol=1e-5)
    assert not torch.allclose(u, steps[0])


def test_loss_of_the_truth_is_that_of_the_best_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact denoiser of N(0, I) predicts v = 0, so the loss is E v² = 1; 4 standard errors of 8,000 squares."""
    model = Diffusion.build(LAYOUT, Diffusion.Config(latent=2))
    monkeypatch.setattr(
        model.latents, "of", lambda rows, generator: torch.randn(len(rows), 2, generator=generator, device="cpu")
    )
    monkeypatch.setattr(model.field, "forward", lambda u, t, c, seen: torch.zeros_like(u))

    class Rows:
        c = torch.zeros(4000, 2)

        def __len__(self) -> int:
            return 4000

    loss: Any = model._loss(Rows(), torch.Generator().manual_seed(0), 0.5)  # type: ignore[arg-type]
    assert abs(float(loss["v"]) - 1) < 4 * np.sqrt(2 / 8000)


def two_states() -> NDArray[np.float64]:
    """A label whose rows are in one of two states, six features each."""
    generator = np.random.Generator(np.random.SFC64(3))
    state = np.repeat([-2.0, 2.0], 150)[:, None]
    return state * np.ones(6) + 0.4 * generator.normal(size=(300, 6))


def test_both_states_of_a_label_are_drawn_and_nothing_between() -> None:
    """Half of the rows each, give or take; a Gaussian of the same moments would have a fifth of its rows between."""
    x = two_states().astype(np.float32)
    layout = Layout(space=Space.CONTINUOUS, features=6, categories=(1,), combinations=((0,),), rows=300)
    zero = np.zeros(300, dtype=np.intp)
    conditions = Given(zero, zero[:, None].astype(np.int32), np.zeros((300, 0)))
    model = Diffusion.build(layout, Diffusion.Config(latent=2, epochs=60))
    train(model, Encoded(x, conditions, np.zeros(300, dtype=bool), layout), Stream(0), Run(device="cpu"))
    centre = as_dense(model.draw(conditions, Stream(1))).mean(axis=1)
    assert 0.3 < (centre > 0).mean() < 0.7
    assert (np.abs(centre) < 1).mean() < 0.08
