"""Everything that determines a search but its data: one frozen configuration."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from evopose.errors import ConfigError
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.fitness import Fitness
from evopose.genotype import Genotype, SearchSpace, size_hw
from evopose.models.evopose2d_plan import EvoPose2DConfig, nearest_input_hw
from evopose.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """What all networks of a search have in common."""

    stem_channels: int = 32
    head_channels: int = 128
    final_kernel: int = 1
    scaling_reference: float | None = 224.0


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """A search, checked when it is made.

    Raises: ConfigError for values that cannot be searched with, among them an ancestor outside
    the space, and an input size that the strides of the space's networks do not divide.
    """

    recipe: str
    """The recipe it was made from."""
    space: SearchSpace
    ancestor: Genotype
    ancestor_weights: str | None = None
    """A model file whose weights the ancestor starts from; None: it starts from random ones."""
    train_ancestor: bool = True
    """False: the ancestor is taken as its weights are, and only measured."""
    network: NetworkOptions = field(default_factory=NetworkOptions)
    input_hw: tuple[int, int]
    """Of all networks; where the space has the input size as a gene, the ancestor's."""
    transfer: str = "exact"
    """How children inherit: a name in `TRANSFER_RULES`."""
    evolution: EvolutionConfig
    ancestor_training: TrainConfig
    child_training: TrainConfig
    crop_margin: float = 1.4
    """Side of the stored crops over side of the network's, room for rotation and scale."""
    batch_norm_batches: int = 16
    """Batches over which a cut child's batch-norm statistics are estimated anew."""

    def __post_init__(self) -> None:
        if reason := self.space.why_not(self.ancestor):
            raise ConfigError(f"the ancestor is outside the space {self.space.name!r}: {reason}")
        if hw := self.ancestor.network.input_hw:
            object.__setattr__(self, "input_hw", hw)
        stride = 2 * self.space.largest_stride()
        if not self.train_ancestor and self.ancestor_weights is None:
            raise ConfigError(
                "an ancestor that is not trained (0 epochs) needs weights: give --ancestor FILE or "
                "--ancestor-weights FILE"
            )
        for height, width in self.input_sizes:
            if height % stride or width % stride:
                near = nearest_input_hw((height, width), stride)
                raise ConfigError(
                    f"input {height}x{width} is not divided by {stride}, the largest stride of "
                    f"networks in space {self.space.name!r}; the nearest size that fits is "
                    f"{near[0]}x{near[1]}"
                )
        if self.transfer not in ("exact", "official"):
            raise ConfigError(f"transfer must be exact or official, got {self.transfer!r}")

    @property
    def input_sizes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of every input that a network of the space may have, the ancestor's
        first."""
        gene = self.space.network.get("input_size")
        sizes = [] if gene is None else [size_hw(value) for value in gene.values]
        return tuple(dict.fromkeys([self.input_hw, *sizes]))

    def evopose2d(self, genotype: Genotype, *, num_keypoints: int) -> EvoPose2DConfig:
        """Return the network of `genotype` in this search."""
        return EvoPose2DConfig(
            genotype=genotype,
            input_hw=self.input_hw,
            num_keypoints=num_keypoints,
            **asdict(self.network),
        )

    def to_json(self) -> str:
        """Return the configuration as JSON, as `config.json` of a run holds it."""
        value = {
            "recipe": self.recipe,
            "space": json.loads(self.space.to_json()),
            "ancestor": self.ancestor.to_value(),
            "ancestor_weights": self.ancestor_weights,
            "train_ancestor": self.train_ancestor,
            "network": asdict(self.network),
            "input_hw": list(self.input_hw),
            "transfer": self.transfer,
            "evolution": asdict(self.evolution),
            "ancestor_training": self.ancestor_training.to_dict(),
            "child_training": self.child_training.to_dict(),
            "crop_margin": self.crop_margin,
            "batch_norm_batches": self.batch_norm_batches,
        }
        return json.dumps(value, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "SearchConfig":
        """Return the configuration that `to_json` wrote. Raises: ConfigError if it is none."""
        try:
            value: dict[str, Any] = json.loads(text)
            evolution = dict(value["evolution"])
            fitness = Fitness(**evolution.pop("fitness"))
            return cls(
                **value
                | {
                    "space": SearchSpace.from_json(json.dumps(value["space"])),
                    "ancestor": Genotype.from_value(value["ancestor"]),
                    "network": NetworkOptions(**value["network"]),
                    "input_hw": tuple(value["input_hw"]),
                    "evolution": EvolutionConfig(fitness=fitness, **evolution),
                    "ancestor_training": TrainConfig.from_dict(value["ancestor_training"]),
                    "child_training": TrainConfig.from_dict(value["child_training"]),
                }
            )
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ConfigError(f"not a search configuration: {error!r}") from error
