"""Training configurations are checked when they are made, and survive JSON."""

import json

import pytest

from evopose.data.augment import Augmentation
from evopose.errors import ConfigError
from evopose.models.inputs import InputSpec
from evopose.recipes import TRAIN_RECIPES
from evopose.training.config import TrainConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive, got nan"),
        ({"weight_decay": -1e-5}, "weight_decay must not be negative"),
        ({"warmup_epochs": -1}, "warmup_epochs must not be negative"),
        ({"warmup_from": -1e-5}, "warmup_from must not be negative"),
        ({"clip_norm": -1.0}, "clip_norm must not be negative"),
        ({"checkpoint_seconds": -1.0}, "checkpoint_seconds must not be negative"),
        ({"patience": 0}, "patience must be at least 1 epoch, or None, got 0"),
        ({"ema_decay": 1.0}, "ema_decay must be at least 0 and below 1"),
        ({"optimizer": "sgd"}, "optimizer must be one of adam, adamw, got 'sgd'"),
        ({"loss": "l1"}, "loss must be one of mse, softmax, cpn, mspn, posefix, got 'l1'"),
        ({"schedule": "poly"}, "schedule must be one of cosine, linear, step, got 'poly'"),
        ({"schedule": "step"}, "milestones go with the step schedule"),
        ({"milestones": (3,)}, r"milestones go with the step schedule.* got cosine with \(3,\)"),
        ({"peak": 0.0}, "peak must be positive"),
        ({"codec_params": {"sigma": 2.0}}, "codec_params are those of a codec: name it, too"),
        ({"codec": "simcc"}, "codec must be one of gaussian, dark, udp, megvii, soft_argmax"),
        ({"codec": "udp", "loss": "mspn"}, "mspn has a codec of its own, megvii; udp goes with"),
        ({"codec": "soft_argmax"}, "trained with mse cannot be read by soft_argmax; use softmax"),
        ({"codec": "megvii", "loss": "softmax"}, "softmax cannot be read by megvii; use mse"),
        ({"precision": "fp16"}, "precision must be one of auto, fp32, bf16"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**{"epochs": 1} | options)


@pytest.mark.parametrize("name", TRAIN_RECIPES)
def test_every_recipe_survives_json(name) -> None:
    config = TRAIN_RECIPES[name]()
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_what_older_versions_wrote_is_read() -> None:
    """Options that came later have the values that had no name then."""
    value = TrainConfig(epochs=3).to_dict()
    for name in (
        "schedule",
        "milestones",
        "step_factor",
        "decay_all",
        "peak",
        "truncate",
        "input",
        "codec",
        "codec_params",
    ):
        del value[name]
    for name in ("scale_range", "extension", "rotation_uniform"):
        del value["augmentation"][name]
    assert TrainConfig.from_dict(value) == TrainConfig(epochs=3)


def test_json_round_trip() -> None:
    config = TrainConfig(
        epochs=3,
        patience=2,
        schedule="step",
        milestones=(1, 2.5),
        input=InputSpec(color="BGR", mean=(1.0, 2.0, 3.0)),
        augmentation=Augmentation(flip=0.1, colour=0.3, scale_range=(0.5, 1.5)),
    )
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_options_are_named() -> None:
    with pytest.raises(ConfigError, match="unknown training options: epoch, rate"):
        TrainConfig.from_dict(TrainConfig(epochs=3).to_dict() | {"epoch": 3, "rate": 1})
