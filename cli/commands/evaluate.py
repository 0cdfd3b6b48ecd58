"""`augment evaluate`: how good synthetic rows are, as a table, a page, JSON, and an exit code."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from augmentor.core.errors import ConfigError

from .. import arguments, outputs
from .. import options as o
from ..terminal import Meter, Terminal

if TYPE_CHECKING:
    from augmentor.core.dataset import Dataset
    from augmentor.evaluation.score import Report

DEFAULT_ARTIFACT = "model.augment"


def add(app: typer.Typer) -> None:
    """Make it a command."""
    app.command("evaluate")(evaluate)


def evaluate(
    ctx: typer.Context,
    synthetic: Annotated[
        Path | None, typer.Argument(metavar="SYNTHETIC", help="Rows to judge.", show_default=False)
    ] = None,
    real: Annotated[
        Path | None, typer.Option(help="All real rows, divided as the artifact records.", metavar="FILE")
    ] = None,
    train: Annotated[
        Path | None, typer.Option(help="Instead of --real: the rows that were learned from.", metavar="FILE")
    ] = None,
    holdout: Annotated[
        Path | None, typer.Option(help="With --train: real rows that were never seen.", metavar="FILE")
    ] = None,
    artifact: Annotated[
        Path | None,
        typer.Option(
            help="The fitted model; if not given, model.augment here or beside SYNTHETIC, if it was fitted on --real.",
            metavar="FILE",
        ),
    ] = None,
    cross_fit: Annotated[
        int | None,
        typer.Option(
            "--cross-fit",
            help="Instead of SYNTHETIC: fit the artifact's model anew K times and judge each by the rows left out.",
            metavar="K",
        ),
    ] = None,
    label: o.Label = None,
    covariate: o.Covariate = None,
    group: o.Group = None,
    layer: o.Layer = None,
    use_raw: o.UseRaw = False,
    transpose: o.Transpose = False,
    transpose_synthetic: Annotated[
        bool, typer.Option("--transpose-synthetic", help="Genes are in rows of SYNTHETIC as well.")
    ] = False,
    synthetic_label: Annotated[
        list[str] | None,
        typer.Option("--synthetic-label", help="What SYNTHETIC calls the label.", metavar="NAME", show_default=False),
    ] = None,
    synthetic_layer: Annotated[
        str | None,
        typer.Option("--synthetic-layer", help="Layer of SYNTHETIC to use instead of X.", metavar="NAME"),
    ] = None,
    common_genes: Annotated[
        bool, typer.Option("--common-genes", help="Judge the genes that all files share, where most are shared.")
    ] = False,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Accept held-out rows that are also training rows.")
    ] = False,
    space: o.Space = "auto",
    categorical: o.Categorical = None,
    numeric: o.Numeric = None,
    ordered: o.Ordered = None,
    json_file: Annotated[
        Path, typer.Option("--json", help="Report as JSON; - for stdout instead of the table.", metavar="FILE")
    ] = Path("report.json"),
    html: Annotated[Path, typer.Option("--html", help="Report as one page.", metavar="FILE")] = Path("report.html"),
    figures: Annotated[
        Path | None, typer.Option(help="Folder for the pictures as PNG, SVG and PDF.", metavar="FOLDER")
    ] = None,
    multiqc: Annotated[
        Path | None, typer.Option(help="Headline scores as MultiQC custom content, NAME_mqc.json.", metavar="FILE")
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help='Exit with 3 unless this holds, as in "tstr_ratio>=0.95"; repeat it.', metavar="EXPR"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse to evaluate without held-out rows.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="The minimum set of metrics only.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Every metric, also the slow ones, and more resampling.")
    ] = False,
    utility: Annotated[
        bool,
        typer.Option(
            "--utility", help="Also answer, on splits of the training rows, whether to augment; fits the model anew."
        ),
    ] = False,
    only: Annotated[str | None, typer.Option(help="Metrics to compute: a,b.", metavar="NAMES")] = None,
    skip: Annotated[str | None, typer.Option(help="Metrics to leave out: a,b.", metavar="NAMES")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Time after which no further metric is begun: 90s, 10m.", metavar="TIME")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(help="Label that differences are taken against; else the mean of the others.", metavar="LABEL"),
    ] = None,
    gene_sets: Annotated[
        Path | None, typer.Option("--gene-sets", help="Gene sets (GMT) for scores per pathway.", metavar="FILE")
    ] = None,
    seed: o.Seed = 0,
) -> None:
    """Judge synthetic rows, every score beside that of real rows.

    augment evaluate synthetic.h5ad --real expr.h5ad --label celltype

    The real rows are divided as the artifact records: rows that were learned from, and rows held out.
    """
    terminal: Terminal = ctx.obj
    if (real is None) == (train is None):
        raise typer.BadParameter("give the real rows as --real, or as --train and --holdout.")
    if real is not None and holdout is not None:
        raise typer.BadParameter(
            "--holdout goes with --train; with --real, the artifact says which rows were held out."
        )
    if (synthetic is None) == (cross_fit is None):
        raise typer.BadParameter("give the rows to judge as SYNTHETIC, or --cross-fit K to judge rows of K refits.")
    if cross_fit is not None and (real is None or artifact is None):
        raise typer.BadParameter("--cross-fit needs all real rows (--real) and the model to fit anew (--artifact).")
    if quick and (full or only):
        raise typer.BadParameter("--quick names a set of metrics itself; leave out --full and --only.")
    inputs = [synthetic, real, train, holdout, artifact, gene_sets]
    for target in (json_file, html, multiqc):
        if target is not None:
            outputs.check(target, inputs=inputs)
    if multiqc is not None and not multiqc.name.endswith("_mqc.json"):
        raise typer.BadParameter("--multiqc: MultiQC finds files that end in _mqc.json; name it so.")
    if figures is not None:
        outputs.check(figures, inputs=inputs, folder=True)
    limit, skipped = arguments.seconds(budget), arguments.comma_separated(skip)
    metrics: Any = arguments.comma_separated(only) or ("quick" if quick else "default")
    how = o.reading(label, group, layer, use_raw, transpose, space, categorical, numeric, ordered, covariate)

    from augmentor import evaluate as judge
    from augmentor import io
    from augmentor.judging import check_requirements
    from augmentor.judging import cross_fit as refit

    if require:
        check_requirements(require, metrics=metrics, full=full, skip=skipped)
    shared: dict[str, Any] = {
        "metrics": metrics,
        "full": full,
        "skip": skipped,
        "control": control,
        "gene_sets": gene_sets,
        "seed": seed,
        "command": shlex.join(["augment", *terminal.words]),
    }
    with Meter(terminal) as meter:
        if cross_fit is not None:
            kept = ("group", "layer", "use_raw", "transpose", "categorical", "numeric", "ordered")
            places = {key: how[key] for key in kept if key in how}
            report = refit(real, artifact=str(artifact), folds=cross_fit, **places, **shared, listener=meter)
        else:
            assert synthetic is not None
            known = artifact or _nearby(synthetic, real)
            if known is not None:
                labels, covariates = _roles(known)
                how |= {"label": how["label"] or labels, "covariates": covariate or covariates}
            whole = io.read(real or train, **how)  # type: ignore[arg-type]
            unseen = None if holdout is None else io.read(holdout, **how)
            if artifact is None and known is not None and not _fitted_on(known, whole, terminal):
                known = None
            if strict and unseen is None and (known is None or not _holds_out(known)):
                raise ConfigError(
                    "no held-out rows: --strict needs rows that the model never saw. Fit with a holdout and give its "
                    "--artifact, or give --train and --holdout."
                )
            report = judge(
                synthetic,
                label=how["label"],
                covariate=how.get("covariates"),
                space=space,
                synthetic_label=synthetic_label,
                synthetic_layer=synthetic_layer,
                synthetic_transpose=transpose_synthetic,
                common_genes=common_genes,
                allow_overlap=allow_overlap,
                names={
                    name: path.name for name, path in (("train", real or train), ("holdout", real or holdout)) if path
                },
                real=None if real is None else whole,
                train=None if real is not None else whole,
                holdout=unseen,
                artifact=known,
                utility=utility,
                budget=limit,
                **shared,
                listener=meter,
            )
    _write(report, terminal, json_file, html, figures, multiqc)
    if require:
        report.require(*require)


def _write(
    report: Report, terminal: Terminal, json_file: Path, html: Path, figures: Path | None, multiqc: Path | None
) -> None:
    written = [html, *([] if figures is None else [figures])]
    report.to_html(html)
    if figures is not None:
        report.to_figures(figures)
    if multiqc is not None:
        written += report.to_multiqc(multiqc)
    if str(json_file) == outputs.STREAM:
        terminal.result(report.to_json())
    else:
        written.append(json_file)
        report.to_json(json_file)
        terminal.result(report.to_text())
    terminal.note(f"written: {', '.join(map(str, written))}")
    for item in report.failed:
        terminal.note(f"metric {item.metric} failed and is missing from the report: {item.error}")


def _nearby(synthetic: Path, real: Path | None) -> Path | None:
    """An artifact in this folder or beside the synthetic rows."""
    if real is None:
        return None
    for place in (Path(DEFAULT_ARTIFACT), synthetic.parent / DEFAULT_ARTIFACT):
        if place.exists():
            return place
    return None


def _roles(artifact: Path) -> tuple[list[str] | None, list[str]]:
    """Return the label columns and the covariates of an artifact."""
    from augmentor.artifact import read_manifest

    schema = read_manifest(artifact).data_schema
    return [column.name for column in schema.labels] or None, list(schema.covariates)


def _holds_out(artifact: Path) -> bool:
    from augmentor.artifact import read_manifest

    return read_manifest(artifact).split.holdout_rows > 0


def _fitted_on(artifact: Path, real: Dataset, terminal: Terminal) -> bool:
    """Whether an artifact that nobody named was fitted on these rows; if not, it is left alone, and that is said."""
    from augmentor.artifact import read_manifest

    record = read_manifest(artifact).data
    if len(real) == record.rows and record.digest in ("", real.digest()):
        terminal.note(f"{artifact} says which real rows were held out")
        return True
    terminal.note(f"{artifact} was fitted on other data ({record.name}, {record.rows:,} rows) and is not used")
    return False
