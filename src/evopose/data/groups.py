"""Groups of images that belong together: a video's frames, a subject's photos."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from evopose.errors import ConfigError, DataError

Record = dict[str, Any]

EXPECTED = (
    "expected --group FIELD (a field of the images, say video), folder, or name:REGEX with one "
    r"group in it, say 'name:(.*)_\d+'"
)


def groups_of(images: Sequence[Record], key: str, *, where: str, split: str = "") -> list[str]:
    """Return the group of each image record: `folder`, `name:REGEX`, or the value of a field.

    Where all files of `split` lie in a folder of its name (`train/`), that is no part of a group:
    a video whose frames are in `train/` and in `val/` is one.

    Raises: ConfigError for a key of another form, DataError that names images without a group.
    """
    group = _group_function(key)
    found = [group(image) for image in _without_folder(images, split)]
    without = [
        str(image.get("file_name")) for image, g in zip(images, found, strict=True) if g is None
    ]
    if without:
        more = f", ... ({len(without)} of {len(images)})" if len(without) > 5 else ""
        fields = sorted({name for image in images for name in image})
        raise DataError(
            f"{where}: --group {key} says nothing of {', '.join(without[:5])}{more}; {EXPECTED}; "
            f"the images have the fields {', '.join(fields)}"
        )
    return [str(g) for g in found]


def _without_folder(images: Sequence[Record], split: str) -> Sequence[Record]:
    folder = f"{split}/"
    names = [str(image.get("file_name")) for image in images]
    if not all(name.startswith(folder) for name in names):
        return images
    return [i | {"file_name": n.removeprefix(folder)} for i, n in zip(images, names, strict=True)]


def keep_together(groups: Sequence[str], same: Sequence[object]) -> list[str]:
    """Return the groups, those that share a value of `same` (one an image, None: nothing) joined.

    >>> keep_together(["a", "b", "c", "a"], [None, 1, None, 1])
    ['a', 'a', 'c', 'a']
    """
    joined: dict[str, str] = {}

    def root(name: str) -> str:
        while name in joined:
            name = joined[name]
        return name

    first: dict[object, str] = {}
    for name, value in zip(groups, same, strict=True):
        if value is not None and (a := root(first.setdefault(value, name))) != (b := root(name)):
            joined[max(a, b)] = min(a, b)
    return [root(name) for name in groups]


def _group_function(key: str) -> Callable[[Record], str | None]:
    if not key:
        raise ConfigError(f"{EXPECTED}; got nothing")
    if key == "folder":
        return lambda image: str(PurePosixPath(str(image.get("file_name"))).parent)
    if not key.startswith("name:"):
        return lambda image: None if image.get(key) is None else str(image[key])
    try:
        pattern = re.compile(key.removeprefix("name:"))
    except re.error as error:
        raise ConfigError(f"--group {key}: no regular expression ({error}); {EXPECTED}") from error
    if pattern.groups != 1:
        raise ConfigError(f"--group {key}: {pattern.groups} groups in it; {EXPECTED}")

    def named(image: Record) -> str | None:
        match = pattern.search(str(image.get("file_name")))
        return match and match[1]

    return named


def assign_groups(
    groups: Sequence[str], persons: Sequence[int], ratios: dict[str, float], *, seed: int, by: str
) -> list[str]:
    """Return the split of each image: its group's.

    The largest groups are placed first, each where it leaves the shares most even, so that every
    split gets large and small ones; groups of equal size come in an order drawn by `seed`. Groups
    without persons are spread by their images.

    Raises: DataError if fewer groups than splits have persons.
    """
    images, people = Counter(groups), Counter[str]()
    for name, number in zip(groups, persons, strict=True):
        people[name] += number
    peopled = {name: number for name, number in people.items() if number}
    if len(peopled) < len(ratios):
        named = f" ({', '.join(sorted(peopled)[:5])})" if by == "groups" else ""
        raise DataError(
            f"{len(peopled)} {by}{named} have persons with keypoints, too few for {len(ratios)} "
            f"splits ({', '.join(ratios)}): "
            + ("choose another --group" if by == "groups" else "label more images")
            + ", or fewer splits with --ratios, say 80/20"
        )
    rest = {name: number for name, number in images.items() if name not in peopled}
    place = _place(peopled, ratios, seed=seed, fill=True)
    place |= _place(rest, ratios, seed=seed, fill=False)
    return [place[name] for name in groups]


def _place(
    size: dict[str, int], ratios: dict[str, float], *, seed: int, fill: bool
) -> dict[str, str]:
    """Return the split of each group; with `fill` no split stays empty.

    Two ways of dividing seats by votes, Sainte-Lague's and D'Hondt's: whichever misses less.
    """
    names = sorted(size)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    order.sort(key=lambda name: -size[name])

    def missed(place: dict[str, str]) -> float:
        total = Counter[str]()
        for name, split in place.items():
            total[split] += size[name]
        return max(abs(total[s] - share * sum(size.values())) for s, share in ratios.items())

    return min((_divided(order, size, ratios, part, fill=fill) for part in (0.5, 1.0)), key=missed)


def _divided(
    order: Sequence[str],
    size: dict[str, int],
    ratios: dict[str, float],
    part: float,
    *,
    fill: bool,
) -> dict[str, str]:
    """Return the split of each group: where least is, for its share, with `part` of the group."""
    there = dict.fromkeys(ratios, 0)
    empty = set(ratios) if fill else set()
    place = {}
    for number, name in enumerate(order):
        waiting = [s for s in ratios if s in empty]
        free = waiting if len(order) - number <= len(waiting) else list(ratios)
        level = {s: (there[s] + part * size[name]) / ratios[s] for s in free}
        split = min(free, key=level.__getitem__)
        place[name] = split
        there[split] += size[name]
        empty.discard(split)
    return place
