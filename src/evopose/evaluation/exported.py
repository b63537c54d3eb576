"""What an exported file needs of a dataset: persons to calibrate on, and what its bits cost."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evopose.data.crops import CropSpec
from evopose.data.cutting import build_crops
from evopose.data.home import Progress
from evopose.errors import ConfigError
from evopose.evaluation.evaluate import check_skeleton, evaluate, some_images
from evopose.export.options import OksLoss, RealCrops
from evopose.inference.pipeline import open_pipeline
from evopose.inference.runtimes import PoseModel
from evopose.models.card import ModelCard
from evopose.structures import PoseDataset

CALIBRATION_PERSONS = 256
MEASURED_IMAGES = 1000
"""Of a larger split so many, spread evenly."""


def real_crops(
    dataset: PoseDataset,
    card: ModelCard,
    *,
    data: str,
    count: int = CALIBRATION_PERSONS,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> RealCrops:
    """Return `count` persons of a split of `data`, all where there are fewer, each in its labelled
    box, as the network of the card will see them. `seed` chooses which.

    Raises: ModelError if the model's keypoints are not the data's; DataError as `build_crops`;
    ConfigError for a count below 1.
    """
    check_skeleton(card, dataset)
    if count < 1:
        raise ConfigError(f"at least one person is needed, got {count}")
    people = dataset.trainable
    chosen = np.random.default_rng(seed).permutation(len(people))[:count]
    spec = CropSpec(
        input_hw=card.input_hw,
        padding=card.input.box_padding,
        margin=1.0,
        align_corners=card.codec.align_corners,
    )
    some = replace(dataset, instances=tuple(people[i] for i in chosen))
    cut = build_crops(some, spec, on_progress=on_progress)
    return RealCrops(
        images=np.array(cut.images),
        source=f"{len(cut):,} of {len(people):,} persons of {data}, {dataset.name}, seed {seed}",
    )


def oks_loss(
    reference: PoseModel,
    exported: PoseModel,
    dataset: PoseDataset,
    *,
    data: str,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> OksLoss:
    """Return the mean OKS of both networks on a split of `data`, as `evaluate` measures it in
    labelled boxes: with the flip test, where the skeleton has pairs.

    Of a split of more than `MEASURED_IMAGES` it takes so many. `on_progress` is told how many
    persons are done, by either, and how many there are. Raises: as `evaluate`.
    """
    some = some_images(dataset, MEASURED_IMAGES)
    flip_test = reference.card.skeleton.flip_pairs is not None

    def oks_of(model: PoseModel, before: int) -> NDArray[np.float64]:
        pipeline = open_pipeline(model, flip_test=flip_test)
        return evaluate(
            pipeline,
            some,
            on_progress=lambda done, total: on_progress(before * total + done, 2 * total),
        ).oks

    before, after = oks_of(reference, 0), oks_of(exported, 1)
    apart = before - after
    return OksLoss(
        data=data,
        split=dataset.name,
        persons=len(apart),
        flip_test=flip_test,
        runtime=exported.runtime,
        mean_oks=float(after.mean()),
        mean_oks_float32=float(before.mean()),
        standard_error=float(apart.std() / np.sqrt(len(apart))),
    )
