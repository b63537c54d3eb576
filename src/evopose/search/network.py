"""The network that a MODEL argument means, for a skeleton: loaded, or built anew."""

from typing import Any

from evopose.errors import ConfigError, ModelError
from evopose.genotype import Genotype
from evopose.inference.model_files import find_model_file, require_model_file
from evopose.models import build_model
from evopose.models.architectures import at_size, like
from evopose.models.card import ModelCard
from evopose.models.evopose2d import EvoPose2D
from evopose.models.evopose2d_plan import require_fit
from evopose.models.modelfile import load_model
from evopose.models.network import PoseNetwork
from evopose.models.transfer import inherit_weights
from evopose.skeleton import Skeleton


def load_or_build(
    model: str,
    skeleton: Skeleton,
    *,
    genotype: str | None = None,
    input_hw: tuple[int, int] | None = None,
    fresh: bool = False,
    seed: int = 0,
    scaling: str | None = None,
    parent: str | None = None,
) -> tuple[PoseNetwork, ModelCard | None, str]:
    """Return the network, the card of the file with its weights, and where it comes from, in words.

    `model` is a model file, the folder of a run (its best) or of a training, `RUN:ID`, or a name.
    The weights of a file go on at another `input_hw`, if one is given and they fit there; `fresh`
    draws them anew. Genotype, `scaling` (see `EvoPose2DConfig.scaling_reference`, as text) and
    `parent` (a model file whose weights it inherits, as a child does) may be given for a name only.

    Raises: ModelError if `model` is none of these, or its keypoints are not the skeleton's;
    ConfigError for an input size that the strides do not divide, or the weights do not fit.
    """
    file = find_model_file(model)
    if file is None:
        options: dict[str, Any] = {}
        if scaling is not None:
            options["scaling_reference"] = parse_reference(scaling)
        built = build_model(
            model,
            input_hw=input_hw,
            num_keypoints=len(skeleton),
            genotype=Genotype.from_json(genotype) if genotype else None,
            seed=seed,
            **options,
        )
        if isinstance(built, EvoPose2D):
            require_fit(built.config)
        if parent is None:
            return built, None, f"{model}, random weights"
        report = inherit_weights(load_model(require_model_file(parent)).net, built)
        share = f"{report.share_inherited:.0%}"
        return built, None, f"{model}, {share} of its weights inherited from {parent}"
    if genotype or scaling or parent:
        raise ConfigError(
            f"{model} has its own genotype, scaling and weights; give others for a name only"
        )
    net, card = load_model(file)
    if card.skeleton.keypoints != skeleton.keypoints:
        raise ModelError(
            f"{model} knows the keypoints {', '.join(card.skeleton.keypoints)}; the data has "
            f"{', '.join(skeleton.keypoints)}"
        )
    size = input_hw or card.input_hw
    if fresh:
        net = like(net, seed=seed, input_hw=size)
        return net, None, f"{model}, random weights"
    if size != card.input_hw:
        net = at_size(net, size)
    if isinstance(net, EvoPose2D):
        require_fit(net.config)
    return net, card, f"{model}, with its weights"


def parse_reference(value: str | float) -> float | None:
    """Return `scaling_reference` from a number or `none`. Raises: ConfigError for anything else."""
    if value == "none":
        return None
    try:
        return float(value)
    except ValueError as error:
        raise ConfigError(
            f"scaling_reference is a side in pixels, or none; got {value!r}"
        ) from error
