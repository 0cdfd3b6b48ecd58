"""Curves of a training: read from an artifact, told as a table, drawn into one figure; nothing to draw is a sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from augmentor_cli.app import main

from augmentor import Augmentor, curves
from augmentor.core.errors import ConfigError, DataError
from augmentor.core.random import Stream


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cgan of 200 rows, two labels, six features; three epochs."""
    x = Stream(0).numpy().normal(size=(200, 6)) + np.repeat([[0.0], [3.0]], 100, axis=0)
    path = tmp_path_factory.mktemp("curves") / "model.augment"
    model = Augmentor("cgan", seed=0, device="cpu", epochs=3, hidden=8, noise=4)
    model.fit((x, np.repeat(["B", "NK"], 100))).save(path)
    return path


def course(lines: dict[str, list[object]], **outcome: object) -> curves.Course:
    history = [
        {"stage": "vae", "epoch": epoch, **{name: values[epoch - 1] for name, values in lines.items()}}
        for epoch in range(1, 1 + len(next(iter(lines.values()))))
    ]
    ended = {"stage": "vae", "epochs": len(history), "stopped": "all epochs run", **outcome}
    return curves.Course("vae", ended, tuple(curves._lines(history, "vae")))


def test_an_artifact_is_read_stage_by_stage(artifact: Path) -> None:
    (stage,) = curves.courses(artifact)
    assert stage.name == "gan" and stage.title.startswith("stage gan: 3 epochs (all epochs run); epoch ")
    assert {line.name for line in stage.of("term")} == {"critic", "generator", "penalty"}
    assert (
        {line.name for line in stage.of("gradient")}
        == {line.name for line in stage.of("rate")}
        == {"critic", "generator"}
    )
    assert {line.name for line in stage.of("watch_validation")} == {"critic gap", "critic right", "variance ratio"}
    assert all(line.epochs == (1, 2, 3) for line in stage.of("term", "validation"))
    frame = Augmentor.load(artifact).history
    assert frame["epoch"].tolist() == [1, 2, 3] and set(frame["stage"]) == {"gan"}
    assert {"critic", "gradient.critic", "rate.critic", "watch.critic gap", "validation"} <= set(frame.columns)


def test_the_table_gives_first_lowest_and_last() -> None:
    text = curves.text(
        [course({"kl": [3.0, 1.0, 2.0], "gradient.elbo": [5.0, 4.0, 6.0], "watch.gap": [0.5, None, 0.25]})]
    )
    lines = [line.split() for line in text.splitlines()]
    assert text.splitlines()[0] == "stage vae: 3 epochs (all epochs run)"
    assert lines[1] == ["first", "lowest", "epoch", "last"]
    assert ["kl", "3", "1", "2", "2"] in lines
    assert ["gradient", "of", "elbo", "5", "6"] in lines
    assert ["gap", "0.5", "0.25"] in lines


def test_values_that_were_not_finite_are_gaps() -> None:
    (line,) = course({"loss": [None, 2.0, 1.0]}).of("term")
    assert math.isnan(line.values[0]) and line.values[1:] == (2.0, 1.0)
    assert "none" in curves.text([course({"loss": [None, 2.0, 1.0]})])
    curves.draw([course({"loss": [None, None, None]})])


def test_terms_share_a_panel_where_they_share_a_scale() -> None:
    plan = curves._panels(
        course({"critic": [1.4, 1.0, 0.6], "generator": [0.7, 1.1, 1.5], "penalty": [0.10, 0.12, 0.11]})
    )
    assert [sorted(line.name for line in lines) for _, lines in plan] == [["critic", "generator"], ["penalty"]]


def test_a_figure_has_a_panel_for_every_kind_and_a_heat_strip_for_dimensions(artifact: Path) -> None:
    stage = course(
        {
            "reconstruction": [500.0, 480.0, 470.0],
            "validation": [510.0, 490.0, 495.0],
            "gradient.elbo": [30.0, 20.0, 10.0],
            "gradient_largest.elbo": [40.0, 30.0, 20.0],
            "rate.elbo": [0.001, 0.002, 0.001],
            "watch.kl per dimension": [[0.1, 0.9], [0.2, 1.0], [0.0, 1.1]],
        },
        best_epoch=2,
    )
    figure = curves.draw([stage], title="model.augment")
    # a colour bar is an axis without a title
    shown = [axis for axis in figure.get_axes() if axis.get_visible() and axis.get_title(loc="left")]
    assert [axis.get_title(loc="left") for axis in shown] == [
        "loss: reconstruction",
        "validation loss",
        "gradient norm",
        "learning rate",
        "kl per dimension",
    ]
    heat = shown[-1].collections[0].get_array()
    # dimensions from the one that ends highest
    np.testing.assert_allclose(np.asarray(heat), [[0.9, 1.0, 1.1], [0.1, 0.2, 0.0]])
    assert "epoch 2 was kept" in stage.title
    both = curves.draw([stage, *curves.courses(artifact)])
    assert both.get_figheight() > figure.get_figheight()


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_the_same_history_gives_the_same_bytes(form: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        curves.save([course({"loss": [2.0, 1.0]})], tmp_path / f"{name}.{form}")
    content = (tmp_path / f"a.{form}").read_bytes()
    assert content == (tmp_path / f"b.{form}").read_bytes()
    assert {"png": b"PNG", "svg": b"<svg", "pdf": b"%PDF"}[form] in content


def test_a_place_or_an_ending_that_cannot_be_is_refused(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.png, \.svg, \.pdf, not as 'curves\.gif'"):
        curves.save(curves.courses(artifact), "curves.gif")
    with pytest.raises(DataError, match="cannot write"):
        curves.save(curves.courses(artifact), tmp_path / "nowhere" / "curves.png")


def test_the_command_draws_into_curves_png_unless_a_file_is_named(
    artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", str(artifact), "--curves"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("stage gan: 3 epochs") and "curves -> curves.png" in err
    assert (tmp_path / "curves.png").is_file()
    assert main(["inspect", "--curves", "own.svg", str(artifact), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["stages"][0]["name"] == "gan" and (tmp_path / "own.svg").is_file()
    assert main(["inspect", str(artifact), "--curves", "own.gif"]) == 1
    assert ".png, .svg, .pdf" in capsys.readouterr().err


def test_a_model_without_training_has_no_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = Stream(0).numpy().normal(size=(20, 3))
    Augmentor("bootstrap", seed=0).fit((x, np.repeat(["B", "NK"], 10))).save(tmp_path / "model.augment")
    assert main(["inspect", str(tmp_path / "model.augment"), "--curves", str(tmp_path / "curves.png")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "has no curves: bootstrap is fitted in one go" in error
    assert not (tmp_path / "curves.png").exists()


def test_the_card_tells_how_a_model_judged_its_own_rows(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(artifact)]) == 0
    card = capsys.readouterr().out
    assert "its rows judged beside" in card
    assert any(line.strip().startswith("recall B ") and "NK " in line for line in card.splitlines())
