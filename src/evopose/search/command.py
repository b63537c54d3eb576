"""The command that goes on with a search."""

import shlex
from pathlib import Path
from typing import Any

from evopose.evolution.store import Store

MACHINE = {"device": "auto", "executor": "process"}
"""What options of a machine are, unless they are given; of those that are not here: nothing."""


def machine_words(**options: Any) -> tuple[str, ...]:
    """Return the options of `plan_search` that say where a search runs, those that differ from
    `MACHINE`, as a command line has them."""
    given = {name: v for name, v in options.items() if v is not None and v != MACHINE.get(name)}
    return tuple(
        part
        for name, value in given.items()
        for part in (f"--{name.replace('_', '-')}", str(value))
    )


def note_start(store: Store, source: str, words: tuple[str, ...]) -> None:
    """Note on which data and with which options, those of `machine_words` and of the data, a
    search goes on from now."""
    store.log("begun", source=source, options=list(words))


def resume_command(run: Path) -> str:
    """Return the command that goes on with a run, where it was last at work."""
    with Store.read(run) as store:
        meta, events = store.meta, store.events()
    source, options = meta.get("source") or "DATA", meta.get("data_options", [])
    for event in events:
        if event["kind"] == "begun":
            source, options = event["source"], event["options"]
    return shlex.join(["evopose", "evolve", source, "--run", str(run), "--resume", *options])
