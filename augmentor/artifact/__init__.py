"""A fitted model at rest: JSON and safetensors, nothing that executes."""
