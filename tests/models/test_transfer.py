"""`inherit_weights`: its report and its errors."""

import json

import pytest
import torch
from torch import nn

from evopose.errors import ConfigError, ModelError
from evopose.genotype import Genotype
from evopose.models.evopose2d import EvoPose2D, build_evopose2d
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.models.transfer import TRANSFER_RULES, inherit_weights
from random_networks import random_network


def config(genes: list[list[int]], num_keypoints: int = 4) -> EvoPose2DConfig:
    return EvoPose2DConfig(
        genotype=Genotype.from_list(genes),
        input_hw=(32, 32),
        num_keypoints=num_keypoints,
        stem_channels=8,
        head_channels=8,
        head_blocks=1,
        scaling_reference=None,
    )


SMALL = [[3, 1, 1, 1], [3, 2, 2, 2]]


def actions(report_of: list[list[int]], onto: list[list[int]]) -> dict[str, tuple[str, str | None]]:
    parent, child = random_network(config(report_of), 1), build_evopose2d(config(onto), seed=2)
    return {t.name: (t.action, t.source) for t in inherit_weights(parent, child).tensors}


def test_actions_of_a_larger_kernel() -> None:
    found = actions(SMALL, [[5, 1, 1, 1], [3, 2, 2, 2]])
    assert found.pop("stages.0.0.dwconv.weight") == ("padded", "stages.0.0.dwconv.weight")
    assert {action for action, _ in found.values()} == {"copied"}


def test_actions_of_an_added_block() -> None:
    found = actions(SMALL, [[3, 1, 1, 1], [3, 3, 2, 2]])
    assert found["stages.1.2.project_bn.weight"] == ("zeroed", None)
    assert found["stages.1.2.project_bn.bias"] == ("zeroed", None)
    assert found["stages.1.2.expand_conv.weight"] == ("copied", "stages.1.1.expand_conv.weight")


def test_an_added_block_without_a_model_is_fresh() -> None:
    found = actions([[3, 1, 1, 1], [3, 1, 2, 2]], [[3, 1, 1, 1], [3, 2, 2, 2]])
    assert found["stages.1.1.project_bn.weight"] == ("zeroed", None)
    assert found["stages.1.1.expand_conv.weight"] == ("fresh", None)


def test_actions_of_more_and_of_fewer_channels() -> None:
    more = actions(SMALL, [[3, 1, 1, 1], [3, 2, 3, 2]])
    assert more["stages.1.0.project_conv.weight"][0] == "mixed"
    assert more["head.0.conv.weight"][0] == "padded"
    assert more["stages.1.1.project_bn.running_mean"][0] == "mixed"
    fewer = actions(SMALL, [[3, 1, 1, 1], [3, 2, 1, 2]])
    assert fewer["stages.1.0.project_conv.weight"][0] == "cropped"


def test_another_number_of_keypoints_leaves_only_the_last_layer_fresh() -> None:
    parent, child = random_network(config(SMALL), 1), build_evopose2d(config(SMALL, 5), seed=2)
    report = inherit_weights(parent, child)
    assert report.reasons == ("4 -> 5 keypoints: the final convolution is fresh",)
    fresh = [t.name for t in report.tensors if t.action != "copied"]
    assert fresh == ["final_conv.weight", "final_conv.bias"]
    assert {t.action for t in report.tensors if t.name in fresh} == {"fresh"}


def test_a_stride_is_reported_and_everything_copied() -> None:
    parent = random_network(config(SMALL), 1)
    child = build_evopose2d(config([[3, 1, 1, 1], [3, 2, 2, 1]]), seed=2)
    report = inherit_weights(parent, child)
    assert report.reasons == ("stage 2: stride 2 -> 1",)
    assert report.share_inherited == 1.0
    assert report.needs_bn_reestimation


@pytest.mark.parametrize("rule", TRANSFER_RULES)
def test_the_json_has_the_summary_and_a_row_for_each_tensor(rule: str) -> None:
    parent = random_network(config(SMALL), 1)
    child = build_evopose2d(config([[5, 1, 1, 1], [3, 1, 2, 2]]), seed=2)
    report = inherit_weights(parent, child, rule)
    value = json.loads(report.to_json())
    assert value["rule"] == rule
    assert value["reasons"] == list(report.reasons) != []
    assert value["share_inherited"] == report.share_inherited
    rows = [dict(zip(value["columns"], row, strict=True)) for row in value["tensors"]]
    assert [row["name"] for row in rows] == [t.name for t in report.tensors]
    assert sum(row["copied"] for row in rows) == sum(t.copied for t in report.tensors)
    assert {"action", "source", "copied", "fresh", "zeroed", "filled"} <= set(rows[0])
    assert report.reasons[0] in report.summary()


def test_an_unknown_rule_names_the_known_ones() -> None:
    net = build_evopose2d(config(SMALL))
    with pytest.raises(ConfigError, match="exact, official, got 'best'"):
        inherit_weights(net, net, "best")


def test_other_modules_are_refused() -> None:
    with pytest.raises(ModelError, match="between EvoPose2D networks, got EvoPose2D and Linear"):
        inherit_weights(build_evopose2d(config(SMALL)), nn.Linear(2, 2))


@pytest.mark.parametrize("rule", TRANSFER_RULES)
def test_another_number_of_stages_leaves_the_child_alone(rule: str) -> None:
    parent: EvoPose2D = random_network(config(SMALL), 1)
    child = build_evopose2d(config([*SMALL, [3, 1, 1, 1]]), seed=2)
    before = {key: value.clone() for key, value in child.state_dict().items()}
    with pytest.raises(ModelError, match="number of stages; the parent has 2, the child 3"):
        inherit_weights(parent, child, rule)
    assert all(torch.equal(value, before[key]) for key, value in child.state_dict().items())
