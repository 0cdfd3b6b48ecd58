"""Rows of elsewhere: matched by gene, brought here, learned from beside one's own, and never taken for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scipy import sparse

from augmentor import Augmentor, io
from augmentor.artifact import read_manifest
from augmentor.core.dataset import Dataset, as_dense, row_sums
from augmentor.core.errors import LabelError, SchemaMismatch
from augmentor.core.fingerprints import fingerprints
from augmentor.core.progress import Progress
from augmentor.core.random import Stream
from augmentor.core.space import Space
from augmentor.parts.adaptation import Adaptation
from augmentor.preparing import Options, prepare
from augmentor.reference import Brought, bring

GENES, KINDS = 200, ("A", "B", "C")
_RNG = np.random.default_rng(7)
PROFILES = _RNG.gamma(0.8, 1.0, (3, GENES)) + 0.02
PROFILES /= PROFILES.sum(axis=1, keepdims=True)
# what differs between here and there: factors of 1/4 to 4, and depth
BATCH = np.exp(_RNG.normal(0, 0.7, GENES))
HERE, THERE = 4000, 2000


def counts(rows: dict[str, int], *, here: bool, seed: int, names: list[str] | None = None) -> Dataset:
    """Negative binomial counts of kinds; those of here have each gene times its factor, and twice the depth."""
    rng = np.random.default_rng(seed)
    label = np.repeat(list(rows), list(rows.values()))
    mean = PROFILES[[KINDS.index(name) for name in label]] if set(rows) <= set(KINDS) else PROFILES[[0] * len(label)]
    mean = mean * (BATCH if here else 1.0)
    mean = mean / mean.sum(axis=1, keepdims=True) * (HERE if here else THERE)
    x = rng.poisson(mean * rng.gamma(5, 1 / 5, mean.shape)).astype(np.float32)
    genes = names or [f"g{j}" for j in range(GENES)]
    frame = pd.DataFrame(x, columns=genes)
    frame["kind"] = label
    found = io.convert(frame, label="kind", space="counts")
    return replace(found, x=sparse.csr_matrix(found.x), schema=found.schema.model_copy(update={"sparse": True}))


OWN = counts(dict.fromkeys(KINDS, 15), here=True, seed=1)
ATLAS = counts(dict.fromkeys(KINDS, 150), here=False, seed=2)
TRUTH = counts(dict.fromkeys(KINDS, 150), here=True, seed=3)


def brought(atlas: Dataset, own: Dataset = OWN, seed: int = 0) -> Brought:
    prepared = prepare(own, Options(holdout=0.0))
    return bring(atlas, prepared.train, prepared.condition, prepared.combinations, prepared.labels, Stream(seed))


def profiles(data: Dataset) -> NDArray[np.float64]:
    x = as_dense(data.x).astype(float) / row_sums(data.x)[:, None]
    return np.stack([x[data.codes[:, 0] == c].mean(axis=0) for c in np.unique(data.codes)])


def error(data: Dataset) -> float:
    """Mean absolute log ratio of label profiles to those of many rows of here."""
    ours, theirs = profiles(data), profiles(TRUTH)
    seen = theirs > 1e-4
    return float(np.abs(np.log((ours[seen] + 1e-5) / (theirs[seen] + 1e-5))).mean())


def test_a_batch_effect_is_removed() -> None:
    """45 rows of here say enough of 200 genes that most of a difference of factor 2 (e^0.7) goes; depth becomes that of here."""
    found = brought(ATLAS)
    assert error(ATLAS) > 0.5 and error(found.rows) < 0.15
    # and it is nearer than the few own rows themselves are
    assert error(found.rows) < error(OWN)
    assert abs(np.log(row_sums(found.rows.x)).mean() - np.log(row_sums(TRUTH.x)).mean()) < 0.05
    assert 1.5 < found.record["size"] * 1.0 < 3.0 and found.record["change"] > 1.3
    x = found.rows.x.data
    assert (x == np.rint(x)).all() and (x > 0).all()
    # cells scatter about their profile as cells of here do
    spread = [np.log1p(as_dense(d.x)).var(axis=0).mean() for d in (found.rows, TRUTH)]
    assert 0.8 < spread[0] / spread[1] < 1.25


def test_no_difference_no_change() -> None:
    """The same protocol on both sides: what is left is noise, and shrinkage keeps it small."""
    same = counts(dict.fromkeys(KINDS, 150), here=True, seed=4)
    found = brought(same)
    assert found.record["change"] < 1.1 and 0.9 < found.record["size"] < 1.1
    assert error(found.rows) < error(OWN)


def test_genes_in_another_order_are_matched_and_others_left() -> None:
    order = np.random.default_rng(0).permutation(GENES)
    more = [*(f"g{j}" for j in range(GENES)), "other"]
    x = sparse.hstack([ATLAS.x, np.ones((len(ATLAS), 1), np.float32)], format="csr")[:, [*order, GENES]]
    schema = ATLAS.schema.model_copy(update={"features": tuple(more[j] for j in [*order, GENES])})
    wide = replace(ATLAS, x=x, schema=schema)
    found, plain = brought(wide), brought(ATLAS)
    assert_array_equal(as_dense(found.rows.x), as_dense(plain.rows.x))
    assert found.record["other_features"] == 1 and "1 other features" in found.sentence


def test_missing_genes_and_other_numbers_are_named() -> None:
    with pytest.raises(SchemaMismatch, match=r"the reference lacks 20 of the 200 features .*g180"):
        brought(ATLAS.select(list(range(180))))
    log = replace(ATLAS, schema=ATLAS.schema.model_copy(update={"space": Space.LOG}))
    with pytest.raises(SchemaMismatch, match="the reference holds log"):
        brought(log)


def test_labels_that_only_the_reference_has_are_left_out() -> None:
    few = OWN.take(np.flatnonzero(OWN.labels() != "C"))
    found = brought(ATLAS, few)
    assert found.record["left_out"] == ["C"] and found.record["used"] == 300
    assert found.record["labels"] == {"A": 150, "B": 150} and "labels that the data lack: C" in found.sentence
    with pytest.raises(LabelError, match="no row of the reference has a label of the data"):
        brought(ATLAS.take(np.flatnonzero(ATLAS.labels() == "C")), few)


def test_rows_without_a_label_get_the_right_one() -> None:
    gone = replace(ATLAS, codes=np.full_like(ATLAS.codes, -1), names=np.array([f"r{i}" for i in range(len(ATLAS))]))
    found = brought(gone)
    truth = dict(zip(gone.names, ATLAS.codes[:, 0], strict=True))
    right = np.mean([truth[name] == c for name, c in zip(found.rows.names, found.condition, strict=True)])
    assert found.record["labelled"] == 0 and found.record["used"] > 400 and right > 0.97
    assert error(found.rows) < 0.2


def test_learned_from_but_never_own(tmp_path: Path) -> None:
    notes: list[Progress] = []
    fitted = Augmentor("copula", seed=0).fit(OWN, reference=io.to_anndata(ATLAS), listener=notes.append)
    assert fitted.fitted.counts == (12, 12, 12)
    held = fitted.fitted.tensors["holdout"].astype(bool)
    assert held.size == len(OWN) and held.sum() == 9
    assert any("450 of 450 reference rows are learned from" in note.note for note in notes)
    # the copying check knows the reference as it was, and as it was adapted
    assert np.isin(fingerprints(ATLAS), fitted.fitted.tensors["fingerprints"]).all()
    drawn = io.convert(fitted.sample(dict.fromkeys(KINDS, 100)), label="kind", space="counts")
    alone = Augmentor("copula", seed=0).fit(OWN).sample(dict.fromkeys(KINDS, 100))
    assert error(drawn) < error(io.convert(alone, label="kind", space="counts"))
    # labels of the reference are its own, though only the data were told of the column
    assert fitted.fitted.record["split"].reference["labelled"] == 450
    fitted.save(tmp_path / "m.augment")
    record = read_manifest(tmp_path / "m.augment").split
    assert record.reference is not None and record.reference["used"] == 450 and record.train_rows == 36 + 450
    again = Augmentor("copula", seed=0).fit(OWN, reference=ATLAS)
    assert_array_equal(again.sample(20).X.toarray(), fitted.sample(20).X.toarray())


def test_a_reference_without_the_label_column() -> None:
    bare = io.to_anndata(ATLAS)
    del bare.obs["kind"]
    notes: list[Progress] = []
    fitted = Augmentor("gaussian").fit(OWN, label="kind", reference=bare, listener=notes.append)
    assert any("labels of the reference are inferred" in note.note for note in notes)
    assert fitted.fitted.record["split"].reference["labelled"] == 0


def test_shift_and_spread_of_continuous_rows() -> None:
    """Two units of shift and half the spread, in every second feature."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 200)
    centre = np.zeros((2, 20))
    centre[1, :5] = 4

    def rows(n: int, here: bool) -> Dataset:
        c = np.repeat([0, 1], n)
        x = centre[c] + rng.normal(size=(2 * n, 20)) * np.where(here & (np.arange(20) % 2 == 0), 0.5, 1)
        x[:, ::2] += 2.0 * here
        return io.convert((x.astype(np.float32), np.array(["a", "b"])[c]), label="label", space="continuous")

    found = brought(rows(200, False), rows(30, True))
    x = as_dense(found.rows.x)
    assert np.abs(x[label == 0].mean(axis=0) - np.where(np.arange(20) % 2 == 0, 2, 0)).max() < 0.5
    sd = np.sqrt(0.5 * sum(x[label == c].var(axis=0) for c in (0, 1)))
    assert np.abs(sd[::2] - 0.5).max() < 0.2 and np.abs(sd[1::2] - 1).max() < 0.25


def test_log_values_keep_their_zeros() -> None:
    def logged(data: Dataset) -> Dataset:
        x = sparse.csr_matrix(data.x)
        x = x.multiply(1000 / row_sums(x)[:, None]).tocsr().astype(np.float32)
        x.data = np.log1p(x.data)
        return replace(data, x=x, schema=data.schema.model_copy(update={"space": Space.LOG, "integer": False}))

    own, atlas, truth = logged(OWN), logged(ATLAS), logged(TRUTH)
    found = brought(atlas, own)
    assert_array_equal(found.rows.x.indices, atlas.x.indices)
    gap = [np.abs(as_dense(d.x).mean(axis=0) - as_dense(truth.x).mean(axis=0)).mean() for d in (found.rows, atlas)]
    assert gap[0] < 0.4 * gap[1]


def test_mixed_tables_are_refused() -> None:
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": ["x", "y", "x", "y"], "kind": ["u", "u", "v", "v"]})
    table = io.convert(frame, label="kind")
    with pytest.raises(LabelError, match="not for mixed tables"):
        brought(table, table)


def test_what_is_special_to_a_label_is_learned_where_it_is_proved() -> None:
    """One gene of ten times the expression here, in one label only; 60 rows of each."""
    own = counts(dict.fromkeys(KINDS, 60), here=True, seed=5)
    gene = int(np.argsort(-PROFILES.min(axis=0) * BATCH)[3])
    x = as_dense(own.x).copy()
    x[own.codes[:, 0] == 1, gene] *= 10
    prepared = prepare(replace(own, x=sparse.csr_matrix(x)), Options(holdout=0.0))
    found = Adaptation.of(prepared.train, prepared.condition, ATLAS, ATLAS.codes[:, 0].astype(np.intp))
    factor = np.exp(found.special[:, gene])
    assert factor[1] > 2.5 * factor[0] and factor[1] > 2.5 * factor[2]
