"""From what a user calls DATA to train, val and test."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evopose.data.coco import read_coco
from evopose.data.home import Progress, build_once, cache_home
from evopose.data.splits import dataset_digest, split_by_image
from evopose.errors import DataError
from evopose.structures import PoseDataset

SPLITS = ("train", "val", "test")

PATTERNS = (
    "annotations/person_keypoints_{split}*.json",
    "annotations/{split}.json",
    "{split}.json",
)
"""Where a folder's annotation files are looked for, the first that fits any split decides."""

EXPECTED = (
    "a folder with annotations/person_keypoints_{train,val,test}*.json or {train,val,test}.json "
    "and images/, one COCO keypoint JSON with its images beside it or in images/, or synthetic[:N]"
)

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
    annotations: str | Path | None = None,
    seed: int = 0,
    only: Sequence[str] | None = None,
    on_progress: Progress | None = None,
) -> Splits:
    """Return the splits of a folder, a COCO keypoint JSON, or a name in `DATASETS`.

    `annotations` chooses the labels where a folder holds several: a path, relative to the folder
    or absolute; with `{split}` in it (`annotations/lsp14_{split}.json`) one file a split, else one
    file that is split 80 / 10 / 10 by image with `seed`. Every verb leaves that seed alone, so
    that a search, a training and an evaluation of one file see the same splits. `only` reads no
    other splits than these.

    Raises: DataError where something is missing, ambiguous or wrong, and how to mend it.
    """
    root = _named_folder(str(data), seed, on_progress) or Path(data).expanduser()
    files = _annotation_files(root, annotations)
    if list(files) == ["all"]:
        found = split_by_image(_read("all", files["all"], root), seed=seed)
    else:
        found = {s: _read(s, f, root) for s, f in files.items() if only is None or s in only}
    found = {s: d for s, d in found.items() if only is None or s in only}
    if not found:
        raise DataError(
            f"{data} has no {' or '.join(only or ())} annotations, only {', '.join(files)}"
        )
    found = _one_skeleton(found)
    return Splits(source=str(data), digest=dataset_digest(list(found.values())), found=found)


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


def _named_folder(data: str, seed: int, on_progress: Progress | None) -> Path | None:
    name, _, argument = data.partition(":")
    return DATASETS[name](argument, seed, on_progress) if name in DATASETS else None


def _annotation_files(root: Path, annotations: str | Path | None) -> dict[str, Path]:
    """Return the annotation file of each split, or one under `all` that is to be split."""
    if not root.exists():
        raise DataError(f"there is no {root}; expected {EXPECTED}")
    folder = root if root.is_dir() else root.parent
    if annotations is not None:
        return _chosen(folder, str(annotations))
    if root.is_file():
        return {"all": root}
    for pattern in PATTERNS:
        fits = {s: sorted(folder.glob(pattern.format(split=s))) for s in SPLITS}
        if any(fits.values()):
            return {s: _only_one(files, folder, s) for s, files in fits.items() if files}
    single = sorted([*folder.glob("*.json"), *folder.glob("annotations/*.json")])
    if not single:
        raise DataError(f"{folder} holds no annotations; expected {EXPECTED}")
    return {"all": _only_one(single, folder, "")}


def _chosen(folder: Path, annotations: str) -> dict[str, Path]:
    if "{split}" not in annotations:
        return {"all": folder / Path(annotations).expanduser()}
    files = {s: folder / Path(annotations.replace("{split}", s)).expanduser() for s in SPLITS}
    there = {s: f for s, f in files.items() if f.is_file()}
    if not there:
        raise DataError(f"none of these files exist: {', '.join(map(str, files.values()))}")
    return there


def _only_one(files: list[Path], folder: Path, split: str) -> Path:
    if len(files) > 1:
        first = str(files[0].relative_to(folder))
        names = ", ".join(str(f.relative_to(folder)) for f in files)
        raise DataError(
            f"{folder} holds several annotation files{split and f' for {split}'}: {names}; choose "
            f"with --annotations, say --annotations '{first.replace(split or chr(0), '{split}')}'"
        )
    return files[0]


def _read(split: str, file: Path, root: Path) -> PoseDataset:
    return read_coco(file, name=split, image_folders=_image_folders(split, file, root))


def _image_folders(split: str, file: Path, root: Path) -> list[Path]:
    """Return where a file's images may lie, folders of their own split first."""
    bases = [root] if root.is_dir() else []
    bases += [file.parent] + ([file.parent.parent] if file.parent.name == "annotations" else [])
    own = (file.stem.removeprefix("person_keypoints_"), split)
    inside = [*own, *(f"images/{name}" for name in own), "images", "."]
    return list(dict.fromkeys(base / name for base in bases for name in inside))


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
