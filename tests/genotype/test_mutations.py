"""Mutation: the neighbours are the right ones, and each is drawn as often as any other."""

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evopose.errors import ConfigError
from evopose.genotype import (
    GENOTYPES,
    MUTATIONS,
    NETWORK_GENES,
    SPACES,
    STAGE_GENES,
    Change,
    Gene,
    Genotype,
    NeighbourhoodExhausted,
    SearchSpace,
    mutate,
    neighbours,
)

PAPER = SPACES["paper"]
ANCESTOR = PAPER.ancestor
TOYS = {
    "kernel": Gene(values=(3, 5)),
    "repeats": Gene(values=(1, 2, 3, 4), max_step=1),
    "filters": Gene(values=(1, 2, 3, 4)),
    "stride": Gene(values=(1, 2)),
}
TOY = SearchSpace(
    name="toy",
    ancestor=Genotype.from_list([[3, 2, 2, 1], [3, 1, 1, 2]]),
    stages=(TOYS, TOYS),
    max_strided_stages=1,
)


@st.composite
def members(draw, space: SearchSpace) -> Genotype:
    genotype = space.ancestor
    for stage, name, gene in space.genes():
        genotype = genotype.with_gene(stage, name, draw(st.sampled_from(gene.values)))
    strides = [stage.stride for stage in genotype.stages]
    free = [i for i, s in enumerate(strides) if s == 2 and 1 in space.stages[i]["stride"].values]
    fixed = strides.count(2) - len(free)
    for i in free[max(0, (space.max_strided_stages or 99) - fixed) :]:
        genotype = genotype.with_gene(i, "stride", 1)
    return genotype


def genes_of(genotype: Genotype) -> dict[tuple[int | None, str], object]:
    """Every gene by stage (None: the network) and name."""
    stages = {(i, g): getattr(s, g) for i, s in enumerate(genotype.stages) for g in STAGE_GENES}
    return stages | {(None, g): getattr(genotype.network, g) for g in NETWORK_GENES}


def papers_neighbours(genotype: Genotype) -> set[str]:
    """The rules of the official code, written out again over lists of numbers."""
    rows, found = genotype.to_list(), set()
    for i, top in enumerate((2, 3, 5, 10, 14, 24, 40)):
        kernel, repeats, filters, stride = rows[i]
        changed = [[8 - kernel, repeats, filters, stride]]
        changed += [[kernel, r, filters, stride] for r in (repeats - 1, repeats + 1) if 1 <= r <= 4]
        changed += [[kernel, repeats, f, stride] for f in range(1, top + 1) if f != filters]
        others = sum(row[3] == 2 for row in rows) - (stride == 2)
        if i >= 4 and (stride == 2 or others < 4):
            changed.append([kernel, repeats, filters, 3 - stride])
        found |= {json.dumps([*rows[:i], row, *rows[i + 1 :]]) for row in changed}
    return found


def texts(mutants) -> list[str]:
    return [json.dumps(m.genotype.to_value()) for m in mutants]


def test_the_ancestor_has_110_neighbours() -> None:
    """The figure of the official code, which hangs at the 111th child."""
    assert len(neighbours(ANCESTOR, PAPER)) == 110


@settings(max_examples=30, deadline=None)
@given(genotype=members(PAPER))
def test_the_neighbours_are_the_official_ones_each_once(genotype) -> None:
    found = texts(neighbours(genotype, PAPER))
    assert len(found) == len(set(found))
    assert set(found) == papers_neighbours(genotype)


def test_every_step_of_the_official_walks_is_one_of_our_neighbours(shared) -> None:
    reference = json.loads((shared / "reference/evopose2d_complexity.json").read_text())
    steps = [
        (before, after)
        for row in reference["random"]
        for before, after in zip(row["path"], row["path"][1:], strict=False)
    ]
    assert len(reference["random"]) == 30
    assert len(steps) == sum(row["mutations"] for row in reference["random"])
    for before, after in steps:
        assert json.dumps(after) in texts(neighbours(Genotype.from_list(before), PAPER))


@pytest.mark.parametrize("space", [*SPACES.values(), TOY], ids=[*SPACES, "toy"])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_mutant_is_in_the_space_and_differs_in_the_one_gene_it_names(space, data) -> None:
    parent = data.draw(members(space))
    assert parent in space
    mutant = mutate(parent, space, rng=np.random.default_rng(data.draw(st.integers(0, 2**32))))
    assert mutant.genotype in space
    before, after = genes_of(parent), genes_of(mutant.genotype)
    different = [(*key, before[key], after[key]) for key in before if before[key] != after[key]]
    (change,) = mutant.changes
    assert different == [(change.stage, change.gene, change.before, change.after)]
    genes = space.network if change.stage is None else space.stages[change.stage]
    values, step = genes[change.gene].values, genes[change.gene].max_step
    moved = abs(values.index(change.after) - values.index(change.before))
    assert step is None or moved <= step


def test_each_kind_of_mutation_changes_its_own_gene() -> None:
    wide = SPACES["wide"]
    for kind, mutants in MUTATIONS.items():
        found = list(mutants(wide.ancestor, wide))
        assert found
        assert {change.gene for mutant in found for change in mutant.changes} == {kind}


@pytest.mark.parametrize(
    ("genotype", "space"), [(ANCESTOR, PAPER), (TOY.ancestor, TOY)], ids=["paper", "toy"]
)
def test_mutate_draws_every_neighbour_equally_often(genotype, space) -> None:
    possible = texts(neighbours(genotype, space))
    rng, expected = np.random.default_rng(5), 25
    drawn = Counter(
        texts(mutate(genotype, space, rng=rng) for _ in range(expected * len(possible)))
    )
    assert set(drawn) <= set(possible)
    chi_square = sum((drawn[text] - expected) ** 2 / expected for text in possible)
    # Wilson and Hilferty's approximation of the 99.9 % quantile
    freedom = len(possible) - 1
    limit = freedom * (1 - 2 / (9 * freedom) + 3.09 * math.sqrt(2 / (9 * freedom))) ** 3
    assert chi_square < limit


def test_the_same_seed_gives_the_same_mutants() -> None:
    def walk(seed: int) -> list[Genotype]:
        rng, walked = np.random.default_rng(seed), [ANCESTOR]
        for _ in range(6):
            walked.append(mutate(walked[-1], PAPER, rng=rng).genotype)
        return walked

    assert walk(3) == walk(3)
    assert walk(3) != walk(4)


def test_strides_stay_within_the_budget_over_a_long_walk() -> None:
    rng, genotype, patterns = np.random.default_rng(0), TOY.ancestor, set()
    for _ in range(300):
        genotype = mutate(genotype, TOY, rng=rng).genotype
        patterns.add(tuple(stage.stride for stage in genotype.stages))
    assert patterns == {(1, 1), (1, 2), (2, 1)}


def test_refused_genotypes_are_never_returned() -> None:
    allowed = lambda g: g.stages[6].filters < 10  # noqa: E731
    rng = np.random.default_rng(0)
    for _ in range(20):
        mutant = mutate(ANCESTOR, PAPER, rng=rng, allowed=allowed)
        (change,) = mutant.changes
        assert (change.stage, change.gene) == (6, "filters")
        assert change.after < 10


def test_the_111th_child_of_the_ancestor_has_two_mutations() -> None:
    seen, rng = {ANCESTOR}, np.random.default_rng(0)
    for _ in range(110):
        mutant = mutate(ANCESTOR, PAPER, rng=rng, allowed=lambda g: g not in seen)
        assert len(mutant.changes) == 1
        assert mutant.genotype not in seen
        seen.add(mutant.genotype)
    mutant = mutate(ANCESTOR, PAPER, rng=rng, allowed=lambda g: g not in seen)
    first, second = mutant.changes
    assert mutant.genotype not in seen
    assert mutant.genotype in PAPER
    halfway = ANCESTOR.with_gene(first.stage, first.gene, first.after)
    assert halfway.with_gene(second.stage, second.gene, second.after) == mutant.genotype


def test_exhaustion_ends_with_an_exception_after_all_within_two_mutations() -> None:
    start, rng = TOY.ancestor, np.random.default_rng(1)
    near = {m.genotype for m in neighbours(start, TOY)}
    within_two = near | {m.genotype for g in near for m in neighbours(g, TOY)} - {start}
    seen = {start}
    for count in range(len(within_two)):
        mutant = mutate(start, TOY, rng=rng, allowed=lambda g: g not in seen)
        assert (mutant.genotype in near) == (count < len(near))
        seen.add(mutant.genotype)
    assert seen == within_two | {start}
    with pytest.raises(NeighbourhoodExhausted, match=f"all {len(within_two)} genotypes within two"):
        mutate(start, TOY, rng=rng, allowed=lambda g: g not in seen)


def test_a_parent_outside_the_space_is_an_error() -> None:
    outside = ANCESTOR.with_gene(0, "kernel", 7)
    with pytest.raises(ConfigError, match="outside space 'paper': stage 1 has kernel 7"):
        mutate(outside, PAPER, rng=np.random.default_rng(0))


def test_evopose2d_s_has_neighbours_beyond_the_ancestors_widths() -> None:
    """S is narrower than the ancestor in stages 6 and 7, so its filters grow too."""
    grown = [
        m.changes[0]
        for m in neighbours(GENOTYPES["evopose2d-s"], PAPER)
        if m.changes[0].gene == "filters" and m.changes[0].after > m.changes[0].before
    ]
    assert Counter(change.stage for change in grown) == {5: 8, 6: 30}


@pytest.mark.parametrize(
    ("change", "text", "kind"),
    [
        ((1, "filters", 3, 2), "stage 2 filters 3 -> 2", "filters down"),
        ((0, "se_ratio", 0.25, 0.5), "stage 1 SE ratio 0.25 -> 0.5", "SE ratio up"),
        ((4, "activation", "silu", "relu"), "stage 5 activation silu -> relu", "activation"),
        ((None, "head_channels", 32, 48), "head channels 32 -> 48", "head channels up"),
        ((None, "input_size", "128x96", "96x64"), "input size 128x96 -> 96x64", "input size down"),
        ((None, "head_activation", "relu", "silu"), "head activation relu -> silu",
         "head activation"),
    ],
)  # fmt: skip
def test_a_change_reads_like_a_sentence(change, text, kind) -> None:
    stage, gene, before, after = change
    made = Change(stage=stage, gene=gene, before=before, after=after)
    assert (str(made), made.kind) == (text, kind)


def test_weights_decide_how_often_a_gene_mutates() -> None:
    """Kernels have 1 neighbour a stage and filters 3: by weight they are drawn 1 : 3 : 0.5 : 1."""
    space = replace(TOY, gene_weights={"filters": 3.0, "repeats": 0.5})
    near = neighbours(TOY.ancestor, space)
    kinds = {gene: sum(m.changes[0].gene == gene for m in near) for gene in TOYS}
    assert kinds == {"kernel": 2, "repeats": 3, "filters": 6, "stride": 1}
    rng, draws = np.random.default_rng(0), 1500
    drawn = Counter(mutate(TOY.ancestor, space, rng=rng).changes[0].gene for _ in range(draws))
    expected = {"kernel": 1, "repeats": 0.5, "filters": 3, "stride": 1}
    for gene, weight in expected.items():
        share = weight / sum(expected.values())
        sigma = math.sqrt(share * (1 - share) / draws)
        assert abs(drawn[gene] / draws - share) < 4 * sigma


def test_weights_go_on_to_other_genes_where_one_is_refused() -> None:
    space = replace(TOY, gene_weights={"filters": 1e6})
    allowed = lambda g: [s.filters for s in g.stages] == [2, 1]  # noqa: E731
    rng = np.random.default_rng(0)
    drawn = {
        mutate(TOY.ancestor, space, rng=rng, allowed=allowed).changes[0].gene for _ in range(100)
    }
    assert drawn == {"kernel", "repeats", "stride"}
