"""`augment inspect`: what an artifact says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augmentor.core.errors import listed

from .. import options as o
from .. import outputs
from ..terminal import Terminal, duration

if TYPE_CHECKING:
    from augmentor.artifact import Manifest


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("inspect")(inspect)


def inspect(
    ctx: typer.Context,
    artifact: Annotated[Path, typer.Argument(metavar="ARTIFACT", help="A fitted model.")] = Path("model.augment"),
    curves: Annotated[
        Path | None,
        typer.Option(
            "--curves",
            help="Tell and draw what training did, into a .png, .svg or .pdf; curves.png if none is named.",
            metavar="[FILE]",
        ),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Show the model card of an artifact; with --curves, what its training did."""
    terminal: Terminal = ctx.obj
    if curves is not None:
        _curves(terminal, artifact, curves, as_json=as_json)
        return

    from augmentor.artifact import read_manifest

    manifest = read_manifest(artifact)
    if as_json:
        terminal.document(manifest.document())
    else:
        terminal.result(card(artifact, manifest))


def _curves(terminal: Terminal, artifact: Path, output: Path, *, as_json: bool) -> None:
    from augmentor import curves

    outputs.check(output, inputs=[artifact])
    stages = curves.courses(artifact)
    curves.save(stages, output, title=artifact.name)
    if as_json:
        terminal.document({"figure": str(output), "stages": [asdict(stage) for stage in stages]})
    else:
        terminal.result(curves.text(stages))
        terminal.note(f"curves -> {output}")


def card(artifact: Path, manifest: Manifest) -> str:
    """Return the model card as text."""
    schema, split = manifest.data_schema, manifest.split
    lines = [
        f"{artifact} ({_bytes(artifact) / 1e6:.1f} MB, format {manifest.format})",
        "",
        _line("model", manifest.model),
        _line("settings", _pairs(manifest.config) or "none"),
    ]
    lines += [_line(name, _pairs(config) or "yes") for name, config in manifest.parts.items() if name != "rejection"]
    if "rejection" in manifest.parts:
        lines += _rejection(manifest.parts["rejection"])
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
    if schema.covariates:
        lines.append(_line("covariates", ", ".join(schema.covariates)))
    if split.inferred is not None:
        given = {name: own["inferred"] for name, own in split.inferred["labels"].items()}
        used = f"{split.inferred['used']:,} of {split.inferred['offered']:,} rows without one"
        lines.append(_line("inferred", f"labels of {used}: {o.rows_of(given, most=40)}"))
    if split.reference is not None:
        lines += _reference(split.reference)
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
        lines += [_line("", text) for text in _judged(stage.get("judged", {}), manifest.combinations)]
        lines += [_line("found", text) for text in stage.get("findings", [])]
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


def _reference(record: dict[str, Any]) -> list[str]:
    """Say which rows of a reference were learned from, and how strongly they were adapted."""
    unit = "standard deviations" if record["kind"] == "continuous" else "fold"
    size = "" if record["size"] is None else f", library sizes times {record['size']:g}"
    left = f"; left out: {', '.join(record['left_out'][:6])}" if record["left_out"] else ""
    used = f"{record['used']:,} of {record['rows']:,} rows, {record['labelled']:,} with their own label"
    return [
        _line("reference", f"{used}: {o.rows_of(record['labels'], most=40)}{left}"),
        _line(
            "adapted", f"features by {record['change']:g} {unit} (median; one in twenty by {record['most']:g}){size}"
        ),
    ]


def _rejection(record: Mapping[str, Any]) -> list[str]:
    """Say what share of rows rejection accepts, and what it changes."""
    per_label = ", ".join(f"{name} {share:.0%}" for name, share in record["accepted_per_label"].items())
    changes = ", ".join(
        f"{name} {value:.2f} -> {record['after'][name]:.2f}" for name, value in record["before"].items()
    )
    return [
        _line("rejection", f"at {record['share']:g}: {record['accepted']:.0%} of drawn rows accepted: {per_label}"),
        _line("", f"before calibration: {changes}"),
    ]


def _judged(facts: dict[str, Any], combinations: tuple[tuple[str, ...], ...]) -> list[str]:
    """Say how a model judged its own rows, label by label."""
    if not facts:
        return []
    names = ["|".join(combination) or "all" for combination in combinations]
    if len(facts["recall"]) != len(names):  # every label had too few rows of its own
        names = ["all"]
    lines = [f"its rows judged beside {facts['judged on']} (in brackets: what real rows reach)"]
    for part in ("recall", "coverage"):
        known = [
            f"{name} {value:.2f} ({ceiling:.2f})"
            for name, value, ceiling in zip(names, facts[part], facts[f"{part} ceiling"], strict=True)
            if value is not None and ceiling is not None
        ]
        lines.append(f"{part} {listed(known, most=40) or 'unknown: too few rows'}")
    return lines


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
