"""METRICS.md section 3 for the detectors: the table of test_controls.py for the scores that cost most.

Each control is measured on both folds and compared with four draws of training rows, without the intervals of a report. Two
samples of 100 rows per label that do not differ have an AUC with a standard deviation of sqrt((m + n + 1)/(12 m n)) = .02
(Hanley & McNeil); the average over two folds that share S has at most that.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from factor_rows import LABELS, controls, dataset, simulate

from augmentor.core.dataset import Dataset
from augmentor.evaluation.context import Frame
from augmentor.evaluation.metrics import discriminator
from augmentor.evaluation.rows import align

ROWS, N_MAX = 800, 400
SD = 0.0205
# of one label there are 50 rows against 50
LABEL_SD = 0.058
PARTS = ("rf_genes", "rf_pcs", "lr_genes", "lr_pcs")
Found = dict[str, tuple[float, dict[str, float]]]


class Detectors:
    """AUCs of every control, measured once."""

    def __init__(self) -> None:
        self.rows = {name: simulate(ROWS, seed) for name, seed in (("train", 1), ("holdout", 2), ("fresh", 3))}
        self.sets = {name: dataset(*rows) for name, rows in self.rows.items()}
        self._found: dict[str, Found] = {}

    def frame(self, synthetic: Dataset, n_max: int = N_MAX) -> Frame:
        return Frame(align(synthetic, self.sets["train"], self.sets["holdout"]), seed=0, n_max=n_max)

    def found(self, control: str) -> Found:
        if control not in self._found:
            if control == "ceiling":
                frame = self.frame(self.sets["fresh"])
                pairs = [frame.pair("matched", "ceiling", draw % 2, draw) for draw in range(4)]
            else:
                made = controls(self.rows["train"], self.rows["fresh"])[control]()
                frame = self.frame(dataset(*made))
                pairs = [frame.pair("matched", "synthetic", fold) for fold in (0, 1)]
            measures = [discriminator.Metric().measure(pair) for pair in pairs]
            self._found[control] = {}
            for part in PARTS:
                scores = [measure[f"discriminator.{part}"] for measure in measures]
                assert all(score.value is not None for score in scores)
                # detectors within a label are trained on the first fold only
                per_label = {label: value for label, value in scores[0].per_label.items() if value is not None}
                self._found[control][part] = float(np.mean([score.value for score in scores])), per_label  # type: ignore[arg-type]
        return self._found[control]


@pytest.fixture(scope="module")
def detectors() -> Iterator[Detectors]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discriminator, "TREES", 30)
        yield Detectors()


CATCH = {
    "independent": {"rf_genes": 0.6, "rf_pcs": 0.75},
    "denoised": {"rf_genes": 0.95, "rf_pcs": 0.7},
    "decoder": {"rf_genes": 0.95, "rf_pcs": 0.95},
    "shrunk": {"rf_genes": 0.95, "rf_pcs": 0.9},
    "flat": {"rf_genes": 0.7},
    "halved": {"rf_genes": 0.6},
}
SILENT = {
    "fresh": PARTS,
    # fidelity cannot see copying
    "identity": PARTS,
    # repeats are kept in one fold: .65 without, on PBMC
    "bootstrap": PARTS,
    "noisy": PARTS,
    "lost": PARTS,
    "ceiling": PARTS,
}
# Linear detectors do not see lost dependence; pooled ones hardly see half of one label.
BLIND = {
    "independent": {"lr_genes": 0.08, "lr_pcs": 0.1},
    "half": {"rf_genes": 0.1, "rf_pcs": 0.12, "lr_genes": 0.1},
    # The pooled detector is not told the label, so rows under wrong labels look like rows; those within labels see them.
    "permuted": dict.fromkeys(PARTS, 3 * SD),
    "swapped": dict.fromkeys(PARTS, 3 * SD),
}


def _cells(kind: str, table: dict[str, dict[str, float]]) -> list[object]:
    return [
        pytest.param(control, part, number, id=f"{control}-discriminator.{part}-{kind}")
        for control, parts in table.items()
        for part, number in parts.items()
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("control", "part", "least"), _cells("catch", CATCH))
def test_detector_catches(detectors: Detectors, control: str, part: str, least: float) -> None:
    assert detectors.found(control)[part][0] > least > 0.5 + 3 * SD


@pytest.mark.slow
@pytest.mark.parametrize(
    ("control", "part", "tolerance"),
    [
        *_cells("silent", {control: dict.fromkeys(parts, 3 * SD) for control, parts in SILENT.items()}),
        *_cells("blind", BLIND),
    ],
)
def test_detector_is_silent(detectors: Detectors, control: str, part: str, tolerance: float) -> None:
    assert detectors.found(control)[part][0] == pytest.approx(0.5, abs=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["rf_genes", "rf_pcs"])
def test_half_of_a_label_is_seen_in_that_label(detectors: Detectors, part: str) -> None:
    per_label = detectors.found("half")[part][1]
    fresh = detectors.found("fresh")[part][1]
    assert per_label["A"] > max(0.6, *(per_label[label] + 0.05 for label in LABELS[1:]))
    assert all(abs(value - 0.5) < 3 * LABEL_SD for value in fresh.values())
    assert all(abs(per_label[label] - 0.5) < 3 * LABEL_SD for label in LABELS[1:])


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_wrong_labels_are_seen_within_labels(detectors: Detectors, part: str) -> None:
    permuted, swapped = (detectors.found(control)[part][1] for control in ("permuted", "swapped"))
    assert all(value > 0.5 + 3 * LABEL_SD for value in permuted.values())
    assert min(swapped["A"], swapped["B"]) > max(0.5 + 3 * LABEL_SD, swapped["C"], swapped["D"])


@pytest.mark.slow
def test_ungrouped_repeats_would_be_told_apart(detectors: Detectors) -> None:
    """What bootstrap-silent rests on: the same rows, but with their repeats spread over the folds."""
    made = controls(detectors.rows["train"], detectors.rows["fresh"])["bootstrap"]()
    pair = detectors.frame(dataset(*made)).pair("matched", "synthetic", 0)
    task = discriminator._Task(pair)
    task.groups = np.arange(len(task.target))
    ungrouped = task.run("rf", task.pcs).value
    assert ungrouped is not None and ungrouped > detectors.found("bootstrap")["rf_pcs"][0] + 0.05


@pytest.mark.slow
def test_class_means_are_told_apart_or_have_no_number(detectors: Detectors) -> None:
    """One row per label, repeated, stays in one fold: where that leaves no fold with both kinds, no number is made up."""
    made = controls(detectors.rows["train"], detectors.rows["fresh"])["means"]()
    found = discriminator.Metric().measure(detectors.frame(dataset(*made)).pair("matched", "synthetic", 0))
    for part in ("rf_genes", "rf_pcs"):
        score = found[f"discriminator.{part}"]
        assert score.value > 0.9 if score.value is not None else score.reason
