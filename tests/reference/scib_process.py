"""scib-metrics in a process of its own, called by name: jax, which it computes with, warns at every later fork of a process."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from typing import Any

import numpy as np

Call = Callable[..., Any]


@contextmanager
def opened() -> Iterator[Call]:
    """Give a function that calls one of scib-metrics: ``call("silhouette_label", x, y, x64=True, rescale=False)``."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(_imported).result()
        yield lambda *args, **named: pool.submit(partial(_call, **named), *args).result()


def _imported() -> None:
    os.environ["JAX_PLATFORMS"] = "cpu"
    with warnings.catch_warnings():
        # umap, which scib-metrics imports, warns of what needs tensorflow
        warnings.simplefilter("ignore")
        importlib.import_module("scib_metrics")
    warnings.simplefilter("error")


def _call(
    name: str, *args: Any, x64: bool = False, graph: tuple[np.ndarray, np.ndarray] | None = None, **named: Any
) -> Any:
    """Call a function; ``graph``, distances and positions of neighbours, becomes its first argument."""
    import jax
    import scib_metrics as scib

    if graph is not None:
        args = (scib.nearest_neighbors.NeighborsResults(distances=graph[0], indices=graph[1]), *args)
    if name == "__version__":
        return version("scib-metrics")
    function = getattr(scib, name, None) or getattr(scib.utils, name)
    with jax.enable_x64(x64):
        return function(*args, **named)
