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


def groups_of(images: Sequence[Record], key: str, *, where: str) -> list[str]:
    """Return the group of each image record: `folder`, `name:REGEX`, or the value of a field.

    Raises: ConfigError for a key of another form, DataError that names images without a group.
    """
    found = [_group_function(key)(image) for image in images]
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

    The largest groups are placed first, each where most persons are still wanted; groups of equal
    size come in an order drawn by `seed`. Groups without persons are spread by their images.

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
    """Return the split of each group, largest first; with `fill` no split stays empty."""
    names = sorted(size)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    order.sort(key=lambda name: -size[name])
    left = {split: share * sum(size.values()) for split, share in ratios.items()}
    empty = set(ratios) if fill else set()
    place = {}
    for number, name in enumerate(order):
        waiting = [s for s in ratios if s in empty]
        split = max(
            waiting if len(order) - number <= len(waiting) else ratios, key=left.__getitem__
        )
        place[name] = split
        left[split] -= size[name]
        empty.discard(split)
    return place
