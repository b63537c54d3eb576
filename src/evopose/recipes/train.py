"""Recipes of full training."""

from collections.abc import Callable
from dataclasses import replace

from evopose.data.augment import Augmentation
from evopose.models.importers.cpn import INPUT as CPN_INPUT
from evopose.models.importers.mspn import AUTHORS_INPUT as MSPN_INPUT
from evopose.models.importers.posefix import INPUT as POSEFIX_INPUT
from evopose.models.inputs import InputSpec
from evopose.training.config import TrainConfig, scaled_learning_rate


def paper() -> TrainConfig:
    """Return the paper's large-batch recipe: Adam, 200 epochs, batch 512, 5 epochs of warm-up.

    Half-body crops fire half of the time, as in every official run.

    Source: EvoPose2D, section 3.4; official `configs/evopose2d_S.yaml` at ea05b81.
    """
    return TrainConfig(
        epochs=200,
        batch_size=512,
        learning_rate=scaled_learning_rate(512),
        warmup_epochs=5,
        warmup_from=2.5e-4,
        weight_decay=2e-5,
        augmentation=Augmentation(half_body=0.5),
    )


def small() -> TrainConfig:
    """Return a recipe for thousands of images on a laptop: softmax cross-entropy, AdamW, EMA."""
    return TrainConfig(
        epochs=60,
        batch_size=32,
        learning_rate=2e-3,
        warmup_epochs=1.0,
        optimizer="adamw",
        weight_decay=1e-4,
        loss="softmax",
        round_centre=False,
        ema_decay=0.995,
        warm_averages=True,
        clip_norm=5.0,
        augmentation=Augmentation(colour=0.2),
    )


def simple_baseline() -> TrainConfig:
    """Return SimpleBaseline's own recipe: Adam, steps at 90 and 120 of 140 epochs, batch 4 x 32.

    Pixels come as BGR, under ImageNet's mean and standard deviation in the order of RGB, as in
    the released code, whose weights have learned that. Its loss is half of ours, which Adam does
    not feel.

    Source: Xiao et al., ECCV 2018; `experiments/coco/resnet50/256x192_d256x3_adam_lr1e-3.yaml`,
    `lib/dataset/JointsDataset.py` and `lib/core/loss.py` at 49f3f44.
    """
    return TrainConfig(
        epochs=140,
        batch_size=128,
        learning_rate=1e-3,
        schedule="step",
        milestones=(90, 120),
        weight_decay=0.0,
        peak=1.0,
        truncate=3.0,
        input=InputSpec(color="BGR"),
    )


def hrnet() -> TrainConfig:
    """Return HRNet's own recipe: Adam, steps at 170 and 200 of 210 epochs, batch 4 x 32, half-body
    crops for three in ten of those that can have them.

    Source: Sun et al., CVPR 2019; `experiments/coco/hrnet/w32_256x192_adam_lr1e-3.yaml` and
    `lib/dataset/JointsDataset.py` at 6f69e46.
    """
    return TrainConfig(
        epochs=210,
        batch_size=128,
        learning_rate=1e-3,
        schedule="step",
        milestones=(170, 200),
        weight_decay=0.0,
        peak=1.0,
        truncate=3.0,
        augmentation=Augmentation(scale=0.35, rotation_deg=45.0, half_body=0.3),
    )


def cpn() -> TrainConfig:
    """Return CPN's own recipe: Adam, the rate halved every 60 of its epochs of 60,000 samples, that
    is every 24 of ours over COCO's 149,813 persons; 350 of them, as released, are 140.

    Its samples come four from a person (as it is, mirrored, twice turned), ours with the same
    probabilities; its scales are uniform to 1.35 with a cap at 1.25, ours uniform to the cap.

    Source: Chen et al., CVPR 2018; `models/COCO.res50.256x192.CPN` of tf-cpn at 48ea10d.
    """
    return TrainConfig(
        epochs=140,
        batch_size=32,
        learning_rate=5e-4,
        schedule="step",
        milestones=(24, 48, 72, 96, 120),
        step_factor=0.5,
        weight_decay=1e-5,
        loss="cpn",
        input=CPN_INPUT,
        augmentation=Augmentation(
            flip=0.25, scale_range=(0.7, 1.25), rotation_deg=45.0, rotation_uniform=True,
            rotation_probability=0.5,
        ),
    )  # fmt: skip


def mspn() -> TrainConfig:
    """Return MSPN's own recipe: Adam, a warm-up over 2,400 of 96,000 steps of 256, then a line to
    zero: 164 epochs of COCO's 149,813 persons.

    Its crops are 1.05 times the box, extended by up to 0.8 of its height and 0.6 of its width, then
    times 0.8 and 0.75 to 1.25; ours are extended alike in both directions.

    Source: Li et al., arXiv 1901.00148; `exps/mspn.2xstg.coco/config.py` and
    `dataset/JointsDataset.py` of MSPN at a84f750.
    """
    shrunk = 1.05 * 0.8 / MSPN_INPUT.box_padding
    return TrainConfig(
        epochs=164,
        batch_size=256,
        learning_rate=4e-3,
        warmup_epochs=4.1,
        warmup_from=4e-4,
        schedule="linear",
        weight_decay=1e-5,
        decay_all=True,
        loss="mspn",
        input=MSPN_INPUT,
        augmentation=Augmentation(
            scale_range=(0.75 * shrunk, 1.25 * shrunk), extension=0.8, rotation_deg=45.0,
            rotation_uniform=True, rotation_probability=0.5, half_body=0.3,
            half_body_min_keypoints=3,
        ),
    )  # fmt: skip


def posefix() -> TrainConfig:
    """Return PoseFix's own recipe: Adam, steps at 90 and 120 of 140 epochs, batch 32.

    Source: Moon et al., CVPR 2019; `main/config.py` of PoseFix_RELEASE at 5556364.
    """
    return TrainConfig(
        epochs=140,
        batch_size=32,
        learning_rate=5e-4,
        schedule="step",
        milestones=(90, 120),
        weight_decay=1e-5,
        loss="posefix",
        input=POSEFIX_INPUT,
    )


def common() -> TrainConfig:
    """Return one recipe for any network, so that networks can be compared: that of `small`.

    The network's answer alone is judged, by one loss; intermediate heatmaps of those that have
    them learn nothing of their own. Its warm-up is shorter, for short comparisons.
    """
    return replace(small(), warmup_epochs=0.5)


OWN = "own"
"""The recipe that a network was published with."""

TRAIN_RECIPES: dict[str, Callable[[], TrainConfig]] = {
    "small": small,
    "common": common,
    "paper": paper,
    "simple-baseline": simple_baseline,
    "hrnet": hrnet,
    "cpn": cpn,
    "mspn": mspn,
    "posefix": posefix,
}
"""Name of `--recipe` -> configuration of a training."""
