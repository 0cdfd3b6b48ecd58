"""What else a fitted model says of rows: where they lie in its latent space, what it expects of them, how odd they look.

    user's rows ─ features by name, labels where known ─► Encoded ─► model ─► latent features | denoised rows | surprise ─► score

A row whose label is unknown to the model, or missing, is taken under its most likely one, arg max_c π_c·p(x | c), with the π_c of
the training rows. Nothing here is random. Anomaly scores and their threshold: `parts/anomaly.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from augmentor.core.alignment import aligned
from augmentor.core.contract import Embeds, Encoded, Given, Scores
from augmentor.core.dataset import Dataset, as_matrix, row_sums
from augmentor.core.errors import ArtifactError, ConfigError, SchemaMismatch, listed
from augmentor.core.fingerprints import fingerprints
from augmentor.core.registry import MODELS
from augmentor.core.space import Space
from augmentor.fitted import Fitted


@dataclass(frozen=True, eq=False)
class Anomalies:
    """How odd rows look.

    Attributes:
        label: ``(rows,)`` the label under which a row was judged.
        known: ``(rows,)`` whether that was its own; else it is its most likely one.
        seen: ``(rows,)`` whether the model learned from the row.
        score: ``(rows,)`` larger is odder; 0 is what is expected of the label (and the depth) of a training row.
        quantile: ``(rows,)`` share of the reference rows that look less odd: of the training rows for those that are seen, else of the
            held-out rows; None where there are none of these.
        outlier: ``(rows,)`` whether the score is above the threshold; None likewise.
    """

    label: NDArray[np.object_]
    known: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    score: NDArray[np.float64]
    quantile: NDArray[np.float64] | None
    outlier: NDArray[np.bool_] | None


def embed(fitted: Fitted, dataset: Dataset) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Latent features ``(rows, latent)``, and which rows had a label that the model knows ``(rows,)``."""
    model = fitted.model
    if not isinstance(model, Embeds):
        raise unable(fitted, Embeds, "has no latent space")
    encoded, known = encode(fitted, dataset)
    return np.ascontiguousarray(model.embed(encoded), dtype=np.float32), known


def denoise(fitted: Fitted, dataset: Dataset) -> Dataset:
    """Rows as the model expects them given their latent features, ``(rows, features of the model)`` in the user's units.

    The mean of the likelihood, counts at the row's own library size: a mean has less variance than rows have and is no row to train on.
    """
    model = fitted.model
    if not isinstance(model, Embeds):
        raise unable(fitted, Embeds, "cannot denoise rows")
    encoded, _ = encode(fitted, dataset)
    x = fitted.chain.inverse(model.denoise(encoded), encoded.given.size)
    schema = fitted.schema.model_copy(update={"dtype": "float32", "sparse": False, "integer": False})
    rows = aligned(dataset, fitted.schema, ours="the model", theirs="the data")
    return replace(rows, x=as_matrix(x), schema=schema.model_copy(update={"labels": rows.schema.labels}))


def score(fitted: Fitted, dataset: Dataset, quantile: float) -> Anomalies:
    """Say how odd rows look, and which look odder than a share ``quantile`` of rows in the same position (`parts/anomaly.py`).

    Raises:
        ConfigError: the model has no likelihood, or the quantile is out of its bounds.
        ArtifactError: the model was fitted by a version that kept nothing to compare scores with.
    """
    model = fitted.model
    if not 0 < quantile < 1:
        raise ConfigError(f"the quantile is a share of the reference rows between 0 and 1, not {quantile}.")
    if not isinstance(model, Scores):
        raise unable(fitted, Scores, "cannot score rows")
    if fitted.reference is None:
        raise ArtifactError(
            "this model was fitted by a version of augmentor that kept nothing to compare anomaly scores with; fit it again."
        )
    reference = fitted.reference
    encoded, known = encode(fitted, dataset)
    found = reference.score(model.surprise(encoded), encoded.given)
    names = np.array(fitted.conditions, dtype=object)[encoded.given.condition]
    seen = np.isin(
        fingerprints(aligned(dataset, fitted.schema, ours="the model", theirs="the data")),
        fitted.tensors["fingerprints"],
    )
    if not reference.held.size and not seen.all():
        return Anomalies(names, known, seen, found, None, None)
    limit = np.where(seen, reference.threshold(quantile, seen=True), reference.threshold(quantile))
    return Anomalies(names, known, seen, found, reference.quantile(found, seen), found > limit)


def encode(fitted: Fitted, dataset: Dataset) -> tuple[Encoded, NDArray[np.bool_]]:
    """Lead a user's rows into the model's space, each under its own label or its most likely one; say which is its own.

    Label columns are those of the model in their order, whatever they are called; without any, no label is known.

    Raises:
        SchemaMismatch: the data lacks features or covariates of the model, has another space, or other label columns.
    """
    rows = aligned(dataset, fitted.schema, ours="the model", theirs="the data")
    size = np.maximum(row_sums(rows.x), 1) if fitted.schema.space is Space.COUNTS else None
    x = fitted.chain.forward(rows.x, size)
    condition = own_conditions(fitted, rows)
    known = condition >= 0
    codes = np.array(fitted.layout.combinations, dtype=np.int32).reshape(fitted.layout.conditions, -1)
    covariates = _covariates(fitted, rows)

    def under(condition: NDArray[np.intp], kept: NDArray[np.intp]) -> Encoded:
        sizes = None if size is None else size[kept]
        given = Given(condition, codes[condition], covariates[kept], sizes)
        return Encoded(x[kept], given, np.zeros(len(kept), dtype=bool), fitted.layout)

    lost = np.flatnonzero(~known)
    if lost.size and fitted.layout.conditions == 1:
        condition[lost] = 0
    elif lost.size:
        if not isinstance(fitted.model, Scores):
            raise unable(fitted, Scores, "cannot judge rows without a label")
        share = np.maximum(np.array(fitted.counts, dtype=np.float64), 0.5)
        prior = np.log(share / share.sum()) / fitted.layout.features
        surprise = [
            fitted.model.surprise(under(np.full(lost.size, c), lost)) - prior[c]
            for c in range(fitted.layout.conditions)
        ]
        condition[lost] = np.argmin(surprise, axis=0)
    return under(condition, np.arange(len(rows))), known


def own_conditions(fitted: Fitted, dataset: Dataset) -> NDArray[np.intp]:
    """Position of every row's label combination among those of the model; -1 where it is missing or unknown."""
    ours, theirs = fitted.schema.labels, dataset.schema.labels
    if not ours:
        return np.zeros(len(dataset), dtype=np.intp)
    if not theirs:
        return np.full(len(dataset), -1, dtype=np.intp)
    if len(ours) != len(theirs):
        raise SchemaMismatch(
            f"the model has {len(ours)} label columns ({listed(c.name for c in ours)}), but {len(theirs)} were given "
            f"({listed(c.name for c in theirs)}); give as many, in the same order, or none."
        )
    codes = np.empty((len(dataset), len(ours)), dtype=np.int64)
    for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        place = {category: code for code, category in enumerate(mine.categories)}
        table = np.array([*(place.get(category, -1) for category in other.categories), -1])
        codes[:, i] = table[dataset.codes[:, i]]
    position = {combination: c for c, combination in enumerate(fitted.layout.combinations)}
    return np.array([position.get(tuple(row), -1) for row in codes.tolist()], dtype=np.intp)


def unable(fitted: Fitted, protocol: type, what: str) -> ConfigError:
    """The refusal of a model that cannot do something, with those that can."""
    return ConfigError(f"{fitted.name} {what}; these models can: {listed(able(protocol), most=30)}. Fit one of them.")


def able(protocol: type) -> Sequence[str]:
    """Names of the models that have the methods of a protocol."""
    wanted = [name for name in vars(protocol) if not name.startswith("_")]
    return [name for name in MODELS.names() if all(hasattr(MODELS.get(name), method) for method in wanted)]


def _covariates(fitted: Fitted, dataset: Dataset) -> NDArray[np.float64]:
    wanted = fitted.schema.covariates
    if fitted.covariates is None:
        return np.zeros((len(dataset), 0))
    if dataset.schema.covariates != wanted:
        raise SchemaMismatch(
            f"the model is conditioned on {listed(wanted)}, but the data was read with the covariates "
            f"{listed(dataset.schema.covariates) or 'none'}; give the same."
        )
    return fitted.covariates.standard(dataset.covariates)
