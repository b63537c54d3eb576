"""A small source of every format, to be imported or damaged: real labels, copied or rewritten."""

import base64
import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from evopose.skeleton import COCO_PERSON

LSP_MAT = (
    "TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFR1ZSBOb3YgMjQgMjM6MDU6"
    "MjIgMjAyNgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAA"
    "MgEAAHicbVJJTgNBDGzEIpBQ1E/wEziAgANMs4SdpAkhyRfgAAd4SD/BT+qn5Al0cDnI1lhqeVxTssvLIIRwsBXC"
    "TvO7QfzKttvbb2+zvQH8yjbA+fh6//z5DmGvfS/1Z56kPx/n4sOyk/hN4jIDDisvEvOd5acTifPM4jmDP3b8435+"
    "6lB36vRAZzq0emgoMd26ugvglxavyMtDi/M98BuXB3XJ8bVffrR6dG58bXF+Qp6Lfv1lYvMrzq4vepC4ur3oXMjp"
    "r5hDfLV4xBx0D+v86IdcX6qbxhav6Ff7VtM7SWcOR5/V9Ruhk5PF0xHq6r3BeIT8p5ZfFv11CfulK4unc4n9netc"
    "tP66LuaQpxbXvDSyevQOytzydX/+3lQ3JcvnZ+jpLF/vs2SLR8T1X+cv5NRqmw=="
)
"""joints (3, 14, 3) as SciPy 1.17 writes it, compressed; `lsp_joints` gives the numbers."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something to import."""

    format: str
    path: Path
    labels: Path
    """The file with labels, or one of them."""
    images: tuple[Path, ...]


def json_source(format: str, folder: Path, fixture: Path, content: object) -> Source:
    """Copy the images of a fixture's folder, write `content` beside them."""
    folder.mkdir(parents=True)
    for path in fixture.rglob("*"):
        if path.suffix in (".jpg", ".png"):
            place = folder / path.relative_to(fixture)
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, place)
    labels = folder / "labels.json"
    labels.write_text(json.dumps(content))
    return Source(format=format, path=labels, labels=labels, images=images_in(folder))


def images_in(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png")))


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def _fixture(format: str, name: str) -> Callable[[Path, Path], Source]:
    def make(shared: Path, folder: Path) -> Source:
        fixture = shared / f"data/fixtures/{name}"
        return json_source(format, folder, fixture.parent, read(fixture))

    return make


def aic_original(shared: Path, folder: Path) -> Source:
    """The challenge's own form, made of the COCO-like one: v becomes 3 - v."""
    fixture = shared / "data/fixtures/aic/test_aic.json"
    content = read(fixture)
    records = []
    for image in content["images"]:
        people = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        named = {f"human{i}": one for i, one in enumerate(people, 1)}
        records.append({
            "image_id": image["file_name"].removesuffix(".jpg"),
            "human_annotations": {
                n: [x, y, x + w, y + h]
                for n, a in named.items() for x, y, w, h in [a["bbox"]]
            },
            "keypoint_annotations": {
                n: [v if i % 3 < 2 else 3 - v for i, v in enumerate(a["keypoints"])]
                for n, a in named.items()
            },
        })  # fmt: skip
    return json_source("aic", folder, fixture.parent, records)


OCHUMAN_NAMES = [
    "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "head", "neck",
    "right_ear", "left_ear", "nose", "right_eye", "left_eye",
]  # fmt: skip


def ochuman_original(shared: Path, folder: Path) -> Source:
    """OCHuman's own form, made of the COCO form: 2 becomes 1 (seen), 1 becomes 3 (by others)."""
    fixture = shared / "data/fixtures/ochuman/test_ochuman.json"
    content = read(fixture)

    def keypoints(one: dict) -> list[float]:
        of = dict(zip(COCO_PERSON.keypoints, np.reshape(one["keypoints"], (17, 3)), strict=True))
        rows = [of.get(n, np.zeros(3)) for n in OCHUMAN_NAMES]
        return [v for x, y, s in rows for v in (float(x), float(y), (0, 3, 1)[int(s)])]

    images = [
        {**image, "image_id": str(image["id"]), "annotations": [
            {"bbox": [x, y, x + w, y + h], "keypoints": keypoints(a), "segms": None, "max_iou": 0.6}
            for a in content["annotations"] if a["image_id"] == image["id"]
            for x, y, w, h in [a["bbox"]]
        ]}
        for image in content["images"]
    ]  # fmt: skip
    images[0]["annotations"].append({"bbox": [1, 2, 30, 40], "keypoints": None})
    visible = {"missing": 0, "vis": 1, "self_occluded": 2, "others_occluded": 3}
    said = {"keypoint_names": OCHUMAN_NAMES, "keypoint_visible": visible, "images": images}
    return json_source("ochuman", folder, fixture.parent, said)


def yolo(shared: Path, folder: Path) -> Source:
    """COCO's fixture as YOLO pose: two images to train, two to validate."""
    fixture = shared / "data/fixtures/coco"
    content = read(fixture / "test_coco.json")
    for number, image in enumerate(content["images"]):
        split = "train" if number < 2 else "val"
        place = folder / "images" / split / image["file_name"]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fixture / image["file_name"], place)
        people = [
            a for a in content["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]
        ]
        labels = folder / "labels" / split / f"{Path(image['file_name']).stem}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("".join(f"{yolo_line(a, image)}\n" for a in people))
    (folder / "data.yaml").write_text(
        "# where it is\npath: .\ntrain: images/train  # two\nval: images/val\n\n"
        "kpt_shape: [17, 3]\nflip_idx: [0, 2, 1, 4, 3, 6, 5, 8, 7,\n"
        "  10, 9, 12, 11, 14, 13, 16, 15]\nnames:\n  0: person\n"
    )
    labels = sorted((folder / "labels/train").glob("*.txt"))[0]
    return Source(format="yolo-pose", path=folder, labels=labels, images=images_in(folder))


def yolo_line(one: dict, image: dict) -> str:
    width, height = image["width"], image["height"]
    x, y, w, h = one["bbox"]
    box = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
    points = np.reshape(one["keypoints"], (-1, 3)) / (width, height, 1)
    return " ".join(["0", *(f"{v:.8g}" for v in box), *(f"{v:.8g}" for v in points.ravel())])


def deeplabcut(shared: Path, folder: Path, *, number: int = 4, name: str = "openfield") -> Source:
    """Mice as a DeepLabCut project: one CSV in labeled-data/video/ with its images."""
    fixture = shared / f"data/animals/{name}"
    content = read(fixture / f"{name}.json")
    place = folder / "labeled-data/video"
    place.mkdir(parents=True)
    names = {i["id"]: i["file_name"] for i in content["images"]}
    bodyparts = content["categories"][0]["keypoints"]
    rows = [
        ["scorer", *["Ann"] * (2 * len(bodyparts))],
        ["bodyparts", *(b for b in bodyparts for _ in "xy")],
        ["coords", *["x", "y"] * len(bodyparts)],
    ]
    for one in content["annotations"][:number]:
        file = names[one["image_id"]]
        shutil.copyfile(fixture / "images" / file, place / file)
        points = np.reshape(one["keypoints"], (-1, 3)).tolist()
        cells = [c for x, y, v in points for c in ((x, y) if v else ("", ""))]
        rows.append([f"labeled-data/video/{file}", *cells])
    labels = place / "CollectedData_Ann.csv"
    write_csv(labels, rows)
    return Source(format="deeplabcut", path=labels, labels=labels, images=images_in(folder))


def write_csv(path: Path, rows: list[list]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def lsp(shared: Path, folder: Path, number: int = 4) -> Source:
    """Real persons in LSP's 14 joints."""
    people = shared / "data/people"
    content = read(people / "annotations/lsp14_val.json")
    content["images"] = content["images"][:number]
    ids = {i["id"] for i in content["images"]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in ids]
    for image in content["images"]:
        place = folder / "images" / image["file_name"]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(people / "images" / image["file_name"], place)
    labels = folder / "annotations/lsp.json"
    labels.parent.mkdir()
    labels.write_text(json.dumps(content))
    return Source(format="lsp", path=labels, labels=labels, images=images_in(folder))


def lsp_matrix(shared: Path | None, folder: Path) -> Source:
    """joints.mat of three drawn images of 120 x 110."""
    (folder / "images").mkdir(parents=True)
    for i in (1, 2, 3):
        image = np.full((110, 120, 3), 40 * i, np.uint8)
        cv2.imwrite(str(folder / f"images/im{i:04}.jpg"), image)
    labels = folder / "joints.mat"
    labels.write_bytes(base64.b64decode(LSP_MAT))
    return Source(format="lsp", path=labels, labels=labels, images=images_in(folder))


def lsp_joints() -> np.ndarray:
    """The numbers in LSP_MAT, from the generator that wrote them."""
    rng = np.random.default_rng(5)
    xy = rng.integers(20, 100, (2, 14, 3)) + 0.25
    return np.concatenate([xy, rng.integers(0, 2, (1, 14, 3))])


SOURCES: dict[str, Callable[[Path, Path], Source]] = {
    "mpii": _fixture("mpii", "mpii/test_mpii.json"),
    "mpii-trb": _fixture("mpii", "mpii/test_mpii_trb.json"),
    "crowdpose": _fixture("crowdpose", "crowdpose/test_crowdpose.json"),
    "aic": _fixture("aic", "aic/test_aic.json"),
    "aic-original": aic_original,
    "ap10k": _fixture("ap10k", "ap10k/test_ap10k.json"),
    "jhmdb": _fixture("jhmdb", "jhmdb/test_jhmdb_sub1.json"),
    "ochuman": _fixture("ochuman", "ochuman/test_ochuman.json"),
    "ochuman-original": ochuman_original,
    "lsp": lsp,
    "lsp-matrix": lsp_matrix,
    "deeplabcut": deeplabcut,
    "yolo-pose": yolo,
}
