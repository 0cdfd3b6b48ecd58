"""What weakens an evaluation: overlapping sets, few rows, unknown labels, sets that are not exchangeable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from augmentor.core.dataset import Dataset, Matrix
from augmentor.core.errors import DataError, listed
from augmentor.core.fingerprints import fingerprints
from augmentor.core.space import Space
from augmentor.evaluation.context import Frame
from augmentor.evaluation.rows import Aligned
from augmentor.evaluation.score import Score, Warned

# Held-out rows may repeat training rows as often as training rows repeat each other, with this much slack.
NATURAL = 2.0
# A share of synthetic rows that are real ones, beyond what rows repeat by nature.
COPIED = 0.01
# Mean values (mean squares of data with negative values) this many times the real ones are no fault of a generator.
SCALE, SIGNED_SCALE = 1.8, 5.0
FEW = 25
SHIFTED = 0.60


def overlap(data: Aligned, *, allow: bool) -> Iterator[Warned]:
    """Refuse held-out rows that are training rows, unless rows repeat by nature (tables of few values).

    Raises:
        DataError: more held-out rows are found in the training rows than repeats within those explain.
    """
    if data.holdout is not None:
        yield from _shared(data.holdout.hashes, data.train.hashes, data.train.hashes, "training rows", allow=allow)


def trained_on(
    holdout: Dataset, train: Dataset, recorded: NDArray[np.uint64] | None, features: Sequence[str], *, allow: bool
) -> Iterator[Warned]:
    """Refuse held-out rows that the model was trained on, as its artifact records them, also where nobody gives these rows.

    Args:
        holdout: rows said to be held out, in the space of the model.
        train: rows said to be trained on; those among them are left to `overlap`.
        recorded: fingerprints of the rows the model was trained on; None in artifacts of before they were recorded.
        features: features the model knows, which the fingerprints are of.
        allow: accept them.

    Raises:
        DataError: more held-out rows are among those than repeats within those explain.
    """
    if recorded is None:
        return
    lacking = sorted(set(features) - set(holdout.schema.features))
    if lacking:
        text = f"Held-out rows lack {len(lacking)} of the model's features ({listed(lacking, most=3)})"
        text += ": whether it was trained on these rows cannot be told from its record."
        yield Warned(code="not_traced", text=text, affects=("privacy",))
        return
    given = fingerprints(train, features) if set(features) <= set(train.schema.features) else recorded[:0]
    others = recorded[~np.isin(recorded, given)]
    what = "rows the model was trained on, as its artifact records"
    yield from _shared(fingerprints(holdout, features), others, recorded, what, allow=allow)


def _shared(
    holdout: NDArray[np.uint64], train: NDArray[np.uint64], all_train: NDArray[np.uint64], what: str, *, allow: bool
) -> Iterator[Warned]:
    """Refuse or name rows of ``holdout`` among ``train``, given how often ``all_train`` repeats itself."""
    shared = int(np.isin(holdout, train).sum())
    if not shared:
        return
    counts = np.unique(all_train, return_counts=True)[1]
    natural = float(counts[counts > 1].sum()) / len(all_train)
    share = shared / len(holdout)
    text = f"{shared} of {len(holdout)} held-out rows are also {what}"
    if share > NATURAL * natural and not allow:
        raise DataError(
            f"{text}, so copies of them would look perfect. Hold out rows the generator never saw, or pass "
            "--allow-overlap (allow_overlap=True) if equal rows are expected."
        )
    reason = "allowed by request" if share > NATURAL * natural else "as many as rows repeat by nature here"
    yield Warned(code="overlap", text=f"{text} ({reason}).", affects=("privacy",))


def copies(data: Aligned) -> Iterator[Warned]:
    """Notice synthetic rows that are real rows value for value, more than rows repeat by nature."""
    synthetic, train, holdout = data.synthetic.hashes, data.train.hashes, data.holdout
    repeats = np.unique(train, return_counts=True)[1]
    natural = float(repeats[repeats > 1].sum()) / len(train)
    sets = [("training", train)] if holdout is None else [("training", train), ("held-out", holdout.hashes)]
    for name, known in sets:
        shared = int(np.isin(synthetic, known).sum())
        if shared / len(synthetic) > COPIED + NATURAL * natural:
            seen = "" if name == "training" else ", so the generator has seen them and no comparison with them is fair"
            text = f"{shared:,} of {len(synthetic):,} synthetic rows are {name} rows, value for value{seen}."
            yield Warned(code="copies", text=text, affects=("fidelity", "biology", "utility", "privacy"))


def scale(data: Aligned) -> Iterator[Warned]:
    """Notice values many times larger or smaller than the real ones: another unit, depth or base of the logarithm."""
    if data.space is Space.MIXED:
        return
    ours, theirs = (float(np.sqrt(_square(rows.x))) for rows in (data.synthetic, data.train))
    signed = any(rows.x.min() < 0 for rows in (data.synthetic, data.train))
    if not signed:
        ours, theirs = (float(rows.totals.mean()) for rows in (data.synthetic, data.train))
    factor = ours / theirs if theirs > 0 else 1.0
    most = SIGNED_SCALE if signed else SCALE
    if not 1 / most < factor < most:
        text = f"Synthetic values are {factor:.2g} times the real ones on average: another unit, depth or base of the logarithm?"
        yield Warned(code="scale", text=text, affects=("fidelity",))


def _square(x: Matrix) -> float:
    """Return the mean square of all values."""
    values = x.data if sparse.issparse(x) else x
    return float(np.square(values, dtype=np.float64).sum() / (x.shape[0] * x.shape[1]))


def weaknesses(data: Aligned, frame: Frame) -> Iterator[Warned]:
    """Name what the report rests on too little."""
    if frame.halved:
        yield Warned(
            code="no_holdout",
            text=(
                "No held-out rows: copies of the training rows would look perfect. The real rows were halved instead: "
                "fidelity and biology are optimistic; transfer and privacy are not available."
            ),
            affects=("fidelity", "biology", "utility", "privacy"),
        )
    yield from copies(data)
    yield from scale(data)
    if data.unknown:
        named = listed(f"{label} ({n})" for label, n in data.unknown.items())
        yield Warned(
            code="unknown_labels",
            text=f"{sum(data.unknown.values())} synthetic rows have labels unknown to train and were left out: {named}.",
        )
    if data.unseen:
        named = listed(f"{label} ({n})" for label, n in data.unseen.items())
        yield Warned(
            code="unseen_labels",
            text=f"{sum(data.unseen.values())} held-out rows have labels unknown to train and were left out: {named}.",
        )
    size = len(data.labels)
    synthetic, held = data.synthetic.counts(size), frame.holdout.counts(size)
    if data.labelled:
        lost = [c for c, n, m in zip(data.labels, synthetic, held, strict=True) if n == 0 and m > 0]
        if lost:
            text = f"{len(lost)} labels have no synthetic row and are not compared: {listed(lost)}."
            yield Warned(code="missing_labels", text=text, affects=("fidelity", "biology", "utility"))
        few = [f"{c} ({n})" for c, n in zip(data.labels, held, strict=True) if n < FEW]
        if few:
            text = f"{len(few)} labels have fewer than {FEW} held-out rows, too few for scores of their own: {listed(few)}."
            yield Warned(code="few_rows", text=text)
    if frame.policy == "symmetric":
        rows = "halved rows" if frame.halved else "held-out rows"
        text = (
            f"{len(frame.holdout)} {rows} are too few to keep some for fitting spaces; every space is fitted on both "
            "compared sets alike, which blunts small differences."
        )
        yield Warned(code="symmetric", text=text)
    if frame.holdout.groups is None:
        text = "No groups were given: rows of one donor or plate may stand on both sides of a comparison (groups=, --group)."
        yield Warned(code="no_groups", text=text)


def shift(scores: Mapping[str, Score]) -> list[Warned]:
    """Notice that training and held-out rows can be told apart, so that the ceiling is low."""
    for name in ("discriminator.rf_pcs", "discriminator.lr_pcs"):
        score = scores.get(name)
        if score is not None and score.ceiling is not None:
            ceiling = score.ceiling
            if ceiling.mean - 2 * ceiling.sd > SHIFTED:
                text = f"Ceiling is low: train and holdout differ (told apart with AUC {ceiling.mean:.2f})."
                return [Warned(code="shift", text=text, affects=("fidelity", "biology", "utility", "privacy"))]
            return []
    return []
