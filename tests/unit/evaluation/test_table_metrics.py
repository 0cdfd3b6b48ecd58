"""Mixed tables: one code for all sets, distances, and the metrics of columns and pairs of columns against brute force."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from augmentor.core.dataset import Dataset
from augmentor.core.registry import METRICS
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.evaluation.context import Frame
from augmentor.evaluation.metrics import association, contingency, missingness, shape, validity
from augmentor.evaluation.pair import Pair, distances
from augmentor.evaluation.rows import align
from augmentor.evaluation.run import evaluate
from augmentor.evaluation.score import Report
from augmentor.evaluation.tables import MOST_LEVELS, common, cramers_v, hot

TABLE_METRICS = ["shape", "contingency", "association", "missingness"]
CITY, SMOKER = ("Basel", "Genf", "Zug"), ("no", "yes")
LABELS = ("sick", "well")


def frame(rows: int, seed: int) -> pd.DataFrame:
    """Columns that depend on each other within the label: age, weight and city; children and smoker; two with gaps."""
    rng = np.random.default_rng(seed)
    well = rng.random(rows) < 0.5
    age = rng.normal(50, 10, rows) + 5 * well
    weight = 0.9 * (age - 50) / 10 + 0.45 * rng.normal(size=rows)
    city = np.digitize(age + rng.normal(0, 4, rows), [45, 57])
    children = rng.poisson(np.where(rng.random(rows) < 0.5, 0.3, 3.0))
    smoker = (children > 1) ^ (rng.random(rows) < 0.1)
    together = rng.random(rows) < 0.25
    income, rent = rng.normal(size=rows), rng.normal(size=rows)
    income[together], rent[together ^ (rng.random(rows) < 0.05)] = np.nan, np.nan
    return pd.DataFrame(
        {
            "age": np.round(age, 1),
            "weight": weight,
            "city": np.array(CITY, dtype=object)[city],
            "children": children,
            "smoker": np.array(SMOKER, dtype=object)[smoker.astype(int)],
            "income": income,
            "rent": rent,
            "state": np.where(well, "well", "sick"),
        }
    )


def dataset(df: pd.DataFrame, levels: dict[str, tuple[str, ...]] | None = None, labels: Any = LABELS) -> Dataset:
    """A mixed data set; columns in ``levels`` (those of text by default) hold categories in that order."""
    features = [name for name in df.columns if name != "state"]
    texts = {name: tuple(sorted(set(df[name].dropna()))) for name in features if df[name].dtype == object}
    texts |= levels or {}
    x = np.empty((len(df), len(features)), dtype=np.float32)
    for j, name in enumerate(features):
        position = {text: i for i, text in enumerate(texts.get(name, ()))}
        x[:, j] = df[name].map(position) if name in texts else df[name]
    columns = (LabelColumn(name="state", categories=tuple(labels)),) if "state" in df else ()
    codes = np.zeros((len(df), 0), np.int32)
    if "state" in df:
        codes = np.array([[labels.index(value)] for value in df["state"]], dtype=np.int32)
    schema = Schema(
        space=Space.MIXED,
        features=tuple(features),
        labels=columns,
        levels=tuple(texts.get(name) for name in features),
    )
    return Dataset.checked(x, schema, codes)


def pair_of(ours: pd.DataFrame, theirs: pd.DataFrame) -> Pair:
    """The first pair of an evaluation that compares these rows, all of them, with a space fitted on both."""
    whole = Frame(align(dataset(ours), dataset(theirs), dataset(theirs)), seed=0, n_max=10_000)
    return whole.pair("matched", "synthetic", 0)


def as_frame(side: Any) -> pd.DataFrame:
    """The compared rows again as a data frame, with the label as a column."""
    table = side.sample.table
    out = {}
    for j, (name, level) in enumerate(zip(table.columns.names, table.columns.levels, strict=True)):
        values = table.values[:, j].astype(float)
        out[name] = values if level is None else [None if np.isnan(v) else level[int(v)] for v in values]
    return pd.DataFrame(out).assign(label=side.y)


@pytest.fixture(scope="module")
def sets() -> dict[str, Dataset]:
    return {name: dataset(frame(500, i)) for i, name in enumerate(("train", "holdout", "fresh"))}


@pytest.fixture(scope="module")
def fresh(sets: dict[str, Dataset]) -> Report:
    """Real rows in the place of the synthetic ones."""
    report = evaluate(sets["fresh"], sets["train"], sets["holdout"], metrics=[*TABLE_METRICS, "validity"])
    assert not report.failed and report.space["policy"] == "disjoint"
    return report


# --- one code for all sets ------------------------------------------------------------------------------------------------


def test_categories_of_all_sets_in_one_code() -> None:
    train = (np.array([[0], [1], [np.nan]], np.float32), [("b", "a")])
    made = (np.array([[0], [1], [0]], np.float32), [("a", "new")])
    tables = common({"train": train, "synthetic": made}, ["kind"])
    assert tables["train"].columns.levels == (("a", "b", "new"),)
    np.testing.assert_array_equal(tables["train"].values[:, 0], [1, 0, np.nan])
    np.testing.assert_array_equal(tables["synthetic"].values[:, 0], [0, 2, 0])
    np.testing.assert_array_equal(tables["synthetic"].columns.gaps, [True])


def test_numbers_where_categories_belong_and_texts_where_numbers_belong() -> None:
    train = (np.array([[0, 1.5], [1, np.nan]], np.float32), [("1", "2"), None])
    made = (np.array([[2, 0], [1, 1]], np.float32), [None, ("2.5", "many")])
    tables = common({"train": train, "synthetic": made}, ["kind", "size"])
    np.testing.assert_array_equal(tables["synthetic"].values, [[1, 2.5], [0, np.inf]])
    assert tables["synthetic"].columns.levels == (("1", "2"), None)


def test_gower_distances() -> None:
    df = pd.DataFrame({"n": [0.0, *range(101), np.nan], "c": ["x"] * 102 + [None], "state": "well"})
    df.loc[1, "c"] = "y"
    data = dataset(df)
    table = align(data, data, None).train.table
    assert table is not None
    rows = common({"train": (data.x, list(data.schema.levels or ()))}, ["n", "c"])["train"]
    d = distances(*[rows.encoded().astype(float)] * 2) ** 2
    assert d[0, 1] == pytest.approx(1)  # another category
    width = np.subtract(*np.nanquantile(df["n"], [0.95, 0.05]))
    assert d[0, 2] == pytest.approx(1 / width**2)  # one step of a number
    middle = np.nanmedian(df["n"])
    assert d[0, 102] == pytest.approx(
        (middle / width) ** 2 + 0.5 + 0.5, rel=1e-5
    )  # a missing number, a missing category
    assert table.columns.encoded == ("c=x", "c=y", "n", "n is missing")


def test_the_broken_arms_keep_whole_columns(sets: dict[str, Dataset]) -> None:
    """A shuffled row has one category per column, and the means arm has means and most frequent categories."""
    made = Frame(align(sets["fresh"], sets["train"], sets["holdout"]), seed=0, n_max=2000)
    shuffled = made.pair("matched", "independent", 0).synthetic.sample
    assert shuffled.table is not None
    cities = [i for i, name in enumerate(made.data.genes) if name.startswith("city=")]
    np.testing.assert_allclose(shuffled.x[:, cities].sum(axis=1), np.sqrt(0.5), rtol=1e-6)
    drawn = made.pair("matched", "ceiling", 0).synthetic.sample
    for j in range(shuffled.table.values.shape[1]):
        same = [np.isfinite(s.table.values[:, j]).mean() for s in (shuffled, drawn)]  # type: ignore[union-attr]
        assert same[0] == pytest.approx(same[1], abs=0.1)
    centre = made.pair("matched", "means", 0).synthetic.sample
    source = as_frame(type("Side", (), {"sample": made.train, "y": made.train.y}))
    assert centre.table is not None
    for code in np.unique(centre.y):
        row = centre.table.values[centre.y == code][0]
        real = source[source["label"] == code]
        names = centre.table.columns.names
        assert row[names.index("age")] == pytest.approx(real["age"].mean(), rel=1e-5)
        assert CITY[int(row[names.index("city")])] == real["city"].mode()[0]


# --- references -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd() -> Pair:
    """Rows of two laws: other margins, a lost and an invented category."""
    ours, theirs = frame(160, 5), frame(170, 6)
    ours["age"] = ours["age"] * 0.8 + 12
    ours.loc[ours["city"] == "Zug", "city"] = "Bern"
    return pair_of(ours, theirs)


def test_shape_against_scipy_and_frequencies(odd: Pair) -> None:
    ours, theirs = as_frame(odd.synthetic), as_frame(odd.real)
    found = shape.similarities(odd)
    for name in ("age", "weight", "children", "income"):
        ks = stats.ks_2samp(ours[name].dropna(), theirs[name].dropna()).statistic
        assert found[name] == pytest.approx(1 - ks, abs=1e-9)
    for name in ("city", "smoker"):
        p, q = (side[name].value_counts(normalize=True) for side in (ours, theirs))
        tv = p.subtract(q, fill_value=0).abs().sum() / 2
        assert found[name] == pytest.approx(1 - tv, abs=1e-9)
    detail = shape.Metric().measure(odd)[shape.SHAPE.name].detail
    assert detail["unseen_categories"] == {"city": ["Bern"]} and detail["missing_categories"] == {"city": ["Zug"]}


def test_contingency_against_a_loop_over_pairs(odd: Pair) -> None:
    cuts = contingency.Cuts.fitted(odd.basis.fit, len(odd.labels))
    found = contingency.similarities(odd, cuts)
    ours, theirs = (pd.DataFrame(cuts.codes(side.sample)) for side in (odd.synthetic, odd.real))
    both = pd.DataFrame(cuts.codes(odd.basis.fit))
    for i, j in combinations(range(len(cuts.sizes)), 2):
        p, q = (side.groupby([i, j]).size() / len(side) for side in (ours, theirs))
        assert found[i, j] == pytest.approx(1 - p.subtract(q, fill_value=0).abs().sum() / 2, abs=1e-9)
        v = bergsma(pd.crosstab(both[i], both[j]).to_numpy())
        assert cuts.dependent[i, j] == (v > contingency.DEPENDENT)
    names = [*odd.real.sample.table.columns.names, "label"]  # type: ignore[union-attr]
    dependent = {frozenset((names[i], names[j])) for i, j in combinations(range(len(names)), 2) if cuts.dependent[i, j]}
    assert {frozenset(p) for p in (("age", "weight"), ("age", "city"), ("children", "smoker"))} <= dependent
    assert frozenset(("age", "smoker")) not in dependent


def bergsma(counts: np.ndarray) -> float:
    """Cramér's V corrected for bias, one pair at a time."""
    n = counts.sum()
    rows, columns = counts.shape
    phi2 = stats.chi2_contingency(counts, correction=False).statistic / n
    phi2 = max(0.0, phi2 - (rows - 1) * (columns - 1) / (n - 1))
    rows, columns = rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)
    return float(np.sqrt(phi2 / min(rows - 1, columns - 1)))


def test_cramers_v_with_missing_values_and_empty_categories() -> None:
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(0, 3, 200), rng.integers(0, 2, 200), np.zeros(200)]).astype(np.intp)
    codes[:, 1] = np.where(rng.random(200) < 0.6, codes[:, 0] > 0, codes[:, 1])
    codes[rng.random(200) < 0.2, 0] = -1
    sizes = np.array([5, 2, 1])
    z = hot(codes, sizes).astype(float)
    v = cramers_v(z.T @ z, sizes)
    there = codes[:, 0] >= 0
    assert v[0, 1] == v[1, 0] == pytest.approx(bergsma(pd.crosstab(codes[there, 0], codes[there, 1]).to_numpy()))
    assert np.isnan(v[0, 2]) and np.isnan(v[2, 1])


def test_association_against_one_pair_at_a_time(odd: Pair) -> None:
    df = as_frame(odd.real)
    found = association.associations(odd.real.sample, association.Plan.fitted(odd.basis.fit))
    names = list(df.columns)
    text = {"city", "smoker", "label"}
    for i, j in combinations(range(len(names)), 2):
        both = df[[names[i], names[j]]].dropna()
        a, b = both[names[i]], both[names[j]]
        if {names[i], names[j]} <= text:
            expected = bergsma(pd.crosstab(a, b).to_numpy())
        elif names[i] in text or names[j] in text:
            kind, number = (a, b) if names[i] in text else (b, a)
            within = sum(((part - part.mean()) ** 2).sum() for _, part in number.groupby(kind))
            expected = np.sqrt(1 - within / ((number - number.mean()) ** 2).sum())
        else:
            expected = abs(np.corrcoef(a, b)[0, 1])
        assert found[i, j] == pytest.approx(expected, abs=1e-6), (names[i], names[j])
    np.testing.assert_array_equal(found, found.T)


def test_association_of_columns_that_do_not_vary() -> None:
    """A constant in S has no association; a constant in H is no pair."""
    theirs = frame(150, 1)
    ours = frame(150, 2).assign(age=40.0, smoker="no")
    value = association.Metric().measure(pair_of(ours, theirs))["association"]
    broken = association.Metric().measure(pair_of(frame(150, 2), theirs))["association"]
    assert value.value is not None and broken.value is not None and value.value > 2 * broken.value
    swapped = association.Metric().measure(pair_of(theirs, ours))["association"]
    # age and smoker are no pairs, so five columns and the label are left
    assert swapped.detail["pairs"] == 15 and value.detail["pairs"] == 28


def test_missingness_against_pandas(odd: Pair) -> None:
    ours, theirs = as_frame(odd.synthetic), as_frame(odd.real)
    found = missingness.Metric().measure(odd)
    gap = (ours.isna().mean() - theirs.isna().mean()).abs()[["income", "rent"]]
    assert found["missingness.rate"].detail["pooled"] == pytest.approx(gap.mean())
    assert found["missingness.rate"].detail["columns"] == pytest.approx(gap.to_dict())
    r = [np.corrcoef(side["income"].isna(), side["rent"].isna())[0, 1] for side in (ours, theirs)]
    assert found["missingness.pattern"].value == pytest.approx(abs(r[0] - r[1]))
    assert found["missingness.pattern"].detail == {"pairs": 1}


# --- controls ---------------------------------------------------------------------------------------------------------------


def test_real_rows_are_at_the_ceiling_and_floors_below(fresh: Report) -> None:
    """500 rows a set, one seed: 4 sd of the ceiling's draws leave room for H being another sample than T."""
    for name in ("shape.columns", "contingency.tables", "contingency.dependent", "association"):
        score = fresh.scores[name]
        assert score.value is not None and score.ceiling is not None
        assert score.value == pytest.approx(score.ceiling.mean, abs=max(4 * score.ceiling.sd, 0.02)), name
        assert set(score.per_label) == set(LABELS)
        if score.spec.floor == "independent":
            assert score.normalised == pytest.approx(1, abs=0.25), name
    assert fresh["validity"].value == 0.0
    shuffled = fresh.scores["shape.columns"].floors["independent"]
    # independent columns saturate the score: that is why it is no headline
    assert shuffled == pytest.approx(fresh.scores["shape.columns"].ceiling.mean, abs=0.02)  # type: ignore[union-attr]
    assert fresh["association"].spec.headline and not fresh.scores["shape.columns"].spec.headline


def test_independent_columns_are_seen_by_pairs_only(sets: dict[str, Dataset]) -> None:
    df = frame(500, 9)
    rng = np.random.default_rng(0)
    for name in df.columns.drop("state"):
        for _, rows in df.groupby("state").groups.items():
            df.loc[rows, name] = rng.permutation(df.loc[rows, name].to_numpy())
    report = evaluate(dataset(df), sets["train"], sets["holdout"], metrics=TABLE_METRICS)
    assert report["columns"].normalised == pytest.approx(1, abs=0.1)
    assert abs(report["association"].normalised) < 0.25 and abs(report["dependent"].normalised) < 0.25
    assert report["missingness.rate"].value < 0.06
    assert report["pattern"].value > 0.5


def test_filled_gaps_and_scattered_gaps(sets: dict[str, Dataset], fresh: Report) -> None:
    filled = frame(500, 10).fillna({"income": 0.0, "rent": 0.0})
    report = evaluate(dataset(filled), sets["train"], sets["holdout"], metrics=["missingness"])
    assert report["rate"].value == pytest.approx(0.26, abs=0.06)
    assert report["pattern"].value > 0.6 > 0.2 > fresh["pattern"].value


def test_defect_18_one_outlier_does_not_move_the_tables() -> None:
    ours, theirs = frame(200, 3), frame(200, 4)
    before = contingency.Metric().measure(pair_of(ours, theirs))["contingency.tables"].value
    ours.loc[0, "weight"] = 1e6
    after = contingency.Metric().measure(pair_of(ours, theirs))["contingency.tables"].value
    assert before is not None and after == pytest.approx(before, abs=0.02)


def test_a_spike_and_few_values_are_cut_apart() -> None:
    spike = np.concatenate([np.zeros(95), np.arange(1, 41) / 7], dtype=np.float32)
    for values in (spike, -spike, np.array([0, 1] * 3 + [1] * 90, np.float32)):
        cuts = contingency._cuts(values)
        at = 1 if len(np.unique(values)) == 2 else 0
        codes = np.searchsorted(cuts, values)
        assert len(set(codes[values == at])) == 1 and set(codes[values == at]).isdisjoint(codes[values != at])


def test_rare_categories_share_a_place() -> None:
    many = pd.DataFrame({"id": [f"i{i % 90:02d}" for i in range(300)], "n": np.arange(300.0), "state": "well"})
    pair = pair_of(many, many)
    cuts = contingency.Cuts.fitted(pair.basis.fit, 1)
    assert cuts.sizes.tolist() == [MOST_LEVELS, 10, 1]
    assert contingency.Metric().measure(pair)["contingency.tables"].value == pytest.approx(1.0)


@pytest.mark.parametrize(
    "column, value, rule, bad",
    [
        ("children", 2.7, "whole", 1),
        ("children", -1, "range", 1),
        ("age", 200.0, "range", 1),
        ("city", "Atlantis", "category", 1),
        ("smoker", None, "category", 0),
        ("age", np.nan, "range", 0),
    ],
)
def test_validity_of_tables(column: str, value: Any, rule: str, bad: int) -> None:
    real, made = frame(200, 1), frame(100, 2)
    made["children"] = made["children"].clip(upper=5).astype(float)
    made["age"] = made["age"].clip(real["age"].min(), real["age"].max())
    made["weight"] = made["weight"].clip(-1, 1)
    made.loc[3, column] = value
    report = evaluate(dataset(made), dataset(real), dataset(frame(200, 3)), metrics="validity")
    assert report["validity"].value == bad / 100
    assert report["validity"].detail["rules"] == {"type": 0, "category": 0, "whole": 0, "range": 0} | {rule: bad}
    assert report["validity"].detail["columns"] == ({column: 1} if bad else {})


def test_validity_of_types() -> None:
    made = frame(100, 2).assign(age="old")
    report = evaluate(dataset(made), dataset(frame(200, 1)), dataset(frame(200, 3)), metrics=["validity", "shape"])
    assert report["validity"].value == 1.0 and report["validity"].detail["rules"]["type"] == 100
    assert report.scores["shape.columns"].detail["columns"]["age"] == 0.0


def test_rules_that_real_rows_break_are_no_rules() -> None:
    real = frame(200, 1).assign(age="old")
    sets = (frame(100, 2), frame(100, 4), real)
    report = evaluate(*(dataset(some) for some in sets), metrics=["validity"])
    assert report["validity"].detail["columns"].keys() <= {"weight", "children", "income", "rent"}
    assert isinstance(validity.Metric().scores, tuple)


# --- axioms -----------------------------------------------------------------------------------------------------------------


def test_order_of_rows_columns_and_categories_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    frames = [frame(n, i) for i, n in enumerate((150, 160, 140))]

    def scores(*sets: Dataset) -> dict[str, Any]:
        report = evaluate(*sets, metrics=[*TABLE_METRICS, "validity", "mmd", "transfer", "nearest_train"], n_max=100)
        assert not report.failed
        out = json.loads(report.model_dump_json())["scores"]
        for score in out.values():
            score.pop("seconds")
        return out

    plain = scores(*map(dataset, frames))
    assert scores(*map(dataset, frames)) == plain
    otherwise = [df.sample(frac=1, random_state=1)[list(rng.permutation(df.columns))] for df in frames]
    recoded = {"city": CITY[::-1], "smoker": SMOKER[::-1]}
    assert scores(*(dataset(df, recoded, LABELS[::-1]) for df in otherwise)) == plain


# --- spaces -----------------------------------------------------------------------------------------------------------------


def counts(seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    schema = Schema(
        space=Space.COUNTS, features=("a", "b", "c"), labels=(LabelColumn(name="state", categories=LABELS),)
    )
    return Dataset.checked(1 + rng.poisson(3.0, (60, 3)), schema, (np.arange(60) % 2)[:, None])


def test_metrics_without_meaning_in_a_space_are_left_out_or_refused_by_name() -> None:
    report = evaluate(*map(counts, range(3)), metrics=["shape", "moments"])
    assert report.scores["shape.columns"].value is None
    assert report.scores["shape.columns"].skipped == "means something for mixed only, not for counts"
    assert report["moments.mean"].value is not None
    quick = evaluate(*map(counts, range(3)), metrics="quick", skip=["discriminator", "transfer"])
    names = {name.partition(".")[0] for name in quick.scores}
    assert "moments" in names and not names & set(TABLE_METRICS)
    for name in TABLE_METRICS:
        assert METRICS.get(name).setup.spaces == (Space.MIXED,)


# --- few and odd rows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [5, 9, 30])
def test_few_rows_give_a_value_or_a_reason(rows: int) -> None:
    report = evaluate(*(dataset(frame(rows, i)) for i in range(3)), metrics=[*TABLE_METRICS, "validity"])
    assert not report.failed, report.failed
    assert all(score.value is not None or score.skipped for score in report.scores.values())


@pytest.mark.parametrize(
    "columns", [["age"], ["city"], ["age", "state"], ["city", "state"], ["empty", "city"], ["empty", "age", "state"]]
)
def test_odd_tables_give_a_value_or_a_reason(columns: list[str]) -> None:
    sets = [dataset(frame(60, i).assign(empty=np.nan)[columns]) for i in range(3)]
    report = evaluate(*sets, metrics=[*TABLE_METRICS, "validity", "mmd"])
    assert not report.failed, report.failed
    assert all(score.value is not None or score.skipped for score in report.scores.values())
    if columns in (["age"], ["city"]):
        assert report["contingency.tables"].skipped == "there is only one column"
