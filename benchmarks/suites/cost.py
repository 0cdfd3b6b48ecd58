"""What the main road costs: seconds and peak memory of whole processes, as a user starts them.

    python benchmarks/suites/cost.py [--rows 100000] [--wide gaussian,vqvae]

Peak memory is the operating system's own account of each finished process. With --wide, only these models are measured, fitted to all
genes, and join what `results/cost.json` holds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import common

PREPARE = """
import sys; sys.path.insert(0, {here!r}); import common
from augmentor import io
data = common.pbmc()
with io.writer("pbmc.h5ad", data.schema, len(data)) as out:
    out.append(data)
"""


WIDE = ("copula", "gaussian", "cvae", "vqvae", "diffusion", "flow_matching")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--wide", default="", help="only these models, on all genes")
    asked = parser.parse_args()
    augment = str(Path(sys.executable).parent / "augment")
    kept = common.RESULTS / "cost.json"
    data: dict[str, dict[str, float]] = json.loads(kept.read_text(encoding="utf-8"))["results"] if asked.wide else {}

    def note(name: str, seconds: float, memory: float, drawn: int = 0) -> None:
        data[name] = {"seconds": seconds, "peak_mb": memory} | ({"rows": drawn} if drawn else {})
        print(name, data[name], flush=True)

    def road(model: str, genes: str, *sizes: int) -> None:
        fit = [augment, "fit", "pbmc.h5ad", "--label", "celltype", "--model", model, "--genes", genes]
        note(f"fit {model}, {genes} genes", *common.measured([*fit, "-o", f"{model}.augment", "--quiet"], folder))
        for n in sizes:
            sample = [augment, "sample", f"{model}.augment", "-n", str(n), "-o", "out.h5ad", "--quiet"]
            note(f"sample -n {n} {model}, {genes} genes", *common.measured(sample, folder), n)

    with tempfile.TemporaryDirectory() as folder:
        here = str(Path(__file__).parents[1])
        subprocess.run([sys.executable, "-c", PREPARE.format(here=here)], cwd=folder, check=True)
        if not asked.wide:
            times = sorted(common.measured([augment, "--help"], folder) for _ in range(5))
            note("augment --help (median of 5)", *times[2])
            for model in ("copula", "cvae"):
                road(model, "2000", 5000, asked.rows)
        for model in asked.wide.split(",") if asked.wide else WIDE:
            road(model, "all", 5000)
    rows = [
        [
            name,
            f"{found['seconds']:.2f}",
            f"{found['peak_mb']:.0f}",
            f"{found['rows'] / found['seconds']:.0f}" if "rows" in found else "–",
        ]
        for name, found in data.items()
    ]
    intro = "# Cost on the bundled PBMC3k\n\nWritten by `benchmarks/suites/cost.py`; whole processes, start and imports included.\n\n"
    text = intro + common.markdown(["step", "seconds", "peak MB", "rows/s"], rows)
    common.write("cost", text, {"environment": common.environment(), "results": data})


if __name__ == "__main__":
    main()
