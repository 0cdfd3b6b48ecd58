"""What a file format is, and how one is chosen: every file of this folder without a leading underscore is a format.

A format file defines ``FORMAT``; adding one is adding a file. Its top level imports nothing heavy, because choosing
asks every format which names and folders it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from augmentor.core.dataset import Dataset, Matrix, Source
from augmentor.core.errors import ConfigError, DataError, did_you_mean, listed
from augmentor.core.registry import Registry
from augmentor.core.schema import Schema
from augmentor.core.space import Space

FORMATS = Registry("augmentor.io", "FORMAT", "file format")
SPACES = ("auto", *(space.value for space in Space))
STREAM = "-"


@dataclass(frozen=True)
class Options:
    """How to read: which columns are what, which matrix, which space.

    Attributes:
        label: label columns.
        covariates: numeric columns to condition on.
        group: column that keeps rows together in splits.
        layer: layer to read instead of X.
        use_raw: read ``raw`` instead of X.
        transpose: the file has genes in rows.
        space: ``auto`` or a `Space`.
        categorical: columns of a table that are categories, whatever they hold.
        numeric: columns of a table that are numbers, whatever they hold.
        ordered: columns of a table that are categories, each with its values in order.
    """

    label: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    group: str | None = None
    layer: str | None = None
    use_raw: bool = False
    transpose: bool = False
    space: str = "auto"
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    ordered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def typed(self) -> dict[str, str]:
        """The option that says what a column is, by column."""
        options = {"--categorical": self.categorical, "--numeric": self.numeric, "--ordered": self.ordered}
        return {name: option for option, names in options.items() for name in names}

    @staticmethod
    def of(
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
    ) -> Options:
        """Return the options in one form, or refuse an unknown space and contradictions."""
        if str(space) not in SPACES:
            raise ConfigError(
                f"--space '{space}' is not a space.{did_you_mean(str(space), SPACES)} Known: {listed(SPACES)}."
            )
        if use_raw and layer is not None:
            raise ConfigError(f"--use-raw and --layer {layer} name two matrices; pass one of them.")
        options = Options(
            label=_names(label),
            covariates=_names(covariates),
            group=group,
            layer=layer,
            use_raw=use_raw,
            transpose=transpose,
            space=str(space),
            categorical=_names(categorical),
            numeric=_names(numeric),
            ordered={name: tuple(map(str, values)) for name, values in (ordered or {}).items()},
        )
        roles = {"--label": options.label, "--covariate": options.covariates, "--group": _names(group)}
        roles |= {
            "--categorical": options.categorical,
            "--numeric": options.numeric,
            "--ordered": tuple(options.ordered),
        }
        for name, option in options.typed.items():
            other = next((role for role, names in roles.items() if role != option and name in names), None)
            if other:
                raise ConfigError(f"column '{name}' is given as {other} and as {option}; pass one of them.")
        for name, values in options.ordered.items():
            if len(set(values)) < max(len(values), 2):
                raise ConfigError(
                    f"--ordered '{name}' needs at least 2 different values in their order, as in --ordered {name}=low,high; "
                    f"found {listed(values) or 'none'}."
                )
        return options


@dataclass(frozen=True, eq=False)
class Rows:
    """A block of rows on its way into a file; all arrays have one entry per row."""

    x: Matrix
    codes: NDArray[np.int32]
    covariates: NDArray[np.float64]
    names: NDArray[np.object_]
    synthetic: NDArray[np.bool_]


class Sink(Protocol):
    """An open output file that rows are appended to."""

    compressed: bool

    def append(self, rows: Rows) -> None:
        """Write the next rows."""
        ...

    def close(self) -> None:
        """Write what is left and close the file."""
        ...

    def abort(self) -> None:
        """Close the file, which is about to be removed; must not raise."""
        ...


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        suffixes: name endings, lower case, with the dot; ``-`` is the standard stream.
        read: ``read(path, what, options)`` returns the data; ``what`` names the file in messages.
        folder: whether a folder is of this format.
        source: ``source(path, what, options)`` reads from the open file in blocks; None if the format cannot.
        sink: ``sink(temporary path, file name, schema, rows, uns)`` opens a file to append to; None if the format
            is only read.
    """

    suffixes: tuple[str, ...]
    read: Callable[[str, str, Options], Dataset]
    folder: Callable[[Path], bool] = lambda path: False
    source: Callable[[str, str, Options], Source] | None = None
    sink: Callable[[Path, str, Schema, int, Mapping[str, Any]], Sink] | None = None

    def takes(self, name: str) -> bool:
        """Whether a file of this name is of this format."""
        return any(name == s if s == STREAM else name.lower().endswith(s) for s in self.suffixes)


def to_read(path: str) -> Format:
    """Return the format of an existing file or folder.

    Raises:
        DataError: nothing is there, or nothing that any format knows.
    """
    formats = [FORMATS.get(name) for name in FORMATS.names()]
    place = Path(path)
    if path != STREAM and not place.exists():
        siblings = [p.name for p in place.parent.iterdir()] if place.parent.is_dir() else []
        where = "" if place.parent.is_dir() else f" (nor does the folder {place.parent})"
        raise DataError(f"{path} does not exist{where}.{did_you_mean(place.name, siblings)} Check the path.")
    if path != STREAM and place.is_dir():
        for form in formats:
            if form.folder(place):
                return form
        inside = listed(sorted(p.name for p in place.iterdir()), most=4) or "nothing"
        raise DataError(
            f"{path} is a folder, but neither a zarr store nor a 10x folder (matrix.mtx, features.tsv, barcodes.tsv); "
            f"it holds {inside}. Pass the data file itself."
        )
    for form in formats:
        if form.takes(place.name):
            return form
    known = sorted({s for form in formats for s in form.suffixes if s != STREAM})
    raise DataError(f"{path} has no known ending. Known: {listed(known, most=30)}. Rename or convert it.")


def to_write(path: str) -> Format:
    """Return the format that a file name asks for, or refuse a name of none."""
    formats = [FORMATS.get(name) for name in FORMATS.names()]
    for form in formats:
        if form.sink is not None and form.takes(Path(path).name):
            return form
    known = sorted({s for form in formats if form.sink for s in form.suffixes if s != STREAM})
    raise DataError(f"cannot write {path}: the name must end in one of {listed(known, most=30)}.")


def _names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
