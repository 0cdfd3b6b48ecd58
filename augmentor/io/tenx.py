"""10x Genomics: a folder of matrix.mtx, features.tsv (genes.tsv), barcodes.tsv, or an .h5 file of Cell Ranger 2 or 3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from augmentor.core.dataset import Dataset
from augmentor.core.errors import DataError, LabelError, listed
from augmentor.io._assemble import Tables, assemble
from augmentor.io._format import Format, Options
from augmentor.io._store import damage_refused

if TYPE_CHECKING:
    import pandas as pd

EXPRESSION = "Gene Expression"


def is_folder(path: Path) -> bool:
    """Whether a folder holds a matrix in Matrix Market format."""
    return any(path.glob("*matrix.mtx*"))


def read(path: str, what: str, options: Options) -> Dataset:
    """Read a 10x folder, its matrix file, or a 10x .h5 file."""
    _refuse_choice(what, options)
    if path.lower().endswith(".h5"):
        return _read_h5(path, what, options)
    return _read_folder(Path(path) if Path(path).is_dir() else Path(path).parent, what, options)


def _read_folder(folder: Path, what: str, options: Options) -> Dataset:
    import pandas as pd
    from scipy.io import mmread

    matrix = _one(folder, ("matrix.mtx.gz", "matrix.mtx"), what)
    prefix = matrix.name[: matrix.name.index("matrix.mtx")]
    genes = _one(folder, _both(prefix, "features.tsv", "genes.tsv"), what)
    cells = _one(folder, _both(prefix, "barcodes.tsv"), what)
    with damage_refused(f"{what}/{matrix.name}"):
        x = sparse.csr_matrix(mmread(str(matrix)).T)
    with damage_refused(f"{what}/{genes.name}"):
        table = pd.read_csv(genes, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=3)
    with damage_refused(f"{what}/{cells.name}"):
        barcodes = pd.read_csv(cells, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=3)
    ids = table[0].to_numpy(dtype=object)
    symbols = table[1].to_numpy(dtype=object) if table.shape[1] > 1 else ids
    kinds = table[2].to_numpy(dtype=object) if table.shape[1] > 2 else None
    obs = pd.DataFrame(index=pd.Index(barcodes[0], dtype=object, name=None))
    sidecar = folder / "labels.csv"
    if sidecar.exists():
        obs = _labelled(obs, sidecar, what)
    return _assembled(x, obs, symbols, {"gene_ids": ids}, kinds, options, what)


def _read_h5(path: str, what: str, options: Options) -> Dataset:
    import pandas as pd

    from augmentor.io.h5ad import opened

    with opened(path, what) as root, damage_refused(what):
        groups = ["matrix"] if "matrix" in root else [name for name in root if "barcodes" in root[name]]
        if not groups or any(
            part not in root[groups[0]] for part in ("data", "indices", "indptr", "shape", "barcodes")
        ):
            hint = " It looks like AnnData; rename it to .h5ad." if "obs" in root and "var" in root else ""
            raise DataError(f"{what} is not a 10x file: it has no group with a matrix and barcodes.{hint}")
        if len(groups) > 1:
            raise DataError(f"{what} holds {len(groups)} genomes ({listed(groups)}); save the one you want as .h5ad.")
        group = root[groups[0]]
        genes, cells = (int(n) for n in group["shape"][:])
        # genes x cells by columns is cells x genes by rows
        x = sparse.csr_matrix((group["data"][:], group["indices"][:], group["indptr"][:]), shape=(cells, genes))
        kinds = None
        if "features" in group:
            features = group["features"]
            ids, symbols = _texts(features["id"]), _texts(features["name"])
            kinds = _texts(features["feature_type"]) if "feature_type" in features else None
        else:
            ids, symbols = _texts(group["genes"]), _texts(group["gene_names"])
        obs = pd.DataFrame(index=pd.Index(_texts(group["barcodes"]), dtype=object))
    return _assembled(x, obs, symbols, {"gene_ids": ids}, kinds, options, what)


def _assembled(
    x: Any, obs: pd.DataFrame, symbols: Any, ids: dict[str, Any], kinds: Any, options: Options, what: str
) -> Dataset:
    """Keep gene expression, make symbols unique as scanpy does, and hand over."""
    import pandas as pd

    if x.shape != (len(obs), len(symbols)):
        raise DataError(
            f"{what} has a matrix of {x.shape[0]} cells x {x.shape[1]} genes, but {len(obs)} barcodes and {len(symbols)} "
            "genes are listed. Copy the files again."
        )
    notes = []
    if kinds is not None and EXPRESSION in kinds and any(kind != EXPRESSION for kind in kinds):
        kept = np.flatnonzero(kinds == EXPRESSION)
        notes.append(f"{what}: {len(kinds) - len(kept)} features that are not gene expression were left out.")
        x, symbols, ids = x[:, kept], symbols[kept], {name: values[kept] for name, values in ids.items()}
    names = unique_names([str(symbol) for symbol in symbols])
    changed = sum(a != b for a, b in zip(names, symbols, strict=True))
    if changed:
        notes.append(
            f"{what}: {changed} repeated gene symbols got a number (-1, -2, ...); var['gene_ids'] tells them apart."
        )
    if x.dtype.kind in "iu":
        # Cell Ranger's own type, which the text file does not name
        x = x.astype(np.int32)
    var = pd.DataFrame(ids, index=pd.Index(names, dtype=object))
    return assemble(x, Tables(obs=obs, var=var, dtype=str(x.dtype), sparse=True, notes=tuple(notes)), options, what)


def unique_names(names: list[str]) -> list[str]:
    """Append ``-1``, ``-2``, ... to repetitions of a name, as scanpy does, never making a name that exists."""
    taken = set(names)
    count: dict[str, int] = {}
    found = []
    for name in names:
        if name not in count:
            count[name] = 0
            found.append(name)
            continue
        while True:
            count[name] += 1
            candidate = f"{name}-{count[name]}"
            if candidate not in taken:
                break
        taken.add(candidate)
        found.append(candidate)
    return found


def _labelled(obs: pd.DataFrame, sidecar: Path, what: str) -> pd.DataFrame:
    """Attach the columns of labels.csv, whose first column (or ``barcode``) names the cells."""
    import pandas as pd

    from augmentor.io.table import NULLS

    with damage_refused(f"{what}/{sidecar.name}"):
        table = pd.read_csv(sidecar, na_values=NULLS, keep_default_na=False)
    key = "barcode" if "barcode" in table.columns else str(table.columns[0])
    table = table.set_index(table[key].astype(str)).drop(columns=key)
    if not table.index.is_unique:
        raise LabelError(
            f"{what}/{sidecar.name} names {int(table.index.duplicated().sum())} barcodes twice; keep one line each."
        )
    if not obs.index.isin(table.index).any():
        raise LabelError(
            f"{what}/{sidecar.name} names none of the {len(obs)} barcodes (first: {obs.index[0]}; there: {table.index[0]}). "
            "Its first column must hold them."
        )
    return table.reindex(obs.index)


def _refuse_choice(what: str, options: Options) -> None:
    if options.layer is not None or options.use_raw:
        asked = f"--layer {options.layer}" if options.layer is not None else "--use-raw"
        raise DataError(f"{what} is a 10x matrix and holds one matrix only; leave out {asked}.")


def _both(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{name}{ending}" for name in names for ending in (".gz", ""))


def _one(folder: Path, names: tuple[str, ...], what: str) -> Path:
    for name in names:
        if (folder / name).exists():
            return folder / name
    found = (
        [path for name in names for path in sorted(folder.glob(f"*{name}"))] if names[0].startswith("matrix") else []
    )
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{what} holds {len(found)} matrices ({listed(p.name for p in found)}); keep one per folder.")
    raise DataError(f"{what} is a 10x folder without {' or '.join(names)}. Copy the missing file into it.")


def _texts(element: Any) -> Any:
    return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in element[:]], dtype=object)


FORMAT = Format(suffixes=(".h5", ".mtx", ".mtx.gz"), read=read, folder=is_folder)
