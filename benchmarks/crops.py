"""How many augmented samples, with targets, the crop cache feeds on one core.

    OMP_NUM_THREADS=1 python benchmarks/crops.py DATA [--input 96x64] [--seconds 5] [--cache DIR]

Prints one line a setting. Everything runs in the calling thread, with one OpenCV thread.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2

from evopose.codecs import GaussianCodec
from evopose.data import Augmentation, CropCache, CropSpec, batches, build_crops, open_dataset

FULL = Augmentation(half_body=0.5, colour=0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="a dataset as `evopose` takes it")
    parser.add_argument("--input", default="96x64", help="HxW of the network's input")
    parser.add_argument("--seconds", type=float, default=5.0, help="a setting")
    parser.add_argument("--cache", type=Path, help="keep the crops here (default: a temporary one)")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    height, width = (int(side) for side in arguments.input.split("x"))
    began = time.perf_counter()
    splits = open_dataset(arguments.data, only=("train",))
    print(f"open {len(splits.train.instances)} annotations: {time.perf_counter() - began:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        cache = build_crops(
            splits.train,
            CropSpec(input_hw=(height, width)),
            cache_dir=arguments.cache or Path(folder),
            workers=1,
        )
        took = time.perf_counter() - began
        mb = cache.images.nbytes / 1e6
        print(
            f"build {len(cache)} crops, {mb:.0f} MB: {took:.2f} s, {len(cache) / took:.0f} a second"
        )
        for name, augmentation in {
            "no augmentation": Augmentation.none(),
            "flip": Augmentation.flip_only(),
            "flip, scale, rotation": Augmentation(),
            "and half-body": replace(FULL, colour=0.0),
            "and colour": FULL,
        }.items():
            for stride in (4, 2):
                codec = GaussianCodec(
                    input_hw=(height, width), heatmap_hw=(height // stride, width // stride)
                )
                rate = samples_a_second(cache, augmentation, codec, arguments.seconds)
                print(f"{name}, targets {codec.heatmap_hw}: {rate:,.0f} samples a second")


def samples_a_second(
    cache: CropCache, augmentation: Augmentation, codec: GaussianCodec, seconds: float
) -> float:
    """Return the rate of batches of 32 with their targets."""
    done, epoch, began = 0, 0, time.perf_counter()
    while True:
        for batch in batches(
            cache, batch_size=32, augmentation=augmentation, seed=0, epoch=epoch, shuffle=True,
            threads=0,
        ):  # fmt: skip
            codec.encode(batch.keypoints, batch.visible)
            done += len(batch)
            if (took := time.perf_counter() - began) > seconds:
                return done / took
        epoch += 1


if __name__ == "__main__":
    main()
