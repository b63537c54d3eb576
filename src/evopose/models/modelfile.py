"""Model files: one safetensors file that holds a network and everything needed to use it.

The metadata has one key, `evopose`: the network's card (see `evopose.models.card`). Nothing in the
file is ever executed or unpickled.
"""

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import nn

from evopose.errors import EvoposeError, ModelError
from evopose.models.architectures import build_network, network_options
from evopose.models.card import ModelCard, read_card
from evopose.models.evopose2d import KERNEL_ROTATION, EvoPose2D
from evopose.models.inputs import CodecSpec
from evopose.models.network import PoseNetwork
from evopose.skeleton import COCO_PERSON, Skeleton


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


def load_model(path: str | Path) -> LoadedModel:
    """Return the network (float32, evaluation mode, on the CPU) and the card of a model file.

    Raises: ModelError, naming missing, unexpected or misshapen weights; never loads in part.
    """
    card = read_card(path)
    try:
        net = build_described(card)
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


def build_described(card: ModelCard, *, outline: bool = False) -> PoseNetwork:
    """Return a fresh network as a card describes it; with `outline` its weights are only shapes.

    Raises: ModelError, ConfigError for what this version does not build.
    """
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
        outline=outline,
    )
