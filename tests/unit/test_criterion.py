"""The criterion of `auto` on rows of which the answer is known: fresh ones, copies, noise, wrong labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import people
import pytest

from augmentor import io
from augmentor.core.dataset import as_dense
from augmentor.core.random import Stream
from augmentor.criterion import Loss, Trial, averaged

CELLS = io.from_anndata(people.counts(600), label="celltype")
PART = np.arange(600) % 3
SEEN, VALID, FRESH = (CELLS.take(part == PART) for part in range(3))
TRIAL = Trial(SEEN, VALID, Stream(0))


def test_detectability_is_the_mean_distance_from_one_half() -> None:
    assert Loss(0.6, 0.3, 0.0, 0.0).detectability == pytest.approx(0.15)


def test_copying_counts_half_and_less_than_none_does_not_count() -> None:
    assert Loss(0.5, 0.5, 0.1, 0.4).total == pytest.approx(0.3)
    assert Loss(0.5, 0.5, 0.1, -0.4).total == pytest.approx(0.1)


def test_trials_are_averaged_part_by_part() -> None:
    assert averaged([Loss(0.4, 0.6, 0.0, -0.2), Loss(0.6, 0.8, 0.2, 0.4)]) == Loss(0.5, 0.7, 0.1, pytest.approx(0.1))


def test_fresh_real_rows_lose_nearly_nothing() -> None:
    """Two AUCs of 200 against 200 rows: standard error 0.03 each."""
    found = TRIAL.judge(FRESH)
    assert found.detectability < 0.12 and found.utility_lost < 0.1 and abs(found.copying) < 0.3


def test_copies_are_seen() -> None:
    found = TRIAL.judge(SEEN)
    assert found.copying > 0.95 and found.utility_lost == 0


def test_noise_is_seen() -> None:
    noisy = replace(FRESH, x=type(FRESH.x)(as_dense(FRESH.x) + 3))
    assert TRIAL.judge(noisy).auc_values > 0.95


def test_wrong_labels_are_seen() -> None:
    permuted = replace(FRESH, codes=FRESH.codes[Stream(1).numpy().permutation(len(FRESH))])
    assert TRIAL.judge(permuted).utility_lost > 0.3


def test_the_same_trial_judges_alike() -> None:
    assert TRIAL.judge(FRESH) == TRIAL.judge(FRESH)
