"""The one training loop: stages one after another, phases in turn, one optimiser step at a time.

What every model gets from it: shuffled batches keyed by epoch, one-cycle rates, gradient clipping, a moving average of the
weights, early stopping on a validation part with the best weights kept, recovery from non-finite losses, a time limit,
a stop on request, and a checkpoint at the end of an epoch from which a run continues to the same bytes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from augmentor.core.contract import Encoded, Phase, Stage, Trained
from augmentor.core.errors import Interrupted, TrainingFailed
from augmentor.core.progress import Progress
from augmentor.core.random import Stream
from augmentor.training import checkpoint
from augmentor.training.batches import Batches
from augmentor.training.run import Run, Summary, accelerator, judged
from augmentor.training.watching import Watch, rounded
from augmentor.training.weights import copied, load, load_optimiser, optimiser_state, weights

RECOVERIES = 3
CHECKPOINT_SECONDS = 30.0
BESIDE = (
    "gradient.",
    "gradient_largest.",
    "rate.",
    "watch.",
    "watch_validation.",
)  # names in the history that are no losses
LONG_SECONDS = 20.0  # training that takes longer says so after its first epoch


def train(model: Trained, encoded: Encoded, rng: Stream, run: Run) -> Summary:
    """Train a model in place.

    Args:
        model: an unfitted trained model.
        encoded: training rows; those under ``encoded.valid`` only judge.
        rng: randomness of weights, order and noise.
        run: device, limits, listener, checkpoints.

    Raises:
        TrainingFailed: losses stayed non-finite after every recovery.
        Interrupted: ``run.stop`` asked to stop; the checkpoint is written.
        ConfigError: a checkpoint belongs to other data or settings.
    """
    fabric = Fabric(accelerator=accelerator(run.device), devices=1)
    model.initialise(encoded, rng.child("weights"))
    stored = checkpoint.read(run.checkpoint, run.identity) if run.resume and run.checkpoint else None
    summary = Summary(history=list(stored.history) if stored else [])
    started = time.monotonic()
    stages = model.stages()
    finished: list[dict[str, torch.Tensor]] = []
    for position, stage in enumerate(stages):
        # the time limit is shared out evenly over the stages that are left
        left = None if run.seconds is None else max(run.seconds - (time.monotonic() - started), 1.0)
        limit = None if left is None else left / (len(stages) - position)
        loop = _StageLoop(fabric, stage, position, encoded, rng.child(stage.name), run, limit)
        if stored is not None:
            _continue(loop, stored)
        if stored is None or stored.stage <= position:
            loop.finished, loop.outcomes, loop.earlier = finished, summary.stages, summary.history
            loop.run_epochs()
        summary.history += loop.history
        summary.stages.append(loop.outcome())
        for module in (stage.module, *stage.reads):
            module.to("cpu").eval()
        finished.append(weights(stage.module))
        if stage.finish is not None:
            stage.finish(encoded, rng.child(stage.name, "finish"))
        if stage.judge is not None:
            summary.stages[-1] |= judged(stage.judge(encoded, rng.child(stage.name, "judge")), run)
    if run.checkpoint is not None:
        checkpoint.remove(run.checkpoint)
    return summary


class _StageLoop:
    """State and steps of one stage; everything in `snapshot` is what a checkpoint holds."""

    def __init__(
        self,
        fabric: Fabric,
        stage: Stage,
        position: int,
        encoded: Encoded,
        rng: Stream,
        run: Run,
        seconds: float | None,
    ) -> None:
        self.fabric, self.stage, self.position, self.rng, self.run, self.seconds = (
            fabric,
            stage,
            position,
            rng,
            run,
            seconds,
        )
        for module in (stage.module, *stage.reads):
            fabric.to_device(module)
        training, validation = np.flatnonzero(~encoded.valid), np.flatnonzero(encoded.valid)
        self.training = Batches(encoded.take(training), stage.batch_size, fabric.device)
        judged = encoded.take(validation) if stage.validate is not None and validation.size > 0 else None
        self.validation = None if judged is None else Batches(judged, 512, fabric.device)
        self.watch: Watch | None = None
        if stage.watch is not None:
            self.watch = Watch(stage, self.training.encoded, judged, fabric.device, rng.child("watch"))
        self.watched: dict[str, float] = {}
        self.optimisers = [fabric.setup_optimizers(_optimiser(phase)) for phase in stage.phases]
        turn = sum(phase.steps for phase in stage.phases)
        self.turns = max(1, self.training.count // turn)
        self.epoch, self.rate_scale, self.recoveries = 0, 1.0, 0
        self.average = weights(stage.module) if stage.ema else {}
        self.best_loss, self.best_epoch = math.inf, -1
        self.best: dict[str, torch.Tensor] = {}
        self.history: list[dict[str, Any]] = []
        self.finished: list[dict[str, torch.Tensor]] = []
        self.outcomes: list[dict[str, Any]] = []
        self.earlier: list[dict[str, Any]] = []
        self.reason = "all epochs run"

    def run_epochs(self) -> None:
        """Run epochs until the budget, the time or the patience is used up, then keep the best weights."""
        started, last_saved = time.monotonic(), time.monotonic()
        good = self.snapshot()
        while self.epoch < self.stage.epochs and self.reason == "all epochs run":
            begun = time.monotonic()
            elapsed = (begun - started) / self.seconds if self.seconds else 0.0
            terms = self._epoch(max(self.epoch / self.stage.epochs, min(elapsed, 1.0)))
            if terms is None:
                self._recover(good)
                continue
            judged, watched = self._judge()
            if not math.isfinite(judged) and self.validation is not None:
                self._recover(good)
                continue
            self._remember(terms | watched, judged, time.monotonic() - begun)
            good = self.snapshot()
            if self.run.checkpoint is not None and time.monotonic() - last_saved > CHECKPOINT_SECONDS:
                self._write(good)
                last_saved = time.monotonic()
            if self.run.stop():
                self._interrupt(good)
            if self.seconds is not None and time.monotonic() - started >= self.seconds:
                self.reason = "time limit reached"
            elif self.stage.patience and self.validation and self.epoch - self.best_epoch > self.stage.patience:
                self.reason = f"no better validation loss for {self.stage.patience} epochs"
        if self.stage.patience is not None and self.best:
            load(self.stage.module, self.best)
        elif self.average:
            load(self.stage.module, self.average)

    def _epoch(self, begun: float) -> dict[str, Any] | None:
        """Train on every row once; return the means of terms and gradient norms, or None when a loss was not finite."""
        module, stage = self.stage.module, self.stage
        module.train()
        noise = self.rng.child("noise", self.epoch, self.recoveries).torch(self.fabric.device)
        source = self.training.epoch(self.rng.child("order", self.epoch))
        sums: dict[str, float] = {}
        largest: dict[str, float] = {}
        progress = begun
        for turn in range(self.turns):
            # position within the epoch, so that rates move with every step
            progress = min(1.0, max(begun, (self.epoch + turn / self.turns) / stage.epochs))
            for phase, optimiser in zip(stage.phases, self.optimisers, strict=True):
                for _ in range(phase.steps):
                    rows = next(source, None)
                    if rows is None:
                        source = self.training.epoch(self.rng.child("order", self.epoch, "again", turn))
                        rows = next(source)
                    terms = self._step(phase, optimiser, rows, noise, progress)
                    if terms is None:
                        return None
                    for name, value in terms.items():
                        sums[name] = sums.get(name, 0.0) + value / (self.turns * phase.steps)
                    norm = terms[f"gradient.{phase.name}"]
                    largest[phase.name] = max(largest.get(phase.name, 0.0), norm)
            self._follow()
            if self.run.stop():
                self._interrupt(None)
        epoch: dict[str, Any] = {name: round(value, 6) for name, value in sums.items()}
        for phase in stage.phases:
            epoch[f"gradient_largest.{phase.name}"] = round(largest[phase.name], 6)
            epoch[f"rate.{phase.name}"] = rounded(self._rate(phase, progress))
        return epoch

    def _step(
        self, phase: Phase, optimiser: Any, rows: Any, noise: torch.Generator, progress: float
    ) -> dict[str, float] | None:
        for group in optimiser.param_groups:
            group["lr"] = self._rate(phase, progress)
        terms = phase.loss(rows, noise, progress)
        loss = sum(terms.values())
        if not bool(torch.isfinite(loss)):
            return None
        optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(list(phase.parameters()), phase.clip)
        if not bool(torch.isfinite(norm)):
            return None
        optimiser.step()
        named = {name: float(term.detach()) for name, term in terms.items()}
        return {**named, f"gradient.{phase.name}": float(norm)}

    def _rate(self, phase: Phase, progress: float) -> float:
        return phase.learning_rate * self.rate_scale * _share(self.stage.schedule, progress)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights: a ← d·a + (1 − d)·w."""
        if not self.stage.ema:
            return
        for name, tensor in self.stage.module.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - self.stage.ema)

    @torch.no_grad()
    def _judge(self) -> tuple[float, dict[str, Any]]:
        """Validation loss, NaN without a validation part, and what is watched in this epoch."""
        look = self.watch is not None and self.watch.due(self.epoch + 1)
        if self.validation is None and not look:
            return math.nan, {}
        with self._kept():
            judged = math.nan if self.validation is None else self._validate(self.validation)
            # weights that are not finite have nothing to show
            well = self.validation is None or math.isfinite(judged)
            return judged, self.watch.look() if self.watch is not None and look and well else {}

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """The weights that would be kept (averaged, if any), in evaluation mode."""
        module = self.stage.module
        moving = weights(module) if self.average else {}
        if moving:
            load(module, self.average)
        module.eval()
        yield
        if moving:
            load(module, moving)

    def _validate(self, validation: Batches) -> float:
        """Mean loss on the validation part."""
        assert self.stage.validate is not None
        # the same noise every epoch, so that epochs differ by their weights only
        noise = self.rng.child("validation").torch(self.fabric.device)
        total = rows = 0.0
        for part in validation.fixed():
            total += self.stage.validate(part, noise) * len(part)
            rows += len(part)
        return total / rows

    def _remember(self, terms: dict[str, Any], judged: float, seconds: float) -> None:
        self.epoch += 1
        entry: dict[str, Any] = {"stage": self.stage.name, "epoch": self.epoch, **terms}
        if math.isfinite(judged):
            entry["validation"] = round(judged, 6)
            if judged < self.best_loss:
                self.best_loss, self.best_epoch = judged, self.epoch
                self.best = copied(self.average) if self.average else weights(self.stage.module)
        self.history.append(entry)
        numbers = {name: value for name, value in entry.items() if isinstance(value, float)}
        self.watched |= {n.removeprefix("watch."): value for n, value in numbers.items() if n.startswith("watch.")}
        shown = {n: value for n, value in numbers.items() if not n.startswith(BESIDE)} | self.watched
        self.run.listener(
            Progress(
                f"{self.run.name}: {self.stage.name}",
                self.epoch,
                self.stage.epochs,
                "epochs",
                shown,
                rows=self.epoch * len(self.training.encoded),
            )
        )
        left = min(seconds * (self.stage.epochs - self.epoch), self.seconds or math.inf)
        if self.epoch == 1 and left > LONG_SECONDS:
            note = f"{self.stage.epochs} epochs of stage '{self.stage.name}' will take about {left:.0f} s"
            self.run.listener(Progress(self.run.name, unit="epochs", note=note))

    def _recover(self, good: dict[str, Any]) -> None:
        """Go back to the last good epoch with half the learning rate."""
        if self.recoveries >= RECOVERIES:
            raise TrainingFailed(
                f"{self.run.name} did not train: its loss was not finite in epoch {self.epoch + 1}, also after "
                f"{RECOVERIES} restarts at lower rates. Try --set learning_rate with a tenth of its value, or --model copula."
            )
        recoveries, scale = self.recoveries + 1, self.rate_scale / 2
        self.restore_snapshot(good)
        self.recoveries, self.rate_scale = recoveries, scale
        self.run.listener(
            Progress(
                self.run.name,
                note=f"loss not finite in epoch {self.epoch + 1}: went back, halved the rate",
            )
        )

    def _interrupt(self, good: dict[str, Any] | None) -> None:
        if self.run.checkpoint is None:
            raise Interrupted(f"stopped in epoch {self.epoch + 1} of stage '{self.stage.name}'; nothing was written.")
        self._write(good or self._epoch_start)
        raise Interrupted(
            f"stopped after epoch {self.epoch} of {self.stage.epochs}; the checkpoint is in {self.run.checkpoint}. "
            "Run the same command with --resume to continue."
        )

    def snapshot(self) -> dict[str, Any]:
        """Copy of everything that the next epoch depends on."""
        self._epoch_start = {
            "module": weights(self.stage.module),
            "average": copied(self.average),
            "best": dict(self.best),
            "optimisers": [optimiser_state(optimiser) for optimiser in self.optimisers],
            "meta": {
                "epoch": self.epoch,
                "rate_scale": self.rate_scale,
                "recoveries": self.recoveries,
                "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
                "best_epoch": self.best_epoch,
                "history": list(self.history),
            },
        }
        return self._epoch_start

    def restore_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Take everything back to a snapshot."""
        meta = snapshot["meta"]
        load(self.stage.module, snapshot["module"])
        self.average = copied(snapshot["average"])
        self.best = dict(snapshot["best"])
        for optimiser, state in zip(self.optimisers, snapshot["optimisers"], strict=True):
            load_optimiser(optimiser, state)
        self.epoch, self.rate_scale, self.recoveries = meta["epoch"], meta["rate_scale"], meta["recoveries"]
        self.best_loss = math.inf if meta["best_loss"] is None else meta["best_loss"]
        self.best_epoch, self.history = meta["best_epoch"], list(meta["history"])

    def _write(self, snapshot: dict[str, Any]) -> None:
        assert self.run.checkpoint is not None
        checkpoint.write(
            self.run.checkpoint,
            checkpoint.Stored(self.position, snapshot, self.finished, self.outcomes, self.earlier),
            self.run.identity,
        )

    def skip(self, weights: dict[str, torch.Tensor], outcome: dict[str, Any]) -> None:
        """Take over the weights of a stage that was finished before the checkpoint."""
        load(self.stage.module, weights)
        self.epoch, self.reason, self.recoveries = outcome["epochs"], outcome["stopped"], outcome["recoveries"]
        self.best_epoch = outcome["best_epoch"]
        self.best_loss = math.inf if outcome["best_validation"] is None else outcome["best_validation"]

    def restore(self, stored: checkpoint.Stored) -> None:
        """Continue this stage from a checkpoint."""
        self.restore_snapshot(stored.snapshot)
        self.run.listener(Progress(self.run.name, note=f"resumed after epoch {self.epoch} of {self.stage.epochs}"))

    def outcome(self) -> dict[str, Any]:
        """Summary of the stage for the manifest."""
        return {
            "stage": self.stage.name,
            "epochs": self.epoch,
            "stopped": self.reason,
            "recoveries": self.recoveries,
            "best_validation": None if not math.isfinite(self.best_loss) else round(self.best_loss, 6),
            "best_epoch": self.best_epoch,
        }


def _continue(loop: _StageLoop, stored: checkpoint.Stored) -> None:
    """Bring a stage to where the checkpoint left it: finished, in its middle, or not begun."""
    try:
        if stored.stage > loop.position:
            loop.skip(stored.finished[loop.position], stored.outcomes[loop.position])
        elif stored.stage == loop.position:
            loop.restore(stored)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise checkpoint.damaged(loop.run.checkpoint, error) from None


def _share(schedule: str, progress: float) -> float:
    """Share of the peak learning rate: one-cycle rises over the first 30 % and anneals as a cosine (Smith 2018)."""
    if schedule == "constant":
        return 1.0
    if progress < 0.3:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / 0.3))
    return max(1e-3, 0.5 * (1 + math.cos(math.pi * (progress - 0.3) / 0.7)))


def _optimiser(phase: Phase) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        list(phase.parameters()), lr=phase.learning_rate, betas=phase.betas, weight_decay=phase.weight_decay
    )
