"""SimpleBaseline's public checkpoints: heatmaps as the originals gave them, and what is refused."""

import pytest
import torch
from torch import Tensor

from evopose.errors import ModelError
from evopose.models.importers import hrnet, simple_baseline
from evopose.models.importers.contract import Importer, ImportOptions
from evopose.models.importers.simple_baseline import (
    RESNET_IMAGENET,
    SIMPLE_BASELINE,
    SIMPLE_BASELINE_MMPOSE,
)
from evopose.models.inputs import IMAGENET_MEAN, IMAGENET_STD
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
AUTHORS = "pose_resnet_50_256x192.pth.tar"
CASES = {
    "simple_baseline_authors": (SIMPLE_BASELINE, AUTHORS, "BGR"),
    "simple_baseline_caffe": (SIMPLE_BASELINE, "pose_resnet_50_caffe_256x192.pth.tar", "BGR"),
    "simple_baseline_mmpose": (
        SIMPLE_BASELINE_MMPOSE,
        "td-hm_res50_8xb64-210e_coco-256x192-04af38ce_20220923.pth",
        "RGB",
    ),
    "simple_baseline_mmpose0": (
        SIMPLE_BASELINE_MMPOSE,
        "res50_coco_256x192-ec54d7f3_20200709.pth",
        "RGB",
    ),
}


@pytest.fixture(scope="module")
def shapes() -> dict[str, tuple[int, ...]]:
    """The authors' ResNet-50, 17 keypoints."""
    return read_golden("simple_baseline_authors")["shapes"]


@pytest.fixture
def arrays(shapes) -> dict[str, Tensor]:
    """A checkpoint to spoil: zeros that take no memory."""
    return zeros(shapes)


def zeros(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", CASES)
def test_heatmaps_are_those_of_the_original(name) -> None:
    importer, file_name, color = CASES[name]
    golden = read_golden(name)
    weights = formula_weights(golden["shapes"])
    assert [each for each in IMPORTERS if each.recognises(weights)] == [importer]
    found = importer.read(weights, ImportOptions(file_name=file_name))
    with torch.no_grad():
        heatmaps = found.net.eval()(formula_image(*golden["image_hw"]))
    assert difference(golden["heatmaps"], heatmaps) <= TOLERANCE
    assert set(found.report.used) == set(weights)
    assert (found.report.adapted, found.report.skipped) == ((), ())
    assert found.trained_head
    assert (found.input.color, found.input.mean, found.input.std) == (
        color,
        IMAGENET_MEAN,
        IMAGENET_STD,
    )
    assert found.codec.name == "gaussian"
    assert found.codec.params == {"sigma": 2.0, "peak": 1.0}
    config = found.net.config
    assert (config.input_hw, config.num_keypoints, config.depth) == ((256, 192), 17, 50)
    assert config.stride_on_1x1 == ("caffe" in name)


def test_the_place_of_the_stride_shows(shapes) -> None:
    """Else the golden of the Caffe form would prove nothing: both have the same arrays."""
    golden = read_golden("simple_baseline_caffe")
    found = SIMPLE_BASELINE.read(formula_weights(shapes), ImportOptions(file_name=AUTHORS))
    with torch.no_grad():
        heatmaps = found.net.eval()(formula_image(*golden["image_hw"]))
    assert difference(golden["heatmaps"], heatmaps) > 0.01


def test_wrapped_and_without_counters_it_is_the_same_checkpoint(shapes) -> None:
    weights = formula_weights(shapes)
    old = {f"module.{k}": v for k, v in weights.items() if "num_batches_tracked" not in k}
    assert [each for each in IMPORTERS if each.recognises(old)] == [SIMPLE_BASELINE]
    plain, wrapped = (
        SIMPLE_BASELINE.read(each, ImportOptions(file_name=AUTHORS)) for each in (weights, old)
    )
    assert set(wrapped.report.used) == set(old)
    assert wrapped.net.config == plain.net.config
    found = wrapped.net.state_dict()
    for name, value in plain.net.state_dict().items():
        assert torch.equal(value, found[name]), name


def test_a_trunk_of_imagenet_starts_a_network() -> None:
    golden = read_golden("resnet50_torchvision")
    weights = formula_weights(golden["shapes"])
    assert [each for each in IMPORTERS if each.recognises(weights)] == [RESNET_IMAGENET]
    options = ImportOptions(file_name="resnet50-19c8e357.pth", num_keypoints=5, seed=7)
    found = RESNET_IMAGENET.read(weights, options)
    with torch.no_grad():
        features = found.net.eval().trunk(formula_image(*golden["image_hw"]))[-1]
        heatmaps = found.net(torch.zeros(1, 3, 64, 64))
    assert difference(golden["heatmaps"], features) <= TOLERANCE
    assert heatmaps.shape == (1, 5, 16, 16)
    assert not found.trained_head
    assert not found.net.config.stride_on_1x1
    assert found.input.color == "RGB"
    assert set(found.report.used) == set(weights) - {"fc.weight", "fc.bias"}
    assert found.report.skipped == tuple(
        f"fc.{each}: ImageNet's classifier" for each in ("weight", "bias")
    )
    assert "layers after the trunk start fresh" in found.report.summary()
    assert "256x192 is taken" in found.report.summary()
    assert found.net.final_layer.weight.std().item() == pytest.approx(0.001, rel=0.2)


@pytest.mark.parametrize(
    ("name", "option", "expected"),
    [
        ("pose_resnet_50_384x288.pth", None, (384, 288)),
        ("res50_8xb64-210e_256x256-1a2b3c4d_20220923.pth", None, (256, 256)),
        ("pose_resnet_50_384x288.pth", (128, 96), (128, 96)),
        ("model_20x20.pth", None, (256, 192)),
    ],
)
def test_the_input_size_is_the_option_or_the_names(arrays, name, option, expected) -> None:
    found = SIMPLE_BASELINE.read(arrays, ImportOptions(file_name=name, input_hw=option))
    assert found.net.config.input_hw == expected
    assert found.codec.params["sigma"] == expected[0] / 4 * 2 / 64
    assert ("256x192 is taken" in found.report.summary()) == ("20x20" in name)


@pytest.mark.parametrize("wanted", [17, 5])
def test_for_another_number_of_keypoints_the_last_layer_starts_fresh(arrays, wanted) -> None:
    found = SIMPLE_BASELINE.read(arrays, ImportOptions(file_name=AUTHORS, num_keypoints=wanted))
    assert found.net.config.num_keypoints == len(found.net.final_layer.bias) == wanted
    assert found.trained_head == (wanted == 17)
    if wanted == 17:
        assert (found.report.skipped, found.report.notes) == ((), ())
        assert not found.net.final_layer.weight.any()
    else:
        reason = "for 17 keypoints, 5 are wanted"
        assert found.report.skipped == (
            f"final_layer.weight: {reason}",
            f"final_layer.bias: {reason}",
        )
        assert found.report.notes == (f"the last layer starts fresh: the file's is {reason}",)
        assert found.net.final_layer.weight.any()
        assert not found.net.trunk.conv1.weight.any()


def test_what_is_adapted_or_skipped_is_told() -> None:
    arrays = zeros(read_golden("simple_baseline_mmpose")["shapes"])
    arrays["backbone.conv1.weight"] = arrays["backbone.conv1.weight"].half()
    arrays["data_preprocessor.mean"] = torch.zeros(3, 1, 1)
    found = SIMPLE_BASELINE_MMPOSE.read(arrays, ImportOptions(file_name="res50_256x192.pth"))
    assert found.report.adapted == ("backbone.conv1.weight: float16 -> float32",)
    (skipped,) = found.report.skipped
    assert skipped.startswith("data_preprocessor.mean: ")
    assert set(found.report.used) == set(arrays) - {"data_preprocessor.mean"}


@pytest.mark.parametrize(
    ("name", "codec", "kernel"),
    [
        ("td-hm_res50_dark-8xb64-210e_coco-256x192-c129dcb6_20220926.pth", "dark", 11),
        ("td-hm_res152_dark-8xb32-210e_coco-384x288-329f8454_20221031.pth", "dark", 17),
        ("td-hm_res101_dark-8xb64-210e_coco-384x288-487d40a4_20220926.pth", "dark", 11),
        ("td-hm_res50_udp-8xb64-210e_coco-256x192.pth", "udp", 11),
        ("darkroom_256x192.pth", "gaussian", None),
    ],
)
def test_the_files_name_says_how_its_heatmaps_are_read(arrays, name, codec, kernel) -> None:
    found = SIMPLE_BASELINE.read(arrays, ImportOptions(file_name=name))
    assert found.codec.name == codec
    assert found.codec.params.get("blur_kernel") == kernel
    assert [f"says {codec.upper()}" in each for each in found.report.notes] == [True] * bool(kernel)


def without(name: str):
    return lambda arrays: {k: v for k, v in arrays.items() if not k.startswith(name)}


def with_one(name: str, *shape: int):
    return lambda arrays: arrays | {name: torch.zeros(shape)}


SPOILED = {
    "missing": (without("layer3.2.conv2."), AUTHORS, r"1 arrays .* missing layer3.2.conv2.weight"),
    "extra": (with_one("neck.weight", 3), AUTHORS, "1 arrays .* unused neck.weight"),
    "squeeze-excite": (
        with_one("layer1.0.se_layer.conv1.weight", 16, 256, 1, 1),
        AUTHORS,
        "unused layer1.0.se_layer.conv1.weight",
    ),
    "headless": (without("final_layer."), AUTHORS, "2 arrays .* missing final_layer.bias"),
    "wider": (
        with_one("layer1.0.conv1.weight", 128, 64, 1, 1),
        AUTHORS,
        r"layer1.0.conv1.weight is \(128, 64, 1, 1\), expected \(64, 64, 1, 1\)",
    ),
    "basic blocks": (without("layer1.0.conv3."), AUTHORS, "ResNet-18 and 34; .* 101 or 152"),
    "another depth": (
        without("layer3.5."),
        AUTHORS,
        r"\(3, 4, 5, 3\) blocks; expected \(3, 4, 6, 3\), \(3, 4, 23, 3\) or \(3, 8, 36, 3\)",
    ),
    "offsets": (dict, "hrnet_w32_udp-regress_256x192.pth", "regressed offsets"),
    "whole numbers": (
        lambda arrays: arrays | {"conv1.weight": torch.zeros(64, 3, 7, 7, dtype=torch.int8)},
        AUTHORS,
        "conv1.weight holds int8, expected floating point",
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_does_not_fit_is_refused(arrays, case) -> None:
    spoil, file_name, message = SPOILED[case]
    spoiled = spoil(arrays)
    assert SIMPLE_BASELINE.recognises(spoiled)
    with pytest.raises(ModelError, match=message):
        SIMPLE_BASELINE.read(spoiled, ImportOptions(file_name=file_name))


def test_errors_speak_of_the_files_own_names() -> None:
    arrays = zeros(read_golden("simple_baseline_mmpose")["shapes"])
    del arrays["backbone.bn1.weight"], arrays["head.deconv_layers.0.weight"]
    arrays = {f"module.{name}": array for name, array in arrays.items()}
    expected = "module.backbone.bn1.weight; missing module.head.deconv_layers.0.weight$"
    with pytest.raises(ModelError, match=expected):
        SIMPLE_BASELINE_MMPOSE.read(arrays, ImportOptions())


def test_a_resnet_that_smooths_is_refused_by_its_name() -> None:
    arrays = zeros(read_golden("resnet50_torchvision")["shapes"])
    with pytest.raises(ModelError, match="smooths before it halves"):
        RESNET_IMAGENET.read(arrays, ImportOptions(file_name="resnetaa50_a1h-4cf422b3.pth"))


def test_a_caffe_trunk_is_known_by_its_name() -> None:
    arrays = zeros(read_golden("resnet50_torchvision")["shapes"])
    arrays = {k: v for k, v in arrays.items() if not k.startswith("fc.")}
    found = RESNET_IMAGENET.read(arrays, ImportOptions(file_name="resnet50-caffe.pth.tar"))
    assert found.net.config.stride_on_1x1
    assert "says caffe" in found.report.summary()
