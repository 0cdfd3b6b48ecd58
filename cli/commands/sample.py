"""`augment sample`: draw labelled rows from an artifact into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import arguments, outputs
from .. import options as o
from ..terminal import Meter, Terminal


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("sample")(sample)


def sample(
    ctx: typer.Context,
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="A fitted model.")] = Path("model.augment"),
    n: Annotated[
        int | None, typer.Option("-n", help="Rows in all; as many as were learned from if not given.", metavar="N")
    ] = None,
    per_label: Annotated[
        list[str] | None,
        typer.Option(
            "--per-label", help='Exact rows of a label, as in --per-label "NK cell=500" B=200.', metavar="LABEL=ROWS..."
        ),
    ] = None,
    balance: Annotated[
        bool,
        typer.Option(
            "--balance", help="The rows that lift every label to the size of the largest; with -n: equal labels."
        ),
    ] = False,
    like_train: Annotated[
        bool, typer.Option("--like-train", help="Labels as frequent as in training (this is the default).")
    ] = False,
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            "--covariate",
            help="Value that all rows have, as in --covariate age=60; others are drawn as they go with the label.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the draw; the model's own if not given.", metavar="N")
    ] = None,
    block: Annotated[
        int | None, typer.Option(help="Rows written at a time; changes memory, never a row.", metavar="N")
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File to write, format by its name; - for CSV on stdout.", metavar="FILE"),
    ] = Path("synthetic.h5ad"),
    as_json: o.AsJson = False,
) -> None:
    """Draw labelled rows into a file.

    augment sample -n 5000
    augment sample other.augment --per-label "NK cell=500" B=200
    """
    terminal: Terminal = ctx.obj
    if sum(bool(given) for given in (balance, like_train, per_label)) > 1 or (per_label and n is not None):
        raise typer.BadParameter(
            "give one of --per-label, --balance and --like-train; -n does not go with --per-label."
        )
    outputs.check_rows(output, inputs=[artifact])
    wanted = arguments.rows_per_label(per_label) if per_label else n
    values = arguments.covariates(covariate or [])

    from augmentor import load

    with Meter(terminal) as meter:
        augmentor = load(artifact)
        plan = augmentor.write(
            output, wanted, balance=balance, covariates=values, seed=seed, block=block, listener=meter
        )
    labels = plan.rows(augmentor.fitted)
    if str(output) == outputs.STREAM:
        terminal.note(f"{plan.total:,} synthetic rows: {o.rows_of(labels)}")
    elif as_json:
        terminal.document({"output": str(output), "rows": plan.total, "labels": labels})
    else:
        terminal.result(f"{output}: {plan.total:,} synthetic rows: {o.rows_of(labels)}")
