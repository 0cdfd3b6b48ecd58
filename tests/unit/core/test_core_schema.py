"""A schema is compared by content and described in words."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from augmentor.core.errors import ArtifactError, LabelError, SchemaMismatch, did_you_mean, listed
from augmentor.core.schema import Column, LabelColumn, Schema
from augmentor.core.space import Space
from augmentor.core.state import check_state


def schema(*features: str, **more: object) -> Schema:
    return Schema(space=Space.COUNTS, features=features, **more)  # type: ignore[arg-type]


TYPE = LabelColumn(name="celltype", categories=("CD4 T", "CD8 T", "NK"))


def test_json_round_trip() -> None:
    whole = schema("A", "B", labels=(TYPE,), var={"chr": Column(kind="string", values=("1", None))})
    assert Schema.model_validate_json(whole.model_dump_json()) == whole


def test_missing_and_extra_features_are_named_and_counted() -> None:
    ours, theirs = schema("A", "B", "C", "D", "E"), schema("E", "X")
    with pytest.raises(SchemaMismatch) as refusal:
        ours.require_features(theirs, ours="the model", theirs="the data")
    text = str(refusal.value)
    assert "the data lacks 4 of 5 features (A, B, C and 1 more)" in text
    assert "the data has 1 features that the model lacks (X)" in text
    ours.require_features(schema("E", "D", "C", "B", "A"), ours="a", theirs="b")


def test_unknown_label_and_category_are_refused_with_the_closest() -> None:
    with pytest.raises(LabelError, match=r"'cell_type' is not a label of this data. Did you mean 'celltype'\?"):
        schema("A", labels=(TYPE,)).label("cell_type")
    with pytest.raises(LabelError, match=r"'NK cell' is not a value of label 'celltype'.*Known: CD4 T, CD8 T, NK"):
        TYPE.code("NK cell")
    assert TYPE.code("NK") == 2


def test_selection_carries_annotation_and_levels() -> None:
    whole = schema("A", "B", "C", var={"n": Column(kind="int", values=(1, 2, 3))}, levels=(None, ("x", "y"), None))
    part = whole.select([2, 1])
    assert part.features == ("C", "B")
    assert part.var["n"].values == (3, 2)
    assert part.levels == (None, ("x", "y"))


def test_inconsistent_schemas_cannot_be_built() -> None:
    with pytest.raises(ValidationError, match="1 levels for 2 features"):
        schema("A", "B", levels=(None,))
    with pytest.raises(ValidationError, match="3 values for 1 features"):
        schema("A", var={"n": Column(kind="int", values=(1, 2, 3))})
    with pytest.raises(ValidationError):
        schema("A", surprise=1)


def test_digest_is_of_genes_space_and_categories() -> None:
    digests = {
        schema("A", "B").digest,
        schema("B", "A").digest,
        schema("AB").digest,
        schema("A", "B", labels=(TYPE,)).digest,
        Schema(space=Space.LOG, features=("A", "B")).digest,
    }
    assert len(digests) == 5


def test_words() -> None:
    assert listed("abc") == "a, b, c"
    assert listed(range(10), most=3) == "0, 1, 2 and 7 more"
    assert did_you_mean("celltyp", ["batch", "Celltype"]) == " Did you mean 'Celltype'?"
    assert did_you_mean("zzz", ["batch"]) == ""


def test_a_state_is_checked_at_once_and_every_fault_is_named() -> None:
    expected = {"a": ((2, None), np.float32), "b": ((3,), np.int64), "c": ((), np.float32)}
    good = {"a": np.zeros((2, 9), np.float32), "b": np.zeros(3, np.int64), "c": np.float32(1) * np.ones(())}
    check_state(expected, {**good, "c": np.ones((), np.float32)}, "the weights")
    with pytest.raises(ArtifactError) as refusal:
        check_state(expected, {"a": np.zeros((3, 9), np.float32), "b": np.zeros(3), "z": np.zeros(1)}, "the weights")
    text = str(refusal.value)
    assert "the weights must be 3 tensors" in text
    assert "1 missing ('c' (one number, float32))" in text
    assert "1 unexpected ('z' (1, float64))" in text
    assert "'a' is (3 x 9, float32) instead of (2 x any, float32)" in text
    assert "'b' is (3, float64) instead of (3, int64)" in text
