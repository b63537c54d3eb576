"""Statistics of comparisons, against pencil and the enumeration of all resamples."""

import itertools
import math
from dataclasses import asdict

import numpy as np
import pytest

from evopose.report.comparing_reach import reach
from evopose.report.comparing_statistics import (
    Curve,
    band,
    chance_of_labels,
    chance_of_signs,
    common_costs,
    difference,
    estimate,
    interval,
    shares,
)


def curve(*points: tuple[float, float]) -> Curve:
    costs, values = zip(*points, strict=True)
    return Curve(costs=np.array(costs, float), values=np.array(values, float))


def enumerated_means(values: list[float]) -> np.ndarray:
    """The mean of every resample with replacement: the exact bootstrap distribution."""
    return np.array([np.mean(chosen) for chosen in itertools.product(values, repeat=len(values))])


def test_a_bootstrap_of_three_reaches_from_the_lowest_to_the_highest():
    # Each extreme has 1 of 27 resamples, 3.7 %, which is more than the 2.5 % outside a bound.
    found = estimate([0.3, 0.1, 0.9])
    assert found.mean == pytest.approx(1.3 / 3)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.9))


def bounded_as(exact: np.ndarray, low: float, high: float) -> None:
    """Assert that so much of the exact distribution lies outside the bounds as should, but for
    0.006, four standard errors of a share of 0.025 among 10,000 draws."""
    assert (exact < low - 1e-9).mean() <= 0.031
    assert (exact <= low + 1e-9).mean() >= 0.019
    assert (exact > high + 1e-9).mean() <= 0.031
    assert (exact >= high - 1e-9).mean() >= 0.019


@pytest.mark.parametrize("values", [[1.0, 2.0, 4.0], [0.0, 1.0, 1.5, 5.0], [3.0, 1.0, 4.0, 1.2, 5]])
def test_the_bootstrap_is_the_enumeration_of_all_resamples(values):
    exact = enumerated_means(values)
    drawn = shares(len(values)) @ np.array(values)
    for point in np.linspace(min(values), max(values), 23):
        # 10,000 draws: a share is within 0.02, four standard errors, of the exact one
        assert abs((drawn <= point).mean() - (exact <= point).mean()) < 0.02
    low, high = interval(drawn)
    bounded_as(exact, low, high)


def test_an_interval_is_the_same_each_time_and_absent_for_two():
    assert estimate([1.0, 2.0, 5.0, 3.0]) == estimate([1.0, 2.0, 5.0, 3.0])
    assert asdict(estimate([1.0, 4.0])) == {"mean": 2.5, "low": None, "high": None, "n": 2}


def test_the_difference_of_unpaired_groups_is_that_of_all_pairs_of_resamples():
    first, second = [1.0, 2.0, 4.0], [2.0, 5.0, 5.5]
    found = difference(first, second)
    pairs = enumerated_means(second)[:, None] - enumerated_means(first)[None, :]
    assert found.mean == pytest.approx(12.5 / 3 - 7 / 3)
    bounded_as(pairs, found.low, found.high)


def test_chance_of_signs_by_hand():
    assert chance_of_signs([0.1, 0.1, 0.1]) == 2 / 8
    assert chance_of_signs([-1.0, -2.0, -3.0, -1.0, -5.0, -2.0]) == 2 / 64
    assert chance_of_signs([1.0, -1.0]) == 1.0
    # 3 - 1 of {3, 1}: the means are +-2 and +-1; +-1 are nearer to 0
    assert chance_of_signs([3.0, 1.0]) == 0.5
    assert chance_of_signs([0.0, 0.0, 0.0]) == 1.0
    assert chance_of_signs([1.0] * 20) == pytest.approx(
        1 / 10_001
    )  # drawn, the seen one among them


def test_chance_of_labels_by_hand():
    assert chance_of_labels([1.0, 2.0], [3.0, 4.0]) == 2 / 6
    assert chance_of_labels([1.0, 2.0, 3.0], [10.0, 20.0, 30.0]) == 2 / 20
    assert chance_of_labels([1.0, 4.0], [2.0, 3.0]) == 1.0


def test_a_curve_holds_on_and_has_nothing_before_it_begins():
    found = curve((10, 0.9), (20, 0.5), (30, 0.5)).at(np.array([5, 10, 19.9, 20, 99]))
    np.testing.assert_equal(found, [math.nan, 0.9, 0.9, 0.5, 0.5])


def test_the_mean_curve_by_hand():
    one, two = curve((10, 0.8), (30, 0.4), (60, 0.4)), curve((20, 1.0), (40, 0.6), (50, 0.6))
    np.testing.assert_equal(common_costs([one, two]), [20, 30, 40, 50])
    found = band([one, two])
    np.testing.assert_allclose(found.mean, [0.9, 0.7, 0.5, 0.5])
    assert (found.low, found.n) == (None, 2)


def test_a_band_is_the_interval_at_each_cost():
    curves = [curve((0, 9), (1, v), (2, v - w)) for v, w in ((3, 1), (5, 0), (8, 4), (6, 3))]
    found = band(curves)
    for place, cost in enumerate(found.costs):
        expected = estimate([float(c.at(cost)) for c in curves])
        assert (found.low[place], found.high[place]) == (expected.low, expected.high)


def test_curves_that_never_run_together_have_no_mean():
    assert (
        len(band([curve((0, 1), (1, 1)), curve((2, 1), (3, 1)), curve((0, 1), (3, 1))]).costs) == 0
    )


def test_reach_by_hand():
    reference = [curve((0, 10), (40, 6), (100, 6)), curve((0, 12), (80, 8), (120, 8))]
    arm = [curve((0, 11), (10, 7), (70, 7)), curve((0, 11), (20, 7), (60, 5), (70, 5))]
    found = reach(reference, arm, 70, paired=True)
    # At 70 the reference is at (6 + 12) / 2 = 9, since 40; the arm at (7 + 11) / 2 = 9 since 10.
    assert (found.target, found.reference_cost, found.cost, found.ratio) == (9, 40, 10, 0.25)
    assert (found.low, found.high, found.runs) == (None, None, 2)
    better = reach(arm, reference, 70, paired=True)
    assert (better.target, better.cost, better.ratio, better.runs) == (6, None, None, 1)


@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_of_reach_is_that_of_the_enumeration(paired):
    falls = [(40, 5), (50, 4), (60, 6)], [(10, 5), (20, 3), (40, 6)]  # from 10, to what, where
    reference, arm = ([curve((0, 10), fall, (100, fall[1])) for fall in side] for side in falls)

    def ratio(mine: tuple[int, ...], theirs: tuple[int, ...]) -> float:
        """The same, step by step in plain Python."""
        target = sum(falls[0][place][1] for place in mine) / 3
        costs = []
        for side, chosen in ((0, mine), (1, theirs)):
            taken = [falls[side][place] for place in chosen]
            means = {
                cost: sum(to if cost >= at else 10 for at, to in taken) / 3
                for cost in (0, 10, 20, 40, 50, 60, 100)
            }
            costs.append(min((c for c, m in means.items() if m <= target + 1e-9), default=math.inf))
        return costs[1] / costs[0]

    places = list(itertools.product(range(3), repeat=3))
    chosen = [(p, p) for p in places] if paired else list(itertools.product(places, places))
    found = reach(reference, arm, 100, paired=paired)
    assert found.ratio == ratio((0, 1, 2), (0, 1, 2))
    bounded_as(np.array([ratio(*both) for both in chosen]), found.low, found.high)


def test_a_reference_that_is_free_gives_no_ratio():
    flat = [curve((0, 5), (10, 5))] * 3
    found = reach(flat, flat, 10, paired=True)
    assert (found.cost, found.ratio, found.low) == (0, None, None)
