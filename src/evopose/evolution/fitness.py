"""The fitness of the paper, and limits that are applied before anything is trained."""

import math
from dataclasses import dataclass

from evopose.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Fitness:
    """J = loss * (T / n) ** Gamma, lower is better; n is the number of parameters.

    Source: EvoPose2D (arXiv 2011.08446), equation 2; official `ga.py` at ea05b81.
    """

    target_parameters: float = 5e6
    """T: at this many parameters J is the loss."""
    gamma: float = -0.07
    """Negative: fewer parameters make a better J."""
    target_macs: float | None = None
    """If given, J is also multiplied by (target_macs / num_macs) ** gamma_macs."""
    gamma_macs: float = -0.07
    max_parameters: int | None = None
    """Larger networks are never trained."""
    max_macs: int | None = None
    """Costlier networks are never trained."""

    def __post_init__(self) -> None:
        for name in ("target_parameters", "target_macs", "max_parameters", "max_macs"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} must be above 0, got {value!r}")
        for name in ("gamma", "gamma_macs"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"{name} must be a finite number, got {getattr(self, name)!r}")

    def score(self, loss: float, num_parameters: int, num_macs: int) -> float:
        """Return J. Raises: ValueError for a loss that is negative or not finite.

        >>> Fitness().score(0.5, 5_000_000, 1)
        0.5
        """
        if not (math.isfinite(loss) and loss >= 0):
            raise ValueError(f"a loss must be finite and not negative, got {loss}")
        score: float = loss * (self.target_parameters / num_parameters) ** self.gamma
        if self.target_macs is not None:
            score *= (self.target_macs / num_macs) ** self.gamma_macs
        return score

    def refusal(self, num_parameters: int, num_macs: int) -> str | None:
        """Return why a network of this size is never trained, or None if it may be."""
        if self.max_parameters is not None and num_parameters > self.max_parameters:
            return f"{num_parameters:,} parameters are above the limit of {self.max_parameters:,}"
        if self.max_macs is not None and num_macs > self.max_macs:
            return f"{num_macs:,} multiply-adds are above the limit of {self.max_macs:,}"
        return None
