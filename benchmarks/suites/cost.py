"""What the main road costs: seconds and peak memory of whole processes, as a user starts them.

    python benchmarks/suites/cost.py [--rows 100000]

Peak memory is the operating system's own account of each finished process.
"""

from __future__ import annotations

import argparse
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    asked = parser.parse_args()
    augment = str(Path(sys.executable).parent / "augment")
    rows: list[list[str]] = []
    data: dict[str, dict[str, float]] = {}

    def note(name: str, seconds: float, memory: float, per_second: int | None = None) -> None:
        rows.append(
            [name, f"{seconds:.2f}", f"{memory:.0f}", "–" if per_second is None else str(round(per_second / seconds))]
        )
        data[name] = {"seconds": seconds, "peak_mb": memory}
        print(*rows[-1], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        here = str(Path(__file__).parents[1])
        subprocess.run([sys.executable, "-c", PREPARE.format(here=here)], cwd=folder, check=True)
        times = sorted(common.measured([augment, "--help"], folder) for _ in range(5))
        note("augment --help (median of 5)", *times[2])
        for genes in ("2000", "all"):
            for model in ("copula", "cvae"):
                fit = [augment, "fit", "pbmc.h5ad", "--label", "celltype", "--model", model, "--genes", genes]
                fit += ["-o", f"{model}.augment", "--quiet"]
                note(f"fit {model}, {genes} genes", *common.measured(fit, folder))
                for n in (5000, asked.rows) if genes == "2000" else (5000,):
                    sample = [augment, "sample", f"{model}.augment", "-n", str(n), "-o", "out.h5ad", "--quiet"]
                    note(f"sample -n {n} {model}, {genes} genes", *common.measured(sample, folder), n)
    intro = "# Cost on the bundled PBMC3k\n\nWritten by `benchmarks/suites/cost.py`; whole processes, start and imports included.\n\n"
    text = intro + common.markdown(["step", "seconds", "peak MB", "rows/s"], rows)
    common.write("cost", text, {"environment": common.environment(), "results": data})


if __name__ == "__main__":
    main()
