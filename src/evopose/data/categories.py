"""From a category of a COCO file to a skeleton."""

from typing import Any

from evopose.errors import DataError
from evopose.skeleton import COCO_PERSON, Skeleton, flip_pairs_from_names


def keypoint_category(categories: list[dict[str, Any]], *, where: str) -> dict[str, Any]:
    """Return the one category that names keypoints.

    Raises: DataError if none does, or several do.
    """
    found = [c for c in categories if isinstance(c, dict) and c.get("keypoints")]
    if not found:
        raise DataError(
            f"{where}: no category names keypoints; one needs "
            '`"keypoints": ["nose", "left_eye", ...]`'
        )
    if len(found) > 1:
        names = ", ".join(str(c.get("name", c.get("id"))) for c in found[:8])
        same = all(c["keypoints"] == found[0]["keypoints"] for c in found)
        raise DataError(
            f"{where}: {len(found)} categories name keypoints ({names}"
            f"{', ...' if len(found) > 8 else ''}), one is expected; choose with "
            "`evopose data split FILE --out DIR --category NAME`, which may be repeated for those "
            f"with the same keypoints{' (here all have the same)' if same else ''}"
        )
    return found[0]


def skeleton_of(category: dict[str, Any], *, where: str) -> Skeleton:
    """Return the skeleton that a COCO category describes.

    Beside COCO's `keypoints` and `skeleton` (limbs, counted from 1) a category may give
    `"flip_pairs": [["left_ear", "right_ear"], ...]` and `"sigmas": [0.03, ...]`. Without them,
    COCO's 17 names in any order have COCO's pairs and sigmas, and other pairs follow the names.

    Raises: DataError if it describes none.
    """
    names = category["keypoints"]
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise DataError(f"{where}: the category's keypoints must be a list of names, got {names!r}")
    is_coco = sorted(names) == sorted(COCO_PERSON.keypoints)
    try:
        limbs = tuple((int(a) - 1, int(b) - 1) for a, b in category.get("skeleton") or ())
        if strange := [[a + 1, b + 1] for a, b in limbs if not {a, b} <= {*range(len(names))}]:
            raise DataError(
                f"the category's skeleton holds {strange[0]}, which does not name two of its "
                f"{len(names)} keypoints (pairs are counted from 1); mend it, or take it out: "
                "limbs are only drawn"
            )
        sigmas = tuple(float(s) for s in category.get("sigmas") or ())
        pairs = _flip_pairs(category.get("flip_pairs"), names)
        if is_coco:
            coco = [COCO_PERSON.keypoints.index(n) for n in names]
            sigmas = sigmas or tuple(COCO_PERSON.sigmas[i] for i in coco)
            limbs = limbs or tuple((coco.index(a), coco.index(b)) for a, b in COCO_PERSON.limbs)
        return Skeleton(keypoints=tuple(names), limbs=limbs, flip_pairs=pairs, sigmas=sigmas)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{where}: the category's skeleton must be pairs of numbers counted from 1, its "
            f"flip_pairs pairs of names, its sigmas numbers: {error}"
        ) from error


def _flip_pairs(given: Any, names: list[str]) -> tuple[tuple[int, int], ...] | None:
    if given is None:
        return flip_pairs_from_names(names)
    unknown = sorted({str(n) for pair in given for n in pair if n not in names})
    if unknown:
        raise DataError(f"flip_pairs name {', '.join(unknown)}, not among the keypoints {names}")
    return tuple((names.index(a), names.index(b)) for a, b in given)
