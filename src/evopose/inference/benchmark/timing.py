"""Calling something again and again, and what the times say."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Call = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Where the times of one thing lie, in milliseconds."""

    median: float
    p10: float
    p90: float
    calls: int

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> "Spread":
        """Return where they lie.

        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(median=2.0, p10=1.2, p90=2.8, calls=3)
        """
        p10, median, p90 = np.percentile(milliseconds, (10, 50, 90)).tolist()
        return cls(median=median, p10=p10, p90=p90, calls=len(milliseconds))


def timed_calls(
    call: Call, *, seconds: float, warm_up: int, least: int, most: int | None = None
) -> list[float]:
    """Return the milliseconds of each call: calls are made until `seconds` have passed or there
    are `most`, but at least `least`. `warm_up` calls go before and are not told."""
    for _ in range(warm_up):
        call()
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < least or (
        time.perf_counter() < until and (most is None or len(times) < most)
    ):
        begun = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begun))
    return times
