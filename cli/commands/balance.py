"""`augment balance`: the real rows and, for every label that has fewer, synthetic ones up to the largest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import arguments, outputs
from .. import options as o
from ..terminal import Meter, Terminal


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("balance")(balance)


def balance(
    ctx: typer.Context,
    data: o.Data,
    label: o.Label = None,
    covariate: o.Covariate = None,
    group: o.Group = None,
    layer: o.Layer = None,
    use_raw: o.UseRaw = False,
    transpose: o.Transpose = False,
    space: o.Space = "auto",
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    ordered: o.Ordered = None,
    artifact: Annotated[
        Path | None, typer.Option(help="Use this fitted model instead of fitting one.", metavar="FILE")
    ] = None,
    genes: o.Genes = "all",
    min_label_rows: o.MinLabelRows = None,
    rare: o.Rare = "refuse",
    model: o.Model = "auto",
    settings: o.Settings = None,
    calibrate: o.Calibrate = None,
    config: o.Config = None,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    max_time: o.MaxTime = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, format by its name.", metavar="FILE")
    ] = Path("balanced.h5ad"),
    as_json: o.AsJson = False,
) -> None:
    """Append synthetic rows until all labels have equally many.

    augment balance expr.h5ad --label celltype -o balanced.h5ad

    obs["synthetic"] says which rows are which. The model learns from all rows: train and test your own classifier on
    real rows that were set apart before.
    """
    terminal: Terminal = ctx.obj
    if not label:
        raise typer.BadParameter("balance needs --label: the column whose values are to be equally frequent.")
    outputs.check_rows(output, inputs=[data, artifact])
    how = o.reading(label, group, layer, use_raw, transpose, space, categorical, numeric, ordered, covariate)
    wanted, chosen, limit = arguments.genes(genes), o.model_settings(ctx, settings), arguments.seconds(max_time)

    from augmentor import Augmentor, io, load

    with Meter(terminal) as meter:
        rows = io.read(data, **how)
        if artifact is not None:
            augmentor = load(artifact)
        else:
            terminal.note(o.memory_note(len(rows), rows.features, wanted))
            augmentor = Augmentor(model, seed=seed, device=device, **chosen).fit(
                rows,
                genes=wanted,
                holdout=0.0,
                min_label_rows=min_label_rows,
                rare=rare,
                calibrate=calibrate,
                max_seconds=limit,
                name=o.called(data),
                listener=meter,
            )
        plan = augmentor.write_balanced(output, rows, seed=seed)
    labels = plan.rows(augmentor.fitted)
    text = f"{output}: {len(rows):,} real rows and {plan.total:,} synthetic ones"
    if str(output) == outputs.STREAM:
        terminal.note(text)
    elif as_json:
        terminal.document({"output": str(output), "real": len(rows), "synthetic": plan.total, "labels": labels})
    else:
        terminal.result(f"{text}: {o.rows_of(labels)}" if labels else f"{text}: the labels are already balanced")
