"""Going on with a run: what may change, what must be as it was, and the command that does it."""

import shlex
from pathlib import Path
from typing import Any

from evopose.data.layouts import Splits
from evopose.errors import ConfigError, RunError
from evopose.evolution.connections import in_use
from evopose.evolution.diagnosis import holder_of
from evopose.evolution.store import Store
from evopose.search.config import SearchConfig
from evopose.search.folder import read_config
from evopose.search.overrides import option_name, override

ENDS = ("generations", "hours", "patience", "quota_gb", "timeout_seconds")
"""Options that a run may be resumed with, and have other values than before."""


def resumed_config(run: Path, *, deterministic: bool = False, **options: Any) -> SearchConfig:
    """Return the configuration of a run that is to go on, its `ENDS` replaced by `options`.

    Other options may be given as the run has them, so that its first command can be repeated.

    Raises: RunError if somebody works on the run, or there is none; ConfigError for an option that
    would change what may not change.
    """
    if holder := holder_of(run):
        raise in_use(run, holder)
    config = read_config(run)
    given = {name: value for name, value in options.items() if value is not None}
    ends = {name: given.pop(name) for name in ENDS if name in given}
    changed = []
    if override(config, **given) != config:  # one alone may differ: a space brings an ancestor
        differs = [k for k, value in given.items() if override(config, **{k: value}) != config]
        changed += differs or list(given)
    evolution = config.evolution
    if deterministic and evolution.mode == "async" and evolution.window is None:
        changed.append("deterministic")
    if changed:
        raise ConfigError(
            f"a resumed run keeps its configuration: only {', '.join(map(option_name, ENDS))} may "
            f"have other values than before, not {', '.join(sorted(map(option_name, changed)))}"
        )
    return override(config, **ends)


def require_same_data(run: Path, splits: Splits) -> None:
    """Raise RunError if the run was made on other data, or by a version that cannot go on."""
    with Store.read(run) as store:
        meta = store.meta
    if meta["data"] != splits.digest:
        made = shlex.join([meta["source"], *meta.get("data_options", ())])
        given = shlex.join([splits.source, *splits.words])
        raise RunError(
            f"{run} was made on {made} (digest {meta['data'][:12]}), not on {given} (digest "
            f"{splits.digest[:12]}); name that dataset, or start another run"
        )


def threads_before(
    run: Path, config: SearchConfig, threads: int | None
) -> tuple[int | None, int | None]:
    """Return the threads of a run's workers, those asked for or else those it has had so far, and
    its ancestor's; None where the run, of an older version, did not note them.

    Raises: RunError if a search that repeats itself is to go on with another number: it changes
    how sums are rounded, and so what a training gives.
    """
    with Store.read(run) as store:
        meta = store.meta
    before = meta.get("threads")
    if config.evolution.window is not None and threads not in (None, before):
        raise RunError(
            f"the trainings of {run} have {before} threads each, and it is to repeat itself: go on "
            f"with --threads {before}, or leave it out"
        )
    return threads or before, meta.get("ancestor_threads")
