"""Selection: the best individuals, those that none beats in everything, and who has children."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from evopose.evolution.individual import Individual


class Standing(NamedTuple):
    """What selection needs to know of an individual that may have children."""

    id: str
    birth: int
    fitness: float
    error: float
    num_parameters: int
    cost: float
    """Latency where it is measured, else multiply-adds."""

    @property
    def point(self) -> tuple[float, int, float]:
        """What Pareto dominance compares; less is better."""
        return self.error, self.num_parameters, self.cost


def standing_of(one: Individual) -> Standing:
    """Return the standing of an individual that is trained."""
    assert one.fitness is not None
    assert one.error is not None
    cost = one.num_macs if one.latency_ms is None else one.latency_ms
    return Standing(one.id, one.birth, one.fitness, one.error, one.num_parameters, cost)


def best(individuals: Iterable[Individual], k: int) -> list[Individual]:
    """Return the at most `k` best by fitness, the elder first among equals; no controls."""
    ranked = sorted(
        (i.fitness, i.birth, i)
        for i in individuals
        if i.fitness is not None and i.status == "done" and i.competes
    )
    return [individual for _, _, individual in ranked[:k]]


def winner(individuals: Iterable[Individual]) -> Individual | None:
    """Return who wins: the lowest J; where the best were trained again, the lowest mean of that.

    A search always finds a lowest J, and luck has a share in it. So repeats with other seeds
    decide among those that have them, unless someone fitter has come since.
    """
    everyone = list(individuals)
    ranked = best(everyone, len(everyone))
    again: dict[int, list[float]] = defaultdict(list)
    for one in everyone:
        if one.kind == "repeat" and one.status == "done" and one.fitness is not None:
            again[one.birth].append(one.fitness)
    if not ranked or ranked[0].birth not in again:
        return ranked[0] if ranked else None
    births = rescored({birth: (len(j), fmean(j)) for birth, j in again.items()})
    return next(one for one in ranked if one.birth == births[0])


def rescored(repeats: Mapping[int, tuple[int, float]]) -> list[int]:
    """Return the births of those with most repeats, best mean first; the elder among equals.

    `repeats` maps a birth to the number of its repeats and their mean J.
    """
    most = max((count for count, _ in repeats.values()), default=0)
    ranked = sorted((mean, birth) for birth, (count, mean) in repeats.items() if count == most)
    return [birth for _, birth in ranked]


def pareto_front(individuals: Iterable[Individual]) -> list[Individual]:
    """Return those that no other equals or beats in error, parameters and cost alike.

    Cost is the latency where it is measured, else multiply-adds. Individuals equal in all three
    stay together; no controls. In the order given.
    """
    scored: list[Individual] = []
    points: list[tuple[float, int, float]] = []
    for one in individuals:
        if one.error is not None and one.status == "done" and one.competes:
            scored.append(one)
            cost = one.num_macs if one.latency_ms is None else one.latency_ms
            points.append((one.error, one.num_parameters, cost))
    return [scored[index] for index in non_dominated(points)]


def non_dominated(points: Sequence[tuple[float, int, float]]) -> list[int]:
    """Return the ascending indices of the points that no other dominates, in O(n log n).

    A point dominates another if it is no greater in any coordinate and not equal to it.

    >>> non_dominated([(0.5, 3, 3), (0.4, 4, 3), (0.6, 3, 3), (0.5, 3, 3)])
    [0, 1, 3]
    """
    front: list[int] = []
    # The least macs among the points seen, as a staircase: widths rise while costs fall.
    widths: list[int] = []
    costs: list[float] = []
    for index in sorted(range(len(points)), key=points.__getitem__):
        _, width, cost = points[index]
        if front and points[front[-1]] == points[index]:
            front.append(index)
            continue
        below = bisect_right(widths, width) - 1
        if below >= 0 and costs[below] <= cost:
            continue
        front.append(index)
        start = bisect_left(widths, width)
        stop = start
        while stop < len(costs) and costs[stop] >= cost:
            stop += 1
        widths[start:stop] = [width]
        costs[start:stop] = [cost]
    return sorted(front)


def fittest(standings: Sequence[Standing], k: int, rng: np.random.Generator) -> list[str]:
    """Return the `k` of lowest J, the elder first among equals: the paper's (mu + lambda)."""
    return [one.id for one in sorted(standings, key=lambda one: (one.fitness, one.birth))[:k]]


def drawn(standings: Sequence[Standing], k: int, rng: np.random.Generator) -> list[str]:
    """Return `k` of all that were ever trained, drawn by chance: random search, the control."""
    order = sorted(standings, key=lambda one: one.birth)
    chosen = rng.choice(len(order), min(k, len(order)), replace=False)
    return [order[index].id for index in chosen.tolist()]


def spread(standings: Sequence[Standing], k: int, rng: np.random.Generator) -> list[str]:
    """Return `k` of the first fronts of non-dominated sorting, the loneliest of the last one.

    Source: NSGA-II (Deb et al., IEEE TEC 2002), sections III-A and III-B.
    """
    left = sorted(standings, key=lambda one: (one.fitness, one.birth))
    chosen: list[Standing] = []
    while left and len(chosen) < k:
        inside = set(non_dominated([one.point for one in left]))
        front = [one for index, one in enumerate(left) if index in inside]
        left = [one for index, one in enumerate(left) if index not in inside]
        room = crowding_distance([one.point for one in front])
        order = sorted(range(len(front)), key=lambda i: (-room[i], front[i].fitness))
        chosen += [front[index] for index in order[: k - len(chosen)]]
    return [one.id for one in chosen]


def crowding_distance(points: Sequence[tuple[float, ...]]) -> list[float]:
    """Return for each point how far its neighbours lie apart, summed over scaled coordinates.

    The ends of each coordinate are infinitely lonely.

    >>> crowding_distance([(0.0, 4.0), (1.0, 3.0), (4.0, 0.0)])
    [inf, 2.0, inf]
    """
    distance = np.zeros(len(points))
    for values in np.array(points, float).T:
        order = np.argsort(values, kind="stable")
        extent = values[order[-1]] - values[order[0]]
        distance[order[[0, -1]]] = np.inf
        if extent > 0:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / extent
    return [float(value) for value in distance]


PARENTS_BY: dict[str, Callable[[Sequence[Standing], int, np.random.Generator], list[str]]] = {
    "best": fittest,
    "pareto": spread,
    "random": drawn,
}
"""How the parents of a generation are chosen -> who they are, by id."""
