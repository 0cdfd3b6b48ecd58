"""`augment report`: finished evaluations read again, one alone or several side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from augmentor.core.errors import ConfigError

from .. import options as o
from .. import outputs
from ..terminal import Terminal

if TYPE_CHECKING:
    from augmentor.evaluation.score import Report


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("report")(report)


def report(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="REPORT...", help="Reports written by evaluate (JSON).", show_default=False),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write one page.", metavar="FILE")] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help='Exit with 3 unless this holds in every report, as in "tstr_ratio>=0.95".', metavar="EXPR"),
    ] = None,
    as_json: o.AsJson = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a report, and nothing else.")
    ] = False,
) -> None:
    """Put finished evaluations side by side: one table, differences to the first with intervals, no overall score.

    augment report copula.json cvae.json --html both.html

    Reports must judge against the same held-out rows in the same space. A single report is shown as evaluate showed it.
    """
    terminal: Terminal = ctx.obj
    if schema:
        if files or html is not None:
            raise typer.BadParameter("--schema stands alone: it describes every report.")
        from augmentor.evaluation.score import Report as Described

        terminal.result(json.dumps(Described.json_schema(), indent=1, ensure_ascii=False))
        return
    if not files:
        raise typer.BadParameter("name at least one report, such as report.json.")
    if html is not None:
        outputs.check(html, inputs=files)
    if str(html) == outputs.STREAM:
        raise typer.BadParameter("--html writes a file; standard output carries the table (or --json).")

    from augmentor.evaluation.score import Report as Finished
    from augmentor.evaluation.score import beside

    read = {name: Finished.from_json(file) for name, file in _named(files).items()}
    if len(read) == 1:
        _alone(next(iter(read.values())), terminal, html, as_json)
        next(iter(read.values())).require(*require or ())
        return
    found = beside(read)
    if html is not None:
        found.to_html(html)
    if as_json:
        terminal.document(found.document())
    else:
        terminal.result(found.to_text())
    if html is not None:
        terminal.note(f"written: {html}")
    for one in read.values():
        one.require(*require or ())


def _alone(found: Report, terminal: Terminal, html: Path | None, as_json: bool) -> None:
    if html is not None:
        found.to_html(html)
    terminal.result(found.to_json().rstrip("\n") if as_json else found.to_text())
    if html is not None:
        terminal.note(f"written: {html}")


def _named(files: list[Path]) -> dict[str, Path]:
    """Return the files by the shortest ends of their paths that tell them apart."""
    paths = [file.resolve() for file in files]
    if len(set(paths)) < len(paths):
        raise ConfigError("a report is named twice; name different files.")
    stems = [path.with_suffix("") for path in paths]
    if len(set(stems)) < len(stems):
        stems = paths
    deepest = max(len(stem.parts) for stem in stems)
    ends = ([_end(stem, depth) for stem in stems] for depth in range(1, deepest + 1))
    names = next(found for found in ends if len(set(found)) == len(found))
    return dict(zip(names, files, strict=True))


def _end(path: Path, depth: int) -> str:
    return "/".join(path.parts[-depth:])
