"""A folder is a registry: names without import, loud failures, did-you-mean."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from augmentor.core.errors import ConfigError
from augmentor.core.registry import METRICS, MODELS, TRANSFORMS, Registry


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry over a folder made here: one good entry, one without the attribute, one that does not import."""
    name = f"toy_{tmp_path.name.replace('-', '_')}"  # imported modules stay, so every test has a package of its own
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "_private.py").write_text("")
    (folder / "good.py").write_text('"""Good: a summary.\n\nMore."""\nThing = 42\n')
    (folder / "empty.py").write_text('"""Nothing here."""\n')
    (folder / "broken.py").write_text('"""Broken."""\nimport no_such_package\n')
    monkeypatch.syspath_prepend(tmp_path)
    return Registry(name, "Thing", "toy")


def test_listing_imports_nothing(toys: Registry) -> None:
    assert toys.names() == ["broken", "empty", "good"]
    assert toys.summary("good") == "Good: a summary."
    assert toys.summary("broken") == "Broken."
    assert not [name for name in sys.modules if name.startswith(f"{toys.package}.")]


def test_an_entry_is_imported_on_demand(toys: Registry) -> None:
    assert toys.get("good") == 42


def test_unknown_names_are_refused_with_the_closest_and_all_known(toys: Registry) -> None:
    with pytest.raises(ConfigError, match=r"'goood' is not a toy. Did you mean 'good'\? Known: broken, empty, good"):
        toys.get("goood")
    with pytest.raises(ConfigError, match="'_private' is not a toy"):
        toys.summary("_private")


def test_broken_entries_fail_loudly(toys: Registry) -> None:
    with pytest.raises(TypeError, match=r"empty.py must define Thing"):
        toys.get("empty")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        toys.get("broken")


def test_the_three_registries_hold_what_the_issue_names() -> None:
    assert {"bootstrap", "smote", "gaussian", "copula", "cvae", "cgan"} <= set(MODELS.names())
    assert {"lognorm", "standardise", "pca", "logit", "asinh", "whole"} <= set(TRANSFORMS.names())
    assert {"correlation", "discriminator", "mmd", "nearest_train"} <= set(METRICS.names())
    for registry in (MODELS, METRICS, TRANSFORMS):
        for name in registry.names():
            assert registry.summary(name), f"{registry.kind} {name} has no docstring"


def test_a_model_misspelt_is_corrected() -> None:
    with pytest.raises(ConfigError, match=r"'copulla' is not a model. Did you mean 'copula'\?"):
        MODELS.get("copulla")
