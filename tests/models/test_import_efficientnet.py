"""EfficientNet's trunks: every stage's output as torchvision, timm and Keras computed it."""

import pytest
import torch
from torch import Tensor

from evopose.models.evopose2d import EvoPose2D
from evopose.models.importers.contract import Imported, Importer, ImportOptions
from evopose.models.importers.efficientnet import (
    EFFICIENTNET_KERAS,
    EFFICIENTNET_TIMM,
    EFFICIENTNET_TIMM_TF,
    EFFICIENTNET_TORCHVISION,
)
from evopose.models.inputs import IMAGENET_MEAN, IMAGENET_STD
from models.golden_weights import (
    TOLERANCE,
    difference,
    formula_image,
    formula_weights,
    read_golden,
)

EXACT = {
    "efficientnet_b0_timm_tf": EFFICIENTNET_TIMM_TF,
    "efficientnet_b4_timm_tf": EFFICIENTNET_TIMM_TF,
    "efficientnet_b0_keras": EFFICIENTNET_KERAS,
}
SYMMETRIC = {
    "efficientnet_b0_timm": EFFICIENTNET_TIMM,
    "efficientnet_b0_torchvision": EFFICIENTNET_TORCHVISION,
    "efficientnet_b5_torchvision": EFFICIENTNET_TORCHVISION,
}
NORMALISATION = "normalization/normalization/"


def arrays_of(golden: dict) -> dict[str, Tensor]:
    """Return the checkpoint of a golden; Keras' kernels are as wide as torch's."""
    shapes = golden["shapes"]
    if "Keras" not in golden["source"]:
        return formula_weights(shapes)
    spoken = {name: name.removesuffix(":0").replace("kernel", "weights") for name in shapes}
    made = formula_weights({spoken[name]: shape for name, shape in shapes.items()})
    arrays = {
        name: made[spoken[name]] * (shape[2] ** 0.5 if "depthwise" in name else 1)
        for name, shape in shapes.items()
    }
    arrays[f"{NORMALISATION}mean:0"] = torch.tensor(IMAGENET_MEAN)
    arrays[f"{NORMALISATION}variance:0"] = torch.tensor(IMAGENET_STD)
    return arrays


def imported(name: str, importer: Importer, **options) -> Imported:
    arrays = arrays_of(read_golden(name))
    assert importer.recognises(arrays)
    return importer.read(arrays, ImportOptions(file_name=f"{name}.pth", **options))


@torch.no_grad()
def stage_outputs(net: EvoPose2D, image: Tensor) -> list[Tensor]:
    """Return what each stage of the module makes of an image, as the module sees it."""
    net.eval()
    x = net.stem_activation(net.stem_bn(net.stem_conv(image)))
    outputs = []
    for stage in net.stages:
        x = stage(x)
        outputs.append(x)
    return outputs


def largest_difference(golden: dict, outputs: list[Tensor]) -> float:
    assert len(outputs) == 7
    return max(difference(golden[f"stage{i}"], out) for i, out in enumerate(outputs, 1))


@pytest.mark.parametrize("name", EXACT)
def test_stages_compute_what_the_original_does(name: str) -> None:
    golden = read_golden(name)
    net = imported(name, EXACT[name]).net
    image = formula_image(*golden["image_hw"])
    outputs = [out.flip(2, 3) for out in stage_outputs(net, image.flip(2, 3))]
    assert largest_difference(golden, outputs) < TOLERANCE


@pytest.mark.parametrize("name", SYMMETRIC)
def test_weights_are_the_original_s_where_the_padding_is_not(name: str) -> None:
    """Kernels turned back, on an image as it is, the module pads symmetrically as theirs do."""
    golden = read_golden(name)
    net = imported(name, SYMMETRIC[name]).net
    for parameter in net.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.flip(2, 3)
    outputs = stage_outputs(net, formula_image(*golden["image_hw"]))
    assert largest_difference(golden, outputs) < TOLERANCE
