"""Lists of images without labels, such as COCO's `image_info_test-dev2017.json`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evopose.data.categories import keypoint_category, skeleton_of
from evopose.data.content import find_images, load_content
from evopose.data.files import image_folders
from evopose.errors import DataError
from evopose.skeleton import Skeleton
from evopose.structures import ImageRecord


@dataclass(frozen=True, kw_only=True)
class ImageList:
    """The images that a file lists; labels are not looked at."""

    file: Path
    name: str
    """What the images are called, say `test-dev2017`."""
    images: tuple[ImageRecord, ...]
    """Those that are there, in the file's order."""
    absent: tuple[str, ...]
    """Names of those that are not."""
    folder: Path
    """Where they were looked for."""
    skeleton: Skeleton | None
    """That of the file's category, if one names keypoints."""
    labels: int
    """Annotations that the file has all the same."""


def lists_images_alone(path: Path) -> bool:
    """Return whether a JSON file names images and no annotations, without reading it as JSON."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return b'"images"' in content and b'"annotations"' not in content


def name_of_list(path: Path) -> str:
    """Return what a file's images are called.

    >>> name_of_list(Path("annotations/image_info_test-dev2017.json"))
    'test-dev2017'
    """
    return re.sub(r"^(image_info|person_keypoints|instances)_", "", path.stem)


def read_image_list(path: Path, *, root: Path, split: str = "test") -> ImageList:
    """Return the images that a COCO file lists, `annotations` and `categories` left aside.

    They lie as `image_folders` has it, or in a folder of the list's name, or of that name without
    what follows a hyphen: those of `image_info_test-dev2017.json` in `test2017`.

    Raises: DataError for a file that lists no images, or of which none is there.
    """
    content = load_content(path, lists=("images",))
    name = name_of_list(path)
    found = find_images(content["images"], path, _folders(name, split, path, root))
    if not found.images:
        folders = ", ".join(str(f) for f in _folders(name, split, path, root))
        raise DataError(
            f"{path}: none of its {len(found.absent):,} images is there (the first: "
            f"{', '.join(found.absent[:3])}); looked in {folders}"
        )
    labels = content.get("annotations")
    return ImageList(
        file=path,
        name=name,
        images=found.images,
        absent=found.absent,
        folder=found.folder,
        skeleton=_skeleton(content.get("categories"), path),
        labels=len(labels) if isinstance(labels, list) else 0,
    )


def _folders(name: str, split: str, path: Path, root: Path) -> Sequence[Path]:
    usual = image_folders(split, path, root)
    short = re.sub(r"-[a-z]+(?=\d|$)", "", name)  # test-dev2017 and test2017 share images
    bases = dict.fromkeys(base for base in (path.parent.parent, path.parent, root))
    own = [base / part for part in (name, short, f"images/{short}") for base in bases]
    return list(dict.fromkeys([*own, *usual]))


def _skeleton(categories: object, path: Path) -> Skeleton | None:
    """Return the skeleton of the one category with keypoints, None where none has any."""
    if not isinstance(categories, list):
        return None
    if not any(isinstance(one, dict) and one.get("keypoints") for one in categories):
        return None
    category = keypoint_category(categories, where=str(path))
    return skeleton_of(category, where=f"{path}, category {category.get('name')!r}")
