"""From what a user calls DATA to train, val and test."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evopose.data.coco import read_coco
from evopose.data.files import EXPECTED, SPLITS, annotation_files, image_folders
from evopose.data.home import Progress, build_once
from evopose.data.merging import Joined, join_files, join_train, joined_digest
from evopose.data.naming import check_renames
from evopose.data.splits import dataset_digest, split_by_image
from evopose.errors import DataError
from evopose.home import cache_home
from evopose.structures import PoseDataset

SYNTHETIC_COUNT = 2000
"""How many people `synthetic` draws when it is not told."""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """A dataset as it was opened: one skeleton, up to three splits."""

    source: str
    """What the user called it."""
    digest: str
    """Names the content, wherever it lies."""
    found: dict[str, PoseDataset]
    """The splits by name."""
    joined: tuple[Joined, ...] = ()
    """What further annotation files and datasets brought."""
    opened: dict[str, Any] = field(default_factory=dict)
    """How to open it again: those of `annotations`, `also` and `rename` that were given."""

    @property
    def words(self) -> list[str]:
        """`opened` as a command line has it."""
        renames = [f"{theirs}={ours}" for theirs, ours in self.opened.get("rename", {}).items()]
        options = {"--annotations": self.opened.get("annotations", ()),
                   "--with": self.opened.get("also", ()), "--rename": renames}  # fmt: skip
        return [word for name, values in options.items() for v in values for word in (name, v)]

    @property
    def train(self) -> PoseDataset:
        """The split to train on. Raises: DataError if there is none."""
        return self.named("train")

    @property
    def val(self) -> PoseDataset:
        """The split for early stopping and reports. Raises: DataError if there is none."""
        return self.named("val")

    @property
    def test(self) -> PoseDataset | None:
        """The split that only `evaluate` touches, if there is one."""
        return self.found.get("test")

    def named(self, name: str) -> PoseDataset:
        """Return one split. Raises: DataError if the dataset has none of this name."""
        if name not in self.found:
            raise DataError(
                f"{self.source} has no {name} annotations, only {', '.join(self.found)}; "
                f"expected {EXPECTED}"
            )
        return self.found[name]


def open_dataset(
    data: str | Path,
    *,
    annotations: str | Path | Sequence[str | Path] | None = None,
    also: Sequence[str | Path] = (),
    rename: Mapping[str, str] | None = None,
    seed: int = 0,
    only: Sequence[str] | None = None,
    on_progress: Progress | None = None,
) -> Splits:
    """Return the splits of a folder, a COCO keypoint JSON, or a name in `DATASETS`.

    `annotations` chooses the labels where a folder holds several: a path, relative to the folder
    or absolute; with `{split}` in it (`annotations/lsp14_{split}.json`) one file a split, else one
    file that is split 80 / 10 / 10 by image with `seed`. Every verb leaves that seed alone, so
    that a search, a training and an evaluation of one file see the same splits. Several such paths
    are read as one dataset. `only` reads no other splits than these.

    `also` names further datasets, whose train splits (or single files) join train and nothing
    else. The first dataset rules the skeleton: keypoints of others are mapped by name, as `rename`
    (theirs to ours) says where names differ. What became of them is in `Splits.joined`.

    Raises: DataError where something is missing, ambiguous or wrong, and how to mend it.
    """
    chosen: list[str | Path | None] = [None]
    if isinstance(annotations, str | Path):
        chosen = [annotations]
    elif annotations:
        chosen = [*annotations]
    if twice := [str(path) for path in chosen if chosen.count(path) > 1]:
        raise DataError(f"--annotations names {twice[0]} twice; give each file once")
    renames = dict(rename or {})
    root = named_folder(str(data), seed, on_progress) or Path(data).expanduser()
    files = [annotation_files(root, path) for path in chosen]
    # What joins train must be no image of any split, so that all of them are read.
    wanted = SPLITS if also or len(files) > 1 or only is None else only
    parts = [_read_files(found, root, wanted) for found in files]
    further = [_further(str(source), seed, on_progress) for source in also]
    _check_names(renames, parts, [*chosen[1:], *also], [d for d, _ in further])
    found, joined = _join(parts, chosen[1:], renames)
    if "all" in found:
        found = split_by_image(found["all"], seed=seed)
    for source, (other, unused) in zip(also, further, strict=True):
        found, brought = join_train(found, other, source=str(source), rename=renames, unused=unused)
        joined.append(brought)
    found = {s: d for s, d in found.items() if only is None or s in only}
    if not found:
        raise DataError(
            f"{data} has no {' or '.join(only or ())} annotations, only {', '.join(files[0])}"
        )
    return Splits(
        source=str(data),
        digest=joined_digest(dataset_digest(list(found.values())), joined),
        found=found,
        joined=tuple(joined),
        opened=_given(annotations=[str(a) for a in chosen if a], also=[str(a) for a in also],
                      rename=renames),
    )  # fmt: skip


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value}


def _check_names(
    rename: Mapping[str, str],
    parts: Sequence[Mapping[str, PoseDataset]],
    sources: Sequence[str | Path | None],
    further: Sequence[PoseDataset],
) -> None:
    """Refuse renames of keypoints that nobody has."""
    own, *others = [_names(part) for part in parts if part] or [()]
    theirs = [*others, *(dataset.skeleton.keypoints for dataset in further)]
    check_renames(rename, own, dict(zip(map(str, sources), theirs, strict=False)))


def _names(part: Mapping[str, PoseDataset]) -> tuple[str, ...]:
    return next(iter(part.values())).skeleton.keypoints


def _read_files(
    files: Mapping[str, Path], root: Path, wanted: Sequence[str]
) -> dict[str, PoseDataset]:
    """Return the wanted splits, or `all` of one file, with one skeleton."""
    found = {s: _read(s, f, root) for s, f in files.items() if s == "all" or s in wanted}
    return _one_skeleton(found) if found else {}


def _join(
    parts: Sequence[dict[str, PoseDataset]],
    paths: Sequence[str | Path | None],
    rename: Mapping[str, str],
) -> tuple[dict[str, PoseDataset], list[Joined]]:
    """Return all annotation files of a folder as one dataset, and what the further ones brought."""
    found, *others = parts
    joined: list[Joined] = []
    for path, part in zip(paths, others, strict=True):
        if ("all" in part) != ("all" in found):
            raise DataError(
                "several --annotations must all name a file a split, with {split} in them, or all "
                f"one file that is to be split; {path} is not like the first"
            )
        found, one = join_files(found, part, source=str(path), rename=rename)
        joined.append(one)
    return found, joined


def _further(
    source: str, seed: int, on_progress: Progress | None
) -> tuple[PoseDataset, tuple[str, ...]]:
    """Return what a further dataset has to train on, and the names of its other splits."""
    root = named_folder(source, seed, on_progress) or Path(source).expanduser()
    files = annotation_files(root, None, further=True)
    single = files.get("all") or files.get("train")
    if single is None:
        file = next(iter(files.values()))
        raise DataError(
            f"{source} has no train annotations, only {', '.join(files)}; a further dataset only "
            f"trains: name the file itself, say --with {file}"
        )
    unused = tuple(split for split in files if split not in ("all", "train"))
    return _read("all" if "all" in files else "train", single, root), unused


def _synthetic(argument: str, seed: int, on_progress: Progress | None) -> Path:
    """Return the folder of that many synthetic people, drawn if they are not there yet.

    The folder's name holds a digest of the code and data that draw, so others draw other folders.
    """
    from evopose.data import synthetic  # only who wants synthetic people pays for the import

    if argument and not (argument.isdecimal() and int(argument) > 0):
        raise DataError(f"expected synthetic or synthetic:N, say synthetic:500; got {argument!r}")
    count = int(argument or SYNTHETIC_COUNT)
    package = Path(str(synthetic.__file__)).parent
    code = sorted([*package.glob("*.py"), *package.glob("*.npz")])
    version = hashlib.sha256(b"".join(f.read_bytes() for f in code)).hexdigest()[:12]

    def draw(folder: Path) -> None:
        def told(done: int, total: int) -> None:
            if on_progress:
                on_progress("synthetic people", done, total)

        synthetic.write_synthetic(folder, count, seed, on_progress=told)

    return build_once(
        cache_home() / "synthetic" / f"{count}-seed{seed}-{version}",
        draw,
        usable=lambda folder: True,
    )


DATASETS: dict[str, Callable[[str, int, Progress | None], Path]] = {"synthetic": _synthetic}
"""Datasets by name: a function of what follows the colon, and the seed, to a DATA folder."""


def named_folder(data: str, seed: int, on_progress: Progress | None) -> Path | None:
    """Return the DATA folder of a name in `DATASETS`, made now if need be; None for a path."""
    name, _, argument = data.partition(":")
    return DATASETS[name](argument, seed, on_progress) if name in DATASETS else None


def _read(split: str, file: Path, root: Path) -> PoseDataset:
    return read_coco(file, name=split, image_folders=image_folders(split, file, root))


def _one_skeleton(found: dict[str, PoseDataset]) -> dict[str, PoseDataset]:
    """Return the splits with the first one's skeleton, after checking that the others agree."""
    first, *others = found.values()
    for other in others:
        if other.skeleton.keypoints != first.skeleton.keypoints:
            raise DataError(
                f"{first.name} and {other.name} must have the same keypoints in the same order; "
                f"{first.name} has {', '.join(first.skeleton.keypoints)}, "
                f"{other.name} {', '.join(other.skeleton.keypoints)}"
            )
        if replace(other.skeleton, limbs=()) != replace(first.skeleton, limbs=()):
            raise DataError(
                f"the flip_pairs or sigmas of {first.name} and {other.name} differ; give their "
                "categories the same"
            )
    return {name: replace(d, skeleton=first.skeleton) for name, d in found.items()}
