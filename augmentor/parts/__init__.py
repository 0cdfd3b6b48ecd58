"""Optional parts that any model can carry, recorded in the artifact."""
