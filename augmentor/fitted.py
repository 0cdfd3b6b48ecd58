"""A fitted generator: schema, transforms, library size, synthesizer and its parts; to rows, and to and from an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from augmentor.core.errors import ConfigError, LabelError, listed
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.schema import Schema
from augmentor.core.space import Space
from augmentor.parts.anomaly import Reference
from augmentor.parts.calibration import KINDS, Calibration
from augmentor.parts.composition import Composition, Lead
from augmentor.parts.rejection import Rejection
from augmentor.preprocess.chain import Chain
from augmentor.preprocess.covariates import Covariates
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
        covariates: p(covariates | label), or None where there are none.
        composition: what combinations never seen are composed of, or None where every combination was seen.
        lead: the way to the combinations never seen that were asked for (`composed`), or None.
        unseen: these combinations.
        rejection: what draws rows again that do not look like their label, or None.
        reference: what anomaly scores are compared with, or None where the model has none.
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
    covariates: Covariates | None
    composition: Composition | None
    counts: tuple[int, ...]
    record: dict[str, Any] = field(default_factory=dict)
    tensors: State = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    lead: Lead | None = None
    unseen: tuple[tuple[int, ...], ...] = ()
    rejection: Rejection | None = None
    reference: Reference | None = None

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the label combinations seen in training: ``"B"``, or ``"B|stim"`` for several label columns."""
        return tuple(condition_names(self.schema, self.layout.combinations))

    def combination(self, name: str) -> tuple[int, ...] | None:
        """Return category positions of a combination of known categories, seen together or not; None for another name."""
        known = [{category: code for code, category in enumerate(column.categories)} for column in self.schema.labels]
        # only categories that training saw: others have no effect to compose with
        seen = [{codes[a] for codes in self.layout.combinations} for a in range(len(known))]
        parts = name.split("|")
        if len(parts) != len(known) or not all(part in names for part, names in zip(parts, known, strict=True)):
            return None
        codes = tuple(names[part] for part, names in zip(parts, known, strict=True))
        return codes if all(code in column for code, column in zip(codes, seen, strict=True)) else None

    @property
    def block_rows(self) -> int:
        """Rows drawn at a time: a property of the model, so that no chunking can change a row."""
        return int(np.clip(BLOCK_BYTES // (4 * self.layout.features), 64, BLOCK_MOST))

    def given(self, condition: NDArray[np.intp], rng: Stream) -> tuple[Given, NDArray[np.float64]]:
        """Draw what rows of these conditions are given: labels, covariates and library sizes.

        Args:
            condition: ``(rows,)`` positions among `conditions`.
            rng: the stream of these rows.

        Returns:
            The conditions as a model knows them, and the covariates ``(rows, covariates)`` in the user's units.
        """
        codes = np.array(self.layout.combinations, dtype=np.int32).reshape(self.layout.conditions, -1)[condition]
        raw = standard = np.zeros((len(condition), 0))
        if self.covariates is not None:
            raw = self.covariates.draw(condition, rng.child("covariates"))
            standard = self.covariates.standard(raw)
        size = None if self.size is None else self.size.draw(condition, standard, rng.child("size"))
        return Given(condition, codes, standard, size), raw

    def draw(self, condition: NDArray[np.intp], rng: Stream) -> Dataset:
        """Draw one row for each condition asked for, in the user's units.

        Args:
            condition: ``(rows,)`` positions among `conditions`, followed by `unseen`.
            rng: the stream of this block.
        """
        seen = self.layout.conditions
        combinations = np.array((*self.layout.combinations, *self.unseen), dtype=np.int32)
        codes = combinations.reshape(seen + len(self.unseen), -1)[condition]
        # a combination never seen starts from rows of its anchor
        start = condition if self.lead is None else np.append(np.arange(seen), self.lead.anchors)[condition]
        given, covariates = self.given(start, rng)
        if self.rejection is None:
            x = self.model.draw(given, rng.child("model"))
        else:
            x = self.rejection.draw(self.model.draw, given, rng.child("model"))
        if self.calibration is not None:
            x = self.calibration.apply(x, given, rng.child("calibration"))
        # rows of a mixed table are led where they are complete, others in the user's units
        mixed = self.schema.space is Space.MIXED
        if self.lead is not None and mixed:
            x = self.lead.apply(x, condition - seen, rng.child("lead"))
        x = self.chain.inverse(x, given.size, rng.child("inverse"))
        if self.lead is not None and not mixed:
            x = self.lead.apply(x, condition - seen, rng.child("lead"))
        if self.schema.space is Space.COUNTS:
            x = no_empty_cells(x)
        return Dataset(
            x=as_matrix(sparse.csr_matrix(x) if self.schema.sparse else x),
            schema=self.schema,
            codes=codes,
            covariates=covariates,
            names=np.array([str(i) for i in range(len(condition))], dtype=object),
        )

    def composed(self, unseen: tuple[tuple[int, ...], ...]) -> Fitted:
        """Return the generator with more conditions: label combinations never seen in training.

        Raises:
            LabelError: the model knows nothing of what they could be composed of.
        """
        if not unseen:
            return self
        if self.composition is None:
            names = condition_names(self.schema, unseen)
            raise LabelError(
                f"'{names[0]}' was never seen in training, and this model was fitted before combinations of mixed tables could be "
                f"composed; fit it again, or ask for one that was seen: {listed(self.conditions, most=12)}."
            )
        lead = self.composition.lead(self.layout.combinations, unseen, self.counts, self.schema.space)
        return replace(self, lead=lead, unseen=unseen)

    def fixed(self, covariates: Mapping[str, float]) -> Fitted:
        """Return the generator with covariates, by name, that all drawn rows have.

        Raises:
            ConfigError: a covariate is unknown, or a value beyond what training saw.
        """
        if not covariates:
            return self
        if self.covariates is None:
            raise ConfigError(
                f"this model has no covariates, but '{next(iter(covariates))}' was asked for; fit with --covariate to have them."
            )
        return replace(self, covariates=self.covariates.fix(covariates))

    def save(self, path: Path) -> None:
        """Write the artifact (atomically)."""
        parts: dict[str, Any] = {} if self.calibration is None else {"calibration": {"kind": self.calibration.kind}}
        if self.composition is not None:
            parts["composition"] = {"kind": "main effects of the labels, for combinations never seen"}
        if self.rejection is not None:
            parts["rejection"] = self.rejection.record
        if self.reference is not None:
            parts["anomaly"] = {"held_out_rows": self.reference.held.size}
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
        for part, fitted in (
            ("covariates", self.covariates),
            ("composition", self.composition),
            ("rejection", self.rejection),
            ("anomaly", self.reference),
        ):
            if fitted is not None:
                transforms |= {f"{part}.{name}": array for name, array in fitted.state().items()}
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
            size=None
            if manifest.size is None
            else SizeModel.from_state(part("size."), manifest.layout.conditions, manifest.layout.covariates),
            calibration=None
            if calibration is None
            else KINDS[str(calibration["kind"])].from_state(part("calibration.")),
            covariates=Covariates.from_state(
                part("covariates."), manifest.data_schema.covariates, manifest.layout.conditions
            )
            if manifest.data_schema.covariates
            else None,
            composition=Composition.from_state(
                part("composition."),
                manifest.layout.conditions,
                len(manifest.data_schema.features),
                manifest.layout.levels,
            )
            if "composition" in manifest.parts
            else None,
            counts=tuple(int(n) for n in stored.transforms["counts"]),
            record={name: getattr(manifest, name) for name in RECORDED},
            tensors=part("split."),
            history=stored.history,
            rejection=Rejection.from_state(part("rejection."), manifest.layout, dict(manifest.parts["rejection"]))
            if "rejection" in manifest.parts
            else None,
            reference=Reference.from_state(part("anomaly."), manifest.layout.conditions)
            if "anomaly" in manifest.parts
            else None,
        )


def condition_names(schema: Schema, combinations: tuple[tuple[int, ...], ...]) -> list[str]:
    """Name every label combination by its categories, joined by ``|``; ``all`` without labels."""
    return [
        "|".join(column.categories[code] for column, code in zip(schema.labels, codes, strict=True)) or "all"
        for codes in combinations
    ]


def no_empty_cells(x: Any) -> Any:
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
