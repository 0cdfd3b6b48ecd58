"""What `augment models show` tells: every model says what it is good at and what not, every setting what it does and why it is so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from augmentor_cli.app import main

from augmentor.core.measured import measurements
from augmentor.core.registry import MODELS

NAMES = MODELS.names()
SETTINGS = [(name, setting) for name in NAMES for setting in MODELS.get(name).Config.model_fields]
REASONS = ("; ", ": ", ", ", " because ", " as ")


@pytest.mark.parametrize("name", NAMES)
def test_every_model_says_what_it_is_good_at_and_what_not(name: str) -> None:
    spec = MODELS.get(name).spec
    for text in (spec.strengths, spec.limits):
        assert 40 <= len(text) <= 320 and text.endswith("."), text
    assert spec.paper or name == "bootstrap"


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_every_setting_has_bounds_a_meaning_and_a_reason_for_its_default(name: str, setting: str) -> None:
    """A reason stands behind a semicolon, a colon, a comma, "because" or "as"; whether it is a good one only a reader can say."""
    kind = MODELS.get(name).Config
    own, default = kind.model_json_schema()["properties"][setting], kind.model_fields[setting].default
    for option in own.get("anyOf", [own]):
        if option.get("type") in ("integer", "number") and "enum" not in option:
            assert {"minimum", "exclusiveMinimum"} & option.keys(), "a number needs a lower bound"
    text = own.get("description", "")
    assert len(text) > 10, "a setting needs a description"
    if default is not None and not isinstance(default, bool):
        assert any(mark in text for mark in REASONS), f"why is it {default}? '{text}' does not say"


def test_measurements_are_numbers_beside_what_real_rows_reach() -> None:
    known = {name: measurements(name) for name in NAMES}
    assert {"copula", "cvae"} <= {name for name, found in known.items() if found}
    for found in known.values():
        for item in found:
            assert item.rows >= item.train > 0 and item.features > 0 and item.fit_seconds >= 0
            assert all(value is not None and np.isfinite(value) for value, _, _ in item.scores.values())
            value, ceiling, floor = item.scores["transfer.tstr"]
            assert ceiling is not None and floor is not None
            assert 0 <= floor < ceiling <= 1 and 0 <= value <= 1
    assert measurements("nobody") == []


def test_show_prints_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "copula"]) == 0
    text = capsys.readouterr().out
    spec = MODELS.get("copula").spec
    words = " ".join(text.split())
    assert spec.strengths in words and spec.limits in words and spec.paper in text
    assert "pbmc3k" in text and "AUC genes" in text
    assert all(setting in text for setting in MODELS.get("copula").Config.model_fields)
    assert main(["models", "show", "copula", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["strengths"] == spec.strengths and document["measured"][0]["scores"]["transfer.tstr"]
