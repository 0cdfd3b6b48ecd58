"""Latent priors p(z | c) that a VAE learns with its ELBO, in the place of the standard normal.

    label      N(m_c, diag s²_c)                  one Gaussian per condition
    mixture    Σ_k w_ck·N(m_k, diag s²_k)         components shared by the conditions, each with weights of its own
    vamp       Σ_k w_ck·q(z | u_k)                the same, every component the posterior of a learnt pseudo-input u_k
    all        p(z | c, v) = p(z − A·v | c)       where there are covariates v

    KL(q ‖ p)  closed form for label; else E_q[log q(z | x, c) − log p(z | c)] at the z of the ELBO, one draw per row

A pseudo-input is all that the encoder sees of a row: features (log-normalised), conditions and, of counts, the standard log library
size. So it needs no condition from outside: K of them are encoded once per step, whatever is in the batch, and w says whose they are.
They begin as means of ten rows of one condition each and are not kept: after training a prior is frozen to the weights, means and
standard deviations of its Gaussians. None of the three sees the library size of a row; see `nn/latent_sizes.py`.

Papers: Kingma & Welling 2014, arXiv:1312.6114; Dilokthanakul et al. 2016, arXiv:1611.02648 (mixture); Tomczak & Welling 2018,
arXiv:1705.07120 (VampPrior).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from augmentor.core.contract import Encoded, Given, Layout, State
from augmentor.core.random import Stream
from augmentor.core.state import Shape
from augmentor.nn.codec import Codec, gaussian_kl
from augmentor.nn.conditioning import Batch, batch

FASTER = (
    10.0  # a step moves a Gaussian ten times as far as a weight of the network, or it would hardly leave its beginning
)
OWN = 3.0  # logit by which a condition begins by preferring the components that begin as its own
AVERAGED = 10  # rows in the mean that a pseudo-input begins as
LOG_2PI = math.log(2 * math.pi)


class LabelPrior(nn.Module):
    """N(m_c, diag s²_c); begins as the standard normal.

    Args:
        layout: conditions and covariates.
        latent: dimensions of z.
    """

    def __init__(self, layout: Layout, latent: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.empty(layout.conditions, latent))
        self.log_variance = nn.Parameter(torch.empty(layout.conditions, latent))
        self.shift = _shift(layout, latent)

    def initialise(self, encoded: Encoded, codec: Codec, rng: Stream) -> None:
        """Nothing to do: zeros are the standard normal."""

    def kl(self, mean: Tensor, log_variance: Tensor, z: Tensor, rows: Batch, codec: Codec) -> Tensor:
        """KL of every dimension ``(rows, latent)`` of posteriors with these moments."""
        centre = FASTER * F.embedding(rows.condition, self.mean) + _moved(self.shift, rows)
        own = FASTER * F.embedding(rows.condition, self.log_variance)
        return gaussian_kl((mean - centre) * (-0.5 * own).exp(), log_variance - own)

    by_dimension = kl

    def gaussians(self, codec: Codec) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights ``(conditions, K)``, means and log variances ``(K, latent)``; here K is the number of conditions."""
        log_weight = torch.eye(len(self.mean), device=self.mean.device).log()
        return log_weight, FASTER * self.mean, FASTER * self.log_variance


class MixturePrior(nn.Module):
    """Σ_k w_ck·N(m_k, diag s²_k), or with pseudo-inputs Σ_k w_ck·q(z | u_k).

    Args:
        layout: conditions and covariates.
        latent: dimensions of z.
        components: K; at least one per condition.
        inputs: width of the encoder's inputs for pseudo-inputs (VampPrior), None for Gaussians of their own.
    """

    def __init__(self, layout: Layout, latent: int, components: int, inputs: int | None = None) -> None:
        super().__init__()
        components = max(components, layout.conditions)
        self.logit = nn.Parameter(torch.empty(layout.conditions, components))
        self.pseudo = None if inputs is None else nn.Parameter(torch.empty(components, inputs))
        self.mean = nn.Parameter(torch.empty(components, latent)) if inputs is None else None
        self.log_variance = nn.Parameter(torch.empty(components, latent)) if inputs is None else None
        self.shift = _shift(layout, latent)

    @torch.no_grad()
    def initialise(self, encoded: Encoded, codec: Codec, rng: Stream) -> None:
        """Share the components out to the conditions by their rows; they begin at random places, or as means of ten rows."""
        condition = encoded.given.condition
        owner = owners(np.bincount(condition, minlength=len(self.logit)), self.logit.shape[1])
        self.logit[torch.from_numpy(owner), torch.arange(len(owner))] = OWN / FASTER
        if self.mean is not None:
            self.mean.copy_(torch.randn(self.mean.shape, generator=rng.child("mean").torch()) / FASTER)
        if self.pseudo is not None:
            generator = rng.child("pseudo").numpy()
            for k, c in enumerate(owner):
                rows = generator.choice(np.flatnonzero(condition == c), AVERAGED)
                self.pseudo[k] = codec.inputs(batch(encoded.take(rows))).mean(dim=0)

    def kl(self, mean: Tensor, log_variance: Tensor, z: Tensor, rows: Batch, codec: Codec) -> Tensor:
        """Monte Carlo KL ``(rows, 1)`` of posteriors with these moments, at ``z`` drawn from them."""
        log_weight, centre, own = self.gaussians(codec)
        at = z - _moved(self.shift, rows)
        parts = _log_normal(at[:, None], centre, own).sum(dim=2)  # (rows, K)
        log_p = torch.logsumexp(F.embedding(rows.condition, log_weight) + parts, dim=1)
        return (_log_normal(z, mean, log_variance).sum(dim=1) - log_p)[:, None]

    def by_dimension(self, mean: Tensor, log_variance: Tensor, z: Tensor, rows: Batch, codec: Codec) -> Tensor:
        """The same between the margins of every dimension ``(rows, latent)``; they do not add up to `kl`."""
        log_weight, centre, own = self.gaussians(codec)
        at = z - _moved(self.shift, rows)
        weight = F.embedding(rows.condition, log_weight)[:, :, None]
        log_p = torch.logsumexp(weight + _log_normal(at[:, None], centre, own), dim=1)
        return _log_normal(z, mean, log_variance) - log_p

    def gaussians(self, codec: Codec) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights ``(conditions, K)``, means and log variances ``(K, latent)``."""
        log_weight = torch.log_softmax(FASTER * self.logit, dim=1)
        if self.pseudo is not None:
            return log_weight, *codec.read(self.pseudo)
        assert self.mean is not None
        assert self.log_variance is not None
        return log_weight, FASTER * self.mean, FASTER * self.log_variance


def learnt(name: str, codec: Codec, components: int) -> LabelPrior | MixturePrior | None:
    """The prior of a codec's latents by its name, or None if it is not one that is learnt with the ELBO."""
    layout, latent = codec.layout, codec.posterior.out_features // 2
    if name == "label":
        return LabelPrior(layout, latent)
    if name not in ("mixture", "vamp"):
        return None
    return MixturePrior(layout, latent, components, codec.seen if name == "vamp" else None)


def owners(rows: NDArray[np.intp], components: int) -> NDArray[np.int64]:
    """Which condition each component begins with: one each, the others in proportion to rows ``(conditions,)``."""
    spare = components - len(rows)
    places = (np.arange(spare) + 0.5) / max(spare, 1) * rows.sum()
    more = np.searchsorted(np.cumsum(rows), places, side="right")
    return np.concatenate([np.arange(len(rows)), more]).astype(np.int64)


@torch.no_grad()
def frozen(prior: LabelPrior | MixturePrior, codec: Codec) -> State:
    """The Gaussians of a trained prior: ``weight`` (conditions, K), ``mean``, ``sd`` (K, latent), ``slope`` (covariates, latent)."""
    log_weight, mean, log_variance = prior.gaussians(codec)
    tensors = {"weight": log_weight.exp(), "mean": mean, "sd": (0.5 * log_variance).exp()}
    if prior.shift is not None:
        tensors["slope"] = prior.shift
    return {name: tensor.double().numpy() for name, tensor in tensors.items()}


def shapes(prior: LabelPrior | MixturePrior, layout: Layout, latent: int) -> dict[str, Shape]:
    """What `frozen` returns of a prior."""
    k = layout.conditions if isinstance(prior, LabelPrior) else prior.logit.shape[1]
    found: dict[str, Shape] = {"weight": ((layout.conditions, k), np.float64)}
    found |= {"mean": ((k, latent), np.float64), "sd": ((k, latent), np.float64)}
    return found | ({"slope": ((layout.covariates, latent), np.float64)} if layout.covariates else {})


def draw(state: State, given: Given, rng: Stream) -> NDArray[np.float64]:
    """Draw z ``(rows, latent)`` from a frozen prior."""
    generator = rng.numpy()
    u, noise = generator.random(len(given)), generator.standard_normal((len(given), state["mean"].shape[1]))
    upto = np.cumsum(state["weight"], axis=1)
    upto /= upto[:, -1:]
    k = (u[:, None] >= upto[given.condition]).sum(axis=1).clip(max=upto.shape[1] - 1)
    z = state["mean"][k] + state["sd"][k] * noise
    return z + given.covariates @ state["slope"] if "slope" in state else z


def _shift(layout: Layout, latent: int) -> nn.Parameter | None:
    return nn.Parameter(torch.empty(layout.covariates, latent)) if layout.covariates else None


def _moved(shift: Tensor | None, rows: Batch) -> Tensor | float:
    """A·v of every row ``(rows, latent)``; covariates are the last condition inputs."""
    return 0.0 if shift is None else rows.c[:, -len(shift) :] @ shift


def _log_normal(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log-density of N(mean, exp(log_variance)), element by element."""
    return -0.5 * (LOG_2PI + log_variance + (x - mean) ** 2 * (-log_variance).exp())
