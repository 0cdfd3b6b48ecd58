"""The import table and the bans of the architecture, held by reading every file.

Rooms import ``core`` and what stands below them, never sideways or up. Models do not know that they are trained, saved or
judged; evaluation has never heard of a model; command line, adapters and benchmarks see only the public face.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from sources import ROOT, Source, calls, sources

PUBLIC = (
    "augmentor",
    "augmentor.api",
    "augmentor.judging",
    "augmentor.curves",
    "augmentor.criterion",
    "augmentor.io",
    "augmentor.core",
    "augmentor.evaluation.score",
    "augmentor.artifact",
)
ANY = ("augmentor",)

# room -> prefixes of our modules that it may import, besides its own
TABLE: dict[str, tuple[str, ...]] = {
    "augmentor.core": (),
    "augmentor.io": ("augmentor.core",),
    "augmentor.preprocess": ("augmentor.core",),
    "augmentor.parts": ("augmentor.core",),
    "augmentor.nn": ("augmentor.core",),
    "augmentor.artifact": ("augmentor.core",),
    "augmentor.evaluation": ("augmentor.core",),
    "augmentor.training": ("augmentor.core", "augmentor.nn"),
    "augmentor.models": ("augmentor.core", "augmentor.nn"),
    # models and training: training is imported inside `fit`, models only by registry name
    "augmentor.splitting": ("augmentor.core",),
    "augmentor.fitted": ("augmentor.core", "augmentor.preprocess", "augmentor.parts", "augmentor.artifact"),
    "augmentor.unlabelled": ("augmentor.core", "augmentor.preprocess", "augmentor.parts"),
    # rows, before any model is chosen
    "augmentor.preparing": (
        *("augmentor.core", "augmentor.preprocess", "augmentor.artifact"),
        *("augmentor.fitted", "augmentor.splitting", "augmentor.unlabelled", "augmentor.reference"),
    ),
    "augmentor.fitting": (
        *("augmentor.core", "augmentor.preprocess", "augmentor.parts", "augmentor.artifact", "augmentor.training"),
        *("augmentor.fitted", "augmentor.splitting", "augmentor.preparing", "augmentor.__version__"),
    ),
    # rows of elsewhere become rows of here, and join as rows without a label do
    "augmentor.reference": ("augmentor.core", "augmentor.parts", "augmentor.unlabelled"),
    "augmentor.sampling": ("augmentor.core", "augmentor.preprocess", "augmentor.fitted"),
    "augmentor.balancing": ("augmentor.core", "augmentor.fitted", "augmentor.sampling"),
    # what else a fitted model says of a user's rows, and the rows between two labels
    "augmentor.latent": ("augmentor.core", "augmentor.fitted"),
    "augmentor.between": ("augmentor.core", "augmentor.parts", "augmentor.fitted", "augmentor.latent"),
    # the forms in which users have rows
    "augmentor.forms": ("augmentor.core", "augmentor.io", "augmentor.preprocess", "augmentor.latent"),
    # models are fitted as `fit` fits them, and judged by classifiers of its own; nothing of the public face
    "augmentor.comparison": (
        *("augmentor.core", "augmentor.io", "augmentor.preprocess", "augmentor.evaluation"),
        *(
            "augmentor.preparing",
            "augmentor.fitting",
            "augmentor.sampling",
            "augmentor.unlabelled",
            "augmentor.__version__",
        ),
    ),
    # the log of an artifact, drawn in the look of a report
    "augmentor.curves": ("augmentor.core", "augmentor.artifact", "augmentor.evaluation"),
    # what `auto` chooses by, and benchmarks judge its choice by
    "augmentor.criterion": ("augmentor.core", "augmentor.preprocess", "augmentor.evaluation"),
    "augmentor.selection": ANY,
    "augmentor.api": ANY,
    "augmentor.judging": ANY,
    "augmentor.adapters": PUBLIC,
    "augmentor.scale": PUBLIC,
    "augmentor_cli": PUBLIC,
    "benchmarks": PUBLIC,
}
ARTIFACT_PUBLIC = {"augmentor.artifact", "augmentor.artifact.read_manifest", "augmentor.artifact.Manifest"}

OURS = sources("augmentor", "cli", "benchmarks")
INSIDE = [source for source in OURS if source.module.startswith("augmentor.") or source.module == "augmentor"]
ids = {"ids": lambda source: source.module}


def room(module: str) -> str:
    """The row of the table that a module belongs to."""
    return next((name for name in TABLE if module == name or module.startswith(f"{name}.")), "")


def ours(module: str) -> bool:
    return module.split(".")[0] in ("augmentor", "augmentor_cli", "augmentor_data", "benchmarks")


def below(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(f"{prefix}.")


def allowed(source: Source, module: str) -> bool:
    """Whether the table lets a file import one of our modules."""
    own = room(source.module)
    if below(module, own) or (
        module == "augmentor" and own in ("augmentor.fitting", "augmentor.preparing", "augmentor.comparison")
    ):
        return True
    if own in ("augmentor.adapters", "augmentor.scale", "augmentor_cli", "benchmarks"):
        if below(module, "augmentor.artifact"):
            return module in ARTIFACT_PUBLIC
        public = tuple(name for name in PUBLIC if name not in ("augmentor", "augmentor.artifact"))
        if below(module, "augmentor_data") or (own == "benchmarks" and below(module, "augmentor_cli")):
            return True
        # `from augmentor import X` names the package and X; modules of other rooms are not public names
        return any(below(module, prefix) for prefix in public) or module == "augmentor" or not room(module)
    return any(below(module, prefix) for prefix in TABLE[own])


@pytest.mark.parametrize("source", [s for s in OURS if s.module != "augmentor"], **ids)
def test_every_file_has_a_room_and_keeps_to_it(source: Source) -> None:
    assert room(source.module), f"{source.module} belongs to no room of the import table; add it there, with a reason"
    wrong = {
        f"line {found.line}: {found.module}"
        for found in source.imports
        if ours(found.module) and not found.typing and not allowed(source, found.module)
    }
    assert not wrong, (
        f"{source.module} may import {TABLE[room(source.module)] or 'nothing of ours'}, but imports {sorted(wrong)}"
    )


def test_importing_the_package_imports_nothing_of_it() -> None:
    (face,) = (source for source in OURS if source.module == "augmentor")
    assert not [found for found in face.imports if ours(found.module) and found.top]


@pytest.mark.parametrize("source", INSIDE, **ids)
def test_models_and_metrics_are_named_only_to_the_registry(source: Source) -> None:
    """Nobody imports a model, a metric or a transform by its file, so that a new file needs no other edit."""
    for folder in ("augmentor.models", "augmentor.evaluation.metrics", "augmentor.preprocess.transforms"):
        if below(source.module, folder):
            continue
        named = [f for f in source.imports if below(f.module, folder) and not f.typing]
        # one transform is also a tool: gene selection ranks log-normalised values
        named = [f for f in named if (source.module, "lognorm" in f.module) != ("augmentor.preprocess.genes", True)]
        assert not named, f"{source.module} imports {[f.module for f in named]}"


@pytest.mark.parametrize("source", INSIDE, **ids)
def test_no_model_imports_another(source: Source) -> None:
    if not below(source.module, "augmentor.models") or source.module == "augmentor.models":
        return
    others = [
        f.module for f in source.imports if below(f.module, "augmentor.models") and not below(f.module, source.module)
    ]
    assert not others


@pytest.mark.parametrize("source", OURS, **ids)
def test_torch_only_where_models_are_trained(source: Source) -> None:
    rooms = ("augmentor.nn", "augmentor.training", "augmentor.models")
    if any(below(source.module, name) for name in rooms):
        return
    heavy = [f.module for f in source.imports if f.top and f.module.split(".")[0] in ("torch", "lightning_fabric")]
    assert not heavy, f"{source.module} imports {heavy} at import time; do it inside the function that needs it"


@pytest.mark.parametrize("source", INSIDE, **ids)
def test_file_formats_only_in_io(source: Source) -> None:
    formats = ("anndata", "h5py", "zarr", "pyarrow")
    if below(source.module, "augmentor.io"):
        return
    found = [f.module for f in source.imports if f.module.split(".")[0] in formats and not f.typing]
    assert not found, f"{source.module} imports {found}; files are the business of augmentor.io"


@pytest.mark.parametrize("source", INSIDE, **ids)
def test_nothing_executes_a_file(source: Source) -> None:
    modules = {f.module.split(".")[0] for f in source.imports}
    assert not modules & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    banned = {"torch.load", "eval", "exec", "np.load", "numpy.load"}
    assert not [(name, line) for name, line in calls(source) if name in banned]


@pytest.mark.parametrize("source", INSIDE, **ids)
def test_nothing_prints(source: Source) -> None:
    assert not [
        line for name, line in calls(source) if name in ("print", "pprint", "sys.stdout.write", "sys.stderr.write")
    ]


GLOBAL = re.compile(
    r"^(np|numpy)\.random\.(?!Generator$|SFC64$|PCG64$|Philox$|SeedSequence$|BitGenerator$)\w+$"
    r"|^random\.\w+$|^torch\.(manual_seed|seed|random\.\w+|cuda\.manual_seed\w*)$"
)
# drawing functions of torch that use the global generator unless they are given one
DRAWN = re.compile(
    r"^(torch\.(rand|randn|randint|randperm|normal|bernoulli|multinomial|poisson)|nn\.init\.(uniform|normal|kaiming|xavier|trunc_normal|orthogonal)\w*_)$"
)


@pytest.mark.parametrize("source", OURS, **ids)
def test_no_global_random_state(source: Source) -> None:
    assert not [f.line for f in source.imports if f.module == "random"], "use core.random.Stream"
    assert not [(name, line) for name, line in calls(source) if GLOBAL.match(name)]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and DRAWN.match(ast.unparse(node.func)):
            given = [*(ast.unparse(part) for part in node.args), *(k.arg for k in node.keywords)]
            assert "generator" in given, f"line {node.lineno} draws without a generator"
        if isinstance(node, ast.Attribute) and node.attr == "Dropout":
            raise AssertionError(
                f"line {node.lineno}: nn.Dropout draws from the global generator; use nn.blocks.dropout"
            )


@pytest.mark.parametrize("source", sources("augmentor", "cli", "benchmarks", "tests", "data"), **ids)
def test_files_are_small(source: Source) -> None:
    lines = source.text.count("\n")
    assert lines <= 500, f"{source.path.relative_to(ROOT)} has {lines} lines; split it"


@pytest.mark.parametrize("source", sources("augmentor", "cli", "benchmarks"), **ids)
def test_nothing_is_left_undone(source: Source) -> None:
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b|if False\b|if True\b", source.text)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and [type(part) for part in node.body] == [ast.Pass]:
            raise AssertionError(f"line {node.lineno}: an error is swallowed")


def test_the_table_sees_a_wrong_import(tmp_path: Path) -> None:
    """The test of the test: a model that trains itself, evaluation that knows a model, torch at the top of a tool."""
    for module, line, verdict in (
        ("augmentor.models.bad", "from augmentor.training.loop import train", False),
        ("augmentor.evaluation.bad", "import augmentor.models.cvae", False),
        ("augmentor.core.bad", "from augmentor.io import read", False),
        ("augmentor_cli.bad", "from augmentor.fitting import fit", False),
        ("augmentor_cli.bad", "from augmentor import Augmentor", True),
        ("augmentor_cli.bad", "from augmentor.artifact import read_manifest", True),
        ("augmentor_cli.bad", "from augmentor.artifact.store import save", False),
        ("augmentor.fitted", "from augmentor.parts.calibration import KINDS", True),
        ("augmentor.sampling", "import augmentor.models", False),
    ):
        path = tmp_path / "bad.py"
        path.write_text(line + "\n")
        source = Source(path, module)
        assert all(allowed(source, found.module) for found in source.imports) == verdict, (module, line)
