"""What denoising is for: codes of damaged rows that still say what the rows were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from augmentor import Augmentor
from augmentor.core.contract import Encoded, Given
from augmentor.nn.conditioning import batch

ROWS, FEATURES = 400, 30


def _factor_rows() -> np.ndarray:
    """Every feature is one of three hidden numbers plus a little noise: what is hidden can be told from the others."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(ROWS, 3)) @ rng.normal(size=(3, FEATURES)) + 0.1 * rng.normal(size=(ROWS, FEATURES))
    ).astype(np.float32)


def _rebuilt_from_damaged(**settings: Any) -> float:
    """Mean squared error of rows rebuilt from codes of which a third of the entries was hidden."""
    x = _factor_rows()
    fitted = Augmentor("autoencoder", epochs=60, hidden=32, latent=3, **settings).fit((x, None), holdout=0.0).fitted
    given = Given(np.zeros(ROWS, dtype=np.intp), np.zeros((ROWS, 0), dtype=np.int32), np.zeros((ROWS, 0)))
    encoded = Encoded(fitted.chain.forward(x, None), given, np.zeros(ROWS, dtype=bool), fitted.layout)
    rows, net = batch(encoded), fitted.model.net  # type: ignore[attr-defined]
    with torch.no_grad():
        z, _ = net.encode(rows, 1 / 3, torch.Generator().manual_seed(1))
        centre, _ = net.decode(z, rows.c, rows.condition, rows.size)
    return float((centre - rows.x).square().mean())


def test_rows_are_rebuilt_from_damaged_ones_by_the_model_that_learned_it() -> None:
    denoising, plain = _rebuilt_from_damaged(corruption="mask", damage=1 / 3), _rebuilt_from_damaged(corruption="none")
    assert denoising < 0.7 * plain


@pytest.mark.parametrize("corruption", ["mask", "gaussian", "none"])
def test_drawn_rows_lie_in_the_subspace_of_the_factors(corruption: str) -> None:
    x = _factor_rows()
    model = Augmentor("autoencoder", epochs=80, hidden=32, latent=3, corruption=corruption).fit((x, None), holdout=0.0)
    drawn, _ = model.sample(400)
    directions = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:3]
    centred = drawn - drawn.mean(axis=0)
    within = centred @ directions.T @ directions
    assert np.square(within).sum() > 0.8 * np.square(centred).sum()  # 0.1 of independent rows
