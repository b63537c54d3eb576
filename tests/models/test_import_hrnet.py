"""HRNet's public checkpoints: heatmaps as the originals gave them, and what is refused."""

import pytest
import torch
from torch import Tensor

from evopose.errors import ConfigError, ModelError
from evopose.models.hrnet import HRNet, HRNetConfig
from evopose.models.importers import hrnet, simple_baseline
from evopose.models.importers.contract import Importer, ImportOptions
from evopose.models.importers.hrnet import HRNET, HRNET_IMAGENET, HRNET_MMPOSE
from evopose.models.inputs import InputSpec
from models.golden_weights import (
    TOLERANCE,
    difference,
    formula_image,
    formula_weights,
    read_golden,
)

IMPORTERS = [
    each
    for module in (simple_baseline, hrnet)
    for each in vars(module).values()
    if isinstance(each, Importer)
]
CASES = {
    "hrnet_w32_authors": (HRNET, "pose_hrnet_w32_384x288.pth", 32),
    "hrnet_w48_authors": (HRNET, "pose_hrnet_w48_384x288.pth", 48),
    "hrnet_w32_mmpose": (
        HRNET_MMPOSE,
        "td-hm_hrnet-w32_8xb64-210e_coco-384x288-ca5956af_20220909.pth",
        32,
    ),
}
CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.")


@pytest.fixture
def arrays() -> dict[str, Tensor]:
    """The authors' names at a width of 8, to spoil: zeros that take no memory."""
    with torch.device("meta"):
        net = HRNet(HRNetConfig(width=8))
    return {name: torch.zeros(()).expand(a.shape) for name, a in net.state_dict().items()}


@pytest.mark.parametrize("name", CASES)
def test_heatmaps_are_those_of_the_original(name) -> None:
    importer, file_name, width = CASES[name]
    golden = read_golden(name)
    weights = formula_weights(golden["shapes"])
    assert [each for each in IMPORTERS if each.recognises(weights)] == [importer]
    found = importer.read(weights, ImportOptions(file_name=file_name))
    with torch.no_grad():
        heatmaps = found.net.eval()(formula_image(*golden["image_hw"]))
    assert difference(golden["heatmaps"], heatmaps) <= TOLERANCE
    assert set(found.report.used) == set(weights)
    assert (found.report.adapted, found.report.skipped, found.report.notes) == ((), (), ())
    assert found.trained_head
    assert found.input == InputSpec(color="RGB")
    assert found.codec.params == {"sigma": 3.0, "peak": 1.0}
    assert found.net.config == HRNetConfig(input_hw=(384, 288), width=width)


def test_imagenets_weights_start_a_network() -> None:
    golden = read_golden("hrnet_w32_timm")
    weights = formula_weights(golden["shapes"])
    assert [each for each in IMPORTERS if each.recognises(weights)] == [HRNET_IMAGENET]
    options = ImportOptions(file_name="hrnet_w32-36af842e.pth", num_keypoints=5)
    found = HRNET_IMAGENET.read(weights, options)
    features: list[Tensor] = []
    found.net.final_layer.register_forward_pre_hook(lambda _, inputs: features.extend(inputs))
    with torch.no_grad():
        heatmaps = found.net.eval()(formula_image(*golden["image_hw"]))
    assert difference(golden["heatmaps"], features[0]) <= TOLERANCE
    assert heatmaps.shape == (1, 5, 16, 16)
    assert not found.trained_head
    assert found.net.config == HRNetConfig(num_keypoints=5, width=32)
    exchange = tuple(f"stage4.2.fuse_layers.{i}." for i in (1, 2, 3))
    skipped = {name for name in weights if name.startswith((*CLASSIFIER, *exchange))}
    assert {each.partition(":")[0] for each in found.report.skipped} == skipped
    assert set(found.report.used) == set(weights) - skipped
    assert "the last layer starts fresh" in found.report.summary()
    assert found.net.final_layer.weight.std().item() == pytest.approx(0.001, rel=0.3)


@pytest.mark.parametrize("head", ["head.", "keypoint_head."])
def test_mmposes_names_of_both_ages(arrays, head) -> None:
    ages = {
        (head if name.startswith("final_layer.") else "backbone.") + name: array
        for name, array in arrays.items()
    }
    assert [each for each in IMPORTERS if each.recognises(ages)] == [HRNET_MMPOSE]
    found = HRNET_MMPOSE.read(ages, ImportOptions(file_name="hrnet_256x192.pth"))
    assert set(found.report.used) == set(ages)
    assert not any(parameter.any() for parameter in found.net.parameters())
    del ages[head + "final_layer.bias"], ages["backbone.stage3.2.fuse_layers.2.0.1.0.weight"]
    expected = (
        f"missing backbone.stage3.2.fuse_layers.2.0.1.0.weight; missing {head}final_layer.bias$"
    )
    with pytest.raises(ModelError, match=expected):
        HRNET_MMPOSE.read(ages, ImportOptions())


def test_wrapped_and_without_counters_it_is_the_same_checkpoint(arrays) -> None:
    weights = formula_weights({name: array.shape for name, array in arrays.items()})
    old = {f"module.{k}": v for k, v in weights.items() if "num_batches_tracked" not in k}
    plain, wrapped = (HRNET.read(each, ImportOptions()).net for each in (weights, old))
    found = wrapped.state_dict()
    for name, value in plain.state_dict().items():
        assert torch.equal(value, found[name]), name
        assert name.endswith("num_batches_tracked") or torch.equal(value, weights[name])


@pytest.mark.parametrize("wanted", [None, 17, 5])
def test_for_another_number_of_keypoints_the_last_layer_starts_fresh(arrays, wanted) -> None:
    found = HRNET.read(arrays, ImportOptions(num_keypoints=wanted))
    assert found.net.config.num_keypoints == (wanted or 17)
    assert found.trained_head == (wanted != 5)
    assert found.net.final_layer.weight.any() == (wanted == 5)
    assert ("the file's is for 17 keypoints, 5 are wanted" in found.report.summary()) == (
        wanted == 5
    )
    assert len(found.report.skipped) == (2 if wanted == 5 else 0)


def test_the_files_name_says_how_its_heatmaps_are_read(arrays) -> None:
    for name, codec, sigma in (("w32_udp_256x192.pth", "udp", 2), ("w32_dark_384x288", "dark", 3)):
        found = HRNET.read(arrays, ImportOptions(file_name=name))
        assert found.codec.name == codec
        assert found.codec.params == {"sigma": sigma, "peak": 1.0, "blur_kernel": 11}
        assert found.codec.align_corners == (codec == "udp")
        (note,) = found.report.notes
        assert f"its name says {codec.upper()}" in note
    told = HRNET.read(arrays, ImportOptions(file_name="w32_udp_256x192", codec="gaussian"))
    assert told.codec.params == {"sigma": 2.0, "peak": 1.0}
    assert told.report.notes == ()
    plain = HRNET.read(arrays, ImportOptions(file_name="w32_256x192.pth", codec="udp"))
    assert plain.codec.name == "udp"
    with pytest.raises(ModelError, match="read by gaussian, dark, udp; not by megvii"):
        HRNET.read(arrays, ImportOptions(codec="megvii"))
    with pytest.raises(ModelError, match="regressed offsets"):
        HRNET.read(arrays, ImportOptions(file_name="td-hm_hrnet-w32_udp-regress-8xb64.pth"))


def test_what_does_not_fit_is_refused(arrays) -> None:
    def without(*names: str) -> dict[str, Tensor]:
        return {k: v for k, v in arrays.items() if not k.startswith(names)}

    higher = without("final_layer.") | {"deconv_layers.0.0.0.weight": torch.zeros(17, 8, 4, 4)}
    cases = {
        "missing stage2.0.branches.1.3.bn2.bias": without("stage2.0.branches.1.3.bn2.bias"),
        "unused neck.weight": arrays | {"neck.weight": torch.zeros(3)},
        "missing final_layer.bias; .* unused deconv_layers.0.0.0.weight": higher,
        "missing stage3.3.branches.0.0.bn1.bias": without("stage3.3."),
        "it has no transition1.0.0.weight": without("transition1.0."),
        r"is \(9,\), expected \(8,\)": arrays | {"transition1.0.1.bias": torch.zeros(9)},
    }
    for message, spoiled in cases.items():
        assert [each for each in IMPORTERS if each.recognises(spoiled)] == [HRNET]
        with pytest.raises(ModelError, match=message):
            HRNET.read(spoiled, ImportOptions())
    with pytest.raises(ConfigError, match="the nearest size that fits is 256x192"):
        HRNET.read(arrays, ImportOptions(input_hw=(256, 200)))
