"""The forms in which users have rows, and get them back: AnnData, data frames, arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Dataset, Source
from augmentor.core.errors import ConfigError
from augmentor.io import convert, to_anndata, to_frame
from augmentor.io._columns import decode_label
from augmentor.latent import Anomalies
from augmentor.preprocess import genes as gene_selection

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["anndata", "frame", "arrays"]
EMBEDDING, DENOISED = "X_augmentor", "denoised"


def loaded(data: Any, genes: int | Literal["all"], **reading: Any) -> tuple[Dataset, Kind]:
    """Read what a user has, and remember what it was."""
    if isinstance(data, Dataset):
        return data, "anndata" if data.schema.levels is None else "frame"
    if isinstance(data, Source):
        if genes == "all":
            raise ConfigError(
                "data read from disk in blocks needs a number of genes (--genes 2000) to load only those."
            )
        dataset = data.load(gene_selection.select_streaming(data, genes))
        return dataset, "anndata"
    dataset = convert(data, **reading)
    if isinstance(data, tuple):
        return dataset, "arrays"
    frame = type(data).__module__.startswith("pandas") or dataset.schema.levels is not None
    return dataset, "frame" if frame else "anndata"


def given_back(dataset: Dataset, kind: Kind, uns: dict[str, Any]) -> Any:
    """Return rows in the form that was fitted, flagged as synthetic."""
    if kind == "arrays":
        return dataset.x, array_labels(dataset) if dataset.schema.labels else None
    if "synthetic" not in dataset.extra:
        dataset = replace(dataset, extra={"synthetic": np.ones(len(dataset), dtype=bool)})
    return to_frame(dataset) if kind == "frame" else to_anndata(dataset, uns=uns)


def array_labels(dataset: Dataset) -> Any:
    """Return the label in the type it was given in: whole numbers stay whole numbers."""
    return decode_label(dataset.schema.labels[0], dataset.codes[:, 0])


def embedded(dataset: Dataset, kind: Kind, data: Any, z: NDArray[np.float32]) -> Any:
    """Return latent features ``(rows, latent)`` in the form of the data."""
    if kind == "arrays":
        return z
    if kind == "frame":
        import pandas as pd

        return pd.DataFrame(z, index=_index(dataset, data), columns=[f"latent_{i + 1}" for i in range(z.shape[1])])
    adata = data.copy() if _is_anndata(data) else to_anndata(dataset)
    adata.obsm[EMBEDDING] = z
    return adata


def denoised(dataset: Dataset, kind: Kind, data: Any, means: Dataset) -> Any:
    """Return denoised rows in the form of the data, with the features of the model only."""
    if kind == "arrays":
        return means.x
    features = list(means.schema.features)
    if kind == "frame":
        return to_frame(means)[features].set_axis(_index(dataset, data))
    adata = data if _is_anndata(data) else to_anndata(dataset)
    adata = adata.copy() if list(adata.var_names) == features else adata[:, features].copy()
    adata.layers[DENOISED] = means.x
    return adata


def scored(dataset: Dataset, kind: Kind, data: Any, found: Anomalies) -> pd.DataFrame:
    """Return anomaly scores as a table, one row for each row."""
    import pandas as pd

    columns: dict[str, Any] = {
        "label": found.label,
        "label_known": found.known,
        "trained": found.seen,
        "score": found.score,
    }
    if found.quantile is not None:
        columns |= {"quantile": found.quantile, "outlier": found.outlier}
    return pd.DataFrame(columns, index=_index(dataset, data))


def _is_anndata(data: Any) -> bool:
    return any(base.__module__.partition(".")[0] == "anndata" for base in type(data).__mro__)


def _index(dataset: Dataset, data: Any) -> Any:
    """The index of a user's data frame, else the names of the rows."""
    import pandas as pd

    if isinstance(data, pd.DataFrame) and len(data) == len(dataset):
        return data.index
    return pd.Index(dataset.names, dtype=object)
