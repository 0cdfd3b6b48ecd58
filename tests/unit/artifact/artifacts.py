"""A small artifact, and ways to rebuild its file by hand."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from augmentor.artifact import DataRecord, Manifest, SplitRecord, Stored, TransformRecord, save
from augmentor.artifact.store import SEAL, _seal
from augmentor.core.contract import Layout
from augmentor.core.schema import Column, LabelColumn, Schema
from augmentor.core.space import Space


def manifest(**changes: Any) -> Manifest:
    """A manifest with every field in use."""
    fields: dict[str, Any] = {
        "augmentor": "0.1.0",
        "created": datetime(2026, 11, 21, 10, 0, tzinfo=UTC),
        "model": "cvae",
        "config": {"latent": 8, "hidden": (64, 32), "beta": np.float32(0.5)},
        "parts": {"calibration": {"knots": 12}},
        "size": {"components": 3},
        "transforms": (
            TransformRecord(name="lognorm", config={"target": 1e4}, accepts=Space.COUNTS, gives=Space.LOG),
            TransformRecord(name="pca", config={}, accepts=Space.LOG, gives=Space.CONTINUOUS),
        ),
        "seed": 7,
        "data": DataRecord(name="gènes.h5ad", digest="ab" * 32, rows=5, features=3, labels={"type": {"B": 2, "é": 3}}),
        "split": SplitRecord(holdout_rows=1, train_rows=3, valid_rows=1, group="patient", fraction=0.2),
        "training": {"epochs": 12, "stopped": "no better for 5 epochs", "loss": [1.5, float("nan"), float("inf")]},
        "choice": {"table": [{"model": "copula", "score": 0.51}], "reason": "closer to the ceiling"},
        "wall_seconds": 1.25,
        "peak_memory_mb": 310.5,
        "environment": {"python": "3.11.9", "numpy": "2.1.0"},
        "layout": Layout(space=Space.CONTINUOUS, features=2, categories=(2,), combinations=((0,), (1,)), rows=3),
        "combinations": (("B",), ("é",)),
        "schema": Schema(
            space=Space.COUNTS,
            features=("CD19", "CD3D", "NKG7"),
            labels=(LabelColumn(name="type", categories=("B", "é")),),
            sparse=True,
            integer=True,
            var={"mean": Column(kind="float", values=(0.1, None, 3.0))},
        ),
    }
    return Manifest(**{**fields, **changes})


def weights() -> dict[str, np.ndarray]:
    """Arrays of every supported kind and awkward shape."""
    rng = np.random.default_rng(3)
    return {
        "encoder.weight": rng.normal(size=(4, 3)).astype(np.float32),
        "transposed": rng.normal(size=(3, 5)).T,
        "scalar": np.float64(2.5).reshape(()),
        "empty": np.zeros((0, 4), dtype=np.int64),
        "odd": np.array([np.nan, np.inf, -0.0, 5e-324]),
        "half": np.arange(3, dtype=np.float16),
        "mask": np.array([True, False, True]),
        "codes": np.array([-1, 0, 2**31 - 1], dtype=np.int32),
        "big-endian": np.arange(4, dtype=">f8"),
    }


def transforms() -> dict[str, np.ndarray]:
    """The state around the model."""
    return {"split.holdout": np.array([True, False, False, False, False]), "pca.components": np.eye(2, 3)}


HISTORY = [{"epoch": 0, "loss": 2.5, "valid": float("nan")}, {"epoch": 1, "loss": 1.5, "valid": 1.75}]


def saved(folder: Path, name: str = "model.augment", **changes: Any) -> Path:
    """Write the small artifact."""
    path = folder / name
    save(path, manifest(**changes), weights(), transforms(), HISTORY)
    return path


def members(path: Path) -> dict[str, bytes]:
    """Contents of an artifact's file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(path: Path, contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write a zip of anything."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def edited(path: Path, change: dict[str, Any], *, sealed: bool, remove: tuple[str, ...] = ()) -> Path:
    """Change manifest entries in a file, with or without renewing the seal."""
    contents = members(path)
    document = {**json.loads(contents["manifest.json"]), **change}
    document = {name: value for name, value in document.items() if name not in remove}
    if sealed:
        document[SEAL] = _seal(document)
    return rebuilt(path, {**contents, "manifest.json": json.dumps(document).encode()})


def same(one: Stored, two: Stored) -> bool:
    """Whether two artifacts hold the same values, bit by bit."""
    arrays = [(one.weights, two.weights), (one.transforms, two.transforms)]
    return (
        one.manifest == two.manifest
        and one.history == two.history
        and all(
            a.keys() == b.keys()
            and all((a[k].dtype, a[k].shape, a[k].tobytes()) == (b[k].dtype, b[k].shape, b[k].tobytes()) for k in a)
            for a, b in arrays
        )
    )
