"""`evopose evolve`: the main job."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from evopose.cli import app
from evopose.cli.options import (
    ANNOTATIONS,
    DATA,
    DEVICE,
    JSON,
    SEED,
    console,
    count,
    gigabytes,
    hours,
    print_json,
    stop_on_ctrl_c,
    table,
)

if TYPE_CHECKING:
    from evopose.api import Evolved, Plan

_SEARCH, _SIZE, _START, _MACHINE = (
    "Search", "Size of networks", "Ancestor and training", "Machine and run",
)  # fmt: skip


def _option(help_text: str, panel: str, **more: Any) -> Any:
    return typer.Option(None, help=help_text, rich_help_panel=panel, show_default=False, **more)


@app.command()
def evolve(
    data: str = DATA,
    recipe: str = typer.Option("small", help="small, demo, paper or paper-as-written."),
    run: Path = _option("Folder of the run; default runs/DATA-DATE.", _MACHINE),
    resume: bool = typer.Option(False, "--resume", help="Go on with the run in --run."),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Say trainings, hours, disk and memory, and stop."
    ),
    as_json: bool = JSON,
    input_size: str = _option("Input size HxW of the networks, say 96x64.", _SIZE, metavar="HxW"),
    children: int = _option("Mutants a generation (lambda).", _SEARCH),
    parents: int = _option("Individuals that may have children (mu).", _SEARCH),
    generations: int = _option("Generations after the ancestor's.", _SEARCH),
    budget_hours: float = _option("Hours after which no training begins.", _SEARCH, metavar="H"),
    patience: int = _option("Stop after so many generations that gain too little.", _SEARCH),
    min_gain: float = _option("What is too little: this share of the best J.", _SEARCH),
    transfer: str = _option("How children inherit weights: exact or official.", _SEARCH),
    clones: bool = _option("Train a clone of the best parent each generation.", _SEARCH),
    seed: int = SEED,
    target_params: float = _option("T of J = loss * (T / parameters) ** Gamma.", _SIZE),
    gamma: float = _option("Gamma of J.", _SIZE),
    target_macs: float = _option("Let J weigh multiply-adds too, against this.", _SIZE),
    max_params: int = _option("Never train a network of more parameters.", _SIZE),
    max_macs: int = _option("Never train a network of more multiply-adds.", _SIZE),
    ancestor: str = _option("A name, a genotype [[k,r,f,s],...] or a model file.", _START),
    ancestor_weights: str = _option("A model file to start from, or none.", _START),
    ancestor_epochs: int = _option("Epochs of the ancestor.", _START),
    epochs: int = _option("Epochs of each child.", _START),
    batch_size: int = _option("Persons a training step.", _START),
    learning_rate: float = _option("Peak learning rate.", _START),
    scaling_reference: str = _option("Side at which scaling is 1, or none.", _START),
    precision: str = _option("auto, fp32 or bf16.", _MACHINE),
    device: str = DEVICE,
    workers: int = _option("Individuals trained at once; default: one a CPU or GPU.", _MACHINE),
    threads: int = _option("CPU threads of each worker.", _MACHINE),
    executor: str = typer.Option("process", help="process or inline.", rich_help_panel=_MACHINE),
    annotations: str = ANNOTATIONS,
) -> None:
    """Evolve the pose network that fits DATA.

    Trains an ancestor, then generation after generation of mutants that start from their parents'
    weights, and keeps those with the best J = loss * (T / parameters) ** Gamma. It can be stopped
    with Ctrl-C at any time and goes on with --resume.

    Example: evopose evolve people/ --recipe small --budget-hours 8
    """
    from evopose.api import plan_search, run_plan
    from evopose.cli.live import DataDisplay, search_display
    from evopose.search.overrides import parse_size

    screen = console(as_json)
    plan = plan_search(
        data,
        recipe=recipe,
        run=run,
        resume=resume,
        annotations=annotations,
        device=device,
        workers=workers,
        threads=threads,
        executor=executor,
        on_data=DataDisplay(screen),
        input_hw=parse_size(input_size) if input_size else None,
        children=children,
        parents=parents,
        generations=generations,
        hours=budget_hours,
        patience=patience,
        min_gain=min_gain,
        transfer=transfer,
        clones=clones,
        seed=seed,
        target_parameters=target_params,
        gamma=gamma,
        target_macs=target_macs,
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
    _announce(screen, plan)
    if dry_run:
        if as_json:
            print_json(_plan_json(plan))
        return
    with (
        stop_on_ctrl_c() as stop,
        search_display(screen, plan.config.evolution.generations) as show,
    ):
        evolved = run_plan(plan, on_event=show, should_stop=stop)
    _conclude(screen, data, evolved)
    if as_json:
        print_json(_evolved_json(evolved))
    if evolved.interrupted:
        raise typer.Exit(130)


def _announce(screen: Console, plan: "Plan") -> None:
    """Say device and throughput first, then what the search is and costs."""
    config, data, cost = plan.config, plan.data, plan.cost
    evolution, workers = config.evolution, plan.workers
    lines = [
        f"device: {workers.compute.describe()}; {workers.count} worker"
        f"{'s' * (workers.count != 1)}; {plan.speed.images_per_second:.0f} images/s a worker in "
        f"training the ancestor ({count(plan.speed.complexity.num_parameters)} parameters, "
        f"{count(plan.speed.complexity.num_macs)} multiply-adds)",
        f"data: {data.source}: {len(data.train)} persons to train, {len(data.fitness)} to measure "
        f"fitness, {len(data.val)} for the report; {len(data.skeleton)} keypoints"
        + (" (OKS sigmas assumed)" if data.skeleton.sigmas_assumed else ""),
        f"search: recipe {config.recipe}, {config.input_hw[0]}x{config.input_hw[1]}, "
        f"{evolution.children} children of {evolution.parents} parents a generation"
        f"{' and a clone' if evolution.clones else ''}, {config.ancestor_training.epochs} + "
        f"{config.child_training.epochs} epochs, {config.transfer} transfer",
    ]
    trainings = (
        f"{cost.trainings} trainings"
        if cost.trainings is not None
        else f"{cost.trainings_per_generation} trainings a generation"
    )
    span = (
        f"about {hours(cost.hours)} at most"
        if cost.hours is not None
        else f"about {hours(cost.hours_per_generation)} a generation, until it converges"
    )
    lines.append(
        f"cost: {trainings}, {span}; disk {gigabytes(cost.crops_bytes)} for crops, "
        f"{gigabytes(cost.weights_bytes)} for weights; memory {gigabytes(cost.memory_bytes)}"
    )
    lines += [f"note: at this input size {gene} {what}" for gene, what in plan.blind.items()]
    lines.append(f"run: {plan.run}")
    for line in lines:
        screen.print(line, highlight=False, soft_wrap=True)


def _conclude(screen: Console, data: str, evolved: "Evolved") -> None:
    """Say how it ended, who is best, what lies in the run folder, and how to go on."""
    from evopose.report import read_facts
    from evopose.report.tables import best_table, gain_text

    screen.print(f"\nended: {evolved.stop_reason}", highlight=False)
    facts = read_facts(evolved.run)
    if evolved.best is not None:
        screen.print(table(best_table(facts, 8), left=("genotype",)))
        screen.print(gain_text(facts), highlight=False)
    if evolved.view is not None:
        screen.print(
            f"the winner's mean OKS on the {evolved.view.persons} validation persons: "
            f"{evolved.view.mean_oks:.3f}",
            highlight=False,
        )
    screen.print(f"\nin {evolved.run}:", highlight=False)
    for name, what in _LEFT.items():
        if (evolved.run / name).exists():
            screen.print(f"  {name:18} {what}", highlight=False)
    where, source = shlex.quote(str(evolved.run)), shlex.quote(data)
    if evolved.interrupted:
        screen.print(
            f"\ngo on with: evopose evolve {source} --run {where} --resume", highlight=False
        )
    elif evolved.best is not None:
        screen.print(
            f"\ntrain the winner fully with: evopose train {where} {source}", highlight=False
        )


_LEFT = {
    "best.safetensors": "the winner: weights, genotype, skeleton, everything to use it",
    "pareto": "the model files of the Pareto set",
    "winner.png": "what the winner sees",
    "report.html": "the whole search on one page",
    "results.json": "the same for programs",
    "individuals.csv": "a row an individual",
    "run.sqlite": "the run itself, to resume",
}
"""What a run leaves."""


def _plan_json(plan: "Plan") -> dict[str, Any]:
    import json
    from dataclasses import asdict

    return {
        "run": str(plan.run),
        "device": plan.workers.compute.describe(),
        "workers": plan.workers.count,
        "images_per_second": plan.speed.images_per_second,
        "cost": asdict(plan.cost),
        "blind_genes": plan.blind,
        "config": json.loads(plan.config.to_json()),
    }


def _evolved_json(evolved: "Evolved") -> dict[str, Any]:
    best = evolved.best
    return {
        "run": str(evolved.run),
        "stop_reason": evolved.stop_reason,
        "interrupted": evolved.interrupted,
        "best": best
        and {
            "id": best.id,
            "genotype": best.genotype.to_list(),
            "fitness": best.fitness,
            "loss": best.loss,
            "num_parameters": best.num_parameters,
            "num_macs": best.num_macs,
        },
        "val_mean_oks": evolved.view and evolved.view.mean_oks,
        "report": str(evolved.run / "report.html"),
    }
