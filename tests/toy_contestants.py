"""Contestants of known speed, memory and faults, for child processes to open."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np

from evopose.errors import ModelError
from evopose.inference.benchmark import Contestant, Ready


def sleeper(name: str, milliseconds: float, log: Path | None = None) -> Contestant:
    """Return a contestant that takes so long an image, and writes its name to the log."""
    return Contestant(name=name, open=partial(_open_sleeper, name, milliseconds, log))


def _open_sleeper(name: str, milliseconds: float, log: Path | None) -> Ready:
    def call(batch: int):
        if log is not None:
            with log.open("a") as file:
                file.write(f"{name}/{batch}\n")
        return lambda: time.sleep(batch * milliseconds / 1000)

    return Ready(words=f"sleeps {milliseconds} ms", call=call)


def hoarder(megabytes: int) -> Contestant:
    """Return a contestant that fills so much memory and lets go of it again."""
    return Contestant(name="hoarder", open=partial(_open_hoarder, megabytes))


def _open_hoarder(megabytes: int) -> Ready:
    return Ready(words="hoards", call=lambda _: lambda: np.ones(megabytes << 20, np.uint8).sum())


def threads_told() -> Contestant:
    """Return a contestant whose words are the threads that its environment grants."""
    return Contestant(name="told", open=_open_told)


def _open_told() -> Ready:
    return Ready(words=os.environ["OMP_NUM_THREADS"], call=lambda _: lambda: None)


def faulty(fault: str) -> Contestant:
    """Return a contestant that fails: `model` or `defect` when opened, `exit` or `kill` when
    called."""
    return Contestant(name=f"faulty-{fault}", open=partial(_open_faulty, fault))


def _open_faulty(fault: str) -> Ready:
    if fault == "model":
        raise ModelError("no such layer")
    if fault == "defect":
        raise ZeroDivisionError("oh")
    ends = {"exit": lambda: os._exit(7), "kill": lambda: os.kill(os.getpid(), signal.SIGKILL)}
    return Ready(words="fails", call=lambda _: ends[fault])
