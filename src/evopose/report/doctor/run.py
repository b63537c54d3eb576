"""What is wrong with a run: its database, who holds it, leases, weights, failures, data."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evopose.errors import ConfigError, RunDamaged, RunError
from evopose.evolution.connections import DATABASE
from evopose.evolution.diagnosis import (
    bad_blobs,
    damage_of,
    format_of,
    holder_of,
    left_over,
    orphans,
)
from evopose.evolution.filesystems import NETWORK, filesystem_of
from evopose.evolution.overview import last_failures, owners, running_attempts, weights
from evopose.evolution.schema import FORMAT
from evopose.evolution.store import Store
from evopose.report.doctor.findings import Finding, error, ok, warning
from evopose.report.doctor.machine import disk, installed
from evopose.report.reading import PROCESS_GONE, search_state
from evopose.report.status import MOST_FAILURES, grouped
from evopose.report.text import duration, plural
from evopose.search.command import resume_command
from evopose.search.config import SearchConfig
from evopose.version import VERSION

_SHOWN = 5
"""So many of a kind are named."""

_RESTORE = (
    "restore run.sqlite from a copy; or save what can be read, in a copy of the folder, with the "
    "program sqlite3 of sqlite.org/download.html (those of many systems cannot): "
    "sqlite3 run.sqlite .recover | sqlite3 saved.sqlite && rm -f run.sqlite-wal run.sqlite-shm && "
    "mv saved.sqlite run.sqlite"
)
_HELP = {
    "out of memory": "train with fewer --workers, a smaller --batch-size, or a limit on parameters",
    "not finite": "lower the learning rate of children in the recipe",
    "no sign of life": "look at logs/ID.jsonl for where it hung",
    "worker process died": "look at the system's log: the kernel kills what takes too much memory",
    "No space left": "free some space, then go on with --resume",
}
"""What a reason of failure contains -> what to do; the first that fits."""


def examine_run(run: Path, *, deep: bool = False) -> list[Finding]:
    """Return what there is to say of a run; `deep` also reads all weights and the whole database.

    Raises: RunError if the folder holds no run at all.
    """
    try:
        Store.read(run).close()
        found = list(_database(run, deep))
        if not any(one.level == "error" for one in found):  # else the rest cannot be trusted
            found += _contents(run, deep)
    except RunError as problem:
        if not (run / DATABASE).is_file():
            raise
        do = _RESTORE if isinstance(problem, RunDamaged) else "do as it says, then look again"
        found = [error(f"it cannot be read: {problem}", do)]
    return [*_place(run), *found]


def _contents(run: Path, deep: bool) -> Iterator[Finding]:
    with Store.read(run) as store:
        held = holder_of(run)
        meta = store.meta
        yield from _holder(store, held)
        yield from _weights(store, held, deep)
        yield from _left_over(run, held)
        yield from _failures(store)
        yield from _config(run)
        yield from _data(meta)
        yield from _versions(meta)


def _database(run: Path, deep: bool) -> Iterator[Finding]:
    if complaints := damage_of(run, deep=deep):
        yield error(
            f"the database is damaged: {'; '.join(complaints[:_SHOWN])}",
            _RESTORE,
        )
        return
    yield ok(f"the database is sound ({'read whole' if deep else '--deep reads it whole'})")
    if (found := format_of(run)) != FORMAT:
        yield warning(
            f"it has format {found}, of an older version; this one writes format {FORMAT}",
            "nothing: it is read as it is, and becomes one of this format, with a copy kept, when "
            "its search goes on",
        )


def _place(run: Path) -> Iterator[Finding]:
    kind = filesystem_of(run)
    if kind.lower() in NETWORK:
        yield warning(
            f"it lies on a network file system ({kind}), where SQLite may damage it",
            "move it to a disk of this machine before the search goes on",
        )
    if os.access(run, os.W_OK):
        yield from disk(run, "the run")
    else:
        yield warning(
            f"{run} cannot be written: it can be looked at, its search cannot go on",
            "nothing, if it is an archive; else mend its rights, or copy it to where you may write",
        )


def _holder(store: Store, held: str | None) -> Iterator[Finding]:
    running = running_attempts(store)
    late = [a for a in running if a.lease_until < time.time()]
    state, reason = search_state(store)
    again = resume_command(store.folder)
    if held is None and state == "interrupted" and reason != PROCESS_GONE:
        yield warning(
            f"nobody works on it; its search stopped: {reason}",
            f"go on: {again}",
        )
    elif held is None and running:
        yield warning(
            f"nobody works on it, yet {plural(len(running), 'individual')} should be in training: "
            "its process was killed, or the machine went down",
            f"go on: {again}; what was in training begins again from its checkpoint",
        )
    elif held is None:
        yield ok("nobody works on it")
    else:
        yield ok(f"{held} works on it; {plural(len(running), 'individual')} in training")
    if held is not None and late:
        named = ", ".join(
            f"{a.individual_id} in slot {a.slot} for {duration(time.time() - a.lease_until)}"
            for a in late[:_SHOWN]
        )
        yield warning(
            f"leases are over: {named}",
            "nothing for a minute: the search kills what hangs and tries again; if it does not, "
            f"it hangs itself: stop its process, then {again}",
        )


def _weights(store: Store, held: str | None, deep: bool) -> Iterator[Finding]:
    bad = bad_blobs(store, deep=deep)
    for one in bad[:_SHOWN]:
        whose = ", ".join(owners(store, one.sha)) or "nobody"
        yield error(
            f"the weights of individual {whose} are {one.why}: {one.path}",
            "restore the file from a copy; without it the individual has no children and cannot "
            "be exported, and a search goes on with other parents",
        )
    if len(bad) > _SHOWN:
        yield error(f"so are the weights of {len(bad) - _SHOWN} more", "restore blobs/ from a copy")
    if not bad:
        there = weights(store)
        how = "have their digests" if deep else "have their sizes (--deep compares digests)"
        yield ok(f"{plural(there.kept, 'file')} of weights there, {there.kept_bytes / 1e6:.0f} MB; "
                 f"all {how}")  # fmt: skip
    if held is None and (lost := orphans(store)):
        size = sum(path.stat().st_size for path in lost)
        yield warning(
            f"nobody owns {plural(len(lost), 'file')} in blobs/ ({size / 1e6:.0f} MB): their "
            "results were never told",
            "nothing: they are deleted when the search goes on",
        )


def _left_over(run: Path, held: str | None) -> Iterator[Finding]:
    if found := left_over(run):
        named = ", ".join(str(path.relative_to(run)) for path in found[:_SHOWN])
        yield warning(
            f"{plural(len(found), 'file')} left half written: {named}",
            "delete them" if held is None else "delete them when the search has ended",
        )


def _failures(store: Store) -> Iterator[Finding]:
    counts = store.counts()
    failures = grouped(last_failures(store, MOST_FAILURES))
    if not failures:
        yield ok("no individual failed")
    elif counts["done"] == 0:
        yield error(f"all that ended failed: {failures[0].reason}", _help(failures[0].reason))
    else:
        for one in failures[:_SHOWN]:
            shown = ", ".join(one.ids[:_SHOWN]) + (", ..." if len(one.ids) > _SHOWN else "")
            yield warning(f"{len(one.ids):,} failed ({shown}): {one.reason}", _help(one.reason))


def _help(reason: str) -> str:
    found = (do for part, do in _HELP.items() if part.lower() in reason.lower())
    return next(found, "look at logs/ID.jsonl; a search counts them and goes on")


def _config(run: Path) -> Iterator[Finding]:
    path = run / "config.json"
    try:
        SearchConfig.from_json(path.read_text())
    except FileNotFoundError:
        yield error("there is no config.json", "restore it from a copy: without it nobody goes on")
    except (OSError, ValueError, ConfigError, RunError) as problem:
        yield error(f"config.json cannot be read: {problem}", "restore it from a copy")
    else:
        yield ok("config.json is readable")


def _data(meta: dict[str, Any]) -> Iterator[Finding]:
    source = str(meta.get("source", ""))
    if source and not source.startswith("synthetic") and not Path(source).exists():
        yield warning(
            f"the dataset {source} is not there, seen from {Path.cwd()}",
            "call evopose from where the search began, or name the dataset's new place",
        )
    elif source:
        yield ok(f"the dataset {source} is there")
    parts = [meta.get("crops", {}), *meta.get("crops_at", {}).values()]
    folders = {folder for part in parts for folder in part.values()}
    if gone := sorted(folder for folder in folders if not Path(folder).is_dir()):
        yield warning(
            f"{plural(len(gone), 'folder')} of crops gone: {', '.join(gone[:_SHOWN])}",
            "nothing: they are cut again when the search goes on; reports have no pictures before",
        )
    elif folders:
        yield ok(f"{plural(len(folders), 'folder')} of crops there")


def _versions(meta: dict[str, Any]) -> Iterator[Finding]:
    here = {"evopose": VERSION, "torch": installed("torch")}
    made = meta.get("versions", {})
    for name, version in here.items():
        if name in made and version is not None and not _same(str(made[name]), version):
            yield warning(
                f"it was made by {name} {made[name]}, here is {version}",
                f"nothing, or install {name} {made[name]}: results of both may differ a little",
            )


def _same(one: str, two: str) -> bool:
    """Return whether versions are equal, but for what was built into them ("+cpu")."""
    return one.partition("+")[0] == two.partition("+")[0]
