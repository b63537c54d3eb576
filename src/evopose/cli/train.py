"""`evopose train`: full training of one network."""

import shlex
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from evopose.cli import app
from evopose.cli.options import (
    DATA,
    JSON,
    VERBOSE,
    also_option,
    annotations_option,
    console,
    device_option,
    option,
    print_json,
    rename_option,
    say,
    stop_on_ctrl_c,
    tensorboard_option,
)
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.models.card import ModelCard
    from evopose.models.network import PoseNetwork
    from evopose.training.compute import Compute
    from evopose.training.config import TrainConfig
    from evopose.training.session import PosesOf

MODEL = typer.Argument(
    help="A model file, a run folder (its best), RUN:ID, or a name (see `evopose models`).",
    show_default=False,
)
_NETWORK, _TRAINING, _MACHINE = "Network", "Training", "Data, machine and folder"


@app.command()
def train(
    model: str = MODEL,
    data: str = DATA,
    recipe: str = typer.Option(
        "own",
        help="own: that of the network's authors, small for a file or a run. common: the same for "
        "any network. Or small (a laptop's), paper, or another network's.",
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on with the training in --out."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
    fresh: bool = typer.Option(
        False, "--fresh", help="Start from random weights.", rich_help_panel=_NETWORK
    ),
    genotype: str = option("Genes of evopose2d, in JSON.", _NETWORK),
    input_size: str = option(
        "Input size; the weights of a file go on at it.", _NETWORK, "--input", metavar="HxW"
    ),
    scaling_reference: str = option(
        "For an EvoPose2D by name: input side at which its depth and width are those of the "
        "genotype, or none for any; default 224.",
        _NETWORK,
    ),
    parent: str = option(
        "For an EvoPose2D by name: a model whose weights it inherits, as a child in a search.",
        _NETWORK,
        "--parent",
        metavar="MODEL",
    ),
    epochs: int = option("Epochs; warm-up and steps of the rate in proportion.", _TRAINING),
    batch_size: int = option("Persons a step, on all devices together.", _TRAINING),
    learning_rate: float = option("Peak learning rate.", _TRAINING),
    scale_learning_rate: bool = typer.Option(
        False,
        "--scale-learning-rate",
        help="Change the rate in proportion to --batch-size, with a warm-up where it rises.",
        rich_help_panel=_TRAINING,
    ),
    loss: str = option("mse, softmax, or that of a network.", _TRAINING),
    codec: str = option(
        "How keypoints become heatmaps and back: gaussian, dark, udp, megvii (mse only) or "
        "soft_argmax (softmax only); default the loss's, or that of a file's weights.",
        _TRAINING,
    ),
    refined: str = option(
        "For a refiner: a model whose poses it learns to mend, instead of made-up errors.",
        _TRAINING,
        "--errors-of",
        metavar="MODEL",
    ),
    accumulate: int = option("Parts to cut each batch into, to save memory.", _TRAINING),
    patience: int = option(
        "Stop after so many epochs without a better validation loss.", _TRAINING
    ),
    seed: int = typer.Option(0, help="Seed of every random draw.", rich_help_panel=_TRAINING),
    out: Path = option("Folder to write; default runs/train-DATE.", _MACHINE),
    annotations: list[str] = annotations_option(_MACHINE),
    also: list[str] = also_option(_MACHINE),
    rename: list[str] = rename_option(_MACHINE),
    device: str = device_option(_MACHINE),
    precision: str = typer.Option("auto", help="auto, fp32 or bf16.", rich_help_panel=_MACHINE),
    threads: int = option("CPU threads; default all.", _MACHINE),
    devices: str = option(
        "Train on so many GPUs at once, or all; on a CPU in so many processes.",
        _MACHINE,
        metavar="N",
    ),
    tensorboard: bool = tensorboard_option(_MACHINE),
) -> None:
    """Train MODEL fully on DATA; the model file it writes explains itself.

    A network with weights (a file, a run's best) goes on from them unless --fresh. The val split
    chooses the best epoch. Ctrl-C stops cleanly; --resume goes on as if nothing had happened.

    Example: evopose train runs/people-20260101-120000 people/ --epochs 60
    """
    from evopose.cli.launching import end_with_others, launch, stop_with_launcher
    from evopose.cli.live import DataDisplay
    from evopose.cli.train_live import TrainDisplay
    from evopose.data.layouts import open_dataset
    from evopose.data.naming import parse_renames
    from evopose.evolution.database import errors_of
    from evopose.search.network import load_or_build
    from evopose.search.overrides import parse_size
    from evopose.search.versions import versions
    from evopose.training.compute import resolve_processes, share_compute
    from evopose.training.event_files import EventFiles, require_tensorboard
    from evopose.training.losses import LOSSES
    from evopose.training.processes import this_place
    from evopose.training.session import train_network

    if tensorboard:
        require_tensorboard()
    place = this_place()
    first = place.rank == 0
    screen = console(as_json) if first else Console(quiet=True)
    on_data = DataDisplay(screen)
    recipe = _recipe(model, recipe)
    config = _config(
        recipe,
        epochs=epochs,
        scale=scale_learning_rate,
        batch_size=batch_size,
        learning_rate=learning_rate,
        loss=loss,
        codec=codec,
        accumulate=accumulate,
        patience=patience,
        seed=seed,
        precision=precision,
    )
    if resume and out is None:
        raise ConfigError("which training is to go on? name its folder with --out")
    folder = out or Path("runs") / f"train-{time.strftime('%Y%m%d-%H%M%S')}"
    count = resolve_processes(devices, device, place)
    if config.batch_size < (processes := max(count, place.processes)):
        raise ConfigError(
            f"batches of {config.batch_size} leave some of {processes} processes without any "
            "person: give a larger --batch-size"
        )
    if count > place.local_processes:
        raise typer.Exit(launch(count))
    compute = share_compute(place, device, threads=threads, precision=precision)
    splits = open_dataset(
        data, annotations=annotations, also=also or (), rename=parse_renames(rename or ()),
        only=("train", "val"),
        on_progress=on_data,
    )  # fmt: skip
    net, card, origin = load_or_build(
        model,
        splits.train.skeleton,
        genotype=genotype,
        input_hw=parse_size(input_size) if input_size else None,
        fresh=fresh,
        seed=seed,
        scaling=scaling_reference,
        parent=parent,
    )
    if card is not None:  # what the weights have learned to see
        config = replace(config if config.codec else _with_codec_of(card, config), input=card.input)
    say(screen, f"device: {compute.describe()}")
    say(screen, f"recipe: {recipe}, {config.epochs} epochs of batches of {config.batch_size}")
    if scale_learning_rate:
        say(screen, _scaled(config, recipe))
    say(screen, f"network: {origin}, {net.config.input_hw[0]}x{net.config.input_hw[1]}")
    reads = config.codec or LOSSES[config.loss].codec
    if card is not None and card.codec.name != reads:
        say(screen, f"codec: {reads}; the file's was {card.codec.name}")
    elif config.codec:
        with_own = ", with the file's parameters" if config.codec_params is not None else ""
        say(screen, f"codec: {reads}{with_own}")
    say(
        screen,
        f"data: {splits.source}: {len(splits.train.trainable):,} persons to train, "
        f"{len(splits.val.trainable):,} to validate",
    )
    for one in splits.joined:
        say(screen, f"joined: {one.describe()}")
    say(screen, f"folder: {folder}", exact=True)
    board = EventFiles(folder / "tensorboard") if tensorboard and first else nullcontext()
    with (
        stop_on_ctrl_c(quiet=not first) as stop,
        TrainDisplay(screen) as show,
        errors_of(folder),
        end_with_others(),
        board as files,
    ):

        def tell(event: dict[str, Any]) -> None:
            if files is not None and event.get("kind") == "epoch":
                files.epoch("train", event)
            show(event)

        trained = train_network(
            net,
            splits,
            config,
            folder,
            compute=compute,
            provenance={"model": model, "recipe": recipe, "versions": versions()}
            | ({"parent": parent} if parent else {}),
            resume=resume,
            poses_of=_poses_of(net, refined, compute, seed),
            on_data=on_data,
            on_progress=tell,
            should_stop=stop_with_launcher(stop) if place.launched else stop,
        )
    outcome = trained.outcome
    if as_json and first:
        model_file = str(trained.model) if outcome.finished else None
        best = vars(outcome.best) if outcome.history else None
        print_json({"folder": str(folder), "model": model_file, "best": best})
    if not outcome.finished:
        say(screen, f"go on with: {_again(folder)}", exact=True)
        raise typer.Exit(130)
    say(
        screen,
        f"best epoch {outcome.best.epoch}: loss {outcome.best.val_loss:.4f}, mean OKS "
        f"{outcome.best.val_oks:.3f} on the validation persons",
    )
    say(screen, f"wrote {trained.model}", exact=True)


def _again(folder: Path) -> str:
    """Return this command line, made to go on: a training needs all its options again."""
    given = sys.argv[1:]
    named = any(word.partition("=")[0] == "--out" for word in given)
    more = [*([] if named else ["--out", str(folder)]), *({"--resume"} - set(given))]
    return shlex.join(["evopose", *given, *more])


def _recipe(model: str, recipe: str) -> str:
    """Return the recipe that `own` means for a model."""
    from evopose.inference.model_files import find_model_file
    from evopose.models import MODELS, split_name
    from evopose.models.card import read_card
    from evopose.recipes.train import OWN

    if recipe != OWN:
        return recipe
    if file := find_model_file(model):
        return "posefix" if read_card(file).architecture == "posefix" else "small"
    return MODELS[split_name(model)[0]].recipe


def _poses_of(
    net: "PoseNetwork", model: str | None, compute: "Compute", seed: int
) -> "PosesOf | None":
    """Return where a refiner's poses come from; None for a network that finds them."""
    from evopose.inference.model_files import require_model_file
    from evopose.training.poses import errors_of, synthetic_errors

    if not net.refines:
        if model:
            raise ConfigError("--errors-of is for networks that refine poses (posefix-r50, -r152)")
        return None
    return errors_of(require_model_file(model), compute) if model else synthetic_errors(seed)


def _with_codec_of(card: "ModelCard", config: "TrainConfig") -> "TrainConfig":
    """Return the configuration with the codec that a file's weights have learned, its parameters
    included, as far as the loss can go on with it."""
    from evopose.training.config import ANY_CODEC
    from evopose.training.losses import LOSSES
    from evopose.training.session import codec_spec

    loss, codec = LOSSES[config.loss], card.codec
    try:
        named = replace(config, codec=codec.name)
    except ConfigError:
        return config
    kept = config if codec.name == loss.codec else named
    meant = loss.codec_params(card.input_hw).get("activation", "none")
    fits = config.loss in ANY_CODEC and codec.params.get("activation", "none") == meant
    if fits and codec_spec(kept, card.input_hw) != codec:
        return replace(named, codec_params=dict(codec.params))
    return kept


def _config(recipe: str, *, epochs: int | None, scale: bool, **options: Any) -> "TrainConfig":
    from evopose.recipes import TRAIN_RECIPES

    if recipe not in TRAIN_RECIPES:
        raise ConfigError(f"no recipe {recipe!r}; there are {', '.join(TRAIN_RECIPES)}")
    given = {name: value for name, value in options.items() if value is not None}
    config = TRAIN_RECIPES[recipe]()
    config = config if epochs is None else config.lasting(epochs)
    if scale:
        if "batch_size" not in given or "learning_rate" in given:
            raise ConfigError(
                "--scale-learning-rate follows from --batch-size: give that, and no --learning-rate"
            )
        config = config.scaled_to(given["batch_size"])
    return replace(config, **given)


def _scaled(config: "TrainConfig", recipe: str) -> str:
    """Return a line on what a batch of another size has changed."""
    from evopose.recipes import TRAIN_RECIPES

    factor = config.batch_size / TRAIN_RECIPES[recipe]().batch_size
    return (
        f"learning rate: {config.learning_rate:g}, {factor:g} times the recipe's, as the batches "
        f"are; warm-up over {config.warmup_epochs:g} epochs from {config.warmup_from:g}"
    )
