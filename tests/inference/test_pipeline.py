"""From an image and boxes to keypoints: crops, colours, flip test, batches, scores."""

from dataclasses import dataclass

import numpy as np
import pytest
from torch import Tensor

from evopose.codecs import GaussianCodec
from evopose.data.layouts import open_dataset
from evopose.errors import ConfigError, DataError, ModelError
from evopose.evaluation.evaluate import evaluate, some_images
from evopose.inference.flip import mirror_back
from evopose.inference.pipeline import Pipeline, open_pipeline, person_scores
from evopose.inference.runtimes.pytorch import TorchModel
from evopose.models.card import ModelCard
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.models.modelfile import LoadedModel, model_card
from evopose.models.network import PoseNetwork
from evopose.skeleton import COCO_PERSON, Skeleton
from evopose.training.compute import make_fabric
from evopose.training.session import codec_spec, cut_crops, make_encoder
from evopose.training.validate import validate
from random_networks import random_network
from training.toys import COMPUTE, NETWORK, encoder, make_config, make_toy

SKELETON = Skeleton(keypoints=("nose", "left_hand", "right_hand"), flip_pairs=((1, 2),))


@dataclass(frozen=True, kw_only=True)
class _Config:
    input_hw: tuple[int, int] = (16, 16)
    num_keypoints: int = 3


class Channels(PoseNetwork):
    """Its heatmaps are the three channels of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.config = _Config()

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        return self.config.input_hw

    def forward(self, images: Tensor) -> Tensor:
        return images


def pipeline(net: PoseNetwork, *, spec: InputSpec | None = None, **options) -> Pipeline:
    card = ModelCard(
        architecture="", genotype=None, config={}, input_hw=net.config.input_hw,
        skeleton=options.pop("skeleton", SKELETON), codec=options.pop("codec", CodecSpec()),
        input=spec or InputSpec(mean=(0, 0, 0), std=(1, 1, 1), scale=1, box_padding=1.0),
    )  # fmt: skip
    return open_pipeline(TorchModel.of(LoadedModel(net, card)), **options)


def trained_like(toy, **options) -> Pipeline:
    net = random_network(NETWORK, seed=0)
    codec = CodecSpec(params={"activation": "softmax"})
    card = model_card(net, skeleton=toy.val.cache.skeleton, codec=codec)
    return open_pipeline(TorchModel.of(LoadedModel(net, card)), **options)


def test_it_finds_what_validation_finds_on_the_same_persons(tmp_path):
    toy = make_toy(tmp_path)
    dataset = open_dataset(tmp_path / "dots").val
    ours = evaluate(trained_like(toy, flip_test=False, batch_size=2), dataset)
    theirs = validate(
        random_network(NETWORK, seed=0),
        toy.val,
        encoder=encoder(make_config(loss="softmax")),
        loss="softmax",
        batch_size=4,
        fabric=make_fabric(COMPUTE),
    )
    np.testing.assert_array_equal(ours.ids, toy.val.cache.ids)
    np.testing.assert_allclose(ours.oks, theirs.oks, rtol=1e-4)
    assert ours.mean_oks == pytest.approx(theirs.mean_oks, rel=1e-4)
    assert 0 < ours.mean_oks < 1
    flipped = evaluate(trained_like(toy, flip_test=True), dataset)
    assert not np.allclose(flipped.oks, ours.oks)
    few = evaluate(trained_like(toy), some_images(dataset, 2))
    np.testing.assert_array_equal(few.ids, ours.ids[[0, -1]])


@pytest.mark.parametrize("codec", ["gaussian", "dark", "udp"])
def test_what_a_codec_is_trained_on_is_what_it_sees(tmp_path, codec):
    """Crops of the pipeline are those of the cache, corners aligned where the codec wants it."""
    make_toy(tmp_path)
    dataset = open_dataset(tmp_path / "dots").val
    trained = make_config(loss="softmax", codec=codec)
    net = random_network(NETWORK, seed=0)
    spec = codec_spec(trained, NETWORK.input_hw)
    card = model_card(net, skeleton=dataset.skeleton, codec=spec)
    ours = evaluate(open_pipeline(TorchModel.of(LoadedModel(net, card)), flip_test=False), dataset)
    cut = cut_crops(dataset, NETWORK.input_hw, margin=1.4, align_corners=spec.align_corners)
    theirs = validate(
        random_network(NETWORK, seed=0), cut, encoder=make_encoder(net, spec, card.input),
        loss="softmax", batch_size=4, fabric=make_fabric(COMPUTE),
    )  # fmt: skip
    np.testing.assert_allclose(ours.oks, theirs.oks, rtol=1e-4)


def test_another_decoder_moves_places_and_keeps_scores():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    box = np.array([[0.0, 0.0, 16.0, 16.0]])
    plain = pipeline(Channels()).predict(image, box)
    dark = pipeline(Channels(), decoder="dark").predict(image, box)
    np.testing.assert_array_equal(dark[..., 2], plain[..., 2])
    assert (dark[..., :2] != plain[..., :2]).any()
    assert (np.abs(dark - plain)[..., :2] <= 3 * 2 * 16 / 64 + 0.25).all()
    same = pipeline(Channels(), decoder="gaussian").predict(image, box)
    np.testing.assert_array_equal(same, plain)
    with pytest.raises(ConfigError, match="soft_argmax reads distributions"):
        pipeline(Channels(), decoder="soft_argmax")


def test_a_bgr_model_sees_bgr():
    image = np.zeros((16, 16, 3), np.uint8)
    image[2, 3, 0], image[8, 4, 1], image[12, 11, 2] = 255, 255, 255  # red, green, blue
    box = np.array([[0.0, 0.0, 16.0, 16.0]])
    found = {}
    for colour in ("RGB", "BGR"):
        spec = InputSpec(color=colour, mean=(0, 0, 0), std=(1, 1, 1), scale=1, box_padding=1.0)
        found[colour] = pipeline(Channels(), spec=spec, flip_test=False).predict(image, box)[0]
    np.testing.assert_allclose(found["RGB"][:, :2], [[3, 2], [4, 8], [11, 12]])
    np.testing.assert_allclose(found["BGR"], found["RGB"][::-1])
    np.testing.assert_allclose(found["RGB"][:, 2], 1)


def test_mirrored_heatmaps_by_hand():
    heatmaps = np.arange(12.0).reshape(1, 3, 1, 4)
    index = np.array([0, 2, 1])
    plain = [[[[3, 2, 1, 0]], [[11, 10, 9, 8]], [[7, 6, 5, 4]]]]
    assert mirror_back(heatmaps, index, 0).tolist() == plain
    moved = [[[[3, 3, 2, 1]], [[11, 11, 10, 9]], [[7, 7, 6, 5]]]]
    assert mirror_back(heatmaps, index, 1).tolist() == moved
    assert heatmaps.tolist() == np.arange(12.0).reshape(1, 3, 1, 4).tolist()


def test_the_flip_test_is_the_mean_of_both_answers():
    crops = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    seen = crops.transpose(0, 3, 1, 2).astype(float)
    # The network mirrors nothing itself, so that mirroring twice leaves the pixels in place.
    back = seen[:, [0, 2, 1]]
    moved = back.copy()
    moved[..., 1:] = back[..., :-1]
    found = pipeline(Channels()).heatmaps(crops)
    np.testing.assert_allclose(found, (seen + moved) / 2, rtol=1e-5)
    for name in ("megvii", "udp"):
        still = pipeline(Channels(), codec=CodecSpec(name=name)).heatmaps(crops)
        np.testing.assert_allclose(still, (seen + back) / 2, rtol=1e-5)
    dark = pipeline(Channels(), codec=CodecSpec(name="dark"), decoder="udp").heatmaps(crops)
    np.testing.assert_array_equal(dark, found)


def test_batches_across_images_change_nothing():
    rng = np.random.default_rng(0)
    pictures = []
    for count in (2, 0, 3, 1, 0):
        corner = rng.uniform(0, 20, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(5, 20, (count, 2))], axis=1)
        pictures.append((rng.integers(0, 256, (40, 30, 3), np.uint8), boxes))
    whole = list(pipeline(Channels()).predict_each(pictures))
    assert [one.shape for one in whole] == [(n, 3, 3) for n in (2, 0, 3, 1, 0)]
    for batch_size in (1, 4):
        parts = list(pipeline(Channels(), batch_size=batch_size).predict_each(pictures))
        for one, other in zip(parts, whole, strict=True):
            np.testing.assert_allclose(one, other)
    alone = pipeline(Channels()).predict(*pictures[2])
    np.testing.assert_allclose(alone, whole[2])


def test_large_images_do_not_wait_for_a_full_batch(monkeypatch):
    monkeypatch.setattr("evopose.inference.pipeline.MOST_WAITING", 3 * 40 * 30 * 3)
    read = []

    def pictures():
        for number in range(7):
            read.append(number)
            yield np.zeros((40, 30, 3), np.uint8), np.array([[0.0, 0, 30, 40]])

    found = pipeline(Channels(), batch_size=32).predict_each(pictures())
    next(found)
    assert read == [0, 1, 2]
    assert len(list(found)) == 6


class Mender:
    """Moves every pose to the right."""

    def refine_image(self, image, keypoints):
        assert image.shape == (16, 16, 3)
        return keypoints + np.array([5.0, 0, 0])


def test_a_refiner_has_the_last_word():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    box = np.array([[0.0, 0, 16, 16]])
    plain = pipeline(Channels()).predict(image, box)
    mended = pipeline(Channels(), refiner=Mender()).predict(image, box)
    np.testing.assert_allclose(mended - plain, np.broadcast_to([5.0, 0, 0], (1, 3, 3)))


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [9, 5, 5, 9], [0, 0, np.inf, 5], [0, np.nan, 5, 5]])
def test_boxes_without_an_area_are_refused(box):
    with pytest.raises(DataError, match="a width and a height above 0"):
        pipeline(Channels()).predict(np.zeros((16, 16, 3), np.uint8), np.array([box], float))


def test_what_cannot_be_a_pipeline():
    unpaired = Skeleton(keypoints=("a", "b", "c"))
    with pytest.raises(DataError, match="left-right pairs are unknown"):
        pipeline(Channels(), skeleton=unpaired)
    assert isinstance(pipeline(Channels(), skeleton=unpaired, flip_test=False).codec, GaussianCodec)
    net = Channels()
    net.refines = True
    with pytest.raises(ModelError, match="mends poses"):
        pipeline(net)


def test_another_skeleton_than_the_datas(tmp_path):
    make_toy(tmp_path)
    dataset = open_dataset(tmp_path / "dots").val
    net = Channels()
    net.config = _Config(num_keypoints=17)
    with pytest.raises(ModelError, match=r"knows the keypoints nose, left_eye.*the data has nose"):
        evaluate(pipeline(net, skeleton=COCO_PERSON), dataset)


def test_scores_of_persons_by_hand():
    keypoints = np.zeros((3, 4, 3))
    keypoints[..., 2] = [[0.9, 0.5, 0.2, 0.1], [0.2, 0.1, 0, 0], [1, 1, 1, 1]]
    found = person_scores(keypoints, np.array([1.0, 1.0, 0.5]))
    np.testing.assert_allclose(found, [0.7, 0, 0.5])
