"""The road of a mixed table: numbers, whole numbers, flags, texts and gaps in, the same kinds of values out, and judged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commanding import Augment

from augmentor import evaluate

JUDGED = ("--only", "shape,contingency,association,missingness,validity,label_balance,transfer")
TYPES = {"age": "int64", "pressure": "float64", "children": "int64", "smoker": "bool", "vessels": "float64"}
TEXTS = ("gender", "thal", "ward", "ÖPNV")


def patients(rows: int = 160, seed: int = 0) -> pd.DataFrame:
    """A small table as hospitals have it."""
    rng = np.random.default_rng(seed)
    sick = rng.random(rows) < 0.45
    age = np.rint(rng.normal(50, 9, rows) + 8 * sick).astype(int)
    vessels = np.where(rng.random(rows) < 0.1, np.nan, rng.poisson(0.3 + sick))
    thal = np.array(["normal", "fixed defect", "reversable, late"], dtype=object)[rng.integers(0, 2, rows) + sick]
    thal[rng.random(rows) < 0.08] = None
    return pd.DataFrame(
        {
            "age": age,
            "gender": rng.choice(["male", "female"], rows),
            "pressure": (120 + age / 2 + rng.normal(0, 10, rows)).round(1),
            "children": rng.poisson(1.4, rows),
            "smoker": rng.random(rows) < 0.3,
            "vessels": vessels,
            "thal": thal,
            "ward": rng.choice(["01", "02", "10"], rows),
            "ÖPNV": rng.choice(['"oft"', "nie", "é, selten"], rows),
            "disease": sick.astype(int),
        }
    )


@pytest.fixture
def table(here: Path) -> pd.DataFrame:
    """The table, written to ``p.csv`` in the current folder."""
    patients().to_csv("p.csv", index=False)
    return _read("p.csv")


def _read(path: str) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"ward": str})


@pytest.mark.parametrize("space", [(), ("--space", "mixed")])
def test_fit_sample_evaluate(augment: Augment, table: pd.DataFrame, space: tuple[str, ...]) -> None:
    fit = augment("fit", "p.csv", "--label", "disease", "--model", "copula", *space)
    assert fit.code == 0, fit.err
    assert "160 rows x 9 features (mixed); 128 rows to learn from" in fit.err
    assert "categories are gender, smoker, thal, ward, ÖPNV" in fit.err
    sample = augment("sample", "-n", 300, "-o", "syn.csv")
    assert sample.code == 0, sample.err

    made = _read("syn.csv")
    features = [name for name in table.columns if name != "disease"]
    assert [name for name in made.columns if name in features] == features
    assert made["disease"].dtype == table["disease"].dtype and set(made["disease"]) == {0, 1}
    for name, kind in TYPES.items():
        assert str(made[name].dtype) == str(table[name].dtype) == kind
        assert made[name].min() >= table[name].min() and made[name].max() <= table[name].max()
    for name in ("age", "children", "vessels"):
        present = made[name].dropna()
        assert (present == np.rint(present)).all()
    for name in TEXTS:
        assert set(made[name].dropna()) == set(table[name].dropna())
    # 300 rows at a rate of about 0.1: an sd of 0.017, and the 128 training rows differ from the table
    assert made["vessels"].isna().mean() == pytest.approx(table["vessels"].isna().mean(), abs=0.08)
    assert made["thal"].isna().mean() == pytest.approx(table["thal"].isna().mean(), abs=0.08)
    assert not made.drop(columns=["vessels", "thal"]).isna().any().any()

    judged = augment("evaluate", "syn.csv", "--real", "p.csv", "--label", "disease", *space, *JUDGED)
    assert judged.code == 0, judged.err
    report = json.loads(Path("report.json").read_text(encoding="utf-8"))
    assert not report["failed"] and report["space"]["kind"] == "mixed" and report["data"]["holdout"]["rows"] == 32
    scores = report["scores"]
    assert scores["validity"]["value"] == 0.0 and scores["shape.columns"]["value"] > 0.7
    assert set(scores["shape.columns"]["detail"]["columns"]) == set(features)
    assert scores["association"]["value"] is not None and scores["missingness.rate"]["value"] < 0.1
    assert scores["contingency.tables"]["value"] is not None


@pytest.mark.parametrize("model", ["cvae", "cgan", "smote"])
def test_models_with_networks_and_neighbours_keep_types(augment: Augment, table: pd.DataFrame, model: str) -> None:
    fast = () if model == "smote" else ("--set", "epochs=10")
    assert augment("-q", "fit", "p.csv", "-l", "disease", "-m", model, *fast).code == 0
    assert augment("-q", "sample", "-n", 200, "-o", "syn.csv").code == 0
    made = _read("syn.csv")
    features = [name for name in table.columns if name != "disease"]
    assert [name for name in made.columns if name in features] == features
    for name, kind in TYPES.items():
        assert str(made[name].dtype) == kind
        assert made[name].min() >= table[name].min() and made[name].max() <= table[name].max()
    assert (made["pressure"].round(1) == made["pressure"]).all()
    for name in TEXTS:
        assert set(made[name].dropna()) <= set(table[name].dropna())
    gaps = made[features].isna().any()
    assert set(gaps.index[gaps]) == {"vessels", "thal"}


def test_types_are_overridden(augment: Augment, table: pd.DataFrame) -> None:
    """Children as a category, the ward's code as a number, wards of an order; evaluate reads the table as fit did."""
    types = ("--categorical", "children", "--ordered", "thal=normal,fixed defect", "--numeric", "pressure")
    refused = augment("-q", "fit", "p.csv", "-l", "disease", "-m", "copula", *types)
    assert refused.code == 1 and "--ordered 'thal' does not name all values" in refused.err
    assert "reversable, late is not among normal, fixed defect" in refused.err
    refused = augment("-q", "fit", "p.csv", "-l", "disease", "-m", "copula", "--numeric", "gender")
    assert refused.code == 1 and "--numeric 'gender' of p.csv must hold numbers" in refused.err
    types = ("--categorical", "children", "--ordered", "gender=male,female")
    fit = augment("fit", "p.csv", "-l", "disease", "-m", "copula", *types)
    assert fit.code == 0 and "categories are gender, children, smoker, thal, ward, ÖPNV" in fit.err
    assert augment("-q", "sample", "-n", 200, "-o", "syn.csv").code == 0
    assert _read("syn.csv")["children"].dtype == np.int64
    ended = augment("evaluate", "syn.csv", "--real", "p.csv", "-l", "disease", *types, *JUDGED)
    assert ended.code == 0, ended.err
    scores = json.loads(Path("report.json").read_text(encoding="utf-8"))["scores"]
    assert scores["validity"]["value"] == 0.0
    assert scores["shape.columns"]["detail"]["columns"]["children"] > 0.7
    asked = {"categorical": "children", "ordered": {"gender": ["male", "female"]}, "artifact": "model.augment"}
    report = evaluate("syn.csv", real="p.csv", label="disease", metrics=["shape", "validity"], **asked)
    assert report["shape.columns"].detail["columns"] == scores["shape.columns"]["detail"]["columns"]
    quick = ("--repeats", 1, "--splits", 2, "--learners", "lr", "--seeds", 1, "--ratios", "1")
    ended = augment("compare", "p.csv", "-l", "disease", *types, *quick)
    assert ended.code == 0, ended.err
    assert "categories are gender, children, smoker, thal, ward, ÖPNV" in ended.err


def test_auto_chooses_among_models_of_mixed_tables(augment: Augment, here: Path) -> None:
    patients(260).to_csv("p.csv", index=False)
    ended = augment("fit", "p.csv", "-l", "disease", "--max-time", "4s")
    assert ended.code == 0 and "chosen" in ended.err, ended.err
    assert augment("-q", "sample", "-n", 50, "-o", "syn.csv").code == 0


def test_a_table_that_another_tool_wrote(augment: Augment, table: pd.DataFrame) -> None:
    """Other order of columns, a lost and an unknown category, a code that lost its zero, a filled gap, fractions."""
    made = patients(120, seed=5).sample(frac=1, axis=1, random_state=0)
    made["vessels"] = made["vessels"].fillna(0)
    made["ward"] = "10"
    made["children"] = made["children"].clip(upper=3).astype(float)
    made.loc[:5, "children"] += 0.5
    made.loc[6:8, "gender"] = "unknown"
    made["age"], made["pressure"] = made["age"].clip(40, 60), made["pressure"].clip(140, 150)
    made.to_csv("other.csv", index=False)
    patients(80, seed=6).to_csv("held.csv", index=False)
    ended = augment(
        "evaluate",
        "other.csv",
        "--train",
        "p.csv",
        "--holdout",
        "held.csv",
        "-l",
        "disease",
        "--only",
        "validity,shape",
    )
    assert ended.code == 0, ended.err
    scores = json.loads(Path("report.json").read_text(encoding="utf-8"))["scores"]
    assert scores["validity"]["value"] == pytest.approx(9 / 120)
    assert scores["validity"]["detail"]["rules"] == {"type": 0, "category": 3, "whole": 6, "range": 0}
    detail = scores["shape.columns"]["detail"]
    assert detail["unseen_categories"] == {"gender": ["unknown"]} and detail["missing_categories"]["ward"] == [
        "01",
        "02",
    ]


def test_parquet_keeps_categories(augment: Augment, here: Path) -> None:
    real = patients().astype({"thal": pd.CategoricalDtype(["normal", "fixed defect", "reversable, late"])})
    real["vessels"] = real["vessels"].astype("Int64")
    real.to_parquet("p.parquet")
    assert augment("-q", "fit", "p.parquet", "-l", "disease", "-m", "copula").code == 0
    assert augment("-q", "sample", "-n", 200, "-o", "syn.parquet").code == 0
    made = pd.read_parquet("syn.parquet")
    assert list(made["thal"].cat.categories) == list(real["thal"].cat.categories)
    assert made["smoker"].dtype == bool and made["age"].dtype == real["age"].dtype
    assert set(made["ward"]) == {"01", "02", "10"}


def test_models_of_matrices_refuse_a_mixed_table_in_one_sentence(augment: Augment, table: pd.DataFrame) -> None:
    ended = augment("-q", "fit", "p.csv", "-l", "disease", "-m", "gaussian")
    assert ended.code == 1 and "does not accept mixed tables" in ended.err and "--model copula" in ended.err
    assert ended.err.count("error:") == 1 and not Path("model.augment").exists()


def test_bootstrap_gives_rows_of_the_table(augment: Augment, table: pd.DataFrame) -> None:
    assert augment("-q", "fit", "p.csv", "-l", "disease", "-m", "bootstrap").code == 0
    assert augment("-q", "sample", "-n", 50, "-o", "syn.csv").code == 0
    made = _read("syn.csv")[list(table.columns)]
    known = {tuple(map(str, row)) for row in table.itertuples(index=False)}
    assert {tuple(map(str, row)) for row in made.itertuples(index=False)} <= known


def test_numbers_with_gaps_ask_for_the_space_and_take_it(augment: Augment, table: pd.DataFrame) -> None:
    table[["age", "pressure", "vessels", "disease"]].to_csv("n.csv", index=False)
    refused = augment("-q", "fit", "n.csv", "-l", "disease", "-m", "copula")
    assert refused.code == 1 and "NaN in 1 features (first: vessels)" in refused.err and "--space mixed" in refused.err
    assert augment("-q", "fit", "n.csv", "-l", "disease", "-m", "copula", "--space", "mixed").code == 0
    assert augment("-q", "sample", "-n", 100, "-o", "syn.csv").code == 0
    made = pd.read_csv("syn.csv")
    assert made["vessels"].isna().any() and made["age"].dtype == np.int64


@pytest.mark.shared
def test_heart_disease(augment: Augment, here: Path, shared_data: Path) -> None:
    shutil.copy(shared_data / "heart_disease.csv", "heart.csv")
    assert augment("-q", "fit", "heart.csv", "-l", "heart_disease", "-m", "copula").code == 0
    assert augment("-q", "sample", "-n", 300, "-o", "syn.csv").code == 0
    real, made = pd.read_csv("heart.csv"), pd.read_csv("syn.csv")
    for name in real.columns.drop("heart_disease"):
        assert made[name].dtype == real[name].dtype
        assert set(made[name].dropna()) <= set(real[name].dropna()), name
    ended = augment("evaluate", "syn.csv", "--real", "heart.csv", "-l", "heart_disease", *JUDGED)
    assert ended.code == 0 and "61 held-out rows" in ended.out
    scores = json.loads(Path("report.json").read_text(encoding="utf-8"))["scores"]
    assert scores["validity"]["value"] == 0.0 and scores["shape.columns"]["value"] > 0.8


def test_a_combination_never_seen_is_composed(augment: Augment, table: pd.DataFrame) -> None:
    # no woman of the table is ill, and the pressure of women is higher
    woman, ill = table["gender"] == "female", table["disease"] == 1
    table.assign(pressure=table["pressure"] + 40 * woman)[~(woman & ill)].to_csv("p.csv", index=False)
    for model in ("copula", "cvae"):
        fit = augment("fit", "p.csv", "-l", "disease", "-l", "gender", "-m", model, "-o", f"{model}.augment")
        assert fit.code == 0, fit.err
        asked = ("--per-label", "1|female=80", "--per-label", "1|male=80")
        sample = augment("sample", f"{model}.augment", *asked, "-o", f"{model}.csv")
        assert sample.code == 0, sample.err
        made = _read(f"{model}.csv")
        assert set(made["disease"]) == {1} and made["gender"].value_counts().to_dict() == {"female": 80, "male": 80}
        pressure = made.groupby("gender")["pressure"].mean()
        assert 20 < pressure["female"] - pressure["male"] < 60
        assert set(made["thal"].dropna()) <= set(table["thal"].dropna())
        assert made["age"].dtype == table["age"].dtype and set(made["smoker"]) <= {True, False}
