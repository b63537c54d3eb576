"""Where the jobs of a search run."""

from collections.abc import Callable

from evopose.evolution.executors.inline import InlineExecutor
from evopose.evolution.executors.process import ProcessExecutor
from evopose.evolution.executors.ray import RayExecutor
from evopose.evolution.executors.simulated import SimulatedExecutor
from evopose.evolution.jobs import Executor

EXECUTORS: dict[str, Callable[..., Executor]] = {
    "inline": InlineExecutor,
    "process": ProcessExecutor,
    "ray": RayExecutor,
}
"""Name of `--executor` -> what makes it. `inline`: in this process, one job at a time. `process`:
in worker processes of this machine; takes slots, initializer, settings, environment. `ray`: on the
machines of a Ray cluster."""

__all__ = [
    "EXECUTORS",
    "InlineExecutor",
    "ProcessExecutor",
    "RayExecutor",
    "SimulatedExecutor",
]
