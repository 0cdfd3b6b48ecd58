"""From a data set to rows that a model can be fitted to: labels checked, rows held out, features selected, more rows brought in.

Everything is decided by training rows only; held-out rows are set aside and recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor import splitting
from augmentor.artifact import DataRecord
from augmentor.core.alignment import widened
from augmentor.core.dataset import Dataset, missing_labels
from augmentor.core.errors import ConfigError, LabelError, listed
from augmentor.core.fingerprints import fingerprints
from augmentor.core.progress import Listener, Progress, Stop, never, silent
from augmentor.core.random import Stream
from augmentor.fitted import condition_names
from augmentor.preprocess import genes
from augmentor.reference import bring
from augmentor.unlabelled import gathered, join, sentence, stacked


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
        reject: share of real rows of a label that looks too untypical to be drawn (rejection sampling); None for none.
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
    reject: float | None = None
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
        inferred: ``(rows,)`` True for training rows whose label was inferred, or that are of a reference.
        held: the rows held out, selected genes only; nothing that draws rows depends on them.
        held_condition: label combination of each.
    """

    train: Dataset
    condition: NDArray[np.intp]
    combinations: tuple[tuple[int, ...], ...]
    split: dict[str, NDArray[Any]]
    record: dict[str, Any]
    inferred: NDArray[np.bool_]
    held: Dataset
    held_condition: NDArray[np.intp]

    @property
    def labels(self) -> list[str]:
        """Names of the combinations."""
        return condition_names(self.train.schema, self.combinations)


def prepare(
    dataset: Dataset, options: Options, *, unlabelled: Dataset | None = None, reference: Dataset | None = None
) -> Prepared:
    """Check labels, hold rows out, select genes on the training rows, infer the labels of rows without one.

    Args:
        dataset: the rows; those without a label are learned from with an inferred one, and never held out.
        options: how to divide and select.
        unlabelled: more rows without labels, with the same features (others may stand beside them).
        reference: many rows of elsewhere with the same features, to be adapted to the training rows and learned from beside them.

    Raises:
        LabelError: no row has a label, or a label has too few rows.
        ConfigError: an option is out of its bounds.
    """
    if not 0 <= options.holdout < 1:
        raise ConfigError(f"holdout is a share of the rows in [0, 1), not {options.holdout}.")
    if options.genes is not None and options.genes < 1:
        raise ConfigError(f"genes must be at least 1, or all, not {options.genes}.")
    if options.reject is not None and not 0 < options.reject < 1:
        raise ConfigError(f"reject is a share of real rows in (0, 1), for example 0.05, not {options.reject}.")
    if options.seed < 0:
        raise ConfigError(f"seed must be 0 or more, not {options.seed}.")
    if unlabelled is not None:
        dataset = widened(dataset, unlabelled.schema)
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
    if options.reject is not None and len(combinations) < 2:
        raise LabelError(
            "rejection tells rows of different labels apart, but there is only one label; leave --reject out."
        )
    if len(dataset) < 2:
        raise LabelError(f"{len(dataset)} labelled row is left; at least 2 are needed to learn anything.")
    held = splitting.part(condition, options.holdout, Stream(options.seed).child("split"), dataset.groups)
    aside, held_condition = dataset.take(held), condition[held]
    train, condition = dataset.take(~held), condition[~held]
    lost = sorted(set(range(len(combinations))) - set(condition.tolist()))
    if lost:
        names = condition_names(dataset.schema, combinations)
        raise LabelError(
            f"holding out whole groups leaves no training row of {listed(names[c] for c in lost)}. "
            "Use another --seed, a smaller --holdout, or --no-holdout."
        )
    pool = gathered(whole.take(blank) if blank.any() else None, unlabelled, dataset, held)
    names, brought = condition_names(dataset.schema, combinations), None
    if reference is not None:
        brought = bring(reference, train, condition, combinations, names, Stream(options.seed).child("reference"))
        options.listener(Progress("reference", note=brought.sentence))
    if options.genes is not None and options.genes < train.features:
        known = train if brought is None else stacked(train, brought.rows)
        selected = genes.select(known if pool is None else stacked(known, pool), options.genes)
        options.listener(
            Progress(
                "preprocess",
                note=f"{len(selected)} most variable of {train.features} features are modelled; the others will be absent "
                "from synthetic rows",
            )
        )
        train, aside = train.select(selected), aside.select(selected)
        pool = None if pool is None else pool.select(selected)
        brought = None if brought is None else brought.select(selected)
    inferred, found = np.zeros(len(train), dtype=bool), None
    if pool is not None:
        joined = join(train, condition, combinations, names, pool, Stream(options.seed).child("unlabelled"))
        train, condition, inferred, found = joined.rows, joined.condition, joined.inferred, joined.record
        options.listener(Progress("labels", note=sentence(found)))
    if brought is not None:
        train, condition = stacked(train, brought.rows), np.concatenate([condition, brought.condition])
        inferred = np.append(inferred, np.ones(len(brought.rows), dtype=bool))
    masks: dict[str, NDArray[Any]] = {name: np.zeros(rows, dtype=np.uint8) for name in ("holdout", "dropped")}
    masks["dropped"][:] = 1
    masks["dropped"][kept] = 0
    masks["holdout"][kept[held]] = 1
    # so that nobody can take these rows for held-out ones, wherever they turn up again
    seen = [train] if brought is None else [train, brought.original]
    masks["fingerprints"] = np.sort(np.concatenate([fingerprints(rows) for rows in seen]))
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
        "split": {
            "holdout_rows": int(held.sum()),
            "fraction": options.holdout,
            "inferred": found,
            "reference": brought and brought.record,
        },
    }
    return Prepared(train, condition, combinations, masks, record, inferred, aside, held_condition)


def without(prepared: Prepared, rows: NDArray[np.bool_]) -> Prepared:
    """Return prepared rows without some: the rows that a selection is judged on."""
    return replace(
        prepared,
        train=prepared.train.take(~rows),
        condition=prepared.condition[~rows],
        inferred=prepared.inferred[~rows],
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
