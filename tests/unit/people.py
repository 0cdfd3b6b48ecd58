"""Small labelled data in every form that a user has, shared by the tests of the public face."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

TYPES = ("T", "B", "NK")  # not in alphabetical order, so that a lost order shows


def counts(rows: int = 120, genes: int = 30, seed: int = 0) -> anndata.AnnData:
    """Counts of three cell types (60 %, 30 %, 10 %) from six donors and two batches; sparse integers, annotated genes."""
    generator = np.random.Generator(np.random.SFC64(seed))
    kind = np.repeat(np.arange(3), [6 * rows // 10, 3 * rows // 10, rows - 9 * rows // 10])
    profile = generator.gamma(0.8, 4, (3, genes))
    x = generator.poisson(profile[kind] * generator.lognormal(0, 0.3, (rows, 1)))
    x[:, 0] += 1  # no empty cell
    obs = pd.DataFrame(
        {
            "celltype": pd.Categorical.from_codes(kind, TYPES),
            "batch": np.where(np.arange(rows) % 2, "stim", "ctrl"),
            "donor": [f"d{i % 6}" for i in range(rows)],
            "cluster": kind * 10,
            "sick": np.arange(rows) % 2 == 0,
        },
        index=[f"cell{i}" for i in range(rows)],
    )
    var = pd.DataFrame({"chromosome": [f"chr{i % 3}" for i in range(genes)]}, index=[f"gene{i}" for i in range(genes)])
    return anndata.AnnData(sparse.csr_matrix(x.astype(np.int32)), obs=obs, var=var)


def table(rows: int = 90, features: int = 6, seed: int = 1) -> pd.DataFrame:
    """Continuous features of two classes, one of them rare, with the label in the last column."""
    generator = np.random.Generator(np.random.SFC64(seed))
    label = np.where(np.arange(rows) < 0.8 * rows, "healthy", "tumour")
    x = generator.normal(size=(rows, features)) + 2.0 * (label == "tumour")[:, None]
    frame = pd.DataFrame(x.astype(np.float32), columns=[f"f{i}" for i in range(features)])
    return frame.assign(state=label)
