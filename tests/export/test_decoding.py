"""Decoding as layers of an exported network, beside the codecs' own decoding in NumPy."""

import numpy as np
import pytest
import torch

from evopose.codecs import make_codec
from evopose.errors import ModelError
from evopose.export.decoding import DECODERS, make_decoder
from evopose.models.card import ModelCard
from evopose.models.inputs import CodecSpec, InputSpec
from evopose.skeleton import COCO_PERSON

INPUT_HW, HEATMAP_HW = (96, 64), (24, 16)


def card_of(name: str, **params) -> ModelCard:
    return ModelCard(
        architecture="evopose2d",
        genotype=None,
        config={},
        input_hw=INPUT_HW,
        skeleton=COCO_PERSON,
        codec=CodecSpec(name=name, params=params),
        input=InputSpec(),
    )


def ragged(rng, logits: bool) -> np.ndarray:
    """Heatmaps with a summit anywhere, the border and beyond it included, and noise."""
    centre = rng.uniform(-1, (17, 25), (40, 17, 2))
    y, x = np.arange(24.0)[:, None], np.arange(16.0)
    away = (x - centre[..., 0, None, None]) ** 2 + (y - centre[..., 1, None, None]) ** 2
    noise = rng.normal(0, 1, (40, 17, 24, 16))
    maps = 4 - away / 4.5 + 0.3 * noise if logits else 255 * np.exp(-away / 4.5) + 5 * noise
    return maps.astype(np.float32)


@pytest.mark.parametrize("activation", ["none", "softmax"])
@pytest.mark.parametrize("params", [{}, {"blur_kernel": 1}, {"blur_kernel": 7, "sigma": 1.5}])
@pytest.mark.parametrize("name", ["dark", "udp"])
def test_summits_are_those_of_the_codec(name, params, activation):
    heatmaps = ragged(np.random.default_rng(5), activation == "softmax")
    params = params | {"activation": activation}
    xy, scores = make_codec(name, INPUT_HW, HEATMAP_HW, **params).decode(heatmaps)
    found = make_decoder(card_of(name, **params), HEATMAP_HW)(torch.from_numpy(heatmaps)).numpy()
    far = np.abs(found[..., :2] - xy).max(axis=2)
    assert np.mean(far > 0.01) < 0.002, "but for steps whose length is at the limit"
    np.testing.assert_allclose(found[..., 2], scores, rtol=1e-4, atol=1e-5)
    plain, _ = make_codec("gaussian", INPUT_HW, HEATMAP_HW, activation=activation).decode(heatmaps)
    assert np.mean(np.abs(plain - xy).max(axis=2) > 0.1) > 0.4, "steps were taken"


def test_steep_logits_without_a_blur_keep_their_steps():
    """As far apart as those of a network that was hardly trained: their exponentials vanish."""
    heatmaps = 500 * ragged(np.random.default_rng(6), logits=True)
    params = {"activation": "softmax", "blur_kernel": 1}
    xy, _ = make_codec("dark", INPUT_HW, HEATMAP_HW, **params).decode(heatmaps)
    found = make_decoder(card_of("dark", **params), HEATMAP_HW)(torch.from_numpy(heatmaps)).numpy()
    np.testing.assert_allclose(found[..., :2], xy, atol=0.01)


def test_a_codec_that_no_file_decodes_is_refused():
    with pytest.raises(
        ModelError, match=r"as megvii does: it decodes gaussian, dark, udp, soft_argmax"
    ):
        make_decoder(card_of("megvii", kernels=[5], blur_kernel=5), HEATMAP_HW)
    assert "megvii" not in DECODERS
