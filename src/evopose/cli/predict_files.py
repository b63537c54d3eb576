"""What `evopose predict` writes: names of its files, none of which may be in the way of others."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from evopose.errors import ConfigError

if TYPE_CHECKING:
    from evopose.inference.sources import Photo, Video, Webcam

FOUND = "predictions.json"
"""All that was found on photos."""
RESULTS = "results.json"
"""The same in COCO's form."""


_LONGEST = 200
"""Bytes of a name, which suffixes and numbers follow: file systems take 255."""


class _Names:
    """Gives names, each once. With a name `NAME.unfinished` is given away, too."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(2))

    def take(self, *stems: str) -> str:
        """Return the first of `stems` that is free, else the first of all with a number; cut where
        file systems would not take them."""
        stem, *others = map(_cut, stems)
        numbered = (f"{stem}-{number}" for number in self._numbers[stem])
        for name in chain((stem, *others), numbered):
            both = {name, f"{name}.unfinished"}
            if self._taken.isdisjoint(both):
                self._taken |= both
                return name
        raise AssertionError("numbers do not end")


def picture_names(photos: "Iterable[Photo]") -> list[str]:
    """Return the name of each photo's picture: the photo's, with its folder's or a number where
    another has it, too."""
    names = _Names()
    folders = ((one, one.path.parent.name if one.path else "web") for one in photos)
    return [f"{names.take(one.stem, f'{folder}-{one.stem}')}.jpg" for one, folder in folders]


def video_stems(videos: "Iterable[Video | Webcam]") -> list[str]:
    """Return what the files of each video are called: as it is, with a number where two would be
    called so."""
    names = _Names()
    return [names.take(Path(one.name).stem.replace(":", "-")) for one in videos]


def image_ids(photos: "Sequence[Photo]") -> list[int]:
    """Return the numbers that the files are named by, as COCO's are, where all differ; else the
    place of each, from 1.

    >>> from evopose.inference.sources import Photo
    >>> [image_ids([Photo(path=Path(name)) for name in two]) for two in (("07", "3"), ("7", "a"))]
    [[7, 3], [1, 2]]
    """
    stems = [photo.stem for photo in photos]
    ids = [int(stem) for stem in stems if stem.isdecimal()]
    return ids if len(set(ids)) == len(stems) else list(range(1, len(stems) + 1))


def require_free(
    out: Path,
    given: Iterable[Path],
    pictures: Sequence[str] | None,
    stems: Iterable[str],
    *,
    draw: bool,
) -> list[str]:
    """Return which results in the folder `out` will be replaced: those of an earlier run.

    `given` are the files that are read. `pictures` are the names of what is drawn of photos, None
    without photos; `stems` those of the files of videos, which are drawn if `draw`.

    Raises: ConfigError if a file that would be written over is one of those given, or if nothing
    shows that it is of an earlier run.
    """
    groups = [([FOUND], [RESULTS, *pictures])] if pictures is not None else []
    for stem in stems:
        both = stem, f"{stem}.unfinished"
        groups.append(([f"{s}.jsonl" for s in both], [f"{s}.mp4" for s in both if draw]))
    read = {_identity(path) for path in given} - {None}
    for told, others in groups:
        again = any(_identity(out / name) for name in told)
        for target in (out / name for name in (*told, *others)):
            there = _identity(target)
            if there in read:
                raise ConfigError(
                    f"{target} is among the files given, and would be written over; choose "
                    "another folder with --out"
                )
            if there and not again:
                raise ConfigError(
                    f"{target} would be written over, and is of no earlier run (there is no "
                    f"{told[0]} beside it); move it away, or choose another folder with --out"
                )
    return [name for told, _ in groups for name in told[:1] if _identity(out / name)]


def _cut(name: str) -> str:
    stored = os.fsencode(name)
    return name if len(stored) <= _LONGEST else stored[:_LONGEST].decode(errors="ignore")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from others, whatever it is called; None where there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino
