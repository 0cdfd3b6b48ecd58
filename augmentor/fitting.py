"""From prepared rows to a fitted generator: transforms, model, rejection, calibration.

Everything that rows are drawn from is fitted on training rows only. Held-out rows are recorded, and looked at once, when all else
is done: their anomaly scores are what those of other rows are compared with (`parts/anomaly.py`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from pydantic import ValidationError

from augmentor import __version__, splitting
from augmentor.artifact import SplitRecord
from augmentor.core import machine
from augmentor.core.contract import Encoded, Given, Layout, Scores
from augmentor.core.dataset import Matrix, row_sums
from augmentor.core.errors import ConfigError, ResourceError, did_you_mean, listed
from augmentor.core.progress import Progress
from augmentor.core.random import Stream
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.fitted import Fitted
from augmentor.parts.anomaly import Reference
from augmentor.parts.calibration import Calibration, calibrate
from augmentor.parts.composition import Composition
from augmentor.parts.rejection import Draw, Rejection
from augmentor.preparing import Options, Prepared
from augmentor.preprocess import chain
from augmentor.preprocess.covariates import Covariates
from augmentor.preprocess.size import SizeModel

VALID_SHARE = 0.12
VALID_FEWEST = 150  # training rows below which a validation part is too small to judge by


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
    covariates = _covariates(prepared, options, kind)
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
        covariates=len(train.schema.covariates),
        rows=len(train),
        levels=fitted_chain.levels,
    )
    model = kind.build(layout, config)
    standard = train.covariates if covariates is None else covariates.standard(train.covariates)
    given = Given(prepared.condition, train.codes, standard, size)
    valid = np.zeros(len(train), dtype=bool)
    stops_early = kind.spec.trained and any(stage.patience is not None for stage in model.stages())
    if stops_early and len(train) >= VALID_FEWEST:
        valid = splitting.part(prepared.condition, VALID_SHARE, rng.child("valid"), splitting.several(train.groups))
    encoded = Encoded(x, given, valid, layout)
    summary: dict[str, Any] = {}
    history: list[dict[str, Any]] = []
    try:
        if kind.spec.trained:
            from augmentor.training.loop import train as run_training
            from augmentor.training.run import Run

            run = Run(
                options.device,
                options.listener,
                options.stop,
                options.max_seconds,
                options.checkpoint,
                options.resume,
                _identity(prepared, options),
                options.model,
                tuple(prepared.labels),
            )
            outcome = run_training(model, encoded, rng, run)
            summary, history = {"stages": outcome.stages}, outcome.history
        else:
            model.estimate(encoded, rng)
        rejection = None if options.reject is None else _rejection(model, encoded, prepared, options, rng)
        draw = model.draw if rejection is None else partial(rejection.draw, model.draw)
        calibration = _calibration(draw, kind, encoded, fitted_chain, options, rng)
        reference = _reference(model, encoded, prepared, fitted_chain, covariates)
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
        "peak_memory_mb": machine.peak_memory(),
        "environment": machine.environment(),
    }
    return Fitted(
        schema=train.schema,
        layout=layout,
        name=options.model,
        config=config,
        model=model,
        chain=fitted_chain,
        size=None if size is None else SizeModel.fit(size, prepared.condition, layout.conditions, standard),
        calibration=calibration,
        covariates=covariates,
        composition=_composition(prepared, x, fitted_chain),
        # of the user's own labels: "as many as there were" does not mean guesses
        counts=tuple(int(n) for n in np.bincount(prepared.condition[~prepared.inferred], minlength=layout.conditions)),
        record=record,
        tensors=prepared.split,
        history=history,
        rejection=rejection,
        reference=reference,
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


def _rejection(model: Any, encoded: Encoded, prepared: Prepared, options: Options, rng: Stream) -> Rejection:
    options.listener(Progress(options.model, note="learning which rows to reject"))
    found = Rejection.fit(encoded, float(options.reject or 0), rng.child("rejection"))
    found = found.tried(encoded, prepared.labels, model.draw, rng.child("rejection", "trial"))
    for note in found.notes:
        options.listener(Progress(options.model, note=note))
    return found


def _calibration(
    draw: Draw, kind: Any, encoded: Encoded, fitted: chain.Chain, options: Options, rng: Stream
) -> Calibration | None:
    wanted = kind.spec.calibrated if options.calibrate is None else options.calibrate
    # margins of a label are those of its covariates as they are: leading other ones there would undo their effect
    wanted = wanted and not encoded.layout.covariates
    if not wanted or fitted.space is Space.MIXED:
        return None
    options.listener(Progress(options.model, note="calibrating margins"))
    return calibrate(
        encoded.x,
        encoded.given,
        encoded.layout.conditions,
        draw,
        rng.child("calibration"),
        exact_zeros=fitted.space in (Space.COUNTS, Space.LOG),
    )


def _covariates(prepared: Prepared, options: Options, kind: Any) -> Covariates | None:
    names = prepared.train.schema.covariates
    if not names:
        return None
    if not kind.spec.covariates:
        able = [name for name in MODELS.names() if MODELS.get(name).spec.covariates]
        raise ConfigError(
            f"{options.model} knows no covariates ({listed(names)}); choose a model that does ({listed(able, most=20)}), or leave "
            "--covariate out."
        )
    if options.calibrate:
        raise ConfigError(
            f"margins cannot be calibrated beside covariates ({listed(names)}): every label has one margin, but it should change "
            "with the covariates. Leave out --calibrate."
        )
    return Covariates.fit(names, prepared.train.covariates, prepared.condition, len(prepared.combinations))


def _composition(prepared: Prepared, encoded: Matrix, fitted: chain.Chain) -> Composition | None:
    """What combinations never seen are composed of, where there are some: rows of the user, those of a mixed table encoded."""
    train, seen = prepared.train, len(prepared.combinations)
    codes = np.array(prepared.combinations)
    possible = np.prod([np.unique(column).size for column in codes.T]) if codes.size else 1
    if possible == seen:
        return None
    x = encoded if train.schema.space is Space.MIXED else train.x
    return Composition.of(x, prepared.condition, seen, train.schema.space, fitted.levels)


def _reference(
    model: Any, encoded: Encoded, prepared: Prepared, fitted: chain.Chain, covariates: Covariates | None
) -> Reference | None:
    """What anomaly scores are compared with; held-out rows are looked at here, when all that draws rows is fitted."""
    if not isinstance(model, Scores):
        return None
    own, held = encoded.take(np.flatnonzero(~prepared.inferred)), prepared.held
    if not len(held):
        return Reference.fit(model.surprise(own), own.given, encoded.layout.conditions)
    size = np.maximum(row_sums(held.x), 1) if held.schema.space is Space.COUNTS else None
    standard = held.covariates if covariates is None else covariates.standard(held.covariates)
    given = Given(prepared.held_condition, held.codes, standard, size)
    rows = Encoded(fitted.forward(held.x, size), given, np.zeros(len(held), dtype=bool), encoded.layout)
    return Reference.fit(model.surprise(own), own.given, encoded.layout.conditions, (model.surprise(rows), given))


def _identity(prepared: Prepared, options: Options) -> str:
    """What a checkpoint must share with the run that continues it: training rows, settings and seed."""
    text = json.dumps(
        [prepared.train.digest(), options.model, dict(options.settings), options.seed, options.pca], default=str
    )
    return hashlib.sha256(text.encode()).hexdigest()
