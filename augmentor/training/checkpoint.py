"""Checkpoints of a run: a folder with safetensors and JSON, replaced as a whole, bound to the data and settings."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from augmentor.core.errors import ArtifactError, ConfigError, listed

FIELDS = {
    *("stage", "identity", "optimisers", "outcomes", "earlier"),
    *("epoch", "rate_scale", "recoveries", "best_loss", "best_epoch", "history"),
}


@dataclass(frozen=True)
class Stored:
    """What a checkpoint holds.

    Attributes:
        stage: position of the stage it was written in.
        snapshot: weights, averages, best weights and optimiser states at the end of an epoch, and the counters.
        finished: final weights of every stage before.
        outcomes: summaries of those stages.
        history: their epochs.
    """

    stage: int
    snapshot: dict[str, Any]
    finished: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]
    history: list[dict[str, Any]]


def write(folder: Path, stored: Stored, identity: str) -> None:
    """Replace the checkpoint in ``folder``: written beside, then renamed."""
    beside = folder.with_name(f"{folder.name}.new-{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        _fill(beside, stored, identity)
    except BaseException:  # also a second Ctrl-C: nothing half-written stays
        shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _fill(folder: Path, stored: Stored, identity: str) -> None:
    """Write tensors and counters of a checkpoint."""
    snapshot = stored.snapshot
    tensors: dict[str, Any] = {}
    for part in ("module", "average", "best"):
        tensors |= {f"{part}:{name}": tensor.contiguous() for name, tensor in snapshot[part].items()}
    for index, state in enumerate(snapshot["optimisers"]):
        tensors |= {f"optimiser{index}:{name}": tensor.contiguous() for name, tensor in state.items()}
    for index, weights in enumerate(stored.finished):
        tensors |= {f"finished{index}:{name}": tensor.contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / "tensors.safetensors")
    meta = {
        "stage": stored.stage,
        "identity": identity,
        "optimisers": len(snapshot["optimisers"]),
        "outcomes": stored.outcomes,
        "earlier": stored.history,
        **snapshot["meta"],
    }
    (folder / "checkpoint.json").write_text(json.dumps(meta), encoding="utf-8")


def read(folder: Path, identity: str) -> Stored:
    """Read the checkpoint of a run.

    Raises:
        ConfigError: there is none, or it belongs to other data, settings or seed.
        ArtifactError: it is damaged.
    """
    if not (folder / "checkpoint.json").is_file():
        raise ConfigError(f"there is no checkpoint in {folder} to resume from; run without --resume.")
    try:
        meta = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "tensors.safetensors")
        lacking = sorted(FIELDS - meta.keys()) if isinstance(meta, dict) else sorted(FIELDS)
        if lacking:
            raise ValueError(f"checkpoint.json lacks {listed(lacking)}")
    except (ValueError, SafetensorError, OSError) as error:
        raise damaged(folder, error) from None
    if meta.pop("identity") != identity:
        raise ConfigError(
            f"the checkpoint in {folder} belongs to other data, settings or seed; repeat the command that wrote it, or run "
            "without --resume."
        )

    def part(prefix: str) -> dict[str, Any]:
        return {name.removeprefix(f"{prefix}:"): t for name, t in tensors.items() if name.startswith(f"{prefix}:")}

    optimisers = [part(f"optimiser{index}") for index in range(meta.pop("optimisers"))]
    stage, outcomes, earlier = meta.pop("stage"), meta.pop("outcomes"), meta.pop("earlier")
    snapshot = {name: part(name) for name in ("module", "average", "best")} | {"optimisers": optimisers, "meta": meta}
    return Stored(stage, snapshot, [part(f"finished{index}") for index in range(len(outcomes))], outcomes, earlier)


def damaged(folder: Path | None, error: Exception) -> ArtifactError:
    """Return the refusal of a checkpoint that cannot be read or does not fit the model."""
    return ArtifactError(
        f"the checkpoint in {folder} is damaged ({type(error).__name__}: {error}); delete it and run without --resume."
    )


def remove(folder: Path) -> None:
    """Delete a checkpoint that is no longer needed."""
    shutil.rmtree(folder, ignore_errors=True)
