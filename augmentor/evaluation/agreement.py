"""Do the files speak of the same thing? Roles, units and genes of row sets that anybody made, before anything is compared.

What differs is either brought together without a guess (another order, whole numbers stored as floats) or refused in one
sentence that says what each file holds and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Dataset, as_matrix, column_moments, row_sums
from augmentor.core.errors import DataError, LabelError, Refused, SchemaMismatch, listed
from augmentor.core.space import LOG_MAX, Space, detect, summarise
from augmentor.evaluation.score import Warned

FLAG = "synthetic"
# Row totals that vary less than this are constant up to rounding.
CONSTANT = 0.01
# Fractions this close to whole numbers are rounding of whatever wrote the file.
WHOLE = 1e-3
# Fewer shared features than this part of the smaller set are no common ground.
MOST = 0.5


@dataclass(frozen=True)
class Held:
    """What the numbers of a file are.

    Attributes:
        kind: counts, log, scaled (z-scores), normalised (constant row totals), fractions, positive, large or signed.
        text: the same in words, with the range.
        total: the row total that rows were normalised to, where it shows.
    """

    kind: str
    text: str
    total: float | None = None


# Kinds that a generator fitted to real rows of a kind cannot give, whatever its faults: they are another unit.
FOREIGN = {
    "counts": ("log", "scaled", "normalised", "fractions", "positive", "large", "signed"),
    "log": ("counts", "scaled", "normalised", "large", "signed"),
    "scaled": ("counts", "log", "normalised", "large"),
    "normalised": ("counts", "log", "scaled", "fractions"),
    "fractions": ("counts", "scaled", "normalised", "large"),
    "positive": ("scaled",),
    "large": ("scaled", "log", "fractions"),
    "signed": ("counts", "normalised"),
}


def together(
    made: Dataset,
    train: Dataset,
    holdout: Dataset | None,
    names: Mapping[str, str],
    *,
    drawn: bool = False,
    modelled: Sequence[str] | None = None,
    common: bool = False,
    asked: bool = False,
) -> tuple[Dataset, Dataset, Dataset | None, tuple[Warned, ...]]:
    """Bring rows that anybody made to the roles, units, labels and genes of the real ones, or refuse them.

    Args:
        made: rows to judge.
        train: real rows that were learned from.
        holdout: real rows that were held out.
        names: what messages call ``synthetic``, ``train`` and ``holdout``.
        drawn: the training file says of itself that a model wrote it.
        modelled: features that a model was asked for: real rows are reduced to them if the rows to judge have exactly these.
        common: judge the features that all sets share, where most are shared.
        asked: the space is the user's word, and whatever the space allows is compared.

    Returns:
        The three sets, and what the report must warn of.

    Raises:
        DataError: files changed places.
        SchemaMismatch: units or features differ.
    """
    if drawn and FLAG not in train.extra:
        raise DataError(
            f"{names.get('train', 'the real set')} was given as real, but says of itself that a model wrote it; are the two "
            "files swapped?"
        )
    real = {"train": train} if holdout is None else {"train": train, "holdout": holdout}
    made, left_out = right_roles(made, real, names)
    made = same_units(made, train, names, asked=asked)
    if len(made.schema.labels) == len(train.schema.labels):
        made = same_labels(made, train)
    exactly = modelled is not None and set(made.schema.features) == set(modelled)
    made, train, holdout, differ = same_genes(made, train, holdout, names, common=common, modelled=exactly)
    return made, train, holdout, (*left_out, *differ)


@contextmanager
def of_synthetic() -> Iterator[None]:
    """Let a refusal to read the rows to judge name the options that are theirs."""
    try:
        yield
    except Refused as error:
        text = str(error).replace("--layer", "--synthetic-layer").replace("--label", "--synthetic-label")
        more = " Without --label, all rows are judged as one." if isinstance(error, LabelError) else ""
        raise type(error)(text + more) from error


def stores_rows(record: Mapping[str, Any] | None, model: tuple[str, bool] | None) -> bool | None:
    """Say whether the model behind the synthetic rows stores training rows; None if nobody knows.

    Args:
        record: what the rows say of their origin; empty if nothing, None where there is no place to say it.
        model: name of the artifact's model and whether that stores rows.
    """
    if record is not None and "keeps_rows" in record:
        return bool(record["keeps_rows"])
    if model is None or (record is not None and record.get("model") != model[0]):
        return None
    return model[1]


def held(data: Dataset) -> Held:
    """Say what the numbers are, judged from the values alone."""
    seen = summarise(data.x)
    zeros = 1.0 - seen.nonzero / (seen.rows * seen.columns)
    low = min(seen.low, 0.0) if zeros > 0 else seen.low
    if low < 0:
        mean, variance = column_moments(data.x)
        centred = np.median(np.abs(mean)) < 0.2 and abs(np.median(np.sqrt(variance)) - 1) < 0.3
        kind, name = ("scaled", "z-scores") if centred else ("signed", "values")
        return Held(kind, f"{name} from {low:.3g} to {seen.high:.3g}")
    if seen.whole:
        return Held("counts", f"counts (whole numbers up to {seen.high:,.0f})")
    total = _constant(row_sums(data.x))
    if total is not None and seen.columns > 1:
        return Held("normalised", f"values normalised to {_number(total)} a row, not logged", total)
    if seen.high <= LOG_MAX and zeros >= 0.05 and seen.high > 1:
        total = _constant(row_sums(_unlogged(data)))
        text = f"log1p values (up to {seen.high:.3g}, {zeros:.0%} zeros)"
        return Held("log", text if total is None else f"log1p of values normalised to {_number(total)} a row", total)
    if seen.high <= 1:
        return Held("fractions", f"fractions from {low:.3g} to {seen.high:.3g}")
    return Held("large" if seen.high > LOG_MAX else "positive", f"fractional values from {low:.3g} to {seen.high:.4g}")


def same_units(made: Dataset, real: Dataset, names: Mapping[str, str], *, asked: bool = False) -> Dataset:
    """Return the synthetic rows in the space of the real ones, or refuse another unit.

    Args:
        made: synthetic rows, their space found from their values.
        real: real rows.
        names: what messages call ``synthetic`` and ``train``.
        asked: the space is the user's word, and whatever the space allows is compared.

    Raises:
        SchemaMismatch: the files hold different units.
    """
    ours, theirs = names.get("synthetic", "the synthetic set"), names.get("train", "the real set")
    if Space.MIXED in (made.schema.space, real.schema.space):
        if made.schema.space is real.schema.space:
            return made
        mixed, plain, of = (ours, theirs, made) if made.schema.space is Space.MIXED else (theirs, ours, real)
        texts = [n for n, level in zip(of.schema.features, of.schema.levels or (), strict=False) if level is not None]
        raise SchemaMismatch(
            f"{mixed} holds text ({listed(texts, most=3)}), {plain} numbers only. Drop these "
            "columns, or name the labels among them with --label."
        )
    if real.schema.space is Space.COUNTS and made.schema.space is not Space.COUNTS:
        made = _rounded(made)
    one, other = held(made), held(real)
    asked = asked or detect(summarise(real.x)).space is not real.schema.space
    totals = one.total and other.total and abs(one.total / other.total - 1) > 2 * CONSTANT
    if not asked and (one.kind in FOREIGN[other.kind] or totals):
        hints = [_hint(made, "--synthetic-layer"), _hint(real, "--layer")]
        text = f"{ours} holds {one.text}, but {theirs} holds {other.text}. {_remedy(one, other)}"
        raise SchemaMismatch(" ".join(part for part in (text, *hints) if part))
    if made.schema.space is real.schema.space:
        return made
    schema = made.schema.model_copy(update={"space": real.schema.space})
    return Dataset.checked(
        made.x, schema, made.codes, names=made.names, groups=made.groups, extra=made.extra, what=ours, remedy_nan=False
    )


def same_labels(made: Dataset, real: Dataset) -> Dataset:
    """Return the synthetic rows with the label names of the real ones, column by column; 1.0 is 1."""
    columns = []
    for column, like in zip(made.schema.labels, real.schema.labels, strict=True):
        known = {category.removesuffix(".0"): category for category in like.categories}
        categories = tuple(known.get(category.removesuffix(".0"), category) for category in column.categories)
        if len(known) < len(like.categories) or len(set(categories)) < len(categories):
            categories = column.categories
        columns.append(column.model_copy(update={"name": like.name, "categories": categories}))
    return replace(made, schema=made.schema.model_copy(update={"labels": tuple(columns)}))


def same_genes(
    made: Dataset,
    train: Dataset,
    holdout: Dataset | None,
    names: Mapping[str, str],
    *,
    common: bool = False,
    modelled: bool = False,
) -> tuple[Dataset, Dataset, Dataset | None, tuple[Warned, ...]]:
    """Return the sets over the same features, or refuse them by name; another order is no difference.

    Args:
        made: synthetic rows.
        train: training rows.
        holdout: held-out rows.
        names: what messages call ``synthetic`` and ``train``.
        common: judge the features that all sets share, where most are shared.
        modelled: the synthetic rows have the features that the model was asked for: real rows are reduced to them.

    Raises:
        SchemaMismatch: features differ.
    """
    given = [made, train] if holdout is None else [made, train, holdout]
    own, real = made.schema.features, train.schema.features
    shared = set.intersection(*(set(data.schema.features) for data in given))
    if all(len(shared) == data.features for data in given):
        return made, train, holdout, ()
    ours, theirs = names.get("synthetic", "the synthetic set"), names.get("train", "the real set")
    missing, extra = ([n for n in a if n not in set(b)] for a, b in ((real, own), (own, real)))
    differ = []
    if missing:
        differ.append(
            f"{ours} lacks {len(missing):,} of {len(real):,} features of {theirs} ({listed(missing, most=5)})"
        )
    if extra:
        differ.append(f"{ours} has {len(extra):,} features that {theirs} lacks ({listed(extra, most=5)})")
    text = "; ".join(differ) or f"{theirs} and the held-out rows differ in features"
    enough = len(shared) > MOST * min(data.features for data in given)
    if modelled and not extra and enough:
        text = f"{len(missing):,} of {len(real):,} features of {theirs} were not modelled and are not judged."
    elif common and enough:
        text = f"Only the {len(shared):,} features in common are judged: {text}."
    elif enough:
        raise SchemaMismatch(
            f"{text}. Give rows with the same features, or --common-genes to judge the {len(shared):,} shared ones."
        )
    else:
        raise SchemaMismatch(
            f"{ours} and {theirs} share {len(shared):,} of {min(len(own), len(real)):,} features: {text}. {_naming(own, real)}"
        )
    warned = Warned(code="genes", text=text, affects=("fidelity", "biology"))
    return (
        _reduced(made, shared),
        _reduced(train, shared),
        None if holdout is None else _reduced(holdout, shared),
        (warned,),
    )


def right_roles(
    made: Dataset, real: Mapping[str, Dataset], names: Mapping[str, str]
) -> tuple[Dataset, tuple[Warned, ...]]:
    """Return the rows to judge: those flagged synthetic where a file holds both; refuse files that changed places.

    Raises:
        DataError: rows given as real are flagged synthetic, or rows to judge are all flagged real.
    """
    ours = names.get("synthetic", "the synthetic set")
    for name, data in real.items():
        flags = _flags(data)
        if flags is not None and flags.any():
            count = f"all {len(data):,}" if flags.all() else f"{int(flags.sum()):,} of {len(data):,}"
            remedy = "swap the two files" if flags.all() else "give the file that holds real rows only"
            raise DataError(
                f"{names.get(name, f'the {name} rows')} was given as real, but {count} of its rows are flagged synthetic "
                f"(column '{FLAG}'); {remedy}."
            )
    flags = _flags(made)
    if flags is None or flags.all():
        return made, ()
    if not flags.any():
        raise DataError(
            f"{ours} was given as synthetic, but all {len(made):,} rows are flagged real (column '{FLAG}'); swap the two files."
        )
    text = f"{ours} also holds {int((~flags).sum()):,} rows that are not flagged synthetic; they were left out."
    return made.take(flags), (Warned(code="flagged_rows", text=text),)


def _flags(data: Dataset) -> NDArray[np.bool_] | None:
    """Return which rows are flagged synthetic, or None where nothing says so."""
    if FLAG not in data.extra:
        return None
    texts = np.array([str(value).lower() for value in data.extra[FLAG]])
    true, false = np.isin(texts, ("true", "1")), np.isin(texts, ("false", "0"))
    return true if (true | false).all() else None


def _rounded(data: Dataset) -> Dataset:
    """Whole numbers that were logged and unlogged are whole again."""
    values = data.x.data if sparse.issparse(data.x) else data.x
    whole = np.rint(values)
    if values.size == 0 or np.abs(values - whole).max() > WHOLE or whole.min() < 0:
        return data
    x = data.x.copy()
    if sparse.issparse(x):
        x.data = whole
    else:
        x = whole
    return replace(data, x=as_matrix(x))


def _constant(totals: NDArray[np.float64]) -> float | None:
    middle = float(np.median(totals))
    off = np.abs(totals - middle) > CONSTANT * middle
    if len(totals) < 3 or middle <= 0 or off.any():
        return None
    # 9,999.97 is 10,000 to a reader
    return float(f"{middle:.3g}") if abs(float(f"{middle:.3g}") / middle - 1) < CONSTANT else middle


def _number(total: float) -> str:
    return f"{total:,.0f}" if total >= 1 else f"{total:.3g}"


def _unlogged(data: Dataset) -> object:
    if not sparse.issparse(data.x):
        return np.expm1(data.x)
    x = data.x.copy()
    x.data = np.expm1(x.data)
    return x


def _remedy(one: Held, other: Held) -> str:
    if one.total and other.total and one.kind == other.kind:
        return "Normalise both to the same row total."
    if other.kind == "counts" and one.kind in ("positive", "large", "fractions", "signed"):
        return "Draw whole counts from the generator, or compare both as they are with --space continuous."
    if "counts" in (one.kind, other.kind):
        return "Give both as counts, or both normalised the same way."
    return "Give both on the same scale."


def _hint(data: Dataset, option: str) -> str:
    """What was noticed while reading: a better matrix in the same file."""
    return next((note.replace("--layer", option) for note in data.notes if " also holds " in note), "")


def _naming(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Say how names differ, where a simple rule makes most of them equal."""
    rules = {
        "Names agree if case is ignored; spell them alike.": str.upper,
        "Names agree without version numbers (.12); remove them.": lambda name: name.split(".")[0],
    }
    for text, rule in rules.items():
        if len({rule(n) for n in ours} & {rule(n) for n in theirs}) > MOST * min(len(ours), len(theirs)):
            return text
    return "Name features alike in both (symbols or identifiers), with genes in columns (--transpose turns a table)."


def _reduced(data: Dataset, shared: set[str]) -> Dataset:
    return data.select([i for i, name in enumerate(data.schema.features) if name in shared])
