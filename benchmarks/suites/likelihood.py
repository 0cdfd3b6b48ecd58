"""Log-likelihood of held-out rows: every kind of flow and autoregressive beside references, in nats per row, over seeds.

python benchmarks/suites/likelihood.py [--data DIR] [--sets breast_cancer,osmfish] [--seeds 3] [--epochs 80]

Every density is one of x given its label, log p(x | c), and judged in the same space: features standardised by the training rows.
breast_cancer (scikit-learn, 569 x 30) is taken as it is. osmfish (DIR/osmfish_cortex.h5ad, 33 genes) is counts: they are dequantised,
v = log(1 + k + u), u ~ U(0, 1), then standardised, so that a continuous density cannot gain without bound from repeated values. By
Jensen's inequality E_u[log p(y) + log |dy / dk|] is a lower bound on log P(k), the unit of the second column, in which the
networks with a count head, whose P(k) is exact, are comparable. Split, share of the training rows that validate and largest number
of passes are the same for all that are trained.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import common
from sklearn.datasets import load_breast_cancer
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from augmentor import Augmentor, read
from augmentor.core.contract import Encoded, Given
from augmentor.core.dataset import Dataset, as_dense
from augmentor.core.random import Stream
from augmentor.core.schema import LabelColumn, Schema
from augmentor.core.space import Space

if TYPE_CHECKING:
    from augmentor.fitted import Fitted

VALID, HELD_OUT, MOST = 0.12, 0.25, 1000  # shares of rows; training rows at most
Values = np.ndarray


def source(name: str, folder: Path | None) -> tuple[Values, Values] | None:
    """Values ``(rows, features)`` and label codes, or None where the file is not at hand."""
    if name == "breast_cancer":
        return load_breast_cancer(return_X_y=True)
    file = None if folder is None else folder / "osmfish_cortex.h5ad"
    if file is None or not file.exists():
        return None
    data = read(file, label="cell_type")
    return as_dense(data.x).astype(np.float64), data.codes[:, 0]


class Split:
    """Rows of one seed: training, validation and held-out part, continuous in standard units and, for counts, as they are."""

    def __init__(self, x: Values, y: Values, seed: int, counts: bool) -> None:
        rng = Stream(seed).child("likelihood").numpy()
        order = rng.permutation(len(x))
        held = round(HELD_OUT * len(x))
        self.test, rest = order[:held], order[held : held + MOST]
        self.valid = np.arange(len(rest)) < VALID * len(rest)
        self.rows, self.y, self.raw = rest, y, x
        values, slope = x, np.zeros(len(x))
        if counts:
            shifted = 1 + x + rng.random(x.shape)
            values, slope = np.log(shifted), -np.log(shifted).sum(axis=1)
        own = rest[~self.valid]
        mean, sd = values[own].mean(axis=0), values[own].std(axis=0)
        self.x = ((values - mean) / sd).astype(np.float32)
        self.to_counts = float((slope - np.log(sd).sum())[self.test].mean())  # E log |dy / dk|

    def values(self, rows: Values, space: Space) -> Values:
        """Rows ``(rows, features)``: counts as they are, or continuous."""
        return (self.raw if space is Space.COUNTS else self.x)[rows].astype(np.float32)


def fitted(split: Split, name: str, seed: int, space: Space, **settings: Any) -> tuple[Fitted, Encoded, float]:
    """A model of this project as a user fits it; held-out rows in its space, and the log-determinant of the way there."""
    x = split.values(split.rows, space)
    labels = tuple(str(code) for code in range(int(split.y.max()) + 1))
    schema = Schema(
        space=space,
        features=tuple(f"x{i:02d}" for i in range(x.shape[1])),
        labels=(LabelColumn(name="label", categories=labels),),
    )
    data = Dataset.checked(x, schema, split.y[split.rows][:, None].astype(np.int32))
    found = Augmentor(name, seed=seed, device="cpu", **settings).fit(data, holdout=0.0, calibrate=False).fitted
    x, y = split.values(split.test, space), split.y[split.test]
    size, change = None, 0.0
    if space is Space.COUNTS:
        size = x.sum(axis=1).astype(np.float64)
    else:
        low, high = (found.chain.forward(np.full((1, x.shape[1]), value, np.float32), None) for value in (0, 1))
        change = float(np.log(high - low).sum())
    given = Given(y.astype(np.intp), y[:, None].astype(np.int32), np.zeros((len(y), 0)), size)
    return found, Encoded(found.chain.forward(x, size), given, np.zeros(len(y), dtype=bool), found.layout), change


def ours(name: str, space: Space = Space.CONTINUOUS, **settings: Any) -> Callable[[Split, int, int], float]:
    """Mean log-likelihood of a model of this project."""

    def run(split: Split, seed: int, epochs: int) -> float:
        found, rows, change = fitted(split, name, seed, space, epochs=epochs, **settings)
        return float(found.model.log_prob(rows).mean(dtype=np.float64)) + change

    return run


def class_gaussian(split: Split, seed: int, epochs: int) -> float:
    """Density of the class Gaussian: x = μ_c + D_c·(√w_p F_pᵀ a + √w_o F_oᵀ b + √(1 − explained)·ε)."""
    found, rows, change = fitted(split, "gaussian", seed, Space.CONTINUOUS)
    s = {key: array.astype(np.float64) for key, array in found.model.state().items()}
    total = 0.0
    for c in range(found.layout.conditions):
        own, pooled = s["weight"][c]
        r = own * s["own"][c].T @ s["own"][c] + pooled * s["pooled"].T @ s["pooled"]
        explained = np.diag(r).copy()
        r += np.diag(np.maximum(1 - explained, 0))
        sd = s["sd"][c] / np.sqrt(np.maximum(explained, 1))
        z = rows.x[rows.given.condition == c] - s["mean"][c]
        covariance = r * sd * sd[:, None]
        _, log_det = np.linalg.slogdet(2 * np.pi * covariance)
        total -= 0.5 * (log_det * len(z) + (z * np.linalg.solve(covariance, z.T).T).sum())
    return total / len(rows) + change


def per_label(fit: Callable[[Values, int], Any]) -> Callable[[Split, int, int], float]:
    """A density of scikit-learn, fitted to the rows of each label."""

    def run(split: Split, seed: int, epochs: int) -> float:
        total = 0.0
        for c in np.unique(split.y):
            model = fit(split.x[split.rows[split.y[split.rows] == c]].astype(np.float64), seed)
            total += model.score_samples(split.x[split.test[split.y[split.test] == c]].astype(np.float64)).sum()
        return total / len(split.test)

    return run


def mixture(x: Values, seed: int) -> GaussianMixture:
    """Full covariances; 1 to 4 components by BIC."""
    most = max(1, min(4, len(x) // 40))
    found = [GaussianMixture(k, reg_covar=1e-2, random_state=seed).fit(x) for k in range(1, most + 1)]
    return min(found, key=lambda model: model.bic(x))


def kernels(x: Values, seed: int) -> KernelDensity:
    """Gaussian kernels; bandwidth by cross-validation."""
    search = GridSearchCV(KernelDensity(), {"bandwidth": np.geomspace(0.1, 2, 12)}, cv=min(5, len(x)))
    return search.fit(x).best_estimator_


def plain(name: str, **settings: Any) -> Callable[[Split, int, int], float]:
    """A flow of zuko, by Adam (1e-3), the weights with the best validation likelihood kept."""

    def run(split: Split, seed: int, epochs: int) -> float:
        import torch
        import zuko

        labels = int(split.y.max()) + 1
        flow = getattr(zuko.flows, name)(split.x.shape[1], labels, hidden_features=(64, 64), **settings)
        generator = Stream(seed).child("plain").torch()
        for layer in flow.modules():
            if isinstance(layer, torch.nn.Linear):  # the law of torch's own initial weights, from a stream
                for parameter in layer.parameters():
                    bound = layer.in_features**-0.5
                    torch.nn.init.uniform_(parameter, -bound, bound, generator=generator)
        x, c = torch.from_numpy(split.x), torch.eye(labels)[torch.from_numpy(split.y.astype(np.int64))]
        fit, valid = split.rows[~split.valid], split.rows[split.valid]
        optimiser = torch.optim.Adam(flow.parameters(), lr=1e-3)
        best, kept = -np.inf, flow.state_dict()
        for epoch in range(epochs):
            order = Stream(seed).child("plain", epoch).numpy().permutation(fit)
            for rows in np.array_split(order, max(1, round(len(order) / max(16, min(128, len(fit) // 10))))):
                loss = -flow(c[rows]).log_prob(x[rows]).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            with torch.no_grad():
                judged = float(flow(c[valid]).log_prob(x[valid]).mean())
            if judged > best:
                best, kept = judged, {key: value.clone() for key, value in flow.state_dict().items()}
        flow.load_state_dict(kept)
        with torch.no_grad():
            return float(flow(c[split.test]).log_prob(x[split.test]).double().mean())

    return run


CONTINUOUS: dict[str, Callable[[Split, int, int], float]] = {
    "class Gaussian (ours)": class_gaussian,
    "GaussianMixture per label (scikit-learn)": per_label(mixture),
    "KernelDensity per label (scikit-learn)": per_label(kernels),
    "MAF (zuko, plainly)": plain("MAF", transforms=5),
    "NSF (zuko, plainly)": plain("NSF", transforms=2),
    **{f"flow {kind}": ours("flow", kind=kind) for kind in ("nice", "realnvp", "maf", "iaf", "nsf")},
    "autoregressive nade": ours("autoregressive"),
    "autoregressive nade, logistic": ours("autoregressive", head="logistic"),
    "autoregressive rnn": ours("autoregressive", kind="rnn"),
}
COUNTS: dict[str, Callable[[Split, int, int], float]] = {
    "autoregressive nade, negative binomial": ours("autoregressive", Space.COUNTS),
    "autoregressive nade, categorical": ours("autoregressive", Space.COUNTS, head="categorical"),
    "autoregressive rnn, negative binomial": ours("autoregressive", Space.COUNTS, kind="rnn"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", default="breast_cancer,osmfish")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=80)
    asked = parser.parse_args()
    for name in asked.sets.split(","):
        found = source(name, asked.data)
        if found is None:
            print(name, "is not at hand: left out")
            continue
        counts = name == "osmfish"
        results: dict[str, Any] = {}
        for seed in range(asked.seeds):
            split = Split(*found, seed, counts)
            for model, run in {**CONTINUOUS, **(COUNTS if counts else {})}.items():
                begun = time.perf_counter()
                nats = run(split, seed, asked.epochs)
                entry = results.setdefault(model, {"nats": [], "counts": [], "seconds": []})
                exact = model in COUNTS
                entry["nats"].append(None if exact else nats)
                entry["counts"].append((nats if exact else nats + split.to_counts) if counts else None)
                entry["seconds"].append(round(time.perf_counter() - begun, 1))
                print(name, seed, model, round(nats, 2), entry["seconds"][-1], "s", flush=True)
            shape = {"train": len(split.rows), "held out": len(split.test), "features": split.x.shape[1]}
            save(name, {"shape": shape, "epochs": asked.epochs, "seeds": seed + 1, "models": results})


def save(name: str, data: dict[str, Any]) -> None:
    """Put the results of a set beside those of the others."""
    file = common.RESULTS / "likelihood.json"
    whole = json.loads(file.read_text()) if file.exists() else {"sets": {}}
    whole = {"environment": common.environment(), "sets": whole["sets"] | {name: data}}
    text = (
        "# Log-likelihood of held-out rows, nats per row (larger is better)\n\nWritten by `benchmarks/suites/likelihood.py`; mean ± "
        "standard deviation over seeds, each with a split of its own, of log p(x | label). All in the same space: features "
        "standardised by the training rows. Counts (osmfish) are dequantised first, log(1 + k + u) with u uniform; the column "
        '"log P(counts)" turns that density into a lower bound on the probability of the counts themselves, which the count '
        "heads state exactly. Seconds are of a shared machine.\n"
    )
    for title, found in sorted(whole["sets"].items()):
        shape = found["shape"]
        text += (
            f"\n## {title}: {shape['train']} training rows (12 % of them validate), {shape['held out']} held out, "
            f"{shape['features']} features; {found['seeds']} seeds, at most {found['epochs']} passes\n\n"
        )
        text += common.markdown(
            ["density", "nats per row", "log P(counts)", "seconds"],
            [
                [model, spread(entry["nats"]), spread(entry["counts"]), f"{np.mean(entry['seconds']):.0f}"]
                for model, entry in found["models"].items()
            ],
        )
    common.write("likelihood", text, whole)


def spread(values: list[float | None]) -> str:
    """Mean ± standard deviation, or a dash."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    return f"{np.mean(known):.2f}" + (f" ± {np.std(known, ddof=1):.2f}" if len(known) > 1 else "")


if __name__ == "__main__":
    main()
