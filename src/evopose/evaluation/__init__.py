"""Measuring a pipeline on a dataset. Importing this package loads no torch."""
