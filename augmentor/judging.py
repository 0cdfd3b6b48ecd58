"""`evaluate` and `cross_fit`: from what a user has -- files, AnnData, data frames, whoever made them -- to a report."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from augmentor import io
from augmentor.api import Augmentor
from augmentor.core.errors import ConfigError, ThresholdMissed
from augmentor.core.progress import Listener, Progress, silent
from augmentor.core.space import Space
from augmentor.forms import loaded
from augmentor.io._provenance import provenance

if TYPE_CHECKING:
    from augmentor.comparison.result import Comparison
    from augmentor.core.dataset import Dataset
    from augmentor.evaluation.score import Report


def evaluate(
    synthetic: Any,
    *,
    train: Any = None,
    holdout: Any = None,
    real: Any = None,
    artifact: str | Path | Augmentor | None = None,
    label: str | Sequence[str] | None = None,
    covariate: str | Sequence[str] | None = None,
    group: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    transpose: bool = False,
    space: str = "auto",
    categorical: str | Sequence[str] = (),
    numeric: str | Sequence[str] = (),
    ordered: Mapping[str, Sequence[object]] | None = None,
    synthetic_label: str | Sequence[str] | None = None,
    synthetic_layer: str | None = None,
    synthetic_transpose: bool | None = None,
    common_genes: bool = False,
    allow_overlap: bool = False,
    metrics: Literal["quick", "default"] | Sequence[str] = "default",
    full: bool = False,
    utility: bool = False,
    skip: Sequence[str] = (),
    control: str | None = None,
    gene_sets: str | Path | Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
    n_max: int = 2000,
    budget: float | None = None,
    command: str = "",
    names: Mapping[str, str] | None = None,
    listener: Listener = silent,
) -> Report:
    """Say how good synthetic rows are: every score beside what real rows and a useless generator score.

    Args:
        synthetic: rows to judge, whoever made them: path, AnnData, data frame, ``(X, y)``.
        train: real rows that the generator was fitted on.
        holdout: real rows that it never saw. Without them the training rows are halved, and little is certain.
        real: instead of ``train`` and ``holdout``: all real rows, divided as ``artifact`` records, else halved.
        artifact: the fitted model, or its path. Held-out rows that it was trained on, as it records, are refused.
        label: label column or columns, in all sets; those of ``artifact`` if None.
        covariate: columns that rows were conditioned on and that are no features, in all sets; those of ``artifact`` if None.
        group: column whose values stay together in splits.
        layer: layer to use instead of X, in the real sets.
        use_raw: use ``raw`` of the real sets.
        transpose: genes are in rows (tables).
        space: space of all sets; ``auto`` takes the real rows', and refuses synthetic rows in another unit.
        categorical: columns of the real tables that are categories, also where they hold numbers; the synthetic table is typed as
            these are.
        numeric: columns of the real tables that are numbers, also where they were read as text or categories.
        ordered: columns of the real tables that are categories, each with all its values, lowest first.
        synthetic_label: what the synthetic set calls the label columns, if not as the real ones.
        synthetic_layer: layer to use instead of X, in the synthetic set.
        synthetic_transpose: genes are in rows of the synthetic set; as ``transpose`` if None.
        common_genes: judge the genes that all sets share, where most are shared; else any difference is refused.
        allow_overlap: accept held-out rows that are also training rows, given ones or those that ``artifact`` records.
        metrics: ``quick``, ``default``, or names.
        full: also compute what the default set leaves out for its cost, and resample more often.
        utility: also compare, on splits of the training rows, what adding rows of this kind of model does for a classifier
            (`augmentor.compare`, its quick form unless ``full``); the model is the artifact's, fitted anew in every split.
        skip: metrics to leave out.
        control: label that differences between labels are taken against; the mean of the other labels if None.
        gene_sets: names of genes by set, or a GMT file, for scores per pathway.
        seed: seed of every subsample.
        n_max: largest number of rows a side for neighbours, kernels and classifiers.
        budget: seconds after which no further metric is begun.
        command: recorded in the report.
        names: what the report calls ``synthetic``, ``train`` and ``holdout``; names of files where paths are given.
        listener: told about progress.

    Returns:
        The report.

    Raises:
        Refused: the sets do not fit together; the message names what differs.
    """
    from augmentor.evaluation.agreement import of_synthetic, stores_rows, together
    from augmentor.evaluation.checks import trained_on
    from augmentor.evaluation.run import evaluate as run

    if (real is None) == (train is None):
        raise ConfigError("give the real rows either as real=, or as train= (and holdout=).")
    model = artifact if artifact is None or isinstance(artifact, Augmentor) else Augmentor.load(artifact)
    if label is None and model is not None:
        label = [column.name for column in model.fitted.schema.labels] or None
    if covariate is None:
        covariate = () if model is None else model.fitted.schema.covariates
    given = train if real is None else real
    paths = {"synthetic": synthetic, "train": given, "holdout": holdout if real is None else real}
    names = {name: Path(data).name for name, data in paths.items() if isinstance(data, str | Path)} | dict(names or {})
    how: dict[str, Any] = {"label": label, "group": group, "layer": layer, "use_raw": use_raw, "space": space}
    how["covariates"] = covariate
    how |= {"categorical": categorical, "numeric": numeric, "ordered": ordered}
    known, unseen = loaded(given, "all", **how, transpose=transpose)[0], None
    if real is not None and model is not None:
        known, held = model.split(known)
        unseen = held if len(held) else None
    elif real is None and holdout is not None:
        unseen, _ = loaded(holdout, "all", **how, transpose=transpose)
    labels = [column.name for column in known.schema.labels]
    how = {"label": synthetic_label or (labels[0] if len(labels) == 1 else labels or None), "layer": synthetic_layer}
    how |= {"covariates": covariate, "space": str(known.schema.space) if known.schema.space is Space.MIXED else space}
    with of_synthetic():
        turned = transpose if synthetic_transpose is None else synthetic_transpose
        made, _ = loaded(synthetic, "all", **how, transpose=turned)
    sets = (made, known, unseen)
    modelled = None if model is None else model.fitted.schema.features
    checks: dict[str, Any] = {"drawn": bool(provenance(given)), "modelled": modelled, "common": common_genes}
    made, known, unseen, warned = together(*sets, names, **checks, asked=space != "auto")
    if model is not None and sets[2] is not None:
        # of the sets as they were read: the record is of all features of the model, also of those that are not compared
        recorded, features = model.fitted.tensors.get("fingerprints"), model.fitted.schema.features
        warned += tuple(trained_on(sets[2], sets[1], recorded, features, allow=allow_overlap))
    kept = None if model is None else (model.fitted.name, model.fitted.model.spec.keeps_rows)
    record = provenance(synthetic)
    columns = list(range(len(known.schema.labels)))
    if utility and model is None:
        raise ConfigError("--utility fits the model anew on splits of the training rows: give its --artifact.")
    report = run(
        made,
        known,
        unseen,
        label=columns[0] if len(columns) == 1 else columns,
        metrics=metrics,
        full=full,
        skip=skip,
        control=control,
        gene_sets=io.read_gene_sets(gene_sets) if isinstance(gene_sets, str | Path) else gene_sets,
        seed=seed,
        n_max=n_max,
        budget=budget,
        command=command,
        names=names,
        allow_overlap=allow_overlap,
        plan=_asked(record, known),
        keeps_rows=stores_rows(record, kept),
        warned=warned,
        listener=listener,
    )
    if utility and model is not None:
        from augmentor.comparison.run import compare

        found = compare(known, models=[model.fitted.name], quick=not full, seed=seed, group=group, listener=listener)
        report = _with_gains(report, found)
    return report


def _asked(record: Mapping[str, Any] | None, train: Dataset) -> dict[str, int] | None:
    """Return the rows per label that were asked for, under the names that the evaluation gives labels.

    A plan names combinations ``B|stim``, the evaluation ``B | stim``; stores have no ``/`` in names and write ``_``.

    Returns:
        None where nothing is recorded, or the plan speaks of other labels than these.
    """
    plan = {name.replace("/", "_"): n for name, n in (record or {}).get("plan", {}).items()}
    columns = [train.labels(i) for i in range(len(train.schema.labels))]
    # rows without a label are refused elsewhere
    combinations = sorted({parts for parts in zip(*columns, strict=True) if None not in parts})
    written = ["|".join(parts).replace("/", "_") for parts in combinations]
    if not columns or len(set(written)) < len(written):
        return None
    asked = {" | ".join(parts): plan.get(name, 0) for name, parts in zip(written, combinations, strict=True)}
    return asked if any(asked.values()) else None


def _with_gains(report: Report, found: Comparison) -> Report:
    """Put the answer of a comparison in the place of the one that a single split could give."""
    from augmentor.evaluation.score import Verdict

    rows = [
        (arm.arm, arm.learner, gain.mean, gain.low, gain.high)
        for arm in found.arms
        if (gain := arm.gains.get("balanced_accuracy")) is not None and arm.kind in ("simple", "model")
    ]
    columns = {key: [row[i] for row in rows] for i, key in enumerate(("arm", "learner", "gain", "low", "high"))}
    answer = Verdict(verdict=found.verdict.verdict, sentence=found.verdict.sentence)
    return report.model_copy(
        update={
            "verdicts": report.verdicts | {"augmentation": answer},
            "figures": report.figures | {"augmentation": columns},
        }
    )


def check_requirements(
    thresholds: Sequence[str],
    *,
    metrics: Literal["quick", "default"] | Sequence[str] = "default",
    full: bool = False,
    skip: Sequence[str] = (),
) -> None:
    """Refuse, before an evaluation, thresholds (`Report.require`) that none of its scores could meet.

    Raises:
        ConfigError: a threshold cannot be read, or names no score of these metrics.
    """
    from augmentor.evaluation.assemble import wanted
    from augmentor.evaluation.run import chosen
    from augmentor.evaluation.score import Report, Score

    known = {
        spec.name: Score(spec=spec, value=None)
        for _, metric in chosen(metrics, skip, full=full)
        for spec in wanted(metric, full=full)
    }
    # a report without values, asked for its refusals only
    empty = Report(augmentor="", created="", seed=0, label="", data={}, space={}, arms=(), scores=known)
    with contextlib.suppress(ThresholdMissed):
        empty.require(*thresholds)


def cross_fit(
    real: Any,
    *,
    artifact: str | Path | Augmentor,
    folds: int = 5,
    group: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    transpose: bool = False,
    categorical: str | Sequence[str] = (),
    numeric: str | Sequence[str] = (),
    ordered: Mapping[str, Sequence[object]] | None = None,
    metrics: Literal["quick", "default"] | Sequence[str] = "default",
    full: bool = False,
    skip: Sequence[str] = (),
    control: str | None = None,
    gene_sets: str | Path | Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
    n_max: int = 2000,
    command: str = "",
    names: Mapping[str, str] | None = None,
    listener: Listener = silent,
) -> Report:
    """Judge a recipe where no rows were held out: fit it anew on all folds but one, judge by that one, and join the reports.

    What is judged are rows of ``folds`` refits of the artifact's model with its settings, not rows that were drawn before. Rows
    without a label are learned from in every refit, as `fit` does, and judge nothing.

    Args:
        real: all real rows.
        artifact: the fitted model, or its path: its kind, settings and number of genes are the recipe.
        folds: refits.
        group: column whose values stay together in a fold.
        layer: layer to use instead of X.
        use_raw: use ``raw``.
        transpose: genes are in rows (tables).
        categorical: as in `evaluate`.
        numeric: as in `evaluate`.
        ordered: as in `evaluate`.
        metrics: as in `evaluate`.
        full: as in `evaluate`.
        skip: as in `evaluate`.
        control: as in `evaluate`.
        gene_sets: as in `evaluate`.
        seed: seed of folds, refits and evaluations.
        n_max: as in `evaluate`.
        command: recorded in the report.
        names: what the report calls the sets.
        listener: told about progress.

    Returns:
        One report; ``space["refits"]`` says from how many.

    Raises:
        ConfigError: fewer than two folds, or the model learned from a reference too, which this file does not hold.
        Refused: the data does not fit the artifact.
    """
    from augmentor.comparison.splits import outer
    from augmentor.core.random import Stream
    from augmentor.evaluation.crossfit import joined
    from augmentor.evaluation.run import evaluate as run
    from augmentor.fitting import fit as fit_model
    from augmentor.preparing import Options, prepare
    from augmentor.sampling import draw, plan

    if folds < 2:
        raise ConfigError(f"{folds} folds: at least 2 are needed, one to judge by and one to learn from.")
    model = artifact if isinstance(artifact, Augmentor) else Augmentor.load(artifact)
    fitted = model.fitted
    if fitted.record["split"].reference is not None:
        raise ConfigError(
            "the model was fitted with a --reference, and --cross-fit fits it anew on the real rows alone, which is another recipe. "
            "Hold rows out (fit --holdout 0.2) and evaluate what it draws."
        )
    label = [column.name for column in fitted.schema.labels] or None
    how: dict[str, Any] = {"label": label, "group": group, "layer": layer, "use_raw": use_raw, "transpose": transpose}
    how |= {"categorical": categorical, "numeric": numeric, "ordered": ordered}
    known, _ = loaded(real, "all", **how, covariates=fitted.schema.covariates, space=str(fitted.schema.space))
    labelled = np.all(known.codes >= 0, axis=1)
    y = np.unique(known.codes, axis=0, return_inverse=True)[1].ravel() if label else np.zeros(len(known), dtype=np.intp)
    genes = len(fitted.schema.features) if len(fitted.schema.features) < known.features else None
    settings = fitted.config.model_dump(exclude_unset=True)
    sets = io.read_gene_sets(gene_sets) if isinstance(gene_sets, str | Path) else gene_sets
    columns = list(range(len(label or ())))
    reports = []
    for turn, (fit_rows, test_rows) in enumerate(outer(y, known.groups, folds, 1, Stream(seed).child("cross_fit"))):
        listener(Progress("cross-fit", turn, folds, "refits"))
        options = Options(
            model=fitted.name,
            settings=settings,
            seed=seed + turn,
            genes=genes,
            holdout=0.0,
            rare="keep",
            calibrate=fitted.calibration is not None,
            reject=None if fitted.rejection is None else fitted.rejection.record["share"],
            partial=True,
        )
        refit = fit_model(prepare(replace(known.take(fit_rows), extra={}), options), options)
        train, holdout = (known.take(rows[labelled[rows]]) for rows in (fit_rows, test_rows))
        made = draw(refit, plan(refit, len(train)), seed + turn)
        kept = [known.schema.features.index(name) for name in made.schema.features]
        reports.append(
            run(
                made,
                train.select(kept),
                holdout.select(kept),
                label=columns[0] if len(columns) == 1 else columns,
                metrics=metrics,
                full=full,
                skip=skip,
                control=control,
                gene_sets=sets,
                seed=seed,
                n_max=n_max,
                command=command,
                names=names,
                keeps_rows=fitted.model.spec.keeps_rows,
            )
        )
    listener(Progress("cross-fit", folds, folds, "refits"))
    return joined(reports, keeps_rows=fitted.model.spec.keeps_rows)
