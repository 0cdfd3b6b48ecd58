"""`augment interpolate`: rows between two labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options as o
from .. import outputs
from ..terminal import Terminal


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("interpolate")(interpolate)


def interpolate(
    ctx: typer.Context,
    start: Annotated[
        str, typer.Option("--from", help="Label to begin with; A|x for several label columns.", metavar="LABEL")
    ],
    end: Annotated[str, typer.Option("--to", help="Label to end with.", metavar="LABEL")],
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="A fitted model.")] = Path("model.augment"),
    steps: Annotated[int, typer.Option(help="Places on the way, both ends included.", metavar="N")] = 9,
    n: Annotated[int, typer.Option("-n", help="Rows at each place.", metavar="N")] = 20,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the draw; the model's own if not given.", metavar="N")
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File to write, format by its name; - for CSV on stdout.", metavar="FILE"),
    ] = Path("between.h5ad"),
    as_json: o.AsJson = False,
) -> None:
    """Write synthetic rows between two labels, at several places on the way from one to the other.

    augment interpolate model.augment --from "CD4 T" --to NK --steps 9 -n 20 -o between.h5ad

    obs says from, to, step, weight (0 at the start, 1 at the end) and path: rows of one path lie on one line in latent space.
    """
    terminal: Terminal = ctx.obj
    outputs.check_rows(output, inputs=[artifact])

    from augmentor import io, load

    rows = load(artifact).interpolate(start, end, steps=steps, n=n, seed=seed)
    io.write_rows(output, rows)
    text = f"{output}: {len(rows):,} synthetic rows, {n:,} at each of {steps:,} places from {start} to {end}"
    if str(output) == outputs.STREAM:
        terminal.note(text)
    elif as_json:
        terminal.document({"output": str(output), "rows": len(rows), "from": start, "to": end, "steps": steps, "n": n})
    else:
        terminal.result(text)
