"""What a search writes for those who follow it: its events as JSON lines; TensorBoard's files."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from evopose.evolution.database import errors_of
from evopose.training.event_files import EventFiles

Event = dict[str, Any]
Listener = Callable[[Event], None]

SEARCH_LOG = Path("logs") / "search.jsonl"
"""In the run folder."""


@contextmanager
def search_log(run: Path, *, slots: int) -> Iterator[Listener]:
    """Give what adds a line to the log of a search for each of its events, progress aside.

    The first line of each session says who began it, and if an error ends it the last says which.
    The log is only ever added to. The store, not the log, is what a search goes on from: an event
    is in the store before it is here.

    Raises: RunError where the folder cannot be written; RunFailed if the disk is full.
    """
    path = run / SEARCH_LOG
    with errors_of(run):
        _end_line(path)

    def add(event: Event) -> None:
        if event["kind"] != "progress":
            line = json.dumps({"at": time.time(), "kind": event["kind"], **event})
            with errors_of(run), path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    add({"kind": "session", "host": socket.gethostname(), "pid": os.getpid(), "slots": slots})
    try:
        yield add
    except BaseException as error:
        with suppress(Exception):  # of a full disk, say: the error itself matters more
            add({"kind": "stopped", "ending": "error", "reason": str(error)})
        raise


def _end_line(path: Path) -> None:
    """Make the file's folder, and end the line in which a killed writer may have left it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")


@contextmanager
def search_board(run: Path) -> Iterator[Listener]:
    """Give what writes a search's events to `tensorboard/` in the run folder.

    Each individual is a run of its id there, by epoch; "search" has the best J and the clone's by
    generation. Raises: ConfigError where the package is missing.
    """
    with EventFiles(run / "tensorboard") as files:

        def tell(event: Event) -> None:
            with errors_of(run):
                _write(files, event)

        yield tell


def _write(files: EventFiles, event: Event) -> None:
    match event["kind"]:
        case "progress":
            if event["progress"].get("kind") == "epoch":
                files.epoch(event["id"], event["progress"])
        case "done" | "failed" | "lost":
            files.end(event["id"])
        case "generation":
            values = {"J/best": event["best_fitness"], "J/clone": event["clone_fitness"]}
            known = {tag: value for tag, value in values.items() if value is not None}
            files.scalars("search", event["generation"], known)
