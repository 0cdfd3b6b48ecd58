"""A sampler for imbalanced-learn: synthetic rows of the labels that have too few, made inside the training folds only.

    from imblearn.pipeline import make_pipeline
    model = make_pipeline(AugmentorSampler("copula"), LogisticRegression())
    cross_val_score(model, X, y)          # the generator never sees a validation row

The interface is that of imbalanced-learn (`fit_resample`, `sampling_strategy`), which is not imported and need not be there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from augmentor.api import Augmentor
from augmentor.core.errors import ConfigError, LabelError, did_you_mean, listed

STRATEGIES = ("auto", "not majority", "minority", "not minority", "all")


class AugmentorSampler(BaseEstimator):
    """Adds synthetic rows of a fitted generator to the real ones.

    Args:
        model: name of a model (``augment models``), or ``auto``.
        sampling_strategy: which labels are lifted to the size of the largest: ``auto`` or ``not majority`` (all others),
            ``minority`` (the smallest only), ``not minority``, ``all``; a share for two labels (minority over majority rows
            afterwards); rows per label afterwards as a mapping; or a function of the labels that returns such a mapping.
        random_state: seed; same seed, same rows.
        settings: settings of the model.

    Attributes:
        sampling_strategy_: rows added, by label.
        model_: the fitted `Augmentor`.
    """

    _estimator_type = "sampler"

    def __init__(
        self,
        model: str = "copula",
        *,
        sampling_strategy: str | float | Mapping[Any, int] | Callable[[Any], Mapping[Any, int]] = "auto",
        random_state: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.settings = settings

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Fit a generator to the rows and return them with synthetic rows of the labels that need some.

        Args:
            X: ``(rows, features)`` array, sparse matrix or data frame.
            y: ``(rows,)`` labels.

        Returns:
            Real rows first, then synthetic ones, in the types that were given.
        """
        labels = np.asarray(y)
        classes, counts = np.unique(labels, return_counts=True)
        self.sampling_strategy_ = self._wanted(labels, dict(zip(classes.tolist(), counts.tolist(), strict=True)))
        asked = {str(label): n for label, n in self.sampling_strategy_.items() if n}
        if not asked:
            return X, y
        frame = hasattr(X, "columns")
        matrix = X.to_numpy() if frame else X
        augmentor = Augmentor(self.model, seed=self.random_state, **(self.settings or {}))
        # as text: labels come back in the type of y below, whatever it is
        text = np.array([str(label) for label in labels], dtype=object)
        self.model_ = augmentor.fit((matrix, text), label="label", holdout=0.0, rare="keep")
        made, found = augmentor.sample(asked)
        original = {str(label): label for label in classes}
        added = np.array([original[str(label)] for label in found], dtype=labels.dtype)
        return self._joined(X, matrix, made), self._labelled(y, labels, added)

    def fit(self, X: Any, y: Any) -> AugmentorSampler:
        """Check the strategy against the labels; the work is done by `fit_resample`."""
        classes, counts = np.unique(np.asarray(y), return_counts=True)
        self.sampling_strategy_ = self._wanted(y, dict(zip(classes.tolist(), counts.tolist(), strict=True)))
        return self

    def _wanted(self, y: Any, counts: dict[Any, int]) -> dict[Any, int]:
        """Return the rows to add, by label."""
        strategy = self.sampling_strategy
        if callable(strategy):
            strategy = strategy(y)
        most, least = max(counts.values()), min(counts.values())
        if isinstance(strategy, Mapping):
            unknown = [label for label in strategy if label not in counts]
            if unknown:
                raise LabelError(f"sampling_strategy names {listed(unknown)}, but the labels are {listed(counts)}.")
            few = [label for label, n in strategy.items() if n < counts[label]]
            if few:
                raise ConfigError(
                    f"sampling_strategy asks for fewer rows than there are of {listed(few)}; rows are only added."
                )
            return {label: int(strategy.get(label, n)) - n for label, n in counts.items()}
        if isinstance(strategy, int | float) and not isinstance(strategy, bool):
            if len(counts) != 2 or not 0 < strategy <= 1:
                raise ConfigError("a share as sampling_strategy is for two labels, above 0 and at most 1.")
            return {label: max(round(strategy * most) - n, 0) if n < most else 0 for label, n in counts.items()}
        if strategy not in STRATEGIES:
            raise ConfigError(
                f"'{strategy}' is not a sampling_strategy.{did_you_mean(str(strategy), STRATEGIES)} "
                f"Known: {listed(STRATEGIES)}, a share, or rows per label."
            )
        spared = {"minority": lambda n: n > least, "not minority": lambda n: n == least}.get(str(strategy))
        return {label: 0 if spared is not None and spared(n) else most - n for label, n in counts.items()}

    @staticmethod
    def _joined(X: Any, matrix: Any, made: Any) -> Any:
        if sparse.issparse(matrix):
            return sparse.vstack([matrix, sparse.csr_matrix(made).astype(matrix.dtype)], format=matrix.format)
        dense = made.toarray() if sparse.issparse(made) else np.asarray(made)
        both = np.concatenate([np.asarray(matrix), dense.astype(np.asarray(matrix).dtype)])
        if not hasattr(X, "columns"):
            return both
        import pandas as pd

        return pd.DataFrame(both, columns=X.columns).astype(X.dtypes.to_dict())

    @staticmethod
    def _labelled(y: Any, labels: Any, added: Any) -> Any:
        both = np.concatenate([labels, added])
        if not hasattr(y, "iloc"):
            return both
        import pandas as pd

        return pd.Series(both, name=y.name).astype(y.dtype)
