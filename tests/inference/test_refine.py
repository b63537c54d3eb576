"""Mending poses: the crop about them, the mirror image, what stays as it came."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evopose.codecs import make_codec
from evopose.data.images import FILL_RGB
from evopose.errors import DataError, ModelError
from evopose.inference.refine import Refiner, open_refiner
from evopose.models import architectures, posefix
from evopose.models.card import ModelCard
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.modelfile import LoadedModel, save_model
from evopose.models.posefix import PoseFix, PoseFixConfig, build_posefix, soft_argmax
from evopose.models.resnet import RESNET_BLOCKS
from evopose.skeleton import COCO_PERSON, Skeleton

SIZE = (64, 32)
SKELETON = Skeleton(keypoints=("nose", "left_hand", "right_hand"), flip_pairs=((1, 2),))
INPUT = InputSpec(color="BGR", scale=1.0, mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 1.0))
CODEC = CodecSpec(name="soft_argmax", params={"activation": "softmax"})
CARD = ModelCard(
    architecture="posefix",
    genotype=None,
    config={"depth": 50},
    input_hw=SIZE,
    skeleton=SKELETON,
    codec=CODEC,
    input=INPUT,
)


class Pushes(PoseFix):
    """Answers that every known keypoint lies `push` (x, y) further, and remembers what it saw."""

    def __init__(self, push: tuple[float, float]) -> None:
        nn.Module.__init__(self)
        self.config = PoseFixConfig(input_hw=SIZE, num_keypoints=3, depth=50)
        self.push = push
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor, poses: Tensor) -> Tensor:
        self.seen.append((images, poses))
        codec = make_codec("soft_argmax", SIZE, self.heatmap_hw)
        known = poses[..., 2].numpy() > 0
        maps = codec.encode(np.nan_to_num(poses[..., :2].numpy()) + self.push, known)
        return torch.from_numpy(maps).clamp_min(1e-30).log()


@pytest.fixture
def small(monkeypatch) -> PoseFix:
    """One block a layer, a thin head, running statistics that are no identity."""
    monkeypatch.setitem(RESNET_BLOCKS, 50, (1, 1, 1, 1))
    monkeypatch.setattr(posefix, "HEAD_CHANNELS", 32)
    net = build_posefix(PoseFixConfig(input_hw=SIZE, num_keypoints=3, depth=50)).train()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        net(torch.randn(4, 3, *SIZE, generator=generator) * 60, torch.full((4, 3, 3), 20.0))
        net.final_layer.weight.mul_(30)
    return net


def crops_and_poses(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    poses = rng.uniform((4, 4, 0.1), (28, 60, 1), (count, 3, 3))
    poses[0, 1, 2] = 0
    return rng.integers(0, 256, (count, *SIZE, 3), np.uint8), poses


def test_answers_to_crop_and_mirror_image_are_averaged(small) -> None:
    """Written out again in NumPy, with pictures and poses mirrored by hand."""
    crops, poses = crops_and_poses(5)
    found = open_refiner(LoadedModel(small, CARD), batch_size=2).refine(crops, poses)

    def answer(crops, poses) -> np.ndarray:
        images = crops[..., ::-1].astype(np.float32) - np.array(INPUT.mean, np.float32)
        with torch.no_grad():
            given = torch.from_numpy(poses.astype(np.float32))
            logits = small.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), given)
        return 4 * soft_argmax(logits).numpy()

    swap = [0, 2, 1]
    mirrored = poses[:, swap]
    mirrored[..., 0] = 31 - mirrored[..., 0]
    back = answer(crops[:, :, ::-1], mirrored)[:, swap]
    back[..., 0] = 31 - back[..., 0]
    plain = answer(crops, poses)
    np.testing.assert_allclose(found[..., :2], (plain + back) / 2, atol=2e-3)
    assert np.abs(plain - back).max() > 0.1
    np.testing.assert_array_equal(found[..., 2], poses[..., 2])
    once = open_refiner(LoadedModel(small, CARD), flip_test=False).refine(crops, poses)
    np.testing.assert_allclose(once[..., :2], plain, atol=2e-3)


def test_poses_lie_on_the_pixels_they_lay_on() -> None:
    """Keypoints are bright dots; so they are in every crop and mirrored crop, at its pose."""
    rng = np.random.default_rng(1)
    poses = (
        rng.uniform((80, 60), (110, 140), (4, 3, 2))
        + np.array([[0, 0], [60, 30], [150, 10], [200, 40]])[:, None]
    )
    poses = np.concatenate([poses.round(), np.full((4, 3, 1), 0.5)], axis=2)
    image = np.zeros((240, 400, 3), np.uint8)
    for x, y in poses[..., :2].reshape(-1, 2).astype(int).tolist():
        cv2.circle(image, (x, y), 3, (250, 200, 150), -1)
    net = Pushes((0.0, 0.0))
    found = open_refiner(LoadedModel(net, CARD)).refine_image(image, poses)
    np.testing.assert_allclose(found, poses, atol=0.02)
    assert len(net.seen) == 2
    for images, given in net.seen:
        for crop, pose in zip(images, given, strict=True):
            for x, y in pose[:, :2].round().long().tolist():
                blue, green, red = crop[:, y, x].tolist()
                assert blue + 1 > 60
                assert green + 2 > 1.2 * (blue + 1)
                assert red + 3 > 1.15 * (green + 2)


def test_the_crop_is_about_the_known_keypoints() -> None:
    """Extent times 1.2, then the input's side ratio, then the padding; an answer that is pixels of
    the crop away is as many of its pixels away in the image."""
    pose = np.array([[[100.0, 50, 0.9], [140, 130, 0.2], [300, 10, 0.0]]])
    net = Pushes((1.0, -2.0))
    found = open_refiner(LoadedModel(net, CARD), flip_test=False).refine_image(
        np.zeros((200, 200, 3), np.uint8), pose
    )
    scale = max(80 * 1.2, 40 * 1.2 * 2) * 1.25 / 64
    expected = pose[0, :2, :2] + scale * np.array([1, -2])
    np.testing.assert_allclose(found[0, :2, :2], expected, atol=1e-3)
    np.testing.assert_array_equal(found[..., 2], pose[..., 2])
    (_, given), = net.seen  # fmt: skip
    np.testing.assert_allclose(given[0, :, 2], [1, 1, 0])
    middle = (given[0, :2, :2].numpy().min(0) + given[0, :2, :2].numpy().max(0)) / 2
    np.testing.assert_allclose(middle, (16, 32), atol=1e-4)
    # a keypoint that was not known gets what the network says: here nothing, the middle pixel
    np.testing.assert_allclose(found[0, 2, :2], (120 + scale * -2, 90 + scale * -2), atol=1e-3)


def test_poses_of_which_nothing_or_little_is_known() -> None:
    poses = np.zeros((3, 3, 3))
    poses[0] = [[7, 8, 0], [9, 5, -1], [np.nan, 4, 0.5]]
    poses[1, 1] = (60, 70, 1)
    net = Pushes((1.0, 0.0))
    refiner = open_refiner(LoadedModel(net, CARD), flip_test=False)
    found = refiner.refine_image(np.zeros((100, 100, 3), np.uint8), poses)
    np.testing.assert_array_equal(found[[0, 2]], poses[[0, 2]])
    scale = 24 * 2 * 1.25 / 64  # a box of 20 pixels, times 1.2
    np.testing.assert_allclose(found[1, 1], (60 + scale, 70, 1), atol=1e-4)
    assert refiner.refine_image(np.zeros((9, 9, 3), np.uint8), np.zeros((0, 3, 3))).shape == (
        0,
        3,
        3,
    )
    assert len(net.seen) == 1
    outside = np.array([[[-400.0, -300, 1], [-380, -260, 1], [-390, -280, 1]]])
    found = refiner.refine_image(np.zeros((100, 100, 3), np.uint8), outside)
    assert np.isfinite(found).all()
    grey = net.seen[-1][0][0, :, 0, 0] + torch.tensor(INPUT.mean)
    assert tuple(grey.tolist()) == FILL_RGB[::-1]


def test_a_model_file_is_opened(small, monkeypatch, tmp_path) -> None:
    entry = architectures.Architecture(
        module="posefix", network="PoseFix", config="PoseFixConfig", build="build_posefix"
    )
    monkeypatch.setitem(architectures.ARCHITECTURES, "posefix", entry)
    path = save_model(tmp_path / "refiner.safetensors", small, CARD)
    crops, poses = crops_and_poses(3)
    expected = open_refiner(LoadedModel(small, CARD)).refine(crops, poses)
    refiner = Refiner.load(path, batch_size=2, device="cpu")
    assert refiner.batch_size == 2
    np.testing.assert_allclose(refiner.refine(crops, poses), expected, atol=1e-3)


def test_what_is_refused() -> None:
    net = Pushes((0.0, 0.0))
    with pytest.raises(ModelError, match=r"poses of 3 keypoints.*shape \(1, 17, 3\)"):
        open_refiner(LoadedModel(net, CARD)).refine_image(
            np.zeros((9, 9, 3), np.uint8), np.zeros((1, 17, 3))
        )
    other = ModelCard(
        architecture="hrnet",
        genotype=None,
        config={},
        input_hw=SIZE,
        skeleton=COCO_PERSON,
        codec=CODEC,
    )
    with pytest.raises(ModelError, match="a hrnet finds poses and mends none"):
        open_refiner(LoadedModel(nn.Identity(), other))
    sideless = ModelCard(
        architecture="posefix", genotype=None, config={}, input_hw=SIZE, codec=CODEC,
        skeleton=Skeleton(keypoints=("a", "b", "c")),
    )  # fmt: skip
    with pytest.raises(DataError, match="left-right pairs are unknown"):
        open_refiner(LoadedModel(net, sideless))
    assert open_refiner(LoadedModel(net, sideless), flip_test=False).net is net
