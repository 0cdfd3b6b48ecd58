"""A comparison as text for a console and as Markdown."""

from __future__ import annotations

import textwrap

from augmentor.comparison.learners import NAMES
from augmentor.comparison.result import Arm, Comparison, Gain
from augmentor.comparison.verdict import signed

HEAD = ("arm", "added", "bal.acc", "gain [95 % interval]", "F1", "AUROC", "AUPRC", "Brier", "+/=/-", "verdict")
ALIGN = "<>><>>>>><"
SHORT = {"augment": "augment", "do not augment": "do not", "not enough evidence": "open"}
MOST_LABELS = 12


def render(comparison: Comparison, width: int = 100) -> str:
    """Return text of at most ``width`` columns, the answer first."""
    lines = _wrapped(_answer(comparison), width)
    if comparison.curve is not None:
        lines += _wrapped(comparison.curve.sentence, width)
    lines += ["", *_wrapped(_data(comparison), width), *_wrapped(_made(comparison), width)]
    for learner in comparison.protocol.learners:
        lines += ["", *_wrapped(_heading(comparison, learner), width)]
        rows = [HEAD, *_rows(comparison, learner)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
        # names of models are the only cells without a bound
        widths[0] = min(widths[0], max(8, width - sum(widths[1:]) - len(widths) + 1))
        for row in rows:
            cells = [
                _fit(c, w).rjust(w) if a == ">" else _fit(c, w).ljust(w)
                for c, w, a in zip(row, widths, ALIGN, strict=True)
            ]
            lines.append(" ".join(cells).rstrip()[:width])
    if comparison.curve is not None:
        lines += ["", *_wrapped(_curve(comparison), width)]
    lines += ["", *_wrapped(_legend(comparison), width)]
    for warning in comparison.warnings:
        lines += _wrapped(f"! {warning}", width)
    return "\n".join(lines)


def markdown(comparison: Comparison) -> str:
    """Return the same as Markdown."""
    lines = [
        f"## {_escaped(comparison.name)}: {comparison.verdict.verdict}",
        "",
        _escaped(comparison.verdict.sentence),
        "",
    ]
    if comparison.curve is not None:
        lines += [_escaped(comparison.curve.sentence), ""]
    lines += [_escaped(_data(comparison)), "", _escaped(_made(comparison)), ""]
    for learner in comparison.protocol.learners:
        lines += [f"**{_escaped(_heading(comparison, learner))}**", ""]
        lines += ["| " + " | ".join(HEAD) + " |", "|" + "|".join("--:" if a == ">" else ":--" for a in ALIGN) + "|"]
        lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in _rows(comparison, learner)]
        lines.append("")
    if comparison.curve is not None:
        lines += [_escaped(_curve(comparison)), ""]
    lines += [_escaped(_legend(comparison)), *(f"\n- ! {_escaped(text)}" for text in comparison.warnings)]
    return "\n".join(lines) + "\n"


def _answer(comparison: Comparison) -> str:
    """The sentence, the words that are the answer in capitals."""
    word, sentence = comparison.verdict.verdict, comparison.verdict.sentence
    return word.upper() + sentence[len(word) :]


def _data(comparison: Comparison) -> str:
    ranked = sorted(comparison.labels.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {n:,}" for name, n in ranked[:MOST_LABELS])
    more = f" and {len(ranked) - MOST_LABELS} more" if len(ranked) > MOST_LABELS else ""
    what = f"{comparison.name}: {comparison.rows:,} rows x {comparison.genes:,} features ({comparison.space}), "
    return f"{what}{len(ranked)} labels of {comparison.label} ({shown}{more})"


def _made(comparison: Comparison) -> str:
    p = comparison.protocol
    ratios = ", ".join(f"{ratio:g}" for ratio in p.ratios)
    capped = "" if p.per_label is None else f", at most {p.per_label} training rows per label"
    grouped = "" if p.group is None else f", {p.group} never divided"
    return (
        f"{p.splits} splits ({p.folds} folds x {p.repeats}{grouped}){capped}: {p.train_rows:.0f} training and "
        f"{p.test_rows:.0f} test rows; {p.seeds} synthetic sets a split, ratios {ratios} chosen in {p.inner} inner folds; "
        f"{p.genes:,} features; seed {comparison.seed}"
    )


def _heading(comparison: Comparison, learner: str) -> str:
    base = comparison.baselines[learner]
    best = ": best on real rows alone, decides" if learner == comparison.verdict.learner else ""
    chosen = ", ".join(f"{name} {n}" for name, n in sorted(base.chosen.items(), key=lambda item: (-item[1], item[0])))
    return f"{NAMES[learner]}{best}. Without synthetic rows {_number(base.scores['balanced_accuracy'])} ({chosen})"


def _rows(comparison: Comparison, learner: str) -> list[tuple[str, ...]]:
    return [_row(arm, comparison.protocol.splits) for arm in comparison.arms if arm.learner == learner]


def _row(arm: Arm, splits: int) -> tuple[str, ...]:
    gain = arm.gains.get("balanced_accuracy")
    used = (
        "" if arm.kind in ("plain", "oracle") else f"x{arm.ratio:g} {arm.used}/{splits}" if arm.used else f"0/{splits}"
    )
    word = "LEAK" if arm.leak else SHORT.get(arm.verdict or "", "")
    return (
        arm.arm,
        used,
        _number(arm.scores["balanced_accuracy"]),
        "" if gain is None else _gain(gain),
        *(_number(arm.scores[name]) for name in ("macro_f1", "auroc", "auprc", "brier")),
        "" if gain is None else f"{gain.wins}/{gain.ties}/{gain.losses}",
        word,
    )


def _curve(comparison: Comparison) -> str:
    curve = comparison.curve
    assert curve is not None
    points = ", ".join(f"{point.rows:.0f}: {point.score:.3f}" for point in curve.points)
    return f"Real rows per label and balanced accuracy ({NAMES[curve.learner]}): {points}"


def _legend(comparison: Comparison) -> str:
    return (
        "gain: over the best of real_only, class_weight and tuned_threshold, as the inner folds choose it on each split; "
        "interval of Nadeau and Bengio. added: synthetic rows per real row (median where chosen), and the splits in which "
        f"the inner folds chose any. +/=/-: splits better, within ±{comparison.verdict.delta:g}, worse."
    )


def _gain(gain: Gain) -> str:
    if gain.mean is None:
        return "-"
    if gain.low is None or gain.high is None:
        return signed(gain.mean)[0]
    mean, low, high = signed(gain.mean, gain.low, gain.high)
    return f"{mean} [{low}, {high}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width, subsequent_indent="  ") or [""]


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _escaped(text: str) -> str:
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    for char in "\\`*_[]|":
        text = text.replace(char, f"\\{char}")
    return text
