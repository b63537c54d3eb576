"""Poses for a refiner to learn from: made-up errors, or another network's own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evopose.data.pose_sources import GivenPoses, PoseSource, SyntheticErrors
from evopose.errors import ModelError
from evopose.geometry import apply_affine, compose_affine, invert_affine
from evopose.models.card import ModelCard
from evopose.models.modelfile import load_model
from evopose.models.network import PoseNetwork
from evopose.structures import PoseDataset
from evopose.training.compute import Compute, make_fabric, place
from evopose.training.session import MARGIN, PosesOf, cut_crops, make_encoder
from evopose.training.validate import TrainData, validate


def synthetic_errors(seed: int) -> PosesOf:
    """Return the source of labelled poses with PoseFix's errors, drawn from `seed`."""
    return lambda dataset, data: SyntheticErrors(data.cache, seed)


def errors_of(model: Path, compute: Compute) -> PosesOf:
    """Return the source of the poses that the network in `model` finds, errors and all.

    It sees each person once, as it is, with the crops that it was trained on.

    Raises: ModelError if it refines poses itself, or knows other keypoints than the data.
    """
    net, card = load_model(model)
    if net.refines:
        raise ModelError(f"{model} refines poses itself; give a network that finds them")

    def poses(dataset: PoseDataset, data: TrainData) -> PoseSource:
        if card.skeleton.keypoints != dataset.skeleton.keypoints:
            raise ModelError(
                f"{model} knows the keypoints {', '.join(card.skeleton.keypoints)}; the data has "
                f"{', '.join(dataset.skeleton.keypoints)}"
            )
        return GivenPoses(data.cache, _found(net, card, dataset, data, compute))

    return poses


def _found(
    net: PoseNetwork, card: ModelCard, dataset: PoseDataset, data: TrainData, compute: Compute
) -> NDArray[np.float64]:
    """Return the network's poses (N, K, 3) in pixels of the stored crops of `data`."""
    seen = cut_crops(
        dataset,
        card.input_hw,
        margin=MARGIN,
        padding=card.input.box_padding,
        align_corners=card.codec.align_corners,
    )
    fabric = make_fabric(compute)
    place(net, fabric.device)
    softmax = card.codec.params.get("activation") == "softmax"
    found = validate(
        net,
        seen,
        encoder=make_encoder(net, card.codec, card.input),
        loss="softmax" if softmax else "mse",
        batch_size=32,
        fabric=fabric,
    )
    poses = np.ones((*found.scores.shape, 3))
    for row, (there, here) in enumerate(
        zip(seen.cache.crop_affines, data.cache.affines, strict=True)
    ):
        poses[row, :, :2] = apply_affine(
            compose_affine(here, invert_affine(there)), found.xy_crop[row]
        )
    return poses
