"""`evopose evolve`: the main job."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from evopose.cli import app
from evopose.cli.evolve_words import announce, conclude
from evopose.cli.options import (
    DATA,
    JSON,
    VERBOSE,
    also_option,
    annotations_option,
    console,
    device_option,
    individual_json,
    option,
    print_json,
    rename_option,
    stop_on_ctrl_c,
    tensorboard_option,
)

if TYPE_CHECKING:
    from evopose.api import Evolved, Plan

_SEARCH, _SIZE, _START, _MACHINE = (
    "Search", "Size of networks", "Ancestor and training", "Data, machine and run",
)  # fmt: skip


@app.command()
def evolve(
    data: str = DATA,
    recipe: str = typer.Option("small", help="small, demo, paper or paper-as-written."),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in --run."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Say trainings, hours, disk and memory, and stop."
    ),
    as_json: bool = JSON,
    verbose: bool = VERBOSE,
    objective: str = option("What is best: loss (paper), oks or pareto.", _SEARCH),
    mode: str = option("generations (paper), or async: no worker waits for others.", _SEARCH),
    deterministic: bool = typer.Option(
        False,
        "--deterministic",
        help="Let async repeat itself, whatever takes how long.",
        rich_help_panel=_SEARCH,
    ),
    window: int = option("With it: a child sees those so many births before it.", _SEARCH),
    children: int = option("Mutants a generation (lambda).", _SEARCH),
    parents: int = option("Individuals that may have children (mu).", _SEARCH),
    parents_by: str = option("Who they are: best, pareto or random (a control).", _SEARCH),
    generations: int = option("Generations after the ancestor's.", _SEARCH),
    budget_hours: float = option("Hours after which no training begins.", _SEARCH, metavar="H"),
    patience: int = option("Stop after so many generations that gain too little.", _SEARCH),
    min_gain: float = option("What is too little: this share of the best J.", _SEARCH),
    space: str = option("What may evolve: paper, small, wide or a file (evopose space).", _SEARCH),
    transfer: str = option("How children inherit weights: exact or official.", _SEARCH),
    clones: bool = option("Train a clone of the best parent each generation.", _SEARCH),
    rescore: int = option("So many of the best are trained again at the end.", _SEARCH),
    rescore_seeds: int = option("With so many other seeds.", _SEARCH),
    seed: int = option("Seed of every random draw.", _SEARCH),
    input_size: str = option("Input of the networks, say 96x64.", _SIZE, "--input", metavar="HxW"),
    target_params: float = option("T of J = error * (T / parameters) ** Gamma.", _SIZE),
    gamma: float = option("Gamma of J.", _SIZE),
    target_macs: float = option("Let J weigh multiply-adds too, against this.", _SIZE),
    target_latency_ms: float = option("Let J weigh measured latency too.", _SIZE),
    max_params: int = option("Never train a network of more parameters.", _SIZE),
    max_macs: int = option("Never train a network of more multiply-adds.", _SIZE),
    max_latency_ms: float = option("Never train a slower network.", _SIZE),
    latency_device: str = option("Where latency is measured; default --device.", _SIZE),
    ancestor: str = option("A name, a genotype, a model file, RUN or RUN:ID.", _START),
    ancestor_weights: str = option("A model file to start from, or none.", _START),
    ancestor_epochs: int = option("Epochs of the ancestor; 0: only measured.", _START),
    epochs: int = option("Epochs of each child.", _START),
    batch_size: int = option("Persons a training step.", _START),
    learning_rate: float = option("Peak learning rate.", _START),
    scaling_reference: str = option("Side at which scaling is 1, or none.", _START),
    run: Path = option("Folder of the run; default runs/DATA-DATE.", _MACHINE),
    annotations: list[str] = annotations_option(_MACHINE),
    also: list[str] = also_option(_MACHINE),
    rename: list[str] = rename_option(_MACHINE),
    device: str = device_option(_MACHINE),
    precision: str = option("auto, fp32 or bf16.", _MACHINE),
    workers: int = option("Individuals trained at once; default one a CPU, or GPU.", _MACHINE),
    threads: int = option("CPU threads of each worker.", _MACHINE),
    child_timeout: float = option(
        "A training that takes longer has failed.", _MACHINE, metavar="MINUTES"
    ),
    quota: float = option("What the run's weights may take of the disk.", _MACHINE, metavar="GB"),
    executor: str = typer.Option(
        "process", help="process, inline or ray (a cluster).", rich_help_panel=_MACHINE
    ),
    address: str = option("ray: of the cluster, HOST:PORT or auto.", _MACHINE),
    gpus_per_worker: float = option("ray: say 0.5; default 1 where there are GPUs.", _MACHINE),
    shared: str = option("ray: a folder or URL that all machines see.", _MACHINE),
    tensorboard: bool = tensorboard_option(_MACHINE),
) -> None:
    """Evolve the pose network that fits DATA.

    Trains an ancestor, then generation after generation of mutants that start from their parents'
    weights, and keeps those with the best J = error * (T / parameters) ** Gamma, the error being
    the loss, or 1 - mean OKS (--objective oks); --objective pareto keeps the front of error, size
    and cost instead. It can be stopped with Ctrl-C at any time and goes on with --resume. With
    many workers --mode async keeps all of them busy.

    Example: evopose evolve people/ --recipe small --budget-hours 8
    """
    from evopose.api import plan_search, run_plan
    from evopose.cli.live import DataDisplay, search_display
    from evopose.data.naming import parse_renames
    from evopose.evolution.store import Store
    from evopose.search.command import resume_command
    from evopose.search.overrides import parse_size
    from evopose.search.session import prepare_data
    from evopose.training.event_files import require_tensorboard

    if tensorboard:
        require_tensorboard()
    screen = console(as_json)
    on_data = DataDisplay(screen)
    plan = plan_search(
        data,
        recipe=recipe,
        run=run,
        resume=resume,
        annotations=annotations,
        also=also or (),
        rename=parse_renames(rename or ()),
        device=device,
        workers=workers,
        threads=threads,
        executor=executor,
        deterministic=deterministic,
        address=address,
        gpus_per_worker=gpus_per_worker,
        shared=shared,
        latency_device=latency_device,
        on_data=on_data,
        input_hw=parse_size(input_size) if input_size else None,
        mode=mode,
        quota_gb=quota,
        window=window,
        timeout_seconds=None if child_timeout is None else 60 * child_timeout,
        children=children,
        parents=parents,
        parents_by=parents_by,
        objective=objective,
        rescore=rescore,
        rescore_seeds=rescore_seeds,
        generations=generations,
        hours=budget_hours,
        patience=patience,
        min_gain=min_gain,
        transfer=transfer,
        space=space,
        clones=clones,
        seed=seed,
        target_parameters=target_params,
        gamma=gamma,
        target_macs=target_macs,
        target_latency_ms=target_latency_ms,
        max_latency_ms=max_latency_ms,
        max_parameters=max_params,
        max_macs=max_macs,
        ancestor=ancestor,
        ancestor_weights=ancestor_weights,
        ancestor_epochs=ancestor_epochs,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        scaling_reference=scaling_reference,
        precision=precision,
    )
    announce(screen, plan)
    if dry_run:
        if as_json:
            print_json(_plan_json(plan))
        return
    prepared = prepare_data(plan.splits, plan.config, on_progress=on_data)
    with (
        stop_on_ctrl_c() as stop,
        search_display(screen, plan.config.evolution) as show,
    ):
        if resume:
            with Store.read(plan.run) as store:
                show.recall(store.individuals(histories=False))
        evolved = run_plan(plan, prepared, on_event=show, should_stop=stop, tensorboard=tensorboard)
    again = resume_command(plan.run) + (" --tensorboard" if tensorboard else "")
    conclude(screen, plan, evolved, again)
    if as_json:
        print_json(_evolved_json(evolved))
    if evolved.interrupted:
        raise typer.Exit(130)
    if evolved.best is not None and evolved.model is None:
        raise typer.Exit(1)


def _plan_json(plan: "Plan") -> dict[str, Any]:
    return {
        "run": str(plan.run),
        "device": plan.workers.describe(),
        "workers": plan.workers.count,
        "images_per_second": plan.speed.images_per_second,
        "cost": asdict(plan.cost),
        "persons": plan.persons,
        "joined": [one.to_json() for one in plan.splits.joined],
        "ancestor_latency": plan.latency,
        "blind_genes": plan.blind,
        "config": json.loads(plan.config.to_json()),
    }


def _evolved_json(evolved: "Evolved") -> dict[str, Any]:
    return {
        "run": str(evolved.run),
        "stop_reason": evolved.ending.reason,
        "interrupted": evolved.interrupted,
        "best": evolved.best and individual_json(evolved.best),
        "model": evolved.model and str(evolved.model),
        "val_mean_oks": evolved.view and evolved.view.mean_oks,
        "report": str(evolved.run / "report.html"),
    }
