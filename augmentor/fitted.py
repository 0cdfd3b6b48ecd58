"""A fitted generator: schema, transforms, library size, synthesizer and its parts; to rows, and to and from an artifact."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.artifact import Manifest, TransformRecord
from augmentor.artifact import load as load_artifact
from augmentor.artifact import save as save_artifact
from augmentor.core.contract import Given, Layout, State, Synthesizer
from augmentor.core.dataset import Dataset, as_matrix
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.schema import Schema
from augmentor.core.space import Space
from augmentor.parts.calibration import KINDS, Calibration
from augmentor.preprocess.chain import Chain
from augmentor.preprocess.size import SizeModel

BLOCK_BYTES = 16 * 2**20
BLOCK_MOST = 1536

# what a manifest says beyond the generator itself
RECORDED = (
    *("augmentor", "created", "seed", "data", "split"),
    *("training", "choice", "wall_seconds", "peak_memory_mb", "environment"),
)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Everything needed to draw rows in the user's units.

    Attributes:
        schema: what the rows that come out look like.
        layout: shapes the model was built from.
        name: the model's name.
        config: its settings.
        model: the fitted synthesizer.
        chain: transforms between data and model.
        size: p(library size | label), or None where rows have no library size.
        calibration: marginal calibration, or None.
        counts: training rows per condition.
        record: everything else that the manifest says.
        tensors: arrays recorded beside the transforms: which rows were held out, fingerprints of the training rows.
        history: training log.
    """

    schema: Schema
    layout: Layout
    name: str
    config: Any
    model: Synthesizer
    chain: Chain
    size: SizeModel | None
    calibration: Calibration | None
    counts: tuple[int, ...]
    record: dict[str, Any] = field(default_factory=dict)
    tensors: State = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the label combinations seen in training: ``"B"``, or ``"B|stim"`` for several label columns."""
        return tuple(condition_names(self.schema, self.layout.combinations))

    @property
    def block_rows(self) -> int:
        """Rows drawn at a time: a property of the model, so that no chunking can change a row."""
        return int(np.clip(BLOCK_BYTES // (4 * self.layout.features), 64, BLOCK_MOST))

    def draw(self, condition: NDArray[np.intp], rng: Stream) -> Dataset:
        """Draw one row for each condition asked for, in the user's units.

        Args:
            condition: ``(rows,)`` positions among `conditions`.
            rng: the stream of this block.
        """
        codes = np.array(self.layout.combinations, dtype=np.int32).reshape(self.layout.conditions, -1)[condition]
        size = None if self.size is None else self.size.draw(condition, rng.child("size"))
        given = Given(condition, codes, np.zeros((len(condition), 0)), size)
        x = self.model.draw(given, rng.child("model"))
        if self.calibration is not None:
            x = self.calibration.apply(x, given, rng.child("calibration"))
        x = self.chain.inverse(x, size, rng.child("inverse"))
        if self.schema.space is Space.COUNTS:
            x = _no_empty_cells(x)
        return Dataset(
            x=as_matrix(sparse.csr_matrix(x) if self.schema.sparse else x),
            schema=self.schema,
            codes=codes,
            covariates=np.zeros((len(condition), 0)),
            names=np.array([str(i) for i in range(len(condition))], dtype=object),
        )

    def save(self, path: Path) -> None:
        """Write the artifact (atomically)."""
        parts: dict[str, Any] = {} if self.calibration is None else {"calibration": {"kind": self.calibration.kind}}
        manifest = Manifest(
            model=self.name,
            config=self.config.model_dump(mode="json"),
            layout=self.layout,
            schema=self.schema,
            transforms=tuple(
                TransformRecord(name=name, config=config, accepts=step.accepts, gives=step.gives)
                for name, config, step in zip(self.chain.names, self.chain.configs, self.chain.steps, strict=True)
            ),
            parts=parts,
            size=None if self.size is None else {"kind": "quantiles"},
            combinations=tuple(
                tuple(column.categories[code] for column, code in zip(self.schema.labels, codes, strict=True))
                for codes in self.layout.combinations
            ),
            **self.record,
        )
        transforms = {f"chain.{name}": array for name, array in self.chain.state().items()}
        if self.size is not None:
            transforms |= {f"size.{name}": array for name, array in self.size.state().items()}
        if self.calibration is not None:
            transforms |= {f"calibration.{name}": array for name, array in self.calibration.state().items()}
        transforms |= {f"split.{name}": array for name, array in self.tensors.items()}
        transforms["counts"] = np.array(self.counts, dtype=np.int64)
        save_artifact(path, manifest, self.model.state(), transforms, self.history)

    @classmethod
    def load(cls, path: Path) -> Fitted:
        """Read an artifact, strictly.

        Raises:
            ArtifactError: the file is damaged, altered, from a newer format, or does not fit its model.
        """
        stored = load_artifact(path)
        manifest = stored.manifest

        def part(prefix: str) -> State:
            return {k.removeprefix(prefix): v for k, v in stored.transforms.items() if k.startswith(prefix)}

        kind = MODELS.get(manifest.model)
        config = kind.Config(**manifest.config)
        model = kind.build(manifest.layout, config)
        model.restore(stored.weights)
        chain = Chain.from_state(
            tuple(t.name for t in manifest.transforms),
            tuple(t.config for t in manifest.transforms),
            part("chain."),
            manifest.layout.space,
        )
        calibration = manifest.parts.get("calibration")
        return cls(
            schema=manifest.data_schema,
            layout=manifest.layout,
            name=manifest.model,
            config=config,
            model=model,
            chain=chain,
            size=None if manifest.size is None else SizeModel(part("size.")["quantiles"]),
            calibration=None
            if calibration is None
            else KINDS[str(calibration["kind"])].from_state(part("calibration.")),
            counts=tuple(int(n) for n in stored.transforms["counts"]),
            record={name: getattr(manifest, name) for name in RECORDED},
            tensors=part("split."),
            history=stored.history,
        )


def condition_names(schema: Schema, combinations: tuple[tuple[int, ...], ...]) -> list[str]:
    """Name every label combination by its categories, joined by ``|``; ``all`` without labels."""
    return [
        "|".join(column.categories[code] for column, code in zip(schema.labels, codes, strict=True)) or "all"
        for codes in combinations
    ]


def _no_empty_cells(x: Any) -> Any:
    """A drawn cell without a single count is not a cell: give it one count of the block's most frequent gene.

    It happens once in thousands of rows of very shallow data; readers (ours too) refuse all-zero cells.
    """
    totals = np.asarray(x.sum(axis=1)).ravel()
    empty = np.flatnonzero(totals == 0)
    if not empty.size:
        return x
    gene = int(np.asarray(x.sum(axis=0)).ravel().argmax())
    if sparse.issparse(x):
        one = sparse.csr_matrix((np.ones(empty.size, np.float32), (empty, np.full(empty.size, gene))), shape=x.shape)
        return sparse.csr_matrix(x + one)
    x = x.copy()
    x[empty, gene] = 1
    return x
