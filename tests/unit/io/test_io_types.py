"""Types of the columns of a table: inferred, overridden, and given back as they came."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from augmentor import Augmentor, io
from augmentor.core.errors import ConfigError, DataError, LabelError, Refused
from augmentor.core.space import Space


def table() -> pd.DataFrame:
    """60 rows: every kind of column that pandas has for a clinic."""
    n = 60
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 90, n),
            "ward": rng.integers(1, 4, n).astype(np.int16),
            "dose": rng.choice([0.5, 1.0, 2.0], n),
            "text_number": rng.choice(["1.5", "22", "7"], n),
            "flag": rng.random(n) < 0.5,
            "maybe": pd.array(rng.choice([True, False, None], n), dtype="boolean"),
            "stage": pd.Categorical(rng.choice(["I", "II"], n), ["II", "I", "III"], ordered=True),
            "cluster": pd.Categorical(rng.integers(0, 3, n)),
            "severity": rng.choice(["low", "mid", "high"], n),
            "visits": pd.array([*rng.integers(0, 5, n - 1), None], dtype="Int64"),
            "label": rng.choice(["a", "b"], n),
        }
    )


def test_every_type_comes_back() -> None:
    frame = table()
    back = io.to_frame(io.from_frame(frame, label="label"))[frame.columns]
    # text that is a number is a number's text: it stays text
    for name in frame.columns:
        assert back[name].dtype == frame[name].dtype, name
        pd.testing.assert_series_equal(back[name], frame[name], check_index=False, check_index_type=False)


def test_numbers_become_categories_and_come_back_as_numbers() -> None:
    frame = table()
    data = io.from_frame(frame, label="label", categorical=["ward", "dose", "visits"])
    levels = dict(zip(data.schema.features, data.schema.levels or (), strict=True))
    assert data.schema.space is Space.MIXED
    assert levels["ward"] == ("1", "2", "3") and levels["dose"] == ("0.5", "1", "2") and levels["age"] is None
    back = io.to_frame(data)
    for name in ("ward", "dose", "visits"):
        assert back[name].dtype == frame[name].dtype
        assert list(back[name].fillna(-1)) == list(frame[name].fillna(-1))
    assert any("ward" in note for note in data.notes)


def test_a_table_of_numbers_is_mixed_once_a_column_is_a_category() -> None:
    frame = table()[["age", "ward", "label"]]
    assert io.from_frame(frame, label="label").schema.space is not Space.MIXED
    assert io.from_frame(frame, label="label", categorical="ward").schema.space is Space.MIXED


def test_texts_and_categories_become_numbers() -> None:
    frame = table()
    data = io.from_frame(frame, label="label", numeric=["text_number", "cluster"])
    levels = dict(zip(data.schema.features, data.schema.levels or (), strict=True))
    assert levels["text_number"] is None and levels["cluster"] is None
    back = io.to_frame(data)
    assert list(back["text_number"]) == [float(v) for v in frame["text_number"]]


def test_an_order_is_that_of_the_categories() -> None:
    frame = table()
    data = io.from_frame(frame, label="label", ordered={"severity": ["low", "mid", "high"], "ward": [3, 2, 1]})
    levels = dict(zip(data.schema.features, data.schema.levels or (), strict=True))
    assert levels["severity"] == ("low", "mid", "high") and levels["ward"] == ("3", "2", "1")
    back = io.to_frame(data)
    assert list(back["severity"]) == list(frame["severity"]) and back["severity"].dtype == object
    assert list(back["ward"]) == list(frame["ward"]) and back["ward"].dtype == np.int16


@pytest.mark.parametrize(
    ("types", "error", "words"),
    [
        ({"categorical": ["wrd"]}, LabelError, "--categorical 'wrd' is not a column of the data frame"),
        ({"numeric": ["severity"]}, DataError, "--numeric 'severity' of the data frame must hold numbers; 60 of 60"),
        ({"numeric": ["flag"]}, DataError, "holds True and False"),
        ({"numeric": ["ward"], "categorical": ["ward"]}, ConfigError, "given as --"),
        ({"categorical": ["label"]}, ConfigError, "column 'label' is given as --label and as --categorical"),
        ({"ordered": {"severity": ["low", "high"]}}, DataError, "mid is not among low, high"),
        ({"ordered": {"severity": ["low", "low"]}}, ConfigError, "at least 2 different values"),
    ],
)
def test_types_that_cannot_be_are_refused(types: dict[str, object], error: type[Refused], words: str) -> None:
    with pytest.raises(error) as refusal:
        io.from_frame(table(), label="label", **types)  # type: ignore[arg-type]
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


def test_numbers_mixed_with_text_can_be_categories() -> None:
    frame = table()
    frame["code"] = ["10", "11", "12"] * 19 + ["B", "10", "11"]
    with pytest.raises(DataError, match="pass --categorical code"):
        io.from_frame(frame, label="label")
    assert io.from_frame(frame, label="label", categorical="code").schema.levels is not None


def test_a_matrix_has_no_columns_to_type() -> None:
    x = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    with pytest.raises(DataError, match="AnnData has none"):
        io.convert(anndata.AnnData(x), categorical=["0"])


def test_types_reach_the_fit() -> None:
    frame = table()
    made = Augmentor("bootstrap").fit(frame, label="label", categorical=["ward", "dose"]).sample(50)
    assert list(made.columns) == [*frame.columns, "synthetic"]
    for name in frame.columns:
        assert made[name].dtype == frame[name].dtype, name
    assert set(made["ward"]) <= set(frame["ward"]) and set(made["dose"]) <= set(frame["dose"])


def test_whole_numbers_among_others_stay_whole(tmp_path: Path) -> None:
    """A table of numbers only: ages are whole, doses are not, and neither makes a category of the other."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(20, 90, 60), "bmi": rng.normal(25, 4, 60).astype(np.float32)})
    frame["visits"], frame["label"] = rng.poisson(40, 60).astype(np.int16), ["a", "b"] * 30
    model = Augmentor("gaussian").fit(frame, label="label")
    made = model.sample(50)
    assert model.fitted.schema.space is Space.CONTINUOUS
    assert made.dtypes[frame.columns].equals(frame.dtypes)
    model.write(tmp_path / "rows.csv", 50)
    written = pd.read_csv(tmp_path / "rows.csv", index_col=0)
    assert written["age"].dtype == written["visits"].dtype == np.int64
    assert (written["age"].to_numpy() == made["age"].to_numpy()).all()
    assert model.fitted.schema.select([1, 2]).whole == (1,)


def test_columns_keep_their_places(tmp_path: Path) -> None:
    """Labels and covariates stand between features, in the order of the table and not of the options; also of some features."""
    frame = table()[["age", "label", "dose", "ward"]].assign(arm=["a", "b"] * 30, time=1.5, last=2.5)
    frame = frame[["age", "label", "time", "dose", "arm", "ward", "last"]]
    data = io.from_frame(frame, label=["arm", "label"], covariates=["time"], categorical=["ward"])
    assert list(io.to_frame(data).columns) == list(frame.columns)
    some = data.select([2, 3])
    assert list(io.to_frame(some).columns) == ["label", "time", "arm", "ward", "last"]
    model = Augmentor("bootstrap").fit(frame.drop(columns="time"), label=["arm", "label"], categorical=["ward"])
    model.write(tmp_path / "rows.csv", 5)
    written = pd.read_csv(tmp_path / "rows.csv", index_col=0)
    assert list(written.columns) == [*frame.columns.drop("time"), "synthetic"]
    assert set(written["label"]) <= {"a", "b"} and set(written["ward"]) <= {1, 2, 3}
