"""Quantities beside the loss, looked at now and then on a few rows: they cost little and change nothing.

    every k-th epoch, and the first and last:   k = ⌈watched rows / (0.05 · training rows)⌉

so that for a hundred rows that are trained on at most five are watched: a forward pass or two without gradients, about 1 % of training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from augmentor.core.contract import Encoded, Stage
from augmentor.core.random import Stream
from augmentor.nn.conditioning import Batch, batch

ROWS = 256  # watched at most, of the training and of the validation rows each
SHARE = 0.05  # rows watched for each row trained on


class Watch:
    """The watched rows of a stage and when they are looked at.

    Args:
        stage: whose ``watch`` is called.
        training: rows that are trained on.
        validation: rows that judge, or None.
        device: where the module is.
        rng: a stream that nobody else uses.
    """

    def __init__(
        self, stage: Stage, training: Encoded, validation: Encoded | None, device: torch.device, rng: Stream
    ) -> None:
        self.stage, self.device, self.rng = stage, device, rng
        self.parts = {"watch": _some(training, rng).to(device)}
        if validation is not None:
            self.parts["watch_validation"] = _some(validation, rng).to(device)
        watched = sum(len(part) for part in self.parts.values())
        self.every = max(1, math.ceil(watched / (SHARE * len(training))))

    def due(self, epoch: int) -> bool:
        """Whether this epoch, counted from 1, is looked at."""
        return epoch in (1, self.stage.epochs) or epoch % self.every == 0

    def look(self) -> dict[str, float | list[float]]:
        """Return ``watch.NAME`` and ``watch_validation.NAME``, rounded to six digits; the same noise every time."""
        assert self.stage.watch is not None
        found: dict[str, float | list[float]] = {}
        for part, rows in self.parts.items():
            noise = self.rng.child(part).torch(self.device)
            for name, value in self.stage.watch(rows, noise).items():
                found[f"{part}.{name}"] = rounded(value)
        return found


def rounded(value: Any) -> Any:
    """A number, or a list of numbers and None, to six significant digits."""
    if isinstance(value, Sequence):
        return [None if number is None else float(f"{number:.6g}") for number in value]
    return float(f"{float(value):.6g}")


def _some(encoded: Encoded, rng: Stream) -> Batch:
    order = rng.child("rows").numpy().permutation(len(encoded))
    return batch(encoded.take(np.sort(order[:ROWS])))
