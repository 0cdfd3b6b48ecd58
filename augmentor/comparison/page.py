"""A comparison as one HTML page that needs nothing else: no network, no installation and no script.

Everything that comes from the data is escaped by Jinja2, in pictures by the SVG writer. Looks, palette and policy are those of
the evaluation report.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from scipy import stats

from augmentor.comparison import verdict as thresholds
from augmentor.comparison.arms import TAUGHT
from augmentor.comparison.intervals import half_width
from augmentor.comparison.learners import NAMES
from augmentor.comparison.result import Arm, Comparison, Gain, Verdict, Word
from augmentor.comparison.verdict import signed
from augmentor.core.atomic import atomic_file
from augmentor.core.errors import listed
from augmentor.core.registry import MODELS
from augmentor.evaluation.report import gains, html, words
from augmentor.evaluation.report.style import inline_svg, settings

#: The scores of the leaderboard: key, title, arrow, direction in words.
SCORES = (
    ("balanced_accuracy", "Balanced accuracy", "↑", "higher is better"),
    ("macro_f1", "Macro-F1", "↑", "higher is better"),
    ("auroc", "AUROC", "↑", "higher is better"),
    ("auprc", "AUPRC", "↑", "higher is better"),
    ("brier", "Brier", "↓", "lower is better"),
)

LEVELS: dict[Word, str] = {"augment": "good", "do not augment": "bad", "not enough evidence": "unknown"}

#: What the arms are that are no models of the registry.
ARMS = {
    "real_only": "The real training rows as they are; nothing is added.",
    "class_weight": "The real rows, every label weighing the same in training; nothing is added.",
    "tuned_threshold": "The real rows; a label is called by its probability divided by a power of its frequency, and inner folds "
    "choose the power. Nothing is added.",
    "duplicate": "The same real rows once more: more weight and no information. A control, never recommended.",
    "bootstrap_noise": "Real rows drawn again within their label, with noise of a tenth of the label's spread.",
    "oracle_more_real": "The real rows that the limit per label left out, with their labels: what more labelled rows would bring.",
    "pca_all_rows": "The learner on principal components of all rows, those without a label among them; nothing is added.",
    "label_spreading": "Labels diffuse over the nearest-neighbour graph of all rows; a test row takes the mean of its 15 nearest. The "
    "same whatever the learner.",
    "self_training": "The learner on those components labels the rows it is sure of and is fitted again. Nothing is added.",
    "inferred_labels": "The rows without a label train with the label that augmentor infers, each used with the probability of that "
    "label: what the generators below learn from, without a generator.",
}


def to_html(comparison: Comparison, path: str | os.PathLike[str] | None = None) -> str:
    """Return a comparison as a self-contained page, and write it to ``path`` where one is given."""
    page = (
        _environment()
        .get_template("compare.html.j2")
        .render(
            policy=Markup(html.POLICY),
            words=words,
            c=comparison,
            scores=SCORES,
            names=NAMES,
            levels=LEVELS,
            plain=_plain(comparison.verdict),
            pictures=_pictures(comparison),
            arms=_abouts(comparison),
            facts=_facts(comparison),
            thresholds=thresholds,
            quantile=float(stats.t.ppf(0.975, max(comparison.protocol.splits - 1, 1))),
            ratio=_ratio(comparison),
        )
    )
    if path is not None:
        with atomic_file(path) as file:
            file.write(page.encode())
    return page


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        # the style sheet is the report's
        loader=jinja2.FileSystemLoader([Path(__file__).parent, Path(html.__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clean=words.one_line, label=words.label, title=words.title, prose=_prose)
    environment.filters.update(number=_number, gain=_gain, mean=_mean, ends=_ends)
    return environment


def _plain(answer: Verdict) -> str:
    """The answer for somebody who reads one sentence."""
    if answer.help is not None and answer.help.word == "yes" and answer.verdict != "augment":
        added = "adds nothing useful to" if answer.verdict == "do not augment" else "is not shown to add anything to"
        return f"Use the rows without a label ({answer.help.arm}): they help. Synthesis {added} what they bring."
    if answer.verdict == "augment":
        return f"Add about {answer.ratio:g} synthetic rows of {answer.arm} for every real row."
    if answer.verdict == "do not augment":
        return f"None of the ways to add synthetic rows that were tried is worth it for a {NAMES[answer.learner]}."
    return "These rows and splits show neither a useful gain nor that there is none."


def _prose(text: str) -> str:
    """Return a sentence on one line, its negative numbers with the sign that the tables have."""
    return re.sub(r"(?<=[\[ ])-(?=\d+\.\d)", "−", words.one_line(text))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".replace("-", "−")


def _mean(gain: Gain | None) -> str:
    return "–" if gain is None or gain.mean is None else signed(gain.mean)[0].replace("-", "−")


def _ends(gain: Gain | None) -> str:
    """Return the interval of a difference, or nothing where it is not bounded."""
    if gain is None or gain.low is None or gain.high is None:
        return ""
    return f"[{', '.join(signed(gain.low, gain.high))}]".replace("-", "−")


def _gain(gain: Gain | None) -> str:
    return f"{_mean(gain)} {_ends(gain)}".rstrip()


def _pictures(comparison: Comparison) -> list[dict[str, Any]]:
    drawn = [("gains", *_forest(comparison))]
    if comparison.curve is not None:
        drawn.append(("curve", *_curve(comparison)))
    out = []
    for name, title, sentence, alt, data in drawn:
        with settings():
            figure = gains.forest(data) if name == "gains" else gains.learning_curve(data)
            figure.axes[0].set_title("", loc="left")  # the heading above says it
            svg = inline_svg(figure, f"compare-{name}", title=title, description=alt)
        out.append({"name": name, "title": title, "sentence": sentence, "svg": Markup(svg)})
    return out


def _forest(comparison: Comparison) -> tuple[str, str, str, dict[str, Any]]:
    """Return title, reading, what there is to see, and data of the picture of gains."""
    rows = [(arm, arm.gains["balanced_accuracy"]) for arm in comparison.arms if arm.kind != "plain"]
    delta = comparison.verdict.delta
    data: dict[str, Any] = {
        "arm": [f"LEAK: {arm.arm}" if arm.leak else arm.arm for arm, _ in rows],
        "learner": [arm.learner for arm, _ in rows],
        "delta": delta,
        **{
            end: [getattr(gain, name) for _, gain in rows]
            for end, name in (("gain", "mean"), ("low", "low"), ("high", "high"))
        },
    }
    judged = [gain for arm, gain in rows if arm.kind in ("simple", "model") and not arm.leak]
    above = [gain.low is not None and gain.low > 0 for gain in judged]
    below = [gain.high is not None and gain.high < delta for gain in judged]
    open_ = sum(not (one or other) for one, other in zip(above, below, strict=True))
    sentence = (
        f"Balanced accuracy on test rows, minus that of the best policy without synthetic rows{_and_others(comparison)}. Of the "
        f"{len(judged)} intervals of arms that make rows, {sum(above)} lie above zero and {sum(below)} below +{delta:g}, which "
        f"excludes a useful gain; {open_} leave it open."
    )
    values = "; ".join(f"{arm.arm}, {NAMES[arm.learner]}: {_gain(gain)}" for arm, gain in rows)
    alt = (
        "A row per arm and in it a horizontal interval per learner with a mark at the mean gain, beside a vertical line at "
        f"no gain and a shaded band of ±{delta:g} around it. {words.one_line(values)}."
    )
    return "What adding rows changes", sentence, alt, data


def _curve(comparison: Comparison) -> tuple[str, str, str, dict[str, Any]]:
    """Return title, reading, what there is to see, and data of the learning curve."""
    curve, gain, found = comparison.curve, comparison.verdict.gain, comparison.verdict.help
    assert curve is not None
    gain = gain if found is None else found.gain
    n, score = np.array([point.rows for point in curve.points]), np.array([point.score for point in curve.points])
    half = np.array([half_width(point.sd, point.splits, _ratio(comparison)) for point in curve.points])
    fitted = curve.limit - curve.height * n**-curve.exponent
    start = curve.limit - curve.height * curve.rows**-curve.exponent
    data: dict[str, Any] = {
        "n": n.tolist(),
        "score": score.tolist(),
        "low": (score - half).tolist(),
        "high": np.minimum(score + half, 1.0).tolist(),
        "fitted": fitted.tolist(),
        "at": curve.rows,
        "unit": "real training rows per label",
        **({} if found is None else {"added": "with rows without a label"}),
    }
    if curve.arm is not None and gain is not None and gain.mean is not None:
        data["augmented"], data["augmented_low"], data["augmented_high"] = (
            None if change is None else min(start + change, 1.0) for change in (gain.mean, gain.low, gain.high)
        )
    sentence = (
        f"{_prose(curve.sentence)} Circles are means over {curve.points[0].splits} splits, shaded with their corrected 95 % "
        "interval; the triangle stands where the gain lifts the fitted curve."
    )
    values = ", ".join(f"{point.rows:.0f} rows {point.score:.3f}" for point in curve.points)
    added = "synthetic rows added" if found is None else "rows without a label beside them"
    alt = (
        "Balanced accuracy against the number of real training rows per label on a log scale, as filled circles with a fitted "
        f"curve, and an open triangle with {added}. {values}. {words.one_line(curve.sentence)}"
    )
    return "What the gain is worth in real rows", sentence, alt, data


def _and_others(comparison: Comparison) -> str:
    return " and without unlabelled ones" if comparison.rivals else ""


def _ratio(comparison: Comparison) -> float:
    """n_test / n_train of the rows that a split divides."""
    return 1.0 / max(comparison.protocol.folds - 1, 1)


def _abouts(comparison: Comparison) -> list[tuple[Arm, str]]:
    """Return every arm once, and what it is."""
    learner = comparison.verdict.learner
    return [(arm, _about(arm.arm)) for arm in comparison.arms if arm.learner == learner]


def _about(arm: str) -> str:
    if arm in ARMS:
        return ARMS[arm]
    name = arm.removesuffix(TAUGHT)
    if name != arm:
        return f"{name}, fitted to the labelled rows and to those without a label, each with its inferred label."
    # a comparison may have been made where another generator is installed
    return MODELS.summary(arm) if arm in MODELS.names() else "A generator fitted to the training rows of every split."


def _facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Return what a reader needs to repeat the comparison, as (name, text)."""
    p = comparison.protocol
    ratios = listed([f"{ratio:g}" for ratio in p.ratios], most=len(p.ratios))
    facts = [
        ("written by", f"augmentor {comparison.augmentor}, {comparison.created}"),
        ("command", comparison.command),
        ("label column", comparison.label),
        ("seed", str(comparison.seed)),
        (
            "features",
            f"{p.genes:,} most variable of {comparison.genes:,} ({comparison.space}), chosen in each training part",
        ),
        ("rows of a split", f"{p.train_rows:.0f} training, {p.test_rows:.0f} test; at most {p.most_rows:,} of each"),
        ("rows per label", "" if p.per_label is None else f"at most {p.per_label} training rows"),
        (
            "labels kept",
            "" if p.labelled is None else f"{p.labelled} training rows of each label; the others lost theirs",
        ),
        ("rows without a label", f"{p.pool_rows:.0f} beside the training rows of a split" if comparison.rivals else ""),
        ("ratios", f"{ratios} synthetic rows per real row, chosen in {p.inner} inner folds"),
        ("synthetic sets", f"{p.seeds} per split, averaged"),
        ("learners", listed(NAMES[kind] for kind in p.learners)),
        (
            "fitted",
            f"at most {p.classifiers:,} classifiers and {p.generators:,} generators in {comparison.seconds:.0f} s",
        ),
        *((name, _listed(value)) for name, value in comparison.environment.items()),
    ]
    return [(name, text) for name, text in facts if text]


def _listed(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)
