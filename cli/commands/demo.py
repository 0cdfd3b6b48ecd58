"""`augment demo`: fit, sample and evaluate on bundled real data."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from ..terminal import Terminal

GENES, ROWS = 2000, 2000


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("demo")(demo)


def demo(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to put everything.")] = Path("demo"),
    genes: Annotated[int, typer.Option(help="Genes to model.", metavar="N")] = GENES,
    model: Annotated[str, typer.Option(help="Kind of generator.", metavar="NAME")] = "auto",
    only: Annotated[str | None, typer.Option(help="Metrics to compute: a,b.", metavar="NAMES")] = None,
) -> None:
    """Fit, sample and evaluate on bundled real data (PBMC3k)."""
    import augmentor_data

    terminal: Terminal = ctx.obj
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "expr.h5ad"
    shutil.copyfile(augmentor_data.path("pbmc3k"), data)
    terminal.note(f"real data: {data}, 2,638 cells x 13,714 genes with their cell types")
    artifact, synthetic, page = (folder / name for name in ("model.augment", "synthetic.h5ad", "report.html"))
    _run(terminal, "fit", data, "--label", "celltype", "--genes", genes, "--model", model, "-o", artifact)
    _run(terminal, "sample", artifact, "-n", ROWS, "-o", synthetic)
    _run(
        terminal,
        *("evaluate", synthetic, "--real", data, "--label", "celltype", "--artifact", artifact),
        *("--json", folder / "report.json", "--html", page, "--figures", folder / "figures"),
        *(("--only", only) if only else ()),
    )
    terminal.result(f"the report is in {page.resolve()}")


def _run(terminal: Terminal, *words: object) -> None:
    """Run a command as if it had been typed, and show what was typed."""
    from ..app import build

    given = [str(word) for word in words]
    terminal.note(f"\n$ augment {shlex.join(given)}")
    inner = Terminal(words=given, quiet=terminal.quiet, log_json=terminal.log_json, debug=terminal.debug)
    flags = [
        flag for flag, on in (("--quiet", inner.quiet), ("--log-json", inner.log_json), ("--debug", inner.debug)) if on
    ]
    typer.main.get_command(build()).main([*flags, *given], prog_name="augment", standalone_mode=False, obj=inner)
