"""Selection: the best individuals, and those that none beats in everything."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from evopose.evolution.individual import Individual


def best(individuals: Iterable[Individual], k: int) -> list[Individual]:
    """Return the at most `k` best by fitness, the elder first among equals; no controls."""
    ranked = sorted(
        (i.fitness, i.birth, i)
        for i in individuals
        if i.fitness is not None and i.status == "done" and i.competes
    )
    return [individual for _, _, individual in ranked[:k]]


def pareto_front(individuals: Iterable[Individual]) -> list[Individual]:
    """Return those that no other equals or beats in loss, parameters and multiply-adds alike.

    Individuals equal in all three stay together; no controls. In the order given.
    """
    scored: list[Individual] = []
    points: list[tuple[float, int, int]] = []
    for one in individuals:
        if one.loss is not None and one.status == "done" and one.competes:
            scored.append(one)
            points.append((one.loss, one.num_parameters, one.num_macs))
    return [scored[index] for index in non_dominated(points)]


def non_dominated(points: Sequence[tuple[float, int, int]]) -> list[int]:
    """Return the ascending indices of the points that no other dominates, in O(n log n).

    A point dominates another if it is no greater in any coordinate and not equal to it.

    >>> non_dominated([(0.5, 3, 3), (0.4, 4, 3), (0.6, 3, 3), (0.5, 3, 3)])
    [0, 1, 3]
    """
    front: list[int] = []
    # The least macs among the points seen, as a staircase: widths rise while costs fall.
    widths: list[int] = []
    costs: list[int] = []
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
