"""Files in and out: one file per format, chosen by file name or folder contents, imported when needed.

``read`` and ``open_source`` give a `Dataset` and its out-of-core twin; ``writer`` appends rows to a new file that exists
whole or not at all; ``from_*``, ``to_*`` and ``convert`` do the same for objects in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augmentor.core.atomic import atomic_path
from augmentor.core.dataset import Dataset, Source
from augmentor.core.errors import DataError
from augmentor.io._annotated import features_frame, is_table, write_annotated, write_frame, write_rows
from augmentor.io._format import STREAM, Options, to_read, to_write
from augmentor.io._gene_sets import read_gene_sets
from augmentor.io._writer import Writer, writer

if TYPE_CHECKING:
    import anndata
    import pandas as pd

__all__ = [
    "Writer",
    "atomic_path",
    "check_format",
    "convert",
    "features_frame",
    "from_anndata",
    "from_arrays",
    "from_frame",
    "is_table",
    "open_source",
    "read",
    "read_gene_sets",
    "to_anndata",
    "to_frame",
    "write_annotated",
    "write_frame",
    "write_rows",
    "writer",
]


def read(
    path: str | Path,
    *,
    label: str | Sequence[str] | None = None,
    covariates: str | Sequence[str] = (),
    group: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    transpose: bool = False,
    space: str = "auto",
    categorical: str | Sequence[str] = (),
    numeric: str | Sequence[str] = (),
    ordered: Mapping[str, Sequence[object]] | None = None,
) -> Dataset:
    """Read a file or folder into memory, or refuse it in one sentence.

    Args:
        path: ``.h5ad``, ``.zarr``, ``.csv``, ``.tsv``, ``.parquet``, a 10x folder or 10x ``.h5``; ``-`` for CSV on stdin.
        label: label column or columns.
        covariates: numeric columns to condition on.
        group: column that keeps rows together in splits (patient, donor).
        layer: layer to read instead of X.
        use_raw: read ``raw`` instead of X.
        transpose: genes are in rows.
        space: ``auto``, or what the numbers are: counts, log, continuous, mixed.
        categorical: columns of a table that are categories, also where they hold numbers.
        numeric: columns of a table that are numbers, also where they were read as text or categories.
        ordered: columns of a table that are categories, each with all its values, lowest first.

    Returns:
        The data, ``(rows, features)``, sparse if stored sparse; ``notes`` say what was detected and why.

    Raises:
        DataError: the file or the matrix is not what it should be.
        LabelError: a column does not exist or cannot be used.
    """
    options = Options.of(
        label=label,
        covariates=covariates,
        group=group,
        layer=layer,
        use_raw=use_raw,
        transpose=transpose,
        space=space,
        categorical=categorical,
        numeric=numeric,
        ordered=ordered,
    )
    return to_read(str(path)).read(str(path), _called(path), options)


def open_source(
    path: str | Path,
    *,
    label: str | Sequence[str] | None = None,
    covariates: str | Sequence[str] = (),
    group: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    transpose: bool = False,
    space: str = "auto",
    categorical: str | Sequence[str] = (),
    numeric: str | Sequence[str] = (),
    ordered: Mapping[str, Sequence[object]] | None = None,
) -> Source:
    """Open a file to be read in blocks; h5ad and zarr stay on disk, other formats are read into memory.

    Arguments and refusals are those of `read`. One pass over the matrix finds its space and checks its values.
    """
    options = Options.of(
        label=label,
        covariates=covariates,
        group=group,
        layer=layer,
        use_raw=use_raw,
        transpose=transpose,
        space=space,
        categorical=categorical,
        numeric=numeric,
        ordered=ordered,
    )
    form = to_read(str(path))
    if form.source is not None:
        return form.source(str(path), _called(path), options)
    from augmentor.io._loaded import LoadedSource

    return LoadedSource(form.read(str(path), _called(path), options))


def from_anndata(
    adata: anndata.AnnData,
    *,
    label: str | Sequence[str] | None = None,
    covariates: str | Sequence[str] = (),
    group: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    transpose: bool = False,
    space: str = "auto",
    what: str = "adata",
) -> Dataset:
    """Return the data set of an AnnData object; arguments as in `read`, ``what`` names it in messages."""
    from augmentor.io._memory import annotated

    options = Options.of(
        label=label,
        covariates=covariates,
        group=group,
        layer=layer,
        use_raw=use_raw,
        transpose=transpose,
        space=space,
    )
    return annotated(adata, options, what)


def from_frame(
    df: pd.DataFrame,
    *,
    label: str | Sequence[str] | None = None,
    covariates: str | Sequence[str] = (),
    group: str | None = None,
    transpose: bool = False,
    space: str = "auto",
    categorical: str | Sequence[str] = (),
    numeric: str | Sequence[str] = (),
    ordered: Mapping[str, Sequence[object]] | None = None,
    what: str = "the data frame",
) -> Dataset:
    """Return the data set of a data frame, rows as samples; text columns make it a mixed table; arguments as in `read`."""
    from augmentor.io._memory import framed
    from augmentor.io.table import turned

    options = Options.of(
        label=label,
        covariates=covariates,
        group=group,
        transpose=transpose,
        space=space,
        categorical=categorical,
        numeric=numeric,
        ordered=ordered,
    )
    return framed(turned(df) if transpose else df, options, what, text_index=transpose)


def from_arrays(
    X: Any,
    y: Any = None,
    *,
    feature_names: Sequence[str] | None = None,
    label: str = "label",
    space: str = "auto",
    what: str = "X",
) -> Dataset:
    """Return the data set of a matrix and its labels.

    Args:
        X: ``(rows, features)`` array, sparse matrix or data frame.
        y: ``(rows,)`` labels of any type; a series gives the label its name.
        feature_names: names of the columns; ``x0, x1, ...`` if absent.
        label: name of the label column.
        space: as in `read`.
        what: how messages call the matrix.
    """
    from augmentor.io._memory import arrayed

    return arrayed(X, y, feature_names, label, Options.of(space=space), what)


def convert(
    data: Any,
    *,
    label: str | Sequence[str] | None = None,
    covariates: str | Sequence[str] = (),
    group: str | None = None,
    layer: str | None = None,
    use_raw: bool = False,
    transpose: bool = False,
    space: str = "auto",
    categorical: str | Sequence[str] = (),
    numeric: str | Sequence[str] = (),
    ordered: Mapping[str, Sequence[object]] | None = None,
) -> Dataset:
    """Return the data set of whatever a user has: path, AnnData, data frame, ``(X, y)``, array, or a data set itself."""
    types: dict[str, Any] = {"categorical": categorical, "numeric": numeric, "ordered": ordered}
    if isinstance(data, Dataset):
        return data
    if isinstance(data, (str, Path)):
        return read(
            data,
            label=label,
            covariates=covariates,
            group=group,
            layer=layer,
            use_raw=use_raw,
            transpose=transpose,
            space=space,
            **types,
        )
    # asked by module name, so that a library that is not in use is not imported
    family = {base.__module__.partition(".")[0] for base in type(data).__mro__}
    if "anndata" in family and not any(types.values()):
        return from_anndata(
            data,
            label=label,
            covariates=covariates,
            group=group,
            layer=layer,
            use_raw=use_raw,
            transpose=transpose,
            space=space,
        )
    if "pandas" in family:
        return from_frame(
            data, label=label, covariates=covariates, group=group, transpose=transpose, space=space, **types
        )
    if any(types.values()):
        raise DataError(
            f"categorical=, numeric= and ordered= name columns of a table; a {type(data).__name__} has none. Pass a data frame."
        )
    if isinstance(data, tuple) and len(data) == 2:
        return from_arrays(data[0], data[1], label=label if isinstance(label, str) else "label", space=space)
    if family & {"numpy", "scipy"}:
        return from_arrays(data, space=space)
    raise DataError(
        f"cannot use a {type(data).__name__} as data. Pass a path, an AnnData, a DataFrame, (X, y), or an array."
    )


def to_anndata(dataset: Dataset, *, uns: dict[str, Any] | None = None) -> anndata.AnnData:
    """Return an AnnData with the user's dtype, sparsity, label types and var."""
    from augmentor.io import _memory

    return _memory.to_anndata(dataset, uns=uns)


def to_frame(dataset: Dataset) -> pd.DataFrame:
    """Return a data frame with labels, covariates, other annotation and features in the user's types."""
    from augmentor.io import _memory

    return _memory.to_frame(dataset)


def check_format(path: str | Path) -> None:
    """Refuse a file name that no writable format knows, before there is anything to write.

    Raises:
        DataError: the name has no known ending.
    """
    to_write(str(path))


def _called(path: str | Path) -> str:
    return "standard input" if str(path) == STREAM else Path(path).name
