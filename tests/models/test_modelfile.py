"""Model files: what is written comes back, explains itself, and is refused when it is wrong."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors
import safetensors.torch
import torch

from evopose.errors import ModelError
from evopose.genotype import Genotype
from evopose.models import modelfile
from evopose.models.evopose2d import EvoPose2D
from evopose.models.evopose2d_plan import EvoPose2DConfig
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.modelfile import (
    ModelCard,
    load_model,
    model_bytes,
    model_card,
    read_card,
    save_model,
)
from evopose.skeleton import Skeleton
from models.wide_networks import wide
from random_networks import random_images, random_network

SKELETON = Skeleton(
    keypoints=("snout", "leftear", "rightear"), limbs=((0, 1),), flip_pairs=((1, 2),)
)
CONFIG = EvoPose2DConfig(
    genotype=Genotype.from_list([[3, 1, 1, 1], [5, 2, 2, 2]]),
    input_hw=(64, 48),
    num_keypoints=3,
    stem_channels=8,
    head_channels=8,
    head_blocks=2,
    final_kernel=3,
    scaling_reference=None,
)


@pytest.fixture(scope="module")
def net() -> EvoPose2D:
    return random_network(CONFIG, seed=0)


@pytest.fixture
def card(net) -> ModelCard:
    return model_card(
        net,
        skeleton=SKELETON,
        codec=CodecSpec(name="gaussian", params={"sigma": 1.5, "activation": "softmax"}),
        input=InputSpec(mean=(0.1, 0.2, 0.3), box_padding=1.4),
        provenance={"data": "mice", "scores": [0.5, None]},
    )


@pytest.fixture
def path(tmp_path, net, card) -> Path:
    return save_model(tmp_path / "runs/a/model.safetensors", net, card)


def rewrite(path: Path, change=lambda value: None, tensors=lambda found: found) -> Path:
    """Write the file again with another description or other tensors."""
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    value = json.loads(metadata["evopose"])
    change(value)
    found = tensors(safetensors.torch.load_file(path))
    safetensors.torch.save_file(found, path, {"evopose": json.dumps(value)})
    return path


def test_weights_and_description_come_back_to_the_bit(path, net, card) -> None:
    loaded, found = load_model(path)
    assert found == card
    assert found.skeleton.sigmas_assumed
    assert not loaded.training
    assert loaded.config == CONFIG
    state = loaded.state_dict()
    assert state.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert torch.equal(state[name], tensor)
    images = random_images(2, CONFIG.input_hw)
    with torch.no_grad():
        assert torch.equal(loaded(images), net.eval()(images))


def test_the_metadata_has_one_key_with_the_settled_content(path) -> None:
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert set(metadata) == {"evopose"}
    value = json.loads(metadata["evopose"])
    assert set(value) == {
        "format", "architecture", "genotype", "config", "input_hw", "skeleton", "codec", "input",
        "provenance",
    }  # fmt: skip
    assert value["format"] == 1
    assert value["architecture"] == "evopose2d"
    assert value["genotype"] == [[3, 1, 1, 1], [5, 2, 2, 2]]
    assert value["input_hw"] == [64, 48]
    assert value["config"] == {
        "stem_channels": 8, "head_channels": 8, "head_blocks": 2, "head_kernel": 3,
        "final_kernel": 3, "scaling_reference": None, "kernel_rotation": 180,
    }  # fmt: skip
    assert value["skeleton"] == {
        "keypoints": ["snout", "leftear", "rightear"], "limbs": [[0, 1]], "flip_pairs": [[1, 2]],
        "sigmas": [0.05, 0.05, 0.05], "sigmas_assumed": True,
    }  # fmt: skip
    assert value["codec"] == {
        "name": "gaussian", "params": {"sigma": 1.5, "activation": "softmax"},
    }  # fmt: skip
    assert value["input"] == {
        "color": "RGB", "scale": 1 / 255, "mean": [0.1, 0.2, 0.3], "std": [0.229, 0.224, 0.225],
        "box_padding": 1.4,
    }  # fmt: skip
    assert value["provenance"] == {"data": "mice", "scores": [0.5, None]}


def test_bfloat16_halves_the_file_and_loads_as_float32(tmp_path, path, net, card) -> None:
    half = save_model(tmp_path / "half.safetensors", net, card, dtype=torch.bfloat16)
    stored = safetensors.torch.load_file(half)
    assert {t.dtype for t in stored.values()} == {torch.bfloat16, torch.int64}
    assert half.stat().st_size < 0.65 * path.stat().st_size
    for name, tensor in load_model(half).net.state_dict().items():
        expected = net.state_dict()[name]
        rounded = expected.bfloat16().float() if expected.is_floating_point() else expected
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor, rounded)


def test_the_card_is_read_without_the_weights(path, card, monkeypatch) -> None:
    def refuse(*args, **options):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(safetensors.torch, "load_file", refuse)
    assert read_card(path) == card


def test_equal_networks_give_equal_bytes(net, card) -> None:
    assert model_bytes(net, card) == model_bytes(net, card)


@pytest.mark.parametrize(("count", "first"), [(17, "nose"), (3, "keypoint_1")])
def test_without_a_card_the_keypoints_are_cocos_or_nameless(tmp_path, count, first) -> None:
    net = random_network(replace(CONFIG, num_keypoints=count), seed=0)
    card = load_model(save_model(tmp_path / "bare.safetensors", net)).card
    assert (len(card.skeleton), card.skeleton.keypoints[0]) == (count, first)
    assert card.skeleton.sigmas_assumed == (count != 17)
    assert card.codec == CodecSpec(name="gaussian", params={})
    with pytest.raises(ModelError, match="give a card with a Conv2d"):
        save_model(tmp_path / "bare.safetensors", torch.nn.Conv2d(1, 1, 1))


def test_a_missing_file_is_told(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"there is no model file .*nothing\.safetensors"):
        load_model(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\xff" * 100, None])
def test_what_is_no_safetensors_file_is_told(path, content) -> None:
    path.write_bytes(path.read_bytes()[:-4] if content is None else content)
    for read in (read_card, load_model):
        with pytest.raises(ModelError, match="not a readable safetensors file"):
            read(path)


def test_a_folder_is_no_model_file(tmp_path) -> None:
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        read_card(tmp_path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_someone_else_are_told(tmp_path, metadata) -> None:
    path = tmp_path / "theirs.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(2)}, path, metadata)
    with pytest.raises(ModelError, match="not one of evopose's: its metadata has no key `evopose`"):
        read_card(path)


def test_a_newer_format_names_both(path) -> None:
    rewrite(path, lambda value: value.update(format=2))
    with pytest.raises(ModelError, match=r"model\.safetensors.* format 2, .* reads 1: install"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": None}, "cannot be read"),
        ({"input_hw": [64]}, "cannot be read"),
        ({"codec": {"label": "gaussian"}}, "cannot be read"),
        ({"input": []}, "cannot be read"),
        ({"genotype": [[4, 1, 1, 1]]}, "kernel must be odd"),
        ({"genotype": 3}, "a genotype is a list"),
        ({"skeleton": {}}, "not a skeleton"),
    ],
)
def test_a_description_that_makes_no_sense_is_told_with_the_files_name(
    path, change, message
) -> None:
    rewrite(path, lambda value: value.update(change))
    with pytest.raises(ModelError, match=rf"model\.safetensors.*{message}"):
        load_model(path)


@pytest.mark.parametrize("key", ["architecture", "skeleton", "provenance"])
def test_a_description_with_a_part_missing_is_told(path, key) -> None:
    rewrite(path, lambda value: value.pop(key))
    with pytest.raises(ModelError, match=f"cannot be read: KeyError.*{key}"):
        read_card(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda v: v.update(architecture="vitpose"),
            "no architecture is called 'vitpose'; this version builds evopose2",
        ),
        (lambda v: v["config"].update(kernel_rotation=0), "must be 180, the file says 0"),
        (lambda v: v["config"].pop("kernel_rotation"), "must be 180, the file says None"),
        (lambda v: v["config"].update(depth=9), "evopose2d has no option depth"),
        (lambda v: v["config"].update(head_kernel=1), "cannot be built: .*head_kernel"),
        (lambda v: v.update(genotype=None), "an EvoPose2D needs a genotype"),
    ],
)
def test_a_network_that_cannot_be_built_is_told(path, change, message) -> None:
    rewrite(path, change)
    with pytest.raises(ModelError, match=rf"model\.safetensors.*{message}"):
        load_model(path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "stem_bn.bias"}, "1 .* missing stem_bn.bi"),
        (lambda t: t | {"stem_bn.more": torch.zeros(1)}, "1 weights .* unexpected stem_bn.more"),
        (
            lambda t: t | {"stem_conv.weight": torch.zeros(8, 3, 5, 5)},
            r"1 weights .* stem_conv.weight is \(8, 3, 5, 5\), expected \(8, 3, 3, 3\)",
        ),
        (
            lambda t: {f"other.{k}": v for k, v in t.items()},
            r"\d\d+ weights do not fit its description: missing .*(; missing [\w.]+){4}$",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named_and_nothing_is_loaded(path, tensors, message) -> None:
    rewrite(path, tensors=tensors)
    with pytest.raises(ModelError, match=message):
        load_model(path)


def test_a_skeleton_of_another_size_does_not_fit_the_weights(path, net) -> None:
    pair = Skeleton(keypoints=("nose", "tail"))
    rewrite(path, lambda value: value.update(skeleton=pair.to_json()))
    with pytest.raises(ModelError, match=r"final_conv.bias is \(3,\), expected \(2,\)"):
        load_model(path)
    with pytest.raises(ModelError, match="gives 3 heatmaps, the skeleton names 2 keypoints"):
        model_card(net, skeleton=pair, codec=CodecSpec())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, net, card, monkeypatch) -> None:
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(modelfile, "os", SimpleNamespace(fsync=full))
    with pytest.raises(OSError, match="No space left"):
        save_model(path, net, replace(card, provenance={"second": True}))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_rewrite_replaces_and_others_may_read_it(path, net, card) -> None:
    save_model(str(path), net, replace(card, provenance={"second": True}))
    assert read_card(path).provenance == {"second": True}
    assert os.stat(path).st_mode & 0o777 == 0o644  # noqa: PTH116
    assert list(path.parent.iterdir()) == [path]


def test_a_wide_genotype_comes_back_as_the_same_network(tmp_path) -> None:
    config = wide(
        [[3, 1, 1, 1], [5, 2, 2, 2]],
        expand_ratio=[2, 3],
        se_ratio=[0.5, 0.125],
        activation=["relu", "hardswish"],
        stem_channels=8,
        head_channels=16,
        head_blocks=1,
        head_activation="relu",
        input_size="64x48",
    )
    net = random_network(config, seed=0)
    card = model_card(net, skeleton=SKELETON, codec=CodecSpec())
    loaded, found = load_model(save_model(tmp_path / "wide.safetensors", net, card))
    assert loaded.config == config
    assert found.input_hw == (64, 48)
    images = random_images(1, (64, 48))
    with torch.no_grad():
        assert torch.equal(loaded(images), net(images))


def test_options_of_later_versions_are_written_where_they_matter(tmp_path) -> None:
    """So files without them, old and new, are the same."""
    config = replace(CONFIG, activation="relu", se_ratio=0.5)
    net = random_network(config, seed=0)
    card = model_card(net, skeleton=SKELETON, codec=CodecSpec())
    later = {"expand_ratio", "se_ratio", "activation", "head_activation"}
    assert later & card.config.keys() == {"activation", "se_ratio"}
    assert load_model(save_model(tmp_path / "a.safetensors", net, card)).net.config == config
