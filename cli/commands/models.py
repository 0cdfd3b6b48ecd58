"""`augment models`: the kinds of generators, and what each can be set to."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import Annotated, Any

import typer

from augmentor.core.measured import measurements
from augmentor.core.registry import MODELS

from .. import options as o
from ..listing import register, settings_table

WIDTH = 118
SCORES = {  # what `models show` tells: a short title, and how to read it
    "discriminator.rf_genes": (
        "AUC genes",
        "how well a forest tells rows from real ones on all features, 0.5 not at all",
    ),
    "discriminator.rf_pcs": ("AUC PCs", "the same on principal components"),
    "correlation.within": (
        "corr.",
        "how far correlations of features within labels are those of held-out rows, 1 all the way",
    ),
    "precision_recall.recall": ("recall", "share of held-out rows that lie where synthetic ones do"),
    "transfer.tstr": ("TSTR", "balanced accuracy of a classifier that learned from synthetic rows only"),
    "nearest_train.excess": ("copies", "excess of rows nearest to a training row, 0 none, 1 all"),
}


def add(app: typer.Typer) -> None:
    """Make it a command, with ``show`` below it."""
    register(app, MODELS, "models", "List the generators; `models show NAME` explains one.", show)


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model of `augment models`.", show_default=False)],
    as_json: o.AsJson = False,
) -> None:
    """Explain a model: its mathematics, what it accepts, its settings."""
    kind: Any = MODELS.get(name)
    spec = kind.spec
    if as_json:
        ctx.obj.document(
            {
                "name": name,
                "documentation": MODELS.documentation(name),
                "spaces": [str(space) for space in spec.spaces],
                "keeps_rows": spec.keeps_rows,
                "trained": spec.trained,
                "calibrated": spec.calibrated,
                "paper": spec.paper,
                "strengths": spec.strengths,
                "limits": spec.limits,
                "measured": [asdict(found) for found in measurements(name)],
                "settings": kind.Config.model_json_schema().get("properties", {}),
            }
        )
        return
    facts = [
        f"spaces      {', '.join(str(space) for space in spec.spaces)}",
        f"training    {'by gradient steps; --resume and --max-time apply' if spec.trained else 'in one go'}",
        f"calibrated  {'yes, unless --no-calibrate' if spec.calibrated else 'no, unless --calibrate'}",
        f"keeps rows  {'yes: it can repeat training values' if spec.keeps_rows else 'no'}",
    ]
    if spec.paper:
        facts.append(f"paper       {spec.paper}")
    facts += [
        textwrap.fill(line, WIDTH, subsequent_indent=" " * 12)
        for line in (f"strengths   {spec.strengths}", f"limits      {spec.limits}")
        if line.split(maxsplit=1)[1:]
    ]
    parts = [
        name,
        "",
        MODELS.documentation(name).strip(),
        "",
        *facts,
        "",
        *_measured(name),
        "",
        *settings_table(kind.Config),
    ]
    ctx.obj.result("\n".join(parts))


def _measured(name: str) -> list[str]:
    """Return a table of what was measured: a line per data set, every score beside what real rows reach and the floor."""
    found = measurements(name)
    if not found:
        return ["measured    nothing yet on the data sets of the benchmarks"]
    rows = [("", *(title for title, _ in SCORES.values()), "fit s")]
    for item in found:
        cells = [_cell(*item.scores.get(score, (None, None, None))) for score in SCORES]
        rows.append((f"{item.data}, {item.train:,} x {item.features:,}", *cells, f"{item.fit_seconds:.0f}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "measured    in brackets real rows in the place of synthetic ones; then the floor",
        *("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows),
        *(f"{title}: {meaning}" for title, meaning in SCORES.values()),
    ]


def _cell(value: float | None, ceiling: float | None, floor: float | None) -> str:
    if value is None:
        return "–"
    beside = "" if ceiling is None else f" ({ceiling:.2f})"
    # + 0.0: no minus before a zero
    return f"{round(value, 2) + 0.0:.2f}{beside}{'' if floor is None else f' {round(floor, 2) + 0.0:.2f}'}"
