"""Several datasets, or several annotation files, as one: keypoints by name, no id and no image
twice."""

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from evopose.data.naming import KeypointMap, match_keypoints
from evopose.data.splits import count_skipped, subset
from evopose.errors import DataError
from evopose.skeleton import Skeleton
from evopose.structures import ImageRecord, Instance, PoseDataset

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What a further dataset or annotation file brought, and what was made of it."""

    source: str
    """What the user called it."""
    keypoints: KeypointMap
    persons: dict[str, int]
    """Persons to train on that joined each split."""
    unlabelled: int = 0
    """Persons all of whose labelled keypoints were dropped; training leaves them out."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Images that did not join because a split held them already, by that split."""
    unused: tuple[str, ...] = ()
    """Splits of a further dataset that stay out: it only trains."""

    def describe(self) -> str:
        """Return all of it in a line."""
        persons = ", ".join(f"{n:,} persons to {split}" for split, n in self.persons.items())
        parts = [f"{self.source}: {persons}", self.keypoints.describe()]
        if self.unlabelled:
            parts.append(f"{self.unlabelled:,} persons have none of these keypoints")
        for split, count in self.left_out.items():
            parts.append(f"left out {count:,} images that {split} holds already")
        if self.unused:
            parts.append(f"not used: its {' and '.join(self.unused)}")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "source": self.source,
            "mapped": dict(self.keypoints.mapped),
            "missing": list(self.keypoints.missing),
            "dropped": list(self.keypoints.dropped),
            "persons": self.persons,
            "unlabelled": self.unlabelled,
            "left_out": self.left_out,
            "unused": list(self.unused),
        }


def join_train(
    found: Mapping[str, PoseDataset],
    other: PoseDataset,
    *,
    source: str,
    rename: Mapping[str, str],
    unused: Sequence[str] = (),
) -> tuple[dict[str, PoseDataset], Joined]:
    """Return the splits with the persons of `other` in train, and what became of them.

    Images that any split holds already, byte by byte, do not join: they would train what measures,
    or count twice. Those that join are marked `added`.

    Raises: DataError where keypoints do not map, there is no train split, or nothing is left.
    """
    if "train" not in found:
        raise DataError(f"{source} can only join a train split, and there is none")
    train = found["train"]
    keypoints = match_keypoints(
        other.skeleton.keypoints, train.skeleton.keypoints, rename=rename, where=source
    )
    held = held_images(found, other.images)
    fresh = subset(other, {i.id for i in other.images} - held.keys(), name="train")
    if not fresh.trainable:
        raise DataError(
            f"{source} adds nobody: {len(held)} of its {len(other.images)} images are in the first "
            "dataset already, the others have no persons with keypoints; leave it out, or use its "
            "labels in place of the first's"
        )
    mapped = with_skeleton(fresh, train.skeleton, keypoints)
    joined = Joined(
        source=source,
        keypoints=keypoints,
        persons={"train": len(mapped.trainable)},
        unlabelled=len(fresh.trainable) - len(mapped.trainable),
        left_out=dict(Counter(held.values())),
        unused=tuple(unused),
    )
    whole = concatenate(train, mapped, added=True)
    _tell(joined)
    return {**found, "train": whole}, joined


def join_files(
    found: Mapping[str, PoseDataset],
    others: Mapping[str, PoseDataset],
    *,
    source: str,
    rename: Mapping[str, str],
) -> tuple[dict[str, PoseDataset], Joined]:
    """Return the splits with those of a further annotation file of the same images.

    An image that both list is one image with the persons of both. One that is then in train and in
    val or test leaves train.

    Raises: DataError where keypoints do not map.
    """
    skeleton = next(iter(found.values())).skeleton
    theirs = next(iter(others.values())).skeleton.keypoints
    keypoints = match_keypoints(theirs, skeleton.keypoints, rename=rename, where=source)
    mapped = {s: with_skeleton(d, skeleton, keypoints) for s, d in others.items()}
    whole = {
        s: concatenate(found[s], mapped[s]) if s in found and s in mapped
        else found.get(s) or mapped[s]
        for s in dict.fromkeys([*found, *mapped])
    }  # fmt: skip
    before = {s: len(d.trainable) for s, d in whole.items()}
    whole, left_out = _without_leaks(whole)
    joined = Joined(
        source=source,
        keypoints=keypoints,
        persons={s: len(d.trainable) for s, d in mapped.items()},
        unlabelled=sum(len(others[s].trainable) - len(d.trainable) for s, d in mapped.items()),
        left_out=left_out,
    )
    if left_out:
        log.warning("%s: %d persons left train with their images, which measure",
                    source, before["train"] - len(whole["train"].trainable))  # fmt: skip
    _tell(joined)
    return whole, joined


def with_skeleton(dataset: PoseDataset, skeleton: Skeleton, keypoints: KeypointMap) -> PoseDataset:
    """Return the dataset with the keypoints of `skeleton`; those it lacks are unlabelled."""
    theirs, ours = dataset.skeleton.keypoints, skeleton.keypoints
    pairs = [(theirs.index(t), ours.index(o)) for t, o in keypoints.mapped]
    source, target = (list(column) for column in zip(*pairs, strict=True))

    def mapped(one: Instance) -> Instance:
        values = np.zeros((len(ours), 3), np.float32)
        values[target] = one.keypoints[source]
        return replace(one, keypoints=values)

    instances = tuple(mapped(one) for one in dataset.instances)
    return replace(
        dataset, skeleton=skeleton, instances=instances, skipped=count_skipped(instances)
    )


def concatenate(first: PoseDataset, other: PoseDataset, *, added: bool = False) -> PoseDataset:
    """Return both as one under the first's name; the other's images and persons get new ids.

    An image file that both list stays one image.
    """
    same = {image.path.resolve(): image.id for image in first.images}
    next_id = max((i.id for i in first.images), default=0) + 1
    ids: dict[int, int] = {}
    images = list(first.images)
    for image in other.images:
        path = image.path.resolve()
        if path not in same:
            same[path] = next_id
            images.append(replace(image, id=next_id, added=added))
            next_id += 1
        ids[image.id] = same[path]
    start = max((one.id for one in first.instances), default=0) + 1
    instances = (
        *first.instances,
        *(
            replace(one, id=number, image_id=ids[one.image_id])
            for number, one in enumerate(other.instances, start)
        ),
    )
    return replace(
        first, images=tuple(images), instances=instances, skipped=count_skipped(instances)
    )


def held_images(found: Mapping[str, PoseDataset], images: Iterable[ImageRecord]) -> dict[int, str]:
    """Return the ids of `images` whose files equal one of a split's, and that split.

    Only files of equal size are read.
    """
    by_size: defaultdict[int, list[tuple[str, Path]]] = defaultdict(list)
    for split in sorted(found, key=lambda s: s == "train"):
        for image in found[split].images:
            by_size[image.path.stat().st_size].append((split, image.path))
    digests: dict[int, dict[bytes, str]] = {}
    held = {}
    for image in images:
        size = image.path.stat().st_size
        if size not in by_size:
            continue
        if size not in digests:
            digests[size] = {}
            for split, path in by_size[size]:
                digests[size].setdefault(file_digest(path), split)
        same = digests[size].get(file_digest(image.path))
        if same is not None:
            held[image.id] = same
    return held


def file_digest(path: Path) -> bytes:
    """Return what names the file's content. Raises: DataError if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise DataError(f"cannot read image {path}: {error.strerror}") from error


def joined_digest(digest: str, joined: Sequence[Joined]) -> str:
    """Return the digest of a dataset that others joined: it names what was mapped to what."""
    if not joined:
        return digest
    said = [[one.keypoints.mapped, one.persons, one.left_out] for one in joined]
    return hashlib.sha256((digest + json.dumps(said)).encode()).hexdigest()


def _without_leaks(
    found: Mapping[str, PoseDataset],
) -> tuple[dict[str, PoseDataset], dict[str, int]]:
    """Return the splits without train's images that others hold, and how many each holds."""
    measuring = {s: d for s, d in found.items() if s in ("val", "test")}
    if "train" not in found or not measuring:
        return dict(found), {}
    train = found["train"]
    held = held_images(measuring, train.images)
    kept = {i.id for i in train.images} - held.keys()
    whole = {**found, "train": subset(train, kept, name=train.name)} if held else dict(found)
    return whole, dict(Counter(held.values()))


def _tell(joined: Joined) -> None:
    """Log what joined: a warning where images were left out, since nobody asked for that."""
    log.log(logging.WARNING if joined.left_out else logging.INFO, "%s", joined.describe())
