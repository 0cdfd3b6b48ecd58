"""Does a classifier that was trained on synthetic rows work on real ones, and the other way round?

TRTR trains on T and tests on H; TSTR trains on S (as many rows of each label as T has, where it has them) and tests on H; TRTS
trains on T and tests on S. Balanced accuracy of a logistic regression on 30 components, a forest beside it. TSTR near
TRTR does not show that genes depend on each other as they should: rows with independent genes reach 0.90 of 0.91. A quick
evaluation does without the forest.
"""

from __future__ import annotations

import hashlib

import numpy as np

from augmentor.core.random import Stream
from augmentor.evaluation.contract import Measured, Measures, Setup
from augmentor.evaluation.learners import LEARNERS, Learner, Votes, trained
from augmentor.evaluation.pair import Pair
from augmentor.evaluation.rows import Sample
from augmentor.evaluation.score import ScoreSpec
from augmentor.evaluation.spaces import Basis

METHOD = "binomial over test rows, per label"
REALISM = "realism: shuffled or denoised rows pass"


def _spec(
    part: str, title: str, meaning: str, formula: str, catches: str, ideal: float | None, bound: float
) -> ScoreSpec:
    return ScoreSpec(
        name=f"transfer.{part}",
        axis="utility",
        title=title,
        meaning=meaning,
        goal="maximize",
        ideal=ideal,
        bounds=(0.0, bound if bound else None),
        floor=None if part == "trtr" else "permuted",
        formula=formula,
        catches=catches,
        misses=REALISM,
        headline=part == "tstr",
        needs_holdout=True,
    )


TRTR = _spec(
    "trtr",
    "trained on real, tested on real",
    "Balanced accuracy on held-out rows of a classifier trained on real rows: the reference.",
    "balanced accuracy on H, trained on T; logistic regression on 30 PCs, penalty by inner cross-validation",
    "labels that cannot be told apart at all",
    None,
    1.0,
)
TSTR = _spec(
    "tstr",
    "trained on synthetic, tested on real",
    "Balanced accuracy on held-out rows of a classifier that saw synthetic rows only.",
    "balanced accuracy on H, trained on S with at most the rows per label of T",
    "labels whose synthetic rows are not like them, lost labels",
    None,
    1.0,
)
RATIO = _spec(
    "tstr_ratio",
    "synthetic as a share of real training",
    "TSTR divided by TRTR: 1 means that synthetic rows teach as much as real ones.",
    "transfer.tstr / transfer.trtr, same learner, same test rows",
    "labels whose synthetic rows are not like them, lost labels",
    1.0,
    0.0,
)
TRTS = _spec(
    "trts",
    "trained on real, tested on synthetic",
    "Balanced accuracy on synthetic rows of a classifier trained on real rows: do rows fit their labels?",
    "balanced accuracy on S, trained on T; the ceiling is TRTR",
    "rows with wrong labels; above TRTR: caricatures",
    None,
    1.0,
)


class Metric:
    """Classifiers across real and synthetic rows."""

    scores = (TRTR, TSTR, RATIO, TRTS)
    setup = Setup(rows="training", draws=3, floors="named", labelled=True, order=0)

    def __init__(self) -> None:
        # classifiers by their training rows: T is the reference of every arm and its own ceiling
        self._learners: dict[tuple[str, str], Learner] = {}
        self._bases: dict[str, Basis] = {}

    def measure(self, pair: Pair) -> Measures:
        """Train on the judged rows and on T, test on H; test T's classifier on the judged rows."""
        assert pair.train is not None
        judged, real, train = pair.synthetic.sample, pair.real.sample, pair.train.sample
        for name, rows in (("judged", judged), ("training", train)):
            if len(np.unique(rows.y)) < 2:
                return {spec.name: Measured.none(f"the {name} rows have fewer than two labels") for spec in self.scores}
        size, kinds = len(pair.labels), LEARNERS[:1] if pair.asked.quick else LEARNERS
        votes = {
            name: {kind: self._learner(kind, rows, pair).votes(test, size) for kind in kinds}
            for name, rows, test in (
                ("trtr", train, real),
                ("tstr", judged, real),
                # real rows in the place of S are rows that T's classifier has not seen
                ("trts", train, real if pair.arm == "ceiling" else judged),
            )
        }
        out = {}
        for spec, name in ((TRTR, "trtr"), (TSTR, "tstr"), (TRTS, "trts")):
            out[spec.name] = _measured(votes[name], pair.labels, confusion=name == "trts")
        ours, theirs = votes["tstr"]["lr"], votes["trtr"]["lr"]
        ratio = ours.accuracy / theirs.accuracy if theirs.accuracy > 0 else None
        if ratio is None:
            out[RATIO.name] = Measured.none("the classifier trained on real rows is never right")
        else:
            # both are tested on the same rows: what counts is how their hits differ
            gap = (ours.called == ours.truth) - ratio * (theirs.called == theirs.truth)
            detail: dict[str, object] = {}
            if "rf" in kinds:
                reference = votes["trtr"]["rf"].accuracy
                detail["rf"] = votes["tstr"]["rf"].accuracy / reference if reference > 0 else None
            sd = ours.sd(gap) / theirs.accuracy
            out[RATIO.name] = Measured(ratio, sd=sd, method=METHOD, detail=detail)
        return out

    def _learner(self, kind: str, rows: Sample, pair: Pair) -> Learner:
        key = kind, hashlib.sha256(rows.hashes.tobytes() + rows.y.tobytes()).hexdigest()
        if key not in self._learners:
            # the same stream for every arm: they differ in their rows, not in their luck
            stream = Stream(pair.stream.seed).child("transfer", kind)
            if key[1] not in self._bases:
                self._bases[key[1]] = Basis.fitted(rows, pair.space, pair.basis.target)
            self._learners[key] = trained(kind, rows, self._bases[key[1]], stream)
        return self._learners[key]


def _measured(votes: dict[str, Votes], labels: tuple[str, ...], *, confusion: bool) -> Measured:
    first = votes["lr"]
    recalls = first.recalls
    per_label = {label: float(r) for label, r in zip(labels, recalls, strict=True) if not np.isnan(r)}
    detail: dict[str, object] = {"macro_f1": first.macro_f1, "tested": len(first.truth)}
    if "rf" in votes:
        detail |= {"rf": votes["rf"].accuracy, "rf_macro_f1": votes["rf"].macro_f1}
    if confusion:
        detail["confusion"] = {"labels": list(labels), "rows": first.confusion}
    return Measured(first.accuracy, per_label, sd=first.sd(), method=METHOD, detail=detail)
