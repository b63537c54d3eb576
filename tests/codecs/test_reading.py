"""Reading heatmaps by another codec: the model's own grid and scores, the other's places."""

import numpy as np
import pytest

from evopose.codecs import make_codec
from evopose.codecs.reading import make_reader
from evopose.errors import ConfigError

SIZES = ((256, 192), (64, 48))
HEATMAP_CODECS = ("gaussian", "dark", "udp", "megvii")


def keypoints():
    return np.random.default_rng(0).uniform(30, 160, (1, 200, 2)), np.ones((1, 200), bool)


@pytest.mark.parametrize("decoder", HEATMAP_CODECS)
@pytest.mark.parametrize("name", HEATMAP_CODECS)
def test_every_decoder_reads_every_heatmap_without_bias(name, decoder):
    """The mean error is none, though grids lie half a pixel and more from each other."""
    options = {"round_centre": False} if name == "gaussian" else {}
    codec = make_reader(decoder, name, *SIZES, **options)
    xy, visible = keypoints()
    found, score = codec.decode(codec.encode(xy, visible))
    error = (found - xy)[0] / 4
    # megvii's quarter step is always upward, where a target is alike on all sides
    allowed = 0.27 if (name, decoder) == ("megvii", "megvii") else 0.06
    assert np.abs(error.mean(axis=0)).max() < allowed
    own = make_codec(name, *SIZES, **options)
    np.testing.assert_array_equal(score, own.decode(own.encode(xy, visible))[1])
    assert codec.flip_shift == own.flip_shift
    assert codec.align_corners == own.align_corners


@pytest.mark.parametrize("decoder", ["dark", "udp", "soft_argmax"])
def test_finer_decoders_halve_the_error_of_the_official_one(decoder):
    options = {"round_centre": False, "activation": "softmax"}
    xy, visible = keypoints()
    own = make_codec("gaussian", *SIZES, **options)
    logits = np.log(own.encode(xy, visible).astype(np.float64) + 1e-12)
    plain = np.abs(own.decode(logits)[0] - xy).mean()
    found, score = make_reader(decoder, "gaussian", *SIZES, **options).decode(logits)
    assert np.abs(found - xy).mean() < plain / 2
    np.testing.assert_array_equal(score, own.decode(logits)[1])


def test_the_own_decoder_is_the_codec_itself():
    assert make_reader("udp", "udp", *SIZES, sigma=3.0) == make_codec("udp", *SIZES, sigma=3.0)


def test_decoders_that_cannot_be():
    with pytest.raises(ConfigError, match="unknown decoder 'simcc'; there are: gaussian"):
        make_reader("simcc", "gaussian", *SIZES)
    with pytest.raises(ConfigError, match="soft_argmax reads distributions over pixels"):
        make_reader("soft_argmax", "gaussian", *SIZES)
    with pytest.raises(ConfigError, match="megvii reads heatmaps, and this network gives logits"):
        make_reader("megvii", "udp", *SIZES, activation="softmax")
