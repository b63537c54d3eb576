"""Several processes that train one network: what of each batch is whose, and what they tell each
other. With one process everything here does nothing.

Every process works through the same batches and takes every n-th sample of each, so that the order
of the samples, their augmentation and the network's random draws do not depend on how many
processes there are.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from evopose.errors import EvoposeError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a process is among those that train together."""

    rank: int = 0
    """Among all, from 0."""
    local_rank: int = 0
    """Among those on this machine, from 0."""
    processes: int = 1
    """On all machines together."""
    local_processes: int = 1
    """On this machine."""
    launched: bool = False
    """Whether torchrun started it."""


def this_place() -> Place:
    """Return where torchrun put this process; alone, if it did not start it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return Place()
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
    rank, local_rank, processes, local_processes = (int(os.environ[name]) for name in names)
    return Place(
        rank=rank,
        local_rank=local_rank,
        processes=processes,
        local_processes=local_processes,
        launched=True,
    )


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one process has of every batch: the samples at `rank`, `rank + processes`, ...

    >>> share = Share(rank=1, processes=2)
    >>> list(range(10, 17))[share.rows]
    [11, 13, 15]
    >>> share.piece(2, 6), share.within(2)
    (slice(1, 3, None), slice(1, None, 2))
    """

    rank: int = 0
    processes: int = 1

    @classmethod
    def of(cls, fabric: Any) -> "Share":
        """Return this process's."""
        return cls(rank=fabric.global_rank, processes=fabric.world_size)

    @property
    def rows(self) -> slice:
        """Its places in a batch."""
        return slice(self.rank, None, self.processes)

    def piece(self, start: int, stop: int) -> slice:
        """Return which of its own samples lie from `start` to `stop` in the batch."""
        return slice(self._before(start), self._before(stop))

    def within(self, start: int) -> slice:
        """Return its places in what begins at `start` in the batch."""
        return slice((self.rank - start) % self.processes, None, self.processes)

    def _before(self, end: int) -> int:
        return max(0, -((self.rank - end) // self.processes))


def total(fabric: Any, value: float) -> float:
    """Return the sum of every process's value."""
    if fabric.world_size == 1:
        return value
    return float(summed(torch.tensor(value, dtype=torch.float64, device=fabric.device)).item())


def summed(value: Tensor) -> Tensor:
    """Return the sum of every process's tensor; there must be several processes."""
    whole = value.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(whole)
    return whole


def from_first(fabric: Any, make: Callable[[], T]) -> T:
    """Return what `make` returns in the first process, in every process.

    Raises: in every process the EvoposeError that it raises in the first.
    """
    if fabric.world_size == 1:
        return make()
    made: list[T] = []
    problem: EvoposeError | None = None
    if fabric.is_global_zero:
        try:
            made.append(make())
        except EvoposeError as error:
            problem = error
    made, problem = fabric.broadcast((made, problem))
    if problem is not None:
        raise problem
    return made[0]
