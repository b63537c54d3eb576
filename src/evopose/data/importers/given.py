"""A skeleton that the user gives, for formats whose files name no keypoints, limbs or sides."""

from pathlib import Path

from evopose.data.categories import keypoint_category, skeleton_of
from evopose.data.importers.labels import FormatSkeleton
from evopose.data.importers.reading import load_json
from evopose.errors import DataError


def given_skeleton(path: Path) -> FormatSkeleton:
    """Return the skeleton in a JSON: a COCO category, or a COCO file with one keypoint category.

    Raises: DataError if it describes none.
    """
    content = load_json(path)
    if isinstance(content, dict) and isinstance(content.get("categories"), list):
        content = keypoint_category(content["categories"], where=str(path))
    if not isinstance(content, dict) or not content.get("keypoints"):
        raise DataError(
            f"{path} names no keypoints; expected a JSON object such as "
            '{"name": "mouse", "keypoints": ["nose", "left_ear", "right_ear"], '
            '"skeleton": [[1, 2], [1, 3]]}'
        )
    skeleton = skeleton_of(content, where=str(path))
    return FormatSkeleton(
        category=str(content.get("name", "object")),
        skeleton=skeleton,
        sigmas_source=(
            "OKS sigmas: none given, 0.05 is assumed for each keypoint"
            if skeleton.sigmas_assumed
            else f"OKS sigmas: those of {path.name}"
        ),
    )
