"""Small datasets made on the spot."""

from pathlib import Path

import cv2
import numpy as np

from evopose.skeleton import COCO_PERSON


def coco_content(images: int = 4, seed: int = 0) -> dict:
    """COCO keypoint JSON of `images` images of 160 x 200 (width x height), one person each."""
    rng = np.random.default_rng(seed)
    people = []
    for i in range(1, images + 1):
        xy = rng.uniform((40, 50), (120, 150), (17, 2)).round(1)
        keypoints = np.concatenate([xy, np.full((17, 1), 2)], axis=1).ravel().tolist()
        people.append(
            {"id": 100 + i, "image_id": i, "category_id": 1, "iscrowd": 0, "num_keypoints": 17,
             "keypoints": keypoints, "bbox": [30, 40, 100, 120], "area": 6000.0}
        )  # fmt: skip
    return {
        "images": [
            {"id": i, "file_name": f"{i:03}.png", "width": 160, "height": 200}
            for i in range(1, images + 1)
        ],
        "annotations": people,
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO_PERSON.keypoints), "skeleton": []}
        ],
    }


def write_images(folder: Path, content: dict) -> None:
    """Write the images that `content` lists: smooth noise, each of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in content["images"]:
        rng = np.random.default_rng(image["id"])
        small = rng.integers(0, 256, (image["height"] // 8, image["width"] // 8, 3), np.uint8)
        size_wh = (image["width"], image["height"])
        cv2.imwrite(str(folder / image["file_name"]), cv2.resize(small, size_wh))
