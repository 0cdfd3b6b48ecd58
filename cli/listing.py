"""Commands that list a registry and explain its entries: ``augment models``, ``augment metrics``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from augmentor.core.registry import Registry

from . import options as o


def register(app: typer.Typer, registry: Registry, name: str, text: str, show: Callable[..., None]) -> None:
    """Add a command that lists ``registry``, with ``show`` below it."""

    def listing(ctx: typer.Context, as_json: o.AsJson = False) -> None:
        if ctx.invoked_subcommand is not None:
            return
        entries = {entry: registry.summary(entry) for entry in registry.names()}
        if as_json:
            ctx.obj.document(entries)
            return
        width = max(map(len, entries), default=0)
        ctx.obj.result("\n".join(f"{entry:<{width}}  {summary}" for entry, summary in entries.items()))

    group = typer.Typer(help=text, rich_markup_mode=None)
    group.callback(invoke_without_command=True)(listing)
    group.command("show")(show)
    app.add_typer(group, name=name)


def settings_table(config: Any) -> list[str]:
    """Return a table of a model's settings: name, default, bounds, meaning."""
    properties: dict[str, Any] = config.model_json_schema().get("properties", {})
    if not properties:
        return ["no settings"]
    rows = [
        (name, str(field.get("default")), _bounds(field), str(field.get("description", "")))
        for name, field in properties.items()
    ]
    head = ("setting", "default", "values", "meaning")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(3)]
    return ["  ".join([*(row[i].ljust(widths[i]) for i in range(3)), row[3]]).rstrip() for row in [head, *rows]]


def _bounds(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_bounds(option) for option in field["anyOf"])
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    signs = {"minimum": ">= ", "exclusiveMinimum": "> ", "maximum": "<= ", "exclusiveMaximum": "< "}
    bounds = ", ".join(f"{sign}{field[key]:g}" for key, sign in signs.items() if key in field)
    kind = str(field.get("type", "any")).replace("null", "none")
    return f"{kind} {bounds}".strip()
