"""`augment fit`: learn p(x | label) from a file and keep it as an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import arguments, outputs
from .. import options as o
from ..interrupts import stoppable
from ..terminal import Meter, Terminal, duration

if TYPE_CHECKING:
    from augmentor.core.dataset import Dataset, Source


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("fit")(fit)


def fit(
    ctx: typer.Context,
    data: o.Data,
    label: o.Label = None,
    covariate: o.Covariate = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="More rows of the same genes, without labels, to learn from; rows of DATA with an empty label are used anyway.",
            metavar="FILE",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Many rows of elsewhere (an atlas, another protocol) with the same genes: adapted to DATA and learned from beside it, "
            "with their own label if they have that column.",
            metavar="FILE",
        ),
    ] = None,
    group: o.Group = None,
    layer: o.Layer = None,
    use_raw: o.UseRaw = False,
    transpose: o.Transpose = False,
    space: o.Space = "auto",
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    ordered: o.Ordered = None,
    backed: Annotated[
        bool, typer.Option("--backed", help="Read from disk in blocks; only the genes of --genes N are loaded.")
    ] = False,
    genes: o.Genes = "all",
    holdout: Annotated[
        float, typer.Option(help="Share of rows held out for `augment evaluate`, stratified by label.", metavar="SHARE")
    ] = 0.2,
    no_holdout: Annotated[bool, typer.Option("--no-holdout", help="Learn from every row.")] = False,
    min_label_rows: o.MinLabelRows = None,
    rare: o.Rare = "refuse",
    model: o.Model = "auto",
    settings: o.Settings = None,
    calibrate: o.Calibrate = None,
    reject: o.Reject = None,
    pca: o.Pca = None,
    config: o.Config = None,
    seed: o.Seed = 0,
    device: o.Device = "auto",
    max_time: o.MaxTime = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from OUTPUT.checkpoint, which an interrupted run left.")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="The artifact to write.", metavar="FILE")] = Path(
        "model.augment"
    ),
    as_json: o.AsJson = False,
) -> None:
    """Learn from labelled rows and write an artifact.

    augment fit expr.h5ad --label celltype

    Ctrl-C stops after the batch and keeps a checkpoint for --resume; a second one stops at once.
    """
    terminal: Terminal = ctx.obj
    outputs.check(output, inputs=[data, reference])
    how = o.reading(label, group, layer, use_raw, transpose, space, categorical, numeric, ordered, covariate)
    wanted, chosen, limit = arguments.genes(genes), o.model_settings(ctx, settings), arguments.seconds(max_time)

    from augmentor import Augmentor, io

    with Meter(terminal) as meter, stoppable(terminal, meter) as stop:
        rows: Source | Dataset
        if backed:
            rows = io.open_source(data, **how)
            count = rows.rows
        else:
            rows = io.read(data, **how)
            count = len(rows)
        if not label:
            terminal.note("no --label was given: all rows are learned as one kind")
        if no_holdout:
            terminal.note(
                "--no-holdout: every row is learned from, so that no unseen row is left for `augment evaluate` to judge by, "
                "unless you give some (--train, --holdout)"
            )
        terminal.note(o.memory_note(count, len(rows.schema.features), wanted))
        augmentor = Augmentor(model, seed=seed, device=device, **chosen).fit(
            rows,
            unlabelled=unlabelled,
            reference=reference,
            layer=layer,
            use_raw=use_raw,
            transpose=transpose,
            genes=wanted,
            holdout=0.0 if no_holdout else holdout,
            min_label_rows=min_label_rows,
            rare=rare,
            calibrate=calibrate,
            reject=reject,
            pca=pca,
            max_seconds=limit,
            checkpoint=output.with_name(f"{output.name}.checkpoint"),
            resume=resume,
            name=o.called(data),
            listener=stop.listen,
            stop=stop,
        )
        augmentor.save(output)
    _report(terminal, output, as_json)


def _report(terminal: Terminal, output: Path, as_json: bool) -> None:
    from augmentor.artifact import read_manifest

    manifest = read_manifest(output)
    split = manifest.split
    if as_json:
        terminal.document(
            {
                "artifact": str(output),
                "model": manifest.model,
                "rows": split.train_rows,
                "holdout_rows": split.holdout_rows,
                "features": len(manifest.data_schema.features),
                "labels": ["|".join(names) for names in manifest.combinations],
                "seconds": manifest.wall_seconds,
            }
        )
        return
    terminal.result(
        f"{output}: {manifest.model}, learned from {split.train_rows:,} rows x {len(manifest.data_schema.features):,} "
        f"features, {len(manifest.combinations)} labels, in {duration(manifest.wall_seconds)}; "
        f"{split.holdout_rows:,} rows held out"
    )
