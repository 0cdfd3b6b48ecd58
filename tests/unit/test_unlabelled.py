"""Rows without a label join the training rows with an inferred one, and nothing else changes for the labelled rows."""

from __future__ import annotations

from dataclasses import replace

import augmentor_data
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer

from augmentor import Augmentor, io
from augmentor.core.dataset import Dataset
from augmentor.core.errors import LabelError, SchemaMismatch
from augmentor.core.fingerprints import fingerprints
from augmentor.core.progress import Progress
from augmentor.fitting import fit
from augmentor.preparing import Options, prepare
from augmentor.preprocess import genes
from augmentor.sampling import LabelPlan, draw

KINDS = {"B": 60, "NK": 50, "CD14+ Mono": 60}
KNOWN = 6


@pytest.fixture(scope="module")
def cells() -> Dataset:
    whole = io.read(augmentor_data.path("pbmc3k"), label="celltype")
    labels = whole.labels()
    rows = np.concatenate([np.flatnonzero(labels == name)[:n] for name, n in KINDS.items()])
    chosen = whole.take(np.sort(rows))
    return chosen.select(genes.select(chosen, 80))


@pytest.fixture(scope="module")
def gaps(cells: Dataset) -> Dataset:
    """The same with labels of six cells of each kind only."""
    return replace(cells, codes=np.where(_known(cells)[:, None], cells.codes, -1).astype(np.int32))


def _known(cells: Dataset) -> np.ndarray:
    labels = cells.labels()
    return np.isin(np.arange(len(cells)), np.concatenate([np.flatnonzero(labels == name)[:KNOWN] for name in KINDS]))


def test_rows_without_a_label_are_learned_from_with_the_right_one(cells: Dataset, gaps: Dataset) -> None:
    notes: list[Progress] = []
    prepared = prepare(gaps, Options(holdout=0.0, listener=notes.append))
    assert (~prepared.inferred).sum() == KNOWN * len(KINDS)
    assert prepared.inferred.sum() > 100
    truth = dict(zip(cells.names, cells.labels(), strict=True))
    given = [
        prepared.labels[c] == truth[name] for c, name in zip(prepared.condition, prepared.train.names, strict=True)
    ]
    assert np.mean(np.array(given)[prepared.inferred]) > 0.95
    found = prepared.record["split"]["inferred"]
    assert found["offered"] == len(cells) - KNOWN * len(KINDS) and found["used"] == prepared.inferred.sum()
    assert {name: own["labelled"] for name, own in found["labels"].items()} == dict.fromkeys(KINDS, KNOWN)
    assert any("rows without a label are learned from" in item.note for item in notes)


def test_held_out_rows_are_labelled_ones_and_never_learned_from(cells: Dataset, gaps: Dataset) -> None:
    prepared = prepare(gaps, Options(holdout=0.34))
    held = prepared.split["holdout"].astype(bool)
    assert held.sum() == 2 * len(KINDS) and not (held & ~_known(cells)).any()
    assert not np.isin(fingerprints(cells.take(held)), prepared.split["fingerprints"]).any()
    # rows without a label are neither training rows nor held out when the file is divided again
    assert (~held & ~prepared.split["dropped"].astype(bool)).sum() == 4 * len(KINDS)


def test_as_many_rows_as_were_labelled_are_drawn_by_default(gaps: Dataset) -> None:
    options = Options(model="gaussian", holdout=0.0)
    fitted = fit(prepare(gaps, options), options)
    assert fitted.counts == (KNOWN,) * len(KINDS)
    assert fitted.record["split"].train_rows > 100
    assert fitted.record["split"].inferred["used"] == fitted.record["split"].train_rows - sum(fitted.counts)


def test_rows_of_another_file(cells: Dataset, gaps: Dataset) -> None:
    known = _known(cells)
    few, more = cells.take(known), cells.take(~known)
    wide = io.read(augmentor_data.path("pbmc3k")).take(np.arange(50))  # all genes, in another order than ours
    one = prepare(few, Options(holdout=0.0), unlabelled=more)
    other = prepare(gaps, Options(holdout=0.0))
    assert one.inferred.sum() == other.inferred.sum()
    assert_array_equal(np.sort(fingerprints(one.train)), np.sort(fingerprints(other.train)))
    assert prepare(few, Options(holdout=0.0), unlabelled=wide).record["split"]["inferred"]["offered"] == 50


def tumours() -> pd.DataFrame:
    """200 breast tumours of scikit-learn: numbers, some missing, and categories."""
    whole = load_breast_cancer(as_frame=True)
    real = whole.frame.iloc[:200]
    return pd.DataFrame(
        {
            "radius": real["mean radius"],
            "texture": real["mean texture"].mask(np.arange(200) % 9 == 0),
            "concavity": real["mean concavity"],
            "area": real["worst area"].round(),
            "shape": pd.qcut(real["mean compactness"], 3, labels=["round", "oval", "star"]).astype(object),
            "stage": pd.cut(real["worst radius"], [0, 13, 17, 22, 99], labels=["I", "II", "III", "IV"]).astype(object),
            "diagnosis": whole.target_names[real["target"]],
        }
    )


def test_labels_of_a_mixed_table() -> None:
    table = tumours()
    known = table.groupby("diagnosis").cumcount() < KNOWN
    gaps = table.assign(diagnosis=table.diagnosis.where(known))
    one = prepare(io.from_frame(gaps, label="diagnosis"), Options(holdout=0.0))
    truth = table.diagnosis.to_numpy()[one.train.names.astype(int)]
    given = np.array(one.labels)[one.condition]
    assert one.inferred.sum() > 150 and np.mean((given == truth)[one.inferred]) > 0.8
    assert_array_equal(given[~one.inferred], truth[~one.inferred])


def test_rows_of_another_table_bring_categories_and_find_theirs() -> None:
    table = tumours()
    known = table.index.isin(table[table["shape"] != "star"].groupby("diagnosis").head(KNOWN).index)
    few, more = table[known], table[~known].drop(columns="diagnosis")
    # categories of the other table stand in another order, and one is not in the labelled rows at all
    more["shape"] = pd.Categorical(more["shape"], categories=["star", "round", "oval"])
    options = Options(model="copula", holdout=0.0)
    prepared = prepare(io.from_frame(few, label="diagnosis"), options, unlabelled=io.from_frame(more, space="mixed"))
    column = prepared.train.schema.features.index("shape")
    levels = prepared.train.schema.levels[column]
    assert set(levels) == {"oval", "round", "star"} and levels[-1] == "star"
    for name, code in zip(prepared.train.names, prepared.train.x[:, column], strict=True):
        told = table["shape"][int(name)]
        assert np.isnan(code) if told is None else levels[int(code)] == told
    made = draw(fit(prepared, options), LabelPlan((100, 100)), seed=0)
    assert (made.x[:, column] == 2).any()
    with pytest.raises(SchemaMismatch, match="column 'stage' of the unlabelled data has 1 categories that are unknown"):
        prepare(
            io.from_frame(few, label="diagnosis", ordered={"stage": ["I", "II", "III", "IV"]}),
            options,
            unlabelled=io.from_frame(more.assign(stage="V"), space="mixed"),
        )


def test_rows_of_another_table_are_read_alike() -> None:
    table = tumours().assign(grade=np.arange(200) % 3)
    known = table.groupby("diagnosis").cumcount() < KNOWN
    more = table[~known].drop(columns="diagnosis")
    fitted = Augmentor("copula").fit(table[known], label="diagnosis", unlabelled=more, categorical="grade", holdout=0.0)
    assert fitted.fitted.schema.levels is not None and ("0", "1", "2") in fitted.fitted.schema.levels
    assert fitted.fitted.record["split"].train_rows > 100


def test_other_features_or_units_are_refused(cells: Dataset) -> None:
    with pytest.raises(SchemaMismatch, match="lacks 30 of the 80 features of the labelled rows"):
        prepare(cells, Options(), unlabelled=cells.select(list(range(50))))
    log = replace(cells, schema=cells.schema.model_copy(update={"space": "log"}))
    with pytest.raises(SchemaMismatch, match="the unlabelled data holds log data, but the labelled rows counts"):
        prepare(cells, Options(), unlabelled=log)


def test_one_label_infers_nothing(cells: Dataset) -> None:
    only = np.where(cells.labels()[:, None] == "B", cells.codes, -1).astype(np.int32)
    with pytest.raises(LabelError, match=r"110 rows have no label and there is only one label \('B'\)"):
        prepare(replace(cells, codes=only), Options(holdout=0.0))


def test_no_row_of_a_group_that_is_held_out(cells: Dataset, gaps: Dataset) -> None:
    donors = np.array([f"donor{i % 4}" for i in range(len(cells))], dtype=object)
    prepared = prepare(replace(gaps, groups=donors), Options(holdout=0.25))
    held = set(donors[prepared.split["holdout"].astype(bool)])
    assert held and prepared.train.groups is not None
    assert not held & set(prepared.train.groups[prepared.inferred])
