"""What a user names to predict: photos, folders, patterns, addresses, videos and webcams.

Finding them reads no image and touches no network; `read_source` does.
"""

import difflib
import glob
import logging
import os
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from evopose.data.images import Image
from evopose.data.photos import decode_photo, read_photo
from evopose.errors import DataError
from evopose.inference.web import fetch_photo

log = logging.getLogger(__name__)

PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"),
    *(".jp2", ".ppm", ".pgm", ".heic", ".heif"),  # the last two are named when read, not passed by
)
VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"),
    *(".mts", ".m2ts", ".ts", ".ogv"),
)
WEBCAM = re.compile(r"(?:webcam:)?(\d{1,3})")
"""What names a webcam where no file is called so; its group is the index."""
EXPECTED = (
    "an image, a folder of them, a pattern in quotes ('photos/*.jpg'), an image's http(s):// "
    "address, a video, or a webcam (webcam:0)"
)


@dataclass(frozen=True, kw_only=True)
class Photo:
    """One image: a file, or an address."""

    path: Path | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.url is None):
            raise ValueError(f"a photo has a path or an address: {self.path}, {self.url}")

    @property
    def name(self) -> str:
        """What to call it in messages and results."""
        return self.url or str(self.path)

    @property
    def stem(self) -> str:
        """What to call a file made of it, without a suffix."""
        if self.path is not None:
            return self.path.stem
        last = Path(urllib.parse.unquote(urllib.parse.urlsplit(str(self.url)).path)).stem
        return re.sub(r"[^\w.-]+", "_", last).strip("._") or "photo"


@dataclass(frozen=True, kw_only=True)
class Video:
    """A file of moving pictures."""

    path: Path

    @property
    def name(self) -> str:
        """What to call it in messages and results."""
        return str(self.path)


@dataclass(frozen=True, kw_only=True)
class Webcam:
    """A camera of this machine."""

    index: int
    path: ClassVar[None] = None

    @property
    def name(self) -> str:
        """What to call it in messages and results."""
        return f"webcam:{self.index}"


Source = Photo | Video | Webcam


def find_sources(names: Iterable[str | Path]) -> list[Source]:
    """Return what the names mean, in their order, each once.

    A file is a video by its suffix, else a photo, whatever it is called. A folder means the photos
    and videos directly in it, by name; for those of its subfolders there is the pattern
    'folder/**/*.jpg'. Hidden files in folders are passed by. A number that is no file is a webcam.

    A link in a folder that leads nowhere is taken for a file: reading it says what is wrong.

    Raises: DataError for a name that means nothing or cannot be looked for, a folder or pattern
    that yields nothing, an address that is no http(s)://.
    """
    found: list[Source] = []
    for name in names:
        try:
            found += _named(str(name))
        except (OSError, RuntimeError, ValueError) as error:  # a name too long, ~nobody, [::1
            reason = (isinstance(error, OSError) and error.strerror) or str(error).rstrip(".")
            raise DataError(f"cannot look for {name}: {reason}; expected {EXPECTED}") from error
    once = {_identity(source): source for source in reversed(found)}  # the first one stays
    if doubles := len(found) - len(once):
        log.warning("%d named more than once, taken once", doubles)
    return [source for source in found if once.get(_identity(source)) is source]


def count_by_kind(sources: Sequence[Source]) -> dict[str, int]:
    """Return how many photos, videos and webcams there are, without the zeros.

    >>> count_by_kind([Webcam(index=0), Photo(url="https://a.org/b.jpg"), Photo(path=Path("c"))])
    {'photos': 2, 'webcams': 1}
    """
    kinds = Counter(type(source) for source in sources)
    names = {Photo: "photos", Video: "videos", Webcam: "webcams"}
    return {name: kinds[kind] for kind, name in names.items() if kinds[kind]}


def read_source(photo: Photo, *, max_pixels: int | None = None) -> Image:
    """Return a photo (H, W, 3), RGB, uint8, upright, as `read_photo`; an address is fetched.

    Raises: DataError as `read_photo` and `fetch_photo`.
    """
    if photo.path is not None:
        return read_photo(photo.path, max_pixels=max_pixels)
    return decode_photo(fetch_photo(str(photo.url)), photo.name, max_pixels=max_pixels)


def _named(name: str) -> list[Source]:
    """Return what one name means."""
    if not name:
        raise DataError(f"an empty name means nothing; expected {EXPECTED}")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name):
        return [_address(name)]
    path = Path(name).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return [_file(path)]
    if camera := WEBCAM.fullmatch(name):
        return [Webcam(index=int(camera[1]))]
    if glob.has_magic(name):
        return _matching(str(path))
    raise DataError(f"there is no {name}{_meant(path)}; expected {EXPECTED}")


def _address(name: str) -> Photo:
    parts = urllib.parse.urlsplit(name)
    if parts.scheme.lower() not in ("http", "https"):
        raise DataError(
            f"{name} is no http:// or https:// address; a file is named by its path, a video "
            "stream has to be recorded first"
        )
    if not parts.hostname:
        raise DataError(f"{name} names no host; expected such as https://example.org/photo.jpg")
    if Path(parts.path).suffix.lower() in VIDEO_SUFFIXES:
        raise DataError(f"{name} is a video: download it, and name the file")
    return Photo(url=name)


def _in_folder(folder: Path) -> list[Source]:
    try:
        files = [f for f in sorted(folder.iterdir()) if _is_file(f)]
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror}") from error
    known = _known(files, f"folder {folder}")
    if not known:
        inside = any(_is_known(file) for file in folder.glob("*/*"))
        hint = f"; for its subfolders give '{folder}/**/*'" if inside else ""
        raise DataError(
            f"{folder} has no images ({', '.join(PHOTO_SUFFIXES)}) or videos directly in it{hint}"
        )
    return known


def _matching(pattern: str) -> list[Source]:
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207  Path's takes no absolute pattern
    files = [file for file in map(Path, sorted(matches)) if _is_file(file)]
    known = _known(files, f"pattern {pattern}")
    if not known:
        what = f"{len(files)} files, none of them an image or a video" if files else "no file"
        raise DataError(f"{pattern} matches {what}; expected {EXPECTED}")
    return known


def _known(files: list[Path], where: str) -> list[Source]:
    """Return the photos and videos among the files; say how many others there are."""
    visible = [file for file in files if not file.name.startswith(".")]
    known: list[Source] = [_file(file) for file in visible if _is_known(file)]
    if known and len(known) < len(visible):
        log.info("%s: %d other files passed by", where, len(visible) - len(known))
    return known


def _is_file(path: Path) -> bool:
    return path.is_file() or (path.is_symlink() and not path.exists())


def _is_known(file: Path) -> bool:
    return file.suffix.lower() in (*PHOTO_SUFFIXES, *VIDEO_SUFFIXES) and file.name[0] != "."


def _file(path: Path) -> Photo | Video:
    is_video = path.suffix.lower() in VIDEO_SUFFIXES
    return Video(path=path) if is_video else Photo(path=path)


def _meant(path: Path) -> str:
    """Return a hint at a file of nearly that name."""
    try:
        names = [file.name for file in path.parent.iterdir()]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
    return f" (is {path.parent / close[0]} meant?)" if close else ""


def _identity(source: Source) -> object:
    return source if source.path is None else os.path.realpath(source.path)
