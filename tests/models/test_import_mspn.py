"""MSPN's public checkpoints: heatmaps as the originals gave them, and what is refused."""

import pytest
import torch
from torch import Tensor

from evopose.codecs import make_codec
from evopose.errors import ConfigError, ModelError
from evopose.models.importers.contract import ImportOptions
from evopose.models.importers.mspn import MSPN_AUTHORS, MSPN_MMPOSE
from evopose.models.inputs import InputSpec
from evopose.models.mspn import MSPNConfig
from evopose.models.resnet import RESNET_BLOCKS
from models.golden_weights import (
    TOLERANCE,
    difference,
    formula_image,
    formula_weights,
    read_golden,
)

IMPORTERS = (MSPN_AUTHORS, MSPN_MMPOSE)
CASES = {
    "mspn2_authors": (MSPN_AUTHORS, True),
    "mspn2_mmpose": (MSPN_MMPOSE, False),
}
MMPOSE_FILE = "td-hm_2xmspn50_8xb32-210e_coco-256x192-c845f9f0_20201123.pth"


def zeros(name: str) -> dict[str, Tensor]:
    """The original's arrays but for the blocks that `short` leaves out; they take no memory."""
    return {
        name: torch.zeros(()).expand(shape)
        for name, shape in read_golden(name)["shapes"].items()
        if ".downsample.layer" not in name or name.split(".layer")[1][2] == "0"
    }


@pytest.fixture
def short(monkeypatch) -> None:
    """Let a ResNet-50 have one block a layer."""
    monkeypatch.setitem(RESNET_BLOCKS, 50, (1, 1, 1, 1))


@pytest.mark.parametrize("name", CASES)
def test_heatmaps_are_those_of_the_original(name) -> None:
    importer, bias = CASES[name]
    golden = read_golden(name)
    weights = formula_weights(golden["shapes"])
    assert [each for each in IMPORTERS if each.recognises(weights)] == [importer]
    found = importer.read(weights, ImportOptions(file_name=MMPOSE_FILE))
    with torch.no_grad():
        every = found.net.eval()(formula_image(*golden["image_hw"]), every_stage=True)
    assert difference(golden["heatmaps"], every[-1]) <= TOLERANCE
    assert difference(golden["every_stage"], torch.stack(every)) <= TOLERANCE
    assert set(found.report.used) == set(weights)
    assert (found.report.adapted, found.report.skipped, found.report.notes) == ((), (), ())
    assert found.trained_head
    assert found.net.config == MSPNConfig(stages=2, bias=bias)


def test_pixels_come_and_heatmaps_are_read_as_in_training(short) -> None:
    authors = MSPN_AUTHORS.read(zeros("mspn2_authors"), ImportOptions())
    assert (authors.input.color, authors.input.scale) == ("BGR", 1 / 255)
    assert authors.input.mean == InputSpec().mean[::-1]
    assert authors.input.std == InputSpec().std[::-1]
    mmpose = MSPN_MMPOSE.read(zeros("mspn2_mmpose"), ImportOptions())
    assert mmpose.input == InputSpec(color="RGB")
    for found in (authors, mmpose):
        codec = make_codec(found.codec.name, (256, 192), (64, 48), **found.codec.params)
        assert (codec.kernels, codec.blur_kernel, codec.peak) == ((15, 11, 9, 7, 5), 5, 255)
        assert found.report.notes == (
            "neither an option nor its name gives an input size: 256x192 is taken",
        )


def test_mmposes_names_of_both_ages(short) -> None:
    new = zeros("mspn2_mmpose")
    old = {
        ("keypoint_" + name if name.startswith("head.") else name): array
        for name, array in new.items()
        if not name.endswith("num_batches_tracked")
    }
    new |= {"data_preprocessor.mean": torch.zeros(3, 1, 1)}
    for arrays, skipped in ((new, ["data_preprocessor.mean"]), (old, [])):
        assert [each for each in IMPORTERS if each.recognises(arrays)] == [MSPN_MMPOSE]
        found = MSPN_MMPOSE.read(arrays, ImportOptions(file_name=MMPOSE_FILE))
        assert set(found.report.used) == set(arrays) - set(skipped)
        assert [each.partition(":")[0] for each in found.report.skipped] == skipped
        assert not any(parameter.any() for parameter in found.net.parameters())


def test_a_wrapped_file_in_other_numbers_is_the_same(short) -> None:
    plain = formula_weights({name: each.shape for name, each in zeros("mspn2_authors").items()})
    counter = "top.conv.bn.num_batches_tracked"
    wrapped = {
        f"module.{name}": array.double() if array.is_floating_point() else array + 7
        for name, array in plain.items()
    }
    found = MSPN_AUTHORS.read(wrapped, ImportOptions())
    expected = MSPN_AUTHORS.read(plain, ImportOptions()).net.state_dict()
    for name, value in found.net.state_dict().items():
        if name == counter:
            assert value == 7
        elif value.is_floating_point():
            assert torch.equal(value, expected[name]), name
    assert "module.top.conv.conv.weight: float64 -> float32" in found.report.adapted
    assert len(found.report.adapted) == sum(a.is_floating_point() for a in plain.values())


@pytest.mark.parametrize("wanted", [None, 17, 5])
def test_for_another_number_of_keypoints_the_last_layers_start_fresh(wanted, short) -> None:
    found = MSPN_AUTHORS.read(zeros("mspn2_authors"), ImportOptions(num_keypoints=wanted))
    assert found.net.config.num_keypoints == (wanted or 17)
    assert found.trained_head == (wanted != 5)
    last = [each for name, each in found.net.named_parameters() if "res_conv2.conv." in name]
    rest = [each for name, each in found.net.named_parameters() if "res_conv2." not in name]
    assert len(last) == 16
    assert all(each.any() == (wanted == 5) for each in last)
    assert not any(each.any() for each in rest)
    assert ("the file's are for 17 keypoints, 5 are wanted" in found.report.summary()) == (
        wanted == 5
    )
    assert len(found.report.skipped) == (8 * 7 if wanted == 5 else 0)


def test_what_does_not_fit_is_refused(short) -> None:
    arrays = zeros("mspn2_authors")

    def without(*names: str) -> dict[str, Tensor]:
        return {k: v for k, v in arrays.items() if not k.startswith(names)}

    layer = "stage1.downsample.layer3.0.conv_bn_relu2.bn.bias"
    cases = {
        f"missing {layer}": without(layer),
        "unused neck.weight": arrays | {"neck.weight": torch.zeros(3)},
        "unused stage2.upsample.up2.u_skip.conv.weight": arrays
        | {"stage2.upsample.up2.u_skip.conv.weight": torch.zeros(3)},
        r"its first stage have \(1, 1, 1, 0\) blocks": without("stage0.downsample.layer4."),
        "it has no stage0.upsample.up1.res_conv2.conv.weight": without("stage0.upsample.up1.res"),
        r"is \(9,\), expected \(64,\)": arrays | {"top.conv.bn.bias": torch.zeros(9)},
        "top.conv.bn.bias holds int64, expected floating point": arrays
        | {"top.conv.bn.bias": torch.zeros(64, dtype=torch.int64)},
        "1 arrays do not fit a MSPN: missing top.conv.conv.bias": without("top.conv.conv.bias"),
    }
    for message, spoiled in cases.items():
        assert [each for each in IMPORTERS if each.recognises(spoiled)] == [MSPN_AUTHORS]
        with pytest.raises(ModelError, match=message):
            MSPN_AUTHORS.read(spoiled, ImportOptions())
    with pytest.raises(ConfigError, match="the nearest size that fits is 256x192"):
        MSPN_AUTHORS.read(arrays, ImportOptions(input_hw=(256, 200)))
