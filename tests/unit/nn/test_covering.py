"""A generator's look at its own rows: collapse and rows astray are found, real rows and few rows raise no alarm."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from augmentor.core.contract import Encoded, Given, Judgement, Layout
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.nn.covering import covering, shares, sides

DIMENSIONS = 30


def encoded(rows_per_label: tuple[int, ...], valid: float = 0.0) -> Encoded:
    """Labels apart from each other, four factors within each."""
    generator = Stream(7).numpy()
    condition = np.repeat(np.arange(len(rows_per_label)), rows_per_label)
    n = len(condition)
    factors = generator.normal(size=(n, 4)) @ generator.normal(size=(4, DIMENSIONS))
    x = 6 * generator.normal(size=(len(rows_per_label), DIMENSIONS))[condition] + factors
    x += 0.5 * generator.normal(size=x.shape)
    layout = Layout(
        space=Space.CONTINUOUS,
        features=DIMENSIONS,
        categories=(len(rows_per_label),),
        combinations=tuple((c,) for c in range(len(rows_per_label))),
        rows=n,
    )
    given = Given(condition, condition[:, None].astype(np.int32), np.zeros((n, 0)))
    return Encoded(x.astype(np.float32), given, generator.random(n) < valid, layout)


def judged(data: Encoded, kind: str = "good") -> Judgement:
    """A generator that draws training rows again with a little noise, or that has lost label 1."""

    def draw(given: Given, rng: Stream) -> NDArray[np.float64]:
        generator, out = rng.numpy(), np.zeros((len(given), DIMENSIONS))
        for c in np.unique(given.condition):
            own = given.condition == c
            real = data.x[data.given.condition == c]
            out[own] = real[generator.integers(len(real), size=own.sum())] + 0.3 * generator.normal(
                size=(own.sum(), DIMENSIONS)
            )
            if c == 1 and kind == "collapsed":
                out[own] = real.mean(axis=0) + 0.1 * generator.normal(size=(own.sum(), DIMENSIONS))
            if c == 1 and kind == "astray":
                out[own] += 15
        return out

    return covering(data, draw, lambda rows: data.x[rows], Stream(1))


def test_a_good_generator_is_not_reported() -> None:
    found = judged(encoded((60, 80, 200), valid=0.2))
    assert found.findings == ()
    assert all(value > 0.8 for part in ("recall", "coverage") for value in found.facts[part])
    assert all(0.7 < value < 1.4 for value in found.facts["spread"])


@pytest.mark.parametrize(
    ("kind", "part", "words"), [("collapsed", "recall", "mode collapse"), ("astray", "coverage", "elsewhere")]
)
def test_what_is_wrong_with_a_label_is_reported_for_that_label(kind: str, part: str, words: str) -> None:
    found = judged(encoded((60, 80, 200), valid=0.2), kind)
    ((sentence, conditions),) = [item for item in found.findings if words in item[0]]
    assert conditions == (1,) and "{labels}" in sentence
    assert found.facts[part][1] < 0.3 * found.facts[f"{part} ceiling"][1]
    assert found.facts[part][0] > 0.8
    if kind == "collapsed":
        assert found.facts["spread"][1] < 0.1


def test_validation_rows_judge_where_there_are_enough_and_the_same_number_stands_beside_them() -> None:
    data = encoded((60, 200), valid=0.2)
    chosen = sides(data, Stream(0))
    condition = data.given.condition
    assert chosen.unseen.tolist() == [False, True]
    assert data.valid[chosen.one][condition[chosen.one] == 1].all()
    assert not data.valid[chosen.other][condition[chosen.other] == 1].any()
    assert condition[chosen.one].tolist() == condition[chosen.other].tolist()
    assert not set(chosen.one) & set(chosen.other)


def test_a_label_of_few_rows_is_not_judged_and_few_rows_in_all_are_judged_together() -> None:
    found = judged(encoded((23, 60)))
    assert found.facts["recall"][0] is None and found.facts["recall"][1] is not None
    together = judged(encoded((10, 12, 8)))
    assert len(together.facts["recall"]) == 1 and "together" in together.facts["judged on"]
    assert judged(encoded((4, 3))).facts["recall"] == [None]


def test_few_rows_that_collapsed_are_reported_together() -> None:
    data = encoded((16, 20))
    found = covering(
        data,
        lambda given, rng: np.zeros((len(given), DIMENSIONS)) + data.x.mean(axis=0),
        lambda rows: data.x[rows],
        Stream(1),
    )
    assert found.findings and found.findings[0][1] == () and "all labels" in found.findings[0][0]


def test_shares_by_definition() -> None:
    generator = Stream(0).numpy()
    real, rows = generator.normal(size=(30, 3)), 1 + generator.normal(size=(30, 3))

    def radius(side: NDArray[np.float64], i: int) -> float:
        return float(np.sort(np.linalg.norm(side - side[i], axis=1))[5])

    recall = np.mean([any(np.linalg.norm(r - rows[j]) <= radius(rows, j) for j in range(30)) for r in real])
    coverage = np.mean([any(np.linalg.norm(rows - real[i], axis=1) <= radius(real, i)) for i in range(30)])
    assert shares(real, rows) == (pytest.approx(recall), pytest.approx(coverage))


def test_real_rows_are_hardly_ever_reported() -> None:
    """Twelve rows a side, the fewest: of 600 labels of real rows at most 6 (1 in 250 is stated, 1 in 100 fails)."""
    generator, alarms = Stream(4).numpy(), 0
    for _ in range(600):
        real, other, drawn = (generator.standard_t(3, size=(12, 6)) for _ in range(3))
        (recall, coverage), (top, most) = shares(real, drawn), shares(real, other)
        alarms += recall < 0.5 * top or coverage < 0.3 * most
    assert alarms <= 6
