"""`augment embed`: where rows lie in the latent space of a model, and what it expects of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options as o
from .. import outputs
from ..terminal import Terminal


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("embed")(embed)


def embed(
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
    denoise: Annotated[
        bool,
        typer.Option(
            "--denoise", help="Write rows as the model expects them: the layer 'denoised', or a table of the features."
        ),
    ] = False,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="File to write, format by its name; - for CSV on stdout.", metavar="FILE"),
    ] = Path("embedded.h5ad"),
    as_json: o.AsJson = False,
) -> None:
    """Write latent features of rows: obsm["X_augmentor"] of an h5ad, or a table of latent_1, latent_2, ...

    augment embed model.augment expr.h5ad -o embedded.h5ad

    Rows are encoded given their label, so that the features say what the label does not say. A model fitted without --label
    gives features that say it all.
    """
    terminal: Terminal = ctx.obj
    artifact, data = o.artifact_and_data(files)
    outputs.check_rows(output, inputs=[artifact, data])
    how = o.reading(label, None, layer, use_raw, transpose, space or "auto", categorical, numeric, ordered)
    if space is None:
        del how["space"]

    from augmentor import io, load

    augmentor = load(artifact)
    found = augmentor.denoise(data, **how) if denoise else augmentor.embed(data, **how)
    group, name = ("layers", "denoised") if denoise else ("obsm", "X_augmentor")
    if not hasattr(found, group):  # a mixed table
        io.write_rows(output, found)
        text = f"{output}: {len(found):,} rows x {found.shape[1]:,} columns"
    elif io.is_table(output):
        table = found.to_df(layer=name) if denoise else io.features_frame(found, name)
        io.write_frame(output, table)
        text = f"{output}: {len(table):,} rows x {table.shape[1]:,} columns"
    else:
        if not io.write_annotated(output, found, added={group: [name]}, like=data) and data.suffix in (
            ".h5ad",
            ".zarr",
        ):
            terminal.note(f"{output} holds X, obs and var of {data.name}; what else was in it was not copied")
        text = f"{output}: {found.n_obs:,} rows, {group}['{name}'] of {getattr(found, group)[name].shape[1]:,} columns"
    if str(output) == outputs.STREAM:
        terminal.note(text)
    elif as_json:
        terminal.document({"output": str(output), "rows": len(found), "denoised": denoise})
    else:
        terminal.result(text)
