"""`evopose train`: full training of one network."""

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evopose.cli import app
from evopose.cli.options import (
    ANNOTATIONS,
    DATA,
    DEVICE,
    JSON,
    console,
    print_json,
    stop_on_ctrl_c,
)
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.training.config import TrainConfig

MODEL = typer.Argument(
    help="A model file, a run folder (its best), RUN:ID, or a name (see `evopose models`).",
    show_default=False,
)


@app.command()
def train(
    model: str = MODEL,
    data: str = DATA,
    recipe: str = typer.Option("small", help="small (a laptop's) or paper."),
    out: Path = typer.Option(
        None, help="Folder to write; default runs/train-DATE.", show_default=False
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on with the training in --out."),
    fresh: bool = typer.Option(False, "--fresh", help="Start from random weights."),
    genotype: str = typer.Option(
        None,
        help="For evopose2d: [[kernel, repeats, filters / 8, stride], ...].",
        show_default=False,
    ),
    input_size: str = typer.Option(
        None, help="Input size HxW, for a name.", metavar="HxW", show_default=False
    ),
    epochs: int = typer.Option(None, help="Epochs.", show_default=False),
    batch_size: int = typer.Option(None, help="Persons a step.", show_default=False),
    learning_rate: float = typer.Option(None, help="Peak learning rate.", show_default=False),
    loss: str = typer.Option(None, help="mse or softmax.", show_default=False),
    accumulate: int = typer.Option(
        None, help="Parts to cut each batch into, to save memory.", show_default=False
    ),
    patience: int = typer.Option(
        None, help="Stop after so many epochs without a better validation loss.", show_default=False
    ),
    seed: int = typer.Option(0, help="Seed of every random draw."),
    precision: str = typer.Option("auto", help="auto, fp32 or bf16."),
    device: str = DEVICE,
    threads: int = typer.Option(None, help="CPU threads; default all.", show_default=False),
    annotations: str = ANNOTATIONS,
    as_json: bool = JSON,
) -> None:
    """Train MODEL fully on DATA; the model file it writes explains itself.

    A network with weights (a file, a run's best) goes on from them unless --fresh. The val split
    chooses the best epoch. Ctrl-C stops cleanly; --resume goes on as if nothing had happened.

    Example: evopose train runs/people-20260101-120000 people/ --epochs 60
    """
    from evopose.data.layouts import open_dataset
    from evopose.search.network import load_or_build
    from evopose.search.overrides import parse_size
    from evopose.search.session import versions
    from evopose.training.compute import resolve_compute
    from evopose.training.session import train_network

    screen = console(as_json)
    config = _config(
        recipe,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        loss=loss,
        accumulate=accumulate,
        patience=patience,
        seed=seed,
        precision=precision,
    )
    folder = out or Path("runs") / f"train-{time.strftime('%Y%m%d-%H%M%S')}"
    compute = resolve_compute(device, threads=threads, precision=precision)
    splits = open_dataset(
        data, annotations=annotations, seed=seed, only=("train", "val"),
        on_progress=_data_display(screen),
    )  # fmt: skip
    net, origin = load_or_build(
        model,
        splits.train.skeleton,
        genotype=genotype,
        input_hw=parse_size(input_size) if input_size else None,
        fresh=fresh,
        seed=seed,
    )
    screen.print(
        f"device: {compute.describe()}\nnetwork: {origin}\ndata: {splits.source}: "
        f"{len(splits.train.trainable)} persons to train, {len(splits.val.trainable)} to validate\n"
        f"folder: {folder}",
        highlight=False,
        soft_wrap=True,
    )
    with stop_on_ctrl_c() as stop, _TrainDisplay(screen) as show:
        trained = train_network(
            net,
            splits,
            config,
            folder,
            compute=compute,
            provenance={"model": model, "recipe": recipe, "versions": versions()},
            resume=resume,
            on_data=_data_display(screen),
            on_progress=show,
            should_stop=stop,
        )
    outcome = trained.outcome
    if not outcome.finished:
        again = shlex.join(["evopose", "train", model, data, "--out", str(folder), "--resume"])
        screen.print(f"go on with the same options and: {again}", highlight=False)
        raise typer.Exit(130)
    best = outcome.best
    screen.print(
        f"best epoch {best.epoch}: loss {best.val_loss:.4f}, mean OKS {best.val_oks:.3f} on the "
        f"validation persons\nwrote {trained.model}",
        highlight=False,
        soft_wrap=True,
    )
    if as_json:
        print_json({"model": str(trained.model), "best": vars(best)})


def _config(recipe: str, **options: Any) -> "TrainConfig":
    from evopose.recipes import TRAIN_RECIPES

    if recipe not in TRAIN_RECIPES:
        raise ConfigError(f"no recipe {recipe!r}; there are {', '.join(TRAIN_RECIPES)}")
    given = {name: value for name, value in options.items() if value is not None}
    return replace(TRAIN_RECIPES[recipe](), **given)


def _data_display(screen: Any) -> Any:
    from evopose.cli.live import DataDisplay

    return DataDisplay(screen)


class _TrainDisplay:
    """A bar over all steps, and a line an epoch."""

    def __init__(self, screen: Any) -> None:
        self.screen = screen
        self.bars = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
        )
        self.task = self.bars.add_task("train", total=None, epoch=1, note="")

    def __enter__(self) -> "_TrainDisplay":
        self.bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bars.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        if event.get("kind") == "epoch":
            self.screen.print(
                f"epoch {event['epoch']}: train loss {event['train_loss']:.4f}, "
                f"val loss {event['val_loss']:.4f}, mean OKS {event['val_oks']:.3f}, "
                f"{event['samples'] / max(event['train_seconds'], 1e-9):.0f} images/s",
                highlight=False,
            )
            return
        self.bars.update(
            self.task,
            total=event["epochs"] * event["steps"],
            completed=(event["epoch"] - 1) * event["steps"] + event["step"],
            epoch=f"{event['epoch']}/{event['epochs']}",
            note=f"loss {event['loss']:.3f}, {event['images_per_second']:.0f} images/s",
        )
