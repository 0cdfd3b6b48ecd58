"""`augment score`: how odd rows look to a model, and which of them are outliers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options as o
from .. import outputs
from ..terminal import Terminal


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("score")(score)


def score(
    ctx: typer.Context,
    files: o.ArtifactAndData,
    label: o.OwnLabel = None,
    layer: o.Layer = None,
    use_raw: o.UseRaw = False,
    transpose: o.Transpose = False,
    space: o.OwnSpace = None,
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    ordered: o.Ordered = None,
    quantile: Annotated[
        float,
        typer.Option(help="An outlier looks odder than this share of the rows that fit held out.", metavar="SHARE"),
    ] = 0.99,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Table to write; - for CSV on stdout.", metavar="FILE")
    ] = Path("scores.csv"),
    as_json: o.AsJson = False,
) -> None:
    """Write an anomaly score of every row, its quantile among the rows that fit held out, and whether it is an outlier.

    augment score model.augment expr.h5ad -o scores.csv --quantile 0.99

    The score is how badly the model rebuilds a row, in nats per feature beyond what is usual for its label and depth. Rows with
    a label that the model knows are judged under it, others under their most likely one.
    """
    terminal: Terminal = ctx.obj
    artifact, data = o.artifact_and_data(files)
    outputs.check_rows(output, inputs=[artifact, data])
    how = o.reading(label, None, layer, use_raw, transpose, space or "auto", categorical, numeric, ordered)
    if space is None:
        del how["space"]

    from augmentor import io, load

    if not io.is_table(output):
        raise typer.BadParameter(f"scores are a table; name it .csv, .tsv or .parquet, not {output} (-o).")
    augmentor = load(artifact)
    found = augmentor.score(data, quantile=quantile, **how)
    lost = int((~found["label_known"]).sum())
    if lost:
        terminal.note(
            f"{lost:,} of {len(found):,} rows have no label that the model knows: judged under their most likely one"
        )
    rows = augmentor.fitted.record["split"].holdout_rows
    seen = int(found["trained"].sum())
    if seen:
        terminal.note(
            f"{seen:,} rows are ones that the model learned from: placed among these, as they look less odd to it than new ones"
        )
    if "outlier" not in found:
        terminal.note(
            "no rows were held out when the model was fitted, so there is no threshold: fit without --no-holdout"
        )
    elif seen < len(found) and rows + 1 < 1 / (1 - quantile):
        terminal.note(
            f"{rows:,} held-out rows do not tell what 1 in {round(1 / (1 - quantile)):,} is: the threshold is extrapolated"
        )
    io.write_frame(output, found)
    outliers = int(found["outlier"].sum()) if "outlier" in found else None
    text = f"{output}: {len(found):,} rows"
    if outliers is not None:
        text += f", {outliers:,} outliers (odder than {quantile:.4g} of the rows they are compared with)"
    if str(output) == outputs.STREAM:
        terminal.note(text)
    elif as_json:
        terminal.document({"output": str(output), "rows": len(found), "outliers": outliers, "held_out_rows": rows})
    else:
        terminal.result(text)
