"""The console table: its size, its order, and labels that try to be something else."""

from __future__ import annotations

import pytest
from example_report import LABELS, example
from rich.cells import cell_len
from rich.console import Console

from augmentor.evaluation.report.console import LINES, render, renderable
from augmentor.evaluation.score import Failed, Score, Verdict, Warned


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("hostile", [False, True])
def test_fits_the_screen(width: int, hostile: bool) -> None:
    lines = render(example(hostile=hostile), width).split("\n")
    assert len(lines) <= LINES
    assert max(cell_len(line) for line in lines) <= width


def test_stays_within_forty_lines_when_everything_goes_wrong() -> None:
    report = example(labels=tuple(f"subcluster number {i}" for i in range(60)))
    warnings = tuple(
        Warned(code=f"w{i}", text="something weakens this evaluation, and here is why " * 8) for i in range(30)
    )
    failed = tuple(Failed(metric=f"m{i}", error="it broke " * 40) for i in range(30))
    wordy = {axis: Verdict(verdict=item.verdict, sentence="and so on " * 80) for axis, item in report.verdicts.items()}
    spec = report["discriminator.rf_pcs"].spec
    scores = {
        f"a.very_long_score_name_{i}": spec.model_copy(update={"name": f"a.very_long_score_name_{i}"})
        for i in range(60)
    }
    many = {
        name: Score(spec=item, value=1 / 3, flags=("uninformative_here", "sharpened?")) for name, item in scores.items()
    }
    report = report.model_copy(
        update={"warnings": warnings, "failed": failed, "verdicts": wordy, "scores": {**report.scores, **many}}
    )
    lines = render(report).split("\n")
    assert len(lines) <= LINES
    assert any(line.startswith("… and ") for line in lines)


def test_verdicts_precede_the_scores_and_name_their_reason() -> None:
    text = render(example())
    order = [
        text.index(word) for word in ("FIDELITY", "BIOLOGY", "UTILITY", "PRIVACY", "AUGMENTATION", "95 % interval")
    ]
    assert order == sorted(order)
    assert "! FIDELITY     distinguishable: A random forest tells" in text
    assert "… and 13 more in report.html" in text
    assert "hubness failed" in text


def test_a_score_stands_beside_its_references() -> None:
    (line,) = (line for line in render(example()).split("\n") if line.startswith("discriminator.rf_genes"))
    assert line.split()[:9] == [
        "discriminator.rf_genes",
        "→",
        "0.5",
        "0.710",
        "[0.686,",
        "0.734]",
        "0.490",
        "0.900",
        "I",
    ]
    assert any(label.split()[0] in line for label in LABELS)


def test_a_clear_no_to_augmentation_comes_first() -> None:
    report = example()
    no = {"augmentation": Verdict(verdict="do not augment", sentence="A useful gain is excluded.")}
    text = render(report.model_copy(update={"verdicts": {**report.verdicts, **no}}))
    assert text.index("AUGMENTATION") < text.index("FIDELITY")


def test_no_holdout_is_the_first_line() -> None:
    text = "No held-out rows: copies of the training rows would look perfect."
    report = example().model_copy(update={"warnings": (Warned(code="no_holdout", text=text),)})
    assert render(report).split("\n")[0] == f"! {text}"


def test_labels_are_text_on_a_terminal() -> None:
    report = example(hostile=True)
    console = Console(width=100, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(renderable(report))
    assert "\x1b[31m" not in captured.get()
    assert all("\x1b" not in line and "\r" not in line for line in render(report).split("\n"))
