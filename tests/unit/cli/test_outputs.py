"""An output that cannot be written, or that is an input, is refused before the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from augmentor_cli import outputs

from augmentor.core.errors import ConfigError, DataError


def test_places_that_can_be_written(tmp_path: Path) -> None:
    outputs.check(tmp_path / "model.augment", inputs=[tmp_path / "expr.h5ad", None, "-"])
    outputs.check("-", inputs=["-"])
    outputs.check(tmp_path, folder=True)
    outputs.check_rows(tmp_path / "rows.csv.gz")


def test_places_that_cannot(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        outputs.check(tmp_path / "nowhere" / "model.augment")
    with pytest.raises(DataError, match="it is a folder"):
        outputs.check(tmp_path)
    with pytest.raises(DataError, match="must end in one of"):
        outputs.check_rows(tmp_path / "rows.xyz")


def test_an_input_is_never_overwritten_also_by_another_name(tmp_path: Path) -> None:
    data = tmp_path / "expr.h5ad"
    data.touch()
    os.symlink(data, tmp_path / "link.h5ad")
    with pytest.raises(ConfigError, match="would be overwritten"):
        outputs.check(tmp_path / "link.h5ad", inputs=[data])
