"""Help is quick, commands are found, and every ending has its exit code and its one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from augmentor_cli import commands
from augmentor_cli.app import main

from augmentor import __version__

COMMANDS = {"balance", "demo", "evaluate", "fit", "inspect", "metrics", "models", "sample"}


@pytest.mark.parametrize("words", ["--help", "fit --help", "models", "metrics", "--version"])
def test_no_heavy_library_is_imported(words: str) -> None:
    heavy = ("torch", "anndata", "pandas", "sklearn", "umap", "matplotlib", "plotly", "h5py", "zarr")
    script = (
        "import sys; from augmentor_cli.app import main; code = main(sys.argv[1:]);"
        f"print('loaded:', [name for name in {heavy} if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *words.split()], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: []\n")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"augmentor {__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["foo"], "No such command 'foo'"),
        (["fit"], "Missing argument 'DATA'"),
        (["fit", "a.h5ad", "--lable", "x"], "--label"),
        (["fit", "a.h5ad", "--rare", "drop"], "'drop' is not one of"),
        (["fit", "a.h5ad", "--max-time", "soon"], "'soon' is not a duration"),
        (["sample", "--balance", "--like-train"], "give one of"),
        (["evaluate", "s.h5ad"], "give the real rows"),
        (["balance", "a.h5ad"], "balance needs --label"),
    ],
)
def test_usage_errors_are_one_sentence_and_exit_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and said in err


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_of_ours_is_an_apology_and_exit_4(
    debug: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_command(tmp_path, monkeypatch, "faulty", "raise ZeroDivisionError('oops')")
    assert main(["faulty", *(["--debug"] if debug else [])]) == 4
    err = capsys.readouterr().err
    assert "sorry" in err and "ZeroDivisionError: oops" in err
    assert ("Traceback" in err) == debug


def test_a_new_command_is_a_new_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_command(tmp_path, monkeypatch, "greet", "ctx.obj.result('hello')")
    assert main(["greet"]) == 0
    assert capsys.readouterr().out == "hello\n"


@pytest.mark.parametrize(("raised", "code"), [("KeyboardInterrupt", 130), ("MemoryError", 1), ("BrokenPipeError", 0)])
def test_other_endings(
    raised: str, code: int, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_command(tmp_path, monkeypatch, f"ends_{code}", f"raise {raised}")
    assert main([f"ends_{code}"]) == code


def _with_command(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: str) -> None:
    text = f"import typer\ndef add(app):\n    app.command({name!r})(run)\ndef run(ctx: typer.Context):\n    {body}\n"
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, f"{commands.__name__}.{name}", raising=False)
