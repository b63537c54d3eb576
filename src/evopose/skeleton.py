"""Skeletons: the names of keypoints, the limbs between them, their mirror pairs and OKS sigmas."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evopose.errors import DataError

ASSUMED_SIGMA = 0.05
"""The OKS sigma of a keypoint for which nobody gave one; reports call it assumed."""


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The keypoints of one kind of thing, checked at construction.

    Raises: DataError for names given twice, indices out of range, flip pairs that share a keypoint
    (the mirror must be an involution), or a number of sigmas other than the number of keypoints.
    """

    keypoints: tuple[str, ...]
    """Names, in the order of every keypoint axis."""
    limbs: tuple[tuple[int, int], ...] = ()
    """Pairs of indices to draw a line between (zero-based)."""
    flip_pairs: tuple[tuple[int, int], ...] | None = None
    """Left-right pairs (zero-based); keypoints in no pair are their own mirror. None: unknown, so
    nothing that mirrors an image may be used."""
    sigmas: tuple[float, ...] = ()
    """OKS sigma of each keypoint (COCO's convention: k = 2 sigma). Empty: `ASSUMED_SIGMA` each."""
    sigmas_assumed: bool = field(default=False)
    """True where the sigmas were not given by the dataset or known from COCO."""

    def __post_init__(self) -> None:
        count = len(self.keypoints)
        if count == 0:
            raise DataError("a skeleton needs at least one keypoint; the category names none")
        doubled = sorted({n for n in self.keypoints if self.keypoints.count(n) > 1})
        if doubled:
            raise DataError(f"keypoint names must differ; given twice: {', '.join(doubled)}")
        for what, pairs in (("limb", self.limbs), ("flip pair", self.flip_pairs or ())):
            for pair in pairs:
                if len(pair) != 2 or not all(0 <= i < count for i in pair):
                    raise DataError(
                        f"{what} {list(pair)} does not name two of the {count} keypoints "
                        f"(zero-based indices 0 to {count - 1})"
                    )
        flat = [i for pair in self.flip_pairs or () for i in pair]
        if len(set(flat)) != len(flat):
            shared = sorted({self.keypoints[i] for i in flat if flat.count(i) > 1})
            raise DataError(
                "flip pairs must be an involution (each keypoint in one pair at most); "
                f"in several: {', '.join(shared)}"
            )
        if not self.sigmas:
            object.__setattr__(self, "sigmas", (ASSUMED_SIGMA,) * count)
            object.__setattr__(self, "sigmas_assumed", True)
        if len(self.sigmas) != count or not all(s > 0 for s in self.sigmas):
            raise DataError(
                f"expected {count} positive OKS sigmas, one a keypoint, got {list(self.sigmas)}"
            )

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def flip_index(self) -> NDArray[np.intp]:
        """(K,) index that swaps left and right: `keypoints[flip_index]` is the mirrored order.

        Raises: DataError where the flip pairs are unknown.
        """
        if self.flip_pairs is None:
            raise DataError(
                "this skeleton's left-right pairs are unknown, so nothing can be mirrored; "
                'give the category `"flip_pairs": [["left_name", "right_name"], ...]`'
            )
        index = np.arange(len(self))
        for a, b in self.flip_pairs:
            index[[a, b]] = b, a
        return index

    def to_json(self) -> dict[str, object]:
        """Return the skeleton as JSON values, as a model file holds it."""
        pairs = None if self.flip_pairs is None else [list(p) for p in self.flip_pairs]
        return {
            "keypoints": list(self.keypoints),
            "limbs": [list(p) for p in self.limbs],
            "flip_pairs": pairs,
            "sigmas": list(self.sigmas),
            "sigmas_assumed": self.sigmas_assumed,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Skeleton":
        """Return the skeleton that `to_json` wrote. Raises: DataError if it cannot be one."""
        try:
            pairs = value["flip_pairs"]
            return cls(
                keypoints=tuple(value["keypoints"]),
                limbs=tuple((int(a), int(b)) for a, b in value["limbs"]),
                flip_pairs=None if pairs is None else tuple((int(a), int(b)) for a, b in pairs),
                sigmas=tuple(float(s) for s in value["sigmas"]),
                sigmas_assumed=bool(value["sigmas_assumed"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"not a skeleton: {error!r} in {value!r}") from error


COCO_PERSON = Skeleton(
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder",
        "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    limbs=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
        (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
        0.087, 0.087, 0.089, 0.089,
    ),
)  # fmt: skip
"""COCO's person: 17 keypoints, its limbs, and the sigmas of cocodataset.org's evaluation."""


def flip_pairs_from_names(names: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """Return the left-right pairs that the names tell, or None if no name has a side.

    A side is `left` or `right` anywhere in a name, or `l` / `r` as a part of its own (`l_ear`,
    `ear.R`, `Lear` is not one).

    Raises: DataError if a sided keypoint has no counterpart, or more than one.
    """
    keys = [_side_key(name) for name in names]
    if not any(side for side, _ in keys):
        return None
    pairs = []
    for i, (side, rest) in enumerate(keys):
        if not side:
            continue
        other = [j for j, (s, r) in enumerate(keys) if s and s != side and r == rest]
        twins = [j for j, (s, r) in enumerate(keys) if s == side and r == rest]
        if len(other) != 1 or len(twins) != 1:
            raise DataError(
                f"cannot tell which keypoint mirrors {names[i]!r}: "
                f"{'none fits' if not other else 'several fit'} among {list(names)}; give the "
                'category `"flip_pairs": [["left_name", "right_name"], ...]` (or [] if nothing '
                "has a mirror)"
            )
        if side == "left":
            pairs.append((i, other[0]))
    return tuple(pairs)


def _side_key(name: str) -> tuple[str, str]:
    """Return ("left" | "right" | "", the name without its side)."""
    parts = re.split(r"(left|right)", name.lower())
    if len(parts) == 3:
        return parts[1], f"{parts[0]}|{parts[2]}"
    tokens = re.split(r"[\s_.\-]+", name.lower())
    sides = [i for i, t in enumerate(tokens) if t in ("l", "r")]
    if len(parts) == 1 and len(tokens) > 1 and len(sides) == 1:
        side = "left" if tokens[sides[0]] == "l" else "right"
        return side, "|".join("" if i == sides[0] else t for i, t in enumerate(tokens))
    return "", name.lower()
