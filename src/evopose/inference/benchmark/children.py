"""Contestants of a benchmark, each in a process of its own, so that its memory is its own."""

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from evopose.errors import EvoposeError, MeasurementFailed
from evopose.inference.benchmark.engines import Contestant
from evopose.inference.benchmark.timing import timed_calls

WARM_UP = 2
"""Calls before each measurement: a batch's kernels are made, threads woken."""
LEAST = 2
"""Calls that a measurement has at least, however long one takes."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Child:
    """A process that has opened one contestant and measures it when asked; to be used by `with`.

    Raises: as the contestant's `open`; MeasurementFailed if the process dies.
    """

    def __init__(self, contestant: Contestant, *, threads: int) -> None:
        self._name = contestant.name
        spawning = get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_serve, args=(theirs, contestant), daemon=True)
        with _environment({name: str(threads) for name in THREAD_VARIABLES}):
            self._process.start()
        theirs.close()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()

    def opened(self) -> str:
        """Wait until it is ready, and return what runs there, in words."""
        return str(self._answer("to be opened"))

    def measure(self, batch: int, seconds: float) -> list[float]:
        """Return the milliseconds of calls with `batch` images."""
        self._pipe.send((batch, seconds))
        times: list[float] = self._answer(f"at batch {batch}")
        return times

    def peak_bytes(self) -> int:
        """Return the most memory that the process has held so far."""
        self._pipe.send(None)
        return int(self._answer("to tell its memory"))

    def _answer(self, doing: str) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            self._process.join()
            code = self._process.exitcode
            how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
            hint = ": out of memory, most likely; try a smaller --batch" if code == -9 else ""
            raise MeasurementFailed(
                f"the process of {self._name} ended {how} where it was {doing}{hint}"
            ) from error
        if isinstance(answer, EvoposeError):
            raise answer
        if isinstance(answer, Exception):
            raise MeasurementFailed(f"{self._name} failed {doing}: {answer!r}") from answer
        return answer


def _serve(pipe: Connection, contestant: Contestant) -> None:
    """Open the contestant; then measure, or tell the peak of memory, until nobody asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends this process
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            ready = contestant.open()
            pipe.send(ready.words)
            while True:
                asked = pipe.recv()
                if asked is None:
                    pipe.send(peak_bytes())
                    continue
                batch, seconds = asked
                call = ready.call(batch)
                pipe.send(timed_calls(call, seconds=seconds, warm_up=WARM_UP, least=LEAST))
        except (EOFError, ConnectionError):
            raise
        except Exception as error:  # told where it is understood
            pipe.send(error if isinstance(error, EvoposeError) else RuntimeError(repr(error)))


def peak_bytes() -> int:
    """Return the most memory that this process has held, libraries and interpreter included."""
    status = Path("/proc/self/status")
    if status.exists():  # `ru_maxrss` would start from the parent's
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return 1024 * int(found[1])
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) * (1 if sys.platform == "darwin" else 1024)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have variables set for processes that are started inside."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
