"""Validation: the loss and the mean OKS, found again in the pixels of the images."""

import numpy as np
import pytest
import torch

from evopose.data.layouts import open_dataset
from evopose.geometry import apply_affine, invert_affine
from evopose.metrics import oks
from evopose.training.compute import make_fabric
from evopose.training.losses import LOSSES
from evopose.training.validate import TrainData, crop_oks, normalise, validate
from random_networks import random_network
from training.toys import COMPUTE, NETWORK, encoder, make_config, make_toy

MEAN, STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))  # ImageNet's


def run(data: TrainData, loss: str = "softmax", batch_size: int = 2):
    net = random_network(NETWORK, seed=0)
    return net, validate(
        net,
        data,
        encoder=encoder(make_config(loss=loss)),
        loss=loss,
        batch_size=batch_size,
        fabric=make_fabric(COMPUTE),
    )


def crops(data: TrainData) -> np.ndarray:
    """The middle of what is stored: (N, 32, 32, 3)."""
    top, left = data.cache.spec.offset_hw
    return data.cache.images[data.indices][:, top : top + 32, left : left + 32]


@pytest.mark.parametrize("loss", ["mse", "softmax"])
def test_loss_over_all_persons_at_once(toy, loss) -> None:
    net, found = run(toy.val, loss)
    pixels = ((crops(toy.val) / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    with torch.no_grad():
        output = net(torch.from_numpy(np.ascontiguousarray(pixels, np.float32)))
    made = encoder(make_config(loss=loss))
    offset = np.array(toy.val.cache.spec.offset_hw[::-1])
    xy, visible = toy.val.cache.keypoints[..., :2] - offset, toy.val.cache.keypoints[..., 2] > 0
    visible &= ((xy >= 0) & (xy < 32)).all(-1)
    target = torch.from_numpy(made.codec.encode(xy, visible))
    total, count = LOSSES[loss](output, target, torch.from_numpy(visible))
    assert found.loss == pytest.approx(float(total / count), rel=1e-4)
    for batch_size in (1, 5):
        assert run(toy.val, loss, batch_size)[1].loss == pytest.approx(found.loss, rel=1e-5)


def test_oks_is_the_one_in_pixels_of_the_images(tmp_path) -> None:
    toy = make_toy(tmp_path)
    dataset = open_dataset(tmp_path / "dots").val
    _, found = run(toy.val)
    people = dataset.trainable
    xy = np.stack(
        [
            apply_affine(invert_affine(affine), points)
            for affine, points in zip(toy.val.cache.crop_affines, found.xy_crop, strict=True)
        ]
    )
    expected = oks(
        xy,
        np.stack([one.keypoints for one in people]),
        np.array([one.area for one in people]),
        np.array(dataset.skeleton.sigmas),
    )
    np.testing.assert_allclose(found.oks, expected, rtol=1e-5)
    assert found.mean_oks == pytest.approx(expected.mean())
    assert 0 < found.mean_oks < 1
    assert found.xy_crop.shape == (5, 3, 2)
    assert found.scores.shape == (5, 3)


def test_the_truth_itself_has_an_oks_of_one(toy) -> None:
    offset = np.array(toy.val.cache.spec.offset_hw[::-1])
    truth = toy.val.cache.keypoints[toy.val.indices][..., :2] - offset
    np.testing.assert_allclose(crop_oks(toy.val, truth.astype(float)), 1)


def test_chosen_persons_only(toy) -> None:
    chosen = TrainData(cache=toy.train.cache, indices=np.array([7, 2]))
    _, found = run(chosen)
    _, every = run(toy.train)
    np.testing.assert_allclose(found.oks, every.oks[[7, 2]], rtol=1e-6)
    names = [f"{toy.train.cache.image_ids[i]} (annotation {toy.train.cache.ids[i]})" for i in (7,)]
    assert chosen.names(np.array([7])) == names
    assert len(chosen) == 2


def test_the_mode_of_the_network_is_kept(toy) -> None:
    net = random_network(NETWORK, seed=0).train()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    fabric, config = make_fabric(COMPUTE), make_config()
    validate(net, toy.val, encoder=encoder(config), loss="mse", batch_size=4, fabric=fabric)
    assert net.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), "validation moved the statistics"


def test_normalised_pixels_by_hand() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), np.uint8)
    found = normalise(images, torch.device("cpu"), encoder(make_config()).input)
    assert found.shape == (2, 3, 4, 6)
    assert found.is_contiguous(memory_format=torch.channels_last)
    expected = (images / 255 - MEAN) / STD
    np.testing.assert_allclose(found.permute(0, 2, 3, 1), expected, rtol=1e-4, atol=1e-6)
