"""CPN's public checkpoints: heatmaps as TensorFlow gave them, and what is refused."""

import pytest
import torch
from torch import Tensor

from evopose.codecs import make_codec
from evopose.errors import ModelError
from evopose.models.cpn import CPNConfig
from evopose.models.importers.contract import ImportOptions
from evopose.models.importers.cpn import CPN_AUTHORS
from evopose.models.resnet import RESNET_BLOCKS
from models.golden_weights import (
    TOLERANCE,
    difference,
    formula_image,
    formula_weights,
    read_golden,
)


@pytest.fixture
def short(monkeypatch) -> None:
    """Let a ResNet-50 have one block a layer."""
    monkeypatch.setitem(RESNET_BLOCKS, 50, (1, 1, 1, 1))


def zeros() -> dict[str, Tensor]:
    """The original's variables but for the blocks that `short` leaves out; without memory."""
    shapes = read_golden("cpn_r50_authors")["shapes"]
    return {
        name: torch.zeros(()).expand(shape)
        for name, shape in shapes.items()
        if "/unit_" not in name or "/unit_1/" in name
    }


@pytest.mark.parametrize(("depth", "kernels"), [(50, (15, 11, 9, 7)), (101, (23, 17, 13, 9))])
def test_heatmaps_are_those_of_the_original(depth, kernels) -> None:
    golden = read_golden(f"cpn_r{depth}_authors")
    size = "256x192" if depth == 50 else "384x288"
    weights = formula_weights(golden["shapes"])
    assert CPN_AUTHORS.recognises(weights)
    found = CPN_AUTHORS.read(weights, ImportOptions(file_name=f"COCO.res{depth}.{size}.CPN.ckpt"))
    with torch.no_grad():
        every = found.net.eval()(formula_image(*golden["image_hw"]), every_stage=True)
    assert difference(golden["heatmaps"], every[-1]) <= TOLERANCE
    assert difference(golden["every_stage"], torch.stack(every)) <= TOLERANCE
    assert set(found.report.used) == set(weights)
    assert (found.report.skipped, found.report.notes) == ((), ())
    assert len(found.report.adapted) == sum(each.ndim == 4 for each in weights.values())
    assert found.report.adapted[0].endswith(": axes to torch's (out, in, h, w)")
    assert found.trained_head
    input_hw = (256, 192) if depth == 50 else (384, 288)
    assert found.net.config == CPNConfig(input_hw=input_hw, depth=depth)
    codec = make_codec(found.codec.name, input_hw, found.net.heatmap_hw, **found.codec.params)
    assert (codec.kernels, codec.blur_kernel, codec.peak) == (kernels, 21, 255)


def test_pixels_come_as_in_training(short) -> None:
    """BGR less a mean pixel, over 255."""
    found = CPN_AUTHORS.read(zeros(), ImportOptions())
    spec = found.input
    assert (spec.color, spec.std) == ("BGR", (1.0, 1.0, 1.0))
    for mean, expected in zip(spec.mean, (102.9801, 115.9465, 122.7717), strict=True):
        assert 200 * spec.scale - mean == pytest.approx((200 - expected) / 255)
    assert found.report.notes == (
        "neither an option nor its name gives an input size: 256x192 is taken",
    )


def test_what_belongs_to_training_is_skipped(short) -> None:
    training = {
        "Variable": torch.tensor(5e-4),
        "beta1_power": torch.tensor(0.0),
        "beta2_power": torch.tensor(0.0),
        "merge/res3/biases/Adam": torch.zeros(256),
        "resnet_v1_50/conv1/weights/Adam_1": torch.zeros(7, 7, 3, 64),
    }
    arrays = zeros()
    found = CPN_AUTHORS.read(arrays | training, ImportOptions())
    assert set(found.report.used) == set(arrays)
    reasons = dict(each.split(": ") for each in found.report.skipped)
    assert reasons.keys() == training.keys()
    assert "optimizer" in reasons["merge/res3/biases/Adam"]


@pytest.mark.parametrize("wanted", [None, 17, 5])
def test_for_another_number_of_keypoints_the_last_layers_start_fresh(wanted, short) -> None:
    found = CPN_AUTHORS.read(zeros(), ImportOptions(num_keypoints=wanted))
    assert found.net.config.num_keypoints == (wanted or 17)
    assert found.trained_head == (wanted != 5)
    assert found.net.refine_net.refine_out.conv.weight.any() == (wanted == 5)
    assert found.net.global_net.pyramid["res2"].conv.weight.any() == (wanted == 5)
    assert not found.net.global_net.tmp["res2"].conv.weight.any()
    assert ("the file's are for 17 keypoints, 5 are wanted" in found.report.summary()) == (
        wanted == 5
    )
    assert len(found.report.skipped) == (5 * 5 if wanted == 5 else 0)


def test_what_does_not_fit_is_refused(short) -> None:
    arrays = zeros()

    def without(*names: str) -> dict[str, Tensor]:
        return {k: v for k, v in arrays.items() if not k.startswith(names)}

    merged = "merge/res3/biases"
    deep = {
        f"{name.replace('unit_1/', f'unit_{i}/')}": array
        for name, array in arrays.items()
        for i in range(1, RESNET_BLOCKS[152][0] + 1)
        if "/block1/" in name
    }
    cases = {
        f"missing {merged}": without(merged),
        "unused neck/weights": arrays | {"neck/weights": torch.zeros(1, 1, 3, 3)},
        r"\(17, 256, 1, 1\), expected \(17, 256, 3, 3\)": arrays
        | {"pyramid/res4/weights": torch.zeros(1, 1, 256, 17)},
        "no variables of a ResNet": without("resnet_v1_50/"),
        "resnet_v1_50 have": arrays | deep,
        "refine_out/BatchNorm/beta holds int32": arrays
        | {"refine_out/BatchNorm/beta": torch.zeros(17, dtype=torch.int32)},
    }
    for message, spoiled in cases.items():
        assert CPN_AUTHORS.recognises(spoiled)
        with pytest.raises(ModelError, match=message):
            CPN_AUTHORS.read(spoiled, ImportOptions())
    assert not CPN_AUTHORS.recognises(without("refine_out/"))


def test_a_trunk_that_no_cpn_has_is_told(monkeypatch) -> None:
    monkeypatch.setitem(RESNET_BLOCKS, 50, (3, 4, 6, 3))
    monkeypatch.setitem(RESNET_BLOCKS, 152, (1, 1, 1, 1))
    with pytest.raises(ModelError, match="its trunk is a ResNet-152; a CPN has one of 50 or 101"):
        CPN_AUTHORS.read(zeros(), ImportOptions())
