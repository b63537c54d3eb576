"""Search spaces: what is inside, how many there are, JSON."""

import itertools
import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from evopose.errors import ConfigError
from evopose.genotype import (
    GENES,
    GENOTYPES,
    NETWORK_GENES,
    SPACES,
    STAGE_GENES,
    Gene,
    Genotype,
    SearchSpace,
)

PAPER = SPACES["paper"]


def tiny_space(max_strided_stages: int | None = 1) -> SearchSpace:
    genes = {
        "kernel": Gene(values=(3, 5)),
        "repeats": Gene(values=(1, 2, 3), max_step=1),
        "filters": Gene(values=(1, 2)),
        "stride": Gene(values=(1, 2)),
    }
    return SearchSpace(
        name="tiny",
        ancestor=Genotype.from_list([[3, 1, 1, 1], [3, 1, 1, 2]]),
        stages=(genes, genes),
        max_strided_stages=max_strided_stages,
    )


def test_the_papers_space_has_as_many_genotypes_as_published() -> None:
    filters = (2, 3, 5, 10, 14, 24, 40)  # the ancestor's
    others = 2**7 * 4**7 * math.prod(filters)
    # stages 2 to 4 have stride 2 in the ancestor, and only stages 5 to 7 mutate: one may follow
    assert PAPER.size() == others * 4
    assert PAPER.size() == pytest.approx(3.4e13, rel=0.01)
    assert replace(PAPER, max_strided_stages=None).size() == others * 8
    assert others * 8 == pytest.approx(6.8e13, rel=0.01)


@pytest.mark.parametrize("limit", [None, 2, 1])
def test_size_is_the_number_of_members(limit) -> None:
    space = tiny_space(limit)
    rows = list(itertools.product((3, 5, 7), (1, 2, 3, 4), (1, 2, 3), (1, 2)))
    members = [pair for pair in itertools.product(rows, rows) if Genotype.from_list(pair) in space]
    assert space.size() == len(members) == 144 * (3 if limit == 1 else 4)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_declared_space_starts_inside_and_survives_json(space) -> None:
    assert space.ancestor in space
    assert SearchSpace.from_json(space.to_json()) == space
    assert SPACES[space.name] is space
    assert space.max_strided_stages == 4


@pytest.mark.parametrize("name", ["efficientnet-b0", "evopose2d-xs", "evopose2d-s"])
def test_the_papers_genotypes_are_in_the_papers_space(name) -> None:
    assert PAPER.why_not(GENOTYPES[name]) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((0, "kernel", 7), r"stage 1 has kernel 7, allowed are \[3, 5\]"),
        ((1, "repeats", 5), r"stage 2 has repeats 5, allowed are \[1, 2, 3, 4\]"),
        ((3, "filters", 11), "stage 4 has filters 11, allowed are"),
        ((0, "stride", 2), r"stage 1 has stride 2, allowed are \[1\]"),
        ((6, "stride", 2), "5 stages have stride 2, at most 4 may"),
    ],
)
def test_what_is_outside_is_told_why(change, reason) -> None:
    outside = PAPER.ancestor.with_gene(*change)
    assert outside not in PAPER
    with pytest.raises(ConfigError, match=reason):
        replace(PAPER, ancestor=outside)


def test_another_number_of_stages_is_outside() -> None:
    assert tiny_space().why_not(PAPER.ancestor) == "it has 7 stages, the space has 2"


def test_largest_stride_counts_the_budget() -> None:
    assert PAPER.largest_stride() == 16
    assert tiny_space(1).largest_stride() == 2
    assert tiny_space(None).largest_stride() == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": ()}, "ascending and differ"),
        ({"values": (3, 3)}, "ascending and differ"),
        ({"values": (5, 3)}, "ascending and differ"),
        ({"values": (3, 5), "max_step": 0}, "max_step must be at least 1"),
    ],
)
def test_genes_are_checked(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        Gene(**options)


def test_steps_move_by_places_in_the_values() -> None:
    gene = Gene(values=(1, 2, 5, 9, 20), max_step=2)
    assert gene.steps_from(5) == (1, 2, 9, 20)
    assert gene.steps_from(20) == (5, 9)
    assert replace(gene, max_step=None).steps_from(5) == (1, 2, 9, 20)
    assert gene.steps_from(7) == gene.values, "from outside, anywhere inside"


@pytest.mark.parametrize(("gene", "value"), [("kernel", 4), ("stride", 3), ("repeats", 0)])
def test_values_that_no_network_has_are_refused_when_the_space_is_made(gene, value) -> None:
    space = json.loads(tiny_space().to_json())
    space["stages"][1][gene]["values"].append(value)
    space["stages"][1][gene]["values"].sort()
    with pytest.raises(ConfigError, match=f"gene {gene} must be .* got {value}"):
        SearchSpace.from_json(json.dumps(space))


def test_a_space_declares_every_gene_of_every_stage() -> None:
    space = tiny_space()
    partial = {gene: space.stages[0][gene] for gene in GENES[:3]}
    with pytest.raises(ConfigError, match="stage 2 of space 'tiny' must declare the genes"):
        replace(space, stages=(space.stages[0], partial))
    with pytest.raises(ConfigError, match="declares 1 stages, its ancestor has 2"):
        replace(space, stages=space.stages[:1])


def wider(**more) -> SearchSpace:
    """The tiny space with a gene of one stage and two of the network."""
    space = tiny_space()
    ancestor = space.ancestor.with_gene(1, "expand_ratio", 4).with_gene(None, "head_blocks", 2)
    second = space.stages[1] | {"expand_ratio": Gene(values=(2, 4))}
    return replace(
        space,
        ancestor=ancestor.with_gene(None, "input_size", "64x48"),
        stages=(space.stages[0], second),
        network={
            "head_blocks": Gene(values=(1, 2, 3)),
            "input_size": Gene(values=("64x48", "64x64")),
        },
        **more,
    )


def test_further_genes_count_and_survive_json() -> None:
    space = wider(gene_weights={"expand_ratio": 2, "kernel": 0.5})
    assert space.size() == tiny_space().size() * 2 * 3 * 2
    assert SearchSpace.from_json(space.to_json()) == space
    assert SearchSpace.from_json(space.to_text()) == space
    assert "network" not in json.loads(tiny_space().to_json())


def test_samples_are_members_and_equally_frequent() -> None:
    space, rng = wider(), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(1500)]
    assert all(one in space for one in drawn)
    patterns = Counter(tuple(s.stride for s in one.stages) for one in drawn)
    assert set(patterns) == {(1, 1), (1, 2), (2, 1)}
    sizes = Counter(one.network.input_size for one in drawn)
    for count, share in [*((c, 1 / 3) for c in patterns.values()), (sizes["64x64"], 1 / 2)]:
        assert abs(count - 1500 * share) < 4 * math.sqrt(1500 * share * (1 - share))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((1, "expand_ratio", 3), r"stage 2 has expand ratio 3, allowed are \[2, 4\]"),
        ((1, "expand_ratio", None), r"stage 2 has no gene expand_ratio, allowed are \[2, 4\]"),
        ((0, "expand_ratio", 1), "stage 1 has a gene expand_ratio, which the space does not"),
        ((None, "head_blocks", 4), r"the network has head blocks 4, allowed are \[1, 2, 3\]"),
        ((None, "stem_channels", 8), "the network has a gene stem_channels, which the space does"),
    ],
)
def test_further_genes_outside_are_told(change, reason) -> None:
    with pytest.raises(ConfigError, match=reason):
        replace(wider(), ancestor=wider().ancestor.with_gene(*change))


def test_what_a_file_leaves_out_stays_as_the_ancestor_has_it() -> None:
    value = json.loads(wider().to_json())
    del value["stages"][0]["filters"], value["stages"][1]["expand_ratio"]
    del value["network"], value["max_strided_stages"]
    space = SearchSpace.from_json(json.dumps(value))
    assert space.stages[0]["filters"].values == (1,)
    assert space.stages[1]["expand_ratio"].values == (4,)
    assert space.network["input_size"].values == ("64x48",)
    assert space.ancestor == wider().ancestor


def test_sizes_in_a_file_may_be_numbers() -> None:
    value = json.loads(wider().to_json())
    value["network"]["input_size"]["values"] = [[64, 48], 64]
    assert SearchSpace.from_json(json.dumps(value)) == wider()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {"head": {"values": [1]}}}, "has no head; expected here: stem_channels"),
        ({"gene_weights": {"kernels": 1}}, "weighs kernels, which it does not declare"),
        ({"gene_weights": {"kernel": 0}}, "gene_weights must be positive numbers"),
        ({"network": {"input_size": {"values": ["64x64", "64x48"]}}},
         "values of input_size must be ascending"),
        ({"network": {"head_blocks": {"values": [2, "3"]}}}, "all numbers or all names"),
    ],
)  # fmt: skip
def test_mistakes_in_further_genes_are_named(change, message) -> None:
    value = json.loads(wider().to_json()) | change
    with pytest.raises(ConfigError, match=message):
        SearchSpace.from_json(json.dumps(value))


def test_wide_starts_as_the_small_recipe_builds_narrow() -> None:
    ancestor = SPACES["wide"].ancestor
    assert [[s.kernel, s.repeats, s.filters, s.stride] for s in ancestor.stages] == (
        GENOTYPES["narrow"].to_list()
    )
    free = {name for _, name, gene in SPACES["wide"].genes() if len(gene.values) > 1}
    assert free == {*STAGE_GENES, *NETWORK_GENES}


def test_a_misspelt_key_is_named_and_not_ignored() -> None:
    space = json.loads(tiny_space().to_json())
    with pytest.raises(ConfigError, match="has no max_strided_stage; expected here: name, anc"):
        SearchSpace.from_json(json.dumps(space | {"max_strided_stage": 2}))
    space["stages"][0]["kernel"]["step"] = 1
    with pytest.raises(ConfigError, match="has no step; expected here: values, max_step"):
        SearchSpace.from_json(json.dumps(space))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "a", "ancestor": [[3,1,1,1]]}', "7"])
def test_text_that_is_no_space_is_refused(text) -> None:
    with pytest.raises(ConfigError, match="a search space is JSON with name, ancestor, stages"):
        SearchSpace.from_json(text)
