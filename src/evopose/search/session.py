"""A search on real data: from DATA and a configuration to a run folder with individuals in it."""

import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evopose.data.home import Progress
from evopose.data.layouts import Splits
from evopose.data.splits import fitness_split
from evopose.errors import ConfigError, RunError
from evopose.evolution.engine import run_search
from evopose.evolution.executors import EXECUTORS
from evopose.evolution.individual import Individual
from evopose.evolution.jobs import Executor
from evopose.evolution.runner import Ending
from evopose.evolution.store import Store
from evopose.genotype import Genotype
from evopose.models.evopose2d_plan import plan_complexity
from evopose.models.modelfile import read_card
from evopose.search.config import SearchConfig
from evopose.skeleton import Skeleton
from evopose.training.checkpoint import write_atomically
from evopose.training.compute import Compute, cpu_count
from evopose.training.session import cut_crops
from evopose.training.validate import TrainData
from evopose.version import VERSION

Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SearchData:
    """The persons of a search, as crops."""

    source: str
    digest: str
    skeleton: Skeleton
    train: TrainData
    fitness: TrainData
    """A tenth of train's images, on which fitness is measured; nothing trains on them."""
    val: TrainData
    """For reports alone."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How a search is spread over this machine."""

    compute: Compute
    count: int = 1
    executor: str = "process"
    """A name in `EXECUTORS`."""


def choose_workers(compute: Compute, count: int | None, threads: int | None) -> Workers:
    """Return so many workers that workers times threads fills the CPUs and no more.

    On a CPU one worker a core trains most images a second; on a GPU one worker has it to itself.

    Raises: ConfigError if more is asked for than there is.
    """
    cpus = cpu_count()
    if count is None:
        count = 1 if compute.device != "cpu" else max(1, cpus // (threads or 1))
    if threads is None:
        threads = max(1, cpus // count)
    if count < 1 or threads < 1 or count * threads > cpus:
        raise ConfigError(
            f"{count} workers of {threads} threads do not fit {cpus} CPUs; give --workers and "
            "--threads whose product is at most that"
        )
    return Workers(compute=replace(compute, threads=threads), count=count)


def prepare_data(
    splits: Splits, config: SearchConfig, *, on_progress: Progress | None = None
) -> SearchData:
    """Return the crops of train, fitness and val, cut now unless the cache has them."""
    train, fitness = fitness_split(splits.train)

    def cut(dataset: Any) -> TrainData:
        return cut_crops(
            dataset, config.input_hw, margin=config.crop_margin, on_progress=on_progress
        )

    return SearchData(
        source=splits.source,
        digest=splits.digest,
        skeleton=splits.train.skeleton,
        train=cut(train),
        fitness=cut(fitness),
        val=cut(splits.val),
    )


def create_run(run: Path, config: SearchConfig, data: SearchData, workers: Workers) -> Store:
    """Return the store of a new run in the folder `run`, its configuration written beside it."""
    store = Store.create(run, run_meta(config, data, workers))
    try:
        write_atomically(run / "config.json", config.to_json().encode())
    except OSError as error:
        store.close()
        raise RunError(f"cannot write {run / 'config.json'}: {error.strerror}") from error
    return store


def open_run(run: Path, data: SearchData) -> Store:
    """Return the store of an existing run, to go on with it.

    Raises: RunError if it was made on other data.
    """
    store = Store.open(run)
    if (made_on := store.meta["data"]) != data.digest:
        source = store.meta["source"]
        store.close()
        raise RunError(
            f"{run} was made on {source} (digest {made_on[:12]}), not on {data.source} (digest "
            f"{data.digest[:12]}); name that dataset, or start another run"
        )
    return store


def read_config(run: Path) -> SearchConfig:
    """Return the configuration of a run. Raises: RunError if the folder has none."""
    try:
        return SearchConfig.from_json((run / "config.json").read_text())
    except FileNotFoundError as error:
        raise RunError(
            f"{run} is not the folder of a run: it has no config.json; name one that "
            "`evopose evolve` made"
        ) from error


def run_meta(config: SearchConfig, data: SearchData, workers: Workers) -> dict[str, Any]:
    """Return what a run's store says of it."""
    return {
        "title": f"{data.source}: {config.recipe}",
        "source": data.source,
        "data": data.digest,
        "recipe": config.recipe,
        "space": config.space.name,
        "seed": config.evolution.seed,
        "persons": {
            "train": len(data.train),
            "fitness": len(data.fitness),
            "val": len(data.val),
        },
        "input_hw": list(config.input_hw),
        "device": workers.compute.describe(),
        "workers": workers.count,
        "crops": {name: str(part.cache.folder) for name, part in _parts(data).items()},
        "sigmas_assumed": data.skeleton.sigmas_assumed,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions that results depend on."""
    import torch

    return {"evopose": VERSION, "torch": torch.__version__, "python": platform.python_version()}


def search(
    store: Store,
    config: SearchConfig,
    data: SearchData,
    workers: Workers,
    *,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> Ending:
    """Evolve until an end of the configuration is reached, and return which.

    Checkpoints of individuals that have ended are deleted.
    """
    work = store.folder / "work"

    def pass_on(event: Event) -> None:
        if event["kind"] in ("done", "failed"):
            shutil.rmtree(work / event["id"], ignore_errors=True)
        on_event(event)

    for status in ("done", "failed"):
        for one in store.individuals(status=status):
            shutil.rmtree(work / one.id, ignore_errors=True)
    executor = make_executor(workers)
    try:
        return run_search(
            store,
            config.space,
            config.evolution,
            measure=make_measure(config, len(data.skeleton)),
            make_job=make_jobs(config, data, workers),
            executor=executor,
            ancestor=config.ancestor,
            on_event=pass_on,
            should_stop=should_stop,
        )
    finally:
        executor.close()


def make_executor(workers: Workers) -> Executor:
    """Return the executor that trains individuals on this machine."""
    if workers.executor not in EXECUTORS:
        raise ConfigError(f"no executor {workers.executor!r}; there are {', '.join(EXECUTORS)}")
    options = {} if workers.executor == "inline" else {"slots": workers.count}
    return EXECUTORS[workers.executor](**options)


def make_measure(config: SearchConfig, num_keypoints: int) -> Callable[[Genotype], tuple[int, int]]:
    """Return the function from a genotype to its parameters and multiply-adds."""

    def measure(genotype: Genotype) -> tuple[int, int]:
        size = plan_complexity(config.evopose2d(genotype, num_keypoints=num_keypoints))
        return size.num_parameters, size.num_macs

    return measure


def make_jobs(
    config: SearchConfig, data: SearchData, workers: Workers
) -> Callable[[Individual, int, Individual | None, Store], dict[str, Any]]:
    """Return the function from an individual to the job that trains it."""
    described = versions()
    crops = {name: str(part.cache.folder) for name, part in _parts(data).items()}

    def make_job(
        one: Individual, attempt: int, parent: Individual | None, store: Store
    ) -> dict[str, Any]:
        run = store.folder.resolve()
        parent_blob = parent.blob if parent else None
        start_from = store.blobs.path(parent_blob).resolve() if parent_blob else None
        compute = workers.compute
        if parent is None:  # the ancestor is alone, so it gets the threads of all workers
            compute = replace(compute, threads=compute.threads * workers.count)
            if config.ancestor_weights:
                start_from = Path(config.ancestor_weights).resolve()
        return {
            "function": "evopose.search.child:train_individual",
            "id": one.id,
            "attempt": attempt,
            "genotype": one.genotype.to_list(),
            "seed": one.seed,
            "parent_blob": parent_blob,
            "start_from": start_from and str(start_from),
            "config": str(run / "config.json"),
            "blobs": str(run / "blobs"),
            "work": str(run / "work" / one.id),
            "log": str(run / "logs" / f"{one.id}.jsonl"),
            "data": crops,
            "data_digest": data.digest,
            "compute": asdict(compute),
            "versions": described,
        }

    return make_job


def _parts(data: SearchData) -> dict[str, TrainData]:
    return {"train": data.train, "fitness": data.fitness, "val": data.val}


def ancestor_from_file(config: SearchConfig, file: Path) -> SearchConfig:
    """Return the configuration with the genotype, options and weights of a model file's network.

    Raises: ConfigError if it is no EvoPose2D.
    """
    card = read_card(file)
    if card.genotype is None:
        raise ConfigError(f"{file} holds a {card.architecture}, only EvoPose2D can be an ancestor")
    options = {k: v for k, v in card.config.items() if k in asdict(config.network)}
    return replace(
        config,
        ancestor=card.genotype,
        ancestor_weights=str(file.resolve()),
        network=replace(config.network, **options),
    )
