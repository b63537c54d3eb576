"""Imported splits as a DATA folder, whole or not at all."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from evopose.data.categories import keypoint_category, skeleton_of
from evopose.data.coco import read_coco
from evopose.data.importers.checking import Checked
from evopose.data.importers.labels import FormatSkeleton, Record
from evopose.errors import DataError
from evopose.skeleton import Skeleton
from evopose.structures import PoseDataset

SPLITS = ("train", "val", "test")
_MARK = "imported by evopose"


def existing_splits(out: Path) -> dict[str, Path]:
    """Return the annotation files that an import wrote to `out`, by split; none for a new folder.

    Raises: DataError if `out` is no folder, or holds anything else.
    """
    if not out.exists():
        return {}
    if not out.is_dir():
        raise DataError(f"expected a new or an empty folder, but {out} is a file; name another one")
    found = {s: out / "annotations" / f"person_keypoints_{s}.json" for s in SPLITS}
    found = {s: f for s, f in found.items() if f.is_file()}
    if not found and any(out.iterdir()):
        raise DataError(
            f"expected a new or an empty folder, or one from an earlier import, but {out} holds "
            "something else already; name another one, or empty it"
        )
    return found


def check_fit(out: Path, there: Mapping[str, Path], splits: Mapping[str, FormatSkeleton]) -> None:
    """Raise a DataError if splits are in `out` already, or there with another skeleton."""
    for split in splits:
        if split in there:
            raise DataError(
                f"{out} has a {split} split already; import it as another one (--as), or into "
                "another folder"
            )
        if (out / "images" / split).exists():
            raise DataError(
                f"{out / 'images' / split} is there without labels (an import that was killed?); "
                "take it away"
            )
    for split, path in there.items():
        before = _skeleton_in(path)
        for described in splits.values():
            new = _as_read(described)
            if new != before:
                raise DataError(
                    f"{out} has a {split} split with another skeleton ({_names(before)}) than this "
                    f"one ({_names(new)}); import it into another folder"
                )


def _names(skeleton: Skeleton) -> str:
    return f"{len(skeleton)} keypoints: {', '.join(skeleton.keypoints)}"


def _skeleton_in(path: Path) -> Skeleton:
    try:
        content = json.loads(path.read_bytes())
        description, categories = str(content["info"]["description"]), content["categories"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no earlier import, or is damaged: {error!r}") from error
    if _MARK not in description:
        raise DataError(f"{path} is no earlier import; import into another folder")
    return skeleton_of(keypoint_category(categories, where=str(path)), where=str(path))


def _as_read(described: FormatSkeleton) -> Skeleton:
    return skeleton_of(category_record(described), where="this import")


def category_record(described: FormatSkeleton) -> Record:
    """Return the COCO category that `skeleton_of` reads back."""
    skeleton = described.skeleton
    names = skeleton.keypoints
    record: Record = {
        "id": 1,
        "name": described.category,
        "supercategory": described.category,
        "keypoints": list(names),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs],
    }
    if skeleton.flip_pairs is not None:
        record["flip_pairs"] = [[names[a], names[b]] for a, b in skeleton.flip_pairs]
    if not skeleton.sigmas_assumed:
        record["sigmas"] = list(skeleton.sigmas)
    return record


def write_splits(
    out: Path,
    splits: Mapping[str, tuple[FormatSkeleton, Checked]],
    *,
    origin: str,
    link: bool,
) -> dict[str, PoseDataset]:
    """Return the splits as evopose reads them from `out`, after writing them there.

    `annotations/person_keypoints_SPLIT.json` and `images/SPLIT/`, copied or linked. They are
    written beside `out`, read back with all checks, and then moved; splits that are there stay.

    Raises: DataError if they cannot be written, or evopose would not read them.
    """
    with _beside(out) as work:
        read = {}
        for split, (described, checked) in splits.items():
            path = _write_split(work, split, described, checked, origin=origin, link=link)
            read[split] = read_coco(path, name=split, image_folders=[work / "images"])
        _move(work, out, list(splits))
    return read


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` that is gone afterwards; what cannot be written is told."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error.strerror or error}") from error
    try:
        yield work
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_split(
    work: Path, split: str, described: FormatSkeleton, checked: Checked, *, origin: str, link: bool
) -> Path:
    for name, source in checked.paths.items():
        place = work / "images" / split / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if link:
            place.symlink_to(source.resolve())
        else:
            shutil.copyfile(source, place)
    path = work / "annotations" / f"person_keypoints_{split}.json"
    path.parent.mkdir(exist_ok=True)
    info = {
        "description": f"{origin}, {_MARK}",
        "skipped": dict(checked.skipped),
        "assumptions": [described.sigmas_source, *checked.assumptions],
    }
    content = {
        "info": info,
        "images": [{**i, "file_name": f"{split}/{i['file_name']}"} for i in checked.images],
        "annotations": checked.annotations,
        "categories": [category_record(described)],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _move(work: Path, out: Path, splits: list[str]) -> None:
    if not out.exists() or not any(out.iterdir()):
        work.chmod(0o755)
        if out.exists():
            out.rmdir()
        work.replace(out)
        return
    moved = []
    try:
        for split in splits:
            (work / "images" / split).replace(out / "images" / split)
            moved.append(out / "images" / split)
        for split in splits:  # the labels last: a split without them is none
            name = f"person_keypoints_{split}.json"
            (work / "annotations" / name).replace(out / "annotations" / name)
            moved.append(out / "annotations" / name)
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
