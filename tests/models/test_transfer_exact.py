"""The exact rule on the networks of the paper: growing keeps the function."""

from dataclasses import replace

import pytest

from evopose.genotype import SPACES, Genotype, Mutant, neighbours
from evopose.models.evopose2d import build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig, plan
from evopose.models.transfer import inherit_weights
from random_networks import S, difference, heatmaps, random_images, random_network

PAPER = SPACES["paper"]
TOLERANCE = 1e-5


def growing(genotype: Genotype, genes: tuple[str, ...]) -> list[Mutant]:
    """Return the neighbours in the paper's space that enlarge one of `genes`."""
    return [
        mutant
        for mutant in neighbours(genotype, PAPER)
        if mutant.changes[0].gene in genes and mutant.changes[0].after > mutant.changes[0].before
    ]


def skips(genotype: Genotype) -> list[bool]:
    stages = plan(EvoPose2DConfig(genotype=genotype)).stages
    return [stage[0].skip for stage in stages]


@pytest.mark.parametrize(
    ("genotype", "genes", "count"),
    [
        (PAPER.ancestor, ("kernel", "repeats"), 10),
        (S, ("kernel", "repeats"), 9),
        (S, ("filters",), 38),
    ],
    ids=["ancestor", "S", "S-filters"],
)
def test_every_growing_neighbour_keeps_the_function(
    genotype: Genotype, genes: tuple[str, ...], count: int
) -> None:
    config = EvoPose2DConfig(genotype=genotype)
    parent, images = random_network(config, seed=1), random_images(1, config.input_hw)
    before = heatmaps(parent, images)
    mutants = growing(genotype, genes)
    assert len(mutants) == count
    for mutant in mutants:
        child = build_evopose2d(replace(config, genotype=mutant.genotype), seed=7).eval()
        report = inherit_weights(parent, child)
        error = difference(heatmaps(child, images), before)
        if skips(mutant.genotype) == skips(genotype):
            assert report.preserves_function, mutant.changes
            assert error < TOLERANCE, mutant.changes
        else:
            assert report.reasons == ("stage 7: the first block's skip is switched on",)
            assert str(mutant.changes[0]) == "stage 7 filters 10 -> 16"
            assert error > 1000 * TOLERANCE


@pytest.mark.parametrize("change", ["stage 1 kernel 3 -> 5", "stage 2 repeats 3 -> 4"])
def test_the_official_rule_loses_the_function_on_the_same_mutants(change: str) -> None:
    config = EvoPose2DConfig(genotype=S)
    parent, images = random_network(config, seed=1), random_images(1, config.input_hw)
    (mutant,) = (m for m in neighbours(S, PAPER) if str(m.changes[0]) == change)
    child = build_evopose2d(replace(config, genotype=mutant.genotype), seed=7).eval()
    report = inherit_weights(parent, child, "official")
    assert not report.preserves_function
    assert difference(heatmaps(child, images), heatmaps(parent, images)) > 1000 * TOLERANCE


def test_growth_by_compound_scaling_keeps_the_function() -> None:
    """Another input size scales stem, stages, depth and head at once."""
    small = EvoPose2DConfig(genotype=PAPER.ancestor, input_hw=(224, 224))
    large = replace(small, input_hw=(384, 288))
    parent, images = random_network(small, seed=3), random_images(1, (64, 64))
    child = build_evopose2d(large, seed=5).eval()
    report = inherit_weights(parent, child)
    assert plan(large).stem > plan(small).stem
    assert plan(large).head[0] > plan(small).head[0]
    assert report.preserves_function
    assert difference(heatmaps(child, images), heatmaps(parent, images)) < TOLERANCE
