"""Copies of weights and of what an optimiser remembers of them: what snapshots and checkpoints hold."""

from __future__ import annotations

from typing import Any

import torch

ADAM = {"step", "exp_avg", "exp_avg_sq"}  # what AdamW remembers of a parameter


def copied(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors with memory of their own."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of a module's weights and buffers."""
    return copied(module.state_dict())


def load(module: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Set a module's weights and buffers; every one must be there, with its shape."""
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(tensors[name])


def optimiser_state(optimiser: Any) -> dict[str, torch.Tensor]:
    """Return a copy of the moments of AdamW, as ``<parameter>.<moment>``."""
    state = optimiser.state_dict()["state"]
    return {
        f"{index}.{key}": torch.as_tensor(value).detach().clone()
        for index, own in state.items()
        for key, value in own.items()
    }


def load_optimiser(optimiser: Any, tensors: dict[str, torch.Tensor]) -> None:
    """Take an optimiser back to a state of `optimiser_state`.

    Raises:
        ValueError: a parameter lacks a moment.
    """
    whole = optimiser.state_dict()
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor.clone()
    for parameter, own in state.items():
        if own.keys() != ADAM:
            raise ValueError(f"parameter {parameter} of the optimiser has {sorted(own)} instead of {sorted(ADAM)}")
    optimiser.load_state_dict({**whole, "state": state})
