"""Small real data sets that come with augmentor; origin and licences in README.md beside this file.

Example:
    >>> import augmentor_data
    >>> augmentor_data.names()
    ['khan', 'pbmc3k']
    >>> augmentor_data.path("pbmc3k").name
    'pbmc3k.h5ad'
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["names", "path"]


def names() -> list[str]:
    """Names of the bundled data sets, sorted."""
    return sorted(_found())


def path(name: str) -> Path:
    """Return the file of a bundled data set.

    Raises:
        FileNotFoundError: no data set of that name; the known ones are listed.
    """
    found = _found()
    if name not in found:
        raise FileNotFoundError(f"'{name}' is not a bundled data set. Bundled: {', '.join(sorted(found))}.")
    return found[name]


def _found() -> dict[str, Path]:
    """A data set is a folder with a file of the same name: ``khan/khan.csv.gz``."""
    root = Path(str(files(__name__)))
    return {file.parent.name: file for file in root.glob("*/*.*") if file.name.split(".")[0] == file.parent.name}
