"""Label combinations never seen: main effects bring rows where they belong, and leave alone what has no effect."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from augmentor.core.errors import ArtifactError
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.parts.composition import Composition

SEEN = ((0, 0), (0, 1), (1, 0))  # kind x state; (1, 1) is left out
ROWS = (400, 400, 400)
CONDITION = np.repeat(np.arange(3), ROWS)
GENES = 40


def means() -> np.ndarray:
    """Two kinds differ in genes 0-9, the state turns on genes 10-14, which hardly anything expresses otherwise, and halves 15-19."""
    rng = np.random.default_rng(0)
    base = rng.gamma(2, 3, GENES)
    base[10:15] = 0.2
    out = np.stack([base, base, base, base])  # SEEN, then the one left out
    out[2:, :10] *= 4
    out[[1, 3], 10:15] = 8
    out[[1, 3], 15:20] /= 2
    return out


def counts(mean: np.ndarray, rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    theta = 4.0
    rate = rng.gamma(theta, mean / theta, (rows, mean.size)) * rng.lognormal(0, 0.2, (rows, 1))
    return rng.poisson(rate).astype(np.float32)


def known(*, stored: bool = True) -> tuple[Composition, np.ndarray]:
    x = np.concatenate([counts(mean, 400, k) for k, mean in enumerate(means()[:3])])
    given = sparse.csr_matrix(x) if stored else x
    return Composition.of(given, CONDITION, 3, Space.COUNTS), x


def test_the_anchor_is_the_nearest_and_the_effect_of_the_other_column_is_added() -> None:
    composition, x = known()
    lead = composition.lead(SEEN, ((1, 1),), ROWS, Space.COUNTS)
    assert lead.anchors.tolist() == [2]  # the same kind, from which five genes and five halves differ
    led = lead.apply(x[CONDITION == 2], np.zeros(400, dtype=np.intp), Stream(0))
    truth = counts(means()[3], 4000, 9)
    # turned on from nearly nothing: 5 genes of 80 counts, 2 standard errors; halved: within a tenth
    assert_allclose(led[:, 10:15].mean(), truth[:, 10:15].mean(), rtol=0.15)
    assert_allclose(led[:, 15:20].mean(), truth[:, 15:20].mean(), rtol=0.1)
    assert_allclose(led[:, :10].mean(), truth[:, :10].mean(), rtol=0.1)
    # a draw, not a mean: turned-on genes have the spread of a negative binomial
    assert 0.5 < led[:, 10:15].var() / truth[:, 10:15].var() < 2


def test_what_has_no_effect_comes_back_as_it_was() -> None:
    composition, x = known()
    lead = composition.lead(SEEN, ((1, 1),), ROWS, Space.COUNTS)
    unmoved = lead.moves[0] == 0
    assert unmoved[20:].mean() > 0.5
    assert abs(lead.moves[0][20:]).max() < 0.2
    assert abs(lead.sizes[0]) < 0.05  # most genes do not change, so that depth does not
    rows = x[:50]
    assert_array_equal(lead.apply(rows, np.full(50, -1), Stream(0)), rows)


def test_counts_stay_counts_and_sparse_stays_sparse() -> None:
    composition, x = known()
    lead = composition.lead(SEEN, ((1, 1),), ROWS, Space.COUNTS)
    which = np.where(np.arange(60) % 2, 0, -1)
    dense = lead.apply(x[-60:], which, Stream(1))
    stored = lead.apply(sparse.csr_matrix(x[-60:]), which, Stream(1))
    assert sparse.issparse(stored)
    assert_array_equal(stored.toarray(), dense)
    assert dense.dtype == np.float32 and (dense >= 0).all() and (dense == dense.round()).all()
    assert_array_equal(dense[::2], x[-60:][::2])


def test_sparse_and_dense_rows_are_known_alike() -> None:
    a, b = known()[0].state(), known(stored=False)[0].state()
    for name in a:
        assert_allclose(a[name], b[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("space", [Space.CONTINUOUS, Space.LOG])
def test_other_spaces_are_shifted(space: Space) -> None:
    rng = np.random.default_rng(3)
    effect = np.array([2.0, 0.0, -0.5])
    level = 3 + np.array([[0, 0, 0], effect, [0, 1, 0]])
    x = np.concatenate([rng.normal(mean, 0.3, (200, 3)) for mean in level]).astype(np.float32)
    x[::7, 2] = 0
    composition = Composition.of(x, np.repeat(np.arange(3), 200), 3, space)
    lead = composition.lead(SEEN, ((1, 1),), (200, 200, 200), space)
    start = x[np.repeat(np.arange(3), 200) == lead.anchors[0]]
    led = lead.apply(start, np.zeros(200, dtype=np.intp), Stream(0))
    if space is Space.LOG:
        assert_array_equal(led == 0, start == 0)
        assert (led >= 0).all()
        return
    assert_allclose(led.mean(axis=0), start.mean(axis=0) + lead.moves[0], atol=1e-5)
    # the ridge takes a little, and a change that could be chance is shrunk
    assert_allclose(led[:, 0].mean(), 5, atol=0.15)


def test_a_damaged_state_is_refused() -> None:
    state = known()[0].state()
    assert_array_equal(Composition.from_state(state, 3, GENES).level, state["level"])
    with pytest.raises(ArtifactError, match="composition of labels"):
        Composition.from_state(state | {"size": state["size"][:2]}, 3, GENES)


def test_rows_of_a_mixed_table_are_led_column_by_column() -> None:
    """Two numbers, of which one moves, and two columns of categories, of which one changes its shares from ¾, ¼, 0 to 0, ¼, ¾."""
    rng = np.random.default_rng(4)
    rows, levels = 600, (None, None, 3, 2)

    def block(moved: bool, other: bool) -> np.ndarray:
        shares = [0.0, 0.25, 0.75] if moved else [0.75, 0.25, 0.0]
        return np.column_stack(
            [
                rng.normal(5.0 if moved else 1.0, 1, rows),
                rng.normal(0, 1, rows),
                rng.choice(3, rows, p=shares),
                rng.random(rows) < (0.9 if other else 0.2),
            ]
        ).astype(np.float32)

    x = np.concatenate([block(moved, other) for other, moved in SEEN])
    composition = Composition.of(x, np.repeat(np.arange(3), rows), 3, Space.MIXED, levels)
    lead = composition.lead(SEEN, ((1, 1),), (rows,) * 3, Space.MIXED)
    start = x[np.repeat(np.arange(3), rows) == lead.anchors[0]]
    led = lead.apply(start, np.zeros(rows, dtype=np.intp), Stream(0))
    assert_allclose(led[:, 0].mean(), 5, atol=0.2)
    assert_allclose(led[:, 1], start[:, 1], atol=0.2)  # a change that could be chance is shrunk
    assert_allclose(np.bincount(led[:, 2].astype(int), minlength=3) / rows, [0, 0.25, 0.75], atol=0.06)
    assert_allclose(led[:, 3].mean(), 0.9, atol=0.06)
    # as few rows as possible take another category
    assert (led[:, 2] != start[:, 2])[start[:, 2] == 1].mean() < 0.1
    assert_array_equal(lead.apply(start, np.full(rows, -1), Stream(0)), start)
    again = Composition.from_state(composition.state(), 3, 4, levels)
    assert_array_equal(again.lead(SEEN, ((1, 1),), (rows,) * 3, Space.MIXED).moves, lead.moves)
