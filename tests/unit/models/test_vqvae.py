"""The VQ-VAE beyond the contract: levels, codes that carry the row, a prior that knows which codes go together, resumption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.testing import assert_close

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import as_dense
from augmentor.core.errors import Interrupted
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.models.vqvae import Vqvae
from augmentor.nn.blocks import materialise
from augmentor.nn.conditioning import batch
from augmentor.nn.transformer import CausalTransformer
from augmentor.training.loop import Run, train

SMALL = {"positions": 4, "codes": 8, "hidden": 16, "width": 16, "blocks": 1, "batch_size": 64}
CONDITION = np.arange(320) % 2


def encoded(space: Space) -> Encoded:
    """320 rows of two labels. Two groups of features move together within a label, in opposite directions in the other.

    Rows of the second label are also three times as deep, where rows have a depth.
    """
    generator = Stream(5).numpy()
    state = generator.choice([-1.0, 1.0], (320, 1))
    other = state * np.where(CONDITION == 0, 1, -1)[:, None]
    mean = np.hstack([np.repeat(state, 6, axis=1), np.repeat(other, 6, axis=1)])
    size, x = None, mean + 0.3 * generator.standard_normal(mean.shape)
    if space is Space.COUNTS:
        depth = np.where(CONDITION == 0, 1, 3) * generator.lognormal(0, 0.2, 320)
        x = generator.poisson(3 * depth[:, None] * np.exp(mean)).astype(float)
        size = x.sum(axis=1)
    layout = Layout(space=space, features=12, categories=(2,), combinations=((0,), (1,)), rows=320)
    given = Given(CONDITION, CONDITION[:, None].astype(np.int32), np.zeros((320, 0)), size)
    return Encoded(x.astype(np.float32), given, np.zeros(320, dtype=bool), layout)


def trained(data: Encoded, epochs: int, run: Run | None = None, **settings: object) -> tuple[Vqvae, list[dict]]:
    model = Vqvae.build(data.layout, Vqvae.Config(**{**SMALL, "epochs": epochs, **settings}))
    summary = train(model, data, Stream(0), run or Run(device="cpu"))
    return model, summary.history


@pytest.fixture(scope="module")
def counts() -> tuple[Encoded, Vqvae, list[dict]]:
    data = encoded(Space.COUNTS)
    return data, *trained(data, 40)


def initialised(**settings: object) -> Vqvae:
    data = encoded(Space.CONTINUOUS)
    model = Vqvae.build(data.layout, Vqvae.Config(**{**SMALL, **settings}))
    model.initialise(data, Stream(0))
    return model


def test_two_levels_quantise_what_the_top_leaves_over() -> None:
    net = initialised(levels=2).net
    z = torch.randn(200, 8, generator=Stream(1).torch())
    net.train()
    for step in range(20):
        net.quantise(z, Stream(2).child(step).torch())
    net.eval()
    q, _ = net.quantise(z, Stream(3).torch())
    codes = net.codes(z)
    assert codes.shape == (200, 2 + 4)
    top, bottom = (book for _, book in net.levels())
    assert (top.positions, top.dimensions, bottom.positions, bottom.dimensions) == (2, 4, 4, 2)
    assert_close(q, top.look_up(codes[:, :2]) + bottom.look_up(codes[:, 2:]))
    assert_close(net.merged(net.vectors(codes)), q)
    assert (z - q).square().mean() < 0.5 * (z - top.look_up(codes[:, :2])).square().mean()


def test_quantised_latents_have_the_gradient_of_the_latents() -> None:
    for levels in (1, 2):
        net = initialised(levels=levels).net.eval()
        z = torch.randn(5, 8, generator=Stream(1).torch(), requires_grad=True)
        net.quantise(z, Stream(2).torch())[0].sum().backward()
        assert z.grad is not None
        assert torch.equal(z.grad, torch.ones(5, 8))


def test_a_place_sees_no_later_one_and_a_cache_changes_nothing() -> None:
    with torch.device("meta"):
        body = CausalTransformer(8, 2, 2)
    materialise(body, Stream(0))
    h = torch.randn(3, 5, 8, generator=Stream(1).torch())
    whole, _ = body(h)
    changed = h.clone()
    changed[:, 3] += torch.randn(3, 8, generator=Stream(2).torch())
    assert torch.equal(body(changed)[0][:, :3], whole[:, :3])
    assert not torch.allclose(body(changed)[0][:, 4], whole[:, 4])
    cache, single = None, []
    for place in range(5):
        out, cache = body(h[:, [place]], cache)
        single.append(out)
    assert_close(torch.cat(single, dim=1), whole)


def test_drawing_a_token_at_a_time_has_the_probabilities_of_training() -> None:
    data = encoded(Space.COUNTS)
    model = Vqvae.build(data.layout, Vqvae.Config(**SMALL))
    model.initialise(data, Stream(0))
    prior, rows = model.prior, batch(data)
    seen = [torch.randn(320, 1, generator=Stream(1).torch())]
    seen += [torch.randn(320, 2, generator=Stream(2).child(i).torch()) for i in range(4)]
    wanted = torch.cat([prior.bin(rows.size), torch.randint(8, (320, 4), generator=Stream(3).torch())], dim=1)
    cache, one_by_one = None, []
    for token in range(prior.tokens):
        logits, cache = prior.next(token, seen[token - 1] if token else None, rows.c, cache)
        one_by_one.append(torch.nn.functional.cross_entropy(logits, wanted[:, token]))
    assert_close(torch.stack(one_by_one), torch.stack(prior(seen, rows.c, wanted)))


def test_size_bins_hold_the_sizes_of_the_training_rows() -> None:
    data = encoded(Space.COUNTS)
    model = Vqvae.build(data.layout, Vqvae.Config(**SMALL))
    model.initialise(data, Stream(0))
    prior, size = model.prior, data.given.sizes
    bins = prior.bin(torch.from_numpy(size.astype(np.float32))[:, None]).numpy()[:, 0]
    assert_allclose(np.bincount(bins, minlength=prior.bins), 320 / prior.bins, atol=3)
    assert np.median(np.abs(np.log(prior.size(bins, np.full(320, 0.5)) / size))) < 0.05
    middles = torch.from_numpy(prior.size(np.arange(prior.bins), np.full(prior.bins, 0.5)))[:, None]
    assert_array_equal(prior.bin(middles)[:, 0].numpy(), np.arange(prior.bins))
    levels = (np.arange(320) + 0.5) / 320 * prior.bins
    spread = prior.size(np.floor(levels).astype(np.int64), levels % 1)
    assert np.abs(np.log(np.sort(spread) / np.sort(size))).mean() < 0.02


def test_drawn_sizes_are_those_of_the_label(counts: tuple[Encoded, Vqvae, list[dict]]) -> None:
    data, model, _ = counts
    size = as_dense(model.draw(data.given, Stream(1))).sum(axis=1)
    for label in (0, 1):
        own = data.given.condition == label
        assert abs(np.log(size[own]).mean() - np.log(data.given.sizes[own]).mean()) < 0.15


@pytest.mark.parametrize("space", [Space.COUNTS, Space.CONTINUOUS])
@pytest.mark.parametrize("levels", [1, 2])
def test_codes_of_a_row_go_together_as_their_label_has_them(space: Space, levels: int) -> None:
    """The two groups of features agree in one label and disagree in the other: what independent codes could not know."""
    data = encoded(space)
    model, _ = trained(data, 40, levels=levels)
    values = as_dense(model.draw(data.given, Stream(1)))
    real = as_dense(data.x)
    for label in (0, 1):
        own = data.given.condition == label
        drawn, true = (np.corrcoef(np.log1p(np.maximum(x[own], 0)) if space is Space.COUNTS else x[own], rowvar=False)
                       for x in (values, real))  # fmt: skip
        assert np.sign(true[:6, 6:]).mean() == (1 if label == 0 else -1)
        # half of the true correlation: of independent groups all of 36 would have to deviate by more than 3 standard errors
        assert (drawn[:6, 6:] / true[:6, 6:]).mean() > 0.5


def test_quantisation_takes_no_variance_from_the_rows(counts: tuple[Encoded, Vqvae, list[dict]]) -> None:
    data, model, _ = counts
    drawn, real = (np.log1p(as_dense(x)) for x in (model.draw(data.given, Stream(1)), data.x))
    for label in (0, 1):
        own = data.given.condition == label
        assert 0.8 < drawn[own].var(axis=0).mean() / real[own].var(axis=0).mean() < 1.25


def test_history_tells_perplexity_and_a_quarter_of_the_codebook_is_used(
    counts: tuple[Encoded, Vqvae, list[dict]],
) -> None:
    _, _, history = counts
    last = [entry for entry in history if entry["stage"] == "codec"][-1]
    assert 8 / 4 <= last["watch.perplexity of codes"] <= 8
    each = last["watch.perplexity of codes per position"]
    assert np.mean(each) == pytest.approx(last["watch.perplexity of codes"], rel=1e-4)
    _, history = trained(encoded(Space.CONTINUOUS), 2, levels=2)
    assert {"watch.perplexity of top", "watch.perplexity of bottom", "commitment", "kl"} <= history[0].keys()


def test_a_published_vq_vae_trains_too() -> None:
    model, history = trained(encoded(Space.CONTINUOUS), 10, beta=0.0)
    assert history[9]["kl"] == 0
    assert history[9]["reconstruction"] < history[0]["reconstruction"]
    assert np.isfinite(model.draw(encoded(Space.CONTINUOUS).given, Stream(1))).all()


def after(calls: int) -> Callable[[], bool]:
    """A stop that is asked ``calls`` times in vain."""
    left = [calls]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop


# 5 batches and the end of the epoch: six questions an epoch; 3 epochs of codec, then 3 of the prior
@pytest.mark.parametrize("calls", [2, 8, 20, 28])
def test_codebooks_survive_an_interruption_byte_for_byte(calls: int, tmp_path: Path) -> None:
    data = encoded(Space.COUNTS)
    whole, history = trained(data, 3)
    with pytest.raises(Interrupted):
        trained(data, 3, Run(device="cpu", checkpoint=tmp_path / "run", stop=after(calls)))
    again, continued = trained(data, 3, Run(device="cpu", checkpoint=tmp_path / "run", resume=True))
    for name, array in whole.state().items():
        assert_array_equal(array, again.state()[name], err_msg=name)
    assert continued == history
