"""`evopose evaluate`: how good a model is on a dataset."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from evopose.cli import app
from evopose.cli.loading import (
    MODEL,
    decoder_option,
    input_option,
    refine_option,
    weights_option,
)
from evopose.cli.options import (
    DATA,
    JSON,
    VERBOSE,
    annotation_option,
    console,
    device_option,
    option,
    print_json,
    say,
    table,
)
from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.evaluation.evaluate import Evaluation

_NETWORK, _MACHINE = "Network", "Data, machine and folder"
SPLITS = ("train", "val", "test")


@app.command()
def evaluate(
    model: str = MODEL,
    data: str = DATA,
    split: str = typer.Option("val", help="val, test or train."),
    out: Path = option("Folder to write results.json (COCO results) and metrics.json to."),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
    weights: str = weights_option(_NETWORK),
    input_size: str = input_option(_NETWORK),
    refine: str = refine_option(_NETWORK),
    decoder: str = decoder_option(_NETWORK),
    no_flip_test: bool = typer.Option(
        False,
        "--no-flip-test",
        help="Do not look at mirrored crops too: half the time.",
        rich_help_panel=_NETWORK,
    ),
    annotations: str = annotation_option(_MACHINE),
    limit: int = option("Only so many images, spread evenly.", _MACHINE),
    device: str = device_option(_MACHINE),
    threads: int = option("CPU threads; default all.", _MACHINE),
    batch_size: int = typer.Option(
        32, min=1, help="Persons that the network sees at once.", rich_help_panel=_MACHINE
    ),
) -> None:
    """Measure MODEL on DATA: mean OKS, and COCO's ten numbers of AP and AR.

    Each labelled person is looked for in its own box from the annotations, so that figures say how
    good the network is, whatever finds the persons. AP ignores crowds and unlabelled persons as
    COCO does.

    Example: evopose evaluate runs/train-20260101-120000 people/ --split test --out measured
    """  # fmt: skip
    import torch

    from evopose.cli.bars import bar
    from evopose.cli.live import DataDisplay
    from evopose.cli.loading import load_pipeline
    from evopose.data.layouts import open_dataset
    from evopose.evaluation.evaluate import evaluate as measure
    from evopose.evaluation.evaluate import some_images
    from evopose.training.compute import prepare, resolve_compute

    screen = console(as_json)
    if split not in SPLITS:
        raise ConfigError(f"--split is one of {', '.join(SPLITS)}, got {split!r}")
    compute = resolve_compute(device, threads=threads, precision="fp32")
    prepare(compute)
    pipeline = load_pipeline(
        model, screen, weights=weights, input_size=input_size, refine=refine,
        flip_test=not no_flip_test, device=torch.device(compute.device), batch_size=batch_size,
        decoder=decoder,
    )  # fmt: skip
    opened = open_dataset(
        data, annotations=annotations, only=(split,), on_progress=DataDisplay(screen)
    )
    dataset = opened.named(split)
    if limit is not None:
        dataset = some_images(dataset, limit)
    say(screen, f"device: {compute.describe()}")
    say(
        screen,
        f"data: {data}, {split}: {len(dataset.trainable):,} persons in {len(dataset.images):,} "
        f"images, their boxes from the annotations{_assumed(dataset.skeleton.sigmas_assumed)}",
    )
    with bar(screen, "evaluating") as on_progress:
        found = measure(pipeline, dataset, on_progress=on_progress)
    about = {
        "model": model, "weights": weights, "data": data, "split": split, "limit": limit,
        "flip_test": pipeline.flip_test, "refine": refine,
        "sigmas_assumed": dataset.skeleton.sigmas_assumed,
    } | found.metrics()  # fmt: skip
    if out is not None:
        _write(out, found, about)
    if as_json:
        print_json(about | {"folder": str(out) if out else None})
        return
    screen.print(table([_cells(about)]))
    for reason in dict.fromkeys(found.undefined.values()):
        names = [name for name, why in found.undefined.items() if why == reason]
        say(screen, f"{', '.join(names)}: not defined, {reason}")
    if out is not None:
        say(screen, f"wrote {out}/results.json and {out}/metrics.json", exact=True)


def _assumed(assumed: bool) -> str:
    return "; its OKS sigmas are assumed, 0.05 each" if assumed else ""


def _cells(about: dict[str, Any]) -> dict[str, str]:
    from evopose.metrics.coco_ap import AP_NAMES

    shown = {"mean OKS": about["mean_oks"], **{name: about[name] for name in AP_NAMES}}
    return {name: "-" if value is None else f"{value:.3f}" for name, value in shown.items()}


def _write(out: Path, found: "Evaluation", about: dict[str, Any]) -> None:
    from evopose.evolution.database import errors_of

    with errors_of(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(found.results))
        (out / "metrics.json").write_text(json.dumps(about, indent=1))
