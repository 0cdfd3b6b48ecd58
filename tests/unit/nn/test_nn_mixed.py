"""Mixed heads: places and back, the likelihood against its formula, draws against their shares, gradients of relaxed choices."""

from __future__ import annotations

import numpy as np
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import log_softmax, softmax

from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.mixed import Heads

LEVELS = (3, None, 2, 3, None, 1)
LAYOUT = Layout(space=Space.MIXED, features=6, levels=LEVELS, categories=(2,), combinations=((0,), (1,)))
HEADS = Heads(LAYOUT)


def rows(n: int = 50) -> np.ndarray:
    rng = Stream(0).numpy()
    columns = [rng.normal(size=n) if k is None else rng.integers(k, size=n) for k in LEVELS]
    return np.column_stack(columns).astype(np.float32)


def outputs(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = Stream(1).numpy()
    return rng.normal(size=(n, HEADS.width)).astype(np.float32), rng.normal(size=(n, 2)).astype(np.float32)


def test_every_category_has_a_place() -> None:
    x = rows()
    placed = HEADS.encode(torch.from_numpy(x))
    assert placed.shape == (50, HEADS.width) and HEADS.width == 2 + 3 + 2 + 3 + 1
    assert_array_equal(placed.numpy(), HEADS.hot(x))
    assert_array_equal(HEADS.decode(placed), x)


def test_log_probability_is_normal_and_categorical() -> None:
    x, (out, spread) = rows(), outputs(50)
    found = HEADS.log_prob(*map(torch.from_numpy, (x, out, spread))).numpy()
    expected = stats.norm.logpdf(x[:, [1, 4]], out[:, :2], np.exp(0.5 * spread)).sum(axis=1)
    # places after the numbers: one category, two, then the two columns of three
    for column, first, k in ((5, 2, 1), (2, 3, 2), (0, 5, 3), (3, 8, 3)):
        expected += log_softmax(out[:, first : first + k], axis=1)[np.arange(50), x[:, column].astype(int)]
    assert_allclose(found, expected, rtol=1e-4)


def test_draws_have_the_shares_and_moments_of_the_heads() -> None:
    """20,000 draws: a share is within five standard errors (0.018), a mean within five sd / 141."""
    out, spread = outputs(1)
    made = HEADS.sample(*(torch.from_numpy(a.repeat(20_000, 0)) for a in (out, spread)), Stream(2).numpy())
    sd = np.exp(0.5 * spread[0])
    assert (np.abs(made[:, [1, 4]].mean(axis=0) - out[0, :2]) < 5 * sd / 141).all()
    assert_allclose(made[:, [1, 4]].std(axis=0), sd, rtol=0.03)
    for column, first, k in ((2, 3, 2), (0, 5, 3), (3, 8, 3)):
        share = np.bincount(made[:, column].astype(int), minlength=k) / 20_000
        assert_allclose(share, softmax(out[0, first : first + k]), atol=0.018)


def test_relaxed_choices_are_one_hot_with_a_gradient() -> None:
    out = torch.from_numpy(outputs(50)[0]).requires_grad_(True)
    chosen = HEADS.relaxed(out)
    assert_allclose(chosen.detach().numpy(), HEADS.hot(HEADS.decode(out.detach())), atol=1e-6)
    (chosen * torch.arange(HEADS.width)).sum().backward()
    assert out.grad is not None and bool((out.grad[:, 3:].abs().sum(dim=0) > 0).all())


def test_profiles_are_means_and_shares_of_each_label() -> None:
    x = rows(400)
    x[:200, 1], x[:200, 0] = 3, 2
    condition = np.repeat([0, 1], 200)
    given = Given(condition, condition[:, None].astype(np.int32), np.zeros((400, 0)))
    profile, spread = HEADS.profiles(Encoded(x, given, np.zeros(400, dtype=bool), LAYOUT))
    assert_allclose(profile[0, 0], 3, atol=1e-5)
    # 200 rows of category 2 beside the two borrowed rows
    assert np.exp(profile[0, 7]) > 0.98 and np.exp(profile[1, 7]) < 0.5
    assert spread.shape == (2,)
