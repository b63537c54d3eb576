"""Does each system learn? Eight real persons by heart: python benchmarks/overfit.py DATA [MODEL...]

Each network is trained on the same eight persons with the loss, targets and colour order of its
own recipe, without augmentation, weight decay or schedule, until its mean OKS on them passes 0.95:
how many steps that takes. A refiner is given the persons' poses with errors, new ones each step.
"""

import argparse
import time
from dataclasses import replace
from typing import Any

import torch

from evopose.data.augment import Augmentation
from evopose.data.layouts import open_dataset
from evopose.data.loader import batches
from evopose.data.pose_sources import SyntheticErrors
from evopose.models import MODELS, build_model
from evopose.models.network import PoseNetwork
from evopose.recipes import TRAIN_RECIPES
from evopose.training.batch_norm import reestimate_batch_norm
from evopose.training.compute import make_fabric, prepare, resolve_compute
from evopose.training.config import TrainConfig
from evopose.training.loop import fit
from evopose.training.session import MARGIN, codec_spec, cut_crops, make_encoder
from evopose.training.validate import TrainData, normalise, validate

SYSTEMS = (
    "evopose2d-xs", "simple-baseline-r50", "hrnet-w32", "cpn-r50", "mspn-1x", "posefix-r50",
)  # fmt: skip
ENOUGH = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("models", nargs="*", default=SYSTEMS, metavar="MODEL")
    parser.add_argument("--input", default="128x96", metavar="HxW")
    parser.add_argument("--steps", type=int, default=400, help="give up after so many")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    height, width = map(int, args.input.split("x"))
    people = open_dataset(args.data, only=("train",)).train
    chosen = [one for one in people.trainable if one.num_labelled >= 12][:8]
    for name in args.models:
        evolved = MODELS[name].architecture == "evopose2d"
        net = build_model(
            name, input_hw=(height, width), **({"scaling_reference": None} if evolved else {})
        )
        training = replace(
            TRAIN_RECIPES[MODELS[name].recipe](),
            epochs=20,
            batch_size=8,
            learning_rate=args.learning_rate,
            schedule="step",
            milestones=(1000,),
            warmup_epochs=0,
            weight_decay=0.0,
            augmentation=Augmentation.none(),
        )
        eight = cut_crops(replace(people, instances=tuple(chosen)), (height, width), margin=MARGIN)
        print(name, _learn(net, eight, training, args), flush=True)


def _learn(
    net: PoseNetwork, eight: TrainData, training: TrainConfig, args: argparse.Namespace
) -> dict[str, Any]:
    compute = resolve_compute("cpu", threads=args.threads)
    prepare(compute)
    fabric = make_fabric(compute)
    encoder = make_encoder(net, codec_spec(training, net.config.input_hw), training.input)
    poses = SyntheticErrors(eight.cache, seed=0) if net.refines else None
    begun, steps, oks = time.monotonic(), 0, 0.0
    while steps < args.steps and oks <= ENOUGH:
        fit(
            net, eight, eight, training, compute=compute, encoder=encoder,
            poses=poses, val_poses=poses,
        )  # fmt: skip
        steps += training.epochs
        oks = _oks(net, eight, training, fabric, poses)
    return {"steps": steps, "mean OKS": round(oks, 4), "seconds": round(time.monotonic() - begun)}


def _oks(net: PoseNetwork, eight: TrainData, training: TrainConfig, fabric: Any, poses: Any) -> Any:
    """Return the mean OKS, the batch norms' statistics those of the eight: so few steps move
    running statistics only so far."""
    encoder = make_encoder(net, codec_spec(training, net.config.input_hw), training.input)
    (batch,) = batches(
        eight.cache, batch_size=8, augmentation=Augmentation.none(), seed=0, epoch=0, shuffle=False
    )
    images = normalise(batch.images, fabric.device, encoder.input)
    given = () if poses is None else (torch.from_numpy(poses.poses(batch, 0)),)
    reestimate_batch_norm(net, [(images, *given)])
    found = validate(
        net, eight, encoder=encoder, loss=training.loss, batch_size=8, fabric=fabric, poses=poses
    )
    return found.mean_oks


if __name__ == "__main__":
    main()
