"""What MODEL means to a training: sizes, scaling, parents."""

import pytest
import torch

from evopose.errors import ConfigError, ModelError
from evopose.models.modelfile import save_model
from evopose.search.network import load_or_build
from evopose.skeleton import COCO_PERSON


@pytest.fixture
def parent(tmp_path):
    net, _, _ = load_or_build("narrow", COCO_PERSON, input_hw=(64, 64), scaling="none", seed=1)
    return save_model(tmp_path / "parent.safetensors", net), net


def test_a_file_goes_on_at_another_size(parent):
    file, net = parent
    larger, card, _ = load_or_build(str(file), COCO_PERSON, input_hw=(128, 96))
    assert card is not None
    assert larger.config.input_hw == (128, 96)
    assert torch.equal(
        larger.state_dict()["stem_conv.weight"], net.state_dict()["stem_conv.weight"]
    )
    with pytest.raises(ConfigError, match="divide"):
        load_or_build(str(file), COCO_PERSON, input_hw=(100, 96))


def test_scaling_sets_the_widths():
    small, _, _ = load_or_build("narrow", COCO_PERSON, input_hw=(64, 64), scaling="224")
    whole, _, _ = load_or_build("narrow", COCO_PERSON, input_hw=(64, 64), scaling="none")
    assert small.stem_conv.out_channels < whole.stem_conv.out_channels == 32
    with pytest.raises(ConfigError, match="a side in pixels, or none; got 'wide'"):
        load_or_build("narrow", COCO_PERSON, input_hw=(64, 64), scaling="wide")


def test_a_child_computes_what_its_parent_does(parent):
    file, net = parent
    child, card, origin = load_or_build(
        "narrow", COCO_PERSON, input_hw=(64, 64), scaling="none", seed=2, parent=str(file)
    )
    assert card is None
    assert "100% of its weights inherited" in origin
    crops = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(child.eval()(crops), net.eval()(crops))


def test_what_a_file_has_of_its_own(parent):
    file, _ = parent
    for options in ({"scaling": "none"}, {"parent": str(file)}, {"genotype": "[[3,1,1,1]]"}):
        with pytest.raises(ConfigError, match="has its own genotype, scaling and weights"):
            load_or_build(str(file), COCO_PERSON, **options)
    with pytest.raises(ModelError, match="a network without weights"):
        load_or_build("narrow", COCO_PERSON, input_hw=(64, 64), parent="narrow")
