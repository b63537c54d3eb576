"""The fitness of the paper, and limits that are applied before anything is trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evopose.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a network costs, known before it is trained."""

    num_parameters: int
    num_macs: int
    latency_ms: float | None = None
    """Median time of one image on the device that matters; None: not measured."""


@dataclass(frozen=True, kw_only=True)
class Fitness:
    """J = error * (T / n) ** Gamma, lower is better; n is the number of parameters.

    Source: EvoPose2D (arXiv 2011.08446), equation 2; official `ga.py` at ea05b81.
    """

    error: str = "loss"
    """What is made small: `loss` (the paper's), on the validation persons, or `oks`: 1 - mean OKS,
    which does not depend on the heatmap's size."""
    target_parameters: float = 5e6
    """T: at this many parameters J is the error."""
    gamma: float = -0.07
    """Negative: fewer parameters make a better J."""
    target_macs: float | None = None
    """If given, J is also multiplied by (target_macs / num_macs) ** gamma_macs."""
    gamma_macs: float = -0.07
    target_latency_ms: float | None = None
    """If given, J is also multiplied by (target_latency_ms / latency_ms) ** gamma_latency."""
    gamma_latency: float = -0.07
    max_parameters: int | None = None
    """Larger networks are never trained."""
    max_macs: int | None = None
    """Costlier networks are never trained."""
    max_latency_ms: float | None = None
    """Slower networks are never trained."""

    def __post_init__(self) -> None:
        if self.error not in ("loss", "oks"):
            raise ConfigError(f"error must be loss or oks, got {self.error!r}")
        for name in (
            "target_parameters", "target_macs", "target_latency_ms", "max_parameters", "max_macs",
            "max_latency_ms",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be above 0, got {value!r}")
        for name in ("gamma", "gamma_macs", "gamma_latency"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"{name} must be a finite number, got {getattr(self, name)!r}")

    @property
    def needs_latency(self) -> bool:
        """Whether a limit or a target asks for the latency of every candidate."""
        return self.max_latency_ms is not None or self.target_latency_ms is not None

    def error_of(self, result: Mapping[str, Any]) -> float:
        """Return the error that a job's result tells. Raises: KeyError if it does not tell it."""
        return 1 - float(result["mean_oks"]) if self.error == "oks" else float(result["loss"])

    def score(self, error: float, size: Size) -> float:
        """Return J. Raises: ValueError for an error that is negative or not finite.

        >>> Fitness().score(0.5, Size(num_parameters=5_000_000, num_macs=1))
        0.5
        """
        if not (math.isfinite(error) and error >= 0):
            raise ValueError(f"the {self.error} must be finite and not negative, got {error}")
        score: float = error * (self.target_parameters / size.num_parameters) ** self.gamma
        if self.target_macs is not None:
            score *= (self.target_macs / size.num_macs) ** self.gamma_macs
        if self.target_latency_ms is not None:
            assert size.latency_ms is not None
            score *= (self.target_latency_ms / size.latency_ms) ** self.gamma_latency
        return score

    def refusal(self, size: Size) -> str | None:
        """Return why a network of this size is never trained, or None if it may be.

        A limit on a latency that is not measured yet refuses nothing.
        """
        n, macs, latency = size.num_parameters, size.num_macs, size.latency_ms
        if self.max_parameters is not None and n > self.max_parameters:
            return f"{n:,} parameters are above the limit of {self.max_parameters:,}"
        if self.max_macs is not None and macs > self.max_macs:
            return f"{macs:,} multiply-adds are above the limit of {self.max_macs:,}"
        if (
            self.max_latency_ms is not None
            and latency is not None
            and latency > self.max_latency_ms
        ):
            return f"{latency:.2f} ms are above the limit of {self.max_latency_ms:g} ms"
        return None
