"""Bricks shared by the neural models."""
