"""What a file says about where its rows are from: the record that `sample` and `balance` leave in ``uns``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

RECORD = "augmentor"
PLAN = "plan"


def provenance(data: Any) -> dict[str, Any] | None:
    """Return the plain values (texts, numbers, flags) of ``uns["augmentor"]`` of a path or an AnnData.

    Returns:
        Empty where there is no record, None where there is no place for one (tables, arrays). ``plan``, the rows of every
        label that were asked for, is a dict of whole numbers, left out where it holds anything else.
    """
    record: Any = _stored(str(data)) if isinstance(data, str | Path) else _held(data)
    if record is None:
        return None
    found = _values(record)
    plan = _values(found.get(PLAN))
    record = {name: value for name, value in found.items() if isinstance(value, str | int | float | bool)}
    if plan and all(isinstance(n, int) and n >= 0 for n in plan.values()):
        record[PLAN] = plan
    return record


def _values(record: Any) -> dict[str, Any]:
    return {str(name): _plain(value) for name, value in record.items()} if hasattr(record, "items") else {}


def _held(data: Any) -> Any:
    return data.uns.get(RECORD, {}) if hasattr(data, "uns") else None


def _stored(path: str) -> Any:
    from augmentor.io import h5ad, zarr

    what = Path(path).name
    if path.lower().endswith(".h5ad"):
        opened = h5ad.opened(path, what)
    elif Path(path).is_dir() and zarr.is_store(Path(path)):
        opened = zarr.opened(path, what)
    else:
        return None
    from anndata.io import read_elem

    try:
        return read_elem(opened["uns"][RECORD]) if "uns" in opened and RECORD in opened["uns"] else {}
    finally:
        if hasattr(opened, "close"):
            opened.close()


def _plain(value: Any) -> Any:
    """A NumPy scalar as a value of Python."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
