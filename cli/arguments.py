"""Words of the command line turned into values: settings, rows per label, times, numbers of genes, run files."""

from __future__ import annotations

import csv
import math
import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import typer

from augmentor.core.errors import ConfigError, did_you_mean, listed

GLOBAL = ("--quiet", "-q", "--log-json", "--debug")
SEVERAL = ("--set", "--per-label")  # options that take all NAME=VALUE words behind them
CURVES, PICTURE_FILE = "--curves", "curves.png"  # an option whose value may be left out, and what then stands for it
PICTURE = re.compile(
    r"\.(png|svg|pdf|jpe?g|gif|tiff?|webp|eps)$", re.IGNORECASE
)  # also what will be refused with a reason
# arguments of Augmentor that are options of their own, and could not be passed beside a setting of that name
RESERVED = ("model", "seed", "device", "self")
SETTINGS = "augmentor_cli.settings"


def arranged(words: Sequence[str]) -> list[str]:
    """Return the words with global flags in front, the option repeated before each value of ``--set a=1 b=2``, and a file
    behind ``--curves`` that has none."""
    end = words.index("--") if "--" in words else len(words)
    front = [word for word in words[:end] if word in GLOBAL]
    rest: list[str] = []
    option, waiting = "", False
    for word in words[:end]:
        if word in GLOBAL:
            continue
        if word in SEVERAL:
            option, waiting = word, True
        elif waiting:
            waiting = False
        elif option and "=" in word and not word.startswith("-"):
            rest.append(option)
        else:
            option = ""
        if rest and rest[-1] == CURVES and not PICTURE.search(word):
            rest.append(PICTURE_FILE)
        rest.append(word)
    if rest and rest[-1] == CURVES:
        rest.append(PICTURE_FILE)
    return [*front, *rest, *words[end:]]


def settings(words: Iterable[str]) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` words; a value is a number, true, false, none, a list in brackets, or text."""
    out: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"'{word}' is not a setting; write NAME=VALUE, as in --set latent=32 beta=0.1.")
        out[name.strip().replace("-", "_")] = value(text.strip())
    for name in RESERVED:
        if name in out:
            raise ConfigError(f"'{name}' is not a setting of a model but an option of its own; pass --{name}.")
    return out


def value(text: str) -> Any:
    """Return the number, truth value, list or text that a word stands for."""
    if text.lower() in ("none", "null"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        parsed = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = text
    if isinstance(parsed, int | float | list):
        return parsed
    try:
        return float(text)  # .5, which TOML does not know
    except ValueError:
        return text


def rows_per_label(words: Iterable[str]) -> dict[str, int]:
    """Parse ``LABEL=ROWS`` words; a label may itself contain an equals sign."""
    out: dict[str, int] = {}
    for word in words:
        label, equals, number = word.rpartition("=")
        if not equals or not label or not re.fullmatch(r"[-+]?\d+", number.strip()):
            raise typer.BadParameter(f"'{word}' must be LABEL=ROWS, as in --per-label \"NK cell=500\".")
        if label in out:
            raise typer.BadParameter(f"label '{label}' is given twice in --per-label.")
        out[label] = int(number)
    return out


def covariates(words: Iterable[str]) -> dict[str, float]:
    """Parse ``NAME=VALUE`` words."""
    out: dict[str, float] = {}
    for word in words:
        name, equals, text = word.rpartition("=")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not equals or not name or not math.isfinite(number):
            raise typer.BadParameter(f"'{word}' must be NAME=VALUE with a number, as in --covariate age=60.")
        if name in out:
            raise typer.BadParameter(f"covariate '{name}' is given twice.")
        out[name] = number
    return out


def ordered(words: Iterable[str]) -> dict[str, list[str]]:
    """Parse ``COLUMN=A,B,C`` words: the values of a column in their order; a value with a comma stands in double quotes."""
    out: dict[str, list[str]] = {}
    for word in words:
        column, equals, values = word.partition("=")
        if not equals or not column:
            raise typer.BadParameter(f"'{word}' must be COLUMN=A,B,C, as in --ordered stage=I,II,III.")
        if column in out:
            raise typer.BadParameter(f"column '{column}' is given twice in --ordered.")
        out[column] = next(csv.reader([values], skipinitialspace=True), [])
    return out


def genes(text: str) -> int | Literal["all"]:
    """Parse ``--genes``: a number or ``all``."""
    if text == "all":
        return "all"
    if not re.fullmatch(r"[-+]?\d+", text):
        raise typer.BadParameter(f"--genes must be a number or all, not '{text}'.")
    return int(text)


def seconds(text: str | None) -> float | None:
    """Parse a duration: ``90s``, ``10m``, ``2h``, ``1h30m``, or a number of seconds."""
    if text is None:
        return None
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms]?)", text)
    total = sum(float(number) * units[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or total <= 0:
        raise typer.BadParameter(f"'{text}' is not a duration; write 90s, 10m, 2h or 1h30m.")
    return total


def comma_separated(text: str | None) -> list[str]:
    """Split ``a,b`` into names."""
    return [] if text is None else [name.strip() for name in text.split(",") if name.strip()]


def run_file(ctx: typer.Context, path: Path | None) -> Path | None:
    """Take defaults from a TOML file: ``[fit]`` holds options of the command, ``[model]`` settings of the model.

    What the command line gives overrides the file.
    """
    if path is None:
        return None
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--config {path} cannot be read ({error.strerror}). Check the path.") from error
    except ValueError as error:
        raise ConfigError(f"--config {path} is not valid TOML ({error}).") from error
    unknown = [name for name in document if name not in ("fit", "model")]
    if unknown or not all(isinstance(table, dict) for table in document.values()):
        raise ConfigError(
            f"--config {path} must consist of the tables [fit] (options) and [model] (settings), found "
            f"{listed(document)}."
        )
    # by the names they have on the command line, without the dashes
    known = {max(param.opts, key=len).lstrip("-"): param for param in ctx.command.params}
    known = {name: param for name, param in known.items() if name not in ("config", "help")}
    defaults: dict[str, Any] = {}
    for key, given in document.get("fit", {}).items():
        name = key.replace("_", "-")
        if name not in known:
            raise ConfigError(
                f"'{key}' in [fit] of {path} is not an option of {ctx.info_name}.{did_you_mean(name, known)} "
                f"Options: {listed(sorted(known), most=40)}."
            )
        param = known[name]
        several = getattr(param, "multiple", False)
        defaults[str(param.name)] = [given] if several and not isinstance(given, list) else given
    ctx.default_map = defaults
    ctx.meta[SETTINGS] = {str(key): given for key, given in document.get("model", {}).items()}
    return path
