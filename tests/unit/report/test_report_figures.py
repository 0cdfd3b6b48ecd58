"""The pictures: every one is drawn, the same bytes every time, without touching anybody's matplotlib."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from example_report import HOSTILE, LABELS, example
from matplotlib.figure import Figure

from augmentor.core.errors import ConfigError, DataError
from augmentor.evaluation.report import contours, figures, gains, readings, words
from augmentor.evaluation.report.style import PALETTE, inline_svg
from augmentor.evaluation.score import Report

NAMES = (*example(rows=40, genes=20).figures, "contours", "augmentation", "learning_curve", "per_label")


@pytest.fixture(scope="module")
def small() -> Report:
    return example(hostile=True, rows=60, genes=30)


def test_all_pictures_are_available(small: Report) -> None:
    assert set(figures.available(small)) == set(NAMES)
    assert figures.available(small.model_copy(update={"figures": {}, "scores": {}})) == []


@pytest.mark.parametrize("name", NAMES)
def test_is_a_figure_with_words(small: Report, name: str) -> None:
    figure = figures.draw(small, name)
    assert isinstance(figure, Figure)
    assert len(figure.axes) >= len(figures.PANELS.get(name, ("",)))
    reading = readings.read(small, name)
    assert reading.title and reading.alt.endswith(".") and reading.sentence.endswith(".")
    assert not re.search(r"\b(nan|None)\b", reading.sentence)


@pytest.mark.parametrize("name", NAMES)
def test_svg_is_deterministic_and_stands_alone(small: Report, name: str) -> None:
    first, second = (
        inline_svg(figures.draw(small, name), name, title="a <title>", description='a "description"') for _ in range(2)
    )
    assert first == second
    assert first.startswith("<svg ") and first.rstrip().endswith("</svg>")
    assert "a &lt;title&gt;" in first
    assert not re.search(r"https?:|<script|<image[^>]+href=\"(?!data:image/png)", first)
    drawn = re.sub(r"data:image/png;base64,[^\"]*", "", first)
    assert "<img" not in drawn and "<style" not in drawn and "<metadata" not in drawn


def test_files_are_the_same_twice(small: Report, tmp_path: Path) -> None:
    some = ("umap", "contours", "roc")
    data = {name: small.figures[name] for name in ("umap", "roc")}
    small = small.model_copy(update={"figures": data, "scores": {}})
    paths = figures.save_figures(small, tmp_path / "first" / "figures")
    again = figures.save_figures(small, tmp_path / "second")
    assert sorted(path.name for path in paths) == sorted(
        f"{name}.{form}" for name in some for form in ("png", "svg", "pdf")
    )
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert all(path.stat().st_size > 1000 for path in paths)
    assert {path.name for path in (tmp_path / "second").iterdir()} == {path.name for path in paths}


def test_settings_of_the_caller_stay(small: Report) -> None:
    before = dict(matplotlib.rcParams)
    figures.draw(small, "umap")
    inline_svg(figures.draw(small, "roc"), "roc", title="t", description="d")
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_imported() -> None:
    code = "import sys, augmentor.evaluation.report.html; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_map_shows_both_origins_with_their_marks(small: Report) -> None:
    real, synthetic, both = figures.draw(small, "umap").axes
    filled, hollow = real.collections[0], synthetic.collections[0]
    assert len(filled.get_offsets()) == len(hollow.get_offsets()) == 60
    assert len(filled.get_facecolor()) == 60 and len(hollow.get_facecolor()) == 0
    assert real.get_xlim() == synthetic.get_xlim() == both.get_xlim()
    assert {text.get_text()[:8] for text in real.texts} >= {LABELS[0][:8], HOSTILE[0][:8]}


def test_outlines_are_drawn_of_labels_with_rows_enough() -> None:
    report = example(rows=120)
    data = report.figures["umap"]
    counts = {
        (label, origin): sum(pair == (label, origin) for pair in zip(data["label"], data["origin"], strict=True))
        for label in LABELS
        for origin in ("real", "synthetic")
    }
    enough = {
        label
        for label in LABELS
        if min(counts[label, origin] for origin in ("real", "synthetic")) >= contours.LEAST_ROWS
    }
    assert 0 < len(enough) < len(LABELS)  # the example has both kinds
    figure = figures.draw(report, "contours")
    drawn = {axis.get_title(loc="left").split("  ")[0]: axis for axis in figure.axes if axis.get_visible()}
    assert set(drawn) == enough == set(contours.outlined(data))
    for axis in drawn.values():
        assert len(axis.collections) >= 3  # rows of other labels, real outlines, synthetic outlines
        assert any("--" in str(item.get_linestyle()) or item.get_linestyle()[0][1] for item in axis.collections[-1:])


def test_equal_clouds_have_equal_outlines() -> None:
    """Rows that are the same in both origins give the same density, so that one outline lies on the other."""
    report = example(labels=("a", "b"), rows=200)
    data = dict(report.figures["umap"])
    half = len(data["x"]) // 2
    for key in ("x", "y", "label"):
        data[key] = data[key][:half] * 2
    axis = figures.draw(report.model_copy(update={"figures": {"umap": data}}), "contours").axes[0]
    real, synthetic = axis.collections[-2:]
    for first, second in zip(real.get_paths(), synthetic.get_paths(), strict=True):
        np.testing.assert_allclose(first.vertices, second.vertices)


def test_gains_are_those_of_the_score() -> None:
    report = example()
    data = gains.gains(report)
    assert data is not None and data["learner"] == ["lr", "rf"]
    assert data["gain"] == [0.005, 0.004]
    assert data["low"] == pytest.approx([-0.045, 0.004 - 1.96 * 0.026])
    assert "logistic regression: +0.005 [-0.045, +0.055]" in readings.read(report, "augmentation").sentence
    skipped = report["augmentation_gain"].model_copy(update={"value": None, "skipped": "time budget"})
    report = report.model_copy(update={"scores": {"augmentation_gain": skipped}})
    assert gains.gains(report) is None and "augmentation" not in figures.available(report)


def test_learning_curve_says_what_the_rows_are_worth() -> None:
    report = example(rows=40, genes=20)
    data = gains.curve(report)
    assert data is not None
    assert data["fitted"] == pytest.approx([0.9 - 2.2 * n**-0.6 for n in (25, 50, 100, 200, 400)])
    assert data["augmented"] == pytest.approx(0.86)
    assert data["high"][0] - data["score"][0] == pytest.approx(1.96 * 0.04 / 10**0.5)
    assert data["high"][-1] == data["score"][-1]  # all rows can be drawn in one way only
    assert "worth +37.0 real rows [+12.0, +80.0]" in readings.read(report, "learning_curve").sentence
    beyond = report["learning_curve.worth"].model_copy(
        update={"value": None, "skipped": "better than all 400 real rows"}
    )
    report = report.model_copy(update={"scores": {"learning_curve.worth": beyond}})
    assert (
        "cannot be read on the curve (better than all 400 real rows)"
        in readings.read(report, "learning_curve").sentence
    )
    assert len(figures.draw(report, "learning_curve").axes[0].get_lines()) == 2


def test_every_picture_has_an_axis_or_is_about_labels() -> None:
    assert set(figures.AXIS) == set(NAMES) - {"per_label"}
    assert set(figures.AXIS.values()) == set(words.AXES)


def test_palette_is_distinct() -> None:
    assert len(set(PALETTE)) == 8


def test_holes_in_the_data_are_drawn_around() -> None:
    report = example(rows=40, genes=20)
    data = {name: dict(item) for name, item in report.figures.items()}
    data["moments"] |= {"sd_synthetic": [None, *data["moments"]["sd_synthetic"][1:]], "mean_ceiling": None}
    data["roc"] = {"fpr": [0, 0.5, 1], "tpr": [0, 0.8, 1], "auc": None}
    data["fold_change"] |= {"label": "B cells", "ceiling_slope": None}
    data["nearest"].pop("synthetic_holdout")
    data["prdc"] |= {"floor": [None] * 4, "ceiling": None}
    data["correlation"]["synthetic"] = np.full_like(np.asarray(data["correlation"]["real"]), np.nan).tolist()
    report = report.model_copy(update={"figures": data})
    for name in data:
        inline_svg(figures.draw(report, name), name, title="t", description="d")
        assert "nan" not in readings.read(report, name).sentence


def test_unknown_names_are_refused(small: Report, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'umpa' is not a picture of this report\. Did you mean 'umap'"):
        figures.draw(small, "umpa")
    with pytest.raises(ConfigError, match="'gif' is not known"):
        figures.save_figures(small, tmp_path, ("png", "gif"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be made"):
        figures.save_figures(small, tmp_path / "file")
