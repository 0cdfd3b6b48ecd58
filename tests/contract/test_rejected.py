"""Rejection carried by real models: exact labels, the same rows in any chunking, the same file, the same rows from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from model_checks import check_rows, same_rows
from numpy.testing import assert_array_equal
from small_data import FASTEST, fit_to, small

from augmentor import Augmentor, io
from augmentor.artifact import read_manifest
from augmentor.core.dataset import as_dense
from augmentor.core.errors import ConfigError, LabelError
from augmentor.core.progress import Progress
from augmentor.fitted import Fitted
from augmentor.preparing import Options, prepare
from augmentor.sampling import concatenate, draw, plan, stream

CASES = [("bootstrap", "counts"), ("gaussian", "continuous"), ("cgan", "counts"), ("copula", "mixed"), ("smote", "log")]


@pytest.mark.parametrize(("model", "data"), CASES, ids=["-".join(case) for case in CASES])
def test_rows(model: str, data: str, tmp_path: Path) -> None:
    whole = small(data)
    fitted = fit_to(whole, model, FASTEST, reject=0.1)
    assert fitted.rejection is not None
    wanted = plan(fitted, dict.fromkeys(fitted.conditions, 17))
    rows = draw(fitted, wanted, 3)
    check_rows(rows, whole)
    _, counts = np.unique(rows.codes, axis=0, return_counts=True)
    assert_array_equal(counts, [17] * len(fitted.conditions))
    same_rows(draw(fitted, wanted, 3), rows)
    same_rows(concatenate(list(stream(fitted, wanted, 3, block=13))), rows)
    path = tmp_path / "m.augment"
    fitted.save(path)
    same_rows(draw(Fitted.load(path), wanted, 3), rows)
    record = read_manifest(path).parts["rejection"]
    assert record["share"] == 0.1 and set(record["accepted_per_label"]) == set(fitted.conditions)


def test_without_it_nothing_changes(tmp_path: Path) -> None:
    """A model that is not calibrated draws the same rows where none is rejected; an artifact without the part has none."""
    whole = small("counts")
    plain, strict = fit_to(whole, "gaussian"), fit_to(whole, "gaussian", reject=0.5)
    wanted = plan(plain, 150)
    rows, other = draw(plain, wanted, 0), draw(strict, wanted, 0)
    same = (as_dense(rows.x) == as_dense(other.x)).all(axis=1)
    assert 0.5 < same.mean() < 1
    never = replace(strict, rejection=None)
    same_rows(draw(never, wanted, 0), rows)
    path = tmp_path / "m.augment"
    plain.save(path)
    assert "rejection" not in read_manifest(path).parts and Fitted.load(path).rejection is None


def test_what_a_user_is_told() -> None:
    notes: list[Progress] = []
    found = Augmentor("gaussian").fit(small("continuous"), reject=0.05, listener=notes.append)
    told = " ".join(note.note for note in notes)
    assert "rejection at 0.05" in told and "forest AUC against training rows" in told
    record = io.to_anndata(small("continuous")).uns | found.sample(10).uns
    assert record["augmentor"]["rejection"]["share"] == 0.05
    assert set(record["augmentor"]["rejection"]["accepted_per_label"]) == set(found.labels)


def test_what_cannot_be_rejected_is_refused() -> None:
    whole = small("continuous")
    only = whole.take(np.flatnonzero(whole.codes[:, 0] == 0))
    with pytest.raises(LabelError, match="there is only one label; leave --reject out"):
        prepare(only, Options(reject=0.05))
    for share in (0.0, 1.0, -0.2):
        with pytest.raises(ConfigError, match="reject is a share of real rows"):
            prepare(whole, Options(reject=share))
