"""From a data set to a fitted generator: split, selection of genes, transforms, model, calibration.

Everything that is fitted is fitted on training rows only; held-out rows are recorded and not looked at.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from augmentor import __version__, splitting
from augmentor.artifact import DataRecord, SplitRecord
from augmentor.core.contract import Encoded, Given, Layout
from augmentor.core.dataset import Dataset, missing_labels, row_sums
from augmentor.core.errors import ConfigError, LabelError, ResourceError, did_you_mean, listed
from augmentor.core.fingerprints import fingerprints
from augmentor.core.progress import Listener, Progress, Stop, never, silent
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.fitted import Fitted, condition_names
from augmentor.parts.calibration import Calibration, calibrate
from augmentor.preprocess import chain, genes
from augmentor.preprocess.size import SizeModel
from augmentor.unlabelled import join, matched, sentence, stacked

VALID_SHARE = 0.12
VALID_FEWEST = 150  # training rows below which a validation part is too small to judge by


@dataclass(frozen=True)
class Options:
    """How to fit.

    Attributes:
        model: registry name.
        settings: the model's settings that differ from its defaults.
        seed: root of all randomness.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        genes: number of features to model, or None for all.
        holdout: share of rows held out for evaluation.
        min_label_rows: labels with fewer rows are dropped, with a note; None keeps all.
        rare: ``refuse`` or ``keep`` a label with a single row.
        calibrate: marginal calibration; None for the model's default.
        pca: principal components to model instead of features; None for none.
        max_seconds: time limit of training.
        checkpoint: folder for checkpoints.
        resume: continue from it.
        name: name of the data, for the record.
        group: name of the group column, for the record.
        partial: only some columns were loaded, so the data has no digest of its own.
        listener: told about progress.
        stop: asked whether to stop.
    """

    model: str = "copula"
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "auto"
    genes: int | None = None
    holdout: float = 0.2
    min_label_rows: int | None = None
    rare: str = "refuse"
    calibrate: bool | None = None
    pca: int | None = None
    max_seconds: float | None = None
    checkpoint: Path | None = None
    resume: bool = False
    name: str = "data"
    group: str | None = None
    partial: bool = False
    listener: Listener = silent
    stop: Stop = never


@dataclass(frozen=True, eq=False)
class Prepared:
    """A data set divided and reduced, ready for any model.

    Attributes:
        train: training rows, selected genes only.
        condition: ``(rows,)`` label combination of each training row.
        combinations: category positions of every combination.
        split: masks over the user's rows, ``holdout`` and ``dropped`` (uint8), and the sorted ``fingerprints`` (uint64) of the
            training rows, over the features that are modelled.
        record: data and split for the manifest.
        inferred: ``(rows,)`` True for training rows whose label was inferred.
    """

    train: Dataset
    condition: NDArray[np.intp]
    combinations: tuple[tuple[int, ...], ...]
    split: dict[str, NDArray[Any]]
    record: dict[str, Any]
    inferred: NDArray[np.bool_]

    @property
    def labels(self) -> list[str]:
        """Names of the combinations."""
        return condition_names(self.train.schema, self.combinations)


def prepare(dataset: Dataset, options: Options, *, unlabelled: Dataset | None = None) -> Prepared:
    """Check labels, hold rows out, select genes on the training rows, infer the labels of rows without one.

    Args:
        dataset: the rows; those without a label are learned from with an inferred one, and never held out.
        options: how to divide and select.
        unlabelled: more rows without labels, with the same features (others may stand beside them).

    Raises:
        LabelError: no row has a label, or a label has too few rows.
        ConfigError: an option is out of its bounds.
    """
    if not 0 <= options.holdout < 1:
        raise ConfigError(f"holdout is a share of the rows in [0, 1), not {options.holdout}.")
    if options.genes is not None and options.genes < 1:
        raise ConfigError(f"genes must be at least 1, or all, not {options.genes}.")
    if options.seed < 0:
        raise ConfigError(f"seed must be 0 or more, not {options.seed}.")
    rows = len(dataset)
    digest = "" if options.partial else dataset.digest()
    blank: NDArray[np.bool_] = np.any(dataset.codes < 0, axis=1)
    if blank.all() and dataset.schema.labels:
        missing_labels(dataset)
    whole, labelled = dataset, np.flatnonzero(~blank)
    dataset = dataset.take(labelled) if blank.any() else dataset
    combinations, condition = _combinations(dataset)
    chosen, condition, combinations = _rare(dataset, condition, combinations, options)
    kept = labelled[chosen]
    dataset = dataset.take(chosen) if chosen.size < len(dataset) else dataset
    if len(dataset) < 2:
        raise LabelError(f"{len(dataset)} labelled row is left; at least 2 are needed to learn anything.")
    held = splitting.part(condition, options.holdout, Stream(options.seed).child("split"), dataset.groups)
    train, condition = dataset.take(~held), condition[~held]
    lost = sorted(set(range(len(combinations))) - set(condition.tolist()))
    if lost:
        names = condition_names(dataset.schema, combinations)
        raise LabelError(
            f"holding out whole groups leaves no training row of {listed(names[c] for c in lost)}. "
            "Use another --seed, a smaller --holdout, or --no-holdout."
        )
    pool = _pool(whole.take(blank) if blank.any() else None, unlabelled, dataset, held)
    if options.genes is not None and options.genes < train.features:
        selected = genes.select(train if pool is None else stacked(train, pool), options.genes)
        options.listener(
            Progress(
                "preprocess",
                note=f"{len(selected)} most variable of {train.features} features are modelled; the others will be absent "
                "from synthetic rows",
            )
        )
        train, pool = train.select(selected), None if pool is None else pool.select(selected)
    inferred, found = np.zeros(len(train), dtype=bool), None
    if pool is not None:
        names = condition_names(dataset.schema, combinations)
        joined = join(train, condition, combinations, names, pool, Stream(options.seed).child("unlabelled"))
        train, condition, inferred, found = joined.rows, joined.condition, joined.inferred, joined.record
        options.listener(Progress("labels", note=sentence(found)))
    masks: dict[str, NDArray[Any]] = {name: np.zeros(rows, dtype=np.uint8) for name in ("holdout", "dropped")}
    masks["dropped"][:] = 1
    masks["dropped"][kept] = 0
    masks["holdout"][kept[held]] = 1
    # so that nobody can take these rows for held-out ones, wherever they turn up again
    masks["fingerprints"] = np.sort(fingerprints(train))
    record = {
        "data": DataRecord(
            name=options.name,
            digest=digest,
            rows=rows,
            features=dataset.features,
            labels={
                column.name: {
                    category: int((dataset.codes[:, i] == code).sum())
                    for code, category in enumerate(column.categories)
                }
                for i, column in enumerate(dataset.schema.labels)
            },
        ),
        "split": {"holdout_rows": int(held.sum()), "fraction": options.holdout, "inferred": found},
    }
    return Prepared(train, condition, combinations, masks, record, inferred)


def _pool(own: Dataset | None, more: Dataset | None, labelled: Dataset, held: NDArray[np.bool_]) -> Dataset | None:
    """Rows without labels, of the data itself and of elsewhere; none of a group that is held out."""
    if own is not None and own.groups is not None and labelled.groups is not None:
        own = own.take(~np.isin(own.groups.astype(str), labelled.groups[held].astype(str)))
    other = None if more is None else matched(more, labelled.schema, "the unlabelled data")
    parts = [part for part in (own, other) if part is not None and len(part)]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else stacked(*parts)


def fit(prepared: Prepared, options: Options, *, choice: dict[str, Any] | None = None) -> Fitted:
    """Fit one model to prepared rows.

    Args:
        prepared: training rows.
        options: model, settings, limits.
        choice: what ``auto`` recorded about its choice.

    Raises:
        ConfigError: unknown model or setting, or a model that does not accept this data.
        TrainingFailed: training diverged.
        Interrupted: the user stopped it.
    """
    started = time.monotonic()
    rng = Stream(options.seed).child("fit", options.model)
    kind = MODELS.get(options.model)
    config = configure(kind, options.model, options.settings)
    train = prepared.train
    size = row_sums(train.x) if train.schema.space is Space.COUNTS else None
    plan = chain.plan(train, kind.spec, pca=options.pca)
    for reason in plan.reasons:
        options.listener(Progress("preprocess", note=reason))
    fitted_chain, x = chain.Chain.fit(plan, train.x, size, train.schema.space)
    layout = Layout(
        space=fitted_chain.space,
        features=x.shape[1],
        categories=tuple(len(column.categories) for column in train.schema.labels),
        combinations=prepared.combinations,
        rows=len(train),
        levels=fitted_chain.levels,
    )
    model = kind.build(layout, config)
    given = Given(prepared.condition, train.codes, train.covariates, size)
    valid = np.zeros(len(train), dtype=bool)
    stops_early = kind.spec.trained and any(stage.patience is not None for stage in model.stages())
    if stops_early and len(train) >= VALID_FEWEST:
        valid = splitting.part(prepared.condition, VALID_SHARE, rng.child("valid"), splitting.several(train.groups))
    encoded = Encoded(x, given, valid, layout)
    summary: dict[str, Any] = {}
    history: list[dict[str, Any]] = []
    try:
        if kind.spec.trained:
            from augmentor.training.loop import Run
            from augmentor.training.loop import train as run_training

            run = Run(
                options.device,
                options.listener,
                options.stop,
                options.max_seconds,
                options.checkpoint,
                options.resume,
                _identity(prepared, options),
                options.model,
            )
            outcome = run_training(model, encoded, rng, run)
            summary, history = {"stages": outcome.stages}, outcome.history
        else:
            model.estimate(encoded, rng)
        calibration = _calibration(model, kind, encoded, fitted_chain, options, rng)
    except MemoryError:
        raise ResourceError(
            f"fitting {options.model} to {len(train)} rows x {train.features} features ran out of memory. "
            "Model fewer genes (--genes 2000) or fewer rows."
        ) from None
    record = {
        **prepared.record,
        "augmentor": __version__,
        "created": datetime.now(UTC),
        "seed": options.seed,
        "split": SplitRecord(
            train_rows=len(train),
            valid_rows=int(valid.sum()),
            group=options.group,
            **prepared.record["split"],
        ),
        "training": summary,
        "choice": choice,
        "wall_seconds": round(time.monotonic() - started, 3),
        "peak_memory_mb": _peak_memory(),
        "environment": _environment(),
    }
    return Fitted(
        schema=train.schema,
        layout=layout,
        name=options.model,
        config=config,
        model=model,
        chain=fitted_chain,
        size=None if size is None else SizeModel.fit(size, prepared.condition, layout.conditions),
        calibration=calibration,
        # of the user's own labels: "as many as there were" does not mean guesses
        counts=tuple(int(n) for n in np.bincount(prepared.condition[~prepared.inferred], minlength=layout.conditions)),
        record=record,
        tensors=prepared.split,
        history=history,
    )


def configure(kind: Any, name: str, settings: Mapping[str, Any]) -> Any:
    """Build a model's config from settings; unknown names and values out of bounds are refused in one sentence."""
    fields = kind.Config.model_fields
    for setting in settings:
        if setting not in fields:
            known = listed(fields, most=40) or "none"
            raise ConfigError(
                f"'{setting}' is not a setting of {name}.{did_you_mean(setting, fields)} Settings: {known}."
            )
    try:
        return kind.Config(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"setting '{where}' of {name}: {first['msg']}, but it is {first['input']!r}.") from None


def _calibration(
    model: Any, kind: Any, encoded: Encoded, fitted: chain.Chain, options: Options, rng: Stream
) -> Calibration | None:
    wanted = kind.spec.calibrated if options.calibrate is None else options.calibrate
    if not wanted or fitted.space is Space.MIXED:
        return None
    options.listener(Progress(options.model, note="calibrating margins"))
    return calibrate(
        encoded.x,
        encoded.given,
        encoded.layout.conditions,
        model.draw,
        rng.child("calibration"),
        exact_zeros=fitted.space in (Space.COUNTS, Space.LOG),
    )


def _combinations(dataset: Dataset) -> tuple[tuple[tuple[int, ...], ...], NDArray[np.intp]]:
    """Label combinations that occur, in category order, and the one of each row."""
    if not dataset.schema.labels:
        return ((),), np.zeros(len(dataset), dtype=np.intp)
    found, condition = np.unique(dataset.codes, axis=0, return_inverse=True)
    return tuple(tuple(int(code) for code in codes) for codes in found), condition.ravel().astype(np.intp)


def _rare(
    dataset: Dataset, condition: NDArray[np.intp], combinations: tuple[tuple[int, ...], ...], options: Options
) -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[tuple[int, ...], ...]]:
    """Deal with labels of very few rows: refuse, drop or keep them, as the options say."""
    counts = np.bincount(condition, minlength=len(combinations))
    names = condition_names(dataset.schema, combinations)
    keep = np.ones(len(combinations), dtype=bool)
    if options.min_label_rows is not None:
        keep = counts >= options.min_label_rows
        if not keep.any():
            raise LabelError(
                f"no label has {options.min_label_rows} rows or more (largest: {counts.max()}); lower --min-label-rows."
            )
        if not keep.all():
            dropped = [f"{names[c]} ({counts[c]})" for c in np.flatnonzero(~keep)]
            options.listener(Progress("labels", note=f"dropped labels with too few rows: {listed(dropped, most=20)}"))
    single = np.flatnonzero(keep & (counts == 1))
    if single.size and options.rare == "refuse":
        if single.size == 1:
            what, it = f"label '{names[single[0]]}' has 1 row; at least 2 are needed to learn it", "it"
        else:
            what = f"{single.size} labels have 1 row ({listed(names[c] for c in single)}); at least 2 are needed to learn one"
            it = "them"
        raise LabelError(
            f"{what}. Merge {it}, drop {it} with --min-label-rows 2, or pass --rare keep to resample {it}."
        )
    if options.rare not in ("refuse", "keep"):
        raise ConfigError(f"rare must be 'refuse' or 'keep', not '{options.rare}'.")
    rows = np.flatnonzero(keep[condition])
    position = np.cumsum(keep) - 1
    return rows, position[condition[rows]], tuple(combinations[c] for c in np.flatnonzero(keep))


def _identity(prepared: Prepared, options: Options) -> str:
    """What a checkpoint must share with the run that continues it: training rows, settings and seed."""
    text = json.dumps(
        [prepared.train.digest(), options.model, dict(options.settings), options.seed, options.pca], default=str
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _peak_memory() -> float | None:
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _environment() -> dict[str, str]:
    packages = ("numpy", "scipy", "scikit-learn", "torch")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def without(prepared: Prepared, rows: NDArray[np.bool_]) -> Prepared:
    """Return prepared rows without some: the rows that a selection is judged on."""
    return replace(
        prepared,
        train=prepared.train.take(~rows),
        condition=prepared.condition[~rows],
        inferred=prepared.inferred[~rows],
    )
