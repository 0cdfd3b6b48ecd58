"""What training needs besides the model and the data, and what it says when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from augmentor.core.contract import Judgement
from augmentor.core.errors import ConfigError, listed
from augmentor.core.progress import Listener, Progress, Stop, never, silent
from augmentor.training.watching import rounded


@dataclass
class Run:
    """What training needs besides the model and the data.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        listener: told about every epoch.
        stop: asked after every batch whether to stop.
        seconds: time limit, or None.
        checkpoint: folder for checkpoints, or None.
        resume: continue from that folder's checkpoint.
        identity: what must be equal for a checkpoint to be continued (data digest, config, seed).
        name: shown in progress.
        labels: names of the conditions, for what is found about them.
    """

    device: str = "auto"
    listener: Listener = silent
    stop: Stop = never
    seconds: float | None = None
    checkpoint: Path | None = None
    resume: bool = False
    identity: str = ""
    name: str = "model"
    labels: Sequence[str] = ()


@dataclass
class Summary:
    """How a stage ended.

    Attributes:
        history: one entry per epoch: ``stage``, ``epoch``, the mean of each named term of the losses, ``validation`` loss; for each
            phase its last ``rate.PHASE`` and the mean and largest norm of its gradient before clipping, ``gradient.PHASE`` and
            ``gradient_largest.PHASE``; now and then what the stage watches, ``watch.NAME`` on training rows and
            ``watch_validation.NAME``.
        stages: per stage: epochs run, why it stopped, recoveries, best validation loss; where the stage judges itself, the facts
            as ``judged`` and sentences as ``findings``.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    stages: list[dict[str, Any]] = field(default_factory=list)


def judged(found: Judgement, run: Run) -> dict[str, Any]:
    """Tell the user what was found, and return it for the summary."""
    findings = []
    for sentence, conditions in found.findings:
        names = listed([run.labels[c] if c < len(run.labels) else str(c) for c in conditions])
        findings.append(sentence.format(labels=names))
        run.listener(Progress(run.name, note=f"{run.name}: {findings[-1]}"))
    facts = {
        name: value if value is None or isinstance(value, str) else rounded(value)
        for name, value in found.facts.items()
    }
    return {"judged": facts, "findings": findings}


def accelerator(device: str) -> str:
    """Return the device if it is there.

    Raises:
        ConfigError: it is unknown, or this machine has none.
    """
    if device not in ("auto", "cpu", "cuda", "mps"):
        raise ConfigError(f"'{device}' is not a device; use auto, cpu, cuda or mps.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device was found; use --device auto or --device cpu.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("no Apple GPU was found; use --device auto or --device cpu.")
    return device
