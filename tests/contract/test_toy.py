"""A new model and a new metric are one file each: those of the docs are dropped into a copy of the package and must work.

The examples are taken from ``docs/`` as they stand, so the pages cannot rot. Everything runs in processes of their own,
because the registries of this one know nothing of the copy.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIST = """
from augmentor.core.registry import METRICS, MODELS
print(MODELS.summary("toy")); print(METRICS.summary("toy"))
"""
JUDGE = """
import json, augmentor_data
from augmentor import Augmentor, evaluate
path = augmentor_data.path("pbmc3k")
model = Augmentor("toy", seed=1).fit(path, label="celltype", genes=100)
report = evaluate(model.sample(1000), real=path, artifact=model, label="celltype", metrics=["toy"])
score = report["toy.expressed"]
print(json.dumps([score.value, score.ceiling.mean, score.floors["means"], score.interval.low, score.interval.high]))
"""
IMPURE = ("u = rng.numpy()", "self.calls = getattr(self, 'calls', 0) + 1; u = rng.child(self.calls).numpy()")
WRONG_LABELS = ("self.rows.segment(given.condition)", "self.rows.segment(given.condition * 0)")


def example(page: str) -> str:
    """The one Python block of a page of the docs."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1, f"{page} should hold one whole file, but has {len(blocks)} Python blocks"
    return str(blocks[0])


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the two files added; no other edit."""
    folder = tmp_path_factory.mktemp("toy")
    skip = shutil.ignore_patterns("__pycache__")
    for source, name in (("augmentor", "augmentor"), ("cli", "augmentor_cli"), ("data", "augmentor_data")):
        shutil.copytree(ROOT / source, folder / name, ignore=skip)
    (folder / "tests").mkdir()
    shutil.copytree(ROOT / "tests" / "contract", folder / "tests" / "contract", ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "augmentor" / "models" / "toy.py").write_text(example("adding-a-model.md"), encoding="utf-8")
    (folder / "augmentor" / "evaluation" / "metrics" / "toy.py").write_text(
        example("adding-a-metric.md"), encoding="utf-8"
    )
    return folder


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the copy."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def battery(
    folder: Path, file: str = "test_models.py", checks: tuple[str, ...] = ("toy",)
) -> subprocess.CompletedProcess[str]:
    """Run the checks of the toy, or some of them."""
    which = f"toy and ({' or '.join(checks)})"
    return python(folder, "-m", "pytest", f"tests/contract/{file}", "-k", which, "-q", "-p", "no:cacheprovider")


def test_both_are_listed(copy: Path) -> None:
    listed = python(copy, "-c", LIST)
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.splitlines() == [
        "Toy: every feature of a row comes from a training row of its label of its own, so features are independent.",
        "Toy: how many features are not zero in a row, synthetic against real.",
    ]


@pytest.mark.parametrize("command", ["models", "metrics"])
def test_the_command_line_lists_it(copy: Path, command: str) -> None:
    listed = python(copy, "-c", "from augmentor_cli.app import main; main()", command)
    assert listed.returncode == 0, listed.stderr
    assert re.search(r"\btoy\b", listed.stdout), listed.stdout


def test_the_toy_model_passes_the_battery(copy: Path) -> None:
    result = battery(copy)
    assert result.returncode == 0, result.stdout[-3000:]
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None
    assert int(passed[1]) > 60


@pytest.mark.parametrize(
    ("fault", "caught"),
    [
        (IMPURE, ("test_same_seed_same_rows_other_seed_other_rows", "test_drawing_is_pure")),
        (WRONG_LABELS, ("test_rows_obey_their_label", "test_learns_class_means")),
    ],
    ids=["impure", "wrong-labels"],
)
def test_a_broken_toy_fails_it(copy: Path, tmp_path: Path, fault: tuple[str, str], caught: tuple[str, ...]) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(copy, folder)
    file = folder / "augmentor" / "models" / "toy.py"
    assert fault[0] in file.read_text(encoding="utf-8")
    file.write_text(file.read_text(encoding="utf-8").replace(*fault), encoding="utf-8")
    result = battery(folder, checks=caught)
    assert result.returncode == 1
    for check in caught:
        assert f"FAILED tests/contract/test_models.py::{check}[toy-counts]" in result.stdout, result.stdout[-3000:]


def test_the_toy_metric_passes_its_battery(copy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "alone"  # the axioms evaluate every metric there is several times; alone, that is quick
    shutil.copytree(copy, folder)
    tests = folder / "tests" / "contract" / "test_metrics.py"
    # the battery makes the detectors' forests small; here there are none
    tests.write_text(
        re.sub(r"^.*\bdiscriminator\b.*\n", "", tests.read_text(encoding="utf-8"), flags=re.MULTILINE), "utf-8"
    )
    for file in (folder / "augmentor" / "evaluation" / "metrics").glob("*.py"):
        if file.stem not in ("__init__", "toy"):
            file.unlink()
    result = battery(folder, "test_metrics.py")
    assert result.returncode == 0, result.stdout[-3000:]
    assert int(re.findall(r"(\d+) passed", result.stdout)[0]) >= 3


def test_evaluate_reports_the_toy_metric(copy: Path) -> None:
    judged = python(copy, "-c", JUDGE)
    assert judged.returncode == 0, judged.stderr
    value, ceiling, floor, low, high = json.loads(judged.stdout.splitlines()[-1])
    assert low <= value <= high
    assert ceiling < floor
    assert value < floor
