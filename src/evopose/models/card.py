"""What a model file says of its network. Reading it loads no torch.

The card is JSON under the key `evopose` of the metadata of a model file, and of the files that
`evopose export` writes: format, architecture, genotype, config, input_hw, skeleton, codec, input
and provenance.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import safetensors

from evopose.errors import EvoposeError, ModelError
from evopose.genotype import Genotype
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.skeleton import Skeleton

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model file says of its network."""

    architecture: str
    genotype: Genotype | None
    config: dict[str, Any]
    """The architecture's options; for EvoPose2D also `kernel_rotation`, in degrees."""
    input_hw: tuple[int, int]
    skeleton: Skeleton
    codec: CodecSpec
    input: InputSpec = field(default_factory=InputSpec)
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: data, recipe, parent, scores, versions. JSON values."""

    def to_json(self) -> str:
        """Return the card as the JSON of the metadata."""
        value = {f.name: getattr(self, f.name) for f in fields(self)}
        value |= {
            "format": FORMAT,
            "genotype": self.genotype and self.genotype.to_value(),
            "skeleton": self.skeleton.to_json(),
            "codec": asdict(self.codec),
            "input": asdict(self.input),
        }
        return json.dumps(value)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> "ModelCard":
        """Return the card that `to_json` wrote; `source` names the file in errors."""
        try:
            value = json.loads(text)
            if (written := value["format"]) != FORMAT:
                raise ModelError(
                    f"model format {written}, this version of evopose reads {FORMAT}: install the "
                    "version that wrote it, or a newer one"
                )
            return cls(
                architecture=value["architecture"],
                genotype=Genotype.from_value(value["genotype"]) if value["genotype"] else None,
                config=dict(value["config"]),
                input_hw=(int(value["input_hw"][0]), int(value["input_hw"][1])),
                skeleton=Skeleton.from_json(value["skeleton"]),
                codec=CodecSpec(**value["codec"]),
                input=InputSpec.from_dict(value["input"]),
                provenance=dict(value["provenance"]),
            )
        except EvoposeError as error:
            raise ModelError(f"{source}: its description cannot be used: {error}") from error
        except (LookupError, TypeError, ValueError) as error:
            raise ModelError(f"{source}: its description cannot be read: {error!r}") from error


def read_card(path: str | Path) -> ModelCard:
    """Return what a model file says of itself, without loading its weights.

    Raises: ModelError if the file is missing, no safetensors file, or not one of evopose's.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError as error:
        raise ModelError(f"there is no model file {path}") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is not a readable safetensors file ({error}); expected a model file written "
            "by `evopose train` or `evopose evolve`"
        ) from error
    if "evopose" not in metadata:
        raise ModelError(
            f"{path} is a safetensors file, but not one of evopose's: its metadata has no key "
            "`evopose`"
        )
    return ModelCard.from_json(metadata["evopose"], source=str(path))
