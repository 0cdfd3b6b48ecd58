"""`augment metrics`: what is measured, and what each number means."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from augmentor.core.registry import METRICS

from .. import options as o
from ..listing import register

FLOORS = {
    "independent": "training rows, every gene shuffled within its label",
    "permuted": "training rows under permuted labels",
    "means": "the mean row of each label",
}


def add(app: typer.Typer) -> None:
    """Make it a command, with ``show`` below it."""
    register(app, METRICS, "metrics", "List the metrics; `metrics show NAME` explains one.", show)


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A metric of `augment metrics`.", show_default=False)],
    as_json: o.AsJson = False,
) -> None:
    """Explain a metric: its scores, how they are computed, what they catch and miss."""
    kind: Any = METRICS.get(name)
    if as_json:
        ctx.obj.document(
            {
                "name": name,
                "documentation": METRICS.documentation(name),
                "scores": [spec.model_dump(mode="json") for spec in kind.scores],
            }
        )
        return
    lines = [name, "", METRICS.documentation(name).strip()]
    for spec in kind.scores:
        goal = spec.goal if spec.ideal is None else f"{spec.goal}, ideal {spec.ideal:g}"
        low, high = ("–" if bound is None else f"{bound:g}" for bound in spec.bounds)
        marks = [word for word, there in (("headline", spec.headline), ("with --full", spec.full)) if there]
        lines += [
            "",
            f"{spec.name}: {spec.title} ({'; '.join([spec.axis, goal, *marks])})",
            f"  {spec.meaning}",
            f"  formula  {spec.formula}",
            f"  catches  {spec.catches}",
            f"  misses   {spec.misses}",
            f"  bounds   {low} to {high}; ceiling: real training rows in the place of synthetic ones; "
            f"floor: {FLOORS.get(spec.floor, 'none')}",
            f"  from     {spec.citation}",
        ]
    ctx.obj.result("\n".join(lines))
