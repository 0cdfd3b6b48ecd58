"""A torch module's weights as named arrays, and back, strictly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from augmentor.core.contract import State
from augmentor.core.state import check_state


def of_module(module: torch.nn.Module, prefix: str = "") -> State:
    """Return a module's parameters and buffers as NumPy arrays."""
    return {f"{prefix}{name}": tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()}


def of_modules(modules: Mapping[str, torch.nn.Module]) -> State:
    """Return the parameters and buffers of several modules, each under its own prefix."""
    return {name: array for prefix, module in modules.items() for name, array in of_module(module, prefix).items()}


def into_module(module: torch.nn.Module, state: State, what: str, prefix: str = "") -> None:
    """Load arrays into a module; a module on the meta device is materialised first.

    Raises:
        ArtifactError: names, shapes or types are not exactly the module's.
    """
    into_modules({prefix: module}, state, what)


def into_modules(modules: Mapping[str, torch.nn.Module], state: State, what: str) -> None:
    """Load arrays into several modules, each under its own prefix, and set them to evaluation.

    Raises:
        ArtifactError: names, shapes or types are not exactly those of the modules.
    """
    expected = {
        f"{prefix}{name}": (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
    check_state(expected, state, what)
    for prefix, module in modules.items():
        current = module.state_dict()
        if any(tensor.is_meta for tensor in current.values()):
            module.to_empty(device="cpu")
        module.load_state_dict({name: torch.from_numpy(np.array(state[f"{prefix}{name}"])) for name in current})
        module.eval()
