"""`augment compare`: does augmentation help a classifier on real rows that nothing has seen?"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from .. import arguments, outputs
from .. import options as o
from ..terminal import Meter, Terminal


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("compare")(compare)


def compare(
    ctx: typer.Context,
    data: o.Data,
    label: o.Label = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="More rows of the same genes, without labels, beside the training rows; rows of DATA with an empty label are "
            "used anyway.",
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
    models: Annotated[
        str | None, typer.Option(help="Generators beside the simple arms: a,b; copula if not given.", metavar="NAMES")
    ] = None,
    learners: Annotated[
        str | None, typer.Option(help="Classifiers: lr, rf, gb; the first two if not given.", metavar="NAMES")
    ] = None,
    ratios: Annotated[
        str | None,
        typer.Option(help="Synthetic rows per real row to choose from; 0 is always allowed.", metavar="0,1,2"),
    ] = None,
    per_label: Annotated[
        int | None, typer.Option("--per-label", help="Train on at most N rows of each label.", metavar="N")
    ] = None,
    labelled: Annotated[
        int | None,
        typer.Option(
            "--labelled",
            help="In every training part N rows of each label keep it, the others become unlabelled: what so few labels would do.",
            metavar="N",
        ),
    ] = None,
    splits: Annotated[int, typer.Option(help="Folds of each repeat.", metavar="K")] = 5,
    repeats: Annotated[int | None, typer.Option(help="Repeats; 5, or 2 with --quick.", metavar="N")] = None,
    seeds: Annotated[int, typer.Option(help="Synthetic sets per split, averaged.", metavar="N")] = 3,
    genes: Annotated[
        int | None, typer.Option(help="Most variable genes, chosen in every training part; 500.", metavar="N")
    ] = None,
    min_label_rows: o.MinLabelRows = None,
    quick: Annotated[bool, typer.Option("--quick", help="2 repeats, ratios 0, 1, 2, at most 1,000 rows.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Also cvae and boosting; 2,000 genes, 5,000 rows.")] = False,
    max_time: Annotated[
        str | None, typer.Option("--max-time", help="Time after which no further split is begun.", metavar="TIME")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Result as JSON; - for stdout instead of the table.", metavar="FILE")
    ] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Result as Markdown.", metavar="FILE")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Result as one page for a browser.", metavar="FILE")
    ] = None,
    seed: o.Seed = 0,
) -> None:
    """Compare generators on honest splits: augment, do not augment, or not enough evidence.

    augment compare expr.h5ad --label celltype

    Rows are split first; everything else happens inside the training rows. Rows without a label stand beside those and never
    test; the answer then says what they bring, and what synthesis adds to that. Nothing is written unless asked for.
    """
    terminal: Terminal = ctx.obj
    if not label:
        raise typer.BadParameter("compare needs --label: the column that a classifier is to predict.")
    if quick and full:
        raise typer.BadParameter("give --quick or --full, not both.")
    if per_label is not None and labelled is not None:
        raise typer.BadParameter(
            "give --per-label, which drops training rows, or --labelled, which drops labels, not both."
        )
    for path in (json_file, markdown, html):
        if path is not None:
            outputs.check(path, inputs=[data, unlabelled])
    limit = arguments.seconds(max_time)
    how = o.reading(label, group, layer, use_raw, transpose, space, categorical, numeric, ordered)

    from augmentor import compare as run
    from augmentor import io

    with Meter(terminal) as meter:
        result = run(
            io.read(data, **how),
            unlabelled=unlabelled,
            models=arguments.comma_separated(models) or None,
            learners=arguments.comma_separated(learners) or None,
            ratios=None if ratios is None else _numbers(ratios),
            per_label=per_label,
            labelled=labelled,
            splits=splits,
            repeats=repeats,
            seeds=seeds,
            **{name: value for name, value in how.items() if name not in ("label", "space")},
            genes=genes,
            min_label_rows=min_label_rows,
            quick=quick,
            full=full,
            max_time=limit,
            seed=seed,
            name=o.called(data),
            command=shlex.join(["augment", *terminal.words]),
            listener=meter,
        )
    if markdown is not None:
        result.to_markdown(markdown)
    if html is not None:
        result.to_html(html)
    if str(json_file) == outputs.STREAM:
        terminal.result(result.to_json().rstrip("\n"))
        return
    if json_file is not None:
        result.to_json(json_file)
    terminal.result(result.to_text())
    written = [str(path) for path in (json_file, markdown, html) if path is not None]
    if written:
        terminal.note(f"written: {', '.join(written)}")


def _numbers(text: str) -> list[float]:
    if not re.fullmatch(r"\s*\d*\.?\d+\s*(,\s*\d*\.?\d+\s*)*", text):
        raise typer.BadParameter(f"--ratios must be numbers like 0,1,2, not '{text}'.")
    return [float(number) for number in text.split(",")]
