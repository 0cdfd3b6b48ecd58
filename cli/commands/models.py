"""`augment models`: the kinds of generators, and what each can be set to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from augmentor.core.registry import MODELS

from .. import options as o
from ..listing import register, settings_table


def add(app: typer.Typer) -> None:
    """Make it a command, with ``show`` below it."""
    register(app, MODELS, "models", "List the generators; `models show NAME` explains one.", show)


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model of `augment models`.", show_default=False)],
    as_json: o.AsJson = False,
) -> None:
    """Explain a model: its mathematics, what it accepts, its settings."""
    kind: Any = MODELS.get(name)
    spec = kind.spec
    if as_json:
        ctx.obj.document(
            {
                "name": name,
                "documentation": MODELS.documentation(name),
                "spaces": [str(space) for space in spec.spaces],
                "keeps_rows": spec.keeps_rows,
                "trained": spec.trained,
                "calibrated": spec.calibrated,
                "paper": spec.paper,
                "settings": kind.Config.model_json_schema().get("properties", {}),
            }
        )
        return
    facts = [
        f"spaces      {', '.join(str(space) for space in spec.spaces)}",
        f"training    {'by gradient steps; --resume and --max-time apply' if spec.trained else 'in one go'}",
        f"calibrated  {'yes, unless --no-calibrate' if spec.calibrated else 'no, unless --calibrate'}",
        f"keeps rows  {'yes: it can repeat training values' if spec.keeps_rows else 'no'}",
    ]
    if spec.paper:
        facts.append(f"paper       {spec.paper}")
    table = settings_table(kind.Config)
    ctx.obj.result("\n".join([name, "", MODELS.documentation(name).strip(), "", *facts, "", *table]))
