"""Rows without a label in a comparison: none of them tests or knows a test row, and what they bring is kept from synthesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from judged_splits import arm, compared, design, ignores_test_rows
from numpy.testing import assert_array_equal
from scipy import stats
from toy_rows import normal

import augmentor
from augmentor.comparison import choosing, part, pool, semisupervised, verdict
from augmentor.comparison.arms import of_model
from augmentor.comparison.design import Design
from augmentor.comparison.part import Part
from augmentor.comparison.result import Comparison
from augmentor.core.dataset import Dataset
from augmentor.core.errors import ConfigError, LabelError, SchemaMismatch
from augmentor.core.progress import Progress, silent
from augmentor.core.random import Stream

TAUGHT = {"gaussian+unlabelled": "gaussian"}
FAST: dict[str, Any] = {"folds": 3, "repeats": 1}
QUICK: dict[str, Any] = {
    "models": ["gaussian"],
    "learners": ["lr"],
    "ratios": [1],
    "seeds": 1,
    "splits": 3,
    "repeats": 1,
}


def pooled(**changed: object) -> Design:
    return design({"gaussian": of_model("gaussian")}, unlabelled=semisupervised.ARMS, taught=TAUGHT, **changed)


def unlabelled(n: int, genes: int, seed: int, effect: float) -> Dataset:
    rows, _ = normal((n, n), genes, seed, effect=effect)
    return replace(
        rows, codes=np.full_like(rows.codes, -1), names=np.array([f"u{i}" for i in range(2 * n)], dtype=object)
    )


# --- leaks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labelled", [None, 4])
def test_nothing_that_is_learned_depends_on_test_rows(labelled: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with rows without a label of another place, and with training rows that lost theirs."""
    data, y = normal((25, 20), 30, 2, effect=0.3)
    plan = pooled(genes=20)
    assert ignores_test_rows(data, y, plan, monkeypatch, unlabelled(12, 30, 3, 0.3), labelled=labelled)


def test_test_rows_among_the_unlabelled_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above, tested: test rows stand beside the training rows, without their labels."""
    data, y = normal((25, 20), 40, 2, effect=0.3)
    _plant_test_rows(monkeypatch)
    assert not ignores_test_rows(data, y, pooled(), monkeypatch, labelled=4)


def test_test_rows_that_only_the_labelling_sees_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool is clean, but labels are inferred from the geometry of test rows too."""
    data, y = normal((25, 20), 40, 2, effect=0.3)
    honest_beside, honest_prepare, held = pool.beside, part.prepare, []

    def beside(others: Dataset | None, rows: Dataset, lost: np.ndarray, test: np.ndarray, *more: Any) -> Dataset:
        held[:] = [replace(rows.take(test), codes=np.full((len(test), 1), -1, dtype=np.int32))]
        return honest_beside(others, rows, lost, test, *more)

    def prepare(rows: Dataset, options: Any, *, unlabelled: Dataset) -> Any:
        return honest_prepare(rows, options, unlabelled=pool.stacked(unlabelled, held[0]))

    monkeypatch.setattr(pool, "beside", beside)
    monkeypatch.setattr(part, "prepare", prepare)
    assert not ignores_test_rows(data, y, pooled(), monkeypatch, labelled=4)


def test_a_pool_that_holds_test_rows_takes_no_part() -> None:
    """The comparison itself notices, whatever the arms do with those rows; without them nobody is accused."""
    data, y = normal((20, 15), 20, 2, effect=0.3)
    honest = compared(data, y, pooled(), labelled=4, **FAST)
    assert not any(found.leak for found in honest["arms"])
    with pytest.MonkeyPatch.context() as patch:
        _plant_test_rows(patch)
        planted = compared(data, y, pooled(), labelled=4, **FAST)
    assert [found.arm for found in planted["arms"] if found.leak] == [*semisupervised.ARMS, *TAUGHT]
    answer = planted["verdict"]
    assert answer.help is None and answer.arm not in TAUGHT
    assert "No arm that uses rows without a label takes part: test rows are among them." in answer.sentence


def _plant_test_rows(patch: pytest.MonkeyPatch) -> None:
    honest = pool.beside

    def beside(others: Dataset | None, rows: Dataset, lost: np.ndarray, test: np.ndarray, *more: Any) -> Dataset:
        return honest(others, rows, np.concatenate([lost, test]), test, *more)

    patch.setattr(pool, "beside", beside)


# --- which rows ----------------------------------------------------------------------------------------------------------


def test_no_row_of_a_group_that_tests_or_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the outer split nor in an inner fold, and every unlabelled row is used somewhere."""
    data, y = normal((30, 30), 10, 8, effect=0.4)
    data = replace(data, groups=np.array([f"p{i % 12}" for i in range(60)], dtype=object))
    others = replace(unlabelled(18, 10, 9, 0.4), groups=np.array([f"p{i % 18}" for i in range(36)], dtype=object))
    known, used = choosing.splits.apart, []

    def apart(pool: Dataset, test: Dataset) -> Dataset:
        kept = known(pool, test)
        assert not set(kept.groups) & set(test.groups)
        assert set(pool.groups) - set(test.groups) == set(kept.groups)
        used.append(set(kept.names))
        return kept

    monkeypatch.setattr(choosing.splits, "apart", apart)
    compared(data, y, pooled(), pool=others, **FAST)
    assert len(used) == 3 * (1 + 3) and set.union(*used) == set(others.names)


def test_rows_that_lose_their_label_are_those_of_the_training_part() -> None:
    data, _ = normal((25, 20), 5, 2, effect=0.3)
    found = pool.beside(None, data, np.arange(4, 30), np.arange(30, 45), 100, Stream(0))
    assert_array_equal(found.names, data.names[4:30])
    assert (found.codes == -1).all()
    fewer = pool.beside(found, data, np.arange(4), np.arange(30, 45), 12, Stream(0))
    assert len(fewer) == 12 and len(set(fewer.names)) == 12


def test_rows_that_repeat_a_labelled_one_are_left_out() -> None:
    data, _ = normal((25, 20), 5, 2, effect=0.3)
    others = unlabelled(10, 5, 3, 0.3)
    notes: list[Progress] = []
    found = pool.gathered(data, None, pool.stacked(others, data.take(np.arange(7))), notes.append)
    assert found is not None
    assert_array_equal(found.names, others.names)
    assert [item.note for item in notes] == ["7 of 27 rows without a label repeat a labelled row and are left out"]
    assert pool.gathered(data, None, data, silent) is None and pool.gathered(data, None, None, silent) is None


def test_labels_of_the_other_file_are_not_looked_at() -> None:
    data, _ = normal((25, 20), 5, 2, effect=0.3)
    known, _ = normal((10, 10), 5, 3, effect=0.3)
    found = pool.gathered(data, None, known, silent)
    assert found is not None and (found.codes == -1).all()


# --- what they bring -----------------------------------------------------------------------------------------------------


def test_what_unlabelled_rows_bring_is_kept_from_synthesis() -> None:
    """Two clear clusters in 100 dimensions and two labels in each: the others show where the clusters lie.

    Every arm that uses them gains, a generator that learns from them too; it adds nothing to what they bring by themselves.
    """
    data, y = normal((60, 60), 100, 11, effect=0.5)
    result = compared(data, y, pooled(), labelled=2, repeats=1)
    base = result["baselines"]["lr"].scores["balanced_accuracy"]
    best = max(semisupervised.ARMS, key=lambda name: arm(result, name).scores["balanced_accuracy"])
    found, taught = result["verdict"].help, arm(result, "gaussian+unlabelled")
    assert found is not None and (found.arm, found.maker) == (best, "gaussian+unlabelled")
    assert found.gain.mean == pytest.approx(arm(result, best).scores["balanced_accuracy"] - base)
    assert found.gain.mean > 0.1 and taught.gains["balanced_accuracy"].mean > 0.05
    # over labelled rows alone, and beyond the unlabelled ones, are two numbers
    assert taught.gains["balanced_accuracy"].mean == pytest.approx(found.gain.mean + taught.beyond.mean)
    assert taught.beyond == found.beyond and taught.beyond.mean < 0.02
    assert result["verdict"].verdict != "augment"
    assert result["curve"].sentence.startswith("What the rows without a label bring at 2 labelled rows per label")
    # widened for the four arms
    alone = arm(result, best).gains["balanced_accuracy"]
    wider = (found.gain.high - found.gain.mean) / (alone.high - alone.mean)
    assert wider == pytest.approx(stats.t.ppf(1 - 0.025 / 4, 4) / stats.t.ppf(0.975, 4))


def test_arms_without_unlabelled_rows_are_what_they_were() -> None:
    """Rows without a label change no score of an arm that does not use them."""
    data, y = normal((20, 16), 12, 5, effect=0.4)
    alone = compared(data, y, design({"gaussian": of_model("gaussian")}), **FAST)
    beside = compared(data, y, pooled(), pool=unlabelled(20, 12, 6, 0.4), **FAST)
    for found in alone["arms"]:
        other = arm(beside, found.arm)
        assert (other.scores, other.gains) == (found.scores, found.gains)
        assert found.beyond is None and not other.pooled


def test_no_row_left_beside_a_part_is_no_error() -> None:
    """The unlabelled rows are of one patient; on the split that tests him, nothing can be learned from them."""
    data, y = normal((8, 8), 6, 5, effect=0.8)
    empty = replace(data.take(np.arange(0)), codes=np.zeros((0, 1), dtype=np.int32))
    own = Part(data, y, pooled(), Stream(0), empty)
    for name in semisupervised.ARMS:
        fit = semisupervised.train(name, "lr", own, 2, Stream(1), penalty=0.1)
        p = fit.probabilities(own.seen)
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert len(own.inferred) == 0 and own.real("gaussian+unlabelled") == 16


@pytest.mark.parametrize("kind", ["lr", "rf", "gb"])
def test_every_learner_has_every_arm(kind: str) -> None:
    """Of two clusters and a label that no row has: probabilities of all three, the right one mostly largest."""
    data, y = normal((30, 30), 20, 5, effect=1.5)
    few = np.concatenate([np.arange(5), np.arange(30, 35)])
    rest = np.setdiff1d(np.arange(60), few)
    own = Part(data.take(few), y[few], replace(pooled(), labels=3), Stream(0), pool._blank(data.take(rest)))
    judges = own.features.of(own.features.select(data.take(rest)), y[rest])
    for name in semisupervised.ARMS:
        if kind == "gb" and name != semisupervised.INFERRED:
            continue  # boosting needs more rows of a label than these for a single split
        p = semisupervised.train(name, kind, own, 3, Stream(1), penalty=0.1).probabilities(judges)
        assert p.shape == (50, 3) and (p[:, 2] == 0).all()
        assert (p.argmax(axis=1) == judges.y).mean() > 0.75, name


def test_components_of_all_rows_keep_their_variances() -> None:
    data, y = normal((30, 30), 20, 5, effect=1.0)
    own = Part(data, y, pooled(), Stream(0), unlabelled(20, 20, 6, 1.0))
    spread = own.around.of(own.seen.joined(own.others).x).std(axis=0)
    assert spread[0] == pytest.approx(10, rel=1e-3) and (np.diff(spread) <= 1e-6).all()
    assert own.seen.components.of(own.seen.x).std(axis=0) == pytest.approx(np.ones(20), rel=1e-3)


STEADY = 0.002 * np.random.default_rng(1).normal(size=25)


@pytest.mark.parametrize(
    ("brought", "word", "said"),
    [
        (0.1 + STEADY, "yes", "The rows without a label help: +0.1"),
        (STEADY, "no", "The rows without a label do not help: +0.00"),
        (0.02 + 30 * STEADY, "unknown", "Whether the rows without a label help is not shown: +0.0"),
    ],
)
def test_words_for_what_they_bring(brought: np.ndarray, word: str, said: str) -> None:
    metrics = {"balanced_accuracy": STEADY, "auroc": np.zeros(25), "brier": np.zeros(25)}
    found = verdict.overall(
        "lr",
        {"copula": metrics, "copula+unlabelled": metrics},
        0.25,
        base=0.9,
        policy="inferred_labels",
        ratios=dict.fromkeys(["copula", "copula+unlabelled"], 1.0),
        leaking=(),
        lacking=(),
        rests_on="60 rows",
        beside=verdict.Beside(
            metrics | {"balanced_accuracy": brought}, base=0.8, taught=("copula+unlabelled",), arms=4
        ),
    )
    assert found.verdict == "do not augment"
    assert found.help is not None and found.help.word == word and said in found.sentence
    assert "on 0.800 without them" in found.sentence and "synthesis (copula+unlabelled) adds" in found.sentence


# --- the public call -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    true = np.repeat(["one", "two"], 40)
    x = rng.normal(size=(80, 12)) + 1.2 * (np.arange(12) % 2 == np.repeat([0, 1], 40)[:, None])
    known = np.arange(80) % 40 < 12
    return pd.DataFrame(x, columns=[f"f{i}" for i in range(12)]).assign(
        state=np.where(known, true, None), donor=np.arange(80) % 10
    )


@pytest.fixture(scope="module")
def result(frame: pd.DataFrame) -> Comparison:
    return augmentor.compare(frame, label="state", group="donor", **QUICK)


def test_rows_with_an_empty_label_train_nobody_and_teach_some(frame: pd.DataFrame, result: Comparison) -> None:
    assert result.rows == 24 and result.tested == {"one": 12, "two": 12}
    assert result.protocol.unlabelled == 56 and 30 <= result.protocol.pool_rows < 45  # a third of the donors tests
    names = [found.arm for found in result.arms if found.pooled]
    assert names == [*semisupervised.ARMS, "gaussian+unlabelled"]
    assert result["lr", "label_spreading"].kind == "unlabelled" and result["lr", "label_spreading"].beyond is None
    assert result["lr", "gaussian+unlabelled"].kind == "model" and result["lr", "gaussian"].beyond is not None
    assert sum(result.rivals["lr"].chosen.values()) == 3
    again = augmentor.compare(frame, label="state", group="donor", **QUICK)
    assert again.model_dump(exclude={"created", "seconds"}) == result.model_dump(exclude={"created", "seconds"})
    assert again.to_text() == result.to_text()


def test_two_tables_are_as_one(frame: pd.DataFrame, result: Comparison) -> None:
    known = frame.state.notna()
    more = frame[~known].drop(columns="state")
    found = augmentor.compare(frame[known], label="state", group="donor", unlabelled=more, **QUICK)
    assert found.arms == result.arms
    with pytest.raises(LabelError, match="--group 'donor' is not a column"):
        augmentor.compare(frame[known], label="state", group="donor", unlabelled=more.drop(columns="donor"), **QUICK)
    with pytest.raises(SchemaMismatch, match="lacks 1 of the 12 features"):
        augmentor.compare(
            frame[known].drop(columns="donor"), label="state", unlabelled=more.drop(columns=["donor", "f3"]), **QUICK
        )


def test_every_form_has_the_arms_and_what_they_bring(result: Comparison, tmp_path: Any) -> None:
    result.to_json(tmp_path / "c.json")
    assert Comparison.from_json(tmp_path / "c.json") == result
    lines = result.to_text().splitlines()
    assert max(map(len, lines)) <= 100
    group = lines.index(f"with {result.protocol.pool_rows:.0f} rows without a label in each split:")
    assert [line.split()[0] for line in lines[group + 1 : group + 6]] == [*semisupervised.ARMS, "gaussian+unlabelled"]
    assert lines[group + 6].startswith("Best without synthetic rows: ")
    assert " Beyond it: gaussian+unlabelled" in " ".join(lines).replace("  ", " ")
    text = result.to_markdown()
    page = result.to_html()
    for name in (*semisupervised.ARMS, "gaussian+unlabelled"):
        assert name.replace("_", "\\_") in text and name in page
    assert "best without synthetic rows, with unlabelled ones" in page and "no test row is among them" in page
    assert result.to_frame()["beyond"].notna().sum() == 3 + 2


def test_how_few_labels_would_do(frame: pd.DataFrame) -> None:
    whole = frame.assign(state=np.repeat(["one", "two"], 40)).drop(columns="donor")
    found = augmentor.compare(whole, label="state", labelled=3, **QUICK)
    assert (found.protocol.train_rows, found.protocol.pool_rows, found.protocol.test_rows) == (
        6,
        47.333333333333336,
        26.666666666666668,
    )
    assert found.protocol.labelled == 3 and found["lr", "oracle_more_real"].kind == "oracle"
    assert "3 training rows per label keep their label" in found.to_text()


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"labelled": 1}, ConfigError, "labelled must be at least 2"),
        ({"labelled": 12}, ConfigError, "no label has more than 12 rows"),
        ({"labelled": 3, "per_label": 3}, ConfigError, "give one of them"),
        ({"categorical": "nothing"}, LabelError, "--categorical 'nothing' is not a column"),
    ],
)
def test_refusals(frame: pd.DataFrame, changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        augmentor.compare(frame.drop(columns="donor"), label="state", **QUICK, **changed)


def test_mixed_tables_have_the_same_arms(frame: pd.DataFrame) -> None:
    table = frame.drop(columns="donor").assign(sex=np.where(np.arange(80) % 3, "f", "m"), code=np.arange(80) % 2)
    heard: list[Progress] = []
    how = QUICK | {"models": ["copula"]}
    found = augmentor.compare(table, label="state", categorical="code", listener=heard.append, **how)
    assert found.space == "mixed"
    assert [item.arm for item in found.arms if item.pooled] == [*semisupervised.ARMS, "copula+unlabelled"]
    assert any("categories are sex, code" in item.note for item in heard)
    known = table.state.notna()
    other = table[~known].drop(columns="state")
    apart = augmentor.compare(table[known], label="state", unlabelled=other, categorical="code", **how)
    assert apart.arms == found.arms
    with pytest.raises(
        SchemaMismatch, match="column 'sex' of the unlabelled data holds numbers, but categories in the lab"
    ):
        augmentor.compare(table[known], label="state", unlabelled=other.assign(sex=0.5), **how)
