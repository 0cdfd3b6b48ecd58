"""The ex-post latent density: drawn latents look like the encoded rows of their label."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from augmentor.core.errors import ArtifactError
from augmentor.core.random import Stream
from augmentor.nn import priors

GENERATOR = np.random.Generator(np.random.SFC64(3))
CONDITION = np.repeat([0, 1, 2], [600, 300, 1])
# label 0 has two modes, label 1 a strong correlation, label 2 a single row
CENTRES = np.where(CONDITION[:, None] == 0, GENERATOR.choice([-4, 4], (901, 1)), 0.0) * [1, 0, 0]
CENTRES = CENTRES + (CONDITION[:, None] == 1) * GENERATOR.normal(size=(901, 1)) * [0, 3, 3]
H = CENTRES + 0.5 * GENERATOR.normal(size=(901, 3))


@pytest.fixture(scope="module")
def state() -> dict[str, np.ndarray]:
    return priors.fit_clusters(H, np.zeros_like(H), CONDITION, 3, rows=40, pseudo_rows=10, rng=Stream(0))


def test_shapes_and_weights(state: dict[str, np.ndarray]) -> None:
    k = len(state["weight"])
    assert state["mean"].shape == (k, 3)
    assert state["factor"].shape == (k, 3, 3)
    for c in range(3):
        assert_allclose(state["weight"][state["condition"] == c].sum(), 1)
    assert (state["condition"] == 2).sum() == 1
    assert_array_equal(np.triu(state["factor"], 1), 0)
    assert priors.checked(state, 3, 3) is state


def test_moments_of_every_label(state: dict[str, np.ndarray]) -> None:
    for c in (0, 1):
        drawn = priors.draw_clusters(state, np.full(20_000, c), Stream(1))
        assert_allclose(drawn.mean(axis=0), H[c == CONDITION].mean(axis=0), atol=0.15)
        assert_allclose(np.cov(drawn.T), np.cov(H[c == CONDITION].T), rtol=0.15, atol=0.25)


def test_both_modes_are_drawn_and_nothing_between(state: dict[str, np.ndarray]) -> None:
    first = priors.draw_clusters(state, np.zeros(5000, dtype=np.intp), Stream(2))[:, 0]
    share = (H[CONDITION == 0][:, 0] > 0).mean()
    assert_allclose((first > 0).mean(), share, atol=0.05)
    assert (np.abs(first) < 1).mean() < 0.02


def test_posterior_variance_widens_the_density() -> None:
    narrow, wide = (
        priors.fit_clusters(H, np.full_like(H, v), CONDITION, 3, rows=40, pseudo_rows=10, rng=Stream(0))
        for v in (0, 4.0)
    )
    a, b = (priors.draw_clusters(s, np.ones(20_000, dtype=np.intp), Stream(3)).var(axis=0) for s in (narrow, wide))
    assert_allclose(b - a, 4, rtol=0.15)


def test_a_single_row_varies_by_the_pooled_spread(state: dict[str, np.ndarray]) -> None:
    drawn = priors.draw_clusters(state, np.full(2000, 2), Stream(4))
    assert_allclose(drawn.mean(axis=0), H[-1], atol=0.3)
    assert (drawn.std(axis=0) > 0.1).all()


def test_states_that_do_not_fit_are_refused(state: dict[str, np.ndarray]) -> None:
    with pytest.raises(ArtifactError, match="'mean' is"):
        priors.checked(state, 4, 3)
    with pytest.raises(ArtifactError, match="does not cover the 4 labels"):
        priors.checked(state, 3, 4)
    with pytest.raises(ArtifactError, match="does not cover"):
        priors.checked({**state, "weight": state["weight"][1:]}, 3, 3)
