"""Synthetic people as a dataset in COCO's keypoint format."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from evopose.data.synthetic.config import SceneConfig
from evopose.data.synthetic.scene import Person, Scene, draw_scene
from evopose.errors import DataError
from evopose.skeleton import COCO_PERSON

SPLITS = ("train", "val", "test")
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]


def split_of(index: int) -> str:
    """Return the split of scene `index`: of each ten, eight train, one validates, one tests."""
    return {1: "val", 2: "test"}.get(index % 10, "train")


def synthetic_dataset(
    count: int, *, seed: int = 0, split: str | None = None, config: SceneConfig = SceneConfig()
) -> Iterator[tuple[int, Scene]]:
    """Yield (index, scene) until they hold at least `count` persons in all, drawn as asked for.

    Every split gets a scene, however small `count` is. With `split`, only scenes of that split
    come, and `count` counts the persons of all three.

    Raises: DataError for a count below 1 or an unknown split.
    """
    if count < 1:
        raise DataError(f"expected a positive number of synthetic persons, got {count}")
    if split is not None and split not in SPLITS:
        raise DataError(f"unknown split {split!r}; expected one of {', '.join(SPLITS)}")
    return _scenes(count, seed, split, config)


def _scenes(
    count: int, seed: int, split: str | None, config: SceneConfig
) -> Iterator[tuple[int, Scene]]:
    index, persons, served = 0, 0, set[str]()
    while persons < count or len(served) < len(SPLITS):
        scene = draw_scene(seed, index, config)
        if scene.persons:
            persons += len(scene.persons)
            served.add(split_of(index))
            if split in (None, split_of(index)):
                yield index, scene
        index += 1


def write_synthetic(
    folder: Path,
    count: int,
    seed: int = 0,
    *,
    config: SceneConfig = SceneConfig(),
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return `folder`, filled with at least `count` persons in `evopose`'s dataset layout.

    `annotations/person_keypoints_{train,val,test}.json` and JPEG files in `images/`, drawn beside
    the folder and moved there when complete. `on_progress(done, total)` counts persons.

    Raises: DataError if the folder holds something already, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(
            f"expected a new or an empty folder for synthetic people, but {folder} holds something "
            "already; name another one, or empty it"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise DataError(f"cannot write synthetic people to {folder}: {error}") from error
    try:
        _fill(work, count, seed, config, on_progress or (lambda done, total: None))
        work.chmod(0o755)
        if folder.exists():
            folder.rmdir()
        work.replace(folder)
    except OSError as error:
        raise DataError(f"cannot write synthetic people to {folder}: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _fill(
    folder: Path,
    count: int,
    seed: int,
    config: SceneConfig,
    on_progress: Callable[[int, int], None],
) -> None:
    (folder / "images").mkdir()
    (folder / "annotations").mkdir()
    documents = {split: _document(split, seed) for split in SPLITS}
    done = 0
    for index, scene in synthetic_dataset(count, seed=seed, config=config):
        document = documents[split_of(index)]
        name = f"{index:07d}.jpg"
        height, width = scene.image.shape[:2]
        encoded = cv2.imencode(".jpg", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR), _JPEG)[1]
        (folder / "images" / name).write_bytes(encoded.tobytes())
        document["images"].append(
            {"id": index + 1, "file_name": name, "width": width, "height": height}
        )
        for person in scene.persons:
            done += 1
            document["annotations"].append(_annotation(person, done, index + 1))
        on_progress(min(done, count), count)
    for split, document in documents.items():
        path = folder / "annotations" / f"person_keypoints_{split}.json"
        path.write_text(json.dumps(document), encoding="utf-8")


def _document(split: str, seed: int) -> dict[str, Any]:
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(COCO_PERSON.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in COCO_PERSON.limbs],
    }
    info = {"description": f"evopose synthetic people, {split}", "seed": seed}
    return {"info": info, "images": [], "annotations": [], "categories": [category]}


def _annotation(person: Person, number: int, image_id: int) -> dict[str, Any]:
    left, top, right, bottom = np.round(person.box_xyxy + 0.5, 2).tolist()
    rows = [(round(x, 2), round(y, 2), int(v)) for x, y, v in person.keypoints.tolist()]
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
        "area": person.area,
        "iscrowd": 0,
        "num_keypoints": sum(v > 0 for _, _, v in rows),
        "keypoints": [value for row in rows for value in row],
    }
