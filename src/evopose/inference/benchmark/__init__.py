"""How fast a network runs here: every runtime in turn, each in a process of its own.

What is timed is the network alone, from its prepared input to heatmaps as an array.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from evopose.errors import ConfigError
from evopose.inference.benchmark.children import Child
from evopose.inference.benchmark.engines import (
    ENGINES,
    MATRIX,
    Contestant,
    Ready,
    choose_engines,
    contestants,
    matrix_products,
    ready,
)
from evopose.inference.benchmark.timing import Spread, timed_calls
from evopose.models.devices import cpu_count

__all__ = [
    "ENGINES",
    "Contestant",
    "Measured",
    "Peak",
    "Ready",
    "Spread",
    "benchmark",
    "choose_engines",
    "contestants",
    "ready",
    "timed_calls",
    "usable_threads",
]

OnProgress = Callable[[int, int], None]
"""How much is opened and measured, and of how much."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A contestant at a batch size."""

    name: str
    words: str
    """What ran, in words."""
    batch: int
    rounds: tuple[tuple[float, ...], ...]
    """The milliseconds of each call, round by round."""
    peak_bytes: int
    """The most memory that its process held, all batch sizes taken together."""

    @property
    def spread(self) -> Spread:
        """Where the times of all rounds lie."""
        return Spread.of([one for times in self.rounds for one in times])

    @property
    def images_per_second(self) -> float:
        """At the median."""
        return 1000 * self.batch / self.spread.median

    def gflops(self, num_macs: int) -> float:
        """Return the billions of operations a second, two a multiply-add of one image."""
        return 2 * num_macs * self.images_per_second / 1e9

    def times_as_fast_as(self, other: "Measured") -> list[float]:
        """Return by what factor, round by round: both ran within seconds of each other."""
        return [
            median(theirs) / median(ours)
            for ours, theirs in zip(self.rounds, other.rounds, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Peak:
    """What the processor does at most: the product of two float32 matrices."""

    gflops: float
    words: str
    """What computed it: the faster of PyTorch and NumPy."""
    size: int = MATRIX


def benchmark(
    field: Sequence[Contestant],
    batches: Sequence[int],
    *,
    threads: int = 0,
    seconds: float = 3.0,
    rounds: int = 5,
    on_progress: OnProgress = lambda done, total: None,
) -> tuple[list[Measured], Peak]:
    """Return every contestant at every batch size, by batch size, and the machine's peak.

    They take turns: in each of the `rounds` everything is measured once, for its share of
    `seconds`, so that what disturbs the machine disturbs all alike. `threads` 0: as many as there
    are CPUs; contestants were made for as many.

    Raises: ConfigError for numbers that cannot be; MeasurementFailed if a process dies; as the
    contestants' `open`.
    """
    threads = usable_threads(threads)
    _check(batches, seconds, rounds)
    products = matrix_products(threads=threads)
    turns = [(one, batch) for batch in batches for one in field] + [(p, 1) for p in products]
    everyone = (*field, *products)
    steps = len(everyone) + rounds * len(turns)
    with ExitStack() as stack:
        children: dict[str, tuple[Child, str]] = {}
        for number, one in enumerate(everyone):
            on_progress(number, steps)
            child = stack.enter_context(Child(one, threads=threads))
            children[one.name] = child, child.opened()
        times: dict[tuple[str, int], list[tuple[float, ...]]] = {(o.name, b): [] for o, b in turns}
        for turn in range(rounds):
            for number, (one, batch) in enumerate(turns):
                on_progress(len(everyone) + turn * len(turns) + number, steps)
                child, _ = children[one.name]
                times[one.name, batch].append(tuple(child.measure(batch, seconds / rounds)))
        found = {
            (one.name, batch): Measured(
                name=one.name,
                words=children[one.name][1],
                batch=batch,
                rounds=tuple(times[one.name, batch]),
                peak_bytes=children[one.name][0].peak_bytes(),
            )
            for one, batch in turns
        }
    peaks = [_peak(found[one.name, 1]) for one in products]
    measured = [found[one.name, batch] for batch in batches for one in field]
    return measured, max(peaks, key=lambda peak: peak.gflops)


def usable_threads(threads: int) -> int:
    """Return `threads`, for 0 as many as there are CPUs. Raises: ConfigError for more."""
    if not 0 <= threads <= cpu_count():
        raise ConfigError(f"threads are 1 to {cpu_count()}, the CPUs here; got {threads}")
    return threads or cpu_count()


def _check(batches: Sequence[int], seconds: float, rounds: int) -> None:
    if not batches or min(batches) < 1 or len(set(batches)) < len(batches):
        raise ConfigError(f"batch sizes are whole numbers from 1, each once; got {batches}")
    if not seconds > 0 or rounds < 1:
        raise ConfigError(f"seconds are above 0, rounds 1 or more; got {seconds} and {rounds}")


def _peak(product: Measured) -> Peak:
    return Peak(gflops=2 * MATRIX**3 / product.spread.median / 1e6, words=product.words)
