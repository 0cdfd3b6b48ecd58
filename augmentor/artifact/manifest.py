"""What an artifact says about itself, as validated JSON: enough to rebuild the model and to judge where it is from."""

from __future__ import annotations

import math
from enum import Enum
from typing import Annotated, Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from augmentor.core.contract import Layout
from augmentor.core.schema import Schema
from augmentor.core.space import Space

FORMAT = 1


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: tuples become lists, NumPy scalars numbers, NaN and infinities None.

    Raises:
        ValueError: something that JSON cannot hold (an array, an object, a key that is no string).
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        if strange := [key for key in value if not isinstance(key, str)]:
            raise ValueError(f"JSON keys must be strings, found {strange[0]!r}")
        return {str(key): plain(item) for key, item in value.items()}
    raise ValueError(f"JSON cannot hold a {type(value).__name__}")


Plain = Annotated[dict[str, JsonValue], BeforeValidator(plain)]


class _Record(BaseModel):
    # by name too, so that `data_schema=` works beside the alias `schema=`
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class TransformRecord(_Record):
    """One step of preprocessing: what it is, how it was set, between which spaces it leads."""

    name: str
    config: Plain
    accepts: Space
    gives: Space


class DataRecord(_Record):
    """The data a model was fitted on.

    Attributes:
        name: file name or what the user called it.
        digest: SHA-256 of values, row names and labels (`Dataset.digest`).
        rows: number of rows.
        features: number of features.
        labels: per label column, rows of each category.
    """

    name: str
    digest: str
    rows: int = Field(ge=0)
    features: int = Field(ge=0)
    labels: dict[str, dict[str, int]] = {}


class SplitRecord(_Record):
    """How rows were divided; which ones went where is kept as tensors.

    Attributes:
        holdout_rows: rows the model never saw, for `evaluate`.
        train_rows: rows the weights were fitted on.
        valid_rows: rows of the training part that only judged (early stopping, selection).
        group: column by which rows were kept together.
        fraction: share of rows that was asked to be held out.
        inferred: rows without a label: how many were offered and used, and per label; None where there were none.
        reference: rows of a reference: how many, of which labels, how strongly adapted; None where there was none.
    """

    holdout_rows: int = Field(ge=0)
    train_rows: int = Field(ge=0)
    valid_rows: int = Field(ge=0)
    group: str | None = None
    fraction: float = Field(ge=0, lt=1)
    inferred: dict[str, Any] | None = None
    reference: dict[str, Any] | None = None


class Manifest(_Record):
    """The whole description of a fitted model; everything but its tensors.

    Attributes:
        format: number of the file format.
        augmentor: version that wrote it.
        created: when, with time zone.
        model: name of the model in the registry.
        config: the model's full configuration.
        parts: recorded additions to the model (calibration, ...) with their configurations.
        size: configuration of the library-size model, None without one.
        transforms: preprocessing, in the order applied.
        seed: root of all randomness of the fit.
        data: what it was fitted on.
        split: how rows were divided.
        training: summary: epochs, why it stopped, recoveries, losses.
        choice: for ``auto``: the candidates' table and the reason, None if the user chose.
        wall_seconds: duration of the fit.
        peak_memory_mb: largest resident memory during the fit, None where it cannot be measured.
        environment: versions of Python and of the libraries that matter.
        layout: shapes from which the model is built.
        combinations: category names of every condition, in the order of ``layout.combinations``.
        data_schema: features, labels and space of the user's data; called ``schema`` in the file.
        tensors: SHA-256 of each tensor file; filled in by `save`.
        history: SHA-256 of the history; filled in by `save`.
    """

    format: int = Field(default=FORMAT, ge=1)
    augmentor: str
    created: AwareDatetime
    model: str
    config: Plain
    parts: dict[str, Plain] = {}
    size: Plain | None = None
    transforms: tuple[TransformRecord, ...] = ()
    seed: int = Field(ge=0)
    data: DataRecord
    split: SplitRecord
    training: Plain = {}
    choice: Plain | None = None
    wall_seconds: float = Field(ge=0, allow_inf_nan=False)
    peak_memory_mb: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    environment: dict[str, str] = {}
    layout: Layout
    combinations: tuple[tuple[str, ...], ...]
    data_schema: Schema = Field(alias="schema")
    tensors: dict[str, str] = {}
    history: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if len(self.combinations) != self.layout.conditions:
            raise ValueError(f"{len(self.combinations)} combination names for {self.layout.conditions} conditions")
        return self

    def document(self) -> dict[str, Any]:
        """Return the manifest as plain JSON values, under the names used in the file."""
        document: dict[str, Any] = plain(self.model_dump(mode="json", by_alias=True))
        return document
