"""Words of the command line become values, or a usage error."""

from __future__ import annotations

import pytest
import typer
from augmentor_cli import arguments

from augmentor.core.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("fit a.h5ad --quiet", "--quiet fit a.h5ad"),
        ("fit --set a=1 b=2 a.h5ad", "fit --set a=1 --set b=2 a.h5ad"),
        ("fit a.h5ad --set a=1 b=2 --seed 3 x=y", "fit a.h5ad --set a=1 --set b=2 --seed 3 x=y"),
        ("sample --per-label NK=4 B=5 -o s.h5ad", "sample --per-label NK=4 --per-label B=5 -o s.h5ad"),
        ("fit -- --quiet --set a=1 b=2", "fit -- --quiet --set a=1 b=2"),
        ("inspect --curves a.augment", "inspect --curves curves.png a.augment"),
        ("inspect --curves --json", "inspect --curves curves.png --json"),
        ("inspect a.augment --curves", "inspect a.augment --curves curves.png"),
        ("inspect --curves b.PDF a.augment", "inspect --curves b.PDF a.augment"),
        ("", ""),
    ],
)
def test_words_are_arranged(words: str, expected: str) -> None:
    assert arguments.arranged(words.split()) == expected.split()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("32", 32),
        ("0.1", 0.1),
        (".5", 0.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("False", False),
        ("none", None),
        ("clusters", "clusters"),
        ("[64, 32]", [64, 32]),
        ("2024-01-01", "2024-01-01"),
    ],
)
def test_a_setting_is_a_number_a_truth_value_or_text(text: str, value: object) -> None:
    found = arguments.settings([f"name={text}"])["name"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("word", ["latent", "=3", ""])
def test_a_setting_without_name_or_value_is_a_usage_error(word: str) -> None:
    with pytest.raises(typer.BadParameter, match="NAME=VALUE"):
        arguments.settings([word])


def test_options_are_not_settings() -> None:
    with pytest.raises(ConfigError, match="pass --seed"):
        arguments.settings(["seed=3"])


def test_rows_per_label_keep_equals_signs_of_the_label() -> None:
    assert arguments.rows_per_label(["NK cell=500", "a=b=2", "B=-1"]) == {"NK cell": 500, "a=b": 2, "B": -1}


@pytest.mark.parametrize("words", [["NK"], ["NK=many"], ["=5"], ["NK=1", "NK=2"]])
def test_malformed_rows_per_label_are_usage_errors(words: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        arguments.rows_per_label(words)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("45", 45), ("1.5m", 90)]
)
def test_durations(text: str, seconds: float) -> None:
    assert arguments.seconds(text) == seconds
    assert arguments.seconds(None) is None


@pytest.mark.parametrize("text", ["", "soon", "10x", "-5s", "0s", "m"])
def test_what_is_no_duration_is_a_usage_error(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="duration"):
        arguments.seconds(text)


def test_numbers_of_genes() -> None:
    assert arguments.genes("all") == "all"
    assert arguments.genes("2000") == 2000
    with pytest.raises(typer.BadParameter, match="number or all"):
        arguments.genes("many")


def test_orders_are_values_of_a_column() -> None:
    words = ["stage=I,II,III", 'thal=normal, "reversable, late"']
    assert arguments.ordered(words) == {"stage": ["I", "II", "III"], "thal": ["normal", "reversable, late"]}


@pytest.mark.parametrize("words", [["stage"], ["=a,b"], ["stage=a,b", "stage=b,a"]])
def test_orders_that_cannot_be_are_usage_errors(words: list[str]) -> None:
    with pytest.raises(typer.BadParameter, match=r"stage|COLUMN"):
        arguments.ordered(words)
