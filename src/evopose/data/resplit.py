"""Writing train, val and test of one dataset, by image or by groups of images."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evopose.data.coco import read_coco
from evopose.data.content import load_content
from evopose.data.files import SPLITS, annotation_files, image_folders
from evopose.data.groups import assign_groups, groups_of, keep_together
from evopose.data.layouts import named_folder
from evopose.data.merging import file_digest
from evopose.errors import ConfigError, DataError
from evopose.structures import PoseDataset

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SplitPart:
    """One split that was written."""

    images: int
    groups: int
    """Groups of images; the images, where there are no groups."""
    persons: int
    """With labelled keypoints, no crowds."""
    share: float
    """Of all persons."""
    wanted: float


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """What a splitting wrote."""

    out: str
    group: str | None
    splits: dict[str, SplitPart]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Whatever annotation files there were, as one: raw records, and where their images lie."""

    content: Record
    paths: dict[int, Path]
    """By image id."""
    persons: dict[int, int]
    """Persons to train on, by image id."""
    groups: list[str]
    """Of each image; images of the same bytes have the same."""
    notes: tuple[str, ...]


def parse_ratios(text: str) -> dict[str, float]:
    """Return the share of each split of a text like 80/10/10; splits of 0 are left out.

    Raises: ConfigError for another text, or nothing to train on.
    """
    try:
        numbers = [float(part) for part in text.split("/")]
    except ValueError:
        numbers = []
    good = 2 <= len(numbers) <= 3 and all(0 <= n < float("inf") for n in numbers)
    if not good or numbers[0] == 0 or sum(n > 0 for n in numbers) < 2:
        raise ConfigError(
            f"expected --ratios TRAIN/VAL/TEST, say 80/10/10, or 90/10/0 for no test split; got "
            f"{text!r}"
        )
    return {s: n / sum(numbers) for s, n in zip(SPLITS, numbers, strict=False) if n > 0}


def resplit(
    data: str | Path,
    out: Path,
    *,
    ratios: dict[str, float],
    group: str | None = None,
    seed: int = 0,
    annotations: str | None = None,
    categories: Sequence[str] = (),
    copy: bool = False,
) -> SplitReport:
    """Return what became of `data`, now in the new folder `out` as DATA of several splits.

    Images (or groups, see `groups_of`) are drawn by `seed` so that the splits have their shares of
    the persons as nearly as whole groups allow. Splits that `data` has are joined first. Images of
    the same bytes stay together. Records are kept as they are, other fields included; images are
    linked, with `copy` copied.

    Raises: DataError where the data cannot be used or split, ConfigError for a bad `group`.
    """
    out = out.expanduser()
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"expected a new or an empty folder, but {out} holds something already")
    source = _read_all(data, annotations, categories, group)
    images, groups = source.content["images"], source.groups
    by = "images" if group is None else "groups"
    persons = [source.persons.get(image["id"], 0) for image in images]
    chosen = assign_groups(groups, persons, ratios, seed=seed, by=by)
    parts = {
        split: SplitPart(
            images=sum(s == split for s in chosen),
            groups=len({g for g, s in zip(groups, chosen, strict=True) if s == split}),
            persons=(own := sum(n for n, s in zip(persons, chosen, strict=True) if s == split)),
            share=own / max(1, sum(persons)),
            wanted=wanted,
        )
        for split, wanted in ratios.items()
    }
    _write(out, source, dict(zip((i["id"] for i in images), chosen, strict=True)), copy=copy)
    return SplitReport(
        out=str(out), group=group, splits=parts, notes=(*source.notes, *_missed(parts, by))
    )


def _missed(parts: dict[str, SplitPart], by: str) -> list[str]:
    """Return a note where whole groups let the ratios be missed by more than a little."""
    missed = [
        f"{split} has {part.share:.1%} of the persons instead of {part.wanted:.1%}"
        for split, part in parts.items()
        if abs(part.share - part.wanted) >= 0.02
    ]
    return [f"{', '.join(missed)}: whole {by} come no nearer"] if missed else []


def _read_all(
    data: str | Path, annotations: str | None, categories: Sequence[str], group: str | None
) -> _Source:
    """Return all annotation files of a dataset as one, ids numbered anew where they collide."""
    root = named_folder(str(data), 0, None) or Path(data).expanduser()
    files = annotation_files(root, annotations)
    whole: Record = {}
    paths: dict[int, Path] = {}
    persons: dict[int, int] = {}
    groups: list[str] = []
    notes: list[str] = []
    for split, file in files.items():
        content = load_content(file)
        if categories:
            before = len(content["annotations"])
            content = _one_category(content, categories, file)
            left = before - len(content["annotations"])
            notes.append(f"{left:,} annotations of other categories in {split} are left out")
        read = _checked(content, bool(categories), file, split, root)
        if whole and content["categories"] != whole["categories"]:
            raise DataError(
                f"{file} has other categories than {next(iter(files.values()))}; give all splits "
                "the same"
            )
        if whole and _collide(whole, content):
            notes.append(f"images and annotations of {split} have new ids, since theirs were taken")
            content = _renumbered(content, whole)
        ids = [image["id"] for image in content["images"]]
        groups += (
            map(str, ids) if group is None
            else groups_of(content["images"], group, where=str(file), split=split)
        )  # fmt: skip
        number = dict(zip((i.id for i in read.images), ids, strict=True))
        paths |= {number[i.id]: i.path for i in read.images}
        for one in read.trainable:
            persons[number[one.image_id]] = persons.get(number[one.image_id], 0) + 1
        if whole:
            whole["images"] += content["images"]
            whole["annotations"] += content["annotations"]
        else:
            whole = content
    same = _same_files([paths[image["id"]] for image in whole["images"]])
    doubled = len(same) - same.count(None) - len({*same} - {None})
    if doubled:
        notes.append(f"{doubled:,} images are the same files as others and stay with them")
    return _Source(
        content=whole,
        paths=paths,
        persons=persons,
        groups=keep_together(groups, same),
        notes=tuple(notes),
    )


def _same_files(paths: Sequence[Path]) -> list[bytes | None]:
    """Return the digest of each file that has the size of another one, else None, and None too
    where no other has that digest."""
    sizes = [path.stat().st_size for path in paths]
    many = Counter(sizes)
    found = [file_digest(p) if many[s] > 1 else None for p, s in zip(paths, sizes, strict=True)]
    twice = Counter(found)
    return [digest if digest and twice[digest] > 1 else None for digest in found]


def _checked(content: Record, chosen: bool, file: Path, split: str, root: Path) -> PoseDataset:
    """Return the dataset as training reads it: of the file, or of what was chosen from it."""
    folders = image_folders(split, file, root)
    if not chosen:
        return read_coco(file, name=split, image_folders=folders)
    with tempfile.TemporaryDirectory() as work:
        narrowed = Path(work) / file.name
        narrowed.write_text(json.dumps(content), encoding="utf-8")
        return read_coco(narrowed, name=split, image_folders=folders)


def _one_category(content: Record, names: Sequence[str], file: Path) -> Record:
    """Return the content with the chosen categories as one. Raises: DataError if it cannot be."""
    there = {str(c.get("name")): c for c in content["categories"] if c.get("keypoints")}
    if unknown := [name for name in names if name not in there]:
        raise DataError(
            f"{file} has no category {', '.join(unknown)} with keypoints; it has {', '.join(there)}"
        )
    chosen = [there[name] for name in names]
    if any(c["keypoints"] != chosen[0]["keypoints"] for c in chosen):
        raise DataError(
            f"{file}: {', '.join(names)} have different keypoints, so they cannot be one category; "
            "choose those that have the same"
        )
    ids = {c.get("id") for c in chosen}
    one = {**chosen[0], "name": "+".join(names)}
    kept = [r | {"category_id": one["id"]} for r in content["annotations"]
            if r.get("category_id") in ids]  # fmt: skip
    return {**content, "annotations": kept, "categories": [one]}


def _collide(whole: Record, content: Record) -> bool:
    return any(
        not {r["id"] for r in whole[key]}.isdisjoint(r["id"] for r in content[key])
        for key in ("images", "annotations")
    )


def _renumbered(content: Record, whole: Record) -> Record:
    image = max(i["id"] for i in whole["images"]) + 1
    annotation = max(a["id"] for a in whole["annotations"]) + 1
    ids = {r["id"]: image + n for n, r in enumerate(content["images"])}
    return {
        **content,
        "images": [r | {"id": ids[r["id"]]} for r in content["images"]],
        "annotations": [
            r | {"id": annotation + n, "image_id": ids[r["image_id"]]}
            for n, r in enumerate(content["annotations"])
        ],
    }


def _write(out: Path, source: _Source, place: dict[int, str], *, copy: bool) -> None:
    """Write the folder beside its place and move it there whole."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            names = _put_images(work / "images", source, copy=copy)
            _put_labels(work / "annotations", source.content, names, place)
            work.chmod(0o755)
            if out.exists():
                out.rmdir()
            work.replace(out)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror or error}") from error


def _put_images(folder: Path, source: _Source, *, copy: bool) -> dict[int, str]:
    """Link or copy the images, and return their new names: the old ones, if no two share one."""
    old = {i["id"]: str(i["file_name"]) for i in source.content["images"]}
    first: dict[str, Path] = {}
    names = {}
    for id, path in source.paths.items():
        name = old[id].lstrip("/")
        if ".." in Path(name).parts or first.setdefault(name, path) != path:
            name = f"{id}-{Path(name).name}"
            first[name] = path
        names[id] = name
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            if copy:
                shutil.copyfile(path, target)
            else:
                target.symlink_to(path.resolve())
    return names


def _put_labels(
    folder: Path, content: Record, names: dict[int, str], place: dict[int, str]
) -> None:
    folder.mkdir()
    for split in dict.fromkeys(place.values()):
        images = [i | {"file_name": names[i["id"]]} for i in content["images"]
                  if place[i["id"]] == split]  # fmt: skip
        annotations = [a for a in content["annotations"] if place.get(a.get("image_id")) == split]
        part = {**content, "images": images, "annotations": annotations}
        path = folder / f"person_keypoints_{split}.json"
        path.write_text(json.dumps(part), encoding="utf-8")
