"""What `evopose evolve` says before a search and after it."""

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from evopose.cli.options import best_table, gigabytes, say
from evopose.home import nearest

if TYPE_CHECKING:
    from evopose.api import Evolved, Plan
    from evopose.report import SearchFacts

FEW_STEPS = 300
"""With fewer steps than this a network hardly leaves its initial weights."""


def announce(screen: Console, plan: "Plan") -> None:
    """Say device and throughput first, then what the search is and costs."""
    from evopose.report.text import count, plural

    config, persons, size = plan.config, plan.persons, plan.speed.complexity
    evolution, skeleton = config.evolution, plan.splits.train.skeleton
    assumed = " (OKS sigmas assumed)" if skeleton.sigmas_assumed else ""
    clone = " and a clone" if evolution.clones else ""
    lines = [
        f"device: {plan.workers.describe()}; {plural(plan.workers.count, 'worker')}",
        f"speed: {plan.speed.images_per_second:.0f} images/s a worker in training the ancestor "
        f"({count(size.num_parameters)} parameters, {count(size.num_macs)} multiply-adds)",
        f"data: {plan.splits.source}: {persons['train']:,} persons to train, "
        f"{persons['fitness']:,} to measure fitness, {persons['val']:,} for the report; "
        f"{len(skeleton)} keypoints{assumed}",
        *(f"joined: {one.describe()}" for one in plan.splits.joined),
        f"search: recipe {config.recipe}, {config.input_hw[0]}x{config.input_hw[1]}, "
        f"{evolution.children} children of {plural(evolution.parents, 'parent')} a generation"
        f"{clone}, {config.ancestor_training.epochs} + {config.child_training.epochs} epochs, "
        f"{config.transfer} transfer",
        *_mode_text(plan),
        _objective_text(plan),
        _cost_text(plan),
        *(f"note: at this input size {gene} {what}" for gene, what in plan.blind.items()),
        *_full_disk(plan),
        *_few_steps(plan),
    ]
    for line in lines:
        say(screen, line)
    say(screen, f"run: {plan.run}", exact=True)


def _mode_text(plan: "Plan") -> list[str]:
    evolution = plan.config.evolution
    if evolution.mode != "async":
        return []
    seen = "from what has ended by then"
    if evolution.window is not None:
        seen = f"from all births but the last {evolution.window}, so that the search repeats itself"
    return [f"mode: async; a child is proposed whenever a worker is free, {seen}"]


def _objective_text(plan: "Plan") -> str:
    from evopose.report.text import count

    evolution, fitness = plan.config.evolution, plan.config.evolution.fitness
    error = {"loss": "validation loss", "oks": "1 - mean OKS"}[fitness.error]
    if evolution.parents_by == "pareto":
        cost = "latency" if fitness.needs_latency else "multiply-adds"
        said = [f"objective: the front of {error}, parameters and {cost}"]
    else:
        said = [f"objective: least {error}, weighed against {count(fitness.target_parameters)} "
                "parameters"]  # fmt: skip
    if evolution.parents_by == "random":
        said.append("parents by chance: a control")
    limits = {
        f"{count(fitness.max_parameters or 0)} parameters": fitness.max_parameters,
        f"{count(fitness.max_macs or 0)} multiply-adds": fitness.max_macs,
        f"{fitness.max_latency_ms} ms": fitness.max_latency_ms,
    }
    if at_most := [text for text, limit in limits.items() if limit is not None]:
        said.append(f"at most {', '.join(at_most)}")
    if plan.latency:
        said.append(f"the ancestor takes {plan.latency}")
    return "; ".join(said)


def _cost_text(plan: "Plan") -> str:
    from evopose.report.text import duration, plural

    cost = plan.cost
    each = f"{plural(cost.trainings_per_generation, 'training')} a generation"
    trainings = plural(cost.trainings, "training") if cost.trainings is not None else each
    if cost.hours is not None:
        span = f"about {duration(3600 * cost.hours)} at most"
    else:
        span = f"about {duration(3600 * cost.hours_per_generation)} a generation until it ends"
    free = cost.free_memory_bytes
    short = f", of which {gigabytes(free)} are free" if cost.memory_bytes > free else ""
    room = _little_room(plan)
    little = f", of which {gigabytes(room)} are free" if room is not None else ""
    return (
        f"cost{' of the whole run' if plan.resume else ''}: {trainings}, {span}; disk "
        f"{gigabytes(cost.crops_bytes)} for crops, {gigabytes(cost.weights_bytes)} for weights"
        f"{little}; memory {gigabytes(cost.memory_bytes)}{short}"
    )


def _little_room(plan: "Plan") -> int | None:
    """Return the bytes that are free where the run will lie, if its weights do not fit there; None
    also for a run that goes on, which has most of its weights."""
    free = shutil.disk_usage(nearest(plan.run)).free
    return free if plan.cost.weights_bytes > free and not plan.resume else None


def _full_disk(plan: "Plan") -> list[str]:
    """Return a warning where the disk will be full before the search ends."""
    if _little_room(plan) is None:
        return []
    return [
        f"note: the disk of {nearest(plan.run)} has no room for the weights: the search stops when "
        "it is full; free some space, or choose another folder with --run"
    ]


def _few_steps(plan: "Plan") -> list[str]:
    """Return a warning where the ancestor is trained too shortly to learn anything."""
    training = plan.config.ancestor_training
    steps = training.epochs * -(-plan.persons["train"] // training.batch_size)
    if steps >= FEW_STEPS:
        return []
    return [
        f"note: the ancestor is trained for {steps} steps only, too few to tell good networks from "
        "bad: raise --ancestor-epochs and --epochs, or lower --batch-size"
    ]


def conclude(screen: Console, plan: "Plan", evolved: "Evolved", again: str) -> None:
    """Say how it ended, who is best, what lies in the run folder, and how to go on."""
    from evopose.report import best_table as best_rows
    from evopose.report import read_facts
    from evopose.report.repeats import noise_text
    from evopose.report.tables import gain_text

    facts = read_facts(evolved.run)
    say(screen, f"\nended: {evolved.ending.reason}")
    if evolved.best is not None:
        screen.print(best_table(best_rows(facts, 8)))
        for line in filter(None, (gain_text(facts), noise_text(facts), _winner_text(facts))):
            say(screen, line)
    if evolved.view is not None:
        say(
            screen,
            f"the winner's mean OKS on the {evolved.view.persons:,} validation persons: "
            f"{evolved.view.mean_oks:.3f}",
        )
    say(screen, f"\nin {evolved.run}:", exact=True)
    for name, what in _LEFT.items():
        stale = name == "best.safetensors" and evolved.model is None
        if (evolved.run / name).exists() and not stale:
            say(screen, f"  {name:18} {what}")
    if evolved.interrupted:
        say(screen, f"\ngo on with: {again}", exact=True)
        return
    if evolved.model is not None:
        say(screen, f"\ntrain the winner fully: {_train_command(plan, evolved.run)}", exact=True)
    if further := _further(plan, evolved.ending.kind):
        say(screen, f"search on: {again} {further}", exact=True)


def _winner_text(facts: "SearchFacts") -> str:
    """Return who wins, where repeats with other seeds decided; empty where the lowest J did."""
    from evopose.report.repeats import repeated

    again = {one.individual.id: one.mean for one in repeated(facts.individuals)}
    winner = facts.winner
    if winner is None or (mean := again.get(winner.id)) is None:
        return ""
    lucky = "" if winner is facts.ranked[0] else f"; {facts.ranked[0].id} was lucky in the search"
    return f"The winner is {winner.id}: J {mean:.4f} on average when trained again{lucky}."


def _train_command(plan: "Plan", run: Path) -> str:
    """Return the command that goes on from the winner, with the recipe of its loss."""
    words = ["evopose", "train", str(run), plan.splits.source, *plan.splits.words]
    if plan.config.child_training.loss == "mse":
        words += ["--recipe", "paper"]
    return shlex.join(words)


def _further(plan: "Plan", ending: str) -> str:
    """Return the option that moves the end which was reached; empty if none can."""
    evolution = plan.config.evolution
    match ending:
        case "generations":
            return f"--generations {(evolution.generations or 0) + 3}"
        case "hours":
            return f"--budget-hours {2 * (evolution.hours or 0):.3g}"
        case "patience":
            return f"--patience {2 * (evolution.patience or 0)}"
    return ""


_LEFT = {
    "best.safetensors": "the winner: weights, genotype, skeleton, everything to use it",
    "pareto": "the model files of the Pareto set",
    "winner.png": "what the winner sees",
    "worst.png": "where it is most wrong",
    "report.html": "the whole search on one page",
    "results.json": "the same for programs",
    "individuals.csv": "a row an individual",
    "run.sqlite": "the run itself, to resume",
}
"""What a run leaves."""
