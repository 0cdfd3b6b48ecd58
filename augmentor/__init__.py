"""augmentor: learn p(x | label) from a labelled matrix, draw new labelled rows, and say honestly how good they are.

    from augmentor import Augmentor, evaluate

    synthetic = Augmentor("cvae").fit(adata, label="celltype").sample(5000)

Public names are imported on first use, so that ``import augmentor`` is quick and loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from augmentor.adapters.sampler import AugmentorSampler
    from augmentor.api import Augmentor, load
    from augmentor.comparison.run import compare
    from augmentor.io import read
    from augmentor.judging import evaluate

__version__ = "0.1.0"
__all__ = ["Augmentor", "AugmentorSampler", "__version__", "compare", "evaluate", "load", "read"]

_HOMES = {
    "Augmentor": "augmentor.api",
    "AugmentorSampler": "augmentor.adapters.sampler",
    "compare": "augmentor.comparison.run",
    "evaluate": "augmentor.judging",
    "load": "augmentor.api",
    "read": "augmentor.io",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'augmentor' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
