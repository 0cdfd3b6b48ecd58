"""The metrics: one file each, the file name is the metric's name."""
