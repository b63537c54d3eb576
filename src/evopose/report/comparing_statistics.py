"""Step curves over cost, bootstrap intervals over seeds, and what chance alone would do.

Pure functions on arrays; NumPy and nothing else. Lower values are better throughout: who measures
something of which more is better turns its sign.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RESAMPLES = 10_000
"""Draws of a bootstrap."""
LEVEL = 0.95
"""Share of the resamples that an interval holds."""
FEWEST = 3
"""Of fewer values no interval is given."""
MOST_EXACT = 20_000
"""Rearrangements that are gone through one by one; of more, `RESAMPLES` are drawn."""

CHUNK = 1000
"""Costs, or resamples, that are worked on at a time: memory stays small."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Best value so far against cost: a step function that holds on from each point."""

    costs: Array
    """(n,), ascending; the last is where the run stands."""
    values: Array
    """(n,), never rising."""

    @property
    def end(self) -> float:
        """The cost reached."""
        return float(self.costs[-1])

    def at(self, costs: Array | float) -> Array:
        """Return the value at each cost; not a number before the first point."""
        places = np.searchsorted(self.costs, costs, side="right") - 1
        return np.where(places >= 0, self.values[np.maximum(places, 0)], np.nan)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its interval."""

    mean: float
    low: float | None
    """None, as `high`, of fewer than `FEWEST` values."""
    high: float | None
    n: int
    """Values the mean is taken of."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """The mean of several curves where all of them have a value, and its interval there."""

    costs: Array
    mean: Array
    low: Array | None
    """None, as `high`, of fewer than `FEWEST` curves."""
    high: Array | None
    n: int


def common_costs(curves: Sequence[Curve]) -> Array:
    """Return the costs at which any curve changes, from where all have begun to where the first
    ends; empty where one ends before another begins."""
    first = max(float(curve.costs[0]) for curve in curves)
    last = min(curve.end for curve in curves)
    found = np.unique(np.concatenate([*(curve.costs for curve in curves), [first, last]]))
    return found[(found >= first) & (found <= last)]


def shares(n: int, *, draws: int = RESAMPLES, seed: int = 0) -> Array:
    """Return the share of each of `n` values in each resample with replacement, (draws, n)."""
    found: Array = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), draws) / n
    return found


def interval(resampled: Array) -> tuple[Array, Array]:
    """Return the bounds between which the middle `LEVEL` of the resamples lies, over axis 0."""
    outside = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [outside, 1 - outside], axis=0)
    return low, high


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of `values` with its percentile bootstrap interval.

    >>> estimate([1.0, 2.0]).low is None, estimate([1.0, 2.0, 3.0]).mean
    (True, 2.0)
    """
    found = np.asarray(values, dtype=np.float64)
    low = high = None
    if len(found) >= FEWEST:
        low, high = map(float, interval(shares(len(found)) @ found))
    return Estimate(mean=float(found.mean()), low=low, high=high, n=len(found))


def difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Return the mean of `second` minus that of `first`, each resampled on its own.

    `n` is the smaller number of values.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n, low, high = min(len(a), len(b)), None, None
    if n >= FEWEST:
        resampled = shares(len(b), seed=1) @ b - shares(len(a), seed=0) @ a
        low, high = map(float, interval(resampled))
    return Estimate(mean=float(b.mean() - a.mean()), low=low, high=high, n=n)


def band(curves: Sequence[Curve]) -> Band:
    """Return the mean curve with its interval at each of the curves' common costs."""
    costs = common_costs(curves)
    values = np.stack([curve.at(costs) for curve in curves])
    low = high = None
    if len(curves) >= FEWEST and len(costs):
        weights = shares(len(curves))
        starts = range(0, len(costs), CHUNK)
        parts = [interval(weights @ values[:, start : start + CHUNK]) for start in starts]
        low = np.concatenate([part[0] for part in parts])
        high = np.concatenate([part[1] for part in parts])
    return Band(costs=costs, mean=values.mean(axis=0), low=low, high=high, n=len(curves))


def chance_of_signs(differences: Sequence[float]) -> float:
    """Return how often chance alone makes the mean of paired differences as far from 0.

    Were the arms alike, each difference might as well have the other sign: the share of all sign
    choices whose mean is at least as far from 0 as the one seen (two-sided, at least 2 / 2**n).

    >>> chance_of_signs([1.0, 2.0, 3.0])
    0.25
    """
    found = np.asarray(differences, dtype=np.float64)
    n = len(found)
    if 2**n <= MOST_EXACT:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=n)))
    else:
        signs = np.random.default_rng(0).choice([1.0, -1.0], (RESAMPLES, n))
    return _share_as_far(signs @ found / n, float(found.mean()), exact=2**n <= MOST_EXACT)


def chance_of_labels(first: Sequence[float], second: Sequence[float]) -> float:
    """Return how often chance alone sets the means of two groups as far apart.

    The share of all ways to deal the values out to two groups of these sizes.

    >>> chance_of_labels([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    0.1
    """
    pool = np.asarray([*first, *second], dtype=np.float64)
    n, total = len(second), len(pool)
    exact = math.comb(total, n) <= MOST_EXACT
    if exact:
        chosen = np.array(list(itertools.combinations(range(total), n)))
    else:
        rng = np.random.default_rng(0)
        chosen = np.array([rng.permutation(total)[:n] for _ in range(RESAMPLES)])
    inside = pool[chosen].sum(axis=1)
    apart = inside / n - (pool.sum() - inside) / (total - n)
    return _share_as_far(apart, float(np.mean(second) - np.mean(first)), exact=exact)


def _share_as_far(found: Array, seen: float, *, exact: bool) -> float:
    """Return the share of `found` as far from 0 as `seen`; of drawn ones, what was seen is one."""
    tolerance = 1e-9 * max(abs(seen), 1e-300)
    count, total = int((np.abs(found) >= abs(seen) - tolerance).sum()), len(found)
    return count / total if exact else (count + 1) / (total + 1)
