"""The arithmetic of EvoPose2D, against the counts of the official code."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evopose.errors import ConfigError
from evopose.genotype import ACTIVATIONS, GENOTYPES, SPACES, Gene
from evopose.models import layers
from evopose.models.complexity import complexity
from evopose.models.evopose2d import build_evopose2d
from evopose.models.evopose2d_plan import (
    EvoPose2DConfig,
    blind_genes,
    drop_connect_rate,
    fits,
    heatmap_hw,
    nearest_input_hw,
    plan,
    plan_complexity,
    require_fit,
    round_filters,
    scaling,
)
from models.reference_networks import reference_networks
from models.wide_networks import wide_configs

S = EvoPose2DConfig(genotype=GENOTYPES["evopose2d-s"])


def test_counts_of_all_reference_networks_are_exact(shared) -> None:
    networks = reference_networks(shared)
    assert len(networks) == 41
    for row, config in networks.values():
        found = plan_complexity(config)
        assert found.num_parameters == row["params"]
        assert found.num_trainable == row["trainable_params"]
        assert found.num_macs == row["conv_macs"]
        assert [*heatmap_hw(config), config.num_keypoints] == row["output_shape"]


def test_scaling_and_stochastic_depth_of_all_reference_networks(shared) -> None:
    for row, config in reference_networks(shared).values():
        depth, width = scaling(config.input_hw, config.scaling_reference)
        assert depth == pytest.approx(row["depth_coefficient"], rel=1e-9)
        assert width == pytest.approx(row["width_coefficient"], rel=1e-9)
        assert drop_connect_rate(config.input_hw) == row["drop_connect_rate"]
        rates = {
            f"block{block.stage + 1}{chr(ord('a') + block.index)}_drop": block.drop_rate
            for block in plan(config).blocks
            if block.skip and block.drop_rate > 0
        }
        assert rates == pytest.approx(row["drop_rates"], rel=1e-12)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(config=wide_configs())
def test_the_plan_of_a_wide_genotype_is_what_is_built(config) -> None:
    net = build_evopose2d(config)
    assert complexity(net, input_hw=config.input_hw) == plan_complexity(config)
    height, width = heatmap_hw(config)
    assert net(torch.zeros(1, 3, *config.input_hw)).shape == (1, 3, height, width)


def test_genes_win_over_the_configuration() -> None:
    """The published S, its head, stem and ratios said by genes or by options: one network."""
    options = {"stem_channels": 16, "head_channels": 64, "head_blocks": 2}
    by_options = replace(S, **options, expand_ratio=4, se_ratio=0.5, activation="relu",
                         input_hw=(128, 96), head_activation="relu")  # fmt: skip
    genotype = S.genotype
    whole = {**options, "head_activation": "relu", "input_size": "128x96"}
    for gene, value in whole.items():
        genotype = genotype.with_gene(None, gene, value)
    for index in range(7):
        for gene, value in (("se_ratio", 0.5), ("activation", "relu"),
                            ("expand_ratio", 4 if index else 1)):  # fmt: skip
            genotype = genotype.with_gene(index, gene, value)
    by_genes = replace(S, genotype=genotype)
    assert by_genes.input_hw == (128, 96)
    assert plan(by_genes) == plan(by_options) != plan(S)
    assert plan_complexity(by_genes) == plan_complexity(by_options)


def test_blind_genes_are_found_among_the_wider_ones() -> None:
    """A squeeze-excite of eight channels has one unit at 1/16 and at 1/8; heads come in eights."""
    space = SPACES["wide"]
    first = space.stages[0] | {"se_ratio": Gene(values=(0.0625, 0.125, 0.25))}
    head = Gene(values=(29, 32, 48))
    ancestor = space.ancestor.with_gene(None, "stem_channels", 8)
    space = replace(
        space,
        ancestor=ancestor,
        stages=(first, *space.stages[1:]),
        network=space.network | {"head_channels": head},
    )
    config = EvoPose2DConfig(genotype=ancestor, scaling_reference=None)
    assert blind_genes(space, config) == {
        "stage 1 SE ratio": "3 values build 2 networks",
        "head channels": "3 values build 2 networks",
    }
    assert blind_genes(SPACES["wide"], replace(config, genotype=SPACES["wide"].ancestor)) == {}


def test_the_table_of_activations_is_the_one_that_genes_name() -> None:
    assert tuple(layers.ACTIVATIONS) == ACTIVATIONS
    x = torch.tensor([-4.0, -1.0, 0.0, 1.0, 4.0])
    expected = {
        "silu": x / (1 + torch.exp(-x)),
        "relu": torch.tensor([0.0, 0, 0, 1, 4]),
        "hardswish": torch.tensor([0.0, -1 / 3, 0, 2 / 3, 4]),
    }
    for name, function in layers.ACTIVATIONS.items():
        assert torch.allclose(function(x), expected[name], atol=1e-6)


@pytest.mark.parametrize(
    ("input_hw", "depth", "width"),
    [((256, 192), 1, 1), ((384, 288), 1.697, 1.319), ((512, 384), 2.470, 1.604)],
)
def test_scaling_is_the_published_one(input_hw, depth, width) -> None:
    assert scaling(input_hw, 224.0) == pytest.approx((depth, width), abs=5e-4)
    assert scaling(input_hw, None) == (1, 1)


@given(filters=st.integers(8, 600), width=st.floats(0.2, 3))
def test_filters_are_rounded_to_eights_never_more_than_a_tenth_down(filters, width) -> None:
    found, exact = round_filters(filters, width), filters * width
    assert found % 8 == 0
    assert found >= 8
    assert found >= 0.9 * exact
    assert found <= max(8, exact + 8)


def test_s_by_hand() -> None:
    """The last stage of S: ten eights of channels, from sixteen, expanded by six."""
    shape = plan(S)
    first, second = shape.stages[6]
    assert (first.channels_in, first.hidden, first.squeeze, first.channels_out) == (
        128, 768, 32, 80,
    )  # fmt: skip
    assert (first.skip, second.skip) == (False, True)
    assert [block.kernel for block in shape.blocks[:4]] == [3, 3, 3, 3]
    assert [block.stride for block in shape.stages[1]] == [2, 1, 1]
    assert shape.stages[0][0].expand == 1
    assert (shape.stem, shape.head, len(shape.blocks)) == (32, (128, 128, 128), 18)


@pytest.mark.parametrize(
    ("input_hw", "expected"),
    [((256, 192), (64, 48)), ((255, 191), (64, 48)), ((257, 193), (72, 56)), ((1, 1), (8, 8))],
)
def test_heatmaps_follow_the_same_rule(input_hw, expected) -> None:
    trunk = [math.ceil(side / 32) for side in input_hw]  # XS: stride 32
    config = replace(S, genotype=GENOTYPES["evopose2d-xs"], input_hw=input_hw)
    assert heatmap_hw(config) == (8 * trunk[0], 8 * trunk[1]) == expected


def test_sizes_that_the_strides_do_not_divide_are_refused_naming_the_nearest() -> None:
    assert S.stride == 16
    assert fits(S)
    require_fit(S)
    odd = replace(S, input_hw=(250, 199))
    assert not fits(odd)
    with pytest.raises(ConfigError, match=r"250x199 .* stride of 16; .* fits is 256x192"):
        require_fit(odd)
    assert nearest_input_hw((3, 24), 16) == (16, 32)
    assert not fits(replace(S, input_hw=(256, 200)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_keypoints": 0}, "num_keypoints must be at least 1, got 0"),
        ({"stem_channels": 0}, "stem_channels must be at least 1"),
        ({"head_channels": -8}, "head_channels must be at least 1"),
        ({"head_blocks": 0}, "head_blocks must be at least 1"),
        ({"input_hw": (0, 64)}, "input_hw must be"),
        ({"input_hw": (64,)}, "input_hw must be"),
        ({"final_kernel": 2}, "final_kernel must be odd"),
        ({"final_kernel": -1}, "final_kernel must be odd"),
        ({"head_kernel": 1}, "head_kernel at least 2"),
        ({"scaling_reference": 0.0}, "scaling_reference must be positive"),
    ],
)
def test_what_cannot_be_built_is_refused(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(S, **options)


def test_blind_genes_are_those_that_scaling_rounds_away() -> None:
    space = SPACES["paper"]
    assert blind_genes(space, S) == {}
    assert blind_genes(space, replace(S, input_hw=(96, 64), scaling_reference=None)) == {}
    small = replace(S, input_hw=(64, 48))
    depth, width = scaling(small.input_hw, 224.0)
    found = blind_genes(space, small)
    assert {math.ceil(depth * repeats) for repeats in (1, 2, 3, 4)} == {1}
    for stage in range(1, 8):
        assert found[f"stage {stage} repeats"] == "has no effect"
        assert f"stage {stage} kernel" not in found
    built = len({round_filters(8 * filters, width) for filters in range(1, 41)})
    assert found["stage 7 filters"] == f"40 values build {built} networks"
