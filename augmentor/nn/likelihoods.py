"""Likelihoods p(x | outputs of a decoder): log-probability for training, mean, draws.

    nb           x_g ~ NB(μ_g, θ_g),   μ = s·softmax(a)               variance μ + μ²/θ
    zinb         x_g = 0 with probability π_g, else ~ NB(μ_g/(1 − π_g), θ_g)   zeros beyond those of the depth; mean μ
    poisson      x_g ~ Poisson(μ_g),   μ = s·softmax(a)
    bernoulli    x_g ~ Bernoulli(1 / (1 + exp(−a_g)))                 counts that are 0 or 1
    gaussian     x_g ~ N(a_g, σ²_g)

a is the decoder's centre; log θ, the logit of π, and log σ² are its spread; s is the library size. A likelihood is a class with
the methods of `Likelihood` and its line in `LIKELIHOODS`; those of mixed tables are `nn.mixed.Heads`. Bernoulli is for 0/1 matrices
(accessible peaks, methylated sites, mutated genes): counts of at most 1, whose library size, the number of ones, the decoder sees.

Papers: Lopez et al. 2018, doi:10.1038/s41592-018-0229-2 (nb, zinb); Ashuach et al. 2022, doi:10.1016/j.crmeth.2022.100182
(bernoulli). Draws: `nn/draws.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from augmentor.core.contract import Encoded, Layout
from augmentor.core.dataset import Matrix
from augmentor.core.errors import ConfigError, listed
from augmentor.core.space import Space
from augmentor.nn.draws import (
    LOG_LIMIT,
    sample_bernoulli,
    sample_gaussian,
    sample_negative_binomial,
    sample_poisson,
    sample_zero_inflated,
)
from augmentor.nn.profiles import label_logits, label_profiles

DROPOUT = -3.0  # logit of π where training begins: 5 %, so that depth and dispersion explain zeros first

Name = Literal["nb", "zinb", "poisson", "bernoulli", "gaussian"]


class Likelihood(Protocol):
    """What a decoder needs to know of p(x | centre, spread); rows are ``(rows, features)``."""

    @property
    def width(self) -> int:
        """Number of centre outputs."""
        ...

    @property
    def spreads(self) -> int:
        """Number of the other outputs; 0 where the centre says it all."""
        ...

    def profiles(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where training begins: raw centres ``(conditions, width)`` and spreads ``(spreads,)``."""
        ...

    def centre(self, raw: Tensor, size: Tensor) -> Tensor:
        """Centre of the output ``(rows, width)`` of the last layer, given library sizes ``(rows, 1)``."""
        ...

    def log_prob(self, x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        """Log-probability of rows, summed over features: ``(rows,)``."""
        ...

    def mean(self, centre: Tensor, spread: Tensor) -> Tensor:
        """Expected rows."""
        ...

    def sample(self, centre: Tensor, spread: Tensor, generator: np.random.Generator) -> Matrix:
        """Draw rows."""
        ...


@dataclass(frozen=True)
class NegativeBinomial:
    """Counts with a dispersion of every gene and row."""

    width: int

    @property
    def spreads(self) -> int:
        """log θ."""
        return self.width

    def profiles(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log-profiles of the labels, log dispersions by moments."""
        return label_profiles(encoded)

    def centre(self, raw: Tensor, size: Tensor) -> Tensor:
        """μ."""
        return size * torch.softmax(raw, dim=1)

    def log_prob(self, x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        """See `negative_binomial`."""
        return negative_binomial(x, centre, spread)

    def mean(self, centre: Tensor, spread: Tensor) -> Tensor:
        """μ."""
        return centre

    def sample(self, centre: Tensor, spread: Tensor, generator: np.random.Generator) -> Matrix:
        """See `sample_negative_binomial`."""
        return sample_negative_binomial(centre.numpy(), spread.numpy(), generator)


@dataclass(frozen=True)
class ZeroInflated:
    """Counts with a dispersion, and zeros of another origin, of every gene and row.

    The softmax shares out the library as it was counted, zeros of either origin included, so μ is the mean of all and the
    counts that are not dropped have the mean μ/(1 − π): otherwise rows would come out shallower than they should, by π.
    """

    width: int

    @property
    def spreads(self) -> int:
        """log θ of every gene, then the logit of π of every gene."""
        return 2 * self.width

    def profiles(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As of the negative binomial, with few zeros of another origin."""
        profile, dispersion = label_profiles(encoded)
        return profile, np.concatenate([dispersion, np.full_like(dispersion, DROPOUT)])

    def centre(self, raw: Tensor, size: Tensor) -> Tensor:
        """μ."""
        return size * torch.softmax(raw, dim=1)

    def log_prob(self, x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        """See `zero_inflated`."""
        return zero_inflated(x, *self._parameters(centre, spread))

    def mean(self, centre: Tensor, spread: Tensor) -> Tensor:
        """μ."""
        return centre

    def sample(self, centre: Tensor, spread: Tensor, generator: np.random.Generator) -> Matrix:
        """See `sample_zero_inflated`."""
        mean, log_dispersion, dropout = self._parameters(centre, spread)
        return sample_zero_inflated(mean.numpy(), log_dispersion.numpy(), dropout.numpy(), generator)

    @staticmethod
    def _parameters(centre: Tensor, spread: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        log_dispersion, dropout = spread.chunk(2, dim=1)
        dropout = dropout.clamp(-LOG_LIMIT, LOG_LIMIT)
        return centre * (1 + dropout.exp()), log_dispersion, dropout


@dataclass(frozen=True)
class Poisson:
    """Counts that vary no more than their latent and chance make them."""

    width: int
    spreads: int = 0

    def profiles(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Log-profiles of the labels."""
        return label_profiles(encoded)[0], np.zeros(0, np.float32)

    def centre(self, raw: Tensor, size: Tensor) -> Tensor:
        """μ."""
        return size * torch.softmax(raw, dim=1)

    def log_prob(self, x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        """See `poisson`."""
        return poisson(x, centre)

    def mean(self, centre: Tensor, spread: Tensor) -> Tensor:
        """μ."""
        return centre

    def sample(self, centre: Tensor, spread: Tensor, generator: np.random.Generator) -> Matrix:
        """See `sample_poisson`."""
        return sample_poisson(centre.numpy(), generator)


@dataclass(frozen=True)
class Bernoulli:
    """0 or 1."""

    width: int
    spreads: int = 0

    def profiles(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits of the labels' shares of ones.

        Raises:
            ConfigError: there are counts above 1.
        """
        values = encoded.x.data if sparse.issparse(encoded.x) else np.asarray(encoded.x)
        if (many := int((values > 1).sum())) > 0:
            raise ConfigError(
                f"likelihood 'bernoulli' needs counts of 0 and 1, but {many} are larger (the largest is {values.max():.0f}); "
                "use nb, or pass what is detected as 1."
            )
        return label_logits(encoded), np.zeros(0, np.float32)

    def centre(self, raw: Tensor, size: Tensor) -> Tensor:
        """Logits; the library size acts through the decoder's input."""
        return raw

    def log_prob(self, x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        """See `bernoulli`."""
        return bernoulli(x, centre)

    def mean(self, centre: Tensor, spread: Tensor) -> Tensor:
        """Probability of a one."""
        return torch.sigmoid(centre)

    def sample(self, centre: Tensor, spread: Tensor, generator: np.random.Generator) -> Matrix:
        """See `sample_bernoulli`."""
        return sample_bernoulli(centre.numpy(), generator)


@dataclass(frozen=True)
class Gaussian:
    """Continuous values with a variance of every feature and row."""

    width: int

    @property
    def spreads(self) -> int:
        """log σ²."""
        return self.width

    def profiles(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Means of the labels, log variances within them."""
        return label_profiles(encoded)

    def centre(self, raw: Tensor, size: Tensor) -> Tensor:
        """Means."""
        return raw

    def log_prob(self, x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
        """See `gaussian`."""
        return gaussian(x, centre, spread)

    def mean(self, centre: Tensor, spread: Tensor) -> Tensor:
        """Means."""
        return centre

    def sample(self, centre: Tensor, spread: Tensor, generator: np.random.Generator) -> Matrix:
        """See `sample_gaussian`."""
        return sample_gaussian(centre.numpy(), spread.numpy(), generator)


# of every space, its default first
LIKELIHOODS: dict[Space, dict[Name, type[NegativeBinomial | ZeroInflated | Poisson | Bernoulli | Gaussian]]] = {
    Space.COUNTS: {"nb": NegativeBinomial, "zinb": ZeroInflated, "poisson": Poisson, "bernoulli": Bernoulli},
    Space.CONTINUOUS: {"gaussian": Gaussian},
}


def chosen(layout: Layout, name: Name | None) -> Likelihood:
    """The likelihood of the rows of a layout; by default the first of its space.

    Raises:
        ConfigError: it does not describe values of this space.
    """
    known = LIKELIHOODS[layout.space]
    name = name or next(iter(known))
    if name not in known:
        binary = "; a 0/1 matrix is counts: --space counts" if name == "bernoulli" else ""
        raise ConfigError(f"likelihood '{name}' does not describe {layout.space} values; use {listed(known)}{binary}.")
    return known[name](layout.features)


def negative_binomial(x: Tensor, mean: Tensor, log_dispersion: Tensor) -> Tensor:
    """Log-probability of counts, summed over features: ``(rows,)``.

    log NB(x; μ, θ) = −θ·log(1 + μ/θ) + [x > 0]·( x·log(μ/(μ + θ)) + lgamma(x + θ) − lgamma(θ) − lgamma(x + 1) )

    The bracket vanishes where x = 0, which is most of a single-cell matrix, so the gamma functions are evaluated on
    the non-zero counts only.

    Args:
        x: ``(rows, genes)`` counts.
        mean: ``(rows, genes)`` μ > 0.
        log_dispersion: ``(rows, genes)`` log θ; variance is μ + μ²/θ.
    """
    theta = log_dispersion.clamp(-LOG_LIMIT, LOG_LIMIT).exp()
    zero_part = -(theta * torch.log1p(mean / theta)).sum(dim=1)
    row, column = torch.nonzero(x, as_tuple=True)
    positive = _bracket(x[row, column], mean[row, column], theta[row, column])
    return zero_part.index_add(0, row, positive)


def zero_inflated(x: Tensor, mean: Tensor, log_dispersion: Tensor, dropout: Tensor) -> Tensor:
    """Log-probability of counts of which some are zero for another reason, summed over features: ``(rows,)``.

    log p(x) = log( π·[x = 0] + (1 − π)·NB(x; μ, θ) ),   π = 1 / (1 + exp(−a))
             = −log(1 + eᵃ) + log(eᵃ + NB(0))   where x = 0,   −log(1 + eᵃ) + log NB(x)   elsewhere

    Args:
        x: ``(rows, genes)`` counts.
        mean: ``(rows, genes)`` μ > 0.
        log_dispersion: ``(rows, genes)`` log θ.
        dropout: ``(rows, genes)`` a, the logit of π.
    """
    theta = log_dispersion.clamp(-LOG_LIMIT, LOG_LIMIT).exp()
    zero = -(theta * torch.log1p(mean / theta))  # log NB(0)
    either = torch.logaddexp(dropout, zero)
    row, column = torch.nonzero(x, as_tuple=True)
    positive = _bracket(x[row, column], mean[row, column], theta[row, column])
    positive = positive + zero[row, column] - either[row, column]
    return (either - F.softplus(dropout)).sum(dim=1).index_add(0, row, positive)


def _bracket(k: Tensor, mean: Tensor, theta: Tensor) -> Tensor:
    """log NB(k) − log NB(0) of positive counts."""
    positive = k * (torch.log(mean + 1e-10) - torch.log(mean + theta)) + torch.lgamma(k + theta) - torch.lgamma(theta)
    return positive - torch.lgamma(k + 1)


def poisson(x: Tensor, mean: Tensor) -> Tensor:
    """Log-probability of counts, summed over features: ``(rows,)``.

    log p(x; μ) = −μ + [x > 0]·( x·log μ − lgamma(x + 1) )
    """
    row, column = torch.nonzero(x, as_tuple=True)
    k = x[row, column]
    positive = k * torch.log(mean[row, column] + 1e-10) - torch.lgamma(k + 1)
    return (-mean.sum(dim=1)).index_add(0, row, positive)


def bernoulli(x: Tensor, logit: Tensor) -> Tensor:
    """Log-probability ``Σ x·a − log(1 + eᵃ)`` of zeros and ones: ``(rows,)``."""
    return (x * logit - F.softplus(logit)).sum(dim=1)


def gaussian(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log-density of independent Gaussians, summed over features: ``(rows,)``."""
    log_variance = log_variance.clamp(-LOG_LIMIT, LOG_LIMIT)
    return -0.5 * (math.log(2 * math.pi) + log_variance + (x - mean) ** 2 / log_variance.exp()).sum(dim=1)
