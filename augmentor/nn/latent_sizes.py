"""Library size given the latent: what a prior of z alone leaves out.

    log s = a_c + b·z + B·v + κ_c·log s₀,   s₀ ~ p(s | c) the size model of the label

The ELBO of counts is one of p(x | s, c): its prior of z says nothing of s. In the encoded rows the two are related all the same, because
a label's deep cells are not its shallow cells with more reads. b and B are the regression of log s on z and covariates v within
labels, z with the variance of its posteriors, as it will be drawn; κ_c shrinks the label's own spread of log s to what the
regression leaves of it, and a_c keeps its mean. The shape of the distribution of s is that of the size model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augmentor.core.contract import Given, Layout, State
from augmentor.core.state import Shape


def fit(
    mean: NDArray[Any], variance: NDArray[Any], given: Given, conditions: int, *, pseudo_rows: float = 5.0
) -> State:
    """Regress log library sizes on latents.

    Args:
        mean: ``(rows, latent)`` posterior means.
        variance: ``(rows, latent)`` posterior variances.
        given: conditions, covariates and sizes of the rows.
        conditions: number of conditions.
        pseudo_rows: rows by which a label's share of unexplained spread is drawn to that of all labels.

    Returns:
        ``size.slope`` (latent + covariates,), ``size.share`` κ and ``size.intercept`` a (conditions,).
    """
    logs = np.log(given.sizes)
    inputs = np.hstack([np.asarray(mean, dtype=np.float64), given.covariates])
    extra = np.zeros(inputs.shape[1])
    extra[: mean.shape[1]] = np.asarray(variance, dtype=np.float64).sum(axis=0)
    own = [np.flatnonzero(given.condition == c) for c in range(conditions)]
    centres = np.stack([inputs[rows].mean(axis=0) for rows in own])
    levels = np.array([logs[rows].mean() for rows in own])
    x, y = inputs - centres[given.condition], logs - levels[given.condition]
    moments = x.T @ x + np.diag(extra) + 1e-6 * np.eye(len(extra))
    slope = np.linalg.solve(moments, x.T @ y)
    left = np.maximum(
        1 - slope @ (x.T @ y) / max(y @ y, 1e-12), 0
    )  # pooled share of the variance that is not explained
    noise = slope**2 @ np.vstack(
        [np.asarray(variance, dtype=np.float64).T, np.zeros((given.covariates.shape[1], len(y)))]
    )
    residual = (y - x @ slope) ** 2 + noise
    ours, theirs = (np.array([values[rows].sum() for rows in own]) for values in (residual, y**2))
    spread = max(float(y @ y) / len(y), 1e-12)
    share = np.sqrt(((ours + pseudo_rows * left * spread) / (theirs + pseudo_rows * spread)).clip(0, 1))
    return {
        "size.slope": slope,
        "size.share": share,
        "size.intercept": (1 - share) * levels - centres @ slope,
    }


def shapes(layout: Layout, latent: int) -> dict[str, Shape]:
    """What `fit` returns."""
    each = ((layout.conditions,), np.float64)
    return {"size.slope": ((latent + layout.covariates,), np.float64), "size.share": each, "size.intercept": each}


def drawn(state: State, z: NDArray[np.floating], given: Given) -> Given:
    """The conditions with library sizes that belong to latents ``(rows, latent)``; theirs are draws of the size model."""
    c = given.condition
    logs = state["size.intercept"][c] + np.hstack([z, given.covariates]) @ state["size.slope"]
    logs = logs + state["size.share"][c] * np.log(given.sizes)
    return replace(given, size=np.maximum(np.exp(logs), 1))
