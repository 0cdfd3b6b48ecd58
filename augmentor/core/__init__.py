"""The vocabulary: data, schema, space, randomness, errors, and the protocols of everything else."""
