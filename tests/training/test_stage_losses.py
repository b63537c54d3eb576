"""Losses of CPN and MSPN: their authors' numbers, and the formulas again in NumPy."""

import numpy as np
import pytest
import torch

from evopose.codecs import MegviiCodec
from evopose.training import stage_losses
from models.golden_weights import formula_weights

INPUT_HW, HEATMAP_HW = (64, 48), (16, 12)
KERNELS = (15, 11, 9, 7, 5)
GOLDEN = {"cpn": 3908.866455, "mspn 1": 3125.204346, "mspn 2": 7796.169922, "mspn 4": 17136.244141}
"""What the authors' code gives on `case`: tf-cpn at 48ea10d under TensorFlow 2.21, MSPN at a84f750;
a number of stages behind MSPN's name."""


def case(outputs, levels, persons=3, keypoints=17):
    """Outputs, target and visibility: numbers by formula, all keypoints in the crop."""
    heatmaps = formula_weights(
        {f"output {i}": (persons, keypoints, *HEATMAP_HW) for i in range(outputs)}
    )
    drawn = formula_weights(
        {"keypoints": (persons, keypoints, 2), "visibility": (persons, keypoints)}
    )
    xy = drawn["keypoints"].numpy().astype(np.float64) / np.sqrt(3 / (keypoints * 2))
    grade = np.digitize(drawn["visibility"].numpy() / np.sqrt(3 / keypoints), [-0.4, 0.1])
    visibility = grade.astype(np.uint8)
    codec = MegviiCodec(input_hw=INPUT_HW, heatmap_hw=HEATMAP_HW, kernels=KERNELS[:levels])
    target = stage_losses.levels_target(codec, (xy * 0.49 + 0.5) * INPUT_HW[::-1], visibility)
    return (
        tuple(1000 * each for each in heatmaps.values()),
        torch.from_numpy(target),
        torch.from_numpy(visibility),
    )


def plain(output, truth, visibility):
    """Mean over everything; truths of keypoints that are not in plain sight are zero."""
    return ((output - truth * (visibility == 2)[..., None, None]) ** 2).mean()


def hardest(output, truth, visibility, count=8):
    """Mean over persons of the mean of the largest errors of labelled keypoints."""
    error = ((output - truth) ** 2).mean((2, 3)) * (visibility > 0)
    largest = np.sort(error, axis=1)[:, ::-1][:, : min(count, error.shape[1])]
    return largest.mean()


def again(name, outputs, target, visibility):
    """The loss from the formula in NumPy."""
    outputs = [each.double().numpy() for each in outputs]
    target, v = target.double().numpy(), visibility.numpy()
    if name == "cpn":
        res5, res4, res3, res2, answer = outputs
        wide, level11, level9, narrow = np.moveaxis(target, 1, 0)
        pairs = ((res2, wide), (res3, level11), (res4, level9), (res5, narrow))
        return sum(plain(o, t, v) for o, t in pairs) / 4 / 2 + hardest(answer, narrow, v)
    total = 0.0
    for stage in range(len(outputs) // 4):
        shift = int(stage == len(outputs) // 4 - 1)
        for unit in range(3):
            total += plain(outputs[4 * stage + unit], target[:, unit + shift], v) / 4
        total += hardest(outputs[4 * stage + 3], target[:, 3 + shift], v)
    return total


def loss_and_case(name, **sizes):
    if name == "cpn":
        return stage_losses.cpn, case(5, 4, **sizes)
    return stage_losses.mspn, case(4 * int(name.split()[1]), 5, **sizes)


@pytest.mark.parametrize("name", GOLDEN)
def test_losses_are_those_of_the_authors_code(name):
    loss, (outputs, target, visibility) = loss_and_case(name)
    assert np.unique(visibility).tolist() == [0, 1, 2]
    found = loss(outputs, target, visibility) / stage_losses.batch_size(target, visibility)
    assert found.item() == pytest.approx(GOLDEN[name], rel=1e-6)


@pytest.mark.parametrize("keypoints", [1, 5, 8, 21])
@pytest.mark.parametrize("name", ["cpn", "mspn 1", "mspn 3"])
def test_losses_are_those_of_the_formula(name, keypoints):
    loss, (outputs, target, visibility) = loss_and_case(name, persons=4, keypoints=keypoints)
    found = loss(outputs, target, visibility) / stage_losses.batch_size(target, visibility)
    expected = again(name, outputs, target, visibility)
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["cpn", "mspn 2"])
def test_parts_of_a_batch_add_up(name):
    loss, (outputs, target, visibility) = loss_and_case(name, persons=5)
    pieces = (slice(0, 2), slice(2, 5))
    parts = [
        (loss(tuple(o[p] for o in outputs), target[p], visibility[p]),
         stage_losses.batch_size(target[p], visibility[p]))
        for p in pieces
    ]  # fmt: skip
    numerator, divisor = (sum(part[i] for part in parts) for i in (0, 1))
    assert numerator.item() == pytest.approx(loss(outputs, target, visibility).item(), rel=1e-6)
    assert divisor.item() == stage_losses.batch_size(target, visibility).item() == 5


def test_only_the_hardest_keypoints_learn():
    truth = torch.zeros(1, 17, 4, 4)
    output = (torch.arange(17.0)[None, :, None, None] + 1).expand(1, 17, 4, 4).clone()
    output.requires_grad_()
    visibility = torch.ones(1, 17, dtype=torch.uint8)
    visibility[0, 16] = 0
    stage_losses.hardest_error(output, truth, visibility).backward()
    learns = output.grad.abs().sum((0, 2, 3)) > 0
    assert learns.nonzero().flatten().tolist() == list(range(8, 16))


def test_keypoints_that_are_not_in_plain_sight_should_have_no_heatmap():
    truth = torch.ones(1, 3, 2, 2)
    visibility = torch.tensor([[0, 1, 2]], dtype=torch.uint8)
    perfect = torch.zeros(1, 3, 2, 2)
    perfect[:, 2] = 1
    assert stage_losses.plain_error(perfect, truth, visibility) == 0
    assert stage_losses.plain_error(truth, truth, visibility).item() == pytest.approx(2 / 3)
