"""What an evaluation costs: 5,000 synthetic rows x 2,000 genes against 5,000 held-out ones, whole processes.

    python benchmarks/suites/judging.py [--rows 5000] [--genes 2000] [--full]

There are not so many real rows in the bundled data: rows drawn from a copula of PBMC3k stand for training, held-out and synthetic
rows. That changes what the scores say, which is not the point here, and not what they cost.
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
from augmentor import Augmentor
model = Augmentor("copula", seed=0).fit(common.pbmc(), genes={genes}, holdout=0.0)
for seed, name in enumerate(("train", "holdout", "synthetic")):
    rows = model.sample({rows}, seed=seed)
    if name != "synthetic":  # nobody is to know
        rows.uns.clear()
        del rows.obs["synthetic"]
    rows.write_h5ad(name + ".h5ad")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--full", action="store_true")
    asked = parser.parse_args()
    augment = str(Path(sys.executable).parent / "augment")
    rows: list[list[str]] = []
    data: dict[str, dict[str, float]] = {}
    costs: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        here = str(Path(__file__).parents[1])
        script = PREPARE.format(here=here, genes=asked.genes, rows=asked.rows)
        subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
        evaluate = [augment, "evaluate", "synthetic.h5ad", "--train", "train.h5ad", "--holdout", "holdout.h5ad"]
        for option in (["--quick"], [], *([["--full"]] if asked.full else [])):
            name = " ".join(["evaluate", *option])
            seconds, memory = common.measured([*evaluate, "--label", "celltype", *option], folder)
            rows.append([name, f"{seconds:.1f}", f"{memory:.0f}"])
            data[name] = {"seconds": seconds, "peak_mb": memory}
            print(*rows[-1], flush=True)
            scores = json.loads((Path(folder) / "report.json").read_text())["scores"]
            if not option:
                for score in scores:
                    metric = score.partition(".")[0]
                    costs[metric] = costs.get(metric, 0.0) + scores[score]["seconds"]
    parts = sorted(costs.items(), key=lambda item: -item[1])
    text = (
        f"# Cost of an evaluation, {asked.rows:,} x {asked.genes:,} against {asked.rows:,} held-out rows\n\n"
        "Written by `benchmarks/suites/judging.py`; whole processes, start, reading and the report included.\n\n"
        + common.markdown(["command", "seconds", "peak MB"], rows)
        + "\nSeconds by metric, default set:\n\n"
        + common.markdown(["metric", "seconds"], [[name, f"{seconds:.1f}"] for name, seconds in parts])
    )
    common.write("judging", text, {"environment": common.environment(), "results": data, "metrics": costs})


if __name__ == "__main__":
    main()
