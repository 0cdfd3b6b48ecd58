"""`evaluate`: from three data sets to a report."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Literal

import numpy as np

from augmentor.core.dataset import Dataset
from augmentor.core.errors import ConfigError, LabelError, did_you_mean, listed
from augmentor.core.progress import Listener, Progress, silent
from augmentor.core.registry import METRICS
from augmentor.evaluation import assemble
from augmentor.evaluation.checks import overlap, shift, weaknesses
from augmentor.evaluation.context import Frame
from augmentor.evaluation.contract import Illustrated, Metric
from augmentor.evaluation.pair import Asked
from augmentor.evaluation.rows import ALL, Aligned, Sample, align
from augmentor.evaluation.score import Failed, Report, Rows, Score, Verdict, Warned
from augmentor.evaluation.verdicts import leaks, verdicts

AXIS_ORDER = ("fidelity", "biology", "utility", "privacy")
# So many standard deviations above the ceiling, and so far beyond it on the normalised scale, is suspicious.
SUSPICIOUS_Z, SUSPICIOUS_U = 3.0, 1.05


def evaluate(
    synthetic: Dataset,
    train: Dataset,
    holdout: Dataset | None = None,
    *,
    label: int | Sequence[int] = 0,
    metrics: Literal["quick", "default"] | Sequence[str] = "default",
    full: bool = False,
    skip: Sequence[str] = (),
    seed: int = 0,
    n_max: int = 2000,
    budget: float | None = None,
    listener: Listener = silent,
    command: str = "",
    plan: Mapping[str, int] | None = None,
    allow_overlap: bool = False,
    keeps_rows: bool | None = None,
    warned: Sequence[Warned] = (),
    control: str | None = None,
    gene_sets: Mapping[str, Sequence[str]] | None = None,
    names: Mapping[str, str] | None = None,
) -> Report:
    """Compare synthetic rows with real ones, every score beside its ceiling and its floors.

    Args:
        synthetic: rows to judge.
        train: real rows that the generator was fitted on.
        holdout: real rows that it never saw; without them the training rows are halved and little is certain.
        label: position of the label column in ``train``; several positions for their joint.
        metrics: ``"default"``, ``"quick"`` for the minimum set, or names of metrics.
        full: also compute what is left out of the default set for its cost, and resample more often.
        skip: names of metrics to leave out.
        seed: seed of every subsample; the same seed gives the same report.
        n_max: largest number of rows a side for neighbours, kernels and classifiers.
        budget: seconds to spend; a metric that would not be done by then is listed as skipped.
        listener: is told after every metric.
        command: recorded in the report.
        plan: rows per label that were asked of the generator, if recorded.
        allow_overlap: accept held-out rows that also are training rows.
        keeps_rows: whether the model that made the synthetic rows stores training rows; None if it is not known.
        warned: what was noticed while the sets were brought together.
        control: label that differences are taken against; the mean of the other labels if None.
        gene_sets: names of genes by set, for scores per pathway.
        names: what the report calls the sets ``synthetic``, ``train`` and ``holdout``, such as names of files.

    Returns:
        The report: scores, verdicts, warnings, figures.

    Raises:
        SchemaMismatch: the sets differ in features, label columns or space.
        LabelError: labels are missing, or no label occurs in all sets.
        DataError: held-out rows are among the training rows.
        ConfigError: a metric is unknown, or a number is out of bounds.
    """
    start = time.perf_counter()
    if n_max < 20:
        raise ConfigError(f"n_max is {n_max}; at least 20 rows a side are needed to compare anything.")
    plan_of_work = chosen(metrics, skip, full=full)
    data = align(synthetic, train, holdout, label)
    if metrics in ("quick", "default"):
        plan_of_work = [
            (name, metric)
            for name, metric in plan_of_work
            if data.space in metric.setup.spaces and (data.covariates or not metric.setup.covariates)
        ]
    if control is not None and control not in data.labels:
        raise LabelError(
            f"control '{control}' is not a label of train.{did_you_mean(control, data.labels)} Labels: {listed(data.labels)}."
        )
    warnings = list(overlap(data, allow=allow_overlap))
    sets = {name: tuple(genes) for name, genes in (gene_sets or {}).items()}
    asked = Asked(full, quick=metrics == "quick" and not full, control=control, gene_sets=sets)
    frame = Frame(data, seed=seed, n_max=n_max, plan=None if plan is None else dict(plan), asked=asked)
    _share_a_label(frame)
    warnings = [*weaknesses(data, frame), *warned, *warnings]
    scores: dict[str, Score] = {}
    z: dict[str, float] = {}
    failed: list[Failed] = []
    figures: dict[str, dict[str, Any]] = {}
    deadline = np.inf if budget is None else start + budget
    with one_thread():
        for done, (name, metric) in enumerate(plan_of_work):
            listener(Progress("evaluate", done, len(plan_of_work), "metrics"))
            try:
                outcome = assemble.run(metric, frame, deadline)
                scores |= outcome.scores
                z |= outcome.z
                if isinstance(metric, Illustrated) and outcome.measured:
                    figures |= metric.figures(frame, outcome.measured)
            except Exception as error:
                # one broken metric must not take the others with it; what happened stays in the report
                failed.append(Failed(metric=name, error=f"{type(error).__name__}: {error}"))
            frame.forget()
    listener(Progress("evaluate", len(plan_of_work), len(plan_of_work), "metrics"))
    warnings += shift(scores)
    shifted = any(item.code == "shift" for item in warnings)
    scores = _flagged(scores, z, exchangeable=not shifted)
    words = verdicts(
        scores, holdout=not frame.halved, red_line=_red_line(data, plan), shifted=shifted, keeps_rows=keeps_rows
    )
    if "augmentation_gain" in scores:
        words["augmentation"] = _augmentation(scores["augmentation_gain"])
    return Report(
        augmentor=_version("augmentor-omics"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        label=data.label,
        command=command,
        data=_described(data, {"synthetic": synthetic, "train": train, "holdout": holdout}, names or {}),
        space=_space(frame),
        arms=("synthetic", "ceiling", "independent", "permuted", "means"),
        warnings=tuple(warnings),
        verdicts=words,
        scores=_ordered(scores),
        failed=tuple(failed),
        figures=figures,
        environment=_environment(time.perf_counter() - start),
    )


def one_thread() -> AbstractContextManager[Any]:
    """Let linear algebra run in one thread: matrices are small, and threads that wait for each other double the time."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits


def chosen(metrics: str | Sequence[str], skip: Sequence[str], *, full: bool) -> list[tuple[str, Metric]]:
    """Return the metrics in order of work: minimum set, then the rest, by name."""
    if isinstance(metrics, str) and metrics not in ("quick", "default"):
        metrics = [metrics]
    names = METRICS.names() if isinstance(metrics, str) else list(dict.fromkeys(metrics))
    for name in skip:
        METRICS.get(name)
    built: list[tuple[str, Metric]] = [(name, METRICS.get(name)()) for name in names if name not in skip]
    if metrics == "default" and not full:
        built = [(name, metric) for name, metric in built if not all(spec.full for spec in metric.scores)]
    if metrics == "quick":
        built = [(name, metric) for name, metric in built if metric.setup.order == 0]
    if not built:
        raise ConfigError("no metric is left to compute; name one, or skip fewer.")
    return sorted(built, key=lambda item: (item[1].setup.order, item[0]))


def _flagged(scores: dict[str, Score], z: Mapping[str, float], *, exchangeable: bool) -> dict[str, Score]:
    """Name what lies above its ceiling: copied, if the copying test agrees, else stripped of noise.

    Scores that neither would raise are reached by rows that say less or vary more: they are marked, and accuse nobody.
    """
    copying = scores.get("nearest_train.excess")
    copied = copying is not None and leaks(copying)
    out = {}
    for name, score in scores.items():
        word = ("memorisation?" if copied else "sharpened?") if score.spec.sharpens else "beyond_real"
        high = (
            score.value is not None
            and score.spec.axis != "privacy"
            and z.get(name, 0.0) > SUSPICIOUS_Z
            and (score.normalised is None or score.normalised > SUSPICIOUS_U)
        )
        if high and (exchangeable or word != "memorisation?"):
            score = score.model_copy(update={"flags": (*score.flags, word)})
        out[name] = score
    return out


def _ordered(scores: dict[str, Score]) -> dict[str, Score]:
    ranked = sorted(scores.items(), key=lambda item: AXIS_ORDER.index(item[1].spec.axis))
    return dict(ranked)


def _red_line(data: Aligned, plan: Mapping[str, int] | None) -> str:
    """Say which labels are lost; one that was not asked for is not."""
    reference = data.train if data.holdout is None else data.holdout
    have = data.synthetic.counts(len(data.labels))
    want = reference.counts(len(data.labels))
    lost = [label for label, n, m in zip(data.labels, have, want, strict=True) if n == 0 and m > 0]
    lost = [label for label in lost if plan is None or plan.get(label)]
    if not lost or len(data.labels) == 1:
        return ""
    return f"{len(lost)} of {len(data.labels)} labels have no synthetic row: {', '.join(lost[:8])}."


def _augmentation(score: Score) -> Verdict:
    if score.value is None:
        return Verdict(verdict="not available", sentence=f"The gain was not measured ({score.skipped}).")
    return Verdict(verdict=str(score.detail["verdict"]), sentence=str(score.detail["sentence"]))


def _described(data: Aligned, sets: Mapping[str, Dataset | None], names: Mapping[str, str]) -> dict[str, Rows]:
    out = {}
    for name, original in sets.items():
        if original is None:
            continue
        sample: Sample | None = getattr(data, name)
        counts = np.zeros(0, dtype=int) if sample is None else sample.counts(len(data.labels))
        labels = {} if data.labels == (ALL,) else {c: int(n) for c, n in zip(data.labels, counts, strict=True)}
        extra = data.unknown if name == "synthetic" else data.unseen if name == "holdout" else {}
        out[name] = Rows(
            rows=len(original),
            genes=original.features,
            labels=labels | extra,
            digest=original.digest(),
            name=names.get(name, ""),
        )
    return out


def _share_a_label(frame: Frame) -> None:
    """Refuse sets that could be compared on no row: every arm has as many rows of a label as all sets can give."""
    held = "the other half of the training rows" if frame.halved else "held-out rows"
    first = "one half of the training rows" if frame.halved else "training rows"
    sets = {"synthetic rows": frame.data.synthetic, first: frame.train, held: frame.holdout}
    counts = {name: rows.counts(len(frame.labels)) for name, rows in sets.items()}
    if np.min(list(counts.values()), axis=0).any():
        return
    found = [f"{name}: {listed(frame.labels[c] for c in np.flatnonzero(n))}" for name, n in counts.items()]
    raise LabelError(
        f"no label occurs in all sets, so that no rows of one label can be compared ({'; '.join(found)}). "
        "Give rows of the same labels, or judge without --label."
    )


def _space(frame: Frame) -> dict[str, Any]:
    pair = frame.pair("matched", "synthetic", 0)
    return {
        "policy": "halves" if frame.halved else frame.policy,
        "kind": str(frame.data.space),
        "pcs": int(pair.basis.components.shape[1]),
        "genes": len(pair.basis.genes),
        "folds": len(frame.folds("matched")),
        "digest": pair.basis.digest if frame.policy == "disjoint" else "",
        "rows_compared": len(pair.real),
        "per_label": {label: n for label, n in pair.counts.items() if n},
    }


def _environment(seconds: float) -> dict[str, Any]:
    names = ("numpy", "scipy", "scikit-learn", "pandas", "umap-learn")
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in names},
        "cpu": os.cpu_count() or 1,
        "seconds": round(seconds, 2),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
