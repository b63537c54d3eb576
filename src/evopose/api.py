"""The main job as one function: from images with keypoints to a run folder with a winner in it."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.crops import open_crops
from evopose.data.home import Progress
from evopose.data.layouts import Splits, open_dataset
from evopose.errors import ConfigError, DataError
from evopose.evolution.database import errors_of, require_no_run
from evopose.evolution.ending import Ending
from evopose.evolution.individual import Individual
from evopose.evolution.proposal import timed
from evopose.evolution.store import Store
from evopose.models.card import read_card
from evopose.models.evopose2d_plan import blind_genes
from evopose.recipes import SEARCH_RECIPES
from evopose.report import Picture, write_all
from evopose.search.cluster import choose_cluster
from evopose.search.command import machine_words
from evopose.search.config import SearchConfig
from evopose.search.estimate import Estimate, Throughput, estimate, measure_throughput
from evopose.search.folder import create_run, open_run
from evopose.search.logs import search_board
from evopose.search.overrides import override
from evopose.search.places import require_shared
from evopose.search.resuming import require_same_data, resumed_config, threads_before
from evopose.search.session import (
    SearchData,
    Workers,
    choose_workers,
    make_measure,
    parts_of,
    prepare_data,
    repeatable,
    search,
    stopwatch_of,
)
from evopose.search.winner import WinnerView, export_best, look
from evopose.training.compute import resolve_compute
from evopose.training.event_files import require_tensorboard
from evopose.training.validate import TrainData

WORST = (
    "Where the winner is most wrong: the persons of the validation split with the lowest OKS, the "
    "worst first. To the left what was labelled, to the right what the winner sees"
)
"""Caption of the second picture."""

logger = logging.getLogger(__name__)
Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A search that is ready to start: what it will do, on what, and what it will cost."""

    run: Path
    config: SearchConfig
    splits: Splits
    persons: dict[str, int]
    """How many train ("train"), measure fitness ("fitness") and are shown in reports ("val")."""
    workers: Workers
    speed: Throughput
    cost: Estimate
    resume: bool
    latency: str | None
    """Of the ancestor and where it was measured; None: the search does not ask for it."""
    blind: dict[str, str]
    """Genes that the scaling leaves without effect at this input size, and how far."""


@dataclass(frozen=True, kw_only=True)
class Evolved:
    """What a search leaves in its run folder."""

    run: Path
    ending: Ending
    """Why the search ended."""
    best: Individual | None
    model: Path | None
    """Its model file; None while nobody is trained, or if its weights are missing or damaged."""
    view: WinnerView | None
    """What the winner makes of the validation split."""

    @property
    def interrupted(self) -> bool:
        """Whether someone stopped it; it can be resumed."""
        return self.ending.kind == "stopped"


def make_config(recipe: str | SearchConfig, **options: Any) -> SearchConfig:
    """Return the configuration of a recipe with options replaced (see `override`).

    Raises: ConfigError for an unknown recipe or option.
    """
    if isinstance(recipe, str):
        if recipe not in SEARCH_RECIPES:
            raise ConfigError(f"no recipe {recipe!r}; there are {', '.join(SEARCH_RECIPES)}")
        recipe = SEARCH_RECIPES[recipe]()
    return override(recipe, **options)


def plan_search(
    data: str | Path,
    *,
    recipe: str | SearchConfig = "small",
    run: str | Path | None = None,
    resume: bool = False,
    annotations: str | Sequence[str] | None = None,
    also: Sequence[str | Path] = (),
    rename: Mapping[str, str] | None = None,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    executor: str = "process",
    deterministic: bool = False,
    address: str | None = None,
    gpus_per_worker: float | None = None,
    shared: str | Path | None = None,
    latency_device: str | None = None,
    on_data: Progress | None = None,
    **options: Any,
) -> Plan:
    """Return a search that is ready to start: data read, device chosen, speed measured.

    Nothing is written yet, but for synthetic people. Arguments as of `evolve`. With `resume` the
    configuration is the run's own; of the `options` only those in `ENDS` may then have other values
    than it has.
    """
    if resume and run is None:
        raise ConfigError("which run is to go on? name its folder with --run")
    folder = Path(run) if run else default_run(data)
    if resume:
        config = resumed_config(folder, deterministic=deterministic, **options)
    else:
        config = make_config(recipe, **options)
    if config.ancestor_weights == "imagenet":
        raise ConfigError(
            f"recipe {config.recipe!r} starts from ImageNet weights of EfficientNet-B0: give "
            "--ancestor-weights FILE (a model file of that network), or --ancestor-weights none to "
            "start from random ones"
        )
    words = machine_words(
        device=device, workers=workers, threads=threads, executor=executor, address=address,
        gpus_per_worker=gpus_per_worker, shared=shared, latency_device=latency_device,
    )  # fmt: skip
    precision = config.child_training.precision
    alone = None
    if resume:
        threads, alone = threads_before(folder, config, threads)
    if executor == "ray":
        if shared:
            require_shared(str(shared))
        compute, count, cluster = choose_cluster(
            device, precision=precision, count=workers, threads=threads, address=address,
            gpus=gpus_per_worker, shared=str(shared) if shared else None,
        )  # fmt: skip
        chosen = Workers(compute=compute, count=count, executor=executor, cluster=cluster)
    elif address or gpus_per_worker is not None or shared:
        raise ConfigError("--address, --gpus-per-worker and --shared go with --executor ray")
    else:
        compute = resolve_compute(device, precision=precision)
        chosen = choose_workers(compute, workers, threads, executor)
    chosen = replace(chosen, ancestor_threads=alone, words=words)
    if deterministic:
        config = repeatable(config, chosen)
    if latency_device is not None:
        chosen = replace(chosen, latency=resolve_compute(latency_device, precision=precision))
    if not resume:
        require_no_run(folder)
    splits = open_dataset(
        data, annotations=annotations, also=also, rename=rename, only=("train", "val"),
        on_progress=on_data,
    )  # fmt: skip
    if resume:
        require_same_data(folder, splits)
    persons = {name: len(part.trainable) for name, part in parts_of(splits).items()}
    num_keypoints = len(splits.train.skeleton)
    # A run that goes on has its ancestor: measured anew, it might be refused by chance.
    stopwatch = None if resume else stopwatch_of(config, chosen, num_keypoints=num_keypoints)
    size = timed(make_measure(config, num_keypoints)(config.ancestor), config.ancestor, stopwatch)
    if reason := config.evolution.fitness.refusal(size):
        raise ConfigError(f"the ancestor: {reason}; choose a smaller one, or raise the limit")
    speed = measure_throughput(config, chosen, num_keypoints=num_keypoints)
    return Plan(
        run=folder,
        config=config,
        splits=splits,
        persons=persons,
        workers=chosen,
        speed=speed,
        cost=estimate(
            config,
            speed,
            persons=persons,
            workers=chosen.count,
            alone=chosen.threads_alone // chosen.compute.threads,
        ),
        resume=resume,
        latency=f"{size.latency_ms:.2f} ms on {stopwatch.device}" if stopwatch else None,
        blind=blind_genes(
            config.space, config.evopose2d(config.ancestor, num_keypoints=num_keypoints)
        ),
    )


def run_plan(
    plan: Plan,
    data: SearchData,
    *,
    on_event: Callable[[Event], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
    tensorboard: bool = False,
) -> Evolved:
    """Carry out a planned search and write what it leaves: best model, Pareto set, report.

    `data` is what `prepare_data` made of the plan's splits and configuration. With `tensorboard`,
    event files are written too (see `search_board`).
    """
    if plan.resume:
        store = open_run(plan.run, plan.config)
    else:
        store = create_run(plan.run, plan.config, data, plan.workers)
    board = search_board(plan.run) if tensorboard else nullcontext(lambda event: None)
    with store, board as tell_board:

        def tell(event: Event) -> None:
            tell_board(event)
            on_event(event)

        ending = search(
            store, plan.config, data, plan.workers, on_event=tell, should_stop=should_stop
        )
    model, view = write_reports(plan.run)
    with Store.read(plan.run) as store:
        best = store.winner()
    return Evolved(run=plan.run, ending=ending, best=best, model=model, view=view)


def evolve(
    data: str | Path,
    *,
    recipe: str | SearchConfig = "small",
    run: str | Path | None = None,
    on_data: Progress | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
    tensorboard: bool = False,
    **options: Any,
) -> Evolved:
    """Evolve a pose network on `data` and return what the run folder then holds.

    `data`: a folder or file of COCO keypoints, or `synthetic[:N]`. `recipe`: a name in
    `SEARCH_RECIPES` or a configuration. Further options: `resume`, `annotations`, `also`, `rename`
    (see `open_dataset`), `device`,
    `workers`, `threads`, `executor`, `latency_device`, with executor "ray" `address`,
    `gpus_per_worker`, `shared` (see docs/cluster.md), and those of
    `evopose.search.overrides.override`.
    `on_data` is told of people drawn and crops cut, `on_event` of all that happens in the search
    (see `run_search`); when `should_stop` says so, the search ends and can be resumed.
    `tensorboard`: also write event files for TensorBoard.

    Raises: EvoposeError with what was expected, what came, and how to mend it.
    """
    if tensorboard:
        require_tensorboard()
    plan = plan_search(data, recipe=recipe, run=run, on_data=on_data, **options)
    prepared = prepare_data(plan.splits, plan.config, on_progress=on_data)
    return run_plan(
        plan, prepared, on_event=on_event, should_stop=should_stop, tensorboard=tensorboard
    )


def write_reports(run: Path) -> tuple[Path | None, WinnerView | None]:
    """Write best model, Pareto set, pictures, `report.html`, `results.json` and
    `individuals.csv` of a run as it stands; return the winner's model file (see `export_best`) and
    what it sees, if there are.

    Raises: RunError if there is no run, or its folder cannot be written.
    """
    with Store.read(run) as store, errors_of(run):
        best = export_best(store)
        meta = store.meta
    view = None
    pictures = []
    if best is not None and (data := _val_crops(meta, read_card(best).input_hw)) is not None:
        # One thread: a search may be using all cores, and would slow several down to a crawl.
        view = look(best, data, resolve_compute("cpu", threads=1))
        pictures = [
            Picture(
                image=view.sheet,
                caption=f"What the winner sees: persons of the validation split, spread evenly "
                f"over it, none chosen. Mean OKS on all {view.persons}: {view.mean_oks:.3f}",
            )
        ]
        _write_picture(run / "winner.png", view.sheet)
        if view.worst is not None:
            pictures.append(Picture(image=view.worst, caption=WORST))
            _write_picture(run / "worst.png", view.worst)
    write_all(run, pictures=pictures)
    return best, view


def default_run(data: str | Path) -> Path:
    """Return the folder of a new run: runs/DATA-DATE."""
    path = Path(str(data).partition(":")[0] if str(data).startswith("synthetic:") else data)
    name = path.stem if path.is_file() else path.resolve().name
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


def _val_crops(meta: dict[str, Any], input_hw: tuple[int, int]) -> TrainData | None:
    """Return the validation crops of a run for an input size, None if their cache is gone."""
    parts = meta.get("crops_at", {}).get(f"{input_hw[0]}x{input_hw[1]}", meta["crops"])
    try:
        cache = open_crops(Path(parts["val"]))
    except DataError as error:
        logger.warning("no picture of what the winner sees: %s", error)
        return None
    return TrainData(cache=cache, indices=np.arange(len(cache)))


def _write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    from evopose.drawing import write_image

    write_image(path, image)
