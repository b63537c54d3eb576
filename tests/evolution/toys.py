"""A toy search: fitness is a function of the genotype, known in microseconds.

Run as a program, `python toys.py FOLDER GENERATIONS SECONDS COURSE EXECUTOR [ADDRESS]`, it is a
coordinator to be killed.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from evopose.errors import RunError, TrainingDiverged
from evopose.evolution.blobs import BlobStore
from evopose.evolution.config import EvolutionConfig
from evopose.evolution.ending import Ending
from evopose.evolution.engine import run_search
from evopose.evolution.executors import EXECUTORS, InlineExecutor
from evopose.evolution.fitness import Size
from evopose.evolution.individual import Individual
from evopose.evolution.jobs import Executor, Heartbeat, Job
from evopose.evolution.store import Store
from evopose.genotype import SPACES, Gene, Genotype, SearchSpace

SPACE = SPACES["small"]
TRAIN = "evolution.toys:train"


def measure(genotype: Genotype) -> Size:
    """Parameters and multiply-adds of no network in particular."""
    parameters = sum(s.kernel**2 * s.repeats * s.filters**2 for s in genotype.stages)
    macs = sum(parameters // (i * s.stride) for i, s in enumerate(genotype.stages, 1))
    return Size(num_parameters=parameters, num_macs=macs)


def toy_loss(genotype: Genotype) -> float:
    """Smaller for larger networks, with noise that depends on the genotype alone."""
    noise = int(genotype.digest[:8], 16) / 16**8
    return 100 / (100 + sum(s.kernel * s.repeats * s.filters for s in genotype.stages)) + noise / 9


def tiny_space(*values: int) -> SearchSpace:
    """One stage, of which only the filters may change."""
    genes = {"kernel": (3,), "repeats": (1,), "filters": values, "stride": (1,)}
    return SearchSpace(
        name="tiny",
        ancestor=Genotype.from_list([[3, 1, values[0], 1]]),
        stages=({name: Gene(values=of) for name, of in genes.items()},),
    )


def individual(birth: int = 0, **values: Any) -> Individual:
    """An individual for tests of the store: each birth has its genotype."""
    defaults: dict[str, Any] = {
        "kind": "mutant" if birth else "ancestor",
        "birth": birth,
        "generation": min(birth, 1),
        "parent_id": "0" if birth else None,
        "genotype": Genotype.from_list([[3, 1, 1 + birth, 1]]),
        "seed": 7,
        "num_parameters": 1000 + birth,
        "num_macs": 2000 + birth,
        "created_at": 5.0,
    }
    return Individual(**defaults | values)


# Jobs


def train(job: Job, heartbeat: Heartbeat) -> dict[str, Any]:
    """Sleep, put a blob, and return the toy loss."""
    begun = time.monotonic()
    heartbeat(pid=os.getpid(), step=1)
    time.sleep(job["sleep"])
    genotype = Genotype.from_list(job["genotype"])
    blob = BlobStore(Path(job["blobs"])).put(job["id"].encode() * 100)
    seconds = time.monotonic() - begun
    return {"loss": toy_loss(genotype), "blob": blob, "seconds": seconds, "busy_seconds": seconds}


def inherit(job: Job, heartbeat: Heartbeat) -> dict[str, Any]:
    """`train`, after a look at the parent's weights."""
    if job["parent"]:
        BlobStore(Path(job["blobs"])).read(job["parent"])
    return train(job, heartbeat)


def misbehave(job: Job, heartbeat: Heartbeat) -> Any:
    """Do what the job asks for."""
    match job["do"]:
        case "return":
            return job["result"]
        case "large":
            return {"text": "x" * 5_000_000}
        case "tell":
            for step in range(3):
                heartbeat(step=step)
            return {"loss": 1.0, "settings": os.environ.get("TOY"), "pid": os.getpid()}
        case "raise":
            raise {
                "ValueError": ValueError("no such thing"),
                "MemoryError": MemoryError("16 TiB"),
                "cuda": RuntimeError("CUDA error: out of memory"),
                "cpu": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
                "ENOSPC": OSError(28, "No space left on device"),
                "diverged": TrainingDiverged("loss is nan at step 3"),
                "exit": SystemExit("bye"),
            }[job["error"]]
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            heartbeat(pid=os.getpid())
            time.sleep(60)
        case "wait":
            for step in range(600):
                heartbeat(step=step, pid=os.getpid())
                time.sleep(0.05)
    return {"loss": 1.0}


def note_settings(settings: Any) -> None:
    """An initializer of workers."""
    os.environ["TOY"] = settings


# Searches


def make_job(sleep: float = 0.0) -> Callable[..., Job]:
    """The jobs of the toy search."""

    def job(one: Individual, attempt: int, parent: Individual | None, store: Store) -> Job:
        return {
            "function": TRAIN,
            "id": one.id,
            "genotype": one.genotype.to_list(),
            "blobs": str(store.blobs.folder),
            "log": str(store.folder / "logs" / f"{one.id}.jsonl"),
            "sleep": sleep,
        }

    return job


CONFIG = EvolutionConfig(children=7, parents=3, generations=4, seed=11, max_attempts=1000)


def search(
    store: Store,
    config: EvolutionConfig = CONFIG,
    *,
    executor: Executor | None = None,
    space: SearchSpace = SPACE,
    **options: Any,
) -> Ending:
    """Run the toy search."""
    defaults = {"measure": measure, "make_job": make_job()}
    return run_search(
        store, space, config, executor=executor or InlineExecutor(), **defaults | options
    )


def story(store: Store) -> list[tuple[Any, ...]]:
    """What must be the same however often a search was killed."""
    return [
        (one.id, one.parent_id, one.genotype, one.changes, one.seed, one.loss, one.fitness)
        for one in store.individuals()
    ]


COURSES: dict[str, dict[str, Any]] = {
    "generations": {"mode": "generations"},
    "async": {"mode": "async", "window": 6},
}
"""Courses of the toy search that repeat themselves."""


def main() -> None:
    """Be a coordinator; of two workers, where the executor has workers."""
    folder, generations, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    course, name, *address = sys.argv[4:]
    config = replace(CONFIG, generations=generations, **COURSES[course])
    try:
        store = Store.create(folder, {"toy": True})
    except RunError:
        store = Store.open(folder)
    options = {"inline": {}, "process": {"slots": 2}, "ray": {"slots": 2}}[name]
    if address:
        options["address"] = address[0]
    executor = EXECUTORS[name](**options)
    search(store, config, executor=executor, make_job=make_job(seconds))
    executor.close()
    store.close()


if __name__ == "__main__":
    main()
