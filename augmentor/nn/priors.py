"""Ex-post density: latents redrawn per condition from a mixture of small shrunk Gaussians fitted to the encoded rows.

After training, the aggregated posterior of a VAE is not its prior; drawing from a density fitted to it closes the gap
(Ghosh et al. 2020, arXiv:1903.12436; Dai & Wipf 2019, arXiv:1903.05789). Clusters are small (about 40 rows) so that
one Gaussian describes one state of a label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from augmentor.core.contract import State
from augmentor.core.errors import ArtifactError
from augmentor.core.random import Stream
from augmentor.core.slopes import within_slope
from augmentor.core.state import check_state


def fit_clusters(
    h: NDArray[Any],
    variance: NDArray[Any],
    condition: NDArray[np.intp],
    conditions: int,
    *,
    rows: int,
    pseudo_rows: float,
    rng: Stream,
    covariates: NDArray[np.float64] | None = None,
) -> State:
    """Fit the mixture.

    Args:
        h: ``(rows, dimensions)`` posterior means (and whatever is modelled jointly with them).
        variance: ``(rows, dimensions)`` posterior variances, added to the diagonal; zero for observed quantities.
        condition: ``(rows,)``.
        conditions: number of conditions.
        rows: aimed rows per cluster.
        pseudo_rows: weight of the label's covariance, and of the pooled one, against a cluster's own.
        rng: randomness of the clustering.
        covariates: ``(rows, covariates)`` in standard units, or None: what they say of the vectors, alike in all conditions, is
            taken out by linear regression, and what is left is clustered.

    Returns:
        ``condition`` (k,), ``weight`` (k,), ``mean`` (k, d), ``factor`` (k, d, d) lower Cholesky factors; with covariates their
        ``slope`` (covariates, d).
    """
    h = np.asarray(h, dtype=np.float64)
    d = h.shape[1]
    slope: State = {}
    if covariates is not None and covariates.shape[1]:
        slope = {"slope": within_slope(h, covariates, condition)}
        h = h - covariates @ slope["slope"]
    centred = h - np.stack([h[condition == c].mean(axis=0) for c in range(conditions)])[condition]
    pooled = centred.T @ centred / len(h)
    owner, weight, mean, factor = [], [], [], []
    for c in range(conditions):
        members = np.flatnonzero(condition == c)
        label = _shrunk(h[members], pooled, pseudo_rows)
        k = max(1, members.size // rows)
        if k > 1:
            scaled = h[members] / np.sqrt(np.diag(pooled) + 1e-9)
            part = KMeans(k, n_init=4, random_state=rng.child(c).integer()).fit_predict(scaled)
        else:
            part = np.zeros(members.size, dtype=np.intp)
        for j in np.unique(part):
            own = members[part == j]
            within = _shrunk(h[own], _within(h[members], part) if k > 1 else label, pseudo_rows)
            covariance = within + np.diag(variance[own].mean(axis=0)) + 1e-6 * np.eye(d)
            owner.append(c)
            weight.append(own.size / members.size)
            mean.append(h[own].mean(axis=0))
            factor.append(np.linalg.cholesky(covariance))
    return {
        "condition": np.array(owner, dtype=np.int64),
        "weight": np.array(weight),
        "mean": np.array(mean),
        "factor": np.array(factor),
        **slope,
    }


def draw_clusters(
    state: State, condition: NDArray[np.intp], rng: Stream, covariates: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Draw latents ``(rows, dimensions)`` for the conditions, and the covariates ``(rows, covariates)``, asked for."""
    generator = rng.numpy()
    u = generator.random(len(condition))
    noise = generator.standard_normal((len(condition), state["mean"].shape[1]))
    chosen = np.empty(len(condition), dtype=np.intp)
    for c in np.unique(condition):
        own = np.flatnonzero(state["condition"] == c)
        share = np.cumsum(state["weight"][own])
        members = condition == c
        chosen[members] = own[np.minimum(np.searchsorted(share, u[members], side="right"), own.size - 1)]
    latents = state["mean"][chosen] + np.einsum("nij,nj->ni", state["factor"][chosen], noise)
    return np.asarray(latents + covariates @ state["slope"] if "slope" in state and covariates is not None else latents)


def _shrunk(h: NDArray[np.float64], target: NDArray[np.float64], pseudo_rows: float) -> NDArray[np.float64]:
    """Covariance of rows, shrunk towards a target that counts as ``pseudo_rows`` rows."""
    centred = h - h.mean(axis=0)
    return (centred.T @ centred + pseudo_rows * target) / (len(h) - 1 + pseudo_rows)


def _within(h: NDArray[np.float64], part: NDArray[np.intp]) -> NDArray[np.float64]:
    """Covariance within clusters, pooled over the clusters of a label."""
    centred = h - np.stack([h[part == j].mean(axis=0) for j in range(int(part.max()) + 1)])[part]
    return centred.T @ centred / len(h)


def checked(state: State, dimensions: int, conditions: int, covariates: int = 0) -> State:
    """Return a state of `fit_clusters` read from a file, if it is one for these dimensions, conditions and covariates.

    Raises:
        ArtifactError: names or shapes are wrong, or a condition has no cluster.
    """
    k = None
    shapes = {
        "condition": ((k,), np.int64),
        "weight": ((k,), np.float64),
        "mean": ((k, dimensions), np.float64),
        "factor": ((k, dimensions, dimensions), np.float64),
    }
    if covariates:
        shapes["slope"] = ((covariates, dimensions), np.float64)
    check_state(shapes, state, "the latent density")
    lengths = {len(array) for name, array in state.items() if name != "slope"}
    if len(lengths) > 1 or set(state["condition"].tolist()) != set(range(conditions)):
        raise ArtifactError(
            f"the latent density does not cover the {conditions} labels of the model. Fit the model again."
        )
    return state
