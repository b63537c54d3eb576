"""How far synthetic people alone carry: python benchmarks/synthetic_to_real.py DATA

Draws people, trains the network `narrow` on them, and measures its mean OKS on DATA's test split,
which nothing here learns from. Beside it: the network before training, and predictors that always
answer the mean pose of the crop (of the synthetic and of DATA's training persons). `--real` also
trains the same network on DATA's train split. Prints a table, then one JSON object.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from evopose.data.layouts import Splits, open_dataset
from evopose.models import build_model
from evopose.models.evopose2d import EvoPose2D
from evopose.models.inputs import InputSpec
from evopose.recipes import TRAIN_RECIPES
from evopose.search.config import NetworkOptions
from evopose.training.compute import Compute, make_fabric, resolve_compute
from evopose.training.config import TrainConfig
from evopose.training.session import codec_spec, cut_crops, make_encoder, train_network
from evopose.training.validate import TrainData, crop_oks, validate

INPUT_HW = (96, 64)
MARGIN = 1.4


def main() -> None:
    args = _arguments()
    cv2.setNumThreads(1)
    compute = resolve_compute(args.device, threads=args.threads)
    training = replace(TRAIN_RECIPES["small"](), epochs=args.epochs, seed=args.seed)
    begun = time.monotonic()
    sources: dict[str, Splits] = {"synthetic": open_dataset(f"synthetic:{args.persons}")}
    _say(f"synthetic people ready after {time.monotonic() - begun:.0f} s")
    real = open_dataset(args.data)
    test = real.test
    if test is None:
        raise SystemExit(f"{args.data} has no test split")
    judge = cut_crops(test, INPUT_HW, margin=MARGIN)
    rows: dict[str, dict[str, float]] = {"untrained": _score(_network(args.seed), judge, training)}
    if args.real:
        sources["real"] = real
    for name in ("synthetic", "real"):
        train = (sources["synthetic"] if name == "synthetic" else real).train
        mean = _mean_pose(cut_crops(train, INPUT_HW, margin=MARGIN))
        predicted = np.broadcast_to(mean, (len(judge), *mean.shape)).astype(float)
        rows[f"mean pose of {name} people"] = _figures(crop_oks(judge, predicted))
    for name, splits in sources.items():
        net = _network(args.seed)
        seconds = _train(net, splits, training, compute, _folder(args.out, name))
        rows[f"trained on {name} people"] = _score(net, judge, training) | {"seconds": seconds}
    for name, row in rows.items():
        _say(f"{name:>30}: mean OKS {row['mean_oks']:.3f}, over 0.5: {row['over_half']:.3f}")
    sizes = {name: len(splits.train.trainable) for name, splits in sources.items()}
    print(
        json.dumps(
            {"epochs": args.epochs, "train_persons": sizes, "test_persons": len(judge)}
            | {"results": rows}
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", help="a folder of real people with train and test splits")
    parser.add_argument("--persons", type=int, default=7500, help="to draw; 80 %% of them train")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", action="store_true", help="train on DATA's train split too")
    parser.add_argument("--out", type=Path, help="keep the trainings in this folder")
    return parser.parse_args()


def _network(seed: int) -> EvoPose2D:
    options = NetworkOptions(stem_channels=16, head_channels=32, scaling_reference=None)
    net = build_model("narrow", input_hw=INPUT_HW, num_keypoints=17, seed=seed, **vars(options))
    assert isinstance(net, EvoPose2D)
    return net


def _mean_pose(data: TrainData) -> NDArray[np.float64]:
    """Return the mean (17, 2) of the labelled keypoints in pixels of the crop."""
    points = data.cache.keypoints[data.indices]
    labelled = points[..., 2:] > 0
    mean = (points[..., :2] * labelled).sum(axis=0) / labelled.sum(axis=0).clip(1)
    return np.asarray(mean - np.array(data.cache.spec.offset_hw[::-1]), np.float64)


def _train(
    net: EvoPose2D, splits: Splits, training: TrainConfig, compute: Compute, out: Path
) -> float:
    def told(event: dict[str, Any]) -> None:
        if event.get("kind") == "epoch":
            _say(f"epoch {event['epoch']}: mean OKS {event['val_oks']:.3f} on its own val split")

    begun = time.monotonic()
    train_network(net, splits, training, out, compute=compute, provenance={}, on_progress=told)
    return time.monotonic() - begun


def _score(net: EvoPose2D, judge: TrainData, training: TrainConfig) -> dict[str, float]:
    compute = resolve_compute("cpu", threads=1)
    encoder = make_encoder(net, codec_spec(training), InputSpec())
    found = validate(
        net,
        judge,
        encoder=encoder,
        loss=training.loss,
        batch_size=64,
        fabric=make_fabric(compute),
    )
    return _figures(found.oks)


def _figures(oks: NDArray[np.float64]) -> dict[str, float]:
    return {"mean_oks": float(np.nanmean(oks)), "over_half": float(np.mean(oks > 0.5))}


def _folder(out: Path | None, name: str) -> Path:
    return out / name if out else Path(tempfile.mkdtemp(prefix="evopose-")) / name


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
