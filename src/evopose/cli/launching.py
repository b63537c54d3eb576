"""Processes that train together: starting them, and ending with them."""

import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from evopose.errors import RunFailed

GRACE_SECONDS = 120
"""Ctrl-C gives the processes so long to end their step and to write the checkpoint."""


def launch(count: int) -> int:
    """Run this command line in so many processes on this machine; return what to exit with.

    One that ends with an error ends the others, as torchrun does it. Ctrl-C is passed on to them.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in logging.root.manager.loggerDict:
        if name.startswith("torch.distributed.elastic"):  # each has a level of its own
            logging.getLogger(name).setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        shutdown_timeout=GRACE_SECONDS,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "evopose", *sys.argv[1:])
    except SignalException:
        return 130
    except ChildFailedError as failed:
        rank, code = cause({rank: failure.exitcode for rank, failure in failed.failures.items()})
        if code > 0:  # it has said why
            return code
        name = signal.Signals(-code).name
        print(f"evopose: {name} ended process {rank} of {count}, and so the training; --resume "
              "goes on from the last checkpoint", file=sys.stderr)  # fmt: skip
        return 1
    return 0


def cause(codes: dict[int, int]) -> tuple[int, int]:
    """Return which process, and its exit code, ended them all: rather one that a signal killed than
    one that saw it go, and one that the launcher then ended (SIGTERM) only for want of another."""
    return min(codes.items(), key=lambda item: (item[1] == -signal.SIGTERM, item[1] > 0))


def stop_with_launcher(stop: Callable[[], bool]) -> Callable[[], bool]:
    """Return what also asks to stop when the process that started this one is gone."""
    launcher = os.getppid()
    return lambda: stop() or os.getppid() != launcher


@contextmanager
def end_with_others() -> Iterator[None]:
    """Turn what the loss of another process raises in this one into a RunFailed."""
    try:
        yield
    except RuntimeError as error:
        if "by peer" not in str(error):  # gloo: connection closed, or reset, by peer
            raise
        raise RunFailed(
            "another process of this training has ended, and so it ends; --resume goes on from "
            "the last checkpoint"
        ) from error
