"""What it costs one group of runs to be as good as another: pure functions on arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evopose.report.comparing_statistics import (
    CHUNK,
    FEWEST,
    LEVEL,
    Array,
    Curve,
    common_costs,
    shares,
)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What the mean curve of an arm cost until it was as good as the reference's at the budget."""

    target: float
    """The reference's mean there."""
    cost: float | None
    """Where the arm's mean curve is first that good; None: nowhere."""
    reference_cost: float
    """Where the reference's own mean curve first is."""
    ratio: float | None
    """`cost` as a share of `reference_cost`; None where either is unknown or 0."""
    low: float | None
    """Bounds of the ratio over resampled seeds; infinite: not reached; None: not given."""
    high: float | None
    runs: int
    """Runs of the arm that came to be as good on their own."""


def reach(
    reference: Sequence[Curve], arm: Sequence[Curve], budget: float, *, paired: bool
) -> Reach:
    """Return what it cost `arm` to be as good as `reference` is at `budget`.

    `paired`: the curves of both belong together one by one, and are resampled together.
    """
    even = np.ones((1, 1))
    costs, own, targets = _reached(
        reference, arm, budget, even.repeat(len(reference), 1) / len(reference),
        even.repeat(len(arm), 1) / len(arm),
    )  # fmt: skip
    cost, own_cost, target = float(costs[0]), float(own[0]), float(targets[0])
    known = math.isfinite(cost) and own_cost > 0
    low = high = None
    if own_cost > 0 and min(len(reference), len(arm)) >= FEWEST:
        first = shares(len(reference))
        second = first if paired else shares(len(arm), seed=1)
        costs, own, _ = _reached(reference, arm, budget, first, second)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.where(own > 0, costs / own, np.inf)
        outside = (1 - LEVEL) / 2
        # Infinite ones must not be interpolated with.
        bounds = np.quantile(ratios, [outside, 1 - outside], method="inverted_cdf")
        low, high = map(float, bounds)
    return Reach(
        target=target,
        cost=cost if math.isfinite(cost) else None,
        reference_cost=own_cost,
        ratio=cost / own_cost if known else None,
        low=low,
        high=high,
        runs=sum(bool((curve.values <= _at_most(target)).any()) for curve in arm),
    )


def _reached(
    reference: Sequence[Curve], arm: Sequence[Curve], budget: float, first: Array, second: Array
) -> tuple[Array, Array, Array]:
    """Return the arm's costs, the reference's own, and the targets, for each row of shares."""
    own_costs, arm_costs = common_costs(reference), common_costs(arm)
    own = np.stack([curve.at(own_costs) for curve in reference])
    other = np.stack([curve.at(arm_costs) for curve in arm])
    at_budget = np.array([float(curve.at(budget)) for curve in reference])
    targets = first @ at_budget
    return (
        _first_reached(arm_costs, other, second, targets),
        _first_reached(own_costs, own, first, targets),
        targets,
    )


def _first_reached(costs: Array, values: Array, weights: Array, targets: Array) -> Array:
    """Return where each weighted mean of `values` is first at most its target; inf: nowhere."""
    found = np.full(len(weights), np.inf)
    for start in range(0, len(weights), CHUNK):
        rows = slice(start, start + CHUNK)
        reached = weights[rows] @ values <= _at_most(targets[rows, None])
        found[rows] = np.where(reached.any(axis=1), costs[reached.argmax(axis=1)], np.inf)
    return found


def _at_most(target: Array | float) -> Array:
    """Return `target` with room for rounding."""
    found: Array = np.asarray(target) + 1e-9 * np.abs(target)
    return found
