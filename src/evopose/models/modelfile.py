"""Model files: one safetensors file that holds a network and everything needed to use it.

The metadata has one key, `evopose`: JSON with format, architecture, genotype, config, input_hw,
skeleton, codec, input and provenance. Nothing in it is ever executed or unpickled.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import nn

from evopose.errors import EvoposeError, ModelError
from evopose.genotype import Genotype
from evopose.models.architectures import build_network, network_options
from evopose.models.evopose2d import KERNEL_ROTATION, EvoPose2D
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.network import PoseNetwork
from evopose.skeleton import COCO_PERSON, Skeleton

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


class LoadedModel(NamedTuple):
    """A network with its weights, in evaluation mode, and what its file says of it."""

    net: PoseNetwork
    card: ModelCard


def model_card(net: PoseNetwork, *, skeleton: Skeleton, codec: CodecSpec, **more: Any) -> ModelCard:
    """Return the card of a network; `more` are other fields of `ModelCard`.

    Raises: ModelError if the skeleton does not name the network's keypoints.
    """
    architecture, options = network_options(net)
    if architecture == "evopose2d":
        options["kernel_rotation"] = KERNEL_ROTATION
    if len(skeleton) != net.config.num_keypoints:
        raise ModelError(
            f"the network gives {net.config.num_keypoints} heatmaps, the skeleton names "
            f"{len(skeleton)} keypoints"
        )
    return ModelCard(
        architecture=architecture,
        genotype=getattr(net.config, "genotype", None),
        config=options,
        input_hw=net.config.input_hw,
        skeleton=skeleton,
        codec=codec,
        **more,
    )


def default_skeleton(num_keypoints: int) -> Skeleton:
    """Return COCO's person for 17 keypoints, and for another number keypoints without names."""
    if num_keypoints == len(COCO_PERSON):
        return COCO_PERSON
    return Skeleton(keypoints=tuple(f"keypoint_{i}" for i in range(1, num_keypoints + 1)))


def model_bytes(net: nn.Module, card: ModelCard, *, dtype: torch.dtype = torch.float32) -> bytes:
    """Return the model file as bytes, floating-point weights stored in `dtype`."""
    tensors = {
        name: (t.to(dtype) if t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in net.state_dict().items()
    }
    return safetensors.torch.save(tensors, {"evopose": card.to_json()})


def save_model(
    path: str | Path,
    net: nn.Module,
    card: ModelCard | None = None,
    *,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a model file, whole or not at all, and return its path.

    Without a `card` an EvoPose2D of 17 keypoints is taken to be for COCO's persons, one of another
    number for keypoints without names; read with the official codec.

    Raises: ModelError for a network that needs a card.
    """
    path = Path(path)
    card = card or _default_card(net)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(model_bytes(net, card, dtype=dtype))
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return path


def _default_card(net: nn.Module) -> ModelCard:
    if not isinstance(net, EvoPose2D):
        raise ModelError(f"give a card with a {type(net).__name__}: what it is, and how it is read")
    skeleton = default_skeleton(net.config.num_keypoints)
    return model_card(net, skeleton=skeleton, codec=CodecSpec())


def read_card(path: str | Path) -> ModelCard:
    """Return what a model file says of itself, without loading its weights.

    Raises: ModelError if the file is missing, no safetensors file, or not one of evopose's.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
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


def load_model(path: str | Path) -> LoadedModel:
    """Return the network (float32, evaluation mode, on the CPU) and the card of a model file.

    Raises: ModelError, naming missing, unexpected or misshapen weights; never loads in part.
    """
    card = read_card(path)
    try:
        net = _build(card)
    except (TypeError, EvoposeError) as error:
        raise ModelError(f"{path} describes a network that cannot be built: {error}") from error
    tensors = safetensors.torch.load_file(path)
    wanted = net.state_dict()
    problems = [f"missing {name}" for name in wanted.keys() - tensors.keys()]
    problems += [f"unexpected {name}" for name in tensors.keys() - wanted.keys()]
    problems += [
        f"{name} is {tuple(tensors[name].shape)}, expected {tuple(wanted[name].shape)}"
        for name in wanted.keys() & tensors.keys()
        if wanted[name].shape != tensors[name].shape
    ]
    if problems:
        shown = "; ".join(sorted(problems)[:5])
        raise ModelError(f"{path}: {len(problems)} weights do not fit its description: {shown}")
    net.load_state_dict(tensors)
    return LoadedModel(net.eval(), card)


def _build(card: ModelCard) -> PoseNetwork:
    options = dict(card.config)
    if card.architecture == "evopose2d":
        rotation = options.pop("kernel_rotation", None)
        if rotation != KERNEL_ROTATION:
            raise ModelError(f"kernel_rotation must be {KERNEL_ROTATION}, the file says {rotation}")
    return build_network(
        card.architecture,
        input_hw=card.input_hw,
        num_keypoints=len(card.skeleton),
        genotype=card.genotype,
        options=options,
    )
