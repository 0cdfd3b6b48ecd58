"""Files of rows that are at hand whole: AnnData, new matrices beside a file's other content, plain tables.

Drawn rows are appended block by block (`writer`); what is found out about rows that a user already has is written here.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from augmentor.core.atomic import atomic_path, disk_full_refused, free_bytes, space_message
from augmentor.core.errors import DataError, ResourceError
from augmentor.io._format import STREAM, to_write

if TYPE_CHECKING:
    import anndata
    import pandas as pd

STORES = (".h5ad", ".zarr")


def is_table(path: str | Path) -> bool:
    """Whether a file of this name is a table, and not a store of matrices (.h5ad, .zarr).

    Raises:
        DataError: no writable format has such a name.
    """
    to_write(str(path))
    return not str(path).lower().rstrip("/").endswith(STORES)


def write_frame(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table with its index as the first column ``sample``: .csv, .tsv, .txt (also .gz), .parquet; - for CSV on stdout.

    Raises:
        DataError: the name is not that of a table.
        ResourceError: the disk is full.
    """
    path = str(path)
    if not is_table(path):
        raise DataError(f"cannot write {path}: this is a table; name it .csv, .tsv or .parquet.")
    frame = frame.rename_axis("sample" if "sample" not in frame.columns else "").reset_index()
    if path == STREAM:
        frame.to_csv(sys.stdout, index=False)
        return

    def write(temporary: Path) -> None:
        name = Path(path).name.lower()
        if name.endswith(".parquet"):
            frame.to_parquet(temporary, index=False)
            return
        # no time inside, so that the same rows give the same bytes
        packing: Any = {"method": "gzip", "mtime": 0} if name.endswith(".gz") else None
        frame.to_csv(temporary, index=False, sep="," if ".csv" in name[-7:] else "\t", compression=packing)

    _whole(path, write)


def write_rows(path: str | Path, rows: Any) -> None:
    """Write an AnnData or a data frame to a file of any format that is written; in a table the annotation stands before the features.

    Raises:
        DataError: the name has no known ending, or a data frame is to become a store.
        ResourceError: the disk is full.
    """
    if is_table(path):
        write_frame(path, rows if not hasattr(rows, "obs") else _framed(rows))
    elif hasattr(rows, "obs"):
        write_annotated(path, rows)
    else:
        raise DataError(
            f"cannot write {path}: a mixed table does not fit into AnnData; name it .csv, .tsv or .parquet."
        )


def write_annotated(
    path: str | Path,
    adata: anndata.AnnData,
    *,
    added: Mapping[str, Sequence[str]] | None = None,
    like: str | Path | None = None,
) -> bool:
    """Write an AnnData into a store.

    Args:
        path: ``.h5ad`` or ``.zarr``.
        adata: what to write.
        added: names of what is new, by the name of the group (``obsm``, ``layers``).
        like: the file that the rows are from. An ``.h5ad`` with the same rows and features is copied to an ``.h5ad`` with all that it
            holds, and what is new is added.

    Returns:
        Whether the file's other content was kept.

    Raises:
        DataError: the name is that of a table.
        ResourceError: the disk is full.
    """
    path = str(path)
    if is_table(path):
        raise DataError(f"cannot write {path}: matrices beside rows need a name that ends in .h5ad or .zarr.")
    if like is not None and _can_be_copied(str(like), path, adata):
        new = {group: {name: getattr(adata, group)[name] for name in names} for group, names in (added or {}).items()}
        _whole(path, lambda temporary: _copied(str(like), temporary, path, new))
        return True
    for column in adata.obs.columns:
        # texts with gaps as categories, as anndata writes them
        if adata.obs[column].dtype == np.dtype(object):
            adata.obs[column] = adata.obs[column].map(str, na_action="ignore").astype("category")
    _whole(path, adata.write_zarr if path.rstrip("/").lower().endswith(".zarr") else adata.write_h5ad)
    return False


def features_frame(adata: anndata.AnnData, name: str) -> pd.DataFrame:
    """Return a matrix of ``obsm`` as a table: ``latent_1, latent_2, ...``."""
    import pandas as pd

    matrix: Any = adata.obsm[name]
    return pd.DataFrame(matrix, index=adata.obs_names, columns=[f"latent_{i + 1}" for i in range(matrix.shape[1])])


def _framed(adata: Any) -> pd.DataFrame:
    """Annotation of the rows, then features; whole numbers without a point."""
    import pandas as pd

    x = adata.to_df()
    if x.dtypes.map(lambda kind: kind.kind == "f").all() and bool((x.to_numpy() == np.rint(x.to_numpy())).all()):
        x = x.astype(np.int64)
    return pd.concat([adata.obs, x], axis=1)


def _can_be_copied(like: str, path: str, adata: anndata.AnnData) -> bool:
    """Whether a file is an .h5ad of anndata 0.7 or later, with these rows and features."""
    if not (like.lower().endswith(".h5ad") and path.lower().endswith(".h5ad")):
        return False
    import h5py
    from anndata.io import read_elem

    with h5py.File(like, "r") as root:
        if any(isinstance(root.get(name, root), h5py.Dataset) for name in ("obs", "var", "obsm", "layers")):
            return False
        theirs: list[Any] = [read_elem(root[name]).index for name in ("obs", "var")]
    ours = (adata.obs_names, adata.var_names)
    return all(list(map(str, a)) == list(map(str, b)) for a, b in zip(ours, theirs, strict=True))


def _copied(like: str, temporary: Path, path: str, added: Mapping[str, Mapping[str, Any]]) -> None:
    import h5py
    from anndata.io import write_elem

    more = sum(value.nbytes for values in added.values() for value in values.values())
    need = Path(like).stat().st_size + more + 2**20
    if need > free_bytes(path):  # the HDF5 library cannot close a file that it could not write to
        raise ResourceError(space_message(path, need))
    shutil.copyfile(like, temporary)
    with h5py.File(temporary, "r+") as root:
        for name, values in added.items():
            if name not in root:
                write_elem(root, name, {})
            for key, value in values.items():
                write_elem(root[name], key, value)


def _whole(path: str, write: Callable[[Path], None]) -> None:
    import warnings

    with atomic_path(path) as temporary, disk_full_refused(path), warnings.catch_warnings():
        # notices to programmers about future versions of the file libraries are not for a user
        for kind in (FutureWarning, DeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", kind)
        write(temporary)
