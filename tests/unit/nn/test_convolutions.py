"""Convolutions over ordered features: transposed convolutions as matrix products, any number of features, any order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from augmentor.core.random import Stream
from augmentor.nn.blocks import materialise
from augmentor.nn.convolutions import STRIDE, Down, Up, _with_neighbours, shape
from augmentor.nn.ordered import clustered


def order(features: int) -> torch.Tensor:
    return torch.from_numpy(Stream(3).numpy().permutation(features))


def up(features: int, hidden: int = 32) -> Up:
    """With weights, also in the last layer."""
    with torch.device("meta"):
        made = Up(6, features, hidden)
    materialise(made, Stream(0))
    made.initialise(order(features))
    nn.init.normal_(made.layers[-1].weight, generator=Stream(1).torch())
    return made


def down(features: int, hidden: int = 32) -> Down:
    with torch.device("meta"):
        made = Down(features, hidden)
    materialise(made, Stream(2))
    made.initialise(order(features))
    return made


@pytest.mark.parametrize(
    ("features", "places", "channels"),
    [(1, 1, [64]), (5, 2, [64]), (2000, 32, [64, 32, 16]), (13_714, 54, [64, 32, 16, 8])],
)
def test_shape_of_few_and_of_many_features(features: int, places: int, channels: list[int]) -> None:
    assert shape(features, 128) == (places, channels)
    assert places * STRIDE ** len(channels) >= features


@pytest.mark.parametrize("features", [1, 5, 300])
def test_up_and_down_of_any_number_of_features(features: int) -> None:
    z = torch.randn(7, 6, generator=Stream(0).torch())
    x = up(features)(z)
    assert x.shape == (7, features) and bool(x.isfinite().all())
    assert down(features)(x).shape == (7, 32)


def test_up_starts_at_zero() -> None:
    made = up(300)
    made.initialise(order(300))
    assert not bool(made(torch.randn(3, 6, generator=Stream(0).torch())).any())


def test_a_layer_is_a_transposed_convolution_of_kernel_12_and_stride_4() -> None:
    layer, h = nn.Linear(3 * 5, STRIDE * 2, bias=False), torch.randn(4, 9, 5, generator=Stream(0).torch())
    nn.init.normal_(layer.weight, generator=Stream(1).torch())
    ours = layer(_with_neighbours(h)).unflatten(2, (STRIDE, 2)).flatten(1, 2)
    # weight (4 places out, 2 channels out, 3 places in, 5 channels in): the place in at −1, 0, 1 reaches 8, 4, 0 further back
    weight = layer.weight.view(STRIDE, 2, 3, 5).flip(2).permute(3, 1, 2, 0).reshape(5, 2, 12)
    theirs = F.conv_transpose1d(h.transpose(1, 2), weight, stride=STRIDE, padding=STRIDE).transpose(1, 2)
    assert_close(ours, theirs)


def test_down_is_the_transpose_of_such_a_layer() -> None:
    layer, h = nn.Linear(3 * STRIDE * 2, 5, bias=False), torch.randn(4, 36, 2, generator=Stream(0).torch())
    nn.init.normal_(layer.weight, generator=Stream(1).torch())
    ours = layer(_with_neighbours(h.unflatten(1, (-1, STRIDE)).flatten(2)))
    weight = layer.weight.view(5, 12, 2).transpose(1, 2)
    assert_close(ours, F.conv1d(h.transpose(1, 2), weight, stride=STRIDE, padding=STRIDE).transpose(1, 2))


def test_features_come_and_go_in_the_callers_order() -> None:
    """A network on features in another order, told so, is the same network."""
    x, moved = torch.randn(3, 40, generator=Stream(0).torch()), torch.from_numpy(Stream(9).numpy().permutation(40))
    one, other = down(40), down(40)
    other.initialise(moved.argsort()[one.order])  # feature j stands at place moved⁻¹(j) now
    assert_close(one(x), other(x[:, moved]))
    z, first, second = torch.randn(3, 6, generator=Stream(1).torch()), up(40), up(40)
    second.place.copy_(first.place[moved])
    assert_close(first(z)[:, moved], second(z))


def test_gradients_of_gradients_reach_the_input() -> None:
    """What the penalties on the critic's slope need."""
    x = torch.randn(3, 20, generator=Stream(0).torch(), requires_grad=True)
    made = down(20)
    slope = torch.autograd.grad(made(x).square().sum(), x, create_graph=True)[0]
    slope.square().sum().backward()
    assert made.layers[0].weight.grad is not None and float(made.layers[0].weight.grad.abs().sum()) > 0


@pytest.mark.parametrize("d", [1, 2, 600, 1500])
def test_clustering_orders_every_feature_once(d: int) -> None:
    x = Stream(0).numpy().normal(size=(40, d))
    assert sorted(clustered(x).tolist()) == list(range(d))


def test_clustering_of_many_features_puts_correlated_ones_together() -> None:
    """Thirty groups of thirty features, far more than one clustering takes: nearly all neighbours are of one group."""
    generator = Stream(0).numpy()
    group = generator.permutation(np.repeat(np.arange(30), 30))
    x = generator.normal(size=(200, 30))[:, group] + 0.5 * generator.normal(size=(200, 900))
    own = group[clustered(x)]
    assert (own[1:] == own[:-1]).mean() > 0.9  # by chance one in thirty
