"""Invertible transforms that lead data into a model's space and back: one file each."""
