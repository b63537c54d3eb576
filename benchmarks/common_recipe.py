"""Networks side by side under one recipe: python benchmarks/common_recipe.py DATA MODEL...

Each MODEL, a name or a model file (built anew, random weights), is trained from the same seed by
the recipe `common` for the same epochs on the same crops, one after another, and measured on the
validation and test splits with ground-truth boxes and without flip test. EvoPose2D is built
without compound scaling, which would shrink it below 224 pixels. Prints a table in Markdown; goes
on where it was stopped.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evopose.data.layouts import Splits, open_dataset
from evopose.models import MODELS, build_model
from evopose.models.complexity import complexity
from evopose.models.devices import cpu_name
from evopose.models.modelfile import load_model
from evopose.models.network import PoseNetwork
from evopose.recipes import TRAIN_RECIPES
from evopose.search.network import load_or_build
from evopose.training.compute import Compute, make_fabric, resolve_compute
from evopose.training.session import MARGIN, cut_crops, make_encoder, train_network
from evopose.training.validate import validate


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--input", default="96x64", metavar="HxW")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--persons", type=int, help="train on so many, evenly over the split")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/common"))
    args = parser.parse_args()
    splits = _fewer(open_dataset(args.data), args.persons)
    compute = resolve_compute("auto", threads=args.threads)
    rows = [_row(model, splits, compute, args) for model in args.models]
    print(_table(rows))
    print(f"\n{cpu_name()}, {args.threads} thread(s), {compute.precision}; {vars(args)}")


def _fewer(splits: Splits, persons: int | None) -> Splits:
    """Return the splits, the one to train on with so many persons."""
    trainable = splits.train.trainable
    if persons is None or persons >= len(trainable):
        return splits
    rows = np.linspace(0, len(trainable) - 1, persons).round().astype(int)
    chosen = tuple(trainable[row] for row in rows)
    fewer = replace(splits.train, instances=chosen)
    return replace(splits, found=splits.found | {"train": fewer})


def _row(model: str, splits: Splits, compute: Compute, args: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one network, from its folder if they are there."""
    net = _fresh(model, splits, args)
    out = args.out / (model if model in MODELS else Path(model).stem)
    result = out / "figures.json"
    if result.exists():
        return dict(json.loads(result.read_text()))
    recipe = replace(
        TRAIN_RECIPES["common"](),
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        seed=args.seed,
    )

    def told(event: dict[str, Any]) -> None:
        if event.get("kind") == "epoch" or event.get("step", 1) % 100 == 0:
            kept = ("epoch", "step", "loss", "val_loss", "val_oks", "images_per_second")
            said = {name: event[name] for name in kept if name in event}
            print(time.strftime("%H:%M:%S"), out.name, said, file=sys.stderr, flush=True)

    trained = train_network(
        net, splits, recipe, out, compute=compute, provenance={"model": model}, resume=True,
        on_progress=told,
    )  # fmt: skip
    counts = complexity(net, input_hw=net.config.input_hw)
    times = [record.train_seconds for record in trained.outcome.history]
    row = {
        "network": out.name,
        "parameters": counts.num_parameters,
        "multiply-adds": counts.num_macs,
        "seconds an epoch": float(np.median(times)),
        **{f"mean OKS, {split}": _oks(trained.model, splits, split, compute) for split in _JUDGED},
    }
    result.write_text(json.dumps(row))
    return row


_JUDGED = ("val", "test")


def _fresh(model: str, splits: Splits, args: argparse.Namespace) -> PoseNetwork:
    height, width = map(int, args.input.split("x"))
    skeleton = splits.train.skeleton
    if model not in MODELS:
        return load_or_build(model, skeleton, fresh=True, seed=args.seed)[0]
    evolved = MODELS[model].architecture == "evopose2d"
    return build_model(
        model,
        input_hw=(height, width),
        num_keypoints=len(skeleton),
        seed=args.seed,
        **({"scaling_reference": None} if evolved else {}),
    )


def _oks(model: Path, splits: Splits, split: str, compute: Compute) -> float:
    net, card = load_model(model)
    found = validate(
        net,
        cut_crops(
            splits.named(split), card.input_hw, margin=MARGIN, padding=card.input.box_padding
        ),
        encoder=make_encoder(net, card.codec, card.input),
        loss="softmax",
        batch_size=64,
        fabric=make_fabric(compute),
    )
    return found.mean_oks


def _table(rows: list[dict[str, Any]]) -> str:
    """Return the rows in Markdown."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    for row in rows:
        cells = [f"{v:.3f}" if isinstance(v, float) else f"{v}" for v in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
