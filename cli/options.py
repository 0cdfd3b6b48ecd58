"""Options that several commands share, each defined once, and what they mean to `augmentor.io`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from . import arguments

READING, SPLIT, MODEL, RUN = "Reading", "Rows", "Model", "Run"

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Labelled rows: .h5ad, .zarr, .csv, .tsv, .parquet, a 10x folder or .h5; - for CSV on stdin.",
        show_default=False,
    ),
]
Label = Annotated[
    list[str] | None, typer.Option("--label", "-l", help="Label column; repeat it for several.", metavar="COLUMN")
]
ArtifactAndData = Annotated[
    list[Path],
    typer.Argument(
        metavar="[ARTIFACT] DATA",
        help="A fitted model (model.augment if not given), and rows with its features, read as `augment fit` reads them.",
        show_default=False,
    ),
]
OwnLabel = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        "-l",
        help="Label column; the model's, where the data has it, if not given. Rows without a known label are taken under their "
        "most likely one.",
        metavar="COLUMN",
    ),
]
OwnSpace = Annotated[
    str | None, typer.Option(help="What the numbers are; what the model holds if not given.", metavar="SPACE")
]
Covariate = Annotated[
    list[str] | None,
    typer.Option(
        "--covariate", help="Continuous column (age, dose) to condition on; repeat it for several.", metavar="COLUMN"
    ),
]
Group = Annotated[
    str | None,
    typer.Option(help="Column whose values stay on one side of every split (patient, donor).", metavar="COLUMN"),
]
Layer = Annotated[str | None, typer.Option(help="Layer to read instead of X.", metavar="NAME")]
UseRaw = Annotated[bool, typer.Option("--use-raw", help="Read raw instead of X.")]
Transpose = Annotated[bool, typer.Option("--transpose", help="Genes are in rows (tables).")]
Space = Annotated[
    str, typer.Option(help="What the numbers are: auto, counts, log, continuous, mixed.", metavar="SPACE")
]
Categorical = Annotated[
    list[str] | None,
    typer.Option(
        "--categorical", help="Column of a table that is a category; repeat it for several.", metavar="COLUMN"
    ),
]
Numeric = Annotated[
    list[str] | None,
    typer.Option("--numeric", help="Column of a table that is a number; repeat it for several.", metavar="COLUMN"),
]
Ordered = Annotated[
    list[str] | None,
    typer.Option(
        "--ordered",
        help="Column of a table that is a category with an order, all values lowest first; repeat it for several.",
        metavar="COLUMN=A,B,C",
    ),
]
Genes = Annotated[str, typer.Option(help="How many of the most variable genes to model, or all.", metavar="N|all")]
Model = Annotated[
    str, typer.Option("--model", "-m", help="Kind of generator, or auto; `augment models` lists them.", metavar="NAME")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Settings of the model, as in --set latent=32 beta=0.1.",
        metavar="NAME=VALUE...",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(help="Same seed, same result.", metavar="N")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]
MaxTime = Annotated[
    str | None, typer.Option("--max-time", help="Time limit of training: 90s, 10m, 2h.", metavar="TIME")
]
MinLabelRows = Annotated[int | None, typer.Option("--min-label-rows", help="Drop labels with fewer rows.", metavar="N")]
Rare = Annotated[
    Literal["refuse", "keep"], typer.Option(help="A label of a single row: refuse it, or keep it to resample.")
]
Calibrate = Annotated[
    bool | None,
    typer.Option(
        "--calibrate/--no-calibrate",
        help="Map every margin to the training margin after drawing; the model's default if not given.",
    ),
]
Reject = Annotated[
    float | None,
    typer.Option(
        "--reject",
        help="Draw rows again that a classifier takes less for their label than this share of real rows, for example 0.05: clearer "
        "labels, less varied rows.",
        metavar="SHARE",
    ),
]
Pca = Annotated[
    int | None,
    typer.Option("--pca", help="Model N principal components instead of genes (continuous data).", metavar="N"),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML file of options ([fit]) and settings of the model ([model]); flags override it.",
        metavar="FILE",
        callback=arguments.run_file,
        is_eager=True,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def reading(
    label: list[str] | None,
    group: str | None,
    layer: str | None,
    use_raw: bool,
    transpose: bool,
    space: str,
    categorical: list[str] | None = None,
    numeric: list[str] | None = None,
    ordered: list[str] | None = None,
    covariate: list[str] | None = None,
) -> dict[str, Any]:
    """Return the arguments of `augmentor.io.read` that say how to read a file."""
    types = {
        "categorical": categorical,
        "numeric": numeric,
        "ordered": arguments.ordered(ordered or []),
        "covariates": covariate,
    }
    return {
        "label": label or None,
        "group": group,
        "layer": layer,
        "use_raw": use_raw,
        "transpose": transpose,
        "space": space,
        **{name: columns for name, columns in types.items() if columns},
    }


def artifact_and_data(files: list[Path]) -> tuple[Path, Path]:
    """Tell the model from the rows, where the first may be left out."""
    if len(files) > 2:
        raise typer.BadParameter(f"give a model and one file of rows, not {len(files)} files.")
    return (Path("model.augment"), files[0]) if len(files) == 1 else (files[0], files[1])


def model_settings(ctx: typer.Context, words: list[str] | None) -> dict[str, Any]:
    """Return the settings of the run file, overridden by those of the command line."""
    return {**ctx.meta.get(arguments.SETTINGS, {}), **arguments.settings(words or [])}


def called(path: Path) -> str:
    """Return what a record calls a file."""
    return "standard input" if str(path) == "-" else path.name


def rows_of(labels: dict[str, int], *, most: int = 12) -> str:
    """Say how many rows each label has, largest first."""
    ranked = sorted(labels.items(), key=lambda item: -item[1])
    more = f" and {len(ranked) - most} more labels" if len(ranked) > most else ""
    return ", ".join(f"{label} {n:,}" for label, n in ranked[:most]) + more


def memory_note(rows: int, features: int, genes: int | Literal["all"]) -> str:
    """Estimate the memory that fitting takes; what is too much is said with the remedy, before it is tried."""
    from .memory import available, needed

    wide = features if genes == "all" else min(genes, features)
    need, have = needed(rows, wide), available()
    text = f"up to about {need / 1e9:.1f} GB of memory for {rows:,} rows x {wide:,} features"
    if have is not None:
        text += f" ({have / 1e9:.1f} GB available)"
        if need > have:
            text += "; this may not fit. Model fewer genes (--genes 2000)"
    return text
