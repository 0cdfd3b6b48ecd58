"""Invertible transforms: one file each, the file name is the transform's name."""
