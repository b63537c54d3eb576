"""The network to be measured: what a MODEL means, in the form of each runtime."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evopose.errors import ConfigError, ModelError
from evopose.genotype import Genotype
from evopose.inference.model_files import find_model_file
from evopose.inference.runtimes import EXPORTED, RUNTIMES, open_pose_model
from evopose.models.card import ModelCard, read_card
from evopose.models.evopose2d_plan import Complexity

if TYPE_CHECKING:
    from evopose.models.network import PoseNetwork


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network that is to be measured."""

    file: Path
    card: ModelCard
    size: Complexity
    """Parameters, and multiply-adds of one image."""
    random: bool
    """Whether it was built for this, with random weights: they cost the same time."""
    make_onnx: Callable[[], Path]
    """Returns the ONNX file of a model file, made if need be."""

    def file_of(self, runtime: str) -> Path:
        """Return the file for a runtime of `RUNTIMES`, exported if need be."""
        return self.file if self.file.suffix in RUNTIMES[runtime].suffixes else self.make_onnx()


def find_subject(
    model: str,
    folder: Path,
    *,
    genotype: str | None = None,
    input_hw: tuple[int, int] | None = None,
    on_export: Callable[[], None] = lambda: None,
) -> Subject:
    """Return the network that MODEL means: a file, a run's, or a name, built with random weights.

    `genotype` (JSON) and `input_hw` are for names. `folder` takes what is needed only now.
    `on_export` is called before an ONNX file is made, which takes seconds.

    Raises: ModelError for what cannot be found or takes more than images; ConfigError for a
    genotype or size beside a file.
    """
    found = find_model_file(model)
    if found is not None and (genotype or input_hw):
        raise ConfigError(
            f"{model} has its own genotype and input size; others are given for a name only"
        )
    file = found or _built(model, genotype, input_hw, folder)

    def make_onnx() -> Path:
        if found is not None:
            from evopose.inference.runtimes.exporting import exported_once

            return exported_once(file, on_export=on_export)
        made = file.with_suffix(".onnx")
        if not made.exists():
            from evopose.export import export_model
            from evopose.models.modelfile import load_model

            on_export()
            export_model(load_model(file), made, "onnx")
        return made

    card = open_pose_model(file).card if file.suffix in EXPORTED else read_card(file)
    return Subject(
        file=file, card=card, size=_size(card), random=found is None, make_onnx=make_onnx
    )


def _built(name: str, genotype: str | None, input_hw: tuple[int, int] | None, folder: Path) -> Path:
    """Return the file of a freshly built network."""
    from evopose.models import build_model
    from evopose.models.inputs import CodecSpec
    from evopose.models.modelfile import default_skeleton, model_card, save_model

    genes = Genotype.from_json(genotype) if genotype else None
    _require_images_alone(build_model(name, input_hw=input_hw, genotype=genes, outline=True))
    net = build_model(name, input_hw=input_hw, genotype=genes)
    skeleton = default_skeleton(net.config.num_keypoints)
    card = model_card(net, skeleton=skeleton, codec=CodecSpec())
    return save_model(folder / "network.safetensors", net, card)


def _size(card: ModelCard) -> Complexity:
    from evopose.models.complexity import complexity
    from evopose.models.modelfile import build_described

    net = build_described(card, outline=True)
    _require_images_alone(net)
    return complexity(net, input_hw=card.input_hw)


def _require_images_alone(net: "PoseNetwork") -> None:
    if net.refines:
        raise ModelError(
            "this network mends poses that another has found, and takes them beside the image; "
            "measured are networks that take images alone"
        )
