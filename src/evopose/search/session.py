"""A search on real data: from DATA and a configuration to a run folder with individuals in it."""

import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from evopose.data.home import Progress
from evopose.data.layouts import Splits
from evopose.data.merging import Joined
from evopose.data.splits import fitness_split
from evopose.errors import ConfigError
from evopose.evolution.ending import Ending
from evopose.evolution.engine import run_search
from evopose.evolution.executors import EXECUTORS
from evopose.evolution.fitness import Size
from evopose.evolution.individual import Individual
from evopose.evolution.jobs import Executor, Job
from evopose.evolution.overview import trained_among
from evopose.evolution.proposal import Measure, Stopwatch
from evopose.evolution.store import Store
from evopose.genotype import Genotype
from evopose.models.devices import cpu_count
from evopose.models.evopose2d_plan import plan_complexity
from evopose.search.cluster import Cluster
from evopose.search.command import note_start
from evopose.search.config import SearchConfig
from evopose.search.courier import Courier
from evopose.search.latency import make_stopwatch
from evopose.search.logs import search_log
from evopose.search.places import (
    Places,
    check_job,
    clear_blobs,
    crops_place,
    places_of,
    publish_crops,
    tidied,
)
from evopose.search.versions import versions
from evopose.skeleton import Skeleton
from evopose.structures import PoseDataset
from evopose.training.compute import Compute
from evopose.training.session import codec_spec, cut_crops
from evopose.training.validate import TrainData

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
    other_sizes: dict[tuple[int, int], dict[str, TrainData]] = field(default_factory=dict)
    """Input size -> the three parts for it, for sizes that networks have beside the ancestor's."""
    options: tuple[str, ...] = ()
    """What opens the data again, beside its name, as a command line has it."""
    joined: tuple[Joined, ...] = ()
    """What further datasets brought."""

    @property
    def crops(self) -> dict[str, str]:
        """The folder of the crops of each part, at the ancestor's size."""
        return _folders({"train": self.train, "fitness": self.fitness, "val": self.val})

    def crops_at(self, input_hw: tuple[int, int]) -> dict[str, str]:
        """The folder of the crops of each part for networks of this input size."""
        other = self.other_sizes.get(input_hw)
        return self.crops if other is None else _folders(other)


def _folders(parts: dict[str, TrainData]) -> dict[str, str]:
    return {name: str(part.cache.folder) for name, part in parts.items()}


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How a search is spread over this machine, or a cluster."""

    compute: Compute
    count: int = 1
    executor: str = "process"
    """A name in `EXECUTORS`."""
    latency: Compute | None = None
    """Where latencies are measured; None: where trainings run."""
    ancestor_threads: int | None = None
    """Threads with which the ancestor trains; None: `threads_alone`."""
    cluster: Cluster | None = None
    """With executor "ray", and then `count` is how many workers there were when it was asked."""
    words: tuple[str, ...] = ()
    """What asks for the same again, as a command line has it."""

    @property
    def threads_alone(self) -> int:
        """Threads of a worker that has no other beside it: half of all, at least its own.

        Not all: threads that wait for each other at every step crawl as soon as another program
        takes one core of theirs (seen on two cores: 20 images a second instead of 366, and 230
        with one thread). On a cluster they are what its machine keeps for it.
        """
        if self.cluster is not None:
            return self.compute.threads
        return max(self.compute.threads, self.compute.threads * self.count // 2)

    @property
    def shared(self) -> str | None:
        """The folder or URL that all machines of a cluster see, if one is needed."""
        return None if self.cluster is None else self.cluster.shared

    def describe(self) -> str:
        """Return the device of a worker in one line."""
        return self.compute.describe() if self.cluster is None else self.cluster.device


def choose_workers(
    compute: Compute, count: int | None, threads: int | None, executor: str = "process"
) -> Workers:
    """Return so many workers that workers times threads fills the CPUs and no more.

    On a CPU one worker a core trains most images a second; on a GPU one worker has it to itself.

    Raises: ConfigError for an unknown executor, or if more is asked for than there is.
    """
    if executor not in EXECUTORS:
        raise ConfigError(f"no executor {executor!r}; there are {', '.join(EXECUTORS)}")
    cpus = cpu_count()
    if count is None:
        alone = compute.device != "cpu" or executor == "inline"
        count = 1 if alone else max(1, cpus // max(1, threads or 1))
    if threads is None:
        threads = max(1, cpus // max(1, count))
    if count < 1 or threads < 1 or count * threads > cpus:
        raise ConfigError(
            f"{count} workers of {threads} threads do not fit {cpus} CPUs; give --workers and "
            "--threads of at least 1 whose product is at most that"
        )
    if executor == "inline" and count > 1:
        raise ConfigError("inline trains one individual at a time: give --workers 1, or process")
    return Workers(compute=replace(compute, threads=threads), count=count, executor=executor)


def repeatable(config: SearchConfig, workers: Workers) -> SearchConfig:
    """Return the configuration of a search that repeats itself, however long trainings take.

    An asynchronous one gets a window, twice as wide as there are workers: with it slots hardly
    ever wait (`benchmarks/utilisation.py`). Generations repeat themselves anyway.
    """
    evolution = config.evolution
    if evolution.mode == "async" and evolution.window is None:
        evolution = replace(evolution, window=2 * workers.count)
    return replace(config, evolution=evolution)


def parts_of(splits: Splits) -> dict[str, PoseDataset]:
    """Return `train` and `fitness`, drawn from the train split, and `val`."""
    train, fitness = fitness_split(splits.train)
    return {"train": train, "fitness": fitness, "val": splits.val}


def prepare_data(
    splits: Splits, config: SearchConfig, *, on_progress: Progress | None = None
) -> SearchData:
    """Return the crops of train, fitness and val, for every input size of the search; cut now
    unless the cache has them."""
    first, *others = (
        {
            name: cut_crops(
                part,
                size,
                margin=config.crop_margin,
                align_corners=codec_spec(config.child_training).align_corners,
                on_progress=on_progress,
            )
            for name, part in parts_of(splits).items()
        }
        for size in config.input_sizes
    )
    return SearchData(
        source=splits.source,
        digest=splits.digest,
        skeleton=splits.train.skeleton,
        other_sizes=dict(zip(config.input_sizes[1:], others, strict=True)),
        options=tuple(splits.words),
        joined=splits.joined,
        **first,
    )


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

    Checkpoints of individuals that are done are deleted; those of failed ones may tell why. Events
    are logged (see `search_log`), then told to `on_event`.
    """
    places = places_of(store.folder, workers.shared)
    work = Path(places.work or store.folder / "work")

    def pass_on(event: Event) -> None:
        if event["kind"] == "done":
            shutil.rmtree(work / event["id"], ignore_errors=True)
        log(event)
        on_event(event)

    for id in trained_among(store, [path.name for path in work.glob("*")]):
        shutil.rmtree(work / id, ignore_errors=True)
    with (
        tidied(places, work),
        closing(open_executor(store, config, data, workers, places)) as executor,
        search_log(store.folder, slots=len(executor.slots)) as log,
    ):
        note_start(store, data.source, (*data.options, *workers.words))
        return run_search(
            store,
            config.space,
            config.evolution,
            measure=make_measure(config, len(data.skeleton)),
            make_job=make_jobs(config, data, workers),
            executor=executor,
            ancestor=config.ancestor,
            stopwatch=stopwatch_of(config, workers, num_keypoints=len(data.skeleton)),
            on_event=pass_on,
            should_stop=should_stop,
        )


def make_executor(workers: Workers, check: Job | None = None) -> Executor:
    """Return the executor that trains individuals; on a cluster, machines that pass `check`."""
    cluster = workers.cluster
    options: dict[str, Any] = {} if workers.executor == "inline" else {"slots": workers.count}
    if cluster is not None:
        options = {
            "address": cluster.address,
            "slots": cluster.limit if cluster.address else workers.count,
            "cpus": cpu_count(),
            "threads": workers.compute.threads,
            "gpus": cluster.gpus,
            "check": check,
        }
    return EXECUTORS[workers.executor](**options)


def open_executor(
    store: Store, config: SearchConfig, data: SearchData, workers: Workers, places: Places
) -> Executor:
    """Return the executor of a search. On a cluster, crops are put where workers find them, and
    each worker shows that it can read them and exchange weights before it is used."""
    if workers.cluster is None:
        return make_executor(workers)
    folders = {f for hw in config.input_sizes for f in data.crops_at(hw).values()}
    for folder in sorted(folders):
        publish_crops(places, folder)
    if places.shared:
        clear_blobs(places)  # what a killed search left
    executor = make_executor(workers, check_job(places, folders, versions()))
    return Courier(executor, places, store.blobs) if places.shared else executor


def make_measure(config: SearchConfig, num_keypoints: int) -> Measure:
    """Return the function from a genotype to its parameters and multiply-adds."""

    def measure(genotype: Genotype) -> Size:
        found = plan_complexity(config.evopose2d(genotype, num_keypoints=num_keypoints))
        return Size(num_parameters=found.num_parameters, num_macs=found.num_macs)

    return measure


def stopwatch_of(config: SearchConfig, workers: Workers, *, num_keypoints: int) -> Stopwatch | None:
    """Return what measures latencies, where the fitness needs them."""
    if not config.evolution.fitness.needs_latency:
        return None
    if workers.cluster is not None and workers.latency is None:
        raise ConfigError(
            "the latency of networks is measured on this machine, not on the cluster: say on which "
            "device with --latency-device"
        )
    return make_stopwatch(config, workers.latency or workers.compute, num_keypoints=num_keypoints)


def make_jobs(
    config: SearchConfig, data: SearchData, workers: Workers
) -> Callable[[Individual, int, Individual | None, Store], dict[str, Any]]:
    """Return the function from an individual to the job that trains it."""
    described, config_json = versions(), config.to_json()

    def make_job(
        one: Individual, attempt: int, parent: Individual | None, store: Store
    ) -> dict[str, Any]:
        run = store.folder.resolve()
        places = places_of(run, workers.shared)
        parent_blob = parent.blob if parent else None
        assert parent is None or parent_blob, f"the weights of {one.id}'s parent are kept"
        start_blob, start_from = parent_blob, None
        crops = data.crops_at(one.genotype.network.input_hw or config.input_hw)
        compute = workers.compute
        if one.kind == "ancestor":  # it is alone
            threads = workers.ancestor_threads or workers.threads_alone
            compute = replace(compute, threads=threads)
        if parent is None and config.ancestor_weights:
            start_from = Path(config.ancestor_weights).resolve()
            if places.shared:
                start_blob = store.blobs.put(start_from.read_bytes())
        return {
            "function": "evopose.search.child:train_individual",
            "id": one.id,
            "attempt": attempt,
            "genotype": one.genotype.to_value(),
            "seed": one.seed,
            "parent_blob": parent_blob,
            "start_blob": start_blob,
            "start_from": start_from and str(start_from),
            "config": config_json,
            "blobs": places.blobs,
            "work": places.work and f"{places.work}/{one.id}",
            "log": str(run / "logs" / f"{one.id}.jsonl"),
            "report": str(run / "logs" / f"{one.id}.transfer.json"),
            "sends_report": places.shared,
            "data": {part: crops_place(places, folder) for part, folder in crops.items()},
            "data_digest": data.digest,
            "compute": asdict(compute),
            "versions": described,
        }

    return make_job
