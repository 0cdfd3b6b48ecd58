"""LISI, silhouettes and explained variance against scib-metrics, by what it answered: `scib_metrics.json`.

Both are given the same neighbours or the same coordinates. scib-metrics computes in float32 unless jax is told otherwise
(``x64``): then the definitions can be compared to their last digits. Its public functions are also called as they are. It is not
installed with the tests, because one of its requirements (igraph) is under the GPL and jax weighs half a gigabyte; where it is
there, it is asked again, and must answer as recorded. ``RECORD_SCIB=1 pytest tests/reference`` records anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scib_process
from scib_process import Call
from sklearn.neighbors import NearestNeighbors

from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.evaluation.metrics import mixing, separation
from augmentor.evaluation.pair import Asked, Pair, Side, distances
from augmentor.evaluation.rows import Sample, hashed
from augmentor.evaluation.spaces import Basis

RECORD = Path(__file__).with_name("scib_metrics.json")
EXACT = 1e-6
FLOAT32 = 1e-4  # of values around 1, after a search for the width that ends at 1e-5
NEIGHBOURS, PERPLEXITY = mixing.LISI_NEIGHBOURS, mixing.PERPLEXITY

Graph = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def installed() -> Iterator[Call | None]:
    if find_spec("scib_metrics") is None:
        yield None
        return
    with scib_process.opened() as call:
        yield call


@pytest.fixture
def scib(request: pytest.FixtureRequest, installed: Call | None) -> Iterator[Call]:
    """A function that answers as scib-metrics does: from the record, in the order in which a test asks."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    known, asked = record["answers"].get(request.node.name, []), []

    def call(name: str, *args: Any, **named: Any) -> Any:
        position = len(asked)
        asked.append(name)
        if installed is None:
            function, answer = known[position]
            assert function == name
            return np.asarray(answer) if isinstance(answer, list) else answer
        answer = installed(name, *args, **named)
        answer = np.asarray(answer).tolist()
        if os.environ.get("RECORD_SCIB"):
            known[position:] = [[name, answer]]
        else:
            np.testing.assert_allclose(answer, known[position][1], atol=FLOAT32)
        return np.asarray(answer) if isinstance(answer, list) else answer

    yield call
    assert len(asked) == len(known)
    if installed is not None and os.environ.get("RECORD_SCIB"):
        record["answers"][request.node.name] = known
        record["version"] = installed("__version__")
        RECORD.write_text(json.dumps(record, indent=None) + "\n", encoding="utf-8")


def rows(n: int, seed: int, dims: int = 6) -> np.ndarray:
    """Three labels in turn (`labels`), 0.8 apart; sets of different seeds 0.4 apart."""
    noise = np.random.default_rng(seed).normal(size=(n, dims))
    return noise + 0.4 * seed + 0.8 * labels(n)[:, None] * np.eye(dims)[0]


def labels(n: int) -> np.ndarray:
    return np.arange(n) % 3


def sample(x: np.ndarray) -> Sample:
    x = np.ascontiguousarray(x, dtype=np.float32)
    return Sample(x, labels(len(x)).astype(np.intp), hashed(x), x.sum(axis=1, dtype=np.float64))


@pytest.fixture(scope="module")
def pair() -> Pair:
    made, real = sample(rows(120, 1)), sample(rows(120, 0))
    basis = Basis.fitted(real, Space.CONTINUOUS, 1.0)
    sides = Side(made, basis), Side(real, basis)
    genes = tuple(f"g{i}" for i in range(made.x.shape[1]))
    return Pair("synthetic", *sides, ("a", "b", "c"), genes, Stream(0), policy="symmetric", asked=Asked(full=True))


@pytest.fixture(scope="module")
def graph(pair: Pair) -> Graph:
    """Distances and positions of the 90 nearest rows of the union, each row itself first."""
    union = np.concatenate([pair.synthetic.pcs, pair.real.pcs])
    gaps, near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(union).kneighbors(union)
    assert (near[:, 0] == np.arange(len(union))).all()
    return gaps, near


def kinds(pair: Pair) -> dict[str, np.ndarray]:
    sides = pair.synthetic, pair.real
    return {
        mixing.LISI.name: np.repeat([0, 1], [len(side) for side in sides]),
        mixing.LABELS.name: np.concatenate([side.y for side in sides]),
    }


def lisi(graph: Graph, kind: np.ndarray) -> np.ndarray:
    gaps, near = graph
    return mixing.inverse_simpson(mixing.perplexed(gaps[:, 1:], PERPLEXITY), kind[near[:, 1:]])


def test_lisi_of_every_row(pair: Pair, graph: Graph, scib: Call) -> None:
    """In the same precision, and searched to the same depth, the values are the same."""
    gaps, near = graph
    for kind in kinds(pair).values():
        given = gaps, near, np.arange(len(near))[:, None], kind, len(np.unique(kind))
        simpson = scib("compute_simpson_index", *given, perplexity=PERPLEXITY, tol=1e-12, x64=True)
        np.testing.assert_allclose(lisi(graph, kind), 1 / simpson, atol=EXACT)


def test_lisi_as_it_is_called(pair: Pair, graph: Graph, scib: Call) -> None:
    """`lisi_knn` searches to 1e-5 of the entropy, in float32; its perplexity of 90 neighbours is 30 by default, as here."""
    for kind in kinds(pair).values():
        ours = lisi(graph, kind)
        np.testing.assert_allclose(ours, scib("lisi_knn", kind, graph=graph), atol=FLOAT32)
        assert ours.max() > 1.5


def test_scores_are_ilisi_and_clisi(pair: Pair, graph: Graph, scib: Call) -> None:
    """From the pair, neighbours and all. Ours keep the scale of the index; iLISI is led to 0 to 1, cLISI turned round."""
    ours, kind = mixing.Metric().measure(pair), kinds(pair)
    origin, among = ours[mixing.LISI.name], ours[mixing.LABELS.name]
    assert origin.detail["ilisi"] == pytest.approx(scib("ilisi_knn", kind[mixing.LISI.name], graph=graph), abs=FLOAT32)
    theirs = scib("clisi_knn", kind[mixing.LABELS.name], graph=graph, scale=False)
    assert among.value == pytest.approx(theirs, abs=FLOAT32)
    turned = (3 - theirs) / (3 - 1)
    assert scib("clisi_knn", kind[mixing.LABELS.name], graph=graph) == pytest.approx(turned, abs=FLOAT32)


def test_silhouettes(scib: Call) -> None:
    """A label of one row too, whose silhouette both call 0 where the definition has none."""
    x, label = np.concatenate([rows(50, 0), rows(1, 4)]), np.append(labels(50), 3)
    found = separation.silhouettes(distances(x, x), label)
    np.testing.assert_allclose(found, scib("silhouette_samples", x, label, x64=True), atol=EXACT)
    assert found[-1] == 0


def test_silhouette_by_label_is_led_from_0_to_1_there(scib: Call) -> None:
    """`silhouette_label` averages over rows, ours over labels: the same where labels are equally frequent."""
    x = sample(rows(60, 0))
    side = Side(x, Basis.fitted(x, Space.CONTINUOUS, 1.0))
    ours = separation._by_label(side, np.arange(3)).mean()
    assert ours == pytest.approx(2 * scib("silhouette_label", side.pcs, side.y, x64=True) - 1, abs=EXACT)
    assert ours == pytest.approx(scib("silhouette_label", side.pcs, side.y, x64=True, rescale=False), abs=EXACT)


def test_variance_explained_is_that_of_principal_component_regression(scib: Call) -> None:
    """Of one column the same; of several, theirs is our shares weighted by variance: components turn, sums of squares stay."""
    x, label = rows(80, 0), labels(80)
    shares = separation.eta_squared(x, label, np.arange(3))
    regression = "principal_component_regression"
    for column, share in zip(x.T, shares, strict=True):
        assert share == pytest.approx(scib(regression, column[:, None], label, categorical=True, x64=True), abs=EXACT)
    together = np.average(shares, weights=x.var(axis=0))
    assert together == pytest.approx(scib(regression, x, label, categorical=True, x64=True), abs=EXACT)
