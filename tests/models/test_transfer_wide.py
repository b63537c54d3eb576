"""Transfer of the genes beyond the paper's: what keeps the function, and what the report names."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from evopose.genotype import SPACES, neighbours
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig, plan
from evopose.models.layers import ACTIVATIONS
from evopose.models.transfer import TRANSFER_RULES, inherit_weights
from evopose.models.transfer_report import TransferReport
from evopose.training.batch_norm import reestimate_batch_norm
from models.wide_networks import wide, wide_configs
from random_networks import difference, heatmaps, random_images, random_network

examples = settings(max_examples=12, deadline=None, derandomize=True)
START = wide(
    [[3, 2, 2, 1], [3, 2, 3, 2]],
    expand_ratio=[2, 4],
    se_ratio=[0.25, 0.25],
    activation=["silu", "hardswish"],
    stem_channels=16,
    head_channels=16,
    head_blocks=2,
    head_activation="silu",
    input_size="64x64",
)
"""A network in which every gene may move both ways."""


def child_of(
    parent: EvoPose2D, *changes: tuple[int | None, str, object], rule: str = "exact"
) -> tuple[EvoPose2D, TransferReport]:
    genotype = parent.config.genotype
    for stage, gene, value in changes:
        genotype = genotype.with_gene(stage, gene, value)
    child = build_evopose2d(replace(parent.config, genotype=genotype), seed=2).eval()
    return child, inherit_weights(parent, child, rule)


@st.composite
def grown(draw: st.DrawFn, config: EvoPose2DConfig) -> EvoPose2DConfig:
    """Draw a network that is larger by any of the genes whose growth keeps the function."""
    genotype = config.genotype
    for index, stage in enumerate(genotype.stages):
        more = {
            "kernel": stage.kernel + 2 * draw(st.integers(0, 1)),
            "repeats": stage.repeats + draw(st.integers(0, 1)),
            "filters": stage.filters + draw(st.integers(0, 1)),
            "se_ratio": min(1.0, stage.se_ratio * draw(st.sampled_from([1, 2]))),
        }
        if stage.expand_ratio > 1:
            more["expand_ratio"] = stage.expand_ratio + draw(st.integers(0, 2))
        for gene, value in more.items():
            genotype = genotype.with_gene(index, gene, value)
    for gene in ("stem_channels", "head_channels"):
        value = genotype.gene(None, gene) + 8 * draw(st.integers(0, 1))
        genotype = genotype.with_gene(None, gene, value)
    return replace(config, genotype=genotype)


@given(st.data(), wide_configs())
@examples
def test_growing_keeps_the_function_in_both_modes(data, config) -> None:
    larger = data.draw(grown(config))
    parent, child = random_network(config, 1), build_evopose2d(larger, seed=2).eval()
    report = inherit_weights(parent, child)
    skips = [[stage[0].skip for stage in plan(one).stages] for one in (config, larger)]
    assert report.preserves_function == (skips[0] == skips[1])
    assert report.needs_bn_reestimation != report.preserves_function
    if report.preserves_function:
        images = random_images(2, config.input_hw)
        assert difference(heatmaps(child, images), heatmaps(parent, images)) < 1e-5
        parent.train()
        child.train()
        assert difference(heatmaps(child, images), heatmaps(parent, images)) < 1e-4


@pytest.mark.parametrize("rule", TRANSFER_RULES)
@given(wide_configs(), wide_configs())
@examples
def test_any_two_networks_pass_weights_and_account_for_them(rule, config, other) -> None:
    parent, child = random_network(config, 1), build_evopose2d(other, seed=2)
    fresh = {key: value.clone() for key, value in child.state_dict().items()}
    report = inherit_weights(parent, child, rule)
    state = child.state_dict()
    assert [t.name for t in report.tensors] == [k for k in state if "num_batches" not in k]
    for tensor in report.tensors:
        assert tensor.size == state[tensor.name].numel()
        assert min(tensor.copied, tensor.fresh, tensor.zeroed, tensor.filled) >= 0
        assert torch.isfinite(state[tensor.name]).all()
        if tensor.action == "fresh":
            assert torch.equal(state[tensor.name], fresh[tensor.name])
        if tensor.action == "copied" and tensor.source == tensor.name:
            assert torch.equal(state[tensor.name], parent.state_dict()[tensor.name])
    assert report.preserves_function or report.reasons


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((1, "expand_ratio", 3), "stage 2: expand ratio 4 -> 3"),
        ((1, "expand_ratio", 1), "stage 2: expand ratio 4 -> 1 switches its convolution off"),
        ((0, "se_ratio", 0.125), "stage 1: SE ratio: 4 -> 2 squeeze units"),
        ((1, "activation", "relu"), "stage 2: activation hardswish -> relu"),
        ((None, "stem_channels", 8), "stem: channels 16 -> 8"),
        ((None, "head_channels", 8), "head: channels 16 -> 8"),
        ((None, "head_blocks", 1), "head: blocks 2 -> 1, which change the heatmaps' size"),
        ((None, "head_blocks", 4), "head: blocks 2 -> 4, which change the heatmaps' size"),
        ((None, "head_activation", "relu"), "head: activation silu -> relu"),
        ((None, "input_size", "96x64"), "input size 64x64 -> 96x64"),
    ],
)
def test_what_cannot_be_kept_is_named(change, reason) -> None:
    _, report = child_of(random_network(START, 1), change)
    assert reason in report.reasons
    assert len(report.reasons) == (2 if change[1] == "stem_channels" else 1)  # and a skip
    assert report.needs_bn_reestimation
    assert not child_of(random_network(START, 1), change, rule="official")[1].preserves_function


def test_switching_the_expanding_convolution_on_is_named() -> None:
    parent = random_network(
        replace(START, genotype=START.genotype.with_gene(0, "expand_ratio", 1)), 1
    )
    _, report = child_of(parent, (0, "expand_ratio", 2))
    assert report.reasons == ("stage 1: expand ratio 1 -> 2 switches its convolution on",)
    made = {t.name for t in report.tensors if t.filled}
    assert made == {
        f"stages.0.{block}.expand_{part}"
        for block in (0, 1)
        for part in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    }


def test_another_input_size_and_other_activations_copy_everything() -> None:
    parent = random_network(START, 1)
    for change in ((None, "input_size", "96x64"), (0, "activation", "relu"),
                   (None, "head_activation", "relu")):  # fmt: skip
        child, report = child_of(parent, change)
        assert report.share_inherited == 1.0
        for key, value in parent.state_dict().items():
            assert torch.equal(child.state_dict()[key], value)
    child, _ = child_of(parent, (None, "input_size", "96x64"))
    assert child.config.input_hw == (96, 64)
    images = random_images(1, (64, 64))
    assert torch.equal(heatmaps(child, images), heatmaps(parent, images))


@torch.no_grad()
def test_shrinking_drops_the_hidden_and_squeeze_units_that_do_nothing() -> None:
    parent, rng = random_network(START, 1), np.random.default_rng(0)
    for block in parent.stages[1]:
        hidden, squeeze = block.shape.hidden, block.shape.squeeze
        idle = torch.from_numpy(rng.choice(hidden, hidden // 4, replace=False))
        for kernel in (block.expand_conv, block.dwconv, block.se_expand):
            kernel.weight[idle] = 0
        for kernel in (block.se_reduce, block.project_conv):
            kernel.weight[:, idle] = 0
        idle = torch.from_numpy(rng.choice(squeeze, squeeze // 2, replace=False))
        block.se_reduce.weight[idle] = 0
        block.se_expand.weight[:, idle] = 0
    child, report = child_of(parent, (1, "expand_ratio", 3), (1, "se_ratio", 0.125))
    assert report.reasons == (
        "stage 2: expand ratio 4 -> 3", "stage 2: SE ratio: 4 -> 2 squeeze units",
    )  # fmt: skip
    images = random_images(2, (64, 64))
    assert difference(heatmaps(child, images), heatmaps(parent, images)) < 1e-5


def settled(config: EvoPose2DConfig, seed: int) -> EvoPose2D:
    """Return a random network whose statistics are those of random images."""
    net = random_network(config, seed)
    reestimate_batch_norm(net, [random_images(16, config.input_hw, s) for s in range(4)])
    return net.eval()


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_a_head_block_more_doubles_the_heatmaps(activation: str, kernel: int) -> None:
    """Exactly for relu, which does not change what it gave; nearly for the others."""
    config = replace(START, head_kernel=kernel)
    config = replace(
        config, genotype=config.genotype.with_gene(None, "head_activation", activation)
    )
    parent, images = settled(config, 1), random_images(4, (64, 64), 9)
    child, _ = child_of(parent, (None, "head_blocks", 3))
    doubled = functional.interpolate(heatmaps(parent, images), scale_factor=2, mode="nearest")
    found = heatmaps(child, images)
    if activation == "relu":
        assert difference(found, doubled) < 1e-5
    else:
        assert correlation(found, doubled) > 0.95
    child.train()  # batch statistics are not quite normal
    assert correlation(heatmaps(child, images), doubled) > 0.9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_head_block_less_keeps_more_than_a_fresh_or_a_copied_final_convolution(seed) -> None:
    parent, images = settled(START, seed), random_images(4, (64, 64), 9)
    child, _ = child_of(parent, (None, "head_blocks", 1))
    halved = functional.avg_pool2d(heatmaps(parent, images), 2)
    folded = correlation(heatmaps(child, images), halved)
    child.final_conv.load_state_dict(parent.final_conv.state_dict())
    copied = correlation(heatmaps(child, images), halved)
    assert folded > 0.5
    assert folded > copied + 0.15


@pytest.mark.parametrize("stage", [0, 1])
def test_switched_on_expansion_starts_nearer_than_fresh_weights(stage) -> None:
    change = (stage, "expand_ratio", 2)
    before = START.genotype.with_gene(stage, "expand_ratio", 1)
    parent = settled(replace(START, genotype=before), 1)
    child, _ = child_of(parent, change)
    fresh, _ = child_of(parent, change)
    drawn = build_evopose2d(fresh.config, seed=5)
    for block, new in zip(fresh.stages[stage], drawn.stages[stage], strict=True):
        block.load_state_dict(new.state_dict())
    images = random_images(4, (64, 64), 9)
    for net in (child, fresh):
        reestimate_batch_norm(net, [random_images(16, (64, 64), s) for s in range(4)])
    expected = heatmaps(parent, images)
    ours, theirs = (correlation(heatmaps(net, images), expected) for net in (child, fresh))
    assert ours > theirs + 0.2


def test_every_kind_of_mutation_of_the_wide_space_passes_weights() -> None:
    """One mutant of each kind; the exact rule keeps the function or says why not."""
    space = SPACES["wide"]
    config = EvoPose2DConfig(genotype=space.ancestor, num_keypoints=3, scaling_reference=None)
    parent, images = random_network(config, 1), random_images(1, (96, 64))
    before = heatmaps(parent, images)
    kinds = {m.changes[0].kind: m for m in reversed(neighbours(space.ancestor, space))}
    assert len(kinds) == 19
    for kind, mutant in kinds.items():
        child = build_evopose2d(replace(config, genotype=mutant.genotype), seed=2).eval()
        report = inherit_weights(parent, child)
        assert report.share_inherited > 0.9, kind
        after = heatmaps(child, images)
        if report.preserves_function:
            assert difference(after, before) < 1e-5, kind
        else:
            same = after.shape == before.shape and difference(after, before) < 1e-5
            assert not same or kind == "input size up", kind
