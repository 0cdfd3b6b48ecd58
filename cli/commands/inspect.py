"""`augment inspect`: what an artifact says about itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import options as o
from ..terminal import Terminal, duration

if TYPE_CHECKING:
    from augmentor.artifact import Manifest


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("inspect")(inspect)


def inspect(
    ctx: typer.Context,
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="A fitted model.")] = Path("model.augment"),
    as_json: o.AsJson = False,
) -> None:
    """Show the model card of an artifact."""
    terminal: Terminal = ctx.obj

    from augmentor.artifact import read_manifest

    manifest = read_manifest(artifact)
    if as_json:
        terminal.document(manifest.document())
    else:
        terminal.result(card(artifact, manifest))


def card(artifact: Path, manifest: Manifest) -> str:
    """Return the model card as text."""
    schema, split = manifest.data_schema, manifest.split
    lines = [
        f"{artifact} ({_bytes(artifact) / 1e6:.1f} MB, format {manifest.format})",
        "",
        _line("model", manifest.model),
        _line("settings", _pairs(manifest.config) or "none"),
    ]
    lines += [_line(name, _pairs(config) or "yes") for name, config in manifest.parts.items()]
    if manifest.size is not None:
        lines.append(_line("library size", f"drawn per label ({manifest.size.get('kind', 'modelled')})"))
    lines.append(_line("transforms", " -> ".join(_step(record) for record in manifest.transforms) or "none"))
    lines += [
        "",
        _line("data", f"{manifest.data.name}: {manifest.data.rows:,} rows x {manifest.data.features:,} features"),
        _line("values", f"{schema.space}, {schema.dtype}{', sparse' if schema.sparse else ''}"),
        _line("modelled", f"{len(schema.features):,} features"),
        _line(
            "rows",
            f"{split.train_rows:,} learned from ({split.valid_rows:,} of them to judge by), "
            f"{split.holdout_rows:,} held out for evaluation",
        ),
    ]
    lines += [_line("labels", f"{name}: {o.rows_of(counts, most=40)}") for name, counts in manifest.data.labels.items()]
    if split.inferred is not None:
        given = {name: own["inferred"] for name, own in split.inferred["labels"].items()}
        used = f"{split.inferred['used']:,} of {split.inferred['offered']:,} rows without one"
        lines.append(_line("inferred", f"labels of {used}: {o.rows_of(given, most=40)}"))
    if manifest.choice is not None:
        lines += ["", *_choice(manifest.choice)]
    stages: Any = manifest.training.get("stages", [])
    if stages:
        lines.append("")
    for stage in stages:
        recovered = f", {stage['recoveries']} recoveries" if stage.get("recoveries") else ""
        best = f", best in epoch {stage['best_epoch']}" if (stage.get("best_epoch") or 0) > 0 else ""
        lines.append(
            _line(f"stage {stage['stage']}", f"{stage['epochs']} epochs ({stage['stopped']}){best}{recovered}")
        )
    memory = "" if manifest.peak_memory_mb is None else f", {manifest.peak_memory_mb:,.0f} MB at the peak"
    lines += [
        "",
        _line(
            "fitted",
            f"{manifest.created:%Y-%m-%d %H:%M} {manifest.created.tzname()}, seed {manifest.seed}, "
            f"in {duration(manifest.wall_seconds)}{memory}",
        ),
        _line(
            "versions",
            f"augmentor {manifest.augmentor}, "
            + ", ".join(f"{name} {version}" for name, version in manifest.environment.items()),
        ),
        _line("data digest", manifest.data.digest or "none (read in blocks)"),
    ]
    return "\n".join(lines)


def _choice(choice: dict[str, Any]) -> list[str]:
    """Say what ``auto`` chose, why, and from what."""
    lines = [_line("chosen", f"{choice['chosen']}, {choice['reason']}")]
    table: list[dict[str, Any]] = choice.get("candidates", [])
    if table:
        names = list(table[0])
        cells = [
            names,
            *(
                [f"{row[name]:.3f}" if isinstance(row[name], float) else str(row[name]) for name in names]
                for row in table
            ),
        ]
        widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
        lines += [
            f"{'':14}{'  '.join(text.ljust(width) for text, width in zip(row, widths, strict=True))}".rstrip()
            for row in cells
        ]
    return lines


def _step(record: Any) -> str:
    settings = _pairs(record.config)
    return f"{record.name}{f' ({settings})' if settings else ''}"


def _pairs(config: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in config.items())


def _line(name: str, text: str) -> str:
    return f"{name:<13} {text}"


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size
