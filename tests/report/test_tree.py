"""The family tree: everyone has a place, and no two lines cross."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from evopose.evolution.individual import Individual
from evopose.genotype import SPACES
from evopose.report.facts import SearchFacts
from evopose.report.tree import arrange, choose, tree_figure


def random_family(seed: int) -> list[Individual]:
    """Return a family in which children come from any earlier generation."""
    rng = np.random.default_rng(seed)
    family: list[Individual] = []
    for generation in range(8):
        for _ in range(1 if generation == 0 else int(rng.integers(1, 9))):
            parent = family[int(rng.integers(len(family)))] if generation else None
            while parent is not None and parent.generation == generation:
                parent = family[int(rng.integers(len(family)))]
            family.append(
                Individual(
                    kind="mutant" if parent else "ancestor",
                    birth=len(family),
                    generation=generation,
                    parent_id=parent.id if parent else None,
                    genotype=SPACES["small"].ancestor,
                    seed=0,
                    num_parameters=1,
                    num_macs=1,
                    created_at=0.0,
                    status="done",
                    loss=1.0,
                    fitness=float(rng.random()),
                )
            )
    return family


@pytest.mark.parametrize("seed", range(20))
def test_no_lines_cross(seed: int) -> None:
    family = random_family(seed)
    tree = arrange(family)
    by_id = {one.id: one for one in family}
    between: dict[float, set[tuple[float, float]]] = defaultdict(set)
    for child in family[1:]:
        path = tree.path(by_id[child.parent_id or ""], child)
        for (x0, y0), (x1, y1) in pairwise(path):
            assert x1 == x0 + 1
            between[x0].add((y0, y1))
    for lines in between.values():
        ends = [end for _, end in sorted(lines)]
        assert ends == sorted(ends)


def test_everyone_has_a_place_of_their_own(search: list[Individual]) -> None:
    tree = arrange(search)
    assert set(tree.places) == {one.id for one in search}
    taken = [*tree.places.values(), *((float(g), y) for (_, g), y in tree.passing.items())]
    assert len(set(taken)) == len(taken)
    for one in search:
        x, y = tree.places[one.id]
        assert x == one.generation
        assert 0 < y < 1


def test_a_large_family_is_cut_to_whole_lines(facts: SearchFacts) -> None:
    drawn = choose(facts, 40)
    ids = {one.id for one in drawn}
    assert len(drawn) <= 40
    assert all(one.parent_id in ids for one in drawn if one.parent_id)
    assert facts.winner.id in ids
    assert [one.birth for one in drawn] == sorted(one.birth for one in drawn)
    assert choose(facts, 1000) == facts.individuals


def test_the_winners_line_runs_from_the_ancestor_to_the_winner(facts: SearchFacts) -> None:
    figure = tree_figure(facts, arrange(choose(facts)))
    (line,) = [trace for trace in figure["data"] if trace["name"] == "the winner's line"]
    points = [(x, y) for x, y in zip(line["x"], line["y"], strict=True) if x is not None]
    assert points[0][0] == 0
    assert points[-1][0] == facts.winner.generation
    marks = {t["name"]: t for t in figure["data"] if t.get("mode") == "markers"}
    assert (marks["winner"]["x"][0], marks["winner"]["y"][0]) == points[-1]
    assert len(marks["failed"]["x"]) == len(facts.failures)
    assert len(marks["clone"]["x"]) == 6
    finished = len(facts.ranked) - 1
    assert len(marks["individual"]["x"]) == len(marks["individual"]["marker"]["color"]) == finished


def test_hover_texts_are_escaped(
    search: list[Individual], facts_of: Callable[..., SearchFacts]
) -> None:
    bad = replace(search[1], status="failed", fitness=None, fail_reason="<img src=x> & so on")
    facts = facts_of([search[0], bad])
    figure = tree_figure(facts, arrange(choose(facts)))
    (text,) = next(t["text"] for t in figure["data"] if t["name"] == "failed")
    assert "&lt;img src=x&gt; &amp; so on" in text
    assert "<img" not in text
