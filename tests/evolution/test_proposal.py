"""Proposals depend on seed, parents and what is known, and on nothing else."""

from dataclasses import replace

import pytest

from evolution.toys import individual, measure, tiny_space
from evopose.evolution.fitness import Fitness
from evopose.evolution.proposal import clone_of, propose_generation
from evopose.genotype import SPACES, neighbours

PAPER = SPACES["paper"]
ANCESTOR = individual(0, genotype=PAPER.ancestor)


def propose(parents=(ANCESTOR,), space=PAPER, *, known=(), fitness=None, **values):
    settings = {
        "generation": 1,
        "first_birth": 1,
        "count": 8,
        "search_seed": 3,
        "training_seed": 9,
        "now": 1.0,
    }
    return propose_generation(
        parents,
        space,
        fitness=fitness or Fitness(),
        measure=measure,
        known=lambda genotype: genotype in {one.genotype for one in (*parents, *known)},
        **settings | values,
    )


def test_a_child_knows_its_parent_its_changes_and_its_size():
    for birth, child in enumerate(propose(count=3, first_birth=5).children, 5):
        assert (child.id, child.birth, child.kind, child.parent_id) == (
            str(birth),
            birth,
            "mutant",
            "0",
        )
        (change,) = child.changes
        assert child.genotype == PAPER.ancestor.with_gene(change.stage, change.gene, change.after)
        assert child.size == measure(child.genotype)
        assert (child.seed, child.generation, child.status) == (9, 1, "proposed")


def test_the_same_ancestry_gives_the_same_children_however_many_are_asked_for():
    eight = propose().children
    assert propose(count=3).children == eight[:3]
    later = propose(count=5, first_birth=4, known=eight[:3]).children
    assert later == eight[3:]
    assert propose(search_seed=4).children != eight


def test_parents_take_turns_without_any_divisibility():
    others = [one.genotype for one in propose(count=2).children]
    parents = [ANCESTOR, *(individual(n, genotype=g) for n, g in enumerate(others, 1))]
    children = propose(parents, count=7, first_birth=3).children
    assert [one.parent_id for one in children] == ["0", "1", "2", "0", "1", "2", "0"]


def test_all_one_gene_neighbours_come_before_any_two_gene_one():
    # The ancestor has 110 (official_defects M1): the official code never returns from the 111th.
    children = propose(count=115).children
    assert len({one.genotype for one in children}) == 115
    near = {mutant.genotype for mutant in neighbours(PAPER.ancestor, PAPER)}
    assert {one.genotype for one in children[:110]} == near
    assert [len(one.changes) for one in children[110:]] == [2] * 5


def test_nothing_above_the_limits_is_proposed():
    limit = measure(PAPER.ancestor).num_parameters * 9 // 10
    children = propose(fitness=Fitness(max_parameters=limit)).children
    assert len(children) == 8
    assert all(measure(one.genotype).num_parameters <= limit for one in children)
    assert any(measure(one.genotype).num_parameters > limit for one in propose().children)


def test_an_exhausted_parent_leaves_its_turn_to_the_next():
    space = tiny_space(1, 2, 3)
    space = replace(space, stages=({**space.stages[0], "filters": replace(
        space.stages[0]["filters"], values=tuple(range(1, 10)), max_step=1)},))  # fmt: skip
    first = individual(0, genotype=space.ancestor)  # within two steps of 1 are 2 and 3
    other = individual(1, genotype=space.ancestor.with_gene(0, "filters", 6))
    known = [individual(n, genotype=space.ancestor.with_gene(0, "filters", n)) for n in (2, 3)]
    proposal = propose([first, other], space, count=3, first_birth=4, known=known)
    assert [one.parent_id for one in proposal.children] == ["1", "1", "1"]
    assert [one.birth for one in proposal.children] == [4, 5, 6]
    assert len(proposal.notes) == 1
    assert proposal.notes[0].startswith("individual 0 has no mutant left: all 2 genotypes")


def test_a_space_that_is_used_up_gives_fewer_children_and_says_why():
    space = tiny_space(1, 2, 3, 4)
    parent = individual(0, genotype=space.ancestor)
    proposal = propose([parent], space)
    assert [one.genotype.stages[0].filters for one in proposal.children] != [2, 3, 4]
    assert {one.genotype.stages[0].filters for one in proposal.children} == {2, 3, 4}
    assert len(proposal.notes) == 1
    assert propose([parent], space, known=proposal.children).children == ()


def test_a_clone_is_its_parent_trained_once_more():
    clone = clone_of(ANCESTOR, number=0, generation=4, now=2.0)
    assert (clone.id, clone.parent_id, clone.kind, clone.generation) == ("c4", "0", "clone", 4)
    assert (clone.genotype, clone.seed) == (ANCESTOR.genotype, ANCESTOR.seed)


@pytest.mark.parametrize("seed", range(5))
def test_children_are_new_among_themselves(seed):
    children = propose(count=64, search_seed=seed).children
    assert len({one.genotype for one in children} | {PAPER.ancestor}) == 65
