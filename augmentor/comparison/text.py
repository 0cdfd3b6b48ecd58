"""A comparison as text for a console and as Markdown."""

from __future__ import annotations

import textwrap

from augmentor.comparison.learners import NAMES
from augmentor.comparison.result import Arm, Baseline, Comparison
from augmentor.comparison.verdict import shown

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
        narrow, wide = _rows(comparison, learner, pooled=False), _rows(comparison, learner, pooled=True)
        rows = [HEAD, *narrow, *wide]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
        # names of models are the only cells without a bound
        widths[0] = min(widths[0], max(8, width - sum(widths[1:]) - len(widths) + 1))
        for i, row in enumerate(rows):
            if wide and i == 1 + len(narrow):
                lines.append(_group(comparison))
            cells = [
                _fit(c, w).rjust(w) if a == ">" else _fit(c, w).ljust(w)
                for c, w, a in zip(row, widths, ALIGN, strict=True)
            ]
            lines.append(" ".join(cells).rstrip()[:width])
        if wide:
            lines += _wrapped(_beyond(comparison, learner), width)
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
        narrow, wide = _rows(comparison, learner, pooled=False), _rows(comparison, learner, pooled=True)
        title = [(_group(comparison), *[""] * (len(HEAD) - 1))] if wide else []
        rows = [*narrow, *title, *wide]
        lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows]
        lines += ["", *([_escaped(_beyond(comparison, learner)), ""] if wide else [])]
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
    if p.labelled is not None:
        capped = f", {p.labelled} training rows per label keep their label"
    grouped = "" if p.group is None else f", {p.group} never divided"
    beside = f" (and {p.pool_rows:.0f} without a label)" if comparison.rivals else ""
    return (
        f"{p.splits} splits ({p.folds} folds x {p.repeats}{grouped}){capped}: {p.train_rows:.0f} training{beside} and "
        f"{p.test_rows:.0f} test rows; {p.seeds} synthetic sets a split, ratios {ratios} chosen in {p.inner} inner folds; "
        f"{p.genes:,} features; seed {comparison.seed}"
    )


def _heading(comparison: Comparison, learner: str) -> str:
    base = comparison.baselines[learner]
    best = ": best on real rows alone, decides" if learner == comparison.verdict.learner else ""
    others = " and rows without a label" if comparison.rivals else ""
    return f"{NAMES[learner]}{best}. Without synthetic rows{others} {_number(base.scores['balanced_accuracy'])} ({_policies(base)})"


def _policies(base: Baseline) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(base.chosen.items(), key=lambda item: (-item[1], item[0])))


def _rows(comparison: Comparison, learner: str, *, pooled: bool) -> list[tuple[str, ...]]:
    arms = [arm for arm in comparison.arms if (arm.learner, arm.pooled) == (learner, pooled)]
    return [_row(arm, comparison.protocol.splits) for arm in arms]


def _group(comparison: Comparison) -> str:
    return f"with {comparison.protocol.pool_rows:,.0f} rows without a label in each split:"


def _beyond(comparison: Comparison, learner: str) -> str:
    """What models add to the best arm that uses rows without a label and makes none: verdicts rest on this."""
    base = comparison.rivals[learner]
    best = f"{', '.join(base.chosen)} {_number(base.scores['balanced_accuracy'])}"
    arms = [arm for arm in comparison.arms if arm.learner == learner and arm.pooled and arm.beyond is not None]
    changes = "; ".join(f"{arm.arm} {shown(arm.beyond)}" for arm in arms if arm.beyond is not None)
    return f"Best without synthetic rows: {best}." + (f" Beyond it: {changes}" if changes else "")


def _row(arm: Arm, splits: int) -> tuple[str, ...]:
    gain = arm.gains.get("balanced_accuracy")
    used = (
        ""
        if arm.kind in ("plain", "oracle", "unlabelled")
        else f"x{arm.ratio:g} {arm.used}/{splits}"
        if arm.used
        else f"0/{splits}"
    )
    word = "LEAK" if arm.leak else SHORT.get(arm.verdict or "", "")
    return (
        arm.arm,
        used,
        _number(arm.scores["balanced_accuracy"]),
        "" if gain is None else shown(gain),
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
    text = (
        "gain: over the best of real_only, class_weight and tuned_threshold, as the inner folds choose it on each split; "
        "interval of Nadeau and Bengio. added: synthetic rows per real row (median where chosen), and the splits in which "
        f"the inner folds chose any. +/=/-: splits better, within ±{comparison.verdict.delta:g}, worse."
    )
    if comparison.rivals:
        text += " Verdicts: of what arms add beyond the best without synthetic rows; "
        text += "for arms with +unlabelled, rows without a label count as real."
    return text


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
