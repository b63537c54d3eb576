"""Keypoints of two datasets matched by their names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evopose.errors import ConfigError, DataError

SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
"""How sides are spelt, as a word of their own."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
_SIDED = re.compile(r"(left|right)(?=.)|(?<=.)(left|right)")


@dataclass(frozen=True, kw_only=True)
class KeypointMap:
    """Which keypoints of another dataset are which of ours."""

    mapped: tuple[tuple[str, str], ...]
    """(their name, our name), in our order."""
    missing: tuple[str, ...]
    """Ours that they do not have: unlabelled in all of their persons."""
    dropped: tuple[str, ...]
    """Theirs that we do not have."""

    def describe(self) -> str:
        """Return the mapping in a line: how many, which by another name, what is left out."""
        other = [f"{theirs} = {ours}" for theirs, ours in self.mapped if theirs != ours]
        count = len(self.mapped) + len(self.missing)
        parts = [f"{len(self.mapped)} of {count} keypoints mapped by name"]
        if other:
            parts[0] += f" ({', '.join(other)})"
        if self.missing:
            parts.append(f"not labelled there: {', '.join(self.missing)}")
        if self.dropped:
            parts.append(f"dropped: {', '.join(self.dropped)}")
        return "; ".join(parts)


def normal_name(name: str) -> tuple[str, str]:
    """Return ("left" | "right" | "", the rest), equal for spellings of the same keypoint.

    Case, separators and the spelling and place of the side do not matter.

    >>> normal_name("l_ear") == normal_name("LeftEar") == normal_name("ear.L") == ("left", "ear")
    True
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    sides = [i for i, word in enumerate(words) if word in SIDES]
    if len(sides) == 1 and len(words) > 1:
        return SIDES[words[sides[0]]], "".join(words[: sides[0]] + words[sides[0] + 1 :])
    joined = "".join(words)
    found = _SIDED.findall(joined)
    if len(found) == 1 and not sides:
        side = "".join(found[0])
        return side, joined.replace(side, "")
    return "", joined


def match_keypoints(
    theirs: Sequence[str],
    ours: Sequence[str],
    *,
    rename: Mapping[str, str],
    where: str,
) -> KeypointMap:
    """Return which of `theirs` are which of `ours`: as `rename` says, else by normal names.

    Raises: DataError if two of one side have the same normal name, two of theirs would be one of
    ours, or fewer than 2, or than a third of ours, are found.
    """
    by_name = _by_normal_name(ours, "the first dataset")
    _by_normal_name([name for name in theirs if name not in rename], where)
    found = {name: rename.get(name) or by_name.get(normal_name(name)) for name in theirs}
    for name in ours:
        twice = [t for t, o in found.items() if o == name]
        if len(twice) > 1:
            raise DataError(
                f"{where}: {' and '.join(twice)} would both be {name}; rename one of them to "
                "another keypoint, or leave its --rename out"
            )
    mapped = tuple((t, o) for o in ours for t, f in found.items() if f == o)
    reached = {o for _, o in mapped}
    if len(mapped) < min(2, len(ours)) or 3 * len(mapped) < len(ours):
        left = [name for name in theirs if found[name] is None] or theirs
        say = f"{left[0]}={next(name for name in ours if name not in reached)}"
        raise DataError(
            f"{where}: {len(mapped)} of its keypoints {'has' if len(mapped) == 1 else 'have'} a "
            f"name of the first dataset's, too few to learn from; it has {', '.join(theirs)}; the "
            f"first dataset has {', '.join(ours)}. Say which are the same with --rename "
            f"THEIRS=OURS, once a keypoint, say --rename '{say}'"
        )
    return KeypointMap(
        mapped=mapped,
        missing=tuple(name for name in ours if name not in reached),
        dropped=tuple(name for name, o in found.items() if o is None),
    )


def parse_renames(pairs: Sequence[str]) -> dict[str, str]:
    """Return {theirs: ours} of texts `THEIRS=OURS`.

    Raises: ConfigError for a text of another form, or a name on the left given twice.
    """
    renames: dict[str, str] = {}
    for pair in pairs:
        theirs, _, ours = (part.strip() for part in pair.partition("="))
        if not theirs or not ours:
            raise ConfigError(f"expected --rename THEIRS=OURS, say head=nose; got {pair!r}")
        if renames.get(theirs, ours) != ours:
            raise ConfigError(f"--rename names {theirs} twice: as {renames[theirs]} and as {ours}")
        renames[theirs] = ours
    return renames


def check_renames(
    rename: Mapping[str, str], ours: Sequence[str], theirs: Mapping[str, Sequence[str]]
) -> None:
    """Raise DataError for names that no dataset has; `theirs` are keypoints by dataset."""
    if rename and not theirs:
        raise ConfigError(
            "--rename says what keypoints of a further dataset are called in the first one: give "
            "that dataset with --with, or leave it out"
        )
    everywhere = {name for names in theirs.values() for name in names}
    lists = "; ".join(f"{source} has {', '.join(names)}" for source, names in theirs.items())
    for name, other in rename.items():
        if name not in everywhere:
            raise DataError(f"--rename {name}={other}: no further dataset has {name}; {lists}")
        if other not in ours:
            raise DataError(
                f"--rename {name}={other}: the first dataset has no {other}; it has "
                f"{', '.join(ours)}"
            )


def _by_normal_name(names: Sequence[str], where: str) -> dict[tuple[str, str], str]:
    """Return the names by what they are compared by."""
    found: dict[tuple[str, str], str] = {}
    for name in names:
        if (other := found.setdefault(normal_name(name), name)) != name:
            raise DataError(
                f"{where}: {other} and {name} are the same name but for case, separators and the "
                "spelling of sides, so keypoints cannot be mapped by name; rename one in the file"
            )
    return found
