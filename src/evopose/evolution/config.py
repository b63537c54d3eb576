"""The settings of an evolution."""

from dataclasses import dataclass, field

from evopose.errors import ConfigError
from evopose.evolution.fitness import Fitness
from evopose.evolution.selection import PARENTS_BY

MODES = ("generations", "async")
"""How a search proceeds: generation after generation (the paper's), or without barriers."""


@dataclass(frozen=True, kw_only=True)
class EvolutionConfig:
    """How a search evolves and when it ends; the first of its ends to come ends it.

    Raises: ConfigError for a value that cannot be used.
    """

    mode: str = "generations"
    """A name in `MODES`."""
    window: int | None = None
    """W of a repeatable `async` search: a proposal sees the births up to W before it, and waits
    until all of them have ended; None: it sees what there is."""
    children: int = 64
    """Mutants a generation (lambda)."""
    parents: int = 4
    """Most individuals that have children (mu)."""
    parents_by: str = "best"
    """A name in `selection.PARENTS_BY`: `best` J (the paper's), `pareto`, or `random`, the control
    that knows no fitness."""
    clones: bool = True
    """Whether each generation also trains a clone of its best parent, as a control."""
    fitness: Fitness = field(default_factory=Fitness)
    seed: int = 0
    """Seed of the mutations."""
    training_seed: int = 0
    """Seed of every training: common random numbers, so that children differ by their genes."""
    generations: int | None = None
    """Generations after the ancestor's, 0 for the ancestor alone; None: any number."""
    hours: float | None = None
    """Hours over all sessions of the run, after which no training begins; None: any number."""
    patience: int | None = None
    """End when so many generations together improved the best fitness too little; None: never."""
    min_gain: float = 0.0
    """What is too little: this share of the best fitness before them, or less."""
    max_attempts: int = 3
    """After so many workers died of an individual, or hung in it, it has failed."""
    lease_seconds: float = 600.0
    """A worker that gives no sign of life for so long is hung, and killed."""
    timeout_seconds: float | None = None
    """An individual whose training takes longer has failed; None: it may take any time."""
    keep_best: int = 10
    """Of how many of the best to keep the weights; those of parents and Pareto set stay anyway."""
    quota_gb: float | None = None
    """What the weights may take of the disk: above it fewer of the best keep theirs, and when
    that is not enough the search pauses; None: any amount."""
    rescore: int = 0
    """So many of the best are trained again with other seeds when the search ends, and the winner
    is who is best then; 0: the lowest J wins."""
    rescore_seeds: int = 2
    """With how many other seeds."""

    @property
    def keep(self) -> int:
        """Of how many of the best the weights are needed still."""
        return max(self.parents, self.keep_best, self.rescore)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        if self.window is not None and (self.window < 1 or self.mode != "async"):
            raise ConfigError(
                f"a window is at least 1, and of mode async alone; got {self.window} with mode "
                f"{self.mode}: generations repeat themselves without one"
            )
        if self.mode == "async" and self.fitness.needs_latency:
            raise ConfigError(
                "latencies are measured while nothing trains, and mode async never pauses: use "
                "mode generations, or limit multiply-adds instead of latency"
            )
        if self.parents_by not in PARENTS_BY:
            raise ConfigError(
                f"parents_by must be one of {', '.join(PARENTS_BY)}, got {self.parents_by!r}"
            )
        for name in ("children", "parents", "max_attempts", "rescore_seeds"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("patience", "hours", "lease_seconds", "timeout_seconds", "quota_gb"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be above 0, got {value}")
        if self.generations is not None and self.generations < 0:
            raise ConfigError(f"generations must not be negative, got {self.generations}")
        for name in ("seed", "training_seed", "min_gain", "keep_best", "rescore"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}")
