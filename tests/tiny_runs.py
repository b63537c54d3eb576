"""Searches small enough for tests: coloured dots to find, networks for 32 x 32 pixels."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from evopose.evolution.store import Store
from evopose.models.evopose2d_plan import Complexity
from evopose.search.estimate import Throughput

COLOURS = {"nose": (255, 80, 80), "left_hand": (80, 255, 80), "right_hand": (80, 80, 255)}
"""Keypoints and what they look like, RGB."""

OPTIONS: dict[str, Any] = {
    "recipe": "demo",
    "input_hw": (32, 32),
    "children": 3,
    "generations": 2,
    "ancestor_epochs": 2,
    "epochs": 1,
    "batch_size": 8,
    "precision": "fp32",
    "rescore": 0,
}
"""A search of seconds; for `evolve` and `make_config`."""

FLAGS = [
    "--recipe", "demo", "--input", "32x32", "--children", "3", "--generations", "2",
    "--ancestor-epochs", "2", "--epochs", "1", "--batch-size", "8", "--precision", "fp32",
    "--rescore", "0",
]  # fmt: skip
"""The same on the command line."""

INLINE_OPTIONS = {"executor": "inline", "threads": 1}
INLINE = ["--executor", "inline", "--threads", "1"]


def write_dots(folder: Path, *, train: int = 24, val: int = 6) -> Path:
    """Write a dataset: a dot of its colour for each keypoint, on grey noise of 48 x 48 pixels."""
    (folder / "images").mkdir(parents=True)
    for split, first, count in (("train", 1, train), ("val", 1001, val)):
        content = dots_content(range(first, first + count))
        for image in content["images"]:
            cv2.imwrite(str(folder / "images" / image["file_name"]), _draw(content, image["id"]))
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def dots_content(ids: range) -> dict[str, Any]:
    """Return COCO keypoint JSON of one person an image."""
    return {
        "images": [
            {"id": i, "file_name": f"{i:04}.png", "width": 48, "height": 48} for i in ids
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "bbox": [4, 4, 40, 40],
             "area": 1600.0, "keypoints": _keypoints(i)}
            for i in ids
        ],
        "categories": [
            {"id": 1, "name": "dots", "keypoints": list(COLOURS), "skeleton": [],
             "sigmas": [0.1] * len(COLOURS)}
        ],
    }  # fmt: skip


def _keypoints(seed: int) -> list[float]:
    xy = np.random.default_rng(seed).integers(10, 38, (len(COLOURS), 2))
    return np.concatenate([xy, np.full((len(COLOURS), 1), 2)], axis=1).ravel().tolist()


def _draw(content: dict[str, Any], image_id: int) -> np.ndarray:
    (person,) = (a for a in content["annotations"] if a["image_id"] == image_id)
    rng = np.random.default_rng(image_id)
    image = rng.integers(90, 130, (48, 48, 3)).astype(np.uint8)
    for colour, (x, y) in zip(
        COLOURS.values(), np.reshape(person["keypoints"], (-1, 3))[:, :2], strict=True
    ):
        cv2.circle(image, (int(x), int(y)), 3, colour[::-1], -1)
    return image


def no_measurement(config: Any, workers: Any, *, num_keypoints: int) -> Throughput:
    """Stand in for `measure_throughput`, which takes seconds."""
    return Throughput(
        images_per_second=100.0,
        memory_bytes=500_000_000,
        free_memory_bytes=8_000_000_000,
        complexity=Complexity(num_parameters=100_000, num_trainable=90_000, num_macs=1_000_000),
    )


@contextmanager
def as_before() -> Iterator[None]:
    """Give torch its settings back: a search in this process changes them."""
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        torch.set_flush_denormal(False)


def story(run: Path, *, generations: int | None = None) -> list[tuple[Any, ...]]:
    """Return what two runs of the same search must agree in, up to a generation."""
    with Store.read(run) as store:
        return [
            (
                one.id,
                one.parent_id,
                one.genotype,
                one.seed,
                one.loss,
                one.fitness,
                one.result["blob"],
            )
            for one in store.individuals(status="done")
            if generations is None or one.generation <= generations
        ]
