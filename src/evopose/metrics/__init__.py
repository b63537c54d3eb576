"""Metrics on arrays: no files, no torch."""

from evopose.metrics.oks import oks

__all__ = ["oks"]
