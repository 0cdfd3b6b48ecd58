"""The documented Snakemake workflow, run as documented: it ends with results, and stops at a threshold that is missed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anndata
import pytest

SNAKEFILE = Path(__file__).parents[2] / "docs" / "pipelines" / "Snakefile"


@pytest.fixture
def pipeline(small: anndata.AnnData, here: Path) -> Path:
    """A folder with data and the settings of a quick run."""
    small.write_h5ad("my expr.h5ad")
    settings = {"data": "my expr.h5ad", "label": "celltype", "rows": 300, "model": "copula", "genes": 100}
    Path("quick.json").write_text(json.dumps({**settings, "evaluate": "--only transfer,moments"}))
    return here


def run(*requirements: str) -> subprocess.CompletedProcess[str]:
    settings = json.loads(Path("quick.json").read_text()) | {"require": list(requirements)}
    Path("run.json").write_text(json.dumps(settings))
    words = ["snakemake", "--snakefile", SNAKEFILE, "--configfile", "run.json", "--cores", "1"]
    # the commands of this environment, and nothing written into the home of whoever runs the tests
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        env={**os.environ, "PATH": path, "HOME": str(Path.cwd()), "XDG_CACHE_HOME": str(Path.cwd() / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_snakemake_runs_and_the_gate_stops_it(pipeline: Path) -> None:
    stopped = run("tstr_ratio>=0.5", "tstr_ratio>=1.9")
    assert stopped.returncode != 0
    assert "tstr_ratio is" in stopped.stderr and "required >= 1.9" in stopped.stderr
    results = pipeline / "results"
    assert not (results / "gate.passed").exists()
    assert json.loads((results / "report.json").read_text())["scores"], "the report is kept for whoever asks why"
    assert (results / "report.html").exists() and (results / "augmentor_mqc.json").exists()

    passed = run("tstr_ratio>=0.5")
    assert passed.returncode == 0, passed.stderr
    assert (results / "gate.passed").exists()
    assert anndata.read_h5ad(results / "synthetic.h5ad").n_obs == 300
