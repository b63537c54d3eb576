"""Selection against brute force."""

import time
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evolution.toys import individual
from evopose.evolution.selection import best, non_dominated, pareto_front


def scored(birth, loss, num_parameters=1, num_macs=1, **values):
    return individual(
        birth,
        loss=loss,
        error=loss,
        fitness=loss,
        num_parameters=num_parameters,
        num_macs=num_macs,
        status="done",
        **values,
    )


def test_the_best_are_the_fittest_and_among_equals_the_elder():
    pool = [scored(3, 0.5), scored(1, 0.5), scored(2, 0.4), scored(4, 0.9)]
    assert [one.id for one in best(pool, 3)] == ["2", "1", "3"]


def test_neither_clones_nor_unfinished_individuals_are_selected():
    pool = [scored(1, 0.1, kind="clone"), individual(2), scored(3, 0.7)]
    failed = replace(pool[2], birth=4, status="failed")
    assert [one.id for one in best([*pool, failed], 9)] == ["3"]
    assert [one.id for one in pareto_front([*pool, failed])] == ["3"]


def dominates(a, b):
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=40))
def test_non_dominated_is_what_comparing_all_pairs_gives(points):
    expected = [i for i, p in enumerate(points) if not any(dominates(q, p) for q in points)]
    assert non_dominated(points) == expected


def test_a_hundred_thousand_points_take_seconds_not_hours():
    rng = np.random.default_rng(0)
    points = [tuple(row) for row in rng.integers(0, 10**6, (100_000, 3)).tolist()]
    begun = time.perf_counter()
    front = non_dominated(points)
    assert time.perf_counter() - begun < 10
    assert 10 < len(front) < 1000  # about (ln n)^2 / 2 = 66 for random points
