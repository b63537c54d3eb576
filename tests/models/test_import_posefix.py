"""PoseFix's public checkpoints: logits as the original gave them, and what is refused."""

import numpy as np
import pytest
import torch
from torch import Tensor

from evopose.codecs import make_codec
from evopose.errors import ModelError
from evopose.models.importers.contract import ImportOptions
from evopose.models.importers.posefix import POSEFIX, POSEFIX_IMAGENET
from evopose.models.posefix import build_posefix
from models.golden_weights import (
    TOLERANCE,
    difference,
    formula_image,
    formula_weights,
    read_golden,
)

GOLDEN = read_golden("posefix_authors")
OPTIONS = ImportOptions(file_name="snapshot_140.ckpt", input_hw=(96, 64))
TRAINING = {
    "beta1_power": (),
    "Variable": (),
    "out/weights/Adam": (1, 1, 256, 17),
    "resnet_v1_50/conv1/BatchNorm/beta/Adam_1": (64,),
}
CONV1 = "resnet_v1_50/conv1/weights"


def zeros(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A checkpoint to spoil, which takes no memory."""
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


def imagenet() -> dict[str, Tensor]:
    """ResNet-50 v1 as slim published it."""
    trunk = {k: v for k, v in GOLDEN["shapes"].items() if k.startswith("resnet")}
    trunk |= {CONV1: (7, 7, 3, 64), "resnet_v1_50/logits/weights": (1, 1, 2048, 1000)}
    trunk |= {"resnet_v1_50/mean_rgb": (3,), "global_step": ()}
    return zeros(trunk) | {CONV1: torch.ones(7, 7, 3, 64)}


def test_logits_and_coordinates_are_those_of_the_original() -> None:
    weights = formula_weights(GOLDEN["shapes"])
    assert POSEFIX.recognises(weights)
    assert not POSEFIX_IMAGENET.recognises(weights)
    found = POSEFIX.read(weights | zeros(TRAINING), OPTIONS)
    poses = torch.tensor(GOLDEN["poses"])
    image = formula_image(*GOLDEN["image_hw"])
    images = torch.cat([image, image.flip(1) * 0.5 + 0.3])
    with torch.no_grad():
        logits = found.net.eval()(images, poses)
        trained = found.net.train()(images, poses)
    assert difference(GOLDEN["heatmaps"], logits) <= TOLERANCE
    codec = make_codec(
        found.codec.name, found.net.config.input_hw, found.net.heatmap_hw, **found.codec.params
    )
    np.testing.assert_allclose(codec.decode(logits.numpy())[0], GOLDEN["coordinates"], atol=1e-3)
    assert difference(GOLDEN["training_heatmaps"], trained) <= TOLERANCE  # statistics of the batch
    assert set(found.report.used) == set(weights)
    assert len(found.report.skipped) == len(TRAINING)
    assert found.report.notes == ()
    assert found.trained_head
    config = found.net.config
    assert (config.input_hw, config.num_keypoints, config.depth) == ((96, 64), 17, 50)


def test_how_it_is_fed_and_what_the_file_does_not_say() -> None:
    found = POSEFIX.read(zeros(GOLDEN["shapes"] | TRAINING), ImportOptions(file_name="x.ckpt"))
    assert found.net.config.input_hw == (384, 288)
    assert found.report.notes == (
        "neither an option nor its name gives an input size: 384x288 is taken",
    )
    assert found.input.color == "BGR"
    assert (found.input.scale, found.input.std) == (1.0, (1.0, 1.0, 1.0))
    assert found.input.mean == (123.68, 116.78, 103.94)
    assert "out/weights/Adam: a state of the optimizer for out/weights" in found.report.skipped
    assert "up1/weights: axes to torch's (in, out, h, w)" in found.report.adapted
    named = ImportOptions(file_name="posefix_256x192_snapshot_140.ckpt")
    found = POSEFIX.read(zeros(GOLDEN["shapes"]), named)
    assert found.net.config.input_hw == (256, 192)
    assert found.net.config.sigma == 7


def test_another_number_of_keypoints_keeps_what_does_not_depend_on_it() -> None:
    arrays = zeros(GOLDEN["shapes"]) | {CONV1: torch.ones(7, 7, 20, 64)}
    options = ImportOptions(input_hw=(64, 64), num_keypoints=4, seed=7)
    found = POSEFIX.read(arrays, options)
    fresh = build_posefix(found.net.config, seed=7)
    first = found.net.trunk.conv1.weight
    assert first.shape == (64, 7, 7, 7)
    assert (first[:, :3] == 1).all()
    assert torch.equal(first[:, 3:], fresh.trunk.conv1.weight[:, 3:])
    assert torch.equal(found.net.final_layer.weight, fresh.final_layer.weight)
    assert not found.net.deconv_layers[0].weight.any()
    assert not found.trained_head
    assert any("for 17 keypoints, 4 are wanted" in note for note in found.report.notes)
    assert "out/biases: for 17 keypoints, 4 are wanted" in found.report.skipped


def test_a_trunk_of_imagenet_starts_a_network() -> None:
    arrays = imagenet()
    assert POSEFIX_IMAGENET.recognises(arrays)
    assert not POSEFIX.recognises(arrays)
    found = POSEFIX_IMAGENET.read(arrays, ImportOptions(input_hw=(64, 64), seed=7))
    fresh = build_posefix(found.net.config, seed=7)
    assert (found.net.trunk.conv1.weight[:, :3] == 1).all()
    assert torch.equal(found.net.trunk.conv1.weight[:, 3:], fresh.trunk.conv1.weight[:, 3:])
    assert not found.net.trunk.layer1[0].conv1.weight.any()
    assert torch.equal(found.net.deconv_layers[3].weight, fresh.deconv_layers[3].weight)
    assert not found.trained_head
    reasons = dict(line.split(": ", 1) for line in found.report.skipped)
    assert reasons == {
        "resnet_v1_50/logits/weights": "ImageNet's classifier",
        "resnet_v1_50/mean_rgb": "the mean colour of its images",
        "global_step": "the number of steps trained",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("up2/weights"), "missing up2/weights"),
        (lambda a: a.update({"up4/weights": torch.zeros(4, 4, 256, 256)}), "unused up4/weights"),
        (
            lambda a: a.update({"out/biases": torch.zeros(3)}),
            r"out/biases is \(3,\), expected \(17,\)",
        ),
        (
            lambda a: [a.pop(k) for k in list(a) if "block3/unit_6" in k],
            r"blocks of resnet_v1_50 have \(3, 4, 5, 3\) units; expected \(3, 4, 6, 3\) or",
        ),
        (
            lambda a: [a.pop(k) for k in list(a) if "/block" in k],
            "no variables of a ResNet",
        ),
        (
            lambda a: a.update({"up1/weights": torch.zeros(4, 4, 256, 2048, dtype=torch.int32)}),
            "up1/weights holds int32, expected floating point",
        ),
    ],
)
def test_what_is_refused(change, message) -> None:
    arrays = zeros(GOLDEN["shapes"])
    change(arrays)
    assert POSEFIX.recognises(arrays)
    with pytest.raises(ModelError, match=message):
        POSEFIX.read(arrays, OPTIONS)
