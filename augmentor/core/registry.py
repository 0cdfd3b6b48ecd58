"""A folder is a registry: a file in it is an entry, its name the entry's name, its docstring's first line the summary.

Listing imports nothing. An entry is imported when it is asked for, and must define exactly what the registry expects;
a third-party package adds entries through an entry point of the group named like the folder (``augmentor.models``).
"""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from augmentor.core.errors import ConfigError, did_you_mean, listed


@dataclass(frozen=True)
class Registry:
    """The entries of one folder.

    Attributes:
        package: dotted name of the folder, also the entry-point group.
        attribute: name that every entry's module defines.
        kind: what an entry is called in messages.
    """

    package: str
    attribute: str
    kind: str

    @cached_property
    def _files(self) -> dict[str, Path]:
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError(f"{self.package} is not a package")
        folder = Path(next(iter(spec.submodule_search_locations)))
        return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}

    @cached_property
    def _plugins(self) -> dict[str, metadata.EntryPoint]:
        return {
            point.name: point for point in metadata.entry_points(group=self.package) if point.name not in self._files
        }

    def names(self) -> list[str]:
        """Names of all entries, sorted; nothing is imported."""
        return sorted([*self._files, *self._plugins])

    def summary(self, name: str) -> str:
        """First line of an entry's docstring, read without importing it."""
        if name in self._plugins:
            return f"from {self._plugins[name].value}"
        self._known(name)
        return self.documentation(name).partition("\n")[0].strip()

    def documentation(self, name: str) -> str:
        """Whole docstring of a built-in entry's module, read without importing it."""
        self._known(name)
        return ast.get_docstring(ast.parse(self._files[name].read_text(encoding="utf-8"))) or ""

    def get(self, name: str) -> Any:
        """Import and return an entry.

        Raises:
            ConfigError: the name is unknown; similar and known names are given.
            TypeError: the file does not define what the registry expects.
        """
        if name in self._plugins:
            return self._plugins[name].load()
        self._known(name)
        module = importlib.import_module(f"{self.package}.{name}")
        try:
            return getattr(module, self.attribute)
        except AttributeError:
            raise TypeError(f"{module.__file__} must define {self.attribute}") from None

    def _known(self, name: str) -> None:
        if name not in self._files:
            hint = did_you_mean(name, self.names())
            raise ConfigError(f"'{name}' is not a {self.kind}.{hint} Known: {listed(self.names(), most=40)}.")


MODELS = Registry("augmentor.models", "Model", "model")
METRICS = Registry("augmentor.evaluation.metrics", "Metric", "metric")
TRANSFORMS = Registry("augmentor.preprocess.transforms", "Step", "transform")
