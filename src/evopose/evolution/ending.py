"""Why a search ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evopose.evolution.config import EvolutionConfig


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why a search ended."""

    kind: Literal["generations", "hours", "patience", "exhausted", "stopped"]
    reason: str


def ending_of(
    config: EvolutionConfig, best: Sequence[float], seconds: float, newest: int
) -> Ending | None:
    """Return why a search ends after its last generation, if it does.

    `best` holds the best fitness found up to each generation, the ancestor's first; `seconds` is
    the time spent; `newest` the last generation that has someone in the Pareto set: a search for
    that set loses patience when it stays as it is.
    """
    generation = len(best) - 1
    if config.generations is not None and generation >= config.generations:
        return Ending(kind="generations", reason=f"all {config.generations} generations are done")
    if config.hours is not None and seconds >= config.hours * 3600:
        return Ending(kind="hours", reason="its hours are spent")
    if config.patience is not None and generation >= config.patience:
        if config.parents_by == "pareto":
            if generation - newest < config.patience:
                return None
            reason = f"the last {config.patience} generations added nobody to the Pareto set"
            return Ending(kind="patience", reason=reason)
        before = best[-1 - config.patience]
        gain = (before - best[-1]) / before if before else 0.0
        if gain <= config.min_gain:
            reason = f"the last {config.patience} generations improved the best by {gain:.2%}"
            return Ending(kind="patience", reason=reason)
    return None
