"""The essential checks of the battery for parts that a setting chooses: a variant is a line of `VARIANTS`."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_checks import beats_the_floor, check_rows, names, same_rows, same_state, unchanged_globals
from small_data import small

from augmentor.core.dataset import Dataset
from augmentor.fitted import Fitted
from augmentor.fitting import fit
from augmentor.preparing import Options, prepare
from augmentor.sampling import concatenate, draw, plan, stream

# name -> model, data, settings
VARIANTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "cvae-zinb": ("cvae", "counts", {"likelihood": "zinb"}),
    "cvae-poisson": ("cvae", "counts", {"likelihood": "poisson"}),
    "cvae-bernoulli": ("cvae", "detected", {"likelihood": "bernoulli"}),
    "cvae-standard": ("cvae", "counts", {"prior": "standard"}),
    "cvae-label": ("cvae", "counts", {"prior": "label"}),
    "cvae-mixture": ("cvae", "mixed", {"prior": "mixture"}),
    "cvae-vamp": ("cvae", "counts", {"prior": "vamp", "free_bits": 0.1}),
    "cvae-flow": ("cvae", "continuous", {"prior": "flow"}),
}


def data(variant: str) -> Dataset:
    """The small data set of a variant; ``detected`` is ``counts`` as zeros and ones."""
    name = VARIANTS[variant][1]
    if name != "detected":
        return small(name)
    counts = small("counts")
    return replace(counts, x=(counts.x > 0).astype(np.float32))


def fit_to(variant: str) -> Fitted:
    model, _, settings = VARIANTS[variant]
    options = Options(model=model, settings={"epochs": 15, **settings}, holdout=0.0, device="cpu", calibrate=False)
    return fit(prepare(data(variant), options), options)


@lru_cache
def fitted(variant: str) -> Fitted:
    return fit_to(variant)


@pytest.mark.parametrize("variant", VARIANTS)
def test_fit_twice_is_fit_once(variant: str) -> None:
    once = fitted(variant)
    with unchanged_globals():
        twice = fit_to(variant)
    same_state(once.model.state(), twice.model.state())
    same_rows(draw(once, plan(once, 60), 0), draw(twice, plan(twice, 60), 0))


@pytest.mark.parametrize("variant", VARIANTS)
def test_any_chunking_gives_the_same_rows(variant: str) -> None:
    model = fitted(variant)
    wanted = plan(model, model.block_rows + 50)
    same_rows(concatenate(list(stream(model, wanted, 7, block=13))), draw(model, wanted, 7))


@pytest.mark.parametrize("variant", VARIANTS)
def test_labels_are_exact_and_rows_are_in_their_space(variant: str) -> None:
    model = fitted(variant)
    wanted = dict(zip(model.conditions, (30, 0, 17, 1, 8), strict=False))
    rows = draw(model, plan(model, wanted), 0)
    found = dict(zip(*np.unique(names(rows), return_counts=True), strict=True))
    assert found == {label: n for label, n in wanted.items() if n}
    check_rows(rows, data(variant))


@pytest.mark.parametrize("variant", VARIANTS)
def test_learns_class_means(variant: str) -> None:
    beats_the_floor(fitted(variant), data(variant), "means", 0.6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_and_loaded_is_the_same(variant: str, tmp_path: Path) -> None:
    model = fitted(variant)
    model.save(tmp_path / "model.augment")
    loaded = Fitted.load(tmp_path / "model.augment")
    same_state(model.model.state(), loaded.model.state())
    same_rows(draw(model, plan(model, 150), 2), draw(loaded, plan(loaded, 150), 2))
