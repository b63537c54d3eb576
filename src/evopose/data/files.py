"""Which files of a folder are a dataset: annotation files of splits, folders of images."""

from pathlib import Path

from evopose.errors import DataError

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


def annotation_files(
    root: Path, annotations: str | Path | None, *, further: bool = False
) -> dict[str, Path]:
    """Return the annotation file of each split, or one under `all` that is to be split.

    `annotations` chooses as in `open_dataset`. `further`: errors speak of `--with`.

    Raises: DataError where nothing is found, or several files that fit.
    """
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
            return {s: _only_one(f, folder, s, further) for s, f in fits.items() if f}
    single = sorted([*folder.glob("*.json"), *folder.glob("annotations/*.json")])
    if not single:
        raise DataError(f"{folder} holds no annotations; expected {EXPECTED}")
    return {"all": _only_one(single, folder, "", further)}


def _chosen(folder: Path, annotations: str) -> dict[str, Path]:
    if "{split}" not in annotations:
        return {"all": folder / Path(annotations).expanduser()}
    files = {s: folder / Path(annotations.replace("{split}", s)).expanduser() for s in SPLITS}
    there = {s: f for s, f in files.items() if f.is_file()}
    if not there:
        raise DataError(f"none of these files exist: {', '.join(map(str, files.values()))}")
    return there


def _only_one(files: list[Path], folder: Path, split: str, further: bool) -> Path:
    if len(files) > 1:
        first = str(files[0].relative_to(folder))
        names = ", ".join(str(f.relative_to(folder)) for f in files)
        choose = f"--annotations, say --annotations '{first.replace(split or chr(0), '{split}')}'"
        if further:
            choose = f"the file itself, say --with {files[0]}"
        raise DataError(
            f"{folder} holds several annotation files{split and f' for {split}'}: {names}; choose "
            f"{'' if further else 'with '}{choose}"
        )
    return files[0]


def image_folders(split: str, file: Path, root: Path) -> list[Path]:
    """Return where a file's images may lie, folders of their own split first."""
    bases = [root] if root.is_dir() else []
    bases += [file.parent] + ([file.parent.parent] if file.parent.name == "annotations" else [])
    own = (file.stem.removeprefix("person_keypoints_"), split)
    inside = [*own, *(f"images/{name}" for name in own), "images", "."]
    return list(dict.fromkeys(base / name for base in bases for name in inside))
