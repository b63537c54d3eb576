"""Telling what an annotation file looks like, for those who named another format."""

from pathlib import Path
from typing import Any

from evopose.data.importers.skeletons import PUBLISHED

Guess = str | None


def normal_name(name: Any) -> str:
    """Return a keypoint's name in evopose's style: `Right Shoulder` becomes `right_shoulder`."""
    return "_".join(str(name).lower().split())


def looks_like(content: Any) -> Guess:
    """Return what a file's content (or a path that is no JSON) looks like, or None."""
    if isinstance(content, Path):
        return _of_path(content)
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return _of_list(content[0])
    if isinstance(content, dict):
        return _of_object(content)
    return None


def _of_path(path: Path) -> Guess:
    if path.suffix == ".mat":
        return "a MATLAB file; of those only LSP's joints.mat can be imported (lsp)"
    if path.suffix in (".yaml", ".yml"):
        return "yolo-pose"
    try:
        with path.open("rb") as file:
            begins_as_csv = file.read(7).lower() == b"scorer,"
    except OSError:
        return None
    return "deeplabcut" if begins_as_csv else None


def _of_list(first: dict[str, Any]) -> Guess:
    if "joints" in first and "center" in first:
        return "mpii"
    if "keypoint_annotations" in first:
        return "aic"
    if "score" in first and "bbox" in first:
        return "detections, which are no labels"
    return None


def _of_object(content: dict[str, Any]) -> Guess:
    if "keypoint_visible" in content and "keypoint_names" in content:
        return "ochuman"
    categories = content.get("categories")
    if not isinstance(categories, list) or not all(isinstance(c, dict) for c in categories):
        return None
    for category in categories:
        keypoints = category.get("keypoints")
        names = [normal_name(n) for n in keypoints] if isinstance(keypoints, list) else []
        for format, described in PUBLISHED.items():
            if names == list(described.skeleton.keypoints):
                return _in_words(format)
    if any(c.get("keypoints") for c in categories):
        return (
            "COCO keypoints with a skeleton of its own; evopose reads that without an import "
            "(give the folder or file as DATA)"
        )
    return None


def _in_words(format: str) -> str:
    if format == "ochuman":
        return (
            "COCO's 17 keypoints: ochuman, or COCO itself, which evopose reads without an import "
            "(give the folder or file as DATA)"
        )
    return "mpii (with the contours of TRB)" if format == "mpii-trb" else format
