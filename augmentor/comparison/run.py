"""`compare`: from a data set to a leaderboard and an answer."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor import __version__, io
from augmentor.comparison import curve as learning
from augmentor.comparison import learners as classifiers
from augmentor.comparison import pool as pooling
from augmentor.comparison import protocol, semisupervised, splits
from augmentor.comparison.arms import TAUGHT, generators
from augmentor.comparison.design import INNER, Design
from augmentor.comparison.protocol import Split
from augmentor.comparison.result import Comparison, Protocol
from augmentor.comparison.summary import Points, Setting, decisive, summarised
from augmentor.core.alignment import widened
from augmentor.core.dataset import Dataset
from augmentor.core.errors import ConfigError, LabelError, did_you_mean, listed
from augmentor.core.progress import Listener, Progress, Stop, never, silent
from augmentor.core.random import Stream
from augmentor.evaluation.run import one_thread
from augmentor.preparing import Options, prepare

RATIOS, QUICK_RATIOS = (0.0, 0.5, 1.0, 2.0, 5.0), (0.0, 1.0, 2.0)
FOLDS, REPEATS, QUICK_REPEATS = 5, 5, 2
MOST_ROWS, QUICK_ROWS, FULL_ROWS = 2000, 1000, 5000
GENES, FULL_GENES = 500, 2000
# a label needs a row to test, and two in every inner training part to learn from
FEWEST_ROWS = 4


def compare(
    data: Any,
    *,
    label: str | Sequence[str] | None = None,
    unlabelled: Any = None,
    models: Sequence[str] | None = None,
    learners: Sequence[str] | None = None,
    ratios: Sequence[float] | None = None,
    per_label: int | None = None,
    labelled: int | None = None,
    splits: int = FOLDS,
    repeats: int | None = None,
    seeds: int = 3,
    group: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    transpose: bool = False,
    space: str = "auto",
    categorical: str | Sequence[str] = (),
    numeric: str | Sequence[str] = (),
    ordered: Mapping[str, Sequence[object]] | None = None,
    genes: int | None = None,
    min_label_rows: int | None = None,
    most_rows: int | None = None,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
    max_time: float | None = None,
    name: str | None = None,
    command: str = "",
    listener: Listener = silent,
    stop: Stop = never,
) -> Comparison:
    """Say whether synthetic rows help a classifier on real rows that nothing has seen: augment, do not, or not known.

    Rows are split first. Everything else (genes, scaling, generators, ratio, threshold, penalty) is fitted and chosen inside
    the training rows of each split; a generator sees exactly the rows that the classifier sees.

    Rows without a label, where there are any, stand beside the training rows of every split, never beside the test rows, and
    never those of a group that tests. Then there are arms that use them without a generator, and every model has a second arm
    that learns from them; the answer says what the unlabelled rows bring, and what synthesis adds beyond that.

    Args:
        data: path, AnnData, data frame, ``(X, y)`` or a `Dataset`; rows whose label is missing are unlabelled ones.
        label: label column or columns.
        unlabelled: more rows of the same features, without labels, in any form that ``data`` can have; with ``group``, they
            need that column too.
        models: generators to compare beside the simple arms; copula if None.
        learners: ``lr``, ``rf``, ``gb``; the first two if None.
        ratios: synthetic rows per real row to choose from; 0 is always among them.
        per_label: train on at most this many rows of each label; the others still test.
        labelled: in every training part this many rows of each label keep their label and the others lose it: what so few
            labels would do.
        splits: folds of each repeat.
        repeats: repeats of the folds; 5, or 2 if ``quick``.
        seeds: synthetic sets per split, averaged.
        group: column whose values are never divided (patient, donor).
        layer: layer to use instead of X.
        use_raw: use ``raw`` instead of X.
        transpose: genes are in rows (tables).
        space: ``auto``, ``counts``, ``log``, ``continuous`` or ``mixed``.
        categorical: columns of a table that are categories, also where they hold numbers.
        numeric: columns of a table that are numbers, also where they were read as text or categories.
        ordered: columns of a table that are categories, each with all its values, lowest first.
        genes: most variable genes that are modelled and looked at, chosen inside every training part; 500 if None.
        min_label_rows: drop labels with fewer rows.
        most_rows: training rows, and test rows, of a split at most; 2,000 if None.
        seed: same seed, same result.
        quick: two repeats, fewer ratios, at most 1,000 rows.
        full: a deep model, boosting, more genes and rows.
        max_time: seconds after which no further split is begun.
        name: what the result calls the data.
        command: recorded in the result.
        listener: told about progress.
        stop: asked while a model trains whether to stop.

    Returns:
        The comparison; ``print(result.to_text())``.

    Raises:
        LabelError: fewer than two labels, or labels with too few rows.
        ConfigError: an unknown learner, model or number.
        SchemaMismatch: the unlabelled rows lack features, or are in another unit.
    """
    started = time.monotonic()
    wanted = _ratios(ratios if ratios is not None else QUICK_RATIOS if quick else RATIOS)
    chosen = _learners(learners or (("lr", "rf", "gb") if full else ("lr", "rf")))
    repeats = repeats if repeats is not None else QUICK_REPEATS if quick else REPEATS
    most = most_rows if most_rows is not None else QUICK_ROWS if quick else FULL_ROWS if full else MOST_ROWS
    genes = genes if genes is not None else FULL_GENES if full else GENES
    for what, number, least in (
        ("splits", splits, 2),
        ("repeats", repeats, 1),
        ("seeds", seeds, 1),
        ("per_label", per_label, 2),
        ("labelled", labelled, 2),
        ("genes", genes, 1),
        ("most_rows", most, 20),
    ):
        if number is not None and number < least:
            raise ConfigError(f"{what} must be at least {least}, not {number}.")
    if labelled is not None and per_label is not None:
        raise ConfigError("per_label drops training rows and labelled only their labels; give one of them.")
    types: dict[str, Any] = {"categorical": categorical, "numeric": numeric, "ordered": ordered}
    how: dict[str, Any] = {"group": group, "layer": layer, "use_raw": use_raw, "transpose": transpose, **types}
    dataset = io.convert(data, label=label, space=space, **how)
    for note in dataset.notes:
        listener(Progress("read", note=note))
    more = None if unlabelled is None else io.convert(unlabelled, space=str(dataset.schema.space), **how)
    if more is not None:
        dataset = widened(dataset, more.schema)
    rows, y, names, own = _labelled(dataset, min_label_rows, listener)
    if labelled is not None and labelled >= (most_common := int(np.bincount(y).max())):
        raise ConfigError(
            f"labelled is {labelled}, but no label has more than {most_common} rows: none would lose its label. Give fewer."
        )
    pool = pooling.gathered(rows, own, more, listener)
    named = tuple(dict.fromkeys(models if models is not None else ("copula", *(("cvae",) if full else ()))))
    makers = generators(named, rows.schema.space, stop)
    for arm in set(named) - set(makers):
        listener(Progress("compare", note=f"{arm} takes no part: it does not accept {rows.schema.space} data"))
    design = Design(len(names), makers, chosen, wanted, seeds, min(genes, rows.features))
    if pool is not None or labelled is not None:
        taught = {f"{name}{TAUGHT}": name for name in named if name in makers}
        design = replace(design, unlabelled=semisupervised.ARMS, taught=taught)
    setting = Setting(
        design=design,
        folds=splits,
        repeats=repeats,
        per_label=per_label,
        labelled=labelled,
        most_rows=most,
        max_time=max_time,
        seed=seed,
    )
    with one_thread():
        judged, points, warnings = run(rows, y, setting, listener, started, pool)
    called = name or (Path(data).name if isinstance(data, str | Path) else type(data).__name__)
    result = summarised(judged, points, setting, names, warnings)
    return Comparison(
        augmentor=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 1),
        seed=seed,
        command=command,
        name=called,
        label=", ".join(column.name for column in rows.schema.labels),
        space=str(rows.schema.space),
        rows=len(rows),
        genes=rows.features,
        labels={name: int(n) for name, n in zip(names, np.bincount(y, minlength=len(names)), strict=True)},
        **result,
        protocol=_protocol(judged, setting, group, named, 0 if pool is None else len(pool)),
        environment=_environment(),
    )


def run(
    rows: Dataset,
    y: NDArray[np.intp],
    setting: Setting,
    listener: Listener = silent,
    started: float | None = None,
    unlabelled: Dataset | None = None,
) -> tuple[list[Split], Points, list[str]]:
    """Carry out all splits, then measure the learning curve of the learner that did best on real rows.

    Args:
        rows: labelled rows.
        y: ``(rows,)`` label positions.
        setting: what to do.
        listener: told about progress.
        started: when the time limit began to run, on the monotonic clock.
        unlabelled: rows without a label, for the arms of the design that use them.

    Returns:
        The splits, the points of the learning curve by split, and what weakens the result.
    """
    started = time.monotonic() if started is None else started
    design, rng = setting.design, Stream(setting.seed).child("compare")
    total = setting.folds * setting.repeats
    fits, arms = design.classifiers * total, (*design.generators, *design.unlabelled, *design.taught)
    listener(
        Progress(
            "compare",
            note=f"{total} splits, at most {fits:,} classifiers and {design.fits * total:,} generators to fit "
            f"({', '.join(arms)}; {', '.join(classifiers.NAMES[kind] for kind in design.learners)})",
        )
    )
    drawn = list(splits.outer(y, rows.groups, setting.folds, setting.repeats, rng.child("splits")))
    judged: list[Split] = []
    warnings: list[str] = []
    parts: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    began = time.monotonic()
    for j, (pool, test) in enumerate(drawn):
        if setting.max_time is not None and j and time.monotonic() - started > setting.max_time:
            warnings.append(f"the time limit ended the comparison after {j} of {total} splits.")
            break
        stream, done = rng.child("split", j), 0

        def tick(n: int, j: int = j) -> None:
            nonlocal done
            done += n
            listener(Progress("comparing", j * design.classifiers + done, fits, "classifiers"))

        few = setting.per_label if setting.labelled is None else setting.labelled
        train = pool if few is None else pool[splits.at_most(y[pool], few, stream.child("per_label"))]
        train = train[splits.share(y[train], setting.most_rows, stream.child("most"))]
        test = test[splits.share(y[test], setting.most_rows, stream.child("tested"))]
        if len(np.unique(y[train])) < 2:
            raise LabelError("the training rows of a split hold a single label; give fewer splits or other groups.")
        spare = np.setdiff1d(pool, train) if few is not None else train[:0]
        beside = None
        if design.unlabelled:
            lost = spare if setting.labelled is not None else spare[:0]
            beside = pooling.beside(unlabelled, rows, lost, test, setting.most_rows, stream.child("unlabelled"))
        spare = spare[splits.share(y[spare], setting.most_rows, stream.child("spare"))] if len(spare) else spare
        extra, extra_y = (rows.take(spare), y[spare]) if len(spare) else (None, None)
        outcome = protocol.learned(rows.take(train), y[train], design, stream, tick, extra, extra_y, beside)
        judged.append(protocol.judged(outcome, rows.take(test), y[test], design))
        parts.append((pool, test))
        tick(design.classifiers - done)
        if not j:
            seconds = (time.monotonic() - began) * (total - 1)
            listener(Progress("compare", note=f"the first split is done; about {_duration(seconds)} for the others"))
    least = np.sum([split.trained for split in judged], axis=0)
    if judged[0].pool == setting.most_rows:
        warnings.append(
            f"at most {setting.most_rows:,} rows without a label stood beside the training rows of a split."
        )
    if (
        setting.per_label is None
        and setting.labelled is None
        and max(len(pool) for pool, _ in parts) > setting.most_rows
    ):
        warnings.append(
            f"at most {setting.most_rows:,} of {max(len(pool) for pool, _ in parts):,} training rows of a split were used."
        )
    if (least == 0).any():
        warnings.append("a label had no training row in any split.")
    kind = decisive(judged, design.learners)
    sizes = learning.caps(np.concatenate([y[pool] for pool, _ in parts[:1]]))
    penalty = float(np.median([split.penalty[kind] for split in judged]))
    points: Points = []
    for j, (pool, test) in enumerate(parts):
        pool = pool[splits.share(y[pool], setting.most_rows, rng.child("curve", j, "rows"))]
        points.append(
            learning.points(
                kind,
                (rows.take(pool), y[pool]),
                (rows.take(test), y[test]),
                sizes,
                rng.child("curve", j),
                genes=design.genes,
                labels=design.labels,
                penalty=penalty,
            )
        )
        listener(Progress("learning curve", j + 1, len(parts), "splits"))
    return judged, points, warnings


def _labelled(
    dataset: Dataset, least: int | None, listener: Listener
) -> tuple[Dataset, NDArray[np.intp], list[str], Dataset | None]:
    """Return the labelled rows, their label positions, the labels, and the rows without one."""
    if not dataset.schema.labels:
        raise LabelError("compare needs a label: the column that a classifier is to predict (--label).")
    blank, own = np.flatnonzero((dataset.codes < 0).any(axis=1)), None
    if 0 < blank.size < len(dataset):
        own = dataset.take(blank)
        dataset = dataset.take(np.setdiff1d(np.arange(len(dataset)), blank))
    prepared = prepare(
        dataset, Options(holdout=0.0, rare="keep", min_label_rows=least, partial=True, listener=listener)
    )
    counts = np.bincount(prepared.condition, minlength=len(prepared.labels))
    if len(counts) < 2:
        raise LabelError(f"the label has 1 value ({prepared.labels[0]}); a classifier needs at least 2.")
    few = [f"{name} ({n})" for name, n in zip(prepared.labels, counts, strict=True) if n < FEWEST_ROWS]
    if few:
        raise LabelError(
            f"{len(few)} labels have fewer than {FEWEST_ROWS} rows: {listed(few)}. Rows must be left to learn from, to choose "
            f"by and to test on; drop them with --min-label-rows {FEWEST_ROWS}, or merge them."
        )
    return replace(prepared.train, extra={}), prepared.condition, prepared.labels, own


def _ratios(ratios: Sequence[float]) -> tuple[float, ...]:
    if any(not 0 <= ratio <= 100 for ratio in ratios):
        raise ConfigError(f"ratios are synthetic rows per real row, from 0 to 100, not {listed(ratios)}.")
    found = tuple(sorted({float(ratio) for ratio in ratios if ratio}))
    if not found:
        raise ConfigError("ratios must hold a number above 0; 0 (do not augment) is always tried.")
    return found


def _learners(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in classifiers.NAMES:
            known = listed(f"{short} ({long})" for short, long in classifiers.NAMES.items())
            raise ConfigError(f"'{name}' is not a learner.{did_you_mean(name, classifiers.NAMES)} Known: {known}.")
    return tuple(dict.fromkeys(names))


def _protocol(
    judged: Sequence[Split], setting: Setting, group: str | None, models: tuple[str, ...], unlabelled: int
) -> Protocol:
    design = setting.design
    return Protocol(
        folds=setting.folds,
        repeats=setting.repeats,
        splits=len(judged),
        inner=INNER,
        ratios=(0.0, *design.ratios),
        seeds=design.seeds,
        learners=design.learners,
        models=models,
        genes=design.genes or 0,
        per_label=setting.per_label,
        labelled=setting.labelled,
        unlabelled=unlabelled,
        pool_rows=float(np.mean([split.pool for split in judged])),
        group=group,
        most_rows=setting.most_rows,
        train_rows=float(np.mean([split.trained.sum() for split in judged])),
        test_rows=float(np.mean([split.tested.sum() for split in judged])),
        classifiers=design.classifiers * len(judged),
        generators=design.fits * len(judged),
    )


def _environment() -> dict[str, Any]:
    versions = {name: metadata.version(name) for name in ("numpy", "scipy", "scikit-learn", "pandas")}
    return {"python": platform.python_version(), "versions": versions}


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
