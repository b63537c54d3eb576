"""Reading labels leniently: what can be read is read, the rest becomes findings."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.data.categories import keypoint_category, skeleton_of
from evopose.data.checking.findings import Finding, finding, remark
from evopose.data.content import load_content
from evopose.errors import DataError
from evopose.skeleton import Skeleton

Record = dict[str, Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image of which the file says enough to look for it."""

    id: int
    name: str
    wh: tuple[int, int]
    path: Path | None
    """None: it is not there."""
    record: Record


@dataclass(frozen=True, kw_only=True)
class Labels:
    """One annotation file, as far as it can be read. N annotations of K keypoints."""

    split: str
    file: Path
    category: Record
    skeleton: Skeleton | None
    """None: its category does not describe one."""
    pictures: dict[int, Picture]
    names: list[str]
    """What each annotation is called in findings: its id, else its position."""
    image_ids: list[int | None]
    """None: no image that can be used."""
    keypoints: Floats
    """(N, K, 3); NaN where they cannot be read."""
    boxes: Floats
    """(N, 4) left, top, width, height; 0 where there is none, NaN where it cannot be read."""
    areas: Floats
    """(N,); 0 where there is none, NaN where it cannot be read."""
    crowd: NDArray[np.bool_]
    counted: list[Any]
    """The field num_keypoints of each."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(N, K) which keypoints are labelled."""
        return np.nan_to_num(self.keypoints[..., 2]) > 0

    @property
    def persons(self) -> NDArray[np.bool_]:
        """(N,) which annotations are persons to train on."""
        return np.asarray(~self.crowd & self.labelled.any(axis=1))

    def image_wh(self) -> Floats:
        """Return (N, 2) sizes of the annotations' images, NaN where unknown."""
        known = {i: p.wh for i, p in self.pictures.items()}
        rows = [known.get(i, (np.nan, np.nan)) for i in self.image_ids]  # type: ignore[arg-type]
        return np.array(rows, np.float64).reshape(-1, 2)

    def called(self, which: NDArray[np.bool_]) -> list[str]:
        """Return what the annotations of this mask are called."""
        return [self.names[i] for i in np.flatnonzero(which)]


def read_labels(split: str, file: Path, folders: Sequence[Path]) -> Labels | Finding:
    """Return what a COCO keypoint file says, or the reason why it says nothing."""
    try:
        content = load_content(file)
        category, several = _category(content, split, str(file))
    except DataError as error:
        return remark("error", "file", split, str(error))
    findings = several
    skeleton = None
    try:
        skeleton = skeleton_of(category, where=f"{file}, category {category.get('name')!r}")
    except DataError as error:
        findings.append(remark("error", "skeleton", split, str(error)))
    pictures, found = _pictures(content["images"], split, folders)
    findings += found
    names = category["keypoints"]
    count = len(names) if isinstance(names, list) else 1
    known = [c.get("id") for c in content["categories"]]
    findings += finding(
        "error", "category-unknown", split, "category_id names none of the categories",
        (r.get("id") for r in content["annotations"] if r.get("category_id") not in known),
        "Give them the id of a category, or take them out",
    )  # fmt: skip
    records = [r for r in content["annotations"] if r.get("category_id") == category.get("id")]
    others = sum(
        r.get("category_id") in known and r.get("category_id") != category.get("id")
        for r in content["annotations"]
    )
    if others:
        text = f"{others:,} annotations of other categories, which are not read"
        findings.append(remark("note", "other-categories", split, text))
    columns, found = _columns(records, count, split, set(pictures))
    return Labels(
        split=split, file=file, category=category, skeleton=skeleton, pictures=pictures,
        findings=[*findings, *found], **columns,
    )  # fmt: skip


def _category(content: Record, split: str, where: str) -> tuple[Record, list[Finding]]:
    """Return the keypoint category, of several that of most annotations.

    Raises: DataError if there is none.
    """
    categories = content["categories"]
    several = [c for c in categories if c.get("keypoints")]
    if len(several) < 2:
        return keypoint_category(categories, where=where), []
    used = Counter(repr(r.get("category_id")) for r in content["annotations"])
    chosen = max(several, key=lambda c: used[repr(c.get("id"))])
    return chosen, finding(
        "error", "several-categories", split, "category that names keypoints, where one is "
        f"expected; what follows is of {chosen.get('name')!r}",
        (c.get("name", c.get("id")) for c in several),
        "Choose with evopose data split FILE --out DIR --category NAME",
    )  # fmt: skip


def _whole(value: object) -> bool:
    return type(value) is int and abs(value) < 2**63


def _pictures(
    records: list[Record], split: str, folders: Sequence[Path]
) -> tuple[dict[int, Picture], list[Finding]]:
    """Return the usable images by id, and what is wrong with the others."""
    ids = [r.get("id") for r in records]
    bad_id = [f"position {i}" for i, v in enumerate(ids) if not _whole(v)]
    twice = [i for i, n in Counter(v for v in ids if _whole(v)).items() if n > 1]
    nameless = [r.get("id") for r in records if not r.get("file_name")
                or not isinstance(r["file_name"], str)]  # fmt: skip
    sizeless = [
        r.get("id") for r in records
        if not all(_whole(r.get(k)) and r[k] > 0 for k in ("width", "height"))
    ]  # fmt: skip
    mend = "Mend the file, or write it anew with the tool it came from"
    found = [
        *finding("error", "image-id", split, "image without a whole number as id", bad_id, mend),
        *finding("error", "image-id-twice", split, "image id given twice", twice, mend),
        *finding("error", "image-name", split, "image without a file_name", nameless, mend),
        *finding("error", "image-size", split, "image without width and height", sizeless, mend),
    ]
    wrong = {str(i) for i in (*nameless, *sizeless)}
    usable = [r for r in records if _whole(r.get("id")) and str(r["id"]) not in wrong]
    folder = _folder([r["file_name"] for r in usable], folders)
    pictures: dict[int, Picture] = {}
    for record in usable:
        path = folder / record["file_name"]
        pictures.setdefault(
            record["id"],
            Picture(id=record["id"], name=record["file_name"],
                    wh=(record["width"], record["height"]),
                    path=path if path.is_file() else None, record=record),
        )  # fmt: skip
    missing = [p.name for p in pictures.values() if p.path is None]
    looked = folders if len(missing) == len(pictures) else [folder]
    where = ", ".join(str(f) for f in looked)
    mend = f"Looked in {where}: put them there, or take them and their annotations out"
    found += finding("error", "image-missing", split, "image file that is missing", missing, mend)
    names = Counter(p.name for p in pictures.values())
    listed = [name for name, n in names.items() if n > 1]
    mend = "Give each file one entry, and its persons that image_id"
    found += finding("warning", "image-listed-twice", split, "file that is several images", listed,
                     mend)  # fmt: skip
    if not pictures:
        found.append(remark("error", "no-images", split, "lists no images that can be used"))
    return pictures, found


def _folder(names: list[str], folders: Sequence[Path]) -> Path:
    probe = names[:: max(1, len(names) // 16)]
    return max(folders, key=lambda f: sum((f / n).is_file() for n in probe))


def _columns(
    records: list[Record], count: int, split: str, known: set[int]
) -> tuple[dict[str, Any], list[Finding]]:
    """Return the annotations as the columns of `Labels`, and what cannot be read."""
    names = [
        str(r["id"]) if _whole(r.get("id")) else f"position {i}" for i, r in enumerate(records)
    ]
    keypoints, bad_keypoints = _numbers(records, "keypoints", 3 * count)
    boxes, bad_boxes = _numbers(records, "bbox", 4)
    areas, bad_areas = _numbers(records, "area", 1)
    orphans = [not _whole(r.get("image_id")) or r["image_id"] not in known for r in records]
    ids = Counter(r["id"] for r in records if _whole(r.get("id")))

    def of(which: Sequence[bool]) -> list[str]:
        return [name for name, bad in zip(names, which, strict=True) if bad]

    no_id = [not _whole(r.get("id")) for r in records]
    need = f"keypoints that are not {3 * count} finite numbers (x, y, visibility of {count})"
    mend = "Mend them, or take these annotations out"
    found = [
        *finding("error", "id", split, "annotation without a whole number as id", of(no_id), mend),
        *finding("error", "id-twice", split, "annotation id given twice",
                 (i for i, n in ids.items() if n > 1), "Number the annotations anew"),
        *finding("error", "image-unknown", split, "annotation of an image that is not listed",
                 of(orphans), "List the image, or take these annotations out"),
        *finding("error", "keypoints", split, need, of(bad_keypoints), mend),
        *finding("error", "box", split, "bbox that is not 4 finite numbers", of(bad_boxes), mend),
        *finding("error", "area", split, "area that is not a finite number", of(bad_areas), mend),
    ]  # fmt: skip
    if not records:
        found.append(remark("error", "no-annotations", split, "has no annotations with keypoints"))
    return {
        "names": names,
        "image_ids": [None if bad else r["image_id"] for r, bad in zip(records, orphans,
                                                                       strict=True)],
        "keypoints": keypoints.reshape(-1, count, 3),
        "boxes": boxes,
        "areas": areas[:, 0],
        "crowd": np.array([bool(r.get("iscrowd", 0)) for r in records], bool),
        "counted": [r.get("num_keypoints") for r in records],
    }, found  # fmt: skip


def _numbers(records: list[Record], key: str, length: int) -> tuple[Floats, list[bool]]:
    """Return (N, length) numbers, 0 where there are none, and which cannot be read."""
    rows = np.full((len(records), length), np.nan)
    bad = []
    for i, record in enumerate(records):
        value = record.get(key)
        if not value:  # null, [] and 0 are absent, as when training
            rows[i] = 0
            bad.append(False)
            continue
        values = value if isinstance(value, list) else [value]
        good = len(values) == length and all(type(v) in (int, float) for v in values)
        good = good and (isinstance(value, list) or length == 1)
        if good:
            rows[i] = values
            good = bool(np.isfinite(rows[i]).all())
        bad.append(not good)
        if not good:
            rows[i] = np.nan
    return rows, bad
