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
from evopose.data.pose_sources import SyntheticErrors
from evopose.models import MODELS, build_model
from evopose.models.network import PoseNetwork
from evopose.recipes import TRAIN_RECIPES
from evopose.training.compute import prepare, resolve_compute
from evopose.training.config import TrainConfig
from evopose.training.loop import fit
from evopose.training.session import MARGIN, codec_spec, cut_crops, make_encoder
from evopose.training.validate import TrainData

SYSTEMS = (
    "evopose2d-xs", "simple-baseline-r50", "hrnet-w32", "cpn-r50", "mspn-1x", "posefix-r50",
)  # fmt: skip
ENOUGH = 0.95
MOMENTUM = 0.5
"""Of batch norms: a network that learns eight persons in a hundred steps changes too fast for the
running statistics of its usual momentum."""


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
    eight = cut_crops(replace(people, instances=tuple(chosen)), (height, width), margin=MARGIN)
    for name in args.models:
        evolved = MODELS[name].architecture == "evopose2d"
        net = build_model(
            name, input_hw=(height, width), **({"scaling_reference": None} if evolved else {})
        )
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = MOMENTUM
        training = replace(
            TRAIN_RECIPES[MODELS[name].recipe](),
            epochs=args.steps,
            batch_size=8,
            learning_rate=args.learning_rate,
            schedule="linear",
            milestones=(),
            warmup_epochs=0,
            weight_decay=0.0,
            augmentation=Augmentation.none(),
        )
        print(name, _learn(net, eight, training, args.threads), flush=True)


def _learn(
    net: PoseNetwork, eight: TrainData, training: TrainConfig, threads: int
) -> dict[str, Any]:
    """Return after how many steps, each an epoch, the network knows the eight."""
    compute = resolve_compute("cpu", threads=threads)
    prepare(compute)
    encoder = make_encoder(net, codec_spec(training, net.config.input_hw), training.input)
    poses = SyntheticErrors(eight.cache, seed=0) if net.refines else None
    oks = [0.0]

    def note(event: dict[str, Any]) -> None:
        if "val_oks" in event:
            oks.append(event["val_oks"])

    begun = time.monotonic()
    fit(
        net, eight, eight, training, compute=compute, encoder=encoder, poses=poses, val_poses=poses,
        on_progress=note, should_stop=lambda: oks[-1] > ENOUGH,
    )  # fmt: skip
    return {
        "steps": len(oks) - 1,
        "mean OKS": round(max(oks), 4),
        "seconds": round(time.monotonic() - begun),
    }


if __name__ == "__main__":
    main()
