"""An interrupted run, continued, ends with the same bytes as one that was never interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toys
from numpy.testing import assert_array_equal
from safetensors.torch import load_file, save_file
from toys import Toy, rows

from augmentor.core.errors import ArtifactError, ConfigError, Interrupted
from augmentor.core.random import Stream
from augmentor.training import loop
from augmentor.training.loop import Run, Summary, train


def trained(recipe: Any, **run: Any) -> tuple[Toy, Summary]:
    encoded = rows()
    toy = Toy(encoded.layout, recipe)
    return toy, train(toy, encoded, Stream(0).child("fit"), Run(device="cpu", identity="mine", **run))


def after(calls: int) -> Callable[[], bool]:
    """A stop that is asked ``calls`` times in vain."""
    left = [calls]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop


@pytest.mark.parametrize(
    ("recipe", "calls"),
    [
        *((toys.plain, calls) for calls in (0, 3, 11, 23)),
        *((toys.judged, calls) for calls in (0, 11, 29)),
        *((toys.two_stages, calls) for calls in (0, 11, 17, 18, 23)),
        *((toys.two_phases, calls) for calls in (0, 5, 11)),
    ],
)
def test_resumed_is_uninterrupted(recipe: Any, calls: int, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    whole, expected = trained(recipe)
    with pytest.raises(Interrupted, match="--resume"):
        trained(recipe, checkpoint=folder, stop=after(calls))
    assert (folder / "checkpoint.json").is_file()
    again, summary = trained(recipe, checkpoint=folder, resume=True)
    for name, array in whole.state().items():
        assert_array_equal(array, again.state()[name], err_msg=name)
    assert summary.stages == expected.stages
    assert again.finished == whole.finished
    assert summary.history == expected.history
    assert not folder.exists(), "a finished run leaves no checkpoint"


def test_interrupted_twice(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    whole, _ = trained(toys.two_stages)
    for resume in (False, True):
        with pytest.raises(Interrupted):
            trained(toys.two_stages, checkpoint=folder, resume=resume, stop=after(12))
    again, _ = trained(toys.two_stages, checkpoint=folder, resume=True)
    assert_array_equal(whole.state()["second.weight"], again.state()["second.weight"])


def test_checkpoints_are_written_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that dies loses at most half a minute; here every epoch is saved."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    seen: list[int] = []

    def listener(progress: Any) -> None:
        file = tmp_path / "run" / "checkpoint.json"
        if file.is_file():
            seen.append(json.loads(file.read_text())["epoch"])

    trained(toys.plain, checkpoint=tmp_path / "run", listener=listener)
    assert seen == [1, 2, 3, 4, 5]
    assert not list(tmp_path.iterdir())


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A folder with a checkpoint."""
    with pytest.raises(Interrupted):
        trained(toys.judged, checkpoint=tmp_path / "run", stop=after(12))
    return tmp_path / "run"


def test_a_checkpoint_of_other_data_or_settings_is_refused(interrupted: Path) -> None:
    encoded = rows()
    with pytest.raises(ConfigError, match="belongs to other data, settings or seed"):
        run = Run(device="cpu", identity="yours", checkpoint=interrupted, resume=True)
        train(Toy(encoded.layout, toys.judged), encoded, Stream(0), run)


def test_no_checkpoint_to_resume_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no checkpoint in .*nowhere to resume from; run without --resume"):
        trained(toys.plain, checkpoint=tmp_path / "nowhere", resume=True)


@pytest.mark.parametrize("file", ["checkpoint.json", "tensors.safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_a_damaged_checkpoint_is_refused(interrupted: Path, file: str, damage: str) -> None:
    content = (interrupted / file).read_bytes()
    broken = {"truncated": content[: len(content) // 2], "garbage": b"\xff" * 100, "empty": b""}[damage]
    (interrupted / file).write_bytes(broken)
    with pytest.raises(ArtifactError, match=r"the checkpoint in .* is damaged .*run without --resume"):
        trained(toys.judged, checkpoint=interrupted, resume=True)


def test_missing_tensors_are_refused(interrupted: Path) -> None:
    (interrupted / "tensors.safetensors").unlink()
    with pytest.raises(ArtifactError, match="is damaged"):
        trained(toys.judged, checkpoint=interrupted, resume=True)


def test_tensors_that_do_not_fit_are_refused(interrupted: Path) -> None:
    file = interrupted / "tensors.safetensors"
    tensors = load_file(file)
    for wrong in (
        {name: t for name, t in tensors.items() if name != "module:weight"},
        {**tensors, "module:weight": tensors["module:weight"][:-1]},
        {name: t for name, t in tensors.items() if not name.startswith("optimiser0:0.exp_avg")},
    ):
        save_file(wrong, file)
        with pytest.raises(ArtifactError, match="is damaged"):
            trained(toys.judged, checkpoint=interrupted, resume=True)


@pytest.mark.parametrize("change", ["no identity", "no epoch", "a list"])
def test_altered_json_is_refused(interrupted: Path, change: str) -> None:
    file = interrupted / "checkpoint.json"
    meta = json.loads(file.read_text())
    if change == "a list":
        meta = [meta]
    else:
        del meta[change.removeprefix("no ")]
    file.write_text(json.dumps(meta))
    with pytest.raises(ArtifactError, match="is damaged"):
        trained(toys.judged, checkpoint=interrupted, resume=True)
