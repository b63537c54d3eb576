"""The run folder of a search: its configuration and its store, made or opened again."""

from pathlib import Path
from typing import Any

from evopose.errors import ConfigError, RunError
from evopose.evolution.database import require_no_run
from evopose.evolution.store import Store
from evopose.search.config import SearchConfig
from evopose.search.session import SearchData, Workers
from evopose.search.versions import versions
from evopose.training.checkpoint import write_atomically


def create_run(run: Path, config: SearchConfig, data: SearchData, workers: Workers) -> Store:
    """Return the store of a new run in the folder `run`, its configuration written beside it.

    Raises: RunError if the folder holds a run, or cannot be written.
    """
    require_no_run(run)
    write_config(run, config)
    return Store.create(run, run_meta(config, data, workers))


def open_run(run: Path, config: SearchConfig) -> Store:
    """Return the store of an existing run, to go on with it as `config` says."""
    store = Store.open(run)
    try:
        write_config(run, config)
    except RunError:
        store.close()
        raise
    return store


def write_config(run: Path, config: SearchConfig) -> None:
    """Write `config.json` into the run folder. Raises: RunError if that cannot be."""
    try:
        write_atomically(run / "config.json", config.to_json().encode())
    except OSError as error:
        raise RunError(
            f"cannot write {run / 'config.json'}: {error.strerror}; choose another folder with "
            "--run, or mend this one"
        ) from error


def read_config(run: Path) -> SearchConfig:
    """Return the configuration of a run.

    Raises: RunError if there is no run, one of another version, or its configuration is damaged.
    """
    Store.read(run).close()
    path = run / "config.json"
    try:
        return SearchConfig.from_json(path.read_text())
    except (OSError, ValueError, ConfigError) as error:
        raise RunError(f"cannot read {path}: {error}; restore it from a copy") from error


def run_meta(config: SearchConfig, data: SearchData, workers: Workers) -> dict[str, Any]:
    """Return what a run's store says of it."""
    return {
        "title": f"{data.source}: {config.recipe}",
        "source": data.source,
        "data": data.digest,
        "data_options": list(data.options),
        "joined": [one.to_json() for one in data.joined],
        "recipe": config.recipe,
        "space": config.space.name,
        "seed": config.evolution.seed,
        "persons": {name: len(getattr(data, name)) for name in data.crops},
        "input_hw": list(config.input_hw),
        "device": workers.describe(),
        "workers": workers.count,
        "threads": workers.compute.threads,
        "ancestor_threads": workers.threads_alone,
        "crops": data.crops,
        "crops_at": {"x".join(map(str, hw)): data.crops_at(hw) for hw in config.input_sizes},
        "sigmas_assumed": data.skeleton.sigmas_assumed,
        "versions": versions(),
    }
