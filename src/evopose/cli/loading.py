"""What MODEL, `--weights` and `--refine` mean to verbs that use a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from evopose.cli.options import option, say
from evopose.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from evopose.inference.detectors import Detector
    from evopose.inference.pipeline import Pipeline
    from evopose.inference.refine import Refiner
    from evopose.inference.runtimes import PoseModel
    from evopose.models.modelfile import LoadedModel

MODEL = typer.Argument(
    help="A model file, an exported file, a run folder (its best), RUN:ID, default (the one in the "
    "package), or, with --weights, a name (see `evopose models`).",
    show_default=False,
)


def weights_option(panel: str | None = None) -> Any:
    """Return the option that gives a name its weights."""
    text = (
        "For a name: coco (published weights, fetched once), coco-dark or coco-udp (those trained "
        "with these codecs), or a file of weights."
    )
    return option(text, panel, "--weights", metavar="coco|FILE")


def input_option(panel: str | None = None) -> Any:
    """Return the option that gives a name its input size."""
    return option("Input size, for a name.", panel, "--input", metavar="HxW")


def refine_option(panel: str | None = None) -> Any:
    """Return the option that names a PoseFix."""
    return option("A PoseFix that mends the poses found.", panel, "--refine", metavar="MODEL")


def decoder_option(panel: str | None = None) -> Any:
    """Return the option that names another decoding than the model's own."""
    text = (
        "Find keypoints as another codec does: gaussian, dark, udp, megvii, or soft_argmax for "
        "networks of the softmax loss."
    )
    return option(text, panel, "--decoder", metavar="CODEC")


def detector_option(panel: str | None = None, *, whole: bool = False) -> Any:
    """Return the option that names what finds persons; `whole`: or that nothing does."""
    text = "Find persons in the images: yolox-nano (fetched once), or an ONNX file"
    text += " of YOLOX's or RT-DETR's form" + (
        "; none: each image is one person, whole." if whole else "."
    )
    return option(text, panel, "--detector", metavar="NAME|FILE")


def open_finder(
    detector: str, screen: Console, threads: int, *, threshold: float = 0.3
) -> "Detector":
    """Return the detector of `--detector`, fetched with a bar where need be.

    Raises: ModelError, DownloadFailed as `open_detector`.
    """
    from evopose.cli.bars import byte_bar
    from evopose.inference.detectors import open_detector

    with byte_bar(screen, f"fetching {detector}") as on_bytes:
        return open_detector(detector, threshold=threshold, threads=threads, on_progress=on_bytes)


def runtime_option(panel: str | None = None) -> Any:
    """Return the option that chooses what runs the network."""
    text = (
        "What runs the network: auto, pytorch, onnxruntime or openvino (pip install openvino). A "
        "model file is exported for the latter two once, and kept."
    )
    return option(text, panel, "--runtime", metavar="NAME")


@dataclass(frozen=True, kw_only=True)
class Running:
    """What runs a network, and where."""

    runtime: str = "auto"
    """A name in `RUNTIMES`, or `auto` for the fastest on this device."""
    device: str = "cpu"
    threads: int = 0


def reference_running(model: str, runtime: str | None, device: str, threads: int) -> Running:
    """Return what measures a model: PyTorch, unless another runtime is asked for or the file was
    exported for one."""
    from evopose.inference.runtimes import EXPORTED

    exported = Path(model).suffix in EXPORTED
    return Running(
        runtime=runtime or ("auto" if exported else "pytorch"), device=device, threads=threads
    )


def load_pipeline(
    model: str,
    screen: Console,
    *,
    weights: str | None,
    input_size: str | None,
    refine: str | None,
    flip_test: bool,
    running: Running,
    batch_size: int,
    decoder: str | None = None,
) -> "Pipeline":
    """Return the pipeline that the options of a verb describe, and tell what it is.

    Raises: ModelError, ConfigError as `open_model`; ModelError for a `--refine` that is no file;
    ConfigError for a `--decoder` that cannot read the network's heatmaps.
    """
    from evopose.inference.pipeline import open_pipeline

    network, origin = open_model(model, weights, input_size, running, screen)
    height, width = network.card.input_hw
    say(screen, f"network: {origin}, {height}x{width}; run by {network.runtime}")
    if flip_test and network.card.skeleton.flip_pairs is None:
        say(screen, "no flip test: the model's skeleton has no known left-right pairs")
        flip_test = False
    refiner = None
    if refine is not None:
        refiner = _open_refiner(
            refine, device=running.device, batch_size=batch_size, flip_test=flip_test
        )
        say(screen, f"poses are mended by {refine}")
    if decoder is not None:
        say(screen, f"heatmaps: of {network.card.codec.name}, read by {decoder}")
    return open_pipeline(
        network, batch_size=batch_size, flip_test=flip_test, refiner=refiner, decoder=decoder
    )


def open_model(
    model: str, weights: str | None, input_size: str | None, running: Running, screen: Console
) -> tuple["PoseModel", str]:
    """Return the network ready to run, and where it comes from, in words.

    Raises: ModelError if there is no such model, or if the weights are another network's;
    ConfigError for a name without weights, and for a file with them.
    """
    from evopose.inference.model_files import find_model_file
    from evopose.models.public import COCO_WEIGHTS

    file = find_model_file(model)
    origin = model
    if file is not None and (weights or input_size):
        raise ConfigError(
            f"{model} has weights and an input size of its own; --weights and --input are for names"
        )
    if file is None and weights is None:
        raise ConfigError(
            f"{model} is a name, without weights: give --weights coco for the published ones, "
            "--weights FILE for a file of them, or train it first (evopose train)"
        )
    if file is None and weights in COCO_WEIGHTS:
        file = _public(model, input_size, weights, screen)
        origin = f"{model}, published weights ({weights.replace('coco', 'COCO')})"
    if file is not None:
        return _run(file, running, screen), origin
    from evopose.inference.runtimes.pytorch import TorchModel

    if running.runtime not in ("auto", "pytorch"):
        raise ConfigError(
            f"--runtime {running.runtime} is for model files: write one first (evopose import)"
        )
    loaded = _named_file(model, Path(str(weights)), input_size)
    network = TorchModel.of(loaded, device=running.device, threads=running.threads)
    return network, f"{model}, weights of {weights}"


def _run(file: Path, running: Running, screen: Console) -> "PoseModel":
    from evopose.inference.runtimes import open_pose_model

    return open_pose_model(
        file,
        runtime=running.runtime,
        device=running.device,
        threads=running.threads,
        on_export=lambda name: say(screen, f"exporting {file} for {name}: once, some seconds"),
    )


def _input_hw(model: str, input_size: str | None) -> tuple[str, tuple[int, int]]:
    """Return the table's name and the input size of a name, with `--input` or without."""
    from evopose.models import MODELS, split_name
    from evopose.search.overrides import parse_size

    base, named = split_name(model)
    given = parse_size(input_size) if input_size else None
    if named and given and named != given:
        raise ConfigError(f"{model} names another input size than {input_size}")
    return base, given or named or MODELS[base].input_hw


def _public(model: str, input_size: str | None, weights: str, screen: Console) -> Path:
    from evopose.cli.bars import byte_bar
    from evopose.models.public import load_public

    base, input_hw = _input_hw(model, input_size)
    with byte_bar(screen, f"fetching weights of {base}") as on_bytes:
        return load_public(base, input_hw, weights=weights, on_progress=on_bytes)


def _named_file(model: str, file: Path, input_size: str | None) -> "LoadedModel":
    """Return what a file holds, a model file or public weights, if it is the network named."""
    from evopose.models.modelfile import LoadedModel, load_model

    base, input_hw = _input_hw(model, input_size)
    if not file.is_file():
        raise ModelError(f"there is no file of weights {file}; --weights takes coco or a file")
    if file.suffix == ".safetensors" and _is_model_file(file):
        loaded = load_model(file)
    else:
        from evopose.models.importers import import_weights

        made = import_weights(file, input_hw=input_hw)
        if not made.imported.trained_head:
            raise ModelError(
                f"{file} holds only a trunk ({made.format}), which finds no keypoints: train it "
                "first"
            )
        loaded = LoadedModel(made.imported.net.eval(), made.card)
    _require_named(loaded, base, model, input_hw if input_size or model != base else None, file)
    return loaded


def _is_model_file(file: Path) -> bool:
    from evopose.models.card import read_card

    try:
        read_card(file)
    except ModelError as error:
        if "metadata has no key" in str(error):
            return False
        raise
    return True


def _require_named(
    loaded: "LoadedModel", base: str, model: str, input_hw: tuple[int, int] | None, file: Path
) -> None:
    """Raise ModelError if the loaded network is not the one that a name means."""
    from evopose.models import MODELS

    entry, card = MODELS[base], loaded.card
    same = card.architecture == entry.architecture
    same = same and all(card.config.get(name) == value for name, value in entry.options.items())
    if not same or (entry.genotype and card.genotype != entry.genotype):
        raise ModelError(
            f"{file} holds another network than {base} ({card.architecture}); leave the name out "
            "and give a model file as MODEL"
        )
    if input_hw and card.input_hw != input_hw:
        height, width = card.input_hw
        raise ModelError(f"{file} has the input size {height}x{width}, not that of {model}")


def _open_refiner(refine: str, **options: Any) -> "Refiner":
    """Return the refiner of a model file; `options` are those of `open_refiner`."""
    from evopose.inference.model_files import find_model_file
    from evopose.inference.refine import Refiner

    file = find_model_file(refine)
    if file is None:
        raise ModelError(f"{refine} is a name, without weights; --refine takes a model file")
    return Refiner.load(file, **options)
