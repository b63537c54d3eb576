"""What a YOLO pose dataset says of itself: its splits, classes and keypoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evopose.data.importers.given import given_skeleton
from evopose.data.importers.labels import NOT_PUBLISHED, FormatSkeleton, Options
from evopose.data.importers.reading import load_json, load_yaml, wrong_format
from evopose.errors import DataError
from evopose.skeleton import COCO_PERSON, Skeleton, flip_pairs_from_names

_SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass(frozen=True, kw_only=True)
class YoloDescription:
    """A dataset before its labels are read."""

    source: Path
    skeleton: Skeleton
    sigmas_source: str
    dims: int | None
    """Numbers a keypoint: 2 or 3; None: as the first line has."""
    names: Mapping[int, str]
    """Classes by number; empty: not named."""
    folders: Mapping[str, Path]
    """Folders of images by split."""
    assumptions: tuple[str, ...]

    def name_of(self, kind: int) -> str:
        """Return a class's name."""
        return self.names.get(kind, f"class {kind}")

    def knows(self, kind: int) -> bool:
        """Return whether a class is named, or none is."""
        return kind >= 0 and (not self.names or kind in self.names)


def describe(source: Path, options: Options) -> YoloDescription:
    """Return what `data.yaml` says, or what folders and the options say without one.

    Raises: DataError if something is missing or contradicts.
    """
    file = _yaml_file(source)
    said = load_yaml(file) if file else {}
    shape = _shape(said, file or source)
    described, notes = _skeleton(said, shape, options, file or source)
    if shape and shape[0] != len(described.skeleton):
        raise DataError(
            f"{file}: kpt_shape says {shape[0]} keypoints, but {len(described.skeleton)} are named"
        )
    return YoloDescription(
        source=file or source,
        skeleton=described.skeleton,
        sigmas_source=described.sigmas_source,
        dims=shape[1] if shape else None,
        names=_names(said.get("names"), file or source),
        folders=_folders(said, file, source, options),
        assumptions=tuple(notes),
    )


def _yaml_file(source: Path) -> Path | None:
    if source.is_file():
        if source.suffix not in (".yaml", ".yml"):
            content = load_json(source) if source.suffix == ".json" else source
            expected = "data.yaml, or a folder with images/ and labels/"
            raise wrong_format(source, "yolo-pose", expected, content)
        return source
    found = sorted([*source.glob("*.yaml"), *source.glob("*.yml")])
    if len(found) > 1:
        raise DataError(f"{source} holds several YAML files: {', '.join(f.name for f in found)}; "
                        "give the dataset's as SOURCE")  # fmt: skip
    return found[0] if found else None


def _shape(said: Mapping[str, Any], where: Path) -> tuple[int, int] | None:
    shape = said.get("kpt_shape")
    if shape is None:
        return None
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(v) is int for v in shape)
            and shape[0] > 0 and shape[1] in (2, 3)):  # fmt: skip
        raise DataError(f"{where}: kpt_shape must be [keypoints, 2 or 3], got {shape!r}")
    return shape[0], shape[1]


def _skeleton(
    said: Mapping[str, Any], shape: tuple[int, int] | None, options: Options, where: Path
) -> tuple[FormatSkeleton, list[str]]:
    if options.skeleton is not None:
        return given_skeleton(options.skeleton), []
    if shape is None:
        raise DataError(
            f"{where} does not say how many keypoints there are (kpt_shape: [17, 3]); add it, or "
            "name them with --skeleton FILE"
        )
    pairs = _flip_pairs(said.get("flip_idx"), shape[0], where)
    names = _keypoint_names(said.get("kpt_names"), where)
    if names is None and shape[0] == 17 and pairs in (None, COCO_PERSON.flip_pairs):
        coco = FormatSkeleton(
            category="person", skeleton=COCO_PERSON, sigmas_source="OKS sigmas: COCO's, assumed"
        )
        return coco, ["keypoints: not named; 17, taken for COCO's (else: --skeleton FILE)"]
    notes = (
        [] if names else ["keypoints: not named; called keypoint_1, ... (--skeleton names them)"]
    )
    named = names or tuple(f"keypoint_{i}" for i in range(1, shape[0] + 1))
    if len(named) != shape[0]:
        raise DataError(f"{where}: kpt_names has {len(named)} names, kpt_shape says {shape[0]}")
    pairs = flip_pairs_from_names(named) if pairs is None else pairs
    if pairs is None:
        notes.append("left and right: not said, so nothing that mirrors images can be used")
    skeleton = Skeleton(keypoints=named, flip_pairs=pairs)
    return (
        FormatSkeleton(category="object", skeleton=skeleton, sigmas_source=NOT_PUBLISHED),
        notes,
    )


def _flip_pairs(flip: Any, count: int, where: Path) -> tuple[tuple[int, int], ...] | None:
    if flip is None:
        return None
    if not isinstance(flip, list) or sorted(map(str, flip)) != sorted(map(str, range(count))):
        raise DataError(
            f"{where}: flip_idx must hold each number from 0 to {count - 1} once, got {flip!r}"
        )
    if any(flip[j] != i for i, j in enumerate(flip)):
        raise DataError(f"{where}: flip_idx must swap pairs, and does not: {flip}")
    return tuple((i, j) for i, j in enumerate(flip) if i < j)


def _keypoint_names(said: Any, where: Path) -> tuple[str, ...] | None:
    """Return the names in `kpt_names`: a list, or a list for each class, all the same."""
    if said is None:
        return None
    lists = list(said.values()) if isinstance(said, dict) else [said]
    if not lists or not all(isinstance(one, list) and one == lists[0] for one in lists):
        raise DataError(f"{where}: kpt_names must be one list, the same for all classes")
    return tuple(str(n) for n in lists[0])


def _names(said: Any, where: Path) -> dict[int, str]:
    if said is None:
        return {}
    if isinstance(said, list):
        return {i: str(n) for i, n in enumerate(said)}
    if isinstance(said, dict) and all(k.isdecimal() for k in said):
        return {int(k): str(n) for k, n in said.items()}
    raise DataError(f"{where}: names must be a list, or numbers with names, got {said!r}")


def _folders(
    said: Mapping[str, Any], file: Path | None, source: Path, options: Options
) -> dict[str, Path]:
    """Return the splits' folders of images, as named, or as they lie below `images`."""
    root = file.parent if file else source
    if options.images is not None:
        return {options.split or "train": _existing(options.images, (Path(),), "--images")}
    bases = (root / str(said.get("path") or ""), root)
    named = {
        s: _existing(_one(said[k], k, root), bases, f"{file}, {k}")
        for s, keys in _SPLITS.items() for k in keys if said.get(k)
    }  # fmt: skip
    if not named:
        named = {
            s: root / "images" / k
            for s, keys in _SPLITS.items() for k in keys if (root / "images" / k).is_dir()
        }  # fmt: skip
    if not named:
        named = {options.split or "train": _existing(Path("images"), (root,), str(root))}
    if options.split is None:
        return named
    if options.split not in named:
        raise DataError(f"{source} has no split {options.split}, only {', '.join(named)}")
    return {options.split: named[options.split]}


def _one(said: Any, key: str, where: Path) -> Path:
    if not isinstance(said, str) or said.endswith(".txt"):
        raise DataError(f"{where}: {key} must be one folder of images, got {said!r}")
    return Path(said)


def _existing(folder: Path, bases: tuple[Path, ...], where: str) -> Path:
    """Return the folder below the first base that has it; a leading ../ may be one too many."""
    spelt = [folder, Path(*folder.parts[1:])] if folder.parts[:1] == ("..",) else [folder]
    for one in (base / f for base in bases for f in spelt):
        if one.is_dir():
            return one
    raise DataError(f"{where}: there is no folder {folder}")
