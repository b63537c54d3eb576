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
from evopose.models.evopose2d import KERNEL_ROTATION, EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.skeleton import COCO_PERSON, Skeleton

FORMAT = 1
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How an image becomes the network's input: (pixel * scale - mean) / std, by channel."""

    color: str = "RGB"
    scale: float = 1 / 255
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    box_padding: float = 1.25
    """Side of the crop over side of the box, after the box got the input's side ratio."""


@dataclass(frozen=True, kw_only=True)
class CodecSpec:
    """The codec that reads the heatmaps: a name in `CODECS` and its parameters."""

    name: str = "gaussian"
    params: dict[str, Any] = field(default_factory=dict)


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
    input: InputSpec = InputSpec()
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
            spec = value["input"]
            return cls(
                architecture=value["architecture"],
                genotype=Genotype.from_value(value["genotype"]) if value["genotype"] else None,
                config=dict(value["config"]),
                input_hw=(int(value["input_hw"][0]), int(value["input_hw"][1])),
                skeleton=Skeleton.from_json(value["skeleton"]),
                codec=CodecSpec(**value["codec"]),
                input=InputSpec(**spec | {k: tuple(spec[k]) for k in ("mean", "std")}),
                provenance=dict(value["provenance"]),
            )
        except EvoposeError as error:
            raise ModelError(f"{source}: its description cannot be used: {error}") from error
        except (LookupError, TypeError, ValueError) as error:
            raise ModelError(f"{source}: its description cannot be read: {error!r}") from error


_LATER = ("expand_ratio", "se_ratio", "activation", "head_activation")
"""Options that came after format 1: written where they are not the default, so that what has none
of them is read by earlier versions, too."""


class LoadedModel(NamedTuple):
    """A network with its weights, in evaluation mode, and what its file says of it."""

    net: nn.Module
    card: ModelCard


def evopose2d_card(
    net: EvoPose2D, *, skeleton: Skeleton, codec: CodecSpec, **more: Any
) -> ModelCard:
    """Return the card of an EvoPose2D network; `more` are other fields of `ModelCard`."""
    config = asdict(net.config)
    for name in ("genotype", "input_hw", "num_keypoints"):
        del config[name]
    for name in _LATER:
        if config[name] == getattr(EvoPose2DConfig, name):
            del config[name]
    if len(skeleton) != net.config.num_keypoints:
        raise ModelError(
            f"the network gives {net.config.num_keypoints} heatmaps, the skeleton names "
            f"{len(skeleton)} keypoints"
        )
    return ModelCard(
        architecture="evopose2d",
        genotype=net.config.genotype,
        config=config | {"kernel_rotation": KERNEL_ROTATION},
        input_hw=net.config.input_hw,
        skeleton=skeleton,
        codec=codec,
        **more,
    )


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
    count = net.config.num_keypoints
    nameless = Skeleton(keypoints=tuple(f"keypoint_{i}" for i in range(1, count + 1)))
    skeleton = COCO_PERSON if count == len(COCO_PERSON) else nameless
    return evopose2d_card(net, skeleton=skeleton, codec=CodecSpec())


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
    if card.architecture not in ARCHITECTURES:
        raise ModelError(
            f"{path} holds a {card.architecture!r}; this version builds {', '.join(ARCHITECTURES)}"
        )
    try:
        net = ARCHITECTURES[card.architecture](card)
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


def _build_evopose2d(card: ModelCard) -> nn.Module:
    config = dict(card.config)
    if (rotation := config.pop("kernel_rotation", None)) != KERNEL_ROTATION:
        raise ModelError(f"kernel_rotation must be {KERNEL_ROTATION}, the file says {rotation}")
    if card.genotype is None:
        raise ModelError("an EvoPose2D file must hold its genotype")
    return build_evopose2d(
        EvoPose2DConfig(
            genotype=card.genotype,
            input_hw=card.input_hw,
            num_keypoints=len(card.skeleton),
            **config,
        )
    )


ARCHITECTURES = {"evopose2d": _build_evopose2d}
"""Architecture's name in a model file -> a function from the card to the network."""
