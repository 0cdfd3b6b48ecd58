"""The parts of cvae on data where the answer is known: likelihoods, latent priors, free bits, library sizes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import sparse

from augmentor import Augmentor
from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import as_dense
from augmentor.core.errors import ArtifactError, ConfigError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.models.cvae import Cvae
from augmentor.training.loop import Run, Summary, train

PRIORS = ("clusters", "standard", "label", "mixture", "vamp", "flow")


def encoded(x: NDArray[Any], condition: NDArray[np.intp] | None = None, space: Space = Space.CONTINUOUS) -> Encoded:
    """Rows of labels 0, 1, ..."""
    n, counts = len(x), space is Space.COUNTS
    condition = np.zeros(n, dtype=np.intp) if condition is None else condition
    labels = int(condition.max()) + 1
    given = Given(
        condition,
        condition[:, None].astype(np.int32),
        np.zeros((n, 0)),
        x.sum(axis=1).astype(float) if counts else None,
    )
    layout = Layout(
        space=space,
        features=x.shape[1],
        categories=(labels,),
        combinations=tuple((c,) for c in range(labels)),
        rows=n,
        levels=(None,) * x.shape[1] if space is Space.MIXED else None,
    )
    matrix = x.astype(np.float32)
    return Encoded(sparse.csr_matrix(matrix) if counts else matrix, given, np.zeros(n, dtype=bool), layout)


def fitted(data: Encoded, **settings: Any) -> tuple[Cvae, Summary]:
    model = Cvae.build(data.layout, Cvae.Config(hidden=32, **settings))
    return model, train(model, data, Stream(0), Run(device="cpu"))


def shuffled(given: Given) -> Given:
    """The same conditions; library sizes are those of any rows of the label. Rows are sorted by label."""
    if given.size is None:
        return given
    generator = Stream(2).numpy()
    order = [generator.permutation(np.flatnonzero(given.condition == c)) for c in np.unique(given.condition)]
    return replace(given, size=given.size[np.concatenate(order)])


def drawn(model: Cvae, data: Encoded) -> NDArray[np.float32]:
    """One row for every training row, of its label."""
    return as_dense(model.draw(shuffled(data.given), Stream(1)))


@lru_cache
def states() -> Encoded:
    """250 rows of 9 counts. Label 0: 70 % rows of one state, 30 % of another and shallower. Label 1: a state between, of any depth."""
    generator, condition = Stream(4).numpy(), np.repeat([0, 1], [170, 80])
    kind = np.where(condition == 1, 2, generator.random(250) < 0.3)
    profile = np.array([[8, 8, 8, 1, 1, 1, 2, 2, 3], [1, 1, 1, 8, 8, 8, 2, 2, 3], [4, 4, 4, 4, 4, 4, 2, 2, 6.0]])[kind]
    size = np.array([300, 150, 200])[kind] * np.exp(0.4 * generator.normal(size=250))
    return encoded(
        generator.poisson(profile / profile.sum(axis=1, keepdims=True) * size[:, None]), condition, Space.COUNTS
    )


@lru_cache
def of_states(prior: str) -> tuple[Cvae, Summary]:
    return fitted(states(), latent=2, epochs=40, prior=prior)


def state(x: NDArray[Any]) -> NDArray[np.float64]:
    """Log ratio of the first three counts to the next three: about 2 and −2 in label 0, 0 in label 1."""
    return np.log((x[:, :3].sum(axis=1) + 1) / (x[:, 3:6].sum(axis=1) + 1))


# --- priors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_keeps_labels_apart(prior: str) -> None:
    """Means within six standard errors; rows of label 1 are between the states of label 0."""
    data = states()
    made, real = state(drawn(of_states(prior)[0], data)), state(as_dense(data.x))
    assert_array_equal(drawn(of_states(prior)[0], data) % 1, 0)
    for c, bound in ((0, 0.9), (1, 0.35)):
        own = data.given.condition == c
        assert_allclose(made[own].mean(), real[own].mean(), atol=bound)
    assert np.abs(made[data.given.condition == 1]).mean() < 0.7


@pytest.mark.parametrize("prior", ["clusters", "mixture", "vamp", "flow"])
def test_priors_of_more_than_one_gaussian_draw_both_states_in_their_shares(prior: str) -> None:
    """170 rows of which 70 % are of one state: five standard errors are 18 %; few rows lie between the states."""
    data = states()
    made = state(drawn(of_states(prior)[0], data))[data.given.condition == 0]
    assert_allclose((made > 0).mean(), 0.7, atol=0.18)
    assert (np.abs(made) < 0.8).mean() < 0.2


def explained(vectors: NDArray[Any]) -> float:
    """Multiple correlation of log library size, the last column, with z."""
    x, y = (part - part.mean(axis=0) for part in (vectors[:, :-1], vectors[:, -1]))
    return float(np.corrcoef(x @ np.linalg.lstsq(x, y, rcond=None)[0], y)[0, 1])


@pytest.mark.parametrize("prior", PRIORS)
def test_library_size_belongs_to_the_latent(prior: str) -> None:
    """In label 0 one state is deeper than the other, so z and size are related, but not with the standard normal.

    170 rows: the multiple correlation of two unrelated columns with a third is below 0.27 with probability 0.998.
    """
    data, (model, _) = states(), of_states(prior)
    own = data.given.condition == 0
    mean, variance = model.net.vectors(data)
    encoded_rows = mean + np.sqrt(variance) * Stream(7).numpy().normal(size=mean.shape)
    vectors = model.draw_latents(shuffled(data.given), Stream(3))
    assert explained(encoded_rows[own]) > 0.4
    assert explained(vectors[own]) > 0.35 if prior != "standard" else explained(vectors[own]) < 0.27
    depth = [np.log(x[own].sum(axis=1)) for x in (drawn(model, data), as_dense(data.x))]
    assert_allclose(depth[0].mean(), depth[1].mean(), atol=0.25)
    assert_allclose(depth[0].std(), depth[1].std(), rtol=0.3)


@pytest.mark.parametrize("prior", ["label", "mixture", "vamp"])
def test_a_learnt_prior_is_kept_as_its_gaussians_only(prior: str) -> None:
    data, (model, _) = states(), of_states(prior)
    found = model.state()
    density = {name: array.shape for name, array in found.items() if not name.startswith("net.")}
    k = 2 if prior == "label" else 250 // 40
    sizes = {"density.size.slope": (2,), "density.size.share": (2,), "density.size.intercept": (2,)}
    assert density == {"density.weight": (2, k), "density.mean": (k, 2), "density.sd": (k, 2), **sizes}
    again = Cvae.build(data.layout, model.config)
    again.restore(found)
    assert_array_equal(as_dense(again.draw(data.given, Stream(5))), as_dense(model.draw(data.given, Stream(5))))
    with pytest.raises(ArtifactError, match=r"'mean'"):
        Cvae.build(data.layout, model.config).restore({**found, "density.mean": np.zeros((k, 3))})


def test_a_flow_is_fitted_in_a_stage_of_its_own_to_a_codec_that_it_leaves_alone() -> None:
    model, summary = of_states("flow")
    found = model.state()
    assert [stage["stage"] for stage in summary.stages] == ["vae", "flow"]
    for name, array in of_states("standard")[0].state().items():
        assert_array_equal(array, found[name], err_msg=name)
    likelihood = [entry["likelihood"] for entry in summary.history if entry["stage"] == "flow"]
    assert likelihood[-1] < likelihood[0] - 0.1  # two states are no Gaussian


# --- the KL term -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", ["standard", "label", "mixture", "vamp"])
def test_kl_of_every_dimension_is_in_the_history(prior: str) -> None:
    """At β = 1 after the warm-up they add up to the term of the loss where the prior is one Gaussian per label."""
    last = of_states(prior)[1].history[-1]
    kl = last["watch.kl per dimension"]
    assert len(kl) == 2
    assert max(kl) > 0.3
    if prior in ("standard", "label"):  # inputs are hidden in training only
        assert_allclose(sum(kl), last["kl"], rtol=0.3)


def test_free_bits_keep_dimensions_alive() -> None:
    """Rows of one hidden number, of which one or two of six dimensions are enough to tell."""
    generator = Stream(6).numpy()
    data = encoded(generator.normal(size=(150, 1)) + 0.5 * generator.normal(size=(150, 8)))
    closed, free = (
        np.array(fitted(data, latent=6, epochs=40, beta=2, free_bits=bits)[1].history[-1]["watch.kl per dimension"])
        for bits in (0.0, 0.3)
    )
    assert (closed < 0.1).sum() >= 3
    assert (free > 0.15).all()


def test_free_bits_of_a_mixture_are_shared() -> None:
    generator = Stream(6).numpy()
    data = encoded(generator.normal(size=(150, 8)))  # nothing to encode
    for bits, least, most in ((0.0, -0.1, 0.6), (0.5, 1.0, 3.0)):
        _, summary = fitted(data, latent=4, epochs=30, free_bits=bits, prior="mixture")
        assert least < sum(summary.history[-1]["watch.kl per dimension"]) < most


def test_a_smaller_beta_encodes_more() -> None:
    few, many = (
        sum(fitted(states(), latent=2, epochs=15, beta=beta)[1].history[-1]["watch.kl per dimension"])
        for beta in (8.0, 0.1)
    )
    assert few < 0.7 * many


# --- likelihoods -----------------------------------------------------------------------------------------------------


def reconstruction(data: Encoded, likelihood: str) -> float:
    """−log p(x | z, c) of the last epochs: lower is a better description of the rows, where the latent has nothing to say."""
    _, summary = fitted(data, latent=1, epochs=30, likelihood=likelihood, beta=20)
    return float(np.mean([entry["reconstruction"] for entry in summary.history[-5:]]))


def test_zero_inflated_counts_are_best_described_by_zinb() -> None:
    """40 % of Poisson(10) are zeros of another origin: a dispersion for them costs the counts that are there."""
    generator = Stream(7).numpy()
    x = generator.poisson(10, (300, 12)) * (generator.random((300, 12)) > 0.4)
    x[:, 0] += 1  # no empty row
    data = encoded(x, space=Space.COUNTS)
    zinb, nb, poisson = (reconstruction(data, name) for name in ("zinb", "nb", "poisson"))
    assert zinb < nb - 2
    assert nb < poisson - 5
    model, _ = fitted(data, latent=1, epochs=30, likelihood="zinb", beta=20)
    made = as_dense(model.draw(data.given, Stream(1)))[:, 1:]
    assert_allclose((made == 0).mean(), 0.4, atol=0.04)
    assert_allclose(made[made > 0].mean(), 10, rtol=0.1)


def test_poisson_counts_need_no_dispersion() -> None:
    generator = Stream(9).numpy()
    data = encoded(1 + generator.poisson(6, (200, 12)), space=Space.COUNTS)
    assert_allclose(reconstruction(data, "poisson"), reconstruction(data, "nb"), rtol=0.02)


def test_bernoulli_learns_shares_and_relations_of_ones() -> None:
    """Label 0: two blocks of four sites, each on or off as one. Label 1: every site on in one row of ten."""
    generator, condition = Stream(10).numpy(), np.repeat([0, 1], [250, 150])
    block = (generator.random((400, 2)) < 0.5).repeat(4, axis=1)
    p = np.where(condition[:, None] == 0, np.where(block, 0.9, 0.1), 0.1)
    x = (generator.random((400, 8)) < p).astype(float)
    x[x.sum(axis=1) == 0, 0] = 1
    data = encoded(x, condition, Space.COUNTS)
    model, _ = fitted(data, latent=2, epochs=60, likelihood="bernoulli")
    made = drawn(model, data)
    assert set(np.unique(made)) == {0.0, 1.0}
    for c in (0, 1):
        own = condition == c
        assert_allclose(made[own].mean(axis=0), x[own].mean(axis=0), atol=0.15)
    related = np.corrcoef(made[condition == 0].T)
    assert related[:4, :4].mean() > 0.4 > np.abs(related[:4, 4:]).mean() + 0.1


@pytest.mark.parametrize(
    ("space", "likelihood", "words"),
    [
        (Space.COUNTS, "gaussian", "does not describe counts values"),
        (Space.CONTINUOUS, "zinb", "does not describe continuous values"),
        (Space.MIXED, "gaussian", "cannot be chosen for a mixed table"),
    ],
)
def test_a_likelihood_that_does_not_fit_is_refused(space: Space, likelihood: Any, words: str) -> None:
    data = encoded(np.ones((4, 3)), space=space)
    with pytest.raises(ConfigError, match=words):
        Cvae.build(data.layout, Cvae.Config(likelihood=likelihood))


# --- as it is used ---------------------------------------------------------------------------------------------------


def test_a_zero_one_matrix_is_drawn_as_one() -> None:
    x = (Stream(11).numpy().random((120, 20)) < 0.3).astype(np.float32)
    x[:, 0] = 1
    made, _ = Augmentor("cvae", likelihood="bernoulli", epochs=3).fit((x, None), holdout=0.0).sample(50)
    assert set(np.unique(as_dense(made))) == {0.0, 1.0}
    with pytest.raises(ConfigError, match="needs counts of 0 and 1, but 120 are larger"):
        Augmentor("cvae", likelihood="bernoulli", epochs=3).fit((x + x * (np.arange(20) == 0), None), holdout=0.0)


@pytest.mark.parametrize("prior", ["clusters", "vamp"])
def test_without_a_label_it_is_the_plain_vae(prior: str) -> None:
    x = as_dense(states().x)
    model = Augmentor("cvae", epochs=20, prior=prior)
    made, labels = model.fit((x, None), holdout=0.0).sample(300)
    assert labels is None
    assert_allclose(as_dense(made).mean(axis=0), x.mean(axis=0), rtol=0.25)
