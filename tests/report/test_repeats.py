"""The noise of J, against values worked out by hand and NumPy's."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from evopose.evolution.individual import Individual
from evopose.report.facts import SearchFacts, is_finished
from evopose.report.repeats import noise_of, noise_text, repeated, repeats_table


def again(one: Individual, seed: int, fitness: float | None) -> Individual:
    """Return a repeat of `one`."""
    status = "done" if fitness is not None else "failed"
    return replace(one, kind="repeat", seed=seed, fitness=fitness, status=status)


@pytest.fixture
def two(search: list[Individual]) -> list[Individual]:
    """The two best of the search, the best first."""
    scored = [one for one in search if one.competes and is_finished(one)]
    return sorted(scored, key=lambda one: one.fitness)[:2]


def test_the_noise_is_pooled_within_individuals(
    search: list[Individual], two: list[Individual]
) -> None:
    values = ([0.50, 0.52, 0.54], [0.70, 0.74])
    repeats = [
        again(one, seed, value)
        for one, group in zip(two, values, strict=True)
        for seed, value in enumerate(group, 2)
    ]
    failed = again(two[0], 9, None)
    found = repeated([*search, *reversed(repeats), failed])
    assert [one.individual.id for one in found] == [one.id for one in two]
    assert found[0].values == (0.50, 0.52, 0.54)
    assert [one.id for one in found[0].repeats] == [f"{two[0].birth}r{s}" for s in (2, 3, 4, 9)]
    assert found[0].mean == pytest.approx(0.52)
    assert found[0].std == pytest.approx(np.std(values[0], ddof=1))
    noise = noise_of(found)
    # (0.02^2 + 0 + 0.02^2 + 0.02^2 + 0.02^2) / (2 + 1)
    assert noise.std == pytest.approx((0.0016 / 3) ** 0.5)
    assert noise.degrees == 3
    assert not noise.with_search
    rows = repeats_table(found)
    assert rows[0]["J of the repeats"] == "0.5000, 0.5200, 0.5400, failed"
    assert rows[1]["mean of the repeats"] == "0.7200"


def test_with_one_repeat_each_the_search_counts_too(
    search: list[Individual], two: list[Individual]
) -> None:
    repeats = [again(one, 2, one.fitness + 0.02) for one in two]
    found = repeated([*search, *repeats])
    noise = noise_of(found)
    assert noise.std == pytest.approx(0.02 / 2**0.5)  # of two values: difference over root two
    assert noise.degrees == 2
    assert noise.with_search
    assert [one.std for one in found] == [None, None]


def test_without_repeats_nothing_is_said(
    search: list[Individual], two: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    assert repeated(search) == ()
    assert noise_of(()) is None
    assert noise_text(facts_of(search)) == ""
    waiting = replace(again(two[0], 2, 0.5), status="proposed", fitness=None)
    assert noise_text(facts_of([*search, waiting])) == ""
    assert repeats_table(repeated([*search, waiting]))[0]["J of the repeats"] == "proposed"


@pytest.mark.parametrize(
    ("gain", "said"),
    [(0.1, "times its noise."), (0.005, "; that may be luck."), (-0.01, "no gain is left.")],
)
def test_the_gain_is_set_against_the_noise(
    search: list[Individual],
    two: list[Individual],
    facts_of: Callable[..., SearchFacts],
    gain: float,
    said: str,
) -> None:
    (clone,) = (o for o in search if o.kind == "clone" and o.generation == two[0].generation)
    middle = clone.fitness - gain
    repeats = [again(two[0], s, middle + d) for s, d in ((2, -0.01), (3, 0.01))]
    text = noise_text(facts_of([*search, *repeats]))
    assert "Between seeds J has a standard deviation of 0.014 (1 degree of freedom)." in text
    assert f"{two[0].id} has J {middle:.4f} on average" in text
    assert text.endswith(said)
    if gain > 0:  # the noise of the mean of two less one: root of 1.5 times that of J
        spread = 0.01 * 2**0.5 * 1.5**0.5
        assert f"{gain / spread:.1f} times its noise" in text


def test_repeats_are_no_children(
    search: list[Individual], two: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    repeats = [again(two[0], 2, 0.01), again(two[0], 3, None)]
    later = [replace(again(two[1], 2, 0.01), generation=99)]
    facts, before = facts_of([*search, *repeats, *later]), facts_of(search)
    assert facts.generations == before.generations
    assert facts.failures == before.failures
    assert facts.ranked == before.ranked
    assert facts.pareto_ids == before.pareto_ids
