"""A fitted model at rest: JSON and safetensors, nothing that executes.

    model.augment           an uncompressed zip, or a folder of the same files
    ├── manifest.json           what the model is, on what it was fitted, and the digests of the rest
    ├── weights.safetensors     the model's state
    ├── transforms.safetensors  the state of preprocessing, size model, calibration; the row masks of the split,
    │                           fingerprints of the training rows
    └── history.jsonl           one line per epoch

`save` writes beside and renames, so that a half-written file never exists under the final name. `load` executes
nothing from the file and refuses, in one sentence, what is truncated, altered, from a newer format or not complete.
"""

from augmentor.artifact.manifest import FORMAT, DataRecord, Manifest, SplitRecord, TransformRecord
from augmentor.artifact.store import Stored, load, read_history, read_manifest, save
from augmentor.core.state import check_state

__all__ = [
    "FORMAT",
    "DataRecord",
    "Manifest",
    "SplitRecord",
    "Stored",
    "TransformRecord",
    "check_state",
    "load",
    "read_history",
    "read_manifest",
    "save",
]
