"""The conditional GAN beyond the contract: both architectures, three games, what it watches, what it finds of itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import as_dense
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.models.cgan import Cgan
from augmentor.nn.conditioning import batch
from augmentor.training.loop import Run, Summary, train

CONDITION = np.arange(240) % 2


def encoded(space: Space, features: int = 12, labels: bool = True) -> Encoded:
    """240 rows of two labels (or of none) with three factors; every eighth only judges."""
    generator = Stream(5).numpy()
    mean = generator.normal(size=(2, features))[CONDITION] * labels
    mean += generator.normal(size=(240, 3)) @ generator.normal(size=(3, features)) * 0.5
    x, size, levels = mean + 0.3 * generator.normal(size=mean.shape), None, None
    if space is Space.COUNTS:
        counts = generator.poisson(np.exp(mean + 1))
        counts[:, 0] += 1  # no row is empty
        size, x = counts.sum(axis=1).astype(float), sparse.csr_matrix(counts.astype(np.float32))
    if space is Space.MIXED:
        x[:, 0] = (x[:, 0] > 0) + (x[:, 1] > 0)
        levels = (3, *[None] * (features - 1))
    layout = Layout(
        space=space,
        features=features,
        categories=(2,) if labels else (),
        combinations=((0,), (1,)) if labels else ((),),
        rows=240,
        levels=levels,
    )
    condition = CONDITION if labels else np.zeros(240, dtype=np.intp)
    given = Given(condition, condition[:, None].astype(np.int32)[:, : int(labels)], np.zeros((240, 0)), size)
    return Encoded(x if size is not None else x.astype(np.float32), given, np.arange(240) % 8 < 2, layout)


def trained(data: Encoded, **settings: object) -> tuple[Cgan, Summary]:
    model = Cgan.build(data.layout, Cgan.Config(**{"hidden": 16, "noise": 8, "epochs": 4, **settings}))
    return model, train(model, data, Stream(0), Run(device="cpu", labels=("B", "NK")))


@pytest.mark.parametrize("space", [Space.COUNTS, Space.CONTINUOUS, Space.MIXED])
@pytest.mark.parametrize("features", [1, 5, 300])
def test_convolutions_draw_valid_rows_of_few_and_of_many_features(space: Space, features: int) -> None:
    if space is Space.MIXED and features == 1:
        features = 2
    data = encoded(space, features)
    model, summary = trained(data, architecture="conv", epochs=1 if features == 300 else 2)
    assert model.net.generator.body.place.sort().values.tolist() == list(range(model.net.generator.width))
    rows = as_dense(model.draw(data.given, Stream(1)))
    assert rows.shape == (240, features) and np.isfinite(rows).all()
    if space is Space.COUNTS:
        assert (rows == np.rint(rows)).all() and rows.min() >= 0
        assert 0.5 < rows.sum() / data.x.sum() < 2
    if space is Space.MIXED:
        assert set(rows[:, 0]) <= {0, 1, 2}
    assert summary.stages[0]["recoveries"] == 0
    if features == 5:
        again, _ = trained(data, architecture="conv", epochs=2)
        for name, array in model.state().items():
            assert_array_equal(array, again.state()[name], err_msg=name)


def test_convolutions_learn_what_the_start_does_not_know() -> None:
    """The gradient of the game reaches every layer of both stacks, and moves the one that starts at zero."""
    model, _ = trained(encoded(Space.CONTINUOUS, 20), architecture="conv")
    assert float(model.net.generator.body.layers[-1].weight.detach().abs().max()) > 0
    restored = Cgan.build(model.layout, model.config)
    restored.restore(model.state())
    given = encoded(Space.CONTINUOUS, 20).given
    assert_array_equal(restored.draw(given, Stream(1)), model.draw(given, Stream(1)))


@pytest.mark.parametrize("loss", ["non-saturating", "hinge", "wgan-gp"])
@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_every_game_is_watched_and_judged(loss: str, architecture: str) -> None:
    """A few epochs from a start as a factor model keep every label covered: nothing is reported."""
    _, summary = trained(encoded(Space.COUNTS), loss=loss, architecture=architecture)
    first, (stage,) = summary.history[0], summary.stages
    for part in ("watch", "watch_validation"):
        assert 0 <= first[f"{part}.critic right"] <= 1
        assert np.isfinite(first[f"{part}.critic gap"])
        assert 0.3 < first[f"{part}.variance ratio"] < 3
    assert stage["findings"] == []
    assert stage["judged"]["judged on"] == "validation rows"
    assert all(value > 0.5 for part in ("recall", "coverage") for value in stage["judged"][part])


def test_a_collapsed_generator_is_reported_by_label() -> None:
    """Noise that no longer reaches the rows: every row of a label is the same but for its Poisson draw, or not even that."""
    data = encoded(Space.CONTINUOUS)
    model, _ = trained(data)
    assert model._judge(data, Stream(3)).findings == ()
    with torch.no_grad():
        model.net.generator.linear.weight.zero_()
        model.net.generator.out.weight.zero_()
        model.net.generator.log_sd.fill_(-6)
    ((sentence, conditions),) = [item for item in model._judge(data, Stream(3)).findings if "mode collapse" in item[0]]
    assert conditions == (0, 1)
    assert "use --model copula or cvae" in sentence


def test_training_that_breaks_down_is_reported() -> None:
    """Twenty epochs at fifty times the rate, with nothing to choose the best epoch by."""
    data = encoded(Space.CONTINUOUS)
    blind = Encoded(data.x, data.given, np.zeros(240, dtype=bool), data.layout)
    told: list[str] = []
    model = Cgan.build(data.layout, Cgan.Config(hidden=16, noise=8, epochs=20, learning_rate=0.5))
    listener = lambda progress: told.append(progress.note)  # noqa: E731
    summary = train(model, blind, Stream(0), Run(device="cpu", labels=("B", "NK"), name="cgan", listener=listener))
    assert summary.stages[0]["judged"]["judged on"] == "training rows"
    assert summary.stages[0]["findings"]
    assert all(f"cgan: {finding}" in told for finding in summary.stages[0]["findings"])
    assert any("B" in finding or "NK" in finding for finding in summary.stages[0]["findings"])


def test_without_a_label_it_is_an_unconditional_gan() -> None:
    data = encoded(Space.CONTINUOUS, labels=False)
    model, summary = trained(data)
    assert len(summary.stages[0]["judged"]["recall"]) == 1
    rows = model.draw(data.given, Stream(1))
    assert rows.shape == (240, 12) and 0.5 < rows.var() / data.x.var() < 2


def test_the_critic_gap_is_real_minus_drawn() -> None:
    data = encoded(Space.CONTINUOUS)
    model, _ = trained(data)
    rows = batch(data)
    with torch.no_grad():
        found = model._watch(rows, Stream(2).torch())
        real, fake = model._real(rows), model._generate(rows, Stream(2).torch())
        scores = [model.net.critic(model.net.critic.features(x, rows.size), rows.c) for x in (real, fake)]
    assert found["critic gap"] == pytest.approx(float(scores[0].mean() - scores[1].mean()), abs=1e-5)
    assert found["critic right"] == pytest.approx(float((scores[0][:, None] > scores[1]).float().mean()), abs=1e-5)
